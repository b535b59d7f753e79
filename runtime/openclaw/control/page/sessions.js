// Sessions: the list, and one transcript with its calls. Law: a transcript is shown as it was written; nothing of it
// is changed but by a reset that was confirmed.

import { json, part } from "./api.js";
import { button, confirmed, el, icon, moment, toast } from "./dom.js";
import { draw, exchanges } from "./transcript.js";
import { absolute, bytes, count, sessionWords } from "./words.js";

export class SessionsView {
  constructor(app) {
    this._app = app;
    this._sessions = [];
    this._search = el("input", { type: "search", placeholder: "Search sessions", "aria-label": "Search sessions", oninput: () => this._list() });
    this._body = el("div", { class: "stack" });
    this.element = el("section", { class: "view pad", "aria-label": "Sessions" }, this._body);
  }

  async open(key = "") {
    this._key = key;
    try {
      if (key) await this._show(key);
      else {
        const { sessions } = await json("/api/sessions");
        if (this._key === "") this._take(sessions.sort((one, other) => other.updated.localeCompare(one.updated)));
      }
    } catch (error) {
      this._body.replaceChildren(el("p", { class: "soft" }, error.message), el("a", { href: "#/sessions" }, "All sessions"));
    }
  }

  close() {}

  /** Draws the list anew only where it is another, so that nothing moves away below a finger. */
  _take(sessions) {
    const same = this._search.isConnected && JSON.stringify(sessions) === JSON.stringify(this._sessions);
    this._sessions = sessions;
    if (!same) this._list();
  }

  _list() {
    const wanted = this._search.value.trim().toLowerCase();
    const found = this._sessions.filter(({ key }) => key.toLowerCase().includes(wanted));
    const list = el("ul", { class: "list card" }, ...found.map((session) => this._row(session)));
    const rest = found.length ? list : el("div", { class: "empty" }, icon("sessions"), el("p", {}, wanted ? "No session fits." : "No conversation yet."));
    if (this._search.isConnected) this._body.lastChild.replaceWith(rest);
    else this._body.replaceChildren(el("div", { class: "search" }, icon("search"), this._search), rest);
  }

  _row(session) {
    const { agent, place } = sessionWords(session.key);
    return el("li", {}, el("a", { class: "item row", href: `#/sessions/${part(session.key)}` },
      el("div", { class: "grow" }, el("b", {}, place), agent && el("span", { class: "tag" }, agent),
        el("p", { class: "soft" }, moment(session.updated), ` · ${count(session.entries, "entry", "entries")} · ${bytes(session.size)}`)),
      icon("chevron")));
  }

  // ── one of them ──

  async _show(key) {
    const { entries } = await json(`/api/sessions/${part(key)}`);
    if (this._key !== key) return;
    const { agent, place } = sessionWords(key);
    const name = this._app.agents.find(({ id }) => id === agent)?.name ?? agent;
    this._body.replaceChildren(
      el("div", { class: "row wrap" },
        el("a", { class: "button quiet back", href: "#/sessions" }, icon("back"), "All sessions"),
        el("span", { class: "grow" }),
        button("Reset", () => this._reset(key), { kind: "danger-quiet", picture: "trash" })),
      el("header", {}, el("h2", {}, place), el("p", { class: "soft" }, figures(entries), " · ", el("code", {}, key))),
      el("div", { class: "log" }, ...exchanges(entries).map((exchange) => this._exchange(exchange, name))));
  }

  _exchange(exchange, name) {
    if (exchange.summary !== undefined) return el("details", { class: "summary" }, el("summary", {}, `Summarised ${absolute(exchange.at)}`), el("p", {}, exchange.summary));
    return draw(exchange, name).element;
  }

  async _reset(key) {
    if (!(await confirmed("Reset this session?", "The conversation is archived, and the next message starts afresh.", "Reset"))) return;
    try {
      await json(`/api/sessions/${part(key)}`, { method: "DELETE" });
      toast("Reset. The old conversation is archived.");
      this._app.go("#/sessions");
    } catch (error) {
      toast(error.message, "bad");
    }
  }
}

function figures(entries) {
  const said = entries.filter((entry) => entry.role === "user").length;
  const called = entries.filter((entry) => entry.type === "intent").length;
  const failed = entries.filter((entry) => entry.type === "result" && entry.is_error).length;
  return [count(said, "message"), count(called, "call"), failed ? `${count(failed, "error")}` : ""].filter(Boolean).join(" · ");
}
