// The inbox: what waits for this person, and what they allowed for good. Law: shows what the runtime says is pending,
// and nothing that it has forgotten.

import { ApprovalCard } from "./approval.js";
import { json, part } from "./api.js";
import { announce, button, confirmed, el, icon, moment, toast } from "./dom.js";

export class ApprovalsView {
  constructor() {
    this._cards = new Map();
    this._pending = el("div", { class: "stack" });
    this._none = el("div", { class: "empty" }, icon("approvals"), el("p", {}, "Nothing waits for you."), el("p", { class: "soft" }, "When an assistant wants to do something its policy asks about, the question appears here."));
    this._remembered = el("div", { class: "stack" });
    this.element = el("section", { class: "view pad", "aria-label": "Approvals" }, el("h2", { class: "unseen" }, "Waiting"), this._pending, this._none, this._remembered);
  }

  async open() {
    try {
      this.take(await json("/api/approvals"));
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  close() {}

  leave() {
    for (const card of this._cards.values()) card.close();
  }

  /** Draws what changed, and leaves the cards that stay where they are. */
  take({ pending, remembered }) {
    const ids = new Set(pending.map(({ id }) => id));
    for (const [id, card] of this._cards) if (!ids.has(id)) this._gone(id, card);
    for (const approval of pending) if (!this._cards.has(approval.id)) this._add(approval);
    this._none.hidden = this._cards.size > 0;
    this._drawRemembered(remembered);
  }

  _add(approval) {
    const card = new ApprovalCard(approval);
    this._cards.set(approval.id, card);
    this._pending.append(card.element);
    if (this.element.isConnected) announce(`Approval needed: may ${approval.tool} run?`);
  }

  _gone(id, card) {
    card.close();
    card.element.remove();
    this._cards.delete(id);
  }

  /** Anew only where they are others, so that nothing is taken away under a finger or the keyboard. */
  _drawRemembered(remembered) {
    const drawn = JSON.stringify(remembered);
    if (drawn === this._drawn) return;
    this._drawn = drawn;
    const rows = remembered.map((entry) => this._row(entry));
    this._remembered.replaceChildren(...(rows.length ? [el("h2", {}, "Always allowed"), el("ul", { class: "list card" }, ...rows)] : []));
  }

  _row(entry) {
    const lines = entry.lines ?? entry.steps ?? [];
    const who = [entry.agent, entry.by && `allowed by ${entry.by}`].filter(Boolean).join(" · ");
    return el("li", { class: "item row" },
      el("div", { class: "grow" }, el("b", {}, entry.tool ?? "call"), el("pre", { class: "plain tight", tabindex: "0", "aria-label": "The call" }, lines.join("\n")), el("p", { class: "soft" }, who, who && entry.at && " · ", entry.at && moment(entry.at))),
      button("Revoke", () => this._revoke(entry), { kind: "danger-quiet", picture: "trash" }));
  }

  async _revoke(entry) {
    if (!(await confirmed("Ask again next time?", `${entry.tool ?? "This call"} will need approval again.`, "Revoke"))) return;
    try {
      await json(`/api/approvals/${part(entry.id)}`, { method: "DELETE" });
      toast("Revoked. It asks again next time.");
    } catch (error) {
      toast(error.message, "bad");
    }
    await this.open();
  }
}
