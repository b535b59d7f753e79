// Usage by agent and model, as a table with bars. Pure. Law: the bars say nothing that the figures beside them do not.

import { el, svg } from "./dom.js";
import { count, duration } from "./words.js";

export function usageTable(rows) {
  if (!rows.length) return el("p", { class: "soft" }, "No turn in these days.");
  const most = Math.max(1, ...rows.map(total));
  return el("div", { class: "table", tabindex: "0" }, el("table", { class: "usage" },
    el("thead", {}, el("tr", {}, ...["Agent", "Model", "Turns", "Input", "Cached", "Output", "Cost", "Time", "Input and output"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...rows.map((row) => el("tr", {},
      el("td", {}, row.agent),
      el("td", {}, el("code", {}, row.model)),
      el("td", {}, row.turns.toLocaleString(), row.failed ? el("span", { class: "bad" }, ` ${count(row.failed, "failed", "failed")}`) : null),
      el("td", {}, input(row).toLocaleString()),
      el("td", {}, row.cache_ratio === null ? "-" : `${Math.round(row.cache_ratio * 100)} %`),
      el("td", {}, row.output_tokens.toLocaleString()),
      el("td", {}, cost(row)),
      el("td", {}, duration(row.seconds)),
      el("td", {}, bar(input(row) / most, row.output_tokens / most)))))));
}

function cost(row) {
  if (row.cost_usd === null) return "-";
  return `${row.cost_complete ? "" : "at least "}$${row.cost_usd.toFixed(4)}`;
}

function input(row) {
  return row.input_tokens + row.cache_read_tokens + row.cache_write_tokens;
}

function total(row) {
  return input(row) + row.output_tokens;
}

function bar(inputs, outputs) {
  const width = (share) => Math.max(share > 0 ? 0.8 : 0, share * 100);
  return svg("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bar-in", x: 0, y: 0, height: 8, width: width(inputs) }),
    svg("rect", { class: "bar-out", x: width(inputs), y: 0, height: 8, width: width(outputs) }));
}
