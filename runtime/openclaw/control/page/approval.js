// The card that asks whether a call may run, in the conversation and in the inbox alike.
//
// Law: the whole call is shown, one argument a line, before anything can be pressed; a card that was answered here or
// elsewhere or has expired offers nothing any more. That it has expired is the runtime's to say, not a clock's here.

import { Problem, json, part, runtimeNow } from "./api.js";
import { button, el, icon, toast } from "./dom.js";
import { countdown } from "./words.js";

const LABELS = { "allow-once": "Allow once", "allow-always": "Always allow", deny: "Deny" };
const KINDS = { "allow-once": "primary", "allow-always": "", deny: "danger-quiet" };
const PICTURES = { "allow-once": "check", "allow-always": "approvals", deny: "cross" };
export const OUTCOMES = {
  "allow-once": "Allowed once",
  "allow-always": "Always allowed",
  deny: "Denied",
  expired: "Not answered in time, so it did not run",
  cancelled: "No longer asked",
};

/** Fires `change` whenever an approval was asked for or settled. */
export const approvalsChanged = new EventTarget();

export function changed() {
  approvalsChanged.dispatchEvent(new Event("change"));
}

export class ApprovalCard {
  /** `where`: whether to say for whom it asks; `open`: whether whoever looks at it may answer. */
  constructor(approval, { where = true, open = true } = {}) {
    this.id = approval.id;
    this._approval = approval;
    this._left = el("span", { class: "left" });
    this._actions = el("div", { class: "row wrap" }, ...(open ? approval.offers.map((offer) => this._offer(offer)) : [el("p", { class: "soft" }, "Somebody who may answer this is asked.")]));
    this.element = el("section", { class: "card approval", tabindex: "-1", "aria-label": `Approval for ${approval.tool}`, "data-approval": approval.id },
      el("header", { class: "row wrap" },
        icon("approvals", "tint"),
        el("h3", {}, "May ", el("code", {}, approval.tool), " run?"),
        this._left),
      call(approval.lines),
      facts(approval, where),
      this._actions);
    this._timer = setInterval(() => this._tick(), 1000);
    this._tick();
  }

  /** Says what became of it, once. */
  settle(answer) {
    clearInterval(this._timer);
    if (this.element.classList.contains("settled")) return;
    this.element.classList.add("settled");
    const good = answer.startsWith("allow");
    this._left.replaceChildren(el("span", { class: `outcome ${good ? "good" : "bad"}` }, icon(good ? "check" : "cross"), OUTCOMES[answer] ?? answer));
    if (this._actions.contains(document.activeElement)) this.element.focus();
    this._actions.remove();
  }

  close() {
    clearInterval(this._timer);
  }

  _offer(offer) {
    return button(LABELS[offer] ?? offer, () => this._answer(offer), { kind: KINDS[offer] ?? "", picture: PICTURES[offer] });
  }

  async _answer(decision) {
    const buttons = [...this._actions.querySelectorAll("button")];
    for (const one of buttons) one.disabled = true;
    try {
      await json(`/api/approvals/${part(this.id)}`, { method: "POST", body: { decision } });
      this.settle(decision);
    } catch (error) {
      if (error instanceof Problem && error.code === "unknown_approval") this.settle("cancelled");
      else {
        toast(`Not answered: ${error.message}`, "bad");
        for (const one of buttons) one.disabled = false;
      }
    }
    changed();
  }

  _tick() {
    if (!this._approval.expires) return;
    this._left.textContent = `${countdown(this._approval.expires, runtimeNow())} left`;
  }
}

function call(lines) {
  return el("ol", { class: "argv", tabindex: "0", "aria-label": "The call, one argument a line" }, ...lines.map((text) => el("li", {}, el("code", {}, text))));
}

function facts(approval, where) {
  const rows = [["Why it asks", approval.reason], ["Folder", approval.cwd], ["Rules", approval.rules.join("\n")], ["Agent", approval.agent]];
  if (where) rows.push(["Session", approval.session], ["Asked for", approval.sender]);
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
