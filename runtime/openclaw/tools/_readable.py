"""A web page as text a model can read: title, headings, links, lists, tables and code; no scripts. Pure.

What a browser would not show is left out, because it is where instructions to models are hidden.
Pages are hostile: time and memory are linear in their size.
"""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin

_DROPPED = frozenset(
    ("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "audio", "video", "select",
     "textarea", "button", "nav", "footer", "aside", "dialog")
)  # fmt: skip
_SURROUNDINGS = frozenset({"nav", "footer", "aside", "button", "dialog"})
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
_BLOCKS = frozenset(
    ("address", "article", "blockquote", "caption", "center", "details", "dir", "div", "dl", "fieldset", "figcaption",
     "figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "menu", "ol", "p", "pre", "section",
     "summary", "table", "ul")
)  # fmt: skip
_LINES = frozenset({"li", "tr", "dt", "dd"})
_ENDED_BY_NEXT = frozenset({"p", "li", "dt", "dd", "tr", "td", "th", "option"})
_UNSEEN = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d])")
_PIECE = 1 << 16  # fed at once
_STUCK = 1 << 18  # characters that may wait for the end of one tag or comment
_DEEPEST = 10  # lists within lists that are indented
_MOST_SKIPPED = 200
# Marks inside the collected text; removed from the page beforehand.
_PRE, _END, _STAY, _BREAK = "\0", "\1", "\2", "\3"
_MARKS = str.maketrans("", "", _PRE + _END + _STAY + _BREAK)
_CODE = re.compile(f"({_PRE}[^{_END}]*{_END})")


def readable(page: str, base: str = "") -> tuple[str, str]:
    """The title and the text of a page. Links are made absolute against `base`."""
    # `<![` makes the parser raise; as a plain comment it means the same.
    page = page.translate(_MARKS).replace("<![", "<! [")
    title = text = ""
    for dropped in (_DROPPED, _DROPPED - _SURROUNDINGS):
        reader = _Reader(base, dropped)
        reader.read(page)
        title, text = reader.title(), reader.text()
        if text:
            break
    return title, text


