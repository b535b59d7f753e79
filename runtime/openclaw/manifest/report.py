"""Diagnostics for people and for programs. Shows source lines, with secrets blotted out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache

from openclaw.manifest import document, placeholders
from openclaw.manifest.diagnostic import Diagnostic, Related
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.source import Source, decode
from openclaw.messages import quote_line

_RED, _YELLOW, _CYAN, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
_WIDEST = 160


def text(diagnostics: Iterable[Diagnostic], folder: Folder, color: bool) -> str:
    """`file:line:col: error: message [code]`, the source line with the token underlined, and the cure."""
    look = cache(lambda file: _lines(folder, file))
    return "\n".join("\n".join(_block(each, look(each.file), color)) for each in diagnostics)


def as_json(diagnostics: Iterable[Diagnostic]) -> str:
    return json.dumps([asdict(each) for each in diagnostics], indent=2, ensure_ascii=False)


def brief(diagnostics: Iterable[Diagnostic]) -> str:
    """One line for each, without the source."""
    return "\n".join(_head(each, False) for each in diagnostics)


def summary(diagnostics: Iterable[Diagnostic], files: int) -> str:
    found = list(diagnostics)
    errors = sum(each.severity == "error" for each in found)
    warnings = len(found) - errors
    told = [_many(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count]
    return f"{' and '.join(told) or 'no problems'} in {_many(files, 'manifest')}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _head(each: Diagnostic, color: bool) -> str:
    place = _place(each)
    if not color:
        return f"{place}: {each.severity}: {each.message} [{each.code}]"
    tint = _RED if each.severity == "error" else _YELLOW
    return f"{_BOLD}{place}{_PLAIN}: {tint}{each.severity}{_PLAIN}: {each.message} {_CYAN}[{each.code}]{_PLAIN}"


def _place(each: Diagnostic | Related) -> str:
    """Whoever names a file chooses what a terminal would obey."""
    return f"{quote_line(each.file)}:{each.line}:{each.column}"


def _block(each: Diagnostic, lines: list[str], color: bool) -> Iterator[str]:
    yield _head(each, color)
    if 0 < each.line <= len(lines) and lines[each.line - 1].strip():
        yield from _excerpt(each, lines[each.line - 1], color)
    for other in each.related:
        yield f"  see:  {_place(other)}: {quote_line(other.message)}"
    if each.help:
        yield f"  help: {each.help}"


def _excerpt(each: Diagnostic, line: str, color: bool) -> Iterator[str]:
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
    yield f"{' ' * (len(gutter) - 2)}| {indent}{_RED if color else ''}{under}{_PLAIN if color else ''}"


def _width(char: str) -> int:
    """Columns of a terminal that a character takes."""
    import unicodedata

    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _lines(folder: Folder, file: str) -> list[str]:
    content = folder.files.get(file)
    if content is None or len(content) > document.MOST_BYTES or file == ".env":
        return []
    source, unreadable = decode(file, content)
    if unreadable and not source.text:
        return []
    hidden = _blotted(file, content, source)
    return [hidden.line(number) for number in range(1, len(hidden.starts) + 1)]


def _blotted(file: str, content: bytes, source: Source) -> Source:
    """The text with every secret value replaced, column for column."""
    kind = kind_of(file)
    if kind is None:
        return source
    read = document.read(file, content)
    spots = placeholders.secret_spots(kind, read.root, source.text)
    chars = list(source.text)
    for start, end in spots:
        chars[start:end] = ["*" if char not in "\r\n" else char for char in chars[start:end]]
    return Source(file, "".join(chars))
