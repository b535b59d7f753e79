// What the tests of the page's Markdown run in the browser: one expression, an object of checks.
({
  /** What is wrong below `node`: an element or an attribute outside the list, an unsafe address; "" where nothing is. */
  fault(elements, node) {
    const attributes = {
      a: ["href", "title", "rel", "target"], ol: ["start"], th: ["class"], td: ["class"], pre: ["tabindex"], div: ["class", "tabindex"],
      button: ["type", "class", "aria-label", "title"], path: ["d"], svg: ["class", "viewBox", "aria-hidden", "focusable"],
    };
    for (const one of node.querySelectorAll("*")) {
      if (!elements.includes(one.localName)) return `element ${one.localName}`;
      for (const { name } of one.attributes) if (!(attributes[one.localName] ?? []).includes(name)) return `attribute ${name} of ${one.localName}`;
      if (one.localName === "a" && !["http:", "https:", "mailto:"].includes(one.protocol)) return `address ${one.href}`;
      if (one.localName === "a" && !one.relList.contains("noopener")) return "no noopener";
    }
    return "";
  },

  /** Random texts: nothing outside the list comes out, and pieces give what the whole gives. Null, or what differs. */
  async fuzz(seed, rounds) {
    const { markdown, ELEMENTS } = await import("/page/markdown.js");
    const { Live } = await import("/page/live.js");
    let state = seed;
    const random = (below) => ((state = (state * 1103515245 + 12345) % 2147483648), (state >> 8) % below);
    const pieces = ["#", "- ", "* ", "1. ", "2) ", "> ", "```", "~~~", "`", "**", "*", "_", "__", "~~", "[", "](", ")", "(", "!", "|", "|---|", "---", "\n", "\n",
      "\n\n", "  ", "    ", "\t", "\r\n", "\\", "<", ">", "<b onclick=x>", "<script>", "javascript:", "https://e.org/", "http://", "mailto:a@b", "&amp;", "word", "a b",
      "é", "\u202e", "😀", "\u0000", "[ ] ", ":--", "x|y", '"', "'", "="];
    const rows = ["a", "x|y", "---|---", "--|", "|-|-|", "- a", "  - b", "   c", "    d", "1. e", "2) f", "> q", ">", "```", "~~~", "  ```", "# h", "---", "***", "", "",
      "", "- ", "* * *", "a|b|c", "text `c` **b**", "- [ ] t", "\tx", "=== x", "-", "1.", "> - z", "> ```"];
    for (let round = 0; round < rounds; round++) {
      const [from, size, end] = round % 2 ? [pieces, 60, ""] : [rows, 14, "\n"];
      const source = Array.from({ length: 1 + random(size) }, () => from[random(from.length)] + end).join("");
      const whole = document.createElement("div");
      whole.append(...markdown(source));
      const wrong = this.fault(ELEMENTS, whole);
      if (wrong) return [wrong, source];
      const place = document.createElement("div");
      const live = new Live(place);
      for (let at = 0; at < source.length; ) {
        const step = 1 + random(9);
        live.add(source.slice(at, (at += step)));
        if (random(2)) live.end();
      }
      live.end();
      if (place.innerHTML !== whole.innerHTML) return ["in pieces it differs", source, place.innerHTML, whole.innerHTML];
    }
    return null;
  },

  /** Texts made to nest or to be looked through again and again. */
  async deep() {
    const { markdown } = await import("/page/markdown.js");
    const many = 20000;
    const sources = ["*", "_", "[", "![", "> ", "- ", "`", "~~", "**a ", "<", "(", "](", "|", "#", "1. ", "https://", "\\", "[a](", "* a\n  "];
    return sources.every((one) => markdown(one.repeat(many / one.length)).length > 0);
  },
})
