"""A key that has no meaning where it stands, and what was probably meant by it.

In order: a missing space after a colon, a key that belongs one or more levels up, a key of another
kind, a misspelling or another tool's word, a key that belongs one level down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openclaw.manifest.conform import Fault, Path
from openclaw.manifest.diagnostic import Diagnostic, error
from openclaw.manifest.elsewhere import ELSEWHERE, elsewhere, same_key
from openclaw.manifest.nodes import Entry, MapNode, Scalar, descend
from openclaw.manifest.shapes import Shapes
from openclaw.near import fold, near

_CHOICES = (("allow", "ask", "deny"), ("shell", "python"))  # one of each is enough
_LEVELS = {1: "one level up", 2: "two levels up", 3: "three levels up"}


def unknown_keys(
    shapes: Shapes,
    path: Path,
    node: MapNode,
    closed: Mapping[str, Any],
    extras: list[str],
    wanted: set[str],
) -> Iterator[tuple[Diagnostic, set[str]]]:
    """Each diagnostic with the missing keys it accounts for: those are not told again."""
    allowed = [name for name in closed.get("properties", {}) if name not in node.entries]
    where = _where(path, str(closed.get("title", "")))
    for name in extras:
        entry = node.entries[name]
        yield (
            _no_space(name, entry)
            or _comma(name, entry, node, where)
            or _up(shapes, path, node, entry, name, where)
            or _other_kind(shapes, name, entry, closed, wanted)
            or _version(name, entry, path)
            or _near(name, entry, allowed, wanted, where, same_key)
            or _elsewhere(name, entry, path, closed, where)
            or _down(shapes, path, entry, name, where)
            or _near(name, entry, allowed, wanted, where, _mistyped)
            or _unknown(name, entry, _beside(node, allowed), where)
        )


def foreign(entry: Entry) -> Diagnostic:
    """A manifest of another system, to be told from its first key."""
    said = elsewhere(str(entry.key.value), "", True)
    cure = "remove `apiVersion`, `kind`, `metadata` and `spec`; `openclaw schema` prints the keys there are"
    return error("unknown-key", entry.key.span, f"`{entry.key.value}` is not known here; {said}", cure)


@dataclass(frozen=True, slots=True, eq=False)
class Lifted:
    """A key that stands too deep, where any name may stand: the mapping it belongs to, and what it accounts for."""

    said: Diagnostic
    to: Path
    names: set[str]


def lifted(shapes: Shapes, path: Path, faults: list[Fault]) -> Lifted | None:
    """`timeout: 5s` below `input`, say: no input, and a key of the tool."""
    if len(path) < 2 or not isinstance(path[-1], str) or not any(_wants_mapping(fault) for fault in faults):
        return None
    name, parent = path[-1], descend(shapes.root, path[:-1])
    above = descend(shapes.root, path[:-2])
    if not isinstance(parent, MapNode) or not isinstance(above, MapNode) or name not in shapes.keys(path[:-2]):
        return None
    found = _up(shapes, path[:-1], parent, parent.entries[name], name, _where(path[:-1], shapes.title(path[:-1])))
    group = next((set(group) for group in _CHOICES if name in group), {name})
    return found and Lifted(found[0], path[:-2], group)


def _wants_mapping(fault: Fault) -> bool:
    return fault.keyword == "type" and fault.schema.get("type") == "object"


def misspelt_kind(node: MapNode) -> Iterator[tuple[Diagnostic, set[str]]]:
    """What a kind is given by, where without it nobody knows which other keys may stand."""
    for name, entry in node.entries.items():
        if same_key(name, ["kind"]) or near(name, ["kind"]):
            message = f"unknown key `{name}`; did you mean `kind`?"
            yield error("unknown-key", entry.key.span, message, "write `kind:`"), {"kind"}
            return


def _where(path: Path, title: str) -> str:
    if not path:
        return f"the {title} manifest" if title else "the manifest"
    if isinstance(path[-1], int):
        return f"this {title}"
    last = path[-1]
    return f"{title} `{last}`" if title and title != last else f"`{last}`"


def _no_space(name: str, entry: Entry) -> tuple[Diagnostic, set[str]] | None:
    key, colon, value = name.partition(":")
    if not (colon and value and isinstance(entry.value, Scalar) and entry.value.value is None):
        return None
    said = error(
        "yaml-colon",
        entry.key.span,
        f"`{name}` has no space after the colon, so it is one key without a value",
        f"write `{key}: {value}`",
    )
    return said, {key}


def _comma(name: str, entry: Entry, node: MapNode, where: str) -> tuple[Diagnostic, set[str]] | None:
    """A text in braces that goes on after its comma."""
    value, names = entry.value, list(node.entries)
    before = names[names.index(name) - 1] if " " in name and name != names[0] else None
    if before is None or not isinstance(value, Scalar) or value.value is not None or value.start > entry.key.end:
        return None
    text = node.entries[before].value
    if not isinstance(text, Scalar) or not isinstance(text.value, str) or text.style:
        return None
    message = f"unknown key `{name}` in {where}; the comma before it ends the text of `{before}`"
    return error("unknown-key", entry.key.span, message, f"put the whole text of `{before}` in quotes"), set()


def _up(
    shapes: Shapes, path: Path, node: MapNode, entry: Entry, name: str, where: str
) -> tuple[Diagnostic, set[str]] | None:
    levels = 0
    for length in range(len(path) - 1, -1, -1):
        above = descend(shapes.root, path[:length])
        if not isinstance(above, MapNode):
            continue
        levels += 1
        if name not in shapes.keys(path[:length]):
            continue
        owner = _where(path[:length], shapes.title(path[:length]))
        spaces = node.first.column - above.first.column
        how = (
            f"dedent it by {spaces} spaces"
            if spaces > 0 and node.first.line > above.first.line
            else f"move it to {owner}"
        )
        said = error(
            "unknown-key",
            entry.key.span,
            f"`{name}` is not a key of {where}; it belongs to {owner} ({_LEVELS.get(levels, 'further up')})",
            how,
        )
        return said, set()
    return None


def _other_kind(
    shapes: Shapes, name: str, entry: Entry, closed: Mapping[str, Any], wanted: set[str]
) -> tuple[Diagnostic, set[str]] | None:
    title = str(closed.get("title", ""))
    last = title.rpartition(" ")[2]
    others = [
        other for other in shapes.siblings(name) if other != title and other.rpartition(" ")[2] == last and " " in other
    ]
    if not others or " " not in title:
        return None
    lacking = sorted(wanted)
    also = f"; and `{lacking[0]}`, which a {title} needs, is missing" if lacking else ""
    said = error(
        "unknown-key",
        entry.key.span,
        f"`{name}` belongs to {_a(others[0])}; this is {_a(title)}{also}",
        f"remove `{name}`, or make this {_a(others[0])}",
    )
    return said, set(lacking)


def _near(
    name: str,
    entry: Entry,
    allowed: list[str],
    wanted: set[str],
    where: str,
    look: Callable[[str, list[str]], str | None],
) -> tuple[Diagnostic, set[str]] | None:
    # A key that is missing is the likelier meaning than one that is merely possible.
    close = look(name, sorted(wanted)) or look(name, allowed)
    if close is None:
        return None
    said = error(
        "unknown-key",
        entry.key.span,
        f"unknown key `{name}` in {where}; did you mean `{close}`?",
        f"write `{close}:`; keys allowed here: {', '.join(allowed)}",
    )
    group = next((set(group) for group in _CHOICES if close in group), set())
    return said, {close} | group


def _version(name: str, entry: Entry, path: Path) -> tuple[Diagnostic, set[str]] | None:
    said = elsewhere(name, "", not path)
    if said is None:
        return None
    return error("unknown-key", entry.key.span, f"`{name}` is not known here; {said}", f"remove `{name}`"), set()


def _elsewhere(
    name: str, entry: Entry, path: Path, closed: Mapping[str, Any], where: str
) -> tuple[Diagnostic, set[str]] | None:
    """A key of another tool that has no equal, or whose equal is there already."""
    said = elsewhere(name, str(closed.get("title", "")), not path)
    if said is not None:
        # Who describes a tool by such a key has said what it runs, though not so that it can be run.
        group = next((set(group) for group in _CHOICES if set(group) & closed.get("properties", {}).keys()), set())
        message = f"unknown key `{name}` in {where}; {said}"
        return error("unknown-key", entry.key.span, message, f"remove `{name}` here"), group
    ours = same_key(name, closed.get("properties", {}))
    if ours is None:
        return None
    message = f"unknown key `{name}` in {where}; here it is `{ours}`, which is given already"
    return error("unknown-key", entry.key.span, message, f"remove `{name}`, or put what it says into `{ours}`"), set()


def _mistyped(name: str, allowed: list[str]) -> str | None:
    """The nearest key; none for a word that other tools use, since then it was not mistyped."""
    return None if fold(name) in ELSEWHERE else near(name, allowed)


def _down(shapes: Shapes, path: Path, entry: Entry, name: str, where: str) -> tuple[Diagnostic, set[str]] | None:
    for child, keys, listed in shapes.children(path):
        meant = same_key(name, keys)
        if meant:
            said = error(
                "unknown-key",
                entry.key.span,
                f"unknown key `{name}` in {where}; did you mean `{meant}` in `{child}`?",
                f"write it below `{child}:`, indented: `{'- ' if listed else ''}{meant}: ...`",
            )
            return said, set()
    return None


def _beside(node: MapNode, allowed: list[str]) -> list[str]:
    """The keys that may be added to what stands there."""
    shut = {name for group in _CHOICES if not node.entries.keys().isdisjoint(group) for name in group}
    if "deny" in node.entries:
        shut.add("network")  # what is denied does not run
    return [name for name in allowed if name not in shut]


def _unknown(name: str, entry: Entry, allowed: list[str], where: str) -> tuple[Diagnostic, set[str]]:
    listed = ", ".join(allowed) or "none"
    return error(
        "unknown-key", entry.key.span, f"unknown key `{name}` in {where}", f"keys allowed here: {listed}"
    ), set()


def _a(title: str) -> str:
    return f"{'an' if title.startswith(('a', 'e', 'i', 'o', 'http')) else 'a'} {title}"
