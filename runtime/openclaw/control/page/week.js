// A week of heartbeats: what came of the times behind, and what is planned ahead. Pure but for the drawing.
//
// Law: colour says nothing that a sign or a word beside it does not. Many alike in a row are one mark, and stay countable.

import { dialog, el, icon } from "./dom.js";
import { absolute, clock, count, duration } from "./words.js";

const DAYS = 7;
const BEHIND = 3; // days before today
const MANY = 4; // alike in a row, from which they are one mark
export const MOST = 1000; // rows that are asked for
/** outcome -> [how it looks, its sign] */
const LOOKS = { answered: ["good", "✓"], silent: ["", "–"], quiet: ["", "–"], failed: ["bad", "✕"], parked: ["bad", "✕"], missed: ["warn", "!"], skipped: ["warn", "»"] };

export function looks(outcome) {
  return LOOKS[outcome] ?? ["tint", "…"];
}

/** [start, end) of the week that is `shift` weeks from this one, as midnights of the reader's clock. */
export function span(shift, now = new Date()) {
  const day = (days) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - BEHIND + days + DAYS * shift);
  return [day(0), day(DAYS), day];
}

export function drawWeek(shift, runs, coming) {
  const [, , day] = span(shift);
  const today = new Date().toDateString();
  const all = [...runs.map((run) => ({ at: new Date(run.scheduled), name: run.heartbeat, kind: run.outcome, run })), ...coming.map(({ heartbeat, at }) => ({ at: new Date(at), name: heartbeat, kind: "planned" }))].sort((one, other) => one.at - other.at);
  return el("ol", { class: "week" }, ...Array.from({ length: DAYS }, (_, index) => {
    const date = day(index);
    const marks = merged(all.filter(({ at }) => at >= date && at < day(index + 1)));
    return el("li", { class: date.toDateString() === today ? "today" : null },
      el("h3", {}, date.toLocaleDateString(undefined, { weekday: "short" }), " ", el("span", {}, date.getDate())), ...marks.map(draw));
  }));
}

/** Lists of what is alike: many in a row of one heartbeat are together, everything else is alone. */
function merged(items) {
  const rows = new Map(); // heartbeat -> its lists
  for (const item of items) {
    const lists = rows.get(item.name) ?? rows.set(item.name, []).get(item.name);
    if (lists.at(-1)?.[0].kind === item.kind) lists.at(-1).push(item);
    else lists.push([item]);
  }
  return [...rows.values()].flat().flatMap((list) => (list.length < MANY ? list.map((one) => [one]) : [list])).sort(([one], [other]) => one.at - other.at);
}

function draw(list) {
  const [{ at, name, kind }] = list;
  const number = list.reduce((sum, { run }) => sum + (run?.count ?? 1), 0);
  const words = [el("time", { datetime: at.toISOString() }, clock(at), list.length > 1 && `–${clock(list.at(-1).at)}`), ` ${name}`, number > 1 && ` ×${number}`];
  if (kind === "planned") return el("p", { class: "fire planned" }, ...words, el("span", { class: "unseen" }, " planned"));
  const [look, sign] = looks(kind);
  return el("button", { type: "button", class: `fire ${look}`, "data-act": `${name} ${at.toISOString()}`, onclick: () => showRuns(name, list.map(({ run }) => run)) },
    el("b", { "aria-hidden": "true" }, sign, " "), ...words, el("span", { class: kind === "answered" ? "unseen" : "soft" }, ` ${kind}`));
}

// ── one run, or several ──

export function tag(outcome) {
  const [look, sign] = looks(outcome);
  return el("span", { class: `tag ${look}` }, `${sign} ${outcome}`);
}

export function row(name, ...value) {
  return [el("dt", {}, name), el("dd", {}, ...value)];
}

export function showRuns(name, runs) {
  dialog(name, ...(runs.length === 1 ? [told(runs[0])] : [el("p", { class: "soft" }, runs.length ? count(runs.length, "run") : "Nothing has run yet."),
    el("div", { class: "list" }, ...runs.map((run) => el("details", { class: "item" }, el("summary", {}, absolute(run.scheduled), tag(run.outcome), icon("chevron", "turn")), told(run))))]));
}

function told(run) {
  const late = (new Date(run.at) - new Date(run.scheduled)) / 1000;
  const rows = [
    ["Outcome", tag(run.outcome), run.cause === "hand" && " by hand", run.count > 1 && ` ${run.count} times in a row, this the last`],
    ["Why", run.why],
    ["Scheduled", absolute(run.scheduled)],
    ["Began", run.message && absolute(run.at), run.message && late >= 1 && `, ${duration(late)} later`],
    ["Took", run.seconds !== null && duration(run.seconds)],
    ["Cost", run.cost_usd !== null && `$${run.cost_usd.toFixed(4)}`],
    ["Model", run.model, run.usage && `, ${(run.usage.input_tokens + run.usage.cache_read_tokens + run.usage.cache_write_tokens).toLocaleString()} + ${run.usage.output_tokens.toLocaleString()} tokens`],
    ["Check", run.check],
    ...run.deliveries.map((one) => ["Goes to", `${one.to}: ${{ sent: "delivered", due: "on its way", dead: "given up" }[one.state]}`, one.ended && ` ${absolute(one.ended)}`, one.tries > 1 && ` after ${one.tries} tries`]),
  ];
  return el("div", { class: "stack" }, el("dl", { class: "facts" }, ...rows.filter(([, value]) => value).flatMap((one) => row(...one))),
    run.reply && el("pre", { class: "plain words", tabindex: "0", "aria-label": "Reply" }, run.reply));
}
