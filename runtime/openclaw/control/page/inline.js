// Emphasis, code, links within one paragraph of Markdown, as nodes.
//
// Law: total and bounded: any text gives nodes, in time about linear in its length; only the elements named here are
// made, and of attributes only the link's, whose address is http, https or mailto. HTML in the text stays text, and
// pictures become links, because a picture would tell another server that this was read.

import { el } from "./dom.js";

const SPECIAL = /[\\`*_~[!<\n]|https?:\/\//g;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const LONGEST_LABEL = 1000;
const LONGEST_ADDRESS = 2000;
const DEEPEST = 8; // links within emphasis within links...
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

/** Nodes for `text`. */
export function inline(text, depth = 0) {
  const out = []; // nodes, and delimiters that are not matched yet
  const open = []; // indexes into `out`
  let at = 0;
  while (at < text.length) {
    SPECIAL.lastIndex = at;
    const next = SPECIAL.exec(text);
    if (next === null) break;
    if (next.index > at) say(out, text.slice(at, next.index));
    at = special(text, next.index, next[0], out, open, depth);
  }
  if (at < text.length) say(out, text.slice(at));
  return out.map((item) => (item.mark ? document.createTextNode(item.mark.repeat(item.size)) : item));
}

function say(out, words) {
  const last = out.at(-1);
  if (last instanceof Text) last.appendData(words);
  else out.push(document.createTextNode(words));
}

/** Reads what begins at `at`; returns where to go on. */
function special(text, at, sign, out, open, depth) {
  switch (sign) {
    case "\n":
      out.push(el("br"));
      return at + 1;
    case "\\":
      if (PUNCTUATION.test(text[at + 1] ?? "")) return say(out, text[at + 1]), at + 2;
      return say(out, "\\"), at + 1;
    case "`":
      return code(text, at, out);
    case "[":
    case "!":
      return link(text, at, out, depth);
    case "<":
      return angle(text, at, out);
    case "*":
    case "_":
    case "~":
      return delimiter(text, at, sign, out, open);
    default:
      return bare(text, at, out);
  }
}

function code(text, at, out) {
  const ticks = /^`+/.exec(text.slice(at, at + 64))[0];
  let end = text.indexOf(ticks, at + ticks.length);
  while (end >= 0 && text[end + ticks.length] === "`") {
    while (text[end] === "`") end++;
    end = text.indexOf(ticks, end);
  }
  if (end < 0) return say(out, ticks), at + ticks.length;
  let inside = text.slice(at + ticks.length, end).replaceAll("\n", " ");
  if (inside.startsWith(" ") && inside.endsWith(" ") && inside.trim()) inside = inside.slice(1, -1);
  out.push(el("code", {}, inside));
  return end + ticks.length;
}

// ── links ──────────────────────────────────────────────────────────────────────────────────────

function link(text, at, out, depth) {
  const start = text[at] === "!" ? at + 1 : at;
  const found = text[start] === "[" && depth < DEEPEST ? linkParts(text, start) : null;
  if (found === null) return say(out, text[at]), at + 1;
  const address = safeAddress(found.address);
  const inside = start > at ? [document.createTextNode(found.label || "picture")] : inline(found.label, DEEPEST);
  if (address === null) out.push(...inside);
  else out.push(anchor(address, inside));
  return found.end;
}

function anchor(address, inside) {
  return el("a", { href: address, title: address, rel: "noopener noreferrer nofollow", target: "_blank" }, ...inside);
}

/** `[label](address "title")` at `start`, or null. */
function linkParts(text, start) {
  const close = closing(text, start, "[", "]", LONGEST_LABEL);
  if (close < 0 || text[close + 1] !== "(") return null;
  const end = closing(text, close + 1, "(", ")", LONGEST_ADDRESS);
  if (end < 0) return null;
  const inside = text.slice(close + 2, end).trim();
  const parts = /^(?:<([^<>\n]*)>|(\S+))(?:\s+(?:"[^"]*"|'[^']*'))?$/.exec(inside);
  return parts && { label: text.slice(start + 1, close), address: parts[1] ?? parts[2], end: end + 1 };
}

function closing(text, start, opens, closes, longest) {
  const limit = Math.min(text.length, start + longest);
  let depth = 0;
  for (let at = start; at < limit; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === opens) depth++;
    else if (text[at] === closes && --depth === 0) return at;
  }
  return -1;
}

function angle(text, at, out) {
  const found = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(text.slice(at, at + LONGEST_ADDRESS));
  const address = found && safeAddress(found[1]);
  if (!address) return say(out, "<"), at + 1;
  out.push(anchor(address, [document.createTextNode(found[1])]));
  return at + found[0].length;
}

function bare(text, at, out) {
  let shown = /^https?:\/\/[^\s<>`"|\\]*/.exec(text.slice(at, at + LONGEST_ADDRESS))[0].replace(/[.,;:!?'*_~\]]+$/, "");
  while (shown.endsWith(")") && shown.split(")").length > shown.split("(").length) shown = shown.slice(0, -1);
  const address = safeAddress(shown);
  if (address === null) return say(out, text[at]), at + 1;
  out.push(anchor(address, [document.createTextNode(shown)]));
  return at + shown.length;
}

// ── emphasis ───────────────────────────────────────────────────────────────────────────────────

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
    const inside = out.splice(from + 1).map((item) => (item.mark ? document.createTextNode(item.mark.repeat(item.size)) : item));
    open.length = place; // what was opened in between stays text
    if (!inside.length) return left;
    const wrapped = el(sign === "~" ? "del" : NAMES[used], {}, ...inside);
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
