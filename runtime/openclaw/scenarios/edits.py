"""A value of a YAML file to another value, as the fewest changes to its text that leave comments and layout alone.

Flow and block style are kept, and so is the quoting of what is replaced; a removed line leaves its comment behind.
Whether the changed text means what it should is for the caller to see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openclaw.manifest import scalars
from openclaw.manifest.diagnostic import Span
from openclaw.manifest.nodes import Entry, ListNode, MapNode, Node, Scalar, plain
from openclaw.manifest.source import Source

_PLAIN = re.compile(r"[A-Za-z/][\w./@*+-]*(?: [\w./@*+-]+)*")
_HEADER = re.compile(r"[|>][-+0-9]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|(?<![^\s,\[{])#[^\r\n]*)*")
_REST = re.compile(r"[ \t]*(#[^\r\n]*)?(\r\n|\r|\n|\Z)")


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """The text between two offsets gives way to another one."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Iterable[Edit]) -> str | None:
    """None where two of them touch the same stretch in different ways."""
    parts, at = [], 0
    for edit in sorted(set(edits)):
        if edit.start < at:
            return None
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def of(source: Source, entry: Entry | None, node: Node, value: Any) -> Iterator[Edit]:
    """`entry` is the key the value stands under, where it stands under one."""
    if plain(node) == value:
        return
    match node, value:
        case Scalar(), str():
            yield from _scalar(source, node, value)
        case ListNode(items=(_, *_)), list():
            yield from _list(source, entry, node, value)
        case MapNode(entries=entries), Mapping() if entries:
            yield from _map(source, node, value)
        case _:
            start, end = _extent(source, node)
            yield Edit(start, end, flow(value))


# ── values ───────────────────────────────────────────────────────────────────────────────────────


def flow(value: Any, style: str = "") -> str:
    """A value on one line, texts in the quotes of `style` where they need no others."""
    if isinstance(value, str):
        return _text(value, style)
    if isinstance(value, Mapping):
        members = [f"{_text(str(key), '')}: {flow(each, style)}" for key, each in value.items()]
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(flow(each, style) for each in value)}]"
    return json.dumps(value)


def _text(text: str, style: str) -> str:
    if style == "" and _PLAIN.fullmatch(text) and scalars.resolve(text) == text:
        return text
    if style == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return _escaped(json.dumps(text, ensure_ascii=False))


def _escaped(quoted: str) -> str:
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in quoted)


def _scalar(source: Source, node: Scalar, value: str) -> Iterator[Edit]:
    if node.style not in ("|", ">"):
        yield Edit(node.start, node.end, _text(value, node.style))
        return
    header = _HEADER.match(source.text, node.start)
    line_end = _line_end(source.text, node.start)
    yield Edit(node.start, header.end() if header else node.start, _text(value, '"'))
    body_end = line_end + len(source.text[line_end : node.end].rstrip())
    if body_end > line_end:
        yield Edit(line_end, body_end, "")


# ── lists ────────────────────────────────────────────────────────────────────────────────────────


def _list(source: Source, entry: Entry | None, node: ListNode, value: Sequence[Any]) -> Iterator[Edit]:
    for item, new in zip(node.items, value, strict=False):
        yield from of(source, None, item, new)
    style = next((item.style for item in reversed(node.items) if isinstance(item, Scalar)), "")
    more = [flow(each, style if style in ("'", '"') else "") for each in value[len(node.items) :]]
    gone = range(len(value), len(node.items))
    if not value and _is_flow(source, node.span) and "#" not in source.text[slice(*_extent(source, node))]:
        yield Edit(*_extent(source, node), "[]")
        return
    if _is_flow(source, node.span):
        spots = [_extent(source, item) for item in node.items]
        yield from _flow_removed(source, spots, gone)
        yield from _flow_added(spots[-1], more)
        return
    spots = [(_dash(source, item), _extent(source, item)[1]) for item in node.items]
    yield from (edit for at in gone for edit in _line_removed(source, *spots[at]))
    yield from _lines_added(source, spots[-1], [f"- {text}" for text in more])
    if not value and entry is not None:
        colon = source.text.index(":", entry.key.end) + 1
        yield Edit(colon, colon, " []")


def _dash(source: Source, item: Node) -> int:
    return source.text.rindex("-", 0, _extent(source, item)[0])


