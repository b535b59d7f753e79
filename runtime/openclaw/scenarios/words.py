"""How values are shown in one line: nothing of them is obeyed by a terminal, and none is endless."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from openclaw.words import quote_line

_WIDEST = 100


def quoted(text: str) -> str:
    """A text in double quotes, its line breaks written out."""
    return short(json.dumps(text, ensure_ascii=False))


def call(tool: str, arguments: str | Mapping[str, Any]) -> str:
    """`run_command "ls -la"`, `write_file {"path": "a"}`."""
    given = quoted(arguments) if isinstance(arguments, str) else short(json.dumps(arguments, ensure_ascii=False))
    return f"{tool} {given}" if arguments != {} else tool


def short(text: str) -> str:
    line = quote_line(text)
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 3]}..."


def listed(names: tuple[str, ...] | list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else "nobody"
