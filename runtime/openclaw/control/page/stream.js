// One message on its way: posts it, hears its events, and goes on hearing them when the line breaks.
//
// Law: a message is posted once, however often the line breaks, because every attempt carries the same
// Idempotency-Key; what was heard already is not heard again, because a new line begins after the last event's id.
// Ends with exactly one `reply` or `error`. Draws nothing.

import { Problem, ask, lost, part, signOut } from "./api.js";
import { pause } from "./pause.js";

const FINAL = [401, 403, 404]; // a message that was accepted is not this person's, or not there any more
const PASSING = ["offline", "stopping", "crowded", "rate"];

/** Events of a stream as {name, id, told}. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const texts = (rest + value).split("\n\n");
      rest = texts.pop();
      for (const text of texts) {
        const event = read(text);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(text) {
  const event = { name: "message", id: null, told: null };
  for (const row of text.split("\n")) {
    if (row.startsWith("event: ")) event.name = row.slice(7);
    else if (row.startsWith("id: ")) event.id = row.slice(4);
    else if (row.startsWith("data: ")) event.told = JSON.parse(row.slice(6));
  }
  return event.told && event;
}

/** A key that no other message has; works on plain http too, where crypto.randomUUID does not. */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Follows `message` ({body, key} to post, or {id} to take up again) until its end. `hear(name, told)` gets every
 * event, and `line` with {broken} when the line breaks and when it is back. */
export async function follow(message, hear, signal) {
  const heard = { id: message.id ?? null, last: null };
  for (let wait = 300; ; wait = Math.min(wait * 2, 5000)) {
    try {
      if (await attempt(message, heard, hear, signal, () => (wait = 300))) return;
    } catch (error) {
      if (signal?.aborted) return;
      if (!mayPass(error, heard.id !== null)) return hear("error", { code: error.code ?? "page", detail: error.message });
    }
    hear("line", { broken: true });
    await pause(wait);
    if (signal?.aborted) return;
  }
}

/** Whether trying again can help. An answer that is on its way will come, whatever stands between just now; before
 * that, only what says of itself that it passes is waited for. */
function mayPass(error, known) {
  if (!(error instanceof Problem)) return error instanceof TypeError;
  return known ? !FINAL.includes(error.status) : PASSING.includes(error.code);
}

async function attempt(message, heard, hear, signal, well) {
  const answer = await (heard.id === null ? posted(message, signal) : resumed(heard, signal));
  hear("line", { broken: false });
  well();
  let over = false;
  try {
    for await (const { name, id, told } of events(answer.body)) {
      if (id !== null) heard.last = id;
      if (told.id) heard.id = told.id;
      if (over || (name === "error" && told.code === "hung_up")) continue;
      if (name === "error" && told.code === "unauthorized") signOut("This token is not taken any more.");
      hear(name, told);
      over = name === "reply" || name === "error";
    }
  } catch (error) {
    if (over) return true;
    if (!signal?.aborted) lost();
    throw error;
  }
  return over;
}

function posted(message, signal) {
  const headers = { Accept: "text/event-stream", "Idempotency-Key": message.key };
  return ask("/api/messages", { method: "POST", body: message.body, headers, signal });
}

function resumed(heard, signal) {
  const headers = { Accept: "text/event-stream", ...(heard.last === null ? {} : { "Last-Event-ID": heard.last }) };
  return ask(`/api/messages/${part(heard.id)}/events`, { headers, signal });
}
