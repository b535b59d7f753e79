"""A manifest against its JSON Schema, and every fault put in a reader's words at the right place.

A key that is missing and one that is unexpected and looks like it are one mistake: a misspelling. Values
that are Unknown have had their diagnostic and get no other. Knows one manifest at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from openclaw import bundle
from openclaw.manifest import conform, scalars, wording
from openclaw.manifest.conform import Fault, Path
from openclaw.manifest.diagnostic import MOST_TOLD, Diagnostic, error
from openclaw.manifest.nodes import Entry, ListNode, MapNode, Node, Scalar, descend, plain
from openclaw.manifest.shapes import Shapes
from openclaw.manifest.source import Source
from openclaw.manifest.unknown import foreign, lifted, misspelt_kind, unknown_keys

_OBJECT_FAULTS: Final = frozenset({"required", "additionalProperties", "oneOf"})
_MOST_FAULTS: Final = 4 * MOST_TOLD  # several may be one mistake
_FIRST: Final = ("type", "const", "enum", "pattern")


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """The manifest with placeholders in the type the schema wants, and where it is faulty."""

    root: MapNode
    diagnostics: tuple[Diagnostic, ...]
    faulty: tuple[Path, ...] = ()  # paths of the faults, for whoever must not look further there
    cut: bool = False  # so many that the rest was not looked at


def check(kind: str, root: Node, source: Source, required: Collection[str] = ()) -> Checked:
    """`required` are keys that must be there beside those the schema names."""
    if not isinstance(root, MapNode):
        said = error("wrong-type", root.span, f"a manifest is a mapping of keys, and this is {wording.found(root)}")
        return Checked(MapNode({}, root.span), (said,), ((),))
    if "apiVersion" in root.entries:  # written for another tool as a whole, so nothing else is told
        said = foreign(root.entries["apiVersion"])
        return Checked(root, (said,), ((),))
    faults = _faults(kind, root, required)
    converted = _typed(root, faults)
    if converted is not None:
        root, faults = converted, _faults(kind, converted, required)
    told = tuple(islice(_say(kind, root, source, faults), MOST_TOLD))
    cut = len(told) == MOST_TOLD or len(faults) == _MOST_FAULTS
    # What was not looked at may be at fault, too: nobody builds on it.
    faulty = ((),) if cut else tuple(fault.path for fault in faults)
    return Checked(root, told, faulty, cut)


def _faults(kind: str, root: MapNode, required: Collection[str]) -> list[Fault]:
    lacking = [key for key in required if key not in root.entries]
    also = [Fault((), "required", {**bundle.schema(kind), "required": lacking})] if lacking else []
    return [*also, *islice(conform.faults(kind, plain(root)), _MOST_FAULTS - len(also))]


def _typed(root: MapNode, faults: list[Fault]) -> MapNode | None:
    """The tree with values that came from a placeholder turned into the numbers and booleans they stand for."""
    changed: dict[int, Scalar] = {}
    for fault in faults:
        node = descend(root, fault.path)
        if isinstance(node, Scalar) and node.filled and isinstance(node.value, str):
            value = scalars.typed(node.value, fault.schema.get("type"))
            if not isinstance(value, str):
                changed[id(node)] = replace(node, value=value)
    return _replaced(root, changed) if changed else None


def _replaced(node: MapNode, changed: dict[int, Scalar]) -> MapNode:
    def again(each: Node) -> Node:
        match each:
            case Scalar():
                return changed.get(id(each), each)
            case ListNode(items, span):
                return ListNode(tuple(again(item) for item in items), span)
            case MapNode(entries, span):
                return MapNode({name: Entry(entry.key, again(entry.value)) for name, entry in entries.items()}, span)

    result = again(node)
    assert isinstance(result, MapNode)
    return result


# ── saying it ────────────────────────────────────────────────────────────────────────────────────


def _say(kind: str, root: MapNode, source: Source, faults: list[Fault]) -> Iterator[Diagnostic]:
    shapes = Shapes(kind, root)
    by_path: dict[Path, list[Fault]] = {}
    for fault in faults:
        by_path.setdefault(fault.path, []).append(fault)
    up = {path: found for path in by_path if (found := lifted(shapes, path, by_path[path])) is not None}
    for path, here in by_path.items():
        if path in up:
            yield up[path].said
            continue
        node = descend(root, path)
        of_keys = [fault for fault in here if fault.keyword in _OBJECT_FAULTS and isinstance(node, MapNode)]
        if isinstance(node, MapNode) and of_keys:
            consumed = {name for found in up.values() if found.to == path for name in found.names}
            yield from _keys(shapes, path, node, of_keys, consumed)
        for fault in here:
            if fault.keyword == "propertyNames" and isinstance(node, MapNode):
                yield wording.bad_name(fault.name or "", node, fault.schema)
        of_value = [fault for fault in here if fault.keyword not in _OBJECT_FAULTS and fault.keyword != "propertyNames"]
        if of_value:
            yield _value(root, path, node, min(of_value, key=_rank), source)


def _rank(fault: Fault) -> int:
    return _FIRST.index(fault.keyword) if fault.keyword in _FIRST else len(_FIRST)


def _keys(shapes: Shapes, path: Path, node: MapNode, faults: list[Fault], elsewhere: set[str]) -> Iterator[Diagnostic]:
    """What is wrong with the set of keys of one mapping: too many, too few, or one for the other."""
    groups = [
        tuple(branch["required"][0] for branch in fault.schema["oneOf"]) for fault in faults if fault.keyword == "oneOf"
    ]
    title = next((str(fault.schema.get("title", "")) for fault in faults if fault.keyword == "oneOf"), "")
    closed = next((fault.schema for fault in faults if fault.keyword == "additionalProperties"), None)
    missing = {name for fault in faults if fault.keyword == "required" for name in fault.schema["required"]} - set(
        node.entries
    )
    exclusive = {name for group in groups for name in group}
    wanted = missing | {name for group in groups if not set(group) & set(node.entries) for name in group}
    wanted -= elsewhere
    if closed is None and "kind" in wanted:
        for said, consumed in misspelt_kind(node):
            wanted -= consumed
            yield said
    if closed is not None:
        extras = [name for name in node.entries if not conform.takes(closed, name) and name not in exclusive]
        for said, consumed in unknown_keys(shapes, path, node, closed, extras, wanted):
            wanted -= consumed
            yield said
    for group in groups:
        given = [name for name in node.entries if name in group]
        if len(given) > 1:
            yield wording.exclusive(node, given)
        elif not given and set(group) <= wanted:
            yield wording.none_of(node, group, path, title)
    for name in sorted(missing & wanted):
        suggested = shapes.suggested(path, node) if name == "kind" else None
        yield wording.missing(name, node, path, shapes.property(path, name), shapes.title(path), suggested)


def _value(root: MapNode, path: Path, node: Node, fault: Fault, source: Source) -> Diagnostic:
    key = wording.key_of(path)
    entry = None
    if path and isinstance(path[-1], str):
        parent = descend(root, path[:-1])
        entry = parent.entries[path[-1]] if isinstance(parent, MapNode) else None
    if isinstance(node, Scalar) and node.value is None:
        return wording.empty(node, entry, fault.schema, source)
    if fault.keyword == "type" or (fault.keyword == "pattern" and wording.is_placeholder_pattern(fault.schema)):
        return wording.wrong_type(node, key, fault.schema)
    return wording.wrong_value(node, key, fault.keyword, fault.schema)