class _Reader(HTMLParser):
    def __init__(self, base: str, dropped: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._base = base
        self._dropped = dropped
        self._out: list[str] = []
        self._title: list[str] = []
        self._in_title = False
        self._skipped: list[str] = []  # open elements from the first one that is not shown
        self._lists: list[int] = []  # per open list: the next number, or 0 for bullets
        self._link: tuple[str, int] | None = None  # address, and where in _out its text begins
        self._cells = 0  # of the open row
        self._pre = 0
        self._bullet = ""  # the last thing in _out, if that is a bullet

    def read(self, page: str) -> None:
        """In pieces, so that an unended tag or comment is looked at a bounded number of times."""
        for start in range(0, len(page), _PIECE):
            self.feed(page[start : start + _PIECE])
            if len(self.rawdata) > _STUCK:
                self.rawdata = ""
        rest, self.rawdata = self.rawdata, ""
        if not rest.startswith("<"):
            self.handle_data(unescape(rest))

    def title(self) -> str:
        return " ".join("".join(self._title).split())[:300]

    def text(self) -> str:
        collected = "".join(self._out) + (_END if self._pre else "")
        made = "".join(_fenced(piece) if piece.startswith(_PRE) else _flowed(piece) for piece in _CODE.split(collected))
        return re.sub(r"\n{3,}", "\n\n", made.translate(_MARKS)).strip()

    # ── what the parser calls ────────────────────────────────────────────────────────────────────

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title" and not self._title and "svg" not in self._skipped:
            self._in_title = True
            return
        if self._skipped and not self._ends_skipped(tag):
            if tag not in _VOID and len(self._skipped) < _MOST_SKIPPED:
                self._skipped.append(tag)
            return
        given = {name: value or "" for name, value in attrs}
        if tag in self._dropped or (tag not in ("html", "body") and _unseen(given)):
            if tag not in _VOID:
                self._skipped.append(tag)
        else:
            self._open(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title" and self._in_title:
            self._in_title = False
        elif tag in self._skipped:
            while self._skipped.pop() != tag:
                pass
        elif not self._skipped:
            self._close(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data[:1000])
        elif self._skipped:
            return
        elif self._pre:
            self._out.append(data.translate(_MARKS))
        elif not data.strip() and (self._bullet or (self._out and self._out[-1].endswith("\n"))):
            return
        else:
            self._add(re.sub(r"\s+", " ", data.translate(_MARKS)))

    def unknown_decl(self, data: str) -> None:
        pass

    # ── elements ─────────────────────────────────────────────────────────────────────────────────

    def _add(self, text: str, *, bullet: bool = False) -> None:
        self._out.append(text)
        self._bullet = text if bullet else ""

    def _ends_skipped(self, tag: str) -> bool:
        """Whether an unseen element whose end tag may be left out ends here, where another begins."""
        first = self._skipped[0]
        if (tag == first and tag in _ENDED_BY_NEXT) or (first == "p" and tag in _BLOCKS) or tag == "body":
            self._skipped.clear()
            return True
        return False

    def _open(self, tag: str, given: dict[str, str]) -> None:
        if tag in _LINES or (tag in _BLOCKS and not self._bullet):
            self._part(tag in _LINES)
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._add("#" * int(tag[1]) + " ")
        elif tag in ("ul", "ol", "menu"):
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._add(self._marker(), bullet=True)
        elif tag == "pre":
            self._pre += 1
            self._add(_PRE if self._pre == 1 else "")
        elif tag == "tr":
            self._cells = 0
        elif tag in ("td", "th"):
            self._add(" | " if self._cells else "")
            self._cells += 1
        elif tag == "a":
            self._link = (given.get("href", ""), len(self._out))
        elif tag == "br":
            self._add("\n" if self._pre else _BREAK)
        elif tag == "hr":
            self._add("---\n\n")
        elif tag == "img" and given.get("alt", "").strip():
            self._add(f"[image: {' '.join(given['alt'].translate(_MARKS).split())[:300]}]")
        elif tag == "code" and not self._pre:
            self._add("`")

    def _close(self, tag: str) -> None:
        if tag == "pre" and self._pre:
            self._pre -= 1
            self._add(_END if not self._pre else "")
        elif tag == "a" and self._link:
            self._linked(*self._link)
            self._link = None
        elif tag in ("ul", "ol", "menu") and self._lists:
            self._lists.pop()
        elif tag == "code" and not self._pre:
            self._add("`")
        if tag in _BLOCKS:
            self._part(False)

    def _part(self, line: bool) -> None:
        """Begins a new line or block; inside lists there are no empty lines."""
        if self._lists and self._out and self._out[-1].endswith("\n"):
            return
        self._add("\n" if line or self._lists else "\n\n")

    def _marker(self) -> str:
        if not self._lists:
            return "- "
        indent = _STAY * 2 * (min(len(self._lists), _DEEPEST) - 1)
        number = self._lists[-1]
        self._lists[-1] += number > 0
        return f"{indent}{number}. " if number else f"{indent}- "

    def _linked(self, address: str, start: int) -> None:
        """Turns what was collected since the link began into `[words](address)`."""
        raw = "".join(self._out[start:])
        if self._pre or _PRE in raw or not raw.strip() or address.startswith("#"):
            return
        try:
            target = urljoin(self._base, address.strip())
        except ValueError:
            return
        if target.startswith(("http://", "https://")):
            words = " ".join(raw.translate(_MARKS).split())
            before, after = raw[: len(raw) - len(raw.lstrip())], raw[len(raw.rstrip()) :]
            target = target.translate(_MARKS).replace(" ", "%20")
            self._out[start:] = [f"{before}{words if words == target else f'[{words}]({target})'}{after}"]


def _unseen(given: dict[str, str]) -> bool:
    return (
        "hidden" in given or given.get("aria-hidden") == "true" or bool(_UNSEEN.search(given.get("style", "")[:2000]))
    )


def _fenced(piece: str) -> str:
    code = piece.strip(_PRE + _END).strip("\n")
    return f"\n\n```\n{code}\n```\n\n" if code.strip() else ""


def _flowed(piece: str) -> str:
    """White space as a browser shows it: blocks on lines of their own, everything else one space."""
    lines = (" ".join(line.split()) for line in piece.replace(_BREAK, "\n").split("\n"))
    return "\n".join(lines).replace(_STAY, " ")
