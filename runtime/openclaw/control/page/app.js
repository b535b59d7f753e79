// The page as a whole: signs in, draws the frame, shows the view that the address names, and says when nobody answers.
//
// Law: the token leaves the address bar before anything else happens. What a token may not use is not offered.

import { isDown, json, line, signOut, signedIn, takeTokenFromAddress } from "./api.js";
import { approvalsChanged } from "./approval.js";
import { ApprovalsView } from "./approvals.js";
import { ChatView } from "./chat.js";
import { announce, el, icon, mark, pictureButton, tick } from "./dom.js";
import { HeartbeatsView } from "./heartbeats.js";
import { listenToKeys, showKeys } from "./keys.js";
import { MemoryView } from "./memory.js";
import { SessionsView } from "./sessions.js";
import { drawDoor } from "./signin.js";
import { StatusView } from "./status.js";
import { decoded } from "./words.js";

const VIEWS = [
  { name: "chat", title: "Chat", scope: "chat", make: (app) => new ChatView(app) },
  { name: "approvals", title: "Approvals", scope: "approve", make: (app) => new ApprovalsView(app) },
  { name: "sessions", title: "Sessions", scope: "chat", make: (app) => new SessionsView(app) },
  { name: "heartbeats", title: "Heartbeats", scope: "read", make: (app) => new HeartbeatsView(app) },
  { name: "memory", title: "Memory", scope: "read", make: (app) => new MemoryView(app) },
  { name: "status", title: "Status", scope: "read", make: (app) => new StatusView(app) },
];
const THEMES = { "": ["auto", "Theme: as the system"], light: ["sun", "Theme: light"], dark: ["moon", "Theme: dark"] };
const POLL = 10_000; // milliseconds between looks at what waits for approval

class App {
  constructor() {
    this.agents = [];
    this.commands = [];
    this.demo = false;
    this._scopes = new Set();
    this._made = new Map();
    this._shown = null;
    this._waiting = 0; // approvals
    this._at = (id) => document.getElementById(id);
  }

  may(scope) {
    return this._scopes.has(scope) || this._scopes.has("operator");
  }

  get views() {
    return VIEWS.filter((view) => this.may(view.scope));
  }

  go(hash) {
    location.hash = hash;
  }

