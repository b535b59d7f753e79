"""Whether values conform to our JSON Schemas (2020-12): every violated keyword, with its path and its schema.

Only the keywords that our schemas use, and those of tools' inputs; tests hold it to the jsonschema package on all of
them, and our schemas to no others. Importing that package takes half of what `validate` may take as a whole.
Values that are Unknown conform to everything. Words and positions are others' business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from openclaw import bundle
from openclaw.manifest.nodes import Unknown

Path: TypeAlias = tuple[str | int, ...]
Schema: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """One violated keyword: where, by which schema. `name` is the key where its name is at fault."""

    path: Path
    keyword: str
    schema: Schema
    name: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class At:
    """A schema and the kind whose file it stands in, which its references are relative to."""

    kind: str
    schema: Schema


def faults(kind: str, value: Any) -> Iterator[Fault]:
    return _check(At(kind, bundle.schema(kind)), value, ())


def misfits(schema: Schema, value: Any) -> Iterator[Fault]:
    """Of a value against any schema without references, such as a tool's."""
    return _check(At("", schema), value, ())


def followed(at: At) -> At:
    """The schema itself, once no reference is left."""
    while "$ref" in at.schema:
        at = _target(at.kind, str(at.schema["$ref"]))
    return at


def branches(at: At, value: Any) -> Iterator[At]:
    """What `allOf` and `if` add to a schema for this value."""
    for part in at.schema.get("allOf", ()):
        yield At(at.kind, part)
    if "if" in at.schema:
        holds = next(_check(At(at.kind, at.schema["if"]), value, ()), None) is None
        branch = at.schema.get("then" if holds else "else")
        if branch is not None:
            yield At(at.kind, branch)


def takes(schema: Schema, name: str) -> bool:
    """Whether a closed schema has such a key. What a pattern allows is anything: an extension, read by nobody here."""
    patterns = schema.get("patternProperties", ())
    return name in schema.get("properties", {}) or any(_expression(pattern).search(name) for pattern in patterns)


@cache
def _target(kind: str, reference: str) -> At:
    file, _, pointer = reference.partition("#")
    kind = file.removesuffix(".schema.json") or kind
    schema: Any = bundle.schema(kind)
    for step in pointer.strip("/").split("/"):
        schema = schema[step]
    return At(kind, schema)


def _check(at: At, value: Any, path: Path) -> Iterator[Fault]:
    if value is Unknown:
        return
    at = followed(at)
    for keyword, wanted in at.schema.items():
        judge = _JUDGES.get(keyword)
        if judge is not None and not judge(value, wanted):
            yield Fault(path, keyword, at.schema)
    if isinstance(value, dict):
        yield from _members(at, value, path)
    elif isinstance(value, list):
        yield from _items(at, value, path)
    for branch in branches(at, value):
        yield from _check(branch, value, path)


def _items(at: At, value: list[Any], path: Path) -> Iterator[Fault]:
    first = at.schema.get("prefixItems", ())
    others = at.schema.get("items", True)
    for index, item in enumerate(value):
        schema = first[index] if index < len(first) else others
        if isinstance(schema, dict):
            yield from _check(At(at.kind, schema), item, (*path, index))
    if others is False and len(value) > len(first):
        yield Fault(path, "items", at.schema)


def _members(at: At, value: dict[str, Any], path: Path) -> Iterator[Fault]:
    known = at.schema.get("properties", {})
    others = at.schema.get("additionalProperties", True)
    for name, member in value.items():
        if name in known:
            yield from _check(At(at.kind, known[name]), member, (*path, name))
        elif isinstance(others, dict):
            yield from _check(At(at.kind, others), member, (*path, name))
    names = at.schema.get("propertyNames")
    if names is not None:
        for name in value:
            for fault in _check(At(at.kind, names), name, ()):
                yield Fault(path, "propertyNames", fault.schema, name)
    if others is False and not all(takes(at.schema, name) for name in value):
        yield Fault(path, "additionalProperties", at.schema)


# ── one function, one keyword ────────────────────────────────────────────────────────────────────

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: _is_number(value),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(value: Any, wanted: str | list[str]) -> bool:
    return any(_TYPES[each](value) for each in ([wanted] if isinstance(wanted, str) else wanted))


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _unique(value: Any) -> bool:
    if not isinstance(value, list):
        return True
    keys = [(isinstance(item, bool), item) if isinstance(item, str | int | float) else repr(item) for item in value]
    return len(set(keys)) == len(keys)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    # In Python `$` also stands before a final line break; in JSON Schema it does not.
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern)


def _one_of(value: Any, choices: list[Schema]) -> bool:
    """Our schemas choose by which keys are there."""
    return sum(not isinstance(value, dict) or all(key in value for key in each["required"]) for each in choices) == 1


def _any_of(value: Any, choices: list[Schema]) -> bool:
    return any(next(misfits(each, value), None) is None for each in choices)


_JUDGES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "type": _type,
    "enum": lambda value, wanted: any(_same(value, each) for each in wanted),
    "const": _same,
    "pattern": lambda value, wanted: not isinstance(value, str) or bool(_expression(wanted).search(value)),
    "minLength": lambda value, wanted: not isinstance(value, str) or len(value) >= wanted,
    "minimum": lambda value, wanted: not _is_number(value) or value >= wanted,
    "maximum": lambda value, wanted: not _is_number(value) or value <= wanted,
    "exclusiveMinimum": lambda value, wanted: not _is_number(value) or value > wanted,
    "maxLength": lambda value, wanted: not isinstance(value, str) or len(value) <= wanted,
    "maxItems": lambda value, wanted: not isinstance(value, list) or len(value) <= wanted,
    "minItems": lambda value, wanted: not isinstance(value, list) or len(value) >= wanted,
    "uniqueItems": lambda value, wanted: not wanted or _unique(value),
    "minProperties": lambda value, wanted: not isinstance(value, dict) or len(value) >= wanted,
    "required": lambda value, wanted: not isinstance(value, dict) or all(key in value for key in wanted),
    "oneOf": _one_of,
    "anyOf": _any_of,
}
KEYWORDS: Final = frozenset(_JUDGES) | {
    "$ref", "properties", "patternProperties", "additionalProperties", "propertyNames", "items", "prefixItems",
    "allOf", "if", "then", "else",
}  # fmt: skip
