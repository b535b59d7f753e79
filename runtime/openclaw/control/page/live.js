// Markdown that grows while it is written: what is complete is rendered once and never touched again.
//
// Law: after any pieces, `element` holds what `markdown` makes of the whole text at once. A frame costs as much as the
// block that is being written, and where that block is large, frames come less often: a long answer stays smooth.

import { blocks, plain } from "./markdown.js";

const SHARE = 6; // rendering may take one part in so many of the time

export class Live {
  constructor(element, drawn = () => {}) {
    this.element = element;
    this.text = ""; // all of it
    this.renders = 0;
    this._settled = 0; // how much of `text` is rendered for good
    this._tail = []; // nodes of what is not
    this._drawn = drawn;
    this._due = 0;
    this._notBefore = 0;
  }

  add(piece) {
    this.text += plain(piece);
    if (!this._due) this._due = requestAnimationFrame(() => this._frame());
  }

  /** What came so far is void. */
  restart() {
    cancelAnimationFrame(this._due);
    this.element.replaceChildren();
    this.text = "";
    this._settled = this._due = 0;
    this._tail = [];
  }

  /** The text is complete: draws what is missing at once. */
  end() {
    cancelAnimationFrame(this._due);
    this._due = 0;
    this._draw();
  }

  _frame() {
    this._due = 0;
    const now = performance.now();
    if (now < this._notBefore || document.hidden) {
      this._due = requestAnimationFrame(() => this._frame());
      return;
    }
    this._draw();
    this._notBefore = now + (performance.now() - now) * SHARE;
  }

  _draw() {
    this.renders++;
    for (const node of this._tail) node.remove();
    const starts = [];
    const lines = this.text.slice(this._settled).split("\n");
    const nodes = blocks(lines, 0, starts);
    this.element.append(...nodes);
    const open = this._open(starts, lines.length);
    this._tail = nodes.slice(open);
    for (let line = 0; line < (starts[open] ?? 0); line++) this._settled += lines[line].length + 1;
    this._drawn();
  }

  /** The first block that what follows may still change: the last one, or the one before it where the last begins
   * on a line that is not whole, or whose next line is not, because a block ends by what it sees there. */
  _open(starts, lines) {
    const whole = starts.length > 0 && starts.at(-1) < lines - 2;
    return Math.max(0, starts.length - (whole ? 1 : 2));
  }
}
