// Emphasis, code, links within one paragraph of Markdown, as nodes.
//
// Law: total and bounded: any text gives nodes, in time linear in its length, so nothing is looked for from each sign
// anew; only the elements named here are made, and of attributes only the link's, whose address is http, https or
// mailto. HTML in the text stays text, and pictures become links, because a picture would tell another server that
// this was read.

import { el } from "./dom.js";

const SPECIAL = /[\\`*_~[!<\n]|https?:\/\//g;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const LONGEST_LABEL = 1000;
const LONGEST_ADDRESS = 2000;
const MOST_OPEN = 40; // delimiters that may wait for their other half

/** The address, if a link may go there; else null. */
function safeAddress(raw) {
  try {
    const url = new URL(raw);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** What closes what in one text, found once for all of it. */
class Closers {
  constructor(text) {
    this._text = text;
    this._runs = null;
    this._pairs = null;
  }

  /** Where the next run of exactly `size` backticks begins, or -1. `from` never goes back. */
  ticks(from, size) {
    this._runs ??= runs(this._text);
    const starts = this._runs.get(size) ?? [];
    while (starts.at(-1) < from) starts.pop();
    return starts.at(-1) ?? -1;
  }

  /** Where the bracket that opens at `start` closes, or -1. */
  bracket(start) {
    this._pairs ??= pairs(this._text);
    return this._pairs.get(start) ?? -1;
  }
}

/** Where runs of backticks begin, the last one first: {size: [start]}. */
function runs(text) {
  const found = new Map();
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    if (!found.has(run.length)) found.set(run.length, []);
    found.get(run.length).push(index);
  }
  for (const starts of found.values()) starts.reverse();
  return found;
}

/** Brackets and parentheses that are not escaped: {where one opens: where it closes}. */
function pairs(text) {
  const found = new Map();
  const open = { "]": [], ")": [] };
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (sign === "\\") at++;
    else if (sign === "[") open["]"].push(at);
    else if (sign === "(") open[")"].push(at);
    else if (open[sign]?.length) found.set(open[sign].pop(), at);
  }
  return found;
}

/** Nodes for `text`; `linked` is what is a link already and holds no other. */
export function inline(text, linked = false) {
  const out = []; // nodes, words, and delimiters that are not matched yet
  const closers = new Closers(text);
  const open = []; // indexes into `out`
  let at = 0;
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const next = SPECIAL.exec(text);
    if (next === null) break;
    if (next.index > at) say(out, text.slice(at, next.index));
    at = special(text, next.index, next[0], { out, open, closers, linked });
  }
  if (at < text.length) say(out, text.slice(at));
  return made(out);
}

/** Words are put together as strings: a text node that grows copies itself each time. */
function say(out, words) {
  if (typeof out.at(-1) === "string") out[out.length - 1] += words;
  else out.push(words);
}

/** Nodes for words, and for delimiters that stay words. */
function made(items) {
  const nodes = [];
  let words = "";
  for (const item of [...items, null]) {
    if (typeof item === "string") words += item;
    else if (item?.mark) words += item.mark.repeat(item.size);
    else {
      if (words) nodes.push(document.createTextNode(words));
      if (item) nodes.push(item);
      words = "";
    }
  }
  return nodes;
}

/** Reads what begins at `at`; returns where to go on. */
function special(text, at, sign, { out, open, closers, linked }) {
  switch (sign) {
    case "\n":
      out.push(el("br"));
      return at + 1;
    case "\\":
      if (PUNCTUATION.test(text[at + 1] ?? "")) return say(out, text[at + 1]), at + 2;
      return say(out, "\\"), at + 1;
    case "`":
      return code(text, at, out, closers);
    case "[":
    case "!":
      return link(text, at, out, linked ? null : closers);
    case "<":
      return linked ? (say(out, "<"), at + 1) : angle(text, at, out);
    case "*":
    case "_":
    case "~":
      return delimiter(text, at, sign, out, open);
    default:
      return linked ? (say(out, sign), at + sign.length) : bare(text, at, out);
  }
}

function code(text, at, out, closers) {
  let start = at;
  while (text[start] === "`") start++;
  const end = closers.ticks(start, start - at);
  if (end < 0) return say(out, text.slice(at, start)), start;
  let inside = text.slice(start, end).replaceAll("\n", " ");
  if (inside.startsWith(" ") && inside.endsWith(" ") && inside.trim()) inside = inside.slice(1, -1);
  out.push(el("code", {}, inside));
  return end + start - at;
}

