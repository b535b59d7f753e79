// Status: does every channel receive, did the last edit apply, what was used, who waits to be let in.
//
// Law: says what the runtime says, in its order of weight: what is amiss first. Looks again while it is open.

import { json, part } from "./api.js";
import { button, confirmed, el, icon, moment, toast } from "./dom.js";
import { usageTable } from "./usage.js";
import { absolute, count, duration, relative } from "./words.js";

const AGAIN = 5000; // milliseconds
const WELL = ["receiving", "serving"];
const AMISS = ["silent", "failed"];
const TRIGGERS = { edit: "on saving", request: "on request", SIGHUP: "on SIGHUP", retry: "once more" };
const OUTCOMES = { applied: "good", unchanged: "", refused: "bad", failed: "bad", needs_restart: "bad" };

export class StatusView {
  constructor(app) {
    this._app = app;
    this._shown = "";
    this._body = el("div", { class: "stack" });
    this.element = el("section", { class: "view pad", "aria-label": "Status" }, this._body);
    this.actions = app.may("operator") ? [button("Reload", () => this._reload(), { kind: "quiet", title: "Apply what is on disk now" })] : [];
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
    const operates = this._app.may("operator");
    try {
      const [status, reloads, usage, pairings] = await Promise.all([
        json("/api/status"), json("/api/reload"), json("/api/usage?by=agent,model"), operates ? json("/api/pairings") : { waiting: [], admitted: [] },
      ]);
      this._draw(status, reloads, usage.usage, pairings);
    } catch (error) {
      if (error.code !== "offline") this._body.replaceChildren(el("p", { class: "soft" }, error.message));
    }
  }

  /** Draws anew only what differs from what is shown, so that nothing jumps and no opened part closes. */
  _draw(status, reloads, usage, pairings) {
    const parts = [
      ["amiss", amiss(reloads), () => amiss(reloads) && el("p", { class: "banner inline" }, amiss(reloads))],
      ["figures", status, () => figures(status)],
      ["pairings", pairings, () => this._pairings(pairings)],
      ["channels", status.channels, () => channels(status)],
      ["reloads", reloads.attempts, () => attempts(reloads.attempts)],
      ["usage", usage, () => card("Usage of the last 30 days", usageTable(usage))],
    ];
    if (this._body.childElementCount !== parts.length) this._body.replaceChildren(...parts.map(([name]) => el("div", { "data-part": name })));
    parts.forEach(([, told, make], index) => {
      const place = this._body.children[index];
      const now = JSON.stringify(told);
      if (place.told === now) return;
      place.told = now;
      place.replaceChildren(...[make()].filter(Boolean));
      place.hidden = !place.firstChild;
    });
  }

  async _reload() {
    try {
      const attempt = await json("/api/reload", { method: "POST" });
      toast(attempt.outcome === "unchanged" ? "Nothing to apply: what is on disk is running." : attempt.restart.length ? "Applied, but for what waits for a restart." : "Applied.");
    } catch (error) {
      toast(error.message, "bad");
    }
    await this._look();
  }

  // ── strangers ──

  _pairings({ waiting, admitted }) {
    if (!waiting.length && !admitted.length) return null;
    const asks = waiting.map((one) => person(one, `code ${one.code} · ${one.expires ? `until ${absolute(one.expires)}` : ""}`, button("Let in", () => this._pair(one), { kind: "primary", picture: "check" })));
    const inside = admitted.map((one) => person(one, `let in ${relative(one.at)}`, button("Remove", () => this._unpair(one), { kind: "danger-quiet" })));
    return card("People", waiting.length ? el("p", { class: "soft" }, "They wrote, and wait to be let in. Compare the code with the one they were shown.") : null, el("ul", { class: "list" }, ...asks, ...inside));
  }

  async _pair(one) {
    await this._told(json(`/api/pairings/${part(one.code)}`, { method: "POST" }), `${one.name || one.sender} is let in.`);
  }

  async _unpair(one) {
    if (!(await confirmed("Remove this person?", `${one.name || one.sender} may not write to your assistants any more.`, "Remove"))) return;
    await this._told(json(`/api/pairings/${part(one.sender)}`, { method: "DELETE" }), "Removed.");
  }

