// Keyboard shortcuts: single letters, where nothing is being typed. Law: they can be switched off, because a voice or
// a tremor may press them too.

import { dialog, el } from "./dom.js";

const KEPT = "shortcuts";
const LETTERS = { chat: "c", approvals: "a", sessions: "s", heartbeats: "h", memory: "m", status: "t" };

export function listenToKeys(app) {
  let going = 0; // until when `g` waits for its letter
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || !on() || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "?") showKeys(app.views);
    else if (event.key === "/") return document.querySelector("#message, input[type=search]")?.focus(), event.preventDefault();
    else if (event.key === "g") going = Date.now() + 1500;
    else if (Date.now() < going) {
      const view = app.views.find(({ name }) => LETTERS[name] === event.key);
      going = 0;
      if (view) app.go(`#/${view.name}`);
    }
  });
}

function typing(target) {
  return target instanceof HTMLElement && target.matches("input, textarea, select");
}

function on() {
  return localStorage.getItem(KEPT) !== "off";
}

export function showKeys(views) {
  const rows = [["?", "these shortcuts"], ["/", "write, or search"], ...views.map(({ name, title }) => [`g ${LETTERS[name]}`, `go to ${title}`]),
    ["Enter", "send"], ["Shift Enter", "a new line"], ["Esc", "stop the answer, while writing"]];
  const toggle = el("input", { type: "checkbox", id: "keys-on", checked: on(), onchange: () => localStorage.setItem(KEPT, toggle.checked ? "on" : "off") });
  dialog("Keyboard",
    el("dl", { class: "keys" }, ...rows.flatMap(([keys, words]) => [el("dt", {}, ...keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, words)])),
    el("p", { class: "row" }, toggle, el("label", { for: "keys-on" }, "Single-letter shortcuts")));
}
