// Heartbeats and reminders: the week behind and ahead, and how each stands. Law: shows only what the runtime told;
// looks again while it is open, and draws anew only what became different.

import { json, part } from "./api.js";
import { button, confirmed, el, icon, moment, pictureButton, toast } from "./dom.js";
import { MOST, drawWeek, row, showRuns, span, tag } from "./week.js";
import { absolute, count } from "./words.js";

const AGAIN = 5000; // milliseconds

export class HeartbeatsView {
  constructor(app) {
    this._app = app;
    this._shift = 0; // weeks from this one
    this._body = el("div", { class: "stack" });
    this.element = el("section", { class: "view pad", "aria-label": "Heartbeats" }, this._body);
  }

  async open() {
    clearInterval(this._timer);
    this._timer = setInterval(() => document.hidden || this._look(), AGAIN);
    await this._look();
  }

  close() {
    clearInterval(this._timer);
  }

  async _look() {
    const shift = this._shift;
    const [start, end] = span(shift);
    const since = new Date(start - 1).toISOString();
    try {
      const [{ heartbeats }, { runs }, { coming }] = await Promise.all([
        json("/api/heartbeats"), json(`/api/heartbeats/history?since=${since}&limit=${MOST}`), json(`/api/heartbeats/coming?until=${end.toISOString()}&limit=${MOST}`),
      ]);
      const now = JSON.stringify([shift, start, heartbeats, runs, coming]);
      if (shift === this._shift && now !== this._told) {
        this._told = now;
        this._draw(heartbeats, runs, coming);
      }
    } catch (error) {
      if (error.code === "offline") return;
      this._told = "";
      this._body.replaceChildren(el("p", { class: "soft" }, error.message));
    }
  }

  _draw(heartbeats, runs, coming) {
    const held = document.activeElement?.dataset.act;
    const cards = heartbeats.length ? el("ul", { class: "cards" }, ...heartbeats.map((one) => this._card(one)))
      : el("div", { class: "empty" }, icon("heartbeats"), el("p", {}, "No heartbeat yet."), el("p", { class: "soft" }, "Describe one in heartbeats.yaml, or ask your assistant to remind you of something."));
    const full = runs.length === MOST || coming.length === MOST;
    this._body.replaceChildren(...[heartbeats.length + runs.length ? el("section", { "aria-label": "The week" },
      el("div", { class: "row" }, el("h2", { class: "small grow" }, this._shift ? absolute(span(this._shift)[0]).split(",").slice(0, -1).join(",") : "The week", full && " (there is more than is shown)"),
        pictureButton("back", "Earlier", () => this._go(-1), { "data-act": "earlier" }), pictureButton("chevron", "Later", () => this._go(1), { "data-act": "later" })),
      drawWeek(this._shift, runs, coming)) : null, cards].filter(Boolean));
    if (held) [...this._body.querySelectorAll("[data-act]")].find(({ dataset }) => dataset.act === held)?.focus();
  }

  async _go(weeks) {
    this._shift += weeks;
    await this._look();
  }

  _card(one) {
    const [state, look] = one.stopped ? ["stopped", "bad"] : one.paused ? ["paused", "warn"] : one.enabled ? ["on", "good"] : ["off", ""];
    const place = `/api/heartbeats/${part(one.name)}`;
    const act = (words, method, verb, said, more) => button(words, () => this._act(method, `${place}${verb}`, said), { ...more, "data-act": `${one.name} ${words}` });
    const acts = this._app.may("operator") ? [
      act("Run now", "POST", "/run", `${one.name} runs now.`, { picture: "play" }),
      one.paused || one.stopped ? act("Resume", "POST", "/resume", `${one.name} goes on.`) : act("Pause", "POST", "/pause", `${one.name} is paused.`),
      one.origin === "reminder" && button("Delete", () => this._delete(one, place), { kind: "danger-quiet", picture: "trash" })] : [];
    return el("li", { class: "card heartbeat" },
      el("header", { class: "row" }, icon("heartbeats", state === "on" ? "tint" : "soft"), el("h2", { class: "grow" }, one.name), el("span", { class: `tag ${look}` }, state)),
      one.stopped && el("p", { class: "note" }, one.stopped),
      el("dl", { class: "facts" },
        ...(one.cron.length ? row("Schedule", el("code", {}, one.cron.join(" ; ")), ` ${one.timezone}`, one.active_hours && `, ${one.active_hours}`) : row("Once", absolute(one.once))),
        ...row("Next", ...when(one.next)),
        ...row("Last", ...when(one.last_run?.scheduled ?? one.last), one.last_run && tag(one.last_run.outcome), one.failures > 1 && ` ${count(one.failures, "failure")} in a row`),
        ...row(one.says ? "Says" : "Asks", one.prompt),
        ...row("Agent", one.agent, one.model && `, with ${one.model}`),
        ...(one.check ? row("Check", one.check) : []),
        ...(one.paused ? row("Paused", absolute(one.paused.at), one.paused.by && ` by ${one.paused.by}`) : []),
        ...row("Goes to", one.deliver.join(", ") || "the history only")),
      el("footer", { class: "row wrap" }, ...acts, button("History", () => this._history(one), { kind: "quiet", picture: "clock", "data-act": `${one.name} history` })));
  }

  async _history({ name }) {
    try {
      showRuns(name, (await json(`/api/heartbeats/history?${new URLSearchParams({ heartbeat: name })}`)).runs);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  async _act(method, path, said) {
    try {
      await json(path, { method });
      toast(said);
    } catch (error) {
      toast(error.message, "bad");
    }
    await this._look();
  }

  async _delete(one, place) {
    if (await confirmed("Delete this reminder?", one.prompt.slice(0, 300), "Delete")) await this._act("DELETE", place, "Deleted.");
  }
}

function when(time) {
  return time ? [el("b", {}, moment(time, "")), el("span", { class: "soft" }, ` ${absolute(time)}`)] : ["—"];
}
