// Markdown as nodes: headings, lists, tables, code, quotes, rules, paragraphs.
//
// Law: total: any text gives nodes, and only elements of ELEMENTS, in time linear in its length: no pattern here can
// match one text in two ways. Nothing of the text becomes markup. It is written for answers of models: single line
// breaks are kept, HTML is shown as it was typed. Nesting is bounded. No block looks back at an earlier one or reaches
// over a later one (`live.js` relies on it), so there are no link definitions.

import { el, pictureButton, toast } from "./dom.js";
import { inline } from "./inline.js";

/** Everything that can come out of here, the copy button and its drawing included. */
export const ELEMENTS = ["h3", "h4", "h5", "h6", "p", "br", "hr", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "del", "a", "div", "span",
  "table", "thead", "tbody", "tr", "th", "td", "button", "svg", "path"];

const DEEPEST = 12;
const HEADINGS = ["", "h3", "h3", "h4", "h5", "h6", "h6"]; // the page itself has the first two
const MOST_COLUMNS = 200; // what has more is shown as it was written
const FENCE = /^( {0,3})(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?!\S)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:( +)(.*)|)$/s;
const COLUMN = /^:?-+:?$/;

export function markdown(source) {
  return blocks(plain(source).split("\n"), 0);
}

/** Line ends and tabs as everything below expects them. Pieces of a text may be made plain one by one. */
export function plain(source) {
  return source.replaceAll("\r", "").replaceAll("\t", "    ");
}

/** One node a block; `starts`, where given, takes the line on which each begins. */
export function blocks(lines, depth, starts = []) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") {
      at++;
      continue;
    }
    starts.push(at);
    at = block(lines, at, out, depth);
  }
  return out;
}

/** Reads the block that begins at `at` into `out`; returns the line after it. */
function block(lines, at, out, depth) {
  const text = lines[at];
  if (opensFence(text)) return fence(lines, at, out);
  if (HEADING.test(text)) {
    out.push(heading(text));
    return at + 1;
  }
  if (RULE.test(text)) {
    out.push(el("hr"));
    return at + 1;
  }
  if (depth < DEEPEST && QUOTE.test(text)) return quote(lines, at, out, depth);
  if (depth < DEEPEST && startsItem(text)) return list(lines, at, out, depth);
  if (startsTable(lines, at)) return table(lines, at, out);
  return paragraph(lines, at, out, depth);
}

/** Without the signs that may close it. */
function heading(text) {
  const [start, signs] = HEADING.exec(text);
  const words = text.slice(start.length).trim();
  let end = words.length;
  while (words[end - 1] === "#") end--;
  const closed = end === 0 || /\s/.test(words[end - 1]);
  return el(HEADINGS[signs.length], {}, inline(closed ? words.slice(0, end).trimEnd() : words));
}

function startsItem(text) {
  const item = ITEM.exec(text);
  return item !== null && item[1].length < 4;
}

function paragraph(lines, at, out, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && !interrupts(lines, end, depth)) end++;
  const words = lines.slice(at, end).map((text) => text.trim());
  out.push(el("p", {}, inline(words.join("\n"))));
  return end;
}

function interrupts(lines, at, depth) {
  const text = lines[at];
  if (opensFence(text) || HEADING.test(text) || RULE.test(text)) return true;
  return depth < DEEPEST && (QUOTE.test(text) || startsItem(text) || startsTable(lines, at));
}

function quote(lines, at, out, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end++;
  const inside = lines.slice(at, end).map((text) => text.replace(/^ {0,3}> ?/, ""));
  out.push(el("blockquote", {}, blocks(inside, depth + 1)));
  return end;
}

// ── code ──

function opensFence(text) {
  const found = FENCE.exec(text);
  return found !== null && !text.includes("`", found[0].length);
}

function fence(lines, at, out) {
  const [start, indent, ticks] = FENCE.exec(lines[at]);
  const language = lines[at].slice(start.length);
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], ticks)) end++;
  const unindented = lines.slice(at + 1, end).map((text) => text.replace(new RegExp(`^ {0,${indent.length}}`), ""));
  out.push(codeBlock(unindented.join("\n"), language.trim().split(/\s/)[0]));
  return end + 1;
}

function closes(text, ticks) {
  const bare = text.trim();
  return bare.length >= ticks.length && bare === ticks[0].repeat(bare.length) && !text.startsWith("    ");
}