  async start() {
    takeTokenFromAddress();
    line.addEventListener("signed-out", (event) => {
      this._leave();
      this._door(event.detail);
    });
    line.addEventListener("offline", () => this._offline(true));
    line.addEventListener("online", () => this._online());
    addEventListener("hashchange", () => (takeTokenFromAddress() ? (this._leave(), this.enter()) : this._route()));
    approvalsChanged.addEventListener("change", () => this._count());
    document.addEventListener("visibilitychange", () => this._count());
    setInterval(() => this._count(), POLL);
    setInterval(tick, 1000);
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      this._at(this._at("shell").hidden ? "door" : "main").focus();
    });
    listenToKeys(this);
    if (signedIn()) await this.enter();
    else this._door("");
  }

  /** Learns who this token is and shows the page. */
  async enter() {
    try {
      await this._learn();
    } catch (error) {
      if (error.code === "offline") this._offline(true);
      else if (signedIn()) this._door(error.message);
      return;
    }
    this._at("splash")?.remove();
    this._at("door").hidden = true;
    this._at("shell").hidden = false;
    this._leave();
    this._frame();
    await this._route();
    await this._count();
  }

  /** Lets go of everything that the last token showed, and of what it still hears. */
  _leave() {
    this._shown?.close();
    for (const view of this._made.values()) view.leave?.();
    this._made.clear();
    this._shown = null;
    announce("");
  }

  async _learn() {
    const me = await json("/api/me");
    this._scopes = new Set(me.scopes);
    this.sender = me.sender;
    const [agents, known, status] = await Promise.all([
      this.may("read") ? json("/api/agents") : { agents: [] },
      this.may("chat") ? json("/api/commands") : { commands: [] },
      this.may("read") ? json("/api/status") : {},
    ]);
    this.agents = agents.agents.map((agent) => ({ ...agent, here: me.agents.includes(agent.id), default: agent.id === me.agent }));
    this.commands = known.commands.filter(({ name }) => name !== "/quit");
    this.demo = status.demo === true;
    this.version = status.version ?? "";
  }

  // ── the frame ──

  _frame() {
    this._theme = pictureButton("auto", "Theme", () => this._nextTheme());
    this._drawTheme();
    this._at("side").replaceChildren(
      el("a", { class: "brand", href: "#/chat" }, mark(), el("span", {}, "OpenClaw"), this.demo && el("span", { class: "tag" }, "demo")),
      el("nav", { class: "nav", "aria-label": "Views" }, ...this.views.map((view) => this._link(view))),
      el("div", { class: "side-foot" },
        this._theme,
        pictureButton("keys", "Keyboard shortcuts (?)", () => showKeys(this.views), { kind: "only-wide" }),
        pictureButton("out", "Sign out", () => signOut("You are signed out of this tab."))));
  }

  _link(view) {
    return el("a", { href: `#/${view.name}`, "data-view": view.name }, icon(view.name), el("span", {}, view.title), el("span", { class: "badge", hidden: true }));
  }

  _nextTheme() {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    localStorage.setItem("theme", next);
    this._drawTheme();
  }

  _drawTheme() {
    const [picture, label] = THEMES[document.documentElement.dataset.theme ?? ""];
    this._theme.replaceChildren(icon(picture));
    this._theme.setAttribute("aria-label", label);
    this._theme.title = label;
  }

  _door(why) {
    this._shown?.close();
    this._shown = null;
    this._at("splash")?.remove();
    this._at("shell").hidden = true;
    this._at("view").replaceChildren();
    this._at("door").hidden = false;
    drawDoor(this._at("door"), why, () => this.enter());
  }

  // ── views ──

  async _route() {
    if (this._at("shell").hidden) return;
    const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
    const view = this.views.find((one) => one.name === name) ?? this.views[0];
    if (!view) return this._nothing();
    const shown = this._made.get(view.name) ?? view.make(this);
    this._made.set(view.name, shown);
    if (this._shown !== shown) {
      this._shown?.close();
      this._shown = shown;
      this._at("view").replaceChildren(shown.element);
    }
    this.title(view.title, shown.actions ?? []);
    for (const link of document.querySelectorAll(".nav a")) {
      if (link.dataset.view === view.name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    await shown.open(rest.map(decoded).join("/"));
  }

  title(words, actions = []) {
    this._at("title").textContent = words;
    this._at("actions").replaceChildren(...actions);
    this._words = words;
    this._windowTitle();
  }

  _windowTitle() {
    document.title = `${this._waiting ? `(${this._waiting}) ` : ""}${this._words} · OpenClaw`;
  }

  _nothing() {
    this._at("view").replaceChildren(el("p", { class: "view pad soft" }, "This token has no scope that this page can use. Sign out, and use another one."));
  }

  // ── what happens elsewhere ──

  _offline(yes) {
    const words = yes ? "The runtime cannot be reached. This page tries again by itself." : "";
    this._at("banner").hidden = !yes;
    this._at("banner").textContent = words;
    if (yes && this._at("shell").hidden) this._door(words);
  }

  async _online() {
    this._offline(false);
    if (this._at("shell").hidden) return signedIn() ? this.enter() : undefined;
    await this._learn().catch(() => {});
    await this._route();
    await this._count();
  }

  /** Looks how many approvals wait, for the badge and for the inbox if it is open. */
  async _count() {
    if (!signedIn() || isDown() || document.hidden || !this.may("approve") || this._at("shell").hidden) return;
    const found = await json("/api/approvals").catch(() => null);
    if (!found) return;
    const badge = document.querySelector('.nav a[data-view="approvals"] .badge');
    const number = (this._waiting = found.pending.length);
    this._windowTitle();
    if (badge) {
      badge.hidden = number === 0;
      badge.replaceChildren(String(number), el("span", { class: "unseen" }, " waiting"));
    }
    this._made.get("approvals")?.take(found);
  }
}

await new App().start();
