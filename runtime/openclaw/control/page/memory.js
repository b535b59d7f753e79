// The memory browser: search, read, delete. Law: a memory is deleted only after its text was in view and a question
// was answered.

import { json, part } from "./api.js";
import { announce, button, confirmed, el, icon, moment, toast } from "./dom.js";
import { count } from "./words.js";

const MOST = 200;

export class MemoryView {
  constructor(app) {
    this._app = app;
    this._search = el("input", { type: "search", placeholder: "Search what was remembered", "aria-label": "Search memories", oninput: () => this._soon() });
    this._list = el("div");
    this.element = el("section", { class: "view pad", "aria-label": "Memory" }, el("div", { class: "stack" }, el("div", { class: "search" }, icon("search"), this._search), this._list));
  }

  async open() {
    const wanted = this._search.value.trim();
    try {
      const { memories } = await json(`/api/memory?${new URLSearchParams({ query: wanted, limit: MOST })}`);
      if (wanted === this._search.value.trim()) this._draw(memories, wanted);
    } catch (error) {
      this._list.replaceChildren(el("p", { class: "soft" }, error.message));
    }
  }

  close() {
    clearTimeout(this._due);
  }

  _soon() {
    clearTimeout(this._due);
    this._due = setTimeout(() => this.open(), 150);
  }

  _draw(memories, wanted) {
    if (wanted) announce(count(memories.length, "memory", "memories"));
    if (!memories.length) {
      this._list.replaceChildren(el("div", { class: "empty" }, icon("memory"), el("p", {}, wanted ? "Nothing that was remembered fits." : "Nothing is remembered yet."),
        !wanted && el("p", { class: "soft" }, "Tell an assistant to remember something, and it stands here.")));
      return;
    }
    this._list.replaceChildren(el("ul", { class: "list card" }, ...memories.map((one) => this._item(one))));
  }

  _item(one) {
    const text = one.text.trim();
    return el("li", { class: "item" }, el("details", { class: "memory" },
      el("summary", {}, el("span", { class: "grow" }, el("b", {}, one.name ?? one.key), el("span", { class: "preview" }, text.split("\n")[0].slice(0, 200))),
        moment(one.created), icon("chevron", "turn")),
      el("pre", { class: "plain words", tabindex: "0", "aria-label": "Text" }, text),
      el("div", { class: "row wrap" }, el("div", { class: "soft grow" }, el("code", {}, one.key), el("p", {}, `saved by ${one.agent} for ${one.author}`)), this._app.may("operator") && button("Delete", () => this._delete(one), { kind: "danger-quiet", picture: "trash" }))));
  }

  async _delete(one) {
    if (!(await confirmed("Delete this?", one.text.trim().slice(0, 300), "Delete"))) return;
    try {
      await json(`/api/memory/${part(one.key)}`, { method: "DELETE" });
      toast("Deleted.");
    } catch (error) {
      toast(error.message, "bad");
    }
    await this.open();
  }
}
