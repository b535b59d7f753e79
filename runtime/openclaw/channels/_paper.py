"""Text as a terminal shows it: Markdown in finished blocks, one line a tool call, approval cards.

Values to text, no terminal touched. Law: what a model, a tool or a file wrote reaches the screen as
characters only: control and direction-changing characters are shown as escapes, never obeyed.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import unicodedata
from typing import ClassVar, Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, JustifyMethod
from rich.markdown import Heading, Markdown, MarkdownElement
from rich.text import Text

from openclaw.messages import Answer, Approval, quote_line

_CODES = re.compile(r"\x1b\[[0-9;]*m")
_LONG = 1 << 15  # characters of one block; beyond it, colour and layout are not worth their time
_STYLES = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def width() -> int:
    return max(20, shutil.get_terminal_size().columns)


def plain(text: str) -> str:
    """The text without power over the terminal. Newlines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(char if char in "\n\t" or _harmless(char) else quote_line(char) for char in _unix(text))


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _harmless(char: str) -> bool:
    # Format characters that change direction are escaped; the joiners inside emoji and Indic words are not.
    return char.isprintable() or char in "\u200c\u200d\u00a0\u3000" or unicodedata.category(char) == "Zs"


def paint(text: str, *styles: str) -> str:
    if os.environ.get("NO_COLOR"):
        styles = tuple(style for style in styles if style in ("dim", "bold"))
    codes = ";".join(_STYLES[style] for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m" if codes else text


def bare(text: str) -> str:
    """What was painted, without its colours."""
    return _CODES.sub("", text)


def markdown(text: str) -> str:
    """One or more finished blocks, laid out for the width the terminal has now; ends in a newline."""
    text = plain(text).rstrip()
    if len(text) > _LONG:
        return text + "\n"
    document = _Markdown("", code_theme="ansi_dark", hyperlinks=False)
    document.parsed = _tokens(text)
    page = io.StringIO()
    console = Console(
        file=page,
        width=width(),
        force_terminal=True,
        no_color=bool(os.environ.get("NO_COLOR")) or None,
        legacy_windows=False,
        highlight=False,
    )
    console.print(document)
    return "\n".join(_without_margins([line.rstrip() for line in page.getvalue().split("\n")])) + "\n"


def _without_margins(lines: list[str]) -> list[str]:
    """Rich puts empty lines around some blocks; between blocks they are ours to put."""
    inked = [number for number, line in enumerate(lines) if _CODES.sub("", line).strip()]
    return lines[inked[0] : inked[-1] + 1] if inked else []


def _tokens(text: str) -> list[Token]:
    # Raw HTML would silently disappear: an answer like `<b>42</b>` is text here. And a line stays a line.
    tokens = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).parse(text)
    for token in tokens:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return tokens


class _Left(Heading):
    """Every heading at the left edge, where the eye is."""

    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "heading_open": _Left}


def wrapped(text: str) -> str:
    """Plain text, its own lines kept, long ones broken between words; ends in a newline."""
    text = plain(text).rstrip()
    if len(text) > _LONG:
        return text + "\n"
    lines = Text(text).wrap(Console(width=width()), width())
    return "\n".join(line.plain.rstrip() for line in lines) + "\n"


def one_line(text: str, room: int) -> str:
    """At most `room` columns, cut with an ellipsis; wide characters count two."""
    text = quote_line(text)
    return text if cell_len(text) <= room else set_cell_size(text, max(0, room - 1)).rstrip() + "…"


def last_lines(text: str, count: int) -> list[str]:
    """The last lines of unfinished text as they would wrap."""
    room = width() - 1
    wrapped: list[str] = []
    for line in plain(text[-count * room :]).expandtabs(4).split("\n"):
        wrapped += chop_cells(line, room) or [""]
    return wrapped[-count:]


def tool_line(line: str, failed: str | None, seconds: float) -> str:
    """`✓ run_command  ls -l  0.1 s`; for a failed call the first line of its error follows."""
    mark, colour = ("✗", "red") if failed is not None else ("✓", "green")
    time = f"{seconds:.1f} s"
    reason = "" if not failed else ": " + failed.strip().split("\n", 1)[0]
    room = width() - 6 - len(time)
    if reason:
        half = min(cell_len(line), max(room // 2, room - cell_len(reason)))
        reason = one_line(reason, room - half)
        room = half
    call = paint(f"{one_line(line, room)}  {time}", "dim")
    return f"  {paint(mark, colour)} {call}{paint(reason, colour)}\n"


def card(approval: Approval) -> str:
    """The whole question. Nothing of it is ever shortened: long lines wrap at the terminal's edge."""
    title = f"{approval.agent} wants to run {approval.tool}"
    rows = [paint(quote_line(title), "yellow", "bold")]
    rows += [f"    {quote_line(line)}" for line in approval.lines]
    rows += [f"  in      {quote_line(approval.cwd)}"] if approval.cwd else []
    rows += [f"  because {quote_line(approval.reason)}"] if approval.reason else []
    rows += [f"  rule    {quote_line(rule)}" for rule in approval.rules]
    if any(not line.isascii() for line in approval.lines):
        rows.append(paint("  careful: the call contains characters outside ASCII", "yellow"))
    bar = paint("│", "yellow")
    return "".join(f"{bar} {row}\n" for row in rows)


class Blocks:
    """Cuts streamed Markdown into blocks that are finished: at an empty line outside a code fence."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._size = 0
        self._line = ""
        self._fence = ""  # the line that opened the fence we are in

    def feed(self, text: str) -> list[str]:
        """The blocks that `text` finishes."""
        finished: list[str] = []
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._add(line)
            if self._size > _LONG or (not line.strip() and not self._fence):
                finished += self._cut()
        if len(self._line) > _LONG:
            self._add(self._line)
            self._line = ""
            finished += self._cut()
        return finished

    @property
    def tail(self) -> str:
        """What is not finished yet."""
        return "\n".join([*self._lines[-40:], self._line]).lstrip("\n")

    def rest(self) -> list[str]:
        """The end: what is left is finished."""
        self._add(self._line)
        self._line = ""
        self._fence = ""
        return self._cut()

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line) + 1
        mark = line.lstrip()[:3]
        if mark not in ("```", "~~~"):
            return
        if not self._fence:
            self._fence = line
        elif self._fence.lstrip()[:3] == mark and not line.strip(" `~"):
            self._fence = ""

    def _cut(self) -> list[str]:
        block = "\n".join(self._lines)
        if self._fence:  # too long for one piece: close the fence here and open it again
            block += "\n" + self._fence.lstrip()[:3]
        self._lines = [self._fence] if self._fence else []
        self._size = len(self._fence)
        return [block] if block.strip() else []


def question(offers: tuple[Answer, ...]) -> str:
    """What the prompt becomes while an approval waits for its key."""
    keys = {"allow-once": "[y] once", "allow-always": "[a] always", "deny": "[n] no"}
    offered = "  ".join(keys[offer] for offer in offers)
    return f"{paint('Allow this?', 'yellow', 'bold')}  {offered} {paint('› ', 'cyan')}"


def settled_line(answer: Answer | Literal["expired", "cancelled"], why: str = "") -> str:
    words = {
        "allow-once": ("✓ allowed once", "green"),
        "allow-always": ("✓ allowed from now on", "green"),
        "deny": ("✗ denied", "red"),
        "expired": ("✗ nobody answered in time: denied", "red"),
        "cancelled": ("✗ cancelled", "red"),
    }
    text, colour = words[answer]
    return "  " + paint(f"{text}: {quote_line(why)}" if why else text, colour) + "\n"
