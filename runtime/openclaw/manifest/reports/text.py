"""For people: `file:line:col: error: message [code]`, the source line with the token underlined, and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import PLAIN, Look, _lines, head, place
from openclaw.words import char_width, quote_line

_RED, _YELLOW, _CYAN, _BOLD, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
_WIDEST = 160
_NARROWEST = 20
_TAB = 8


def render(diagnostics: Iterable[Diagnostic], folder: Folder, look: Look = PLAIN) -> str:
    return "\n".join(blocks(diagnostics, folder, look.color, look.columns))


def blocks(diagnostics: Iterable[Diagnostic], folder: Folder, color: bool = False, columns: int = 0) -> Iterator[str]:
    """Some lines of text for each."""
    lines = cache(lambda file: _lines.lines(folder, file))
    return ("\n".join(_block(each, lines(each.file), color, columns)) for each in diagnostics)


def _block(each: Diagnostic, lines: list[str], color: bool, columns: int) -> Iterator[str]:
    yield _painted(each) if color else head(each)
    if 0 < each.line <= len(lines) and lines[each.line - 1].strip():
        yield from excerpt(each, lines[each.line - 1], color, columns)
    for other in each.related:
        yield f"  see:  {place(other)}: {quote_line(other.message)}"
    if each.help:
        yield f"  help: {each.help}"


def _painted(each: Diagnostic) -> str:
    tint = _RED if each.severity == "error" else _YELLOW
    where = f"{_BOLD}{place(each)}{_OFF}"
    return f"{where}: {tint}{each.severity}{_OFF}: {each.message} {_CYAN}[{each.code}]{_OFF}"


def excerpt(each: Diagnostic, line: str, color: bool, columns: int = 0) -> Iterator[str]:
    """The source line, and a mark under the token; cut to the columns of the terminal, where there is one."""
    start = each.column - 1
    end = each.end_column - 1 if each.end_line == each.line else len(line)
    gutter = f"{each.line:>5} | "
    from_, to = _shown(line, start, min(_WIDEST, max(_NARROWEST, columns - len(gutter))) if columns else _WIDEST)
    shown, before = line[from_:to], line[from_:start]
    length = max(1, min(end, to) - start)
    # Tabs are kept below, so that the mark stands under its token whatever a tab is worth.
    indent = "".join("\t" if char == "\t" else " " * char_width(char) for char in before)
    under = "^" + "~" * (sum(map(char_width, line[start : start + length])) - 1)
    yield f"{gutter}{''.join(char if char.isprintable() or char == chr(9) else '�' for char in shown)}"
    yield f"{' ' * (len(gutter) - 2)}| {indent}{_RED if color else ''}{under}{_OFF if color else ''}"


def _shown(line: str, start: int, columns: int) -> tuple[int, int]:
    """From where to where a line is shown: all of it, or what is around the token."""
    if len(line) <= columns and sum(map(_room, line)) <= columns:
        return 0, len(line)
    before = line[max(0, start - columns // 2) : start]
    from_ = start - _fitting(reversed(before), columns // 2)
    return from_, from_ + _fitting(iter(line[from_ : from_ + columns]), columns)


def _fitting(chars: Iterator[str], columns: int) -> int:
    """How many of these characters there is room for."""
    count = 0
    for char in chars:
        columns -= _room(char)
        if columns < 0:
            break
        count += 1
    return count


def _room(char: str) -> int:
    return _TAB if char == "\t" else char_width(char)
