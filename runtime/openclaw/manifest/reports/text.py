"""For people: `file:line:col: error: message [code]`, the source line with the token underlined, and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import PLAIN, Look, _lines, head, place
from openclaw.words import quote_line

_RED, _YELLOW, _CYAN, _BOLD, _OFF = "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
_WIDEST = 160


def render(diagnostics: Iterable[Diagnostic], folder: Folder, look: Look = PLAIN) -> str:
    return "\n".join(blocks(diagnostics, folder, look.color))


def blocks(diagnostics: Iterable[Diagnostic], folder: Folder, color: bool = False) -> Iterator[str]:
    """Some lines of text for each."""
    lines = cache(lambda file: _lines.lines(folder, file))
    return ("\n".join(_block(each, lines(each.file), color)) for each in diagnostics)


def _block(each: Diagnostic, lines: list[str], color: bool) -> Iterator[str]:
    yield _painted(each) if color else head(each)
    if 0 < each.line <= len(lines) and lines[each.line - 1].strip():
        yield from excerpt(each, lines[each.line - 1], color)
    for other in each.related:
        yield f"  see:  {place(other)}: {quote_line(other.message)}"
    if each.help:
        yield f"  help: {each.help}"


def _painted(each: Diagnostic) -> str:
    tint = _RED if each.severity == "error" else _YELLOW
    where = f"{_BOLD}{place(each)}{_OFF}"
    return f"{where}: {tint}{each.severity}{_OFF}: {each.message} {_CYAN}[{each.code}]{_OFF}"


def excerpt(each: Diagnostic, line: str, color: bool) -> Iterator[str]:
    """The source line, and a mark under the token."""
    start = each.column - 1
    end = each.end_column - 1 if each.end_line == each.line else len(line)
    from_ = max(0, start - _WIDEST // 2) if len(line) > _WIDEST else 0
    shown = line[from_ : from_ + _WIDEST]
    before = line[from_:start]
    length = max(1, min(end, from_ + len(shown)) - start)
    gutter = f"{each.line:>5} | "
    # Tabs are kept below, so that the mark stands under its token whatever a tab is worth.
    indent = "".join("\t" if char == "\t" else " " * _width(char) for char in before)
    under = "^" + "~" * (sum(map(_width, line[start : start + length])) - 1)
    yield f"{gutter}{''.join(char if char.isprintable() or char == chr(9) else '�' for char in shown)}"
    yield f"{' ' * (len(gutter) - 2)}| {indent}{_RED if color else ''}{under}{_OFF if color else ''}"


def _width(char: str) -> int:
    """Columns of a terminal that a character takes."""
    import unicodedata

    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
