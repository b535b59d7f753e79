// Builds elements. Law: whatever comes from elsewhere enters the page as a text node, never as markup;
// there is no innerHTML and no style attribute anywhere in this page.

import { absolute, relative } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** el("button", {class: "quiet", onclick}, "Stop"): attributes, listeners, and children that are nodes or text. */
export function el(name, traits = {}, ...children) {
  return dress(document.createElement(name), traits, children);
}

export function svg(name, traits = {}, ...children) {
  return dress(document.createElementNS(SVG, name), traits, children);
}

function dress(node, traits, children) {
  for (const [trait, value] of Object.entries(traits)) {
    if (value === null || value === undefined || value === false) continue;
    if (trait.startsWith("on")) node.addEventListener(trait.slice(2), value);
    else if (trait === "text") node.textContent = value;
    else node.setAttribute(trait, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}

const PATHS = {
  chat: "M4 5h16v11H9l-5 4z",
  approvals: "M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6zM9 12l2.2 2.2L15.2 10",
  sessions: "M5 6h14M5 12h14M5 18h9",
  heartbeats: "M3 12h4l2.5-6 4 12L16 12h5",
  memory: "M6 4h9l3 3v13H6zM9 10h6M9 14h6",
  status: "M5 19v-6M12 19V5M19 19v-9",
  send: "M12 19V6M6 11.5L12 5.5l6 6",
  stop: "M6 6h12v12H6z",
  plus: "M12 5v14M5 12h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  cross: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  copy: "M9 9h10v10H9zM5 15V5h10",
  chevron: "M9 6l6 6-6 6",
  back: "M15 6l-6 6 6 6",
  search: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5L20 20",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z",
  auto: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16",
  keys: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  play: "M8 5.5v13l10-6.5z",
  down: "M12 5v13M6 12.5l6 6 6-6",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.5l3 2",
};

/** A line drawing of 24 by 24 that says nothing to a screen reader: the control around it has the words. */
export function icon(name, more = "") {
  return svg("svg", { class: `icon ${more}`.trim(), viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}

/** The product's mark, the same drawing as mark.svg. */
export function mark() {
  const stroke = (d, kind) => svg("path", { d, class: kind });
  return svg("svg", { class: "mark", viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 32, height: 32, rx: 9 }),
    stroke("M9 23.5C7.2 17 8.6 11.3 12.5 7.5", "claw"),
    stroke("M15.5 24.5C14.4 18.5 15.5 13 19 9", "claw"),
    stroke("M22 25C21.4 20.5 22 16.7 24.5 13", "claw tip"));
}

export function button(label, act, { kind = "", picture = null, ...more } = {}) {
  return el("button", { type: "button", class: `button ${kind}`.trim(), onclick: act, ...more }, picture && icon(picture), label);
}

/** A button of one picture, whose words are for screen readers and the tooltip. */
export function pictureButton(picture, label, act, more = {}) {
  const { kind = "", ...rest } = more;
  return el("button", { type: "button", class: `picture ${kind}`.trim(), "aria-label": label, title: label, onclick: act, ...rest }, icon(picture));
}

/** A time as it is from now, kept true by `tick`. */
export function moment(time, kind = "soft") {
  return el("time", { class: kind, datetime: time, title: absolute(time), "data-relative": true }, relative(time));
}

export function tick() {
  for (const one of document.querySelectorAll("time[data-relative]")) {
    const words = relative(one.dateTime);
    if (words !== one.textContent) one.textContent = words;
  }
}

/** Says something to screen readers without interrupting; sighted people see it elsewhere. */
export function announce(words) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = words;
}

/** Asks before something is done that cannot be undone. Resolves to true or false. */
export function confirmed(title, words, yes) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "dialog", "aria-labelledby": "confirm-title" },
      el("h2", { id: "confirm-title" }, title),
      el("p", {}, words),
      el("div", { class: "row end" },
        button("Cancel", () => dialog.close("no"), { autofocus: true }),
        button(yes, () => dialog.close("yes"), { kind: "danger" })));
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Shows something over the page until it is closed. */
export function dialog(title, ...children) {
  const shown = el("dialog", { class: "dialog", "aria-labelledby": "dialog-title", onclose: () => shown.remove() },
    el("h2", { id: "dialog-title" }, title), ...children,
    el("div", { class: "row end" }, button("Close", () => shown.close(), { autofocus: true })));
  document.body.append(shown);
  shown.showModal();
}

/** A short notice at the edge of the window, gone by itself. */
export function toast(words, kind = "") {
  const place = document.getElementById("toasts");
  const shown = el("p", { class: `toast ${kind}`.trim() }, words);
  place.append(shown);
  setTimeout(() => shown.remove(), 6000);
}