// ── links ──

function link(text, at, out, closers) {
  const start = text[at] === "!" ? at + 1 : at;
  const found = text[start] === "[" && closers ? linkParts(text, start, closers) : null;
  if (found === null) return say(out, text[at]), at + 1;
  const address = safeAddress(found.address);
  const inside = start > at ? [document.createTextNode(found.label || "picture")] : inline(found.label, true);
  if (address === null) out.push(...inside); // of LONGEST_LABEL at most
  else out.push(anchor(address, inside));
  return found.end;
}

function anchor(address, inside) {
  return el("a", { href: address, title: address, rel: "noopener noreferrer nofollow", target: "_blank" }, ...inside);
}

/** `[label](address "title")` at `start`, or null. */
function linkParts(text, start, closers) {
  const close = closers.bracket(start);
  if (close < 0 || close - start >= LONGEST_LABEL || text[close + 1] !== "(") return null;
  const end = closers.bracket(close + 1);
  if (end < 0 || end - close > LONGEST_ADDRESS) return null;
  const inside = text.slice(close + 2, end).trim();
  const parts = /^(?:<([^<>\n]*)>|(\S+))(?:\s+(?:"[^"]*"|'[^']*'))?$/.exec(inside);
  return parts && { label: text.slice(start + 1, close), address: parts[1] ?? parts[2], end: end + 1 };
}

function angle(text, at, out) {
  const found = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(text.slice(at, at + LONGEST_ADDRESS));
  const address = found && safeAddress(found[1]);
  if (!address) return say(out, "<"), at + 1;
  out.push(anchor(address, [document.createTextNode(found[1])]));
  return at + found[0].length;
}

function bare(text, at, out) {
  const shown = trimmed(/^https?:\/\/[^\s<>`"|\\]*/.exec(text.slice(at, at + LONGEST_ADDRESS))[0]);
  const address = safeAddress(shown);
  if (address === null) say(out, shown);
  else out.push(anchor(address, [document.createTextNode(shown)]));
  return at + shown.length;
}

/** An address without what ends the sentence around it, and without a parenthesis that it does not open. */
function trimmed(address) {
  let end = address.length;
  while (".,;:!?'*_~]".includes(address[end - 1])) end--;
  let unopened = count(address, ")", end) - count(address, "(", end);
  for (; unopened > 0 && address[end - 1] === ")"; unopened--) end--;
  return address.slice(0, end);
}

function count(text, sign, end) {
  let found = 0;
  for (let at = 0; at < end; at++) if (text[at] === sign) found++;
  return found;
}

// ── emphasis ──

const NAMES = { 1: "em", 2: "strong" };

function delimiter(text, at, sign, out, open) {
  let end = at;
  while (text[end] === sign) end++;
  const size = end - at;
  const before = text[at - 1] ?? " ";
  const after = text[end] ?? " ";
  const inWord = sign === "_" && /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
  if (inWord || size > 3 || (sign === "~" && size !== 2)) return say(out, text.slice(at, end)), end;
  let left = size;
  if (!/\s/.test(before)) left = close(sign, left, out, open);
  if (left && !/\s/.test(after) && open.length < MOST_OPEN) {
    open.push(out.length);
    out.push({ mark: sign, size: left });
  } else if (left) say(out, sign.repeat(left));
  return end;
}

/** Matches a delimiter with those that wait; returns how much of it is left. */
function close(sign, size, out, open) {
  let left = size;
  while (left) {
    const place = open.findLastIndex((index) => out[index].mark === sign);
    if (place < 0) return left;
    const from = open[place];
    const used = sign === "~" ? 2 : Math.min(2, left, out[from].size);
    const inside = made(out.splice(from + 1));
    open.length = place; // what was opened in between stays text
    if (!inside.length) return left;
    const wrapped = el(sign === "~" ? "del" : NAMES[used], {}, inside);
    out[from].size -= used;
    left -= used;
    if (out[from].size === 0) out.splice(from, 1, wrapped);
    else {
      out.push(wrapped);
      open.push(from);
    }
  }
  return left;
}