# ── mappings ─────────────────────────────────────────────────────────────────────────────────────


def _map(source: Source, node: MapNode, value: Mapping[str, Any]) -> Iterator[Edit]:
    spots = {name: (entry.key.start, _extent(source, entry.value)[1]) for name, entry in node.entries.items()}
    added = [f"{_text(name, '')}: {flow(each)}" for name, each in value.items() if name not in spots]
    stays = [name for name in spots if name in value]
    for name in stays:
        yield from of(source, node.entries[name], node.entries[name].value, value[name])
    if not stays and added:  # the first of those that go makes room
        stays = [next(iter(spots))]
        yield Edit(*spots[stays[0]], added.pop(0))
    gone = [at for at, name in enumerate(spots) if name not in stays]
    places = list(spots.values())
    if _is_flow(source, node.span):
        yield from _flow_removed(source, places, gone)
        yield from _flow_added(spots[stays[-1]], added)
    else:
        yield from (edit for at in gone for edit in _line_removed(source, *places[at]))
        yield from _lines_added(source, spots[stays[-1]], added)


# ── on one line, with commas ─────────────────────────────────────────────────────────────────────


def _flow_added(last: tuple[int, int], more: list[str]) -> Iterator[Edit]:
    if more:
        yield Edit(last[1], last[1], "".join(f", {text}" for text in more))


def _flow_removed(source: Source, spots: Sequence[tuple[int, int]], gone: Sequence[int]) -> Iterator[Edit]:
    """Each with one comma: that before it, or where nothing stays before it, that behind it."""
    first = next((at for at in range(len(spots)) if at not in gone), len(spots))
    for at in gone:
        start, end = spots[at]
        comma = _comma(source.text, end if at < first else spots[at - 1][1])
        yield Edit(start, end, "")
        if comma is not None:
            yield Edit(comma, _behind(source.text, comma), "")


def _behind(text: str, comma: int) -> int:
    """The end of a comma with the spaces behind it, unless they set off a comment."""
    end = comma + 1
    while text[end : end + 1] == " ":
        end += 1
    return comma + 1 if text[end : end + 1] in ("#", "\r", "\n", "") else end


def _comma(text: str, at: int) -> int | None:
    """The comma that comes next, with nothing but space and comments before it."""
    found = _SPACE.match(text, at)
    at = found.end() if found else at
    return at if text[at : at + 1] == "," else None


# ── line by line ─────────────────────────────────────────────────────────────────────────────────


def _line_removed(source: Source, start: int, end: int) -> Iterator[Edit]:
    """The whole line; where a comment stands on it, all but that."""
    begin = source.starts[source.place(start)[0] - 1]
    rest = _REST.match(source.text, end)
    if rest is None or rest[1] or source.text[begin:start].strip():
        yield Edit(start, end, "")
    else:
        yield Edit(begin, rest.end(), "")


def _lines_added(source: Source, last: tuple[int, int], more: list[str]) -> Iterator[Edit]:
    if more:
        at = _line_end(source.text, last[1])
        indent = " " * (source.place(last[0])[1] - 1)
        line_break = "\r\n" if "\r\n" in source.text else "\n"
        yield Edit(at, at, "".join(f"{line_break}{indent}{text}" for text in more))


def _line_end(text: str, at: int) -> int:
    found = re.compile(r"\r\n|\r|\n|\Z").search(text, at)
    return found.start() if found else len(text)


# ── where things are ─────────────────────────────────────────────────────────────────────────────


def _is_flow(source: Source, span: Span) -> bool:
    return source.text[_offset(source, span.line, span.column)] in "[{"


def _offset(source: Source, line: int, column: int) -> int:
    return source.starts[line - 1] + column - 1


def _extent(source: Source, node: Node) -> tuple[int, int]:
    """Where a value begins and ends; of a block collection, from its first token to the end of its last value."""
    if isinstance(node, Scalar):
        end = node.start + len(source.text[node.start : node.end].rstrip())
        return node.start, max(end, node.start)
    start = _offset(source, node.span.line, node.span.column)
    if _is_flow(source, node.span):
        return start, _offset(source, node.span.end_line, node.span.end_column)
    below = node.items if isinstance(node, ListNode) else [entry.value for entry in node.entries.values()]
    return start, max((_extent(source, each)[1] for each in below), default=start)
