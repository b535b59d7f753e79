// A transcript's entries as exchanges, and an exchange as a Turn. Pure but for the drawing of `draw`.
//
// Law: nothing is invented: how long a call took is told only where both its start and its result were written.

import { Turn } from "./turn.js";

/** Exchanges, oldest first: {said, at, message, entries}; one that a heartbeat began, and nobody answers, has its name
 * as `by`; a summary of what was left out is {summary, at}. */
export function exchanges(entries) {
  const found = [];
  for (const entry of entries) {
    if (entry.type === "draft") continue; // of a summary that was not whole yet
    if (entry.type === "compaction") found.push({ summary: entry.summary, at: entry.at });
    else if (entry.type === "told") found.push({ said: null, by: entry.by, at: entry.at, message: null, entries: [{ role: "assistant", content: entry.text }] });
    else if (entry.role === "user") found.push({ said: said(entry), at: entry.at, message: entry.message, entries: [] });
    else {
      if (!found.at(-1)?.entries || found.at(-1).by) found.push({ said: null, at: entry.at, message: null, entries: [] });
      found.at(-1).entries.push(entry);
    }
  }
  return found;
}

/** What the person said: without the block in which the runtime tells the model time and place. */
export function said(entry) {
  const texts = blocks(entry).map((block) => block.text ?? `[${block.type}]`);
  if (texts.length > 1 && texts[0].startsWith("<context>")) texts.shift();
  return texts.join("\n");
}

function blocks(entry) {
  return typeof entry.content === "string" ? [{ type: "text", text: entry.content }] : (entry.content ?? []);
}

/** Whether the model had said its last word. */
export function complete(exchange) {
  const last = exchange.entries.at(-1);
  return last?.role === "assistant" && !blocks(last).some((block) => block.type === "tool_use");
}

/** Draws an exchange that is over. */
export function draw(exchange, agent) {
  const turn = new Turn({ said: exchange.said, at: exchange.at, agent: exchange.by ?? agent });
  const begun = new Map(); // call -> when
  for (const entry of exchange.entries) {
    if (entry.type === "intent") begun.set(entry.call, new Date(entry.at).getTime());
    else if (entry.type === "result") turn.toolFinished({ call: entry.call, tool: "call", text: plain(entry.content), is_error: entry.is_error, seconds: took(begun, entry) });
    else for (const block of blocks(entry)) tell(turn, block);
  }
  turn.finish();
  return turn;
}

function tell(turn, block) {
  if (block.type === "text" && block.text) turn.text(block.text);
  else if (block.type === "tool_use") turn.toolStarted({ call: block.id, tool: block.name, input: block.input });
  else if (block.type === "server_tool_use") {
    turn.toolStarted({ call: block.id, tool: block.name, input: block.input });
    turn.toolFinished({ call: block.id, text: "made by the model's own service", is_error: false });
  }
}

function took(begun, entry) {
  const start = begun.get(entry.call);
  return start === undefined ? null : (new Date(entry.at).getTime() - start) / 1000;
}

function plain(content) {
  return typeof content === "string" ? content : blocks({ content }).map((block) => block.text ?? `[${block.type}]`).join("\n");
}
