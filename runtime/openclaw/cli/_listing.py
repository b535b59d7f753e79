"""How commands print what they found: a table for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from openclaw.words import quote_line as quote_line  # commands print one-line texts through it


@contextmanager
def aside() -> Iterator[None]:
    """What is printed meanwhile, by modules of a project that are imported or what they start, is no part of an answer:
    it goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def done(told: dict[str, Any], words: str, *, json: bool) -> None:
    """What was done: in words, or as the runtime answers it over HTTP."""
    if json:
        as_json(told)
    else:
        print(words)


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as their widest cell, the last one free; control characters shown, not obeyed."""
    cells = [list(heads), *([quote_line(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads) - 1)]
    for row in cells:
        start = "".join(cell.ljust(width + 2) for cell, width in zip(row, widths, strict=False))
        print((start + row[-1]).rstrip())


def note(text: str) -> None:
    """A word of the command's own, beside what it was asked for."""
    print(quote_line(f"openclaw: {text}"), file=sys.stderr, flush=True)