/** A block of code with its language and a button that copies it. */
export function codeBlock(source, language = "") {
  const body = el("code", {}, source);
  const copy = pictureButton("copy", "Copy code", () => copyText(body.textContent));
  return el("div", { class: "code" },
    el("div", { class: "code-head" }, el("span", {}, language.slice(0, 30) || "text"), copy),
    el("pre", { tabindex: "0" }, body));
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser does not allow copying here.", "bad");
  }
}

// ── lists ──

function list(lines, at, out, depth) {
  const first = ITEM.exec(lines[at]);
  const ordered = /\d/.test(first[2]);
  const kind = first[2].at(-1);
  const start = ordered ? parseInt(first[2], 10) : 1;
  let loose = false;
  const items = [];
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length > 3 || item[2].at(-1) !== kind || RULE.test(lines[at])) break;
    const { inside, end, gap } = itemLines(lines, at, item);
    items.push(inside);
    loose ||= gap && end < lines.length && startsItem(lines[end]);
    loose ||= inside.some((text, index) => text === "" && index < inside.length - 1 && !inside[index + 1].startsWith("  "));
    at = end;
  }
  const rows = items.map((inside) => el("li", {}, itemNodes(inside, loose, depth)));
  out.push(el(ordered ? "ol" : "ul", { start: ordered && start !== 1 ? start : null }, rows));
  return at;
}

/** The lines of one item without their indent; nested ones may be indented by two, as models do. */
function itemLines(lines, at, item) {
  const indent = item[1].length;
  const content = Math.min(indent + item[2].length + Math.min(item[3]?.length ?? 1, 4), indent + 6);
  const inside = [item[4] ?? ""];
  let gap = false;
  let end = at + 1;
  for (; end < lines.length; end++) {
    const text = lines[end];
    const spaces = text.length - text.trimStart().length;
    if (text.trim() === "") gap = true;
    else if (spaces >= Math.min(content, indent + 2)) {
      if (gap) inside.push("");
      inside.push(text.slice(Math.min(spaces, content)));
      gap = false;
    } else if (gap || interrupts(lines, end, 0)) break;
    else inside.push(text.trimStart());
  }
  return { inside, end, gap };
}

function itemNodes(inside, loose, depth) {
  const task = /^\[([ xX])\]\s+/.exec(inside[0]);
  if (task) inside[0] = `${task[1] === " " ? "☐" : "☑"} ${inside[0].slice(task[0].length)}`;
  const nodes = blocks(inside, depth + 1);
  if (loose) return nodes;
  return nodes.flatMap((node) => (node.localName === "p" ? [...node.childNodes] : [node]));
}

// ── tables ──

function startsTable(lines, at) {
  const rule = lines[at + 1];
  if (rule === undefined || !lines[at].includes("|") || !rule.includes("-")) return false;
  const columns = cells(rule);
  return columns.length <= MOST_COLUMNS && columns.every((one) => COLUMN.test(one)) && cells(lines[at]).length === columns.length;
}

function table(lines, at, out) {
  const sides = cells(lines[at + 1]).map((rule) => (rule.endsWith(":") ? (rule.startsWith(":") ? "middle" : "right") : null));
  const row = (text, name) => {
    const found = cells(text);
    const shown = sides.slice(0, found.length).map((side, index) => el(name, { class: side }, inline(found[index])));
    const missing = sides.length - shown.length; // one cell for all of them, or short rows of a wide table would cost much
    return el("tr", {}, shown, missing > 0 && el(name, { colspan: missing > 1 ? missing : null }));
  };
  let end = at + 2;
  while (end < lines.length && lines[end].trim() !== "" && lines[end].includes("|")) end++;
  const body = lines.slice(at + 2, end).map((text) => row(text, "td"));
  out.push(el("div", { class: "table", tabindex: "0" }, el("table", {}, el("thead", {}, row(lines[at], "th")), el("tbody", {}, body))));
  return end;
}

function cells(text) {
  const found = [""];
  let inCode = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\" && text[at + 1] === "|") found[found.length - 1] += text[++at];
    else if (text[at] === "|" && !inCode) found.push("");
    else {
      if (text[at] === "`") inCode = !inCode;
      found[found.length - 1] += text[at];
    }
  }
  if (found[0].trim() === "") found.shift();
  if (found.length && found.at(-1).trim() === "") found.pop();
  return found.map((cell) => cell.trim());
}
