// Heartbeats: what runs on a schedule, when it ran last and runs next. Law: shows only times that the runtime gave;
// the week has one mark a heartbeat, its next run, because that is all that is known.

import { json, part } from "./api.js";
import { button, el, icon, moment, toast } from "./dom.js";
import { absolute, clock } from "./words.js";

const DAYS = 7;

export class HeartbeatsView {
  constructor(app) {
    this._app = app;
    this._body = el("div", { class: "stack" });
    this.element = el("section", { class: "view pad", "aria-label": "Heartbeats" }, this._body);
  }

  async open() {
    try {
      this._draw((await json("/api/heartbeats")).heartbeats);
    } catch (error) {
      this._body.replaceChildren(el("p", { class: "soft" }, error.message));
    }
  }

  close() {}

  _draw(heartbeats) {
    if (!heartbeats.length) {
      this._body.replaceChildren(el("div", { class: "empty" }, icon("heartbeats"), el("p", {}, "No heartbeat yet."), el("p", { class: "soft" }, "Describe one in heartbeats.yaml; it is taken up while the runtime runs.")));
      return;
    }
    this._body.replaceChildren(week(heartbeats), el("ul", { class: "cards" }, ...heartbeats.map((one) => this._card(one))));
  }

  _card(one) {
    const run = this._app.may("operator") ? button("Run now", () => this._run(one, run), { picture: "play" }) : null;
    return el("li", { class: "card heartbeat" },
      el("header", { class: "row" }, icon("heartbeats", one.enabled ? "tint" : "soft"), el("h2", { class: "grow" }, one.name), el("span", { class: `tag ${one.enabled ? "good" : ""}` }, one.enabled ? "on" : "off")),
      el("dl", { class: "facts" },
        ...row("Schedule", el("code", {}, one.cron.join(" ; ")), ` ${one.timezone}`),
        ...row("Next", ...when(one.next)),
        ...row("Last", ...when(one.last)),
        ...row("Agent", one.agent),
        ...row("Goes to", one.deliver.join(", ") || "the history only")),
      el("footer", { class: "row wrap" }, run, el("a", { class: "button quiet", href: `#/sessions/${part(`cron:${one.name}`)}` }, "Its history")));
  }

  async _run(one, pressed) {
    pressed.disabled = true;
    try {
      await json(`/api/heartbeats/${part(one.name)}/run`, { method: "POST" });
      toast(`${one.name} runs now.`);
    } catch (error) {
      toast(error.message, "bad");
    }
    pressed.disabled = false;
  }
}

function row(name, ...value) {
  return [el("dt", {}, name), el("dd", {}, ...value)];
}

function when(time) {
  return time ? [el("b", {}, moment(time, "")), el("span", { class: "soft" }, ` ${absolute(time)}`)] : ["—"];
}

function week(heartbeats) {
  const today = new Date().setHours(0, 0, 0, 0);
  const days = Array.from({ length: DAYS }, (_, index) => {
    const day = new Date(today);
    day.setDate(day.getDate() + index);
    const coming = heartbeats.filter(({ next }) => next && new Date(next).setHours(0, 0, 0, 0) === day.getTime()).sort((one, other) => new Date(one.next) - new Date(other.next));
    return el("li", { class: index === 0 ? "today" : null },
      el("h3", {}, day.toLocaleDateString(undefined, { weekday: "short" }), " ", el("span", {}, day.getDate())),
      ...coming.map((one) => el("p", { class: "fire" }, el("time", { datetime: one.next }, clock(one.next)), " ", one.name)));
  });
  return el("section", { "aria-label": "Next runs this week" }, el("h2", { class: "small" }, "Next run of each, this week"), el("ol", { class: "week" }, ...days));
}
