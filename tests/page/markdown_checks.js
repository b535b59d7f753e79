// What the tests of the page's Markdown run in the browser: one expression, an object of checks.
({
  /** What is wrong below `node`: an element or an attribute outside the list, an unsafe address; "" where nothing is. */
  fault(elements, node) {
    const attributes = {
      a: ["href", "title", "rel", "target"], ol: ["start"], th: ["class"], td: ["class", "colspan"], pre: ["tabindex"], div: ["class", "tabindex"],
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

  /** Texts that a careless reader of Markdown takes very long for: how much longer eight times as much takes, where
   * that is far from eight times as long. Both are measured in this run, the best of a few, so the machine's speed
   * is no part of it. */
  async slow() {
    const { markdown } = await import("/page/markdown.js");
    const [SMALL, TIMES, MOST] = [37_500, 8, 24]; // what is quadratic takes 64 times as long
    const filled = (start, middle, end = "") => (size) => start + middle.repeat(size / middle.length) + end;
    const runs = (size) => "a" + Array.from({ length: Math.sqrt(size * 2) }, (_, one) => "`".repeat(one + 1)).join(" ");
    const half = (middle, other) => (size) => middle.repeat(size / 2 / middle.length) + other.repeat(size / 2 / other.length);
    const sources = {
      "heading, then a line separator": filled("# ", " ", "x\u2028x"), "heading of signs": filled("# x", " #", " x"), "heading of spaces": filled("# x", " ", "#x"),
      "fence of tildes": filled("", "~", "`"), "fence, spaces": filled("```", " ", "`"), "fence after a line": filled("a\n", "~", "`"), "fences": filled("", "````\n```\n"),
      "rule of a table": filled("a|b\n-", " ", "x"), "rule of columns": filled("a|b\n-", "|-", "x"), "columns": half("a|", "|\n"),
      "table of short rows": (size) => "a|".repeat(size / 8) + "\n" + "-|".repeat(size / 8) + "\n" + "|\n".repeat(size / 4),
      "rows": filled("a|b\n-|-\n", "|\n"), "item, then a line separator": filled("- ", " ", "x\u2028x"), "items": filled("", "- a\n"), "nested items": filled("", "* a\n  "),
      "rule of stars": filled("", "* ", "x"), "quotes": filled("", "> a\n"), "nested quotes": filled("", "> "), "lines": filled("", "a\n"), "empty lines": filled("a", "\n"),
      "ticks": filled("a", "`", "b"), "runs of ticks": filled("a", "`".repeat(65) + " "), "runs that grow": runs, "codes": filled("", "`a`"), "ticks of two sizes": half("` ", "`` "),
      "brackets": filled("", "["), "labels": filled("", "[a]("), "addresses": filled("[", "](", ")"), "both brackets": half("[", "]"), "both parentheses": half("[a](", ")"),
      "pictures": filled("", "!["), "angles": filled("", "<https://"), "angle": filled("<https://", "a"), "schemes": filled("", "https://"), "bad addresses": filled("", "https://["),
      "sentence ends": filled("", "https://a" + "!".repeat(1900) + "x "), "closing": filled("", "https://a" + ")".repeat(1900) + " "),
      "stars": filled("", "*"), "bold": filled("", "**a "), "emphasis": filled("", "*a* "), "mixed": filled("", "*a _b ~~c "), "unders": filled("", "_a"), "escapes": filled("", "\\*"), "slashes": filled("", "\\"),
    };
    const took = (source) => {
      const began = performance.now();
      markdown(source);
      return performance.now() - began;
    };
    const found = [];
    for (const [name, source] of Object.entries(sources)) {
      const [little, much] = [source(SMALL), source(SMALL * TIMES)];
      const small = Math.max(1, Math.min(took(little), took(little), took(little)));
      let ratio = Infinity;
      for (let round = 0; round < 3 && ratio > MOST; round++) ratio = took(much) / small;
      if (ratio > MOST) found.push([name, Math.round(ratio)]);
    }
    return found;
  },

  /** Texts made to nest or to be looked through again and again. */
  async deep() {
    const { markdown } = await import("/page/markdown.js");
    const many = 20000;
    const sources = ["*", "_", "[", "![", "> ", "- ", "`", "~~", "**a ", "<", "(", "](", "|", "#", "1. ", "https://", "\\", "[a](", "* a\n  "];
    return sources.every((one) => markdown(one.repeat(many / one.length)).length > 0);
  },
})
