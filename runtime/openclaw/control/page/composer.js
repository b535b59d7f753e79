// Where the person writes: Enter sends, Shift+Enter makes a line, `/` completes commands, drafts outlive a reload.
//
// Law: a text leaves the field only when it was sent; nothing is sent while an input method still composes.

import { el, icon, pictureButton } from "./dom.js";

const KEPT = "draft";
const GROWS = CSS.supports("field-sizing", "content");

export class Composer {
  /** `send(text)`; `stop()`; `commands()` gives [{name, help}]. */
  constructor({ send, stop, commands, picker }) {
    this._send = send;
    this._commands = commands;
    this._shown = [];
    this._chosen = 0;
    this.field = el("textarea", {
      id: "message", rows: 1, placeholder: "Write a message", "aria-label": "Message", "aria-autocomplete": "list", "aria-controls": "completions",
      autocomplete: "off", spellcheck: true, enterkeyhint: "send",
      oninput: () => this._changed(), onkeydown: (event) => this._key(event), onblur: () => setTimeout(() => this._show([]), 150),
    });
    this._list = el("ul", { id: "completions", class: "completions", role: "listbox", "aria-label": "Commands", hidden: true });
    this._stop = pictureButton("stop", "Stop the answer", stop, { kind: "stop", hidden: true });
    this._go = el("button", { type: "submit", class: "picture go", "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
    this.element = el("form", { class: "composer", "aria-label": "Write a message", onsubmit: (event) => this._submit(event) },
      this._list, this.field, el("div", { class: "row composer-foot" }, picker, el("span", { class: "hint" }, "Enter sends · Shift+Enter for a new line · / for commands"), this._stop, this._go));
    this.field.value = sessionStorage.getItem(KEPT) ?? "";
    this._changed();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  /** Puts a text back that could not be sent, unless something else is being written. */
  giveBack(text) {
    if (!this.field.value.trim()) this.put(text);
  }

  put(text) {
    this.field.value = text;
    this._changed();
    this._show([]);
    this.focus();
  }

  running(yes) {
    this._stop.hidden = !yes;
  }

  _changed() {
    const text = this.field.value;
    if (text) sessionStorage.setItem(KEPT, text);
    else sessionStorage.removeItem(KEPT);
    this._go.disabled = !text.trim();
    if (!GROWS) this.field.rows = Math.min(10, text.split("\n").length);
    this._show(/^\/[a-z0-9_]*$/.test(text) ? this._commands().filter(({ name }) => name.startsWith(text)).slice(0, 12) : []);
  }

  _submit(event) {
    event.preventDefault();
    const text = this.field.value.trimEnd();
    if (!text.trim()) return;
    this.field.value = "";
    this._changed();
    this._send(text);
  }

  _key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (this._shown.length && this._completing(event)) return event.preventDefault();
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey) this._submit(event);
    else if (event.key === "Escape" && !this._stop.hidden) this._stop.click();
  }

  // ── completion ──

  _completing(event) {
    switch (event.key) {
      case "ArrowDown":
        return this._choose(this._chosen + 1), true;
      case "ArrowUp":
        return this._choose(this._chosen - 1), true;
      case "Tab":
        return !event.shiftKey && (this._take(this._shown[this._chosen]), true);
      case "Enter":
        if (event.shiftKey || this._shown[this._chosen].name === this.field.value) return false;
        return this._take(this._shown[this._chosen]), true;
      case "Escape":
        return this._show([]), true;
      default:
        return false;
    }
  }

  _show(found) {
    this._shown = found;
    this._list.hidden = !found.length;
    this._list.replaceChildren(...found.map((command, index) => this._option(command, index)));
    if (found.length) this._choose(0);
    else this.field.removeAttribute("aria-activedescendant");
  }

  _option(command, index) {
    return el("li", { id: `completion-${index}`, role: "option", "aria-selected": "false", onmousedown: (event) => (event.preventDefault(), this._take(command)) },
      el("b", {}, command.name), el("span", {}, command.help));
  }

  _choose(index) {
    this._chosen = (index + this._shown.length) % this._shown.length;
    [...this._list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === this._chosen)));
    this.field.setAttribute("aria-activedescendant", `completion-${this._chosen}`);
    this._list.children[this._chosen].scrollIntoView({ block: "nearest" });
  }

  _take(command) {
    this.put(`${command.name} `);
  }
}
