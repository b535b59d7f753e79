// Speaks with the runtime: the token, requests, problems, and whether anybody answers.
//
// Law: the token lives in this tab's sessionStorage and in the Authorization header, nowhere else; with it goes
// everything this tab kept of its person; every request goes to the server this page came from. Knows no view: who wants to hear of a change listens to `line`.

import { pause } from "./pause.js";

const KEPT = "token";

/** Fires `signed-out` (a token that is not taken), `offline`, and `online` (somebody answers again). */
export const line = new EventTarget();

let token = sessionStorage.getItem(KEPT) ?? "";
let down = false;
let ahead = 0; // milliseconds the runtime's clock is ahead of this machine's

/** What went wrong, as the runtime told it. `code` is stable; "offline" is ours: nobody answered. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export function signedIn() {
  return token !== "";
}

export function isDown() {
  return down;
}

export function signIn(value) {
  if (value.trim() !== token) sessionStorage.clear();
  token = value.trim();
  sessionStorage.setItem(KEPT, token);
}

export function signOut(why = "") {
  token = "";
  sessionStorage.clear();
  line.dispatchEvent(new CustomEvent("signed-out", { detail: why }));
}

/** Takes the token out of `#token=...` and out of the address bar, before anything else is done. Whether there was one. */
export function takeTokenFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found === null) return false;
  history.replaceState(null, "", location.pathname);
  if (found) signIn(found);
  return found !== "";
}

/** What time it is for the runtime, as its last answer told. */
export function runtimeNow() {
  return Date.now() + ahead;
}

/** A token as a header carries it: letters of any script as their UTF-8 bytes. */
function bearer(words) {
  if (/[\0\r\n]/.test(words)) {
    signOut("A token has no line breaks.");
    throw new Problem(401, "unauthorized", "a token has no line breaks");
  }
  return `Bearer ${Array.from(new TextEncoder().encode(words), (byte) => String.fromCharCode(byte)).join("")}`;
}

/** A request whose answer is read by whoever asked. Raises Problem where it was refused or nobody answered. */
export async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  const used = token;
  const authorization = bearer(used);
  let answer;
  try {
    answer = await fetch(path, {
      method,
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      headers: { Authorization: authorization, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    lost();
    throw new Problem(0, "offline", "the runtime cannot be reached");
  }
  found();
  ahead = new Date(answer.headers.get("date") ?? Date.now()).getTime() - Date.now();
  if (answer.ok) return answer;
  const problem = await refusal(answer);
  if (problem.status === 401 && used === token) signOut("This token is not taken.");
  throw problem;
}

/** The same, for an answer in JSON. */
export async function json(path, options) {
  return (await ask(path, options)).json();
}

async function refusal(answer) {
  try {
    const told = await answer.json();
    return new Problem(answer.status, String(told.code ?? "http"), String(told.detail ?? answer.statusText));
  } catch {
    return new Problem(answer.status, "http", answer.statusText || `the answer was ${answer.status}`);
  }
}

/** A session's or a memory's key as one part of a path. */
export function part(key) {
  return encodeURIComponent(key);
}

// ── whether anybody answers ──

function found() {
  if (!down) return;
  down = false;
  line.dispatchEvent(new Event("online"));
}

/** Nobody answers: say so once, and look again until somebody does. */
export function lost() {
  if (down) return;
  down = true;
  line.dispatchEvent(new Event("offline"));
  void look();
}

async function look() {
  for (let wait = 500; down; wait = Math.min(wait * 1.6, 8000)) {
    await pause(wait);
    try {
      if ((await fetch("/healthz", { cache: "no-store", credentials: "omit" })).ok) found();
    } catch {
      // still nobody
    }
  }
}
