// A tool call as one line that opens to what went in and what came out. Law: everything in it is text.

import { el, icon } from "./dom.js";
import { duration } from "./words.js";

const LONGEST = 100_000; // characters of a result that are shown

export class ToolChip {
  /** `line` is the call in one line, where the runtime gave one. */
  constructor({ tool, input, line }) {
    this._mark = el("span", { class: "tool-mark", role: "img", "aria-label": "running" }, el("span", { class: "spinner" }));
    this._note = el("span", { class: "tool-note" });
    const known = Object.keys(input ?? {}).length > 0;
    this._body = el("div", { class: "tool-body" }, known && el("p", {}, "Input"), known && pre(JSON.stringify(input, null, 2), "Input"));
    this.element = el("details", { class: "tool" },
      el("summary", {}, this._mark, el("span", { class: "tool-line" }, ...words(tool, input, line)), this._note, icon("chevron", "turn")),
      this._body);
  }

  /** What came of it. `seconds` is null where nobody measured. */
  finish({ text, is_error, seconds = null }) {
    if (this.element.matches(".good, .bad")) return;
    const kind = is_error ? "bad" : "good";
    this.element.classList.add(kind);
    this._mark.setAttribute("aria-label", is_error ? "failed" : "done");
    this._mark.replaceChildren(icon(is_error ? "cross" : "check"));
    this._note.textContent = seconds === null ? "" : duration(seconds);
    const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}\n… ${(text.length - LONGEST).toLocaleString()} more characters` : text;
    this._body.append(el("p", {}, is_error ? "Error" : "Result"), pre(shown || "(nothing)", "Result"));
  }

  /** The turn ended without a result of this call. */
  abandon(words = "no result") {
    if (this.element.matches(".good, .bad")) return;
    this.element.classList.add("bad");
    this._mark.setAttribute("aria-label", words);
    this._mark.replaceChildren(icon("clock"));
    this._note.textContent = words;
  }
}

function pre(text, label) {
  return el("pre", { tabindex: "0", "aria-label": label }, text);
}

/** The tool's name, and the rest of its line or its first argument. */
function words(tool, input, line) {
  const rest = line?.startsWith(tool) ? line.slice(tool.length).trim() : (line ?? firstValue(input));
  return [el("b", {}, tool), rest && rest !== "{}" ? ` ${rest.slice(0, 300)}` : ""];
}

function firstValue(input) {
  const value = Object.values(input ?? {})[0];
  return value === undefined ? "" : typeof value === "string" ? value.split("\n")[0] : JSON.stringify(value);
}
