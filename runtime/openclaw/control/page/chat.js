// The conversation: history, sending, streaming, stopping, a new one.
//
// Law: what was sent is shown at once, once, and followed to its end, also over a broken line or a reload of the page,
// until whoever sent it signs out; the view scrolls by itself only while the reader is at the bottom.

import { json, part } from "./api.js";
import { Composer } from "./composer.js";
import { announce, button, el, mark, toast } from "./dom.js";
import { follow, freshKey } from "./stream.js";
import { complete, draw, exchanges } from "./transcript.js";
import { Turn } from "./turn.js";

const NEAR = 48; // pixels from the bottom that count as the bottom
const IDEAS = ["What can you do?", "/tools", "/memory"];
const DEMO_IDEAS = ["remember that my cat is Zorblax", "what is my cat?", "run uname -a", "write hello to hello.txt"];

export class ChatView {
  constructor(app) {
    this._app = app;
    this._following = new Map(); // Turn -> {key, id, said, session, stop}
    this._past = new Set(); // ids of messages that the history shows
    this._left = new AbortController();
    this._ready = Promise.resolve(); // once the history is there
    this._stuck = true;
    this._agent = sessionStorage.getItem("agent") ?? "";
    this._log = el("div", { class: "log" });
    this._scroller = el("div", { class: "scroller", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Conversation", onscroll: () => this._scrolled() }, this._log);
    this._down = button("Latest", () => this._stick(true), { kind: "float", picture: "down", hidden: true });
    this._picker = el("select", { class: "picker", "aria-label": "Agent", onchange: () => this._pick(this._picker.value) });
    this.composer = new Composer({ send: (text) => void this.send(text), stop: () => this._stop(), commands: () => app.commands, picker: this._picker });
    new ResizeObserver(() => this._grown()).observe(this._log); // after layout, hence never forces one
    this.actions = [button("New", () => this._renew(), { kind: "quiet", picture: "plus", "aria-label": "New conversation", title: "New conversation" })];
    this.element = el("section", { class: "view chat", "aria-label": "Chat" }, el("h2", { class: "unseen" }, "Conversation"), this._scroller, el("div", { class: "dock" }, this._down, this.composer.element));
  }

  async open() {
    this._agents();
    if (!this._loaded) this._load();
    await this._ready;
    if (!matchMedia("(hover: none)").matches) this.composer.focus(); // a phone would raise its keyboard
  }

  close() {}

  /** Whoever was signed in is not any more: nothing of theirs is heard or kept from here on. */
  leave() {
    this._left.abort();
    for (const { stop } of this._following.values()) stop.abort();
    this._following.clear();
  }

  // ── agents ──

  _agents() {
    const agents = this._app.agents.filter((agent) => agent.here);
    this._picker.hidden = agents.length < 2;
    if (!agents.some((agent) => agent.id === this._agent)) this._agent = (agents.find((agent) => agent.default) ?? agents[0])?.id ?? "";
    this._picker.replaceChildren(...agents.map((agent) => el("option", { value: agent.id, title: agent.description, selected: agent.id === this._agent }, agent.name)));
  }

  _pick(id) {
    this._agent = id;
    sessionStorage.setItem("agent", id);
    this._load();
    this.composer.focus();
  }

  _name(id) {
    return this._app.agents.find((agent) => agent.id === id)?.name ?? id ?? "";
  }

  // ── history ──

  _load() {
    this._loaded = true;
    this._ready = this._fetch();
  }

  async _fetch() {
    for (const { stop } of this._following.values()) stop.abort();
    this._following.clear();
    this._busy();
    this._log.replaceChildren(el("p", { class: "soft centre" }, "Loading…"));
    const wanted = this._agent;
    try {
      const found = await this._history();
      if (wanted !== this._agent || this._left.signal.aborted) return;
      this._log.replaceChildren();
      this._past = new Set(found.map(({ message }) => message).filter(Boolean));
      found.forEach((exchange, index) => this._drawPast(exchange, index === found.length - 1));
      this._takeUp();
    } catch (error) {
      if (wanted !== this._agent || this._left.signal.aborted) return;
      this._loaded = error.code !== "offline";
      this._log.replaceChildren();
      if (this._loaded) toast(`The history cannot be shown: ${error.message}`, "bad");
    }
    this._empty();
    this._stick(true);
  }

  async _history() {
    const key = this._key((await json("/api/sessions")).sessions);
    return key ? exchanges((await json(`/api/sessions/${part(key)}`)).entries) : [];
  }

  /** This person's session with the agent: as the last answer told, or the newest that fits; null where it is new. */
  _key(sessions) {
    const kept = sessionStorage.getItem(`session:${this._agent}`);
    if (sessions.some(({ key }) => key === kept)) return kept;
    const name = this._app.sender.slice(this._app.sender.indexOf(":") + 1);
    const start = this._agent ? `agent:${this._agent}:` : "agent:";
    const mine = sessions.filter(({ key }) => key.startsWith(start) && (!this._app.may("operator") || key.endsWith(`:${name}`)));
    return mine.sort((one, other) => other.updated.localeCompare(one.updated))[0]?.key ?? null;
  }

  _drawPast(exchange, last) {
    if (exchange.summary !== undefined) {
      this._log.append(el("details", { class: "summary" }, el("summary", {}, "What was said before was summarised"), el("p", {}, exchange.summary)));
    } else if (last && exchange.message && !complete(exchange)) this._again(exchange.message, exchange.said, exchange.at);
    else this._log.append(draw(exchange, this._name(this._agent)).element);
  }

  /** Messages that were sent before the page was loaded anew, and are not in the transcript yet: one that was not
   * accepted by then is posted again with its key, hence counts once. */
  _takeUp() {
    const followed = [...this._following.values()].map(({ id }) => id);
    keep(running().filter(({ id }) => !this._past.has(id) || followed.includes(id)));
    for (const one of running()) {
      if (one.agent !== this._agent || this._past.has(one.id)) continue;
      if (one.id) this._again(one.id, one.said, new Date());
      else this._run(this._turn(one.said, new Date()), one, one.said);
    }
  }

  _again(id, said, at) {
    this._run(this._turn(said, at), { id }, said);
  }

  // ── sending ──

  async send(text) {
    const renews = /^\/new\s*$/.test(text);
    const message = { key: freshKey(), id: null, said: text, agent: this._agent, body: this._body(text) };
    if (!renews) keep([...running(), message]);
    await this._ready; // what is loaded takes the place of what was shown
    if (renews) return this._renew();
    if ([...this._following.values()].some(({ key }) => key === message.key)) return; // taken up with the history
    if (this._left.signal.aborted) return;
    this._run(this._turn(text, new Date()), message, text);
    this._stick(true);
  }

  _body(text) {
    const agent = this._app.agents.find((one) => one.id === this._agent);
    return { text, ...(agent && !agent.default ? { agent: agent.id } : {}) };
  }

  _turn(said, at) {
    const mayAnswer = ({ approvers }) => this._app.may("operator") || (this._app.may("approve") && approvers.includes(this._app.sender));
    return new Turn({ said, at, agent: this._name(this._agent), mayAnswer });
  }

  _run(turn, message, said) {
    const stop = new AbortController();
    const one = { stop, said, key: message.key ?? null, id: message.id ?? null, session: null };
    this._following.set(turn, one);
    this._log.querySelector(".welcome")?.remove();
    this._log.append(turn.element);
    this._busy();
    return follow(message, (name, told) => this._hear(turn, one, name, told), stop.signal);
  }

  _hear(turn, one, name, told) {
    if (one.stop.signal.aborted) return;
    switch (name) {
      case "accepted":
        return this._accepted(turn, one, told);
      case "text":
        return told.restart ? turn.restart(told.reason) : (turn.state(""), turn.text(told.text));
      case "waiting":
        return turn.state(`${told.model} has ${told.doing ? `been ${told.doing}` : "said nothing"} for ${told.seconds} s`);
      case "tool_call":
        return turn.toolStarted(told);
      case "tool_result":
        return turn.toolFinished(told);
      case "approval":
        return this._approval(turn, told);
      case "line":
        return turn.state(told.broken ? "the line broke, waiting for the runtime" : "");
      case "reply":
        turn.finish(told.reply, { asIs: told.agent === null || one.said?.startsWith("/") });
        announce(`${this._name(told.agent) || "Answer"}: ${told.reply.slice(0, 400)}`);
        return this._ended(turn, one);
      case "error":
        return this._failed(turn, one, told);
    }
  }

  _accepted(turn, one, told) {
    const unknown = one.id === null;
    Object.assign(one, { id: told.id, session: told.session });
    turn.named(this._name(told.agent));
    if (told.agent === this._agent && !one.said?.startsWith("/")) sessionStorage.setItem(`session:${this._agent}`, told.session);
    keep([...running().filter((kept) => !same(kept, one)), { id: told.id, said: one.said, agent: this._agent }]);
    if (unknown && this._past.has(told.id)) this._twice(turn, one);
  }

  /** A message that was posted again turns out to be one that the history shows, and follows where it goes on. */
  _twice(turn, one) {
    one.stop.abort();
    turn.element.remove();
    this._following.delete(turn);
    if (![...this._following.values()].some(({ id }) => id === one.id)) keep(running().filter((kept) => !same(kept, one)));
    this._busy();
  }

  _approval(turn, told) {
    if (told.status === "settled") return turn.state(""), turn.settled(told.approval.id, told.answer);
    turn.asked(told.approval);
    turn.state("waits for approval");
    announce(`Approval needed: may ${told.approval.tool} run?`);
  }

  _failed(turn, one, told) {
    turn.fail(told.detail || "The message could not be answered.");
    announce(`The message failed: ${told.detail}`);
    if (one.key && one.id === null && one.said) this.composer.giveBack(one.said);
    this._ended(turn, one);
  }

  _ended(turn, one) {
    keep(running().filter((kept) => !same(kept, one)));
    this._following.delete(turn);
    this._busy();
  }

  _busy() {
    this.composer.running(this._following.size > 0);
  }

  async _stop() {
    const sessions = new Set([...this._following.values()].map(({ session }) => session).filter(Boolean));
    announce("Stopping.");
    for (const session of sessions) await json(`/api/sessions/${part(session)}/stop`, { method: "POST" }).catch((error) => toast(error.message, "bad"));
  }

  /** `/new`: the runtime archives the conversation, and the page shows none. */
  async _renew() {
    if (this._following.size) toast("The new conversation begins when this answer is done.");
    await follow({ key: freshKey(), body: this._body("/new") }, (name, told) => {
      if (this._left.signal.aborted) return;
      if (name === "error") toast(told.detail, "bad");
      if (name !== "reply") return;
      this._log.replaceChildren();
      this._empty();
      announce("A new conversation.");
    }, this._left.signal);
    this.composer.focus();
  }

  // ── an empty page ──

  _empty() {
    if (this._log.firstChild) return;
    const agent = this._app.agents.find((one) => one.id === this._agent);
    const ideas = this._app.demo ? DEMO_IDEAS : IDEAS;
    this._log.append(el("div", { class: "welcome" }, mark(),
      el("h2", {}, agent ? `Hello, I am ${agent.name}.` : "Hello."),
      agent && el("p", { class: "soft" }, agent.description),
      this._app.demo && el("p", { class: "note" }, "No model key is set, so the built-in demo model answers. It follows a few plain requests with real tools."),
      el("div", { class: "row wrap centre ideas" }, ...ideas.map((idea) => button(idea, () => void this.send(idea), { kind: "idea" })))));
  }

  // ── scrolling ──

  _scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this._scroller;
    this._stuck = scrollHeight - scrollTop - clientHeight < NEAR;
    this._down.hidden = this._stuck;
  }

  _grown() {
    if (this._stuck) this._scroller.scrollTop = this._scroller.scrollHeight;
    else this._down.hidden = false;
  }

  _stick(yes) {
    this._stuck = yes;
    this._grown();
    this._down.hidden = true;
  }
}

/** Messages whose answers are still to come, for a reload of the page: [{id, said, agent}], and with {key, body} while
 * they are not accepted. */
function running() {
  try {
    return JSON.parse(sessionStorage.getItem("running") ?? "[]");
  } catch {
    return [];
  }
}

function keep(messages) {
  try {
    sessionStorage.setItem("running", JSON.stringify(messages.slice(-20)));
  } catch {
    // the tab's storage is full: the conversation goes on, and a reload knows less of it
  }
}

function same(kept, one) {
  return kept.id ? kept.id === one.id : kept.key === one.key;
}
