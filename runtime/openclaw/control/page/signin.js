// The door: where a token is typed in when none came with the address. Law: the token is never shown or kept here.

import { signIn } from "./api.js";
import { codeBlock } from "./markdown.js";
import { button, el, mark } from "./dom.js";

export function drawDoor(place, why, enter) {
  const field = el("input", { id: "token", type: "password", name: "token", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": why ? "why" : null });
  const form = el("form", { class: "card door", onsubmit: (event) => submit(event, field, enter) },
    mark(),
    el("h1", {}, "OpenClaw"),
    el("p", { class: "soft" }, "Your assistants, on your own machine."),
    why && el("p", { id: "why", class: "note", role: "alert" }, why),
    el("label", { for: "token" }, "Token"),
    field,
    button("Open", null, { kind: "primary wide" }),
    el("div", { class: "how" },
      el("p", {}, "Where do I get it? On the machine where OpenClaw runs:"),
      codeBlock("openclaw token", "shell"),
      el("p", { class: "soft" }, "Or open the link that ", el("code", {}, "openclaw run"), " prints: it signs you in. The token stays in this tab, and is forgotten when you close it.")));
  form.querySelector(".primary").type = "submit";
  place.replaceChildren(form);
  field.focus();
}

function submit(event, field, enter) {
  event.preventDefault();
  const value = field.value;
  field.value = "";
  if (!value.trim()) return;
  signIn(value);
  void enter();
}
