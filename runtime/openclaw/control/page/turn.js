// One exchange in the conversation: what the person said, and the answer as it comes: text, calls, questions.
//
// Law: events may come from a stream or from a transcript and give the same picture. Text that a `restart` voids goes;
// the reply at the end is what counts, also where the stream said less. Asks nothing of the network.

import { ApprovalCard, changed } from "./approval.js";
import { el, icon, pictureButton } from "./dom.js";
import { Live } from "./live.js";
import { copyText, markdown, plain } from "./markdown.js";
import { ToolChip } from "./tool.js";
import { clock } from "./words.js";

export class Turn {
  /** `mayAnswer(approval)`: whether the questions of this turn can be answered here. */
  constructor({ said, at = new Date(), agent = "", mayAnswer = () => true }) {
    this._mayAnswer = mayAnswer;
    this._live = null; // the text that is being written
    this._tools = new Map();
    this._cards = new Map();
    this._name = el("span", { class: "who-name" }, agent || "…");
    this._state = el("span", { class: "state" });
    this._answer = el("div", { class: "answer" });
    this._waiting = el("p", { class: "thinking", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
    this._foot = el("span", { class: "foot" });
    this._them = el("article", { class: "them", "aria-label": "Answer" }, el("header", { class: "who" }, this._name, this._state, this._foot), this._answer, this._waiting);
    const you = said === null ? null : el("article", { class: "you", "aria-label": "You" }, el("div", { class: "bubble" }, said), el("time", { datetime: new Date(at).toISOString() }, clock(at)));
    this.element = el("div", { class: "exchange busy" }, you, this._them);
  }

  named(agent) {
    this._name.textContent = agent;
  }

  /** Words beside the name: what it waits for, that the line is broken. */
  state(words) {
    this._state.textContent = words;
  }

  text(piece) {
    if (!this._live) {
      const place = el("div", { class: "prose" });
      this._answer.append(place);
      this._live = new Live(place);
    }
    this._live.add(piece);
  }

  /** What was streamed of this attempt is void. */
  restart(reason = "") {
    this._live?.restart();
    this.state(reason ? `trying again: ${reason}` : "trying again");
  }

  toolStarted(told) {
    if (this._tools.has(told.call)) return;
    this._closeText();
    const chip = new ToolChip(told);
    this._tools.set(told.call, chip);
    this._answer.append(chip.element);
  }

  toolFinished(told) {
    if (!this._tools.has(told.call)) this.toolStarted({ input: {}, ...told });
    this._tools.get(told.call).finish(told);
  }

  asked(approval) {
    if (this._cards.has(approval.id)) return;
    this._closeText();
    const card = new ApprovalCard(approval, { where: false, open: this._mayAnswer(approval) });
    this._cards.set(approval.id, card);
    this._answer.append(card.element);
    changed();
  }

  settled(id, answer) {
    this._cards.get(id)?.settle(answer);
    changed();
  }

  /** All is said. `reply` is the whole answer where it is known; `asIs` is for text that is no Markdown. */
  finish(reply = null, { asIs = false } = {}) {
    const shown = this._live?.text ?? "";
    if (reply !== null && plain(reply).trim() !== shown.trim() && !(reply === "" && shown)) {
      this._live?.restart();
      this._live?.element.remove();
      this._live = null;
      this._answer.append(asIs ? el("pre", { class: "plain", tabindex: "0" }, reply) : el("div", { class: "prose" }, markdown(reply)));
    }
    this._closeText();
    this._end(reply ?? shown);
  }

  fail(words) {
    this._closeText();
    this._answer.append(el("p", { class: "failure", role: "alert" }, icon("cross"), words));
    this._end("");
  }

  _closeText() {
    this._live?.end();
    this._live = null;
  }

  _end(text) {
    this.element.classList.remove("busy");
    this._waiting.remove();
    this.state("");
    for (const chip of this._tools.values()) chip.abandon();
    for (const card of this._cards.values()) card.settle("cancelled");
    if (text.trim() && !this._foot.firstChild) this._foot.append(pictureButton("copy", "Copy answer", () => copyText(text)));
  }
}
