"""A reply as Discord takes it: pieces of at most 2000 characters, tables that stay in line, long ones as a file.

Pure. Discord shows Markdown by itself but no tables; those become code blocks, where their columns stand in line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from openclaw.channels._split import split, utf16
from openclaw.messages import Reply

LONGEST = 2000  # of one message
MOST = 8  # messages in a row: more would bury what others wrote, and one place takes five in five seconds
TEASER = 1200  # characters shown of what comes as a file
WINDOW = 3 * LONGEST  # characters looked at of an answer that is still being written
REPEATED = "(repeated after a restart)"
NOTHING = "(no text)"
TYPING = "…"

_TABLE = re.compile(r"^\s*\|.*\|\s*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Rendered:
    """`pieces` are sent one after the other; `file` is the whole reply, where it is too long for that."""

    pieces: tuple[str, ...]
    file: bytes | None = None


def render(reply: Reply) -> Rendered:
    """A mark changes nothing of how the reply is cut, so that each piece is the same one in every run."""
    text = reply.text if reply.text.strip() else NOTHING
    mark = f"{REPEATED}\n"
    before = mark if reply.repeated else ""
    if len(text) <= MOST * LONGEST:
        first, *rest = split(tables(text), LONGEST - len(mark), utf16) or [NOTHING]
        if len(rest) < MOST:
            return Rendered((before + first, *rest))
    beginning = split(text[: 2 * TEASER], TEASER, utf16)[0]
    return Rendered((f"{before}{beginning}\n\n(the whole answer is in the file)",), (before + text).encode())


def tables(text: str) -> str:
    """The text with every table in a code block of its own."""
    lines: list[str] = []
    opened, inside = "", False
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        row = not opened and bool(_TABLE.match(line))
        if row != inside:
            lines.append("```")
            inside = row
        lines.append(line)
        if fence and not opened:
            opened = fence[1]
        elif fence and fence[1].startswith(opened):
            opened = ""
    return "\n".join([*lines, *(["```"] if inside else [])])


def tail(text: str) -> str:
    """What is shown of an answer that is still being written: its end, as far as it fits."""
    *_, last = "", *split(_end(text), LONGEST - 8, utf16)
    if last.count("```") % 2:
        return f"{last}\n```\n{TYPING}"
    return f"{last}\n{TYPING}" if last.endswith("```") else f"{last}{TYPING}"


def _end(text: str) -> str:
    """The last lines, which are all that can be shown; in a code block where they began in one."""
    if len(text) <= WINDOW:
        return text
    at = text.find("\n", len(text) - WINDOW) + 1 or len(text) - WINDOW
    inside = text.count("\n```", 0, at) + text.startswith("```")
    return f"```\n{text[at:]}" if inside % 2 else text[at:]
