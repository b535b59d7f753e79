// Markdown that grows while it is written: what is complete is rendered once and never touched again.
//
// Law: after any pieces, `element` holds what `markdown` makes of the whole text at once. A frame reads the block that is
// being written and touches only what became different; where that block is large, frames come less often.

import { blocks, plain } from "./markdown.js";

const SHARE = 4; // drawing, layout included, may take one part in so many of the time
const SMALL = 24; // milliseconds of a frame that are no burden
const STILL = 250; // milliseconds without a change that a reader does not mind

export class Live {
  constructor(element) {
    this.element = element;
    this.text = ""; // all of it
    this._settled = 0; // how much of `text` is rendered for good
    this._tail = []; // nodes of what is not
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
    requestAnimationFrame(() => {
      const spent = performance.now() - now;
      if (spent > SMALL) this._notBefore = now + spent + Math.min(spent * SHARE, STILL);
    });
  }

  _draw() {
    const starts = [];
    const lines = this.text.slice(this._settled).split("\n");
    const nodes = grown(this.element, this._tail, blocks(lines, 0, starts));
    const open = this._open(starts, lines.length);
    this._tail = nodes.slice(open);
    for (let line = 0; line < (starts[open] ?? 0); line++) this._settled += lines[line].length + 1;
  }

  /** The first block that what follows may still change: the last one, or the one before it where the last begins
   * on a line that is not whole, or whose next line is not, because a block ends by what it sees there. */
  _open(starts, lines) {
    const whole = starts.length > 0 && starts.at(-1) < lines - 2;
    return Math.max(0, starts.length - (whole ? 1 : 2));
  }
}

/** Makes the children of `place` from `tail` on be like `nodes`, keeping those that are already there. */
function grown(place, tail, nodes) {
  let kept = 0;
  while (kept < tail.length && kept < nodes.length && like(tail[kept], nodes[kept])) kept++;
  for (const node of tail.slice(kept)) node.remove();
  for (const node of nodes.slice(kept)) place.append(node); // there may be more than a call takes arguments
  return [...tail.slice(0, kept), ...nodes.slice(kept)];
}

/** Makes `node` equal to `wanted` if they are of one kind; false where it has to be replaced. */
function like(node, wanted) {
  if (node.isEqualNode(wanted)) return true;
  if (node instanceof Text && wanted instanceof Text) {
    if (wanted.data.startsWith(node.data)) node.appendData(wanted.data.slice(node.data.length));
    else node.data = wanted.data;
    return true;
  }
  if (!node.cloneNode(false).isEqualNode(wanted.cloneNode(false))) return false;
  grown(node, [...node.childNodes], [...wanted.childNodes]);
  return true;
}
