"""Cuts a long reply into pieces that a chat service takes, without breaking its code blocks.

Law: no piece is longer than the limit by the service's own measure, none is empty, and the pieces hold every
character of the text but white space where they were cut. A fenced block that goes on in the next piece is closed
and opened again with its language. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Measure = Callable[[str], int]

_FENCE = re.compile(r" {0,3}(`{3,10}(?!`)|~{3,10}(?!~))(.*)")  # a longer line of them is a line, not code


def utf16(text: str) -> int:
    """Length in UTF-16 units, as some services count."""
    return len(text) + sum(character > "\uffff" for character in text)


def split(text: str, limit: int, measure: Measure = len) -> list[str]:
    """Pieces of at most `limit`; at paragraphs where that leaves no piece short of half, else at lines, else at
    words, else anywhere. `limit` is at least 64; no measure is less than the number of characters."""
    assert limit >= 64, "too small for a fence and its contents"
    pieces: list[str] = []
    rest, opened = text.strip("\n"), ""
    while rest.strip():
        prefix = f"{opened}\n" if opened else ""
        if len(prefix) + len(rest) <= limit and measure(prefix + rest) <= limit:
            pieces.append(prefix + rest)
            break
        at = _cut(rest, limit - measure(prefix) - _CLOSING, measure)
        piece, rest = rest[:at].rstrip(), rest[at:]
        opened = _open(prefix + piece)
        if opened and measure(opened) > limit // 4:
            opened = opened[:3]  # an info string as long as a piece is none
        closing = f"\n{_mark(opened)}" if opened else ""
        if piece.strip() and prefix + piece != opened:
            pieces.append(prefix + piece + closing)
        rest = rest.removeprefix("\n") if opened else rest.lstrip("\n")
    return pieces


_CLOSING = 11  # room for the end of a fence: a line break and its marks


def _cut(text: str, room: int, measure: Measure) -> int:
    """Where to cut: after the last paragraph, line or word that fits."""
    most = _fits(text, room, measure)
    for separator, least in (("\n\n", most // 2), ("\n", most // 3), (" ", most // 2)):
        at = text.rfind(separator, least, most)
        if at > 0:
            return at + len(separator)
    return most


def _fits(text: str, room: int, measure: Measure) -> int:
    """The most characters that fit, at least one."""
    low, high = 1, min(len(text), max(room, 1))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle]) <= room else (low, middle - 1)
    return low


def _open(text: str) -> str:
    """The opening line of the fence that is still open at the end of the text; "" where none is."""
    opened = ""
    for line in text.split("\n"):
        found = _FENCE.fullmatch(line)
        if found is None:
            continue
        mark, words = found[1], found[2].strip()
        if not opened:
            opened = f"{mark}{words}" if mark[0] == "~" or "`" not in words else ""
        elif mark[0] == opened[0] and len(mark) >= len(_mark(opened)) and not words:
            opened = ""
    return opened


def _mark(opened: str) -> str:
    """The marks that close a fence opened by this line."""
    return opened[: len(opened) - len(opened.lstrip(opened[0]))]
