"""A table that fits the terminal: cells are wrapped, letters of every script keep their width, nothing is obeyed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence

from openclaw.words import char_width, quote_line

GAP = 2
NARROWEST = 8
_USUAL = 80


def width() -> int:
    """Columns of the terminal; of a pipe, which has none, eighty."""
    return shutil.get_terminal_size((_USUAL, 24)).columns if sys.stdout.isatty() else _USUAL


def laid(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> list[str]:
    """Rows as lines of at most so many columns; without heads where they are all empty."""
    table = [heads, *rows] if any(heads) else rows
    return [line for lines in laid_apart(table, columns) for line in lines]


def laid_apart(rows: Sequence[Sequence[str]], columns: int) -> list[list[str]]:
    """The same of rows alone: the lines of each."""
    table = [[quote_line(cell) for cell in row] for row in rows]
    widths = _widths(table, columns)
    return [[line.rstrip() for line in _row(row, widths)] for row in table]


def wrapped(text: str, columns: int, *, whole: bool = False) -> list[str]:
    """Text in lines: broken between words, and within one where it must be. `whole`: within none, for a path or a
    command is there to be copied."""
    lines, line = [], ""
    for word in re.split(r"(?<= )", quote_line(text)):
        while room(line + word.rstrip()) > columns:
            if line.strip():
                lines.append(line.rstrip())
                line = ""
            elif whole:
                lines.append(word.rstrip())
                word = ""
            elif room(word.rstrip()) > columns:
                head = _head(word, columns)
                lines.append(head)
                word = word[len(head) :]
        line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def room(text: str) -> int:
    """Columns that a text takes."""
    return len(text) if text.isascii() else sum(map(char_width, text))  # a long list is in ASCII, nearly all of it


def _head(word: str, columns: int) -> str:
    """As much of a word as fits, at least one letter."""
    taken = 1
    while taken < len(word) and room(word[: taken + 1]) <= columns:
        taken += 1
    return word[:taken]


def _widths(table: Sequence[Sequence[str]], columns: int) -> list[int]:
    """As wide as the widest cell; the widest columns give way until all fit, as long as they can between words."""
    cells = [*zip(*table, strict=True)]
    widths = [max(map(room, column)) for column in cells]
    words = [max(room(word) for cell in column for word in cell.split(" ")) for column in cells]
    left = columns - GAP * (len(widths) - 1)
    while sum(widths) > left:
        able = [at for at, size in enumerate(widths) if size > words[at]]
        able = able or [at for at, size in enumerate(widths) if size > NARROWEST]
        if not able:
            break
        widths[max(able, key=lambda at: widths[at])] -= 1
    return widths


def _row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    cells = [wrapped(cell, size) for cell, size in zip(row, widths, strict=True)]
    for index in range(max(map(len, cells))):
        parts = [cell[index] if index < len(cell) else "" for cell in cells]
        yield (" " * GAP).join(part + " " * (size - room(part)) for part, size in zip(parts, widths, strict=True))
