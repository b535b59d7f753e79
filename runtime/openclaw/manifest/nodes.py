"""The tree a manifest is read into: text, numbers, lists and mappings that remember where they stand.

Aliases share nodes; nodes are never changed, and are equal only to themselves (`eq=False`, here and in the
files around: a comparison nobody makes takes half a millisecond to define, and `validate` has few of them).
Knows nothing of YAML.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from openclaw.manifest.diagnostic import Span


@final
class UnknownType:
    """A value that cannot be known: its mistake was told already, or nobody looked (`--no-env`)."""

    def __repr__(self) -> str:
        return "Unknown"


Unknown = UnknownType()


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """`value` is str, int, float, bool, None or Unknown; `text` is what the user typed, unquoted.

    `start` and `end` are code-point offsets in the source. `secret` values are shown nowhere.
    """

    value: Any
    text: str
    style: str
    span: Span
    start: int
    end: int
    secret: bool = False
    filled: bool = False  # placeholders were replaced
    hidden: tuple[str, ...] = ()  # what secret placeholders in it came to

    @property
    def shown(self) -> str:
        return "***" if self.secret else self.text


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A key of a mapping with what stands behind it."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True, eq=False)
class ListNode:
    """A sequence, in its order."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class MapNode:
    """A mapping, in its order, by the texts of its keys."""

    entries: dict[str, Entry]
    span: Span

    def get(self, name: str) -> Node | None:
        entry = self.entries.get(name)
        return entry.value if entry else None

    def key(self, name: str) -> Span:
        """Where the key stands; the mapping itself where it is missing."""
        entry = self.entries.get(name)
        return entry.key.span if entry else self.first

    @property
    def first(self) -> Span:
        """The first key: where something missing is reported."""
        return next(iter(self.entries.values())).key.span if self.entries else self.span


Node: TypeAlias = Scalar | ListNode | MapNode


def plain(node: Node) -> Any:
    """The tree as plain values, for a schema."""
    match node:
        case Scalar(value):
            return value
        case ListNode(items):
            return [plain(item) for item in items]
        case MapNode(entries):
            return {name: plain(entry.value) for name, entry in entries.items()}


def secrets(node: Node) -> Iterator[str]:
    """What is secret in the values of a tree."""
    match node:
        case Scalar(value=value, secret=True, hidden=hidden):
            yield from hidden or (str(value),)
        case ListNode(items):
            for item in items:
                yield from secrets(item)
        case MapNode(entries):
            for entry in entries.values():
                yield from secrets(entry.value)
        case _:
            return


def along(node: Node, path: tuple[str | int, ...]) -> Iterator[Node]:
    """Every node on a path, from the first to the one it leads to."""
    yield node
    for step in path:
        if isinstance(node, MapNode) and isinstance(step, str):
            node = node.entries[step].value
        elif isinstance(node, ListNode) and isinstance(step, int):
            node = node.items[step]
        yield node


def descend(node: Node, path: tuple[str | int, ...]) -> Node:
    *_, last = along(node, path)
    return last


def texts(node: Node | None) -> list[Scalar]:
    """The scalars of a value that may be one or a list of them; others are left out."""
    match node:
        case Scalar(value) if isinstance(value, str):
            return [node]
        case ListNode(items):
            return [item for item in items if isinstance(item, Scalar) and isinstance(item.value, str)]
        case _:
            return []