  async _told(request, words) {
    try {
      await request;
      toast(words);
    } catch (error) {
      toast(error.message, "bad");
    }
    await this._look();
  }
}

/** How what is on disk differs from what runs, in the runtime's own words; empty where it does not. */
function amiss({ differs }) {
  return differs && `${differs[0].toUpperCase()}${differs.slice(1)}.`;
}

function card(title, ...children) {
  return el("section", { class: "card" }, el("h2", {}, title), ...children);
}

function person(one, words, act) {
  return el("li", { class: "item row" }, el("div", { class: "grow" }, el("b", {}, one.name || one.sender), el("p", { class: "soft" }, `${one.sender} · ${words}`)), act);
}

function figures(status) {
  const shown = [
    [status.ready ? "Ready" : "Not ready", status.demo ? "demo model" : "messages are taken"],
    [duration(status.uptime_seconds ?? 0), "running"],
    [String(status.agents.length), status.agents.length === 1 ? "agent" : "agents"],
    [String((status.running ?? []).length), "being answered"],
    [status.version, `process ${status.pid}`],
  ];
  return el("dl", { class: "figures" }, ...shown.map(([value, name]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// ── channels ──

function channels(status) {
  const keys = Object.keys(status.channels);
  return card("Channels", keys.length ? el("ul", { class: "list" }, ...keys.map((key) => channel(key, status.channels[key]))) : el("p", { class: "soft" }, "None."));
}

function channel(key, told) {
  const { condition } = told;
  const kind = WELL.includes(condition) ? "good" : AMISS.includes(condition) ? "bad" : "";
  const words = [
    told.last_received && `last received ${relative(told.last_received)}`,
    told.received !== undefined && `${told.received.toLocaleString()} received`,
    told.reconnects && count(told.reconnects, "reconnect"),
    told.restarts && count(told.restarts, "restart"),
    told.trouble,
    told.why,
  ].filter(Boolean);
  return el("li", { class: "item row" }, el("span", { class: `dot ${kind}`, "aria-hidden": "true" }), el("div", { class: "grow" }, el("b", {}, key), words.length ? el("p", { class: "soft" }, words.join(" · ")) : null), el("span", { class: `tag ${kind}` }, condition));
}

// ── reloads ──

function attempts(found) {
  if (!found.length) return card("Edits", el("p", { class: "soft" }, "Nothing was edited since the start. Change a manifest, and it is applied while everything runs."));
  return card("Edits", el("ol", { class: "list" }, ...found.toReversed().map((one, index) => attempt(one, index === 0))));
}

function attempt(one, open) {
  const said = [...one.changes, ...one.widened.map((words) => `widens: ${words}`), ...one.tightened.map((words) => `tightens: ${words}`), ...one.restart];
  if (one.error) said.push(one.error);
  return el("li", { class: "item" }, el("details", { open: open && (one.diagnostics.length > 0 || said.length > 0) },
    el("summary", {}, el("span", { class: `tag ${OUTCOMES[one.outcome]}` }, one.outcome.replace("_", " ")), el("span", { class: "grow" }, `Edit ${one.number}`, el("span", { class: "soft" }, ` ${TRIGGERS[one.trigger] ?? one.trigger}, ${duration(one.seconds)}`)),
      moment(one.at), icon("chevron", "turn")),
    said.length ? el("ul", { class: "changes" }, ...said.map((words) => el("li", {}, words))) : null,
    ...one.diagnostics.filter(({ severity }) => severity === "error").map(diagnostic),
    warnings(one.diagnostics.filter(({ severity }) => severity !== "error"))));
}

function warnings(found) {
  return found.length ? el("details", { class: "warnings" }, el("summary", {}, count(found.length, "warning"), icon("chevron", "turn")), ...found.map(diagnostic)) : null;
}

function diagnostic(one) {
  return el("div", { class: `diagnostic ${one.severity}` },
    el("p", {}, el("code", { class: "place" }, `${one.file}:${one.line}:${one.column}`), " ", el("span", { class: `tag ${one.severity === "error" ? "bad" : ""}` }, one.code)),
    el("p", {}, one.message),
    one.help && el("p", { class: "soft" }, one.help));
}
