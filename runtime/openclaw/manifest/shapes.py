"""Which keys belong where: the schema of a kind, walked along a path with the manifest at hand.

Follows references and the branches that `if`, `then` and `else` choose. Knows nothing of diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openclaw import bundle
from openclaw.manifest.nodes import MapNode, descend, plain

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _At:
    """A schema and the kind whose file it stands in, which its references are relative to."""

    kind: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shapes:
    kind: str

    def keys(self, root: MapNode, path: Path) -> dict[str, Any]:
        """The properties that the mapping at `path` may have."""
        found: dict[str, Any] = {}
        for at in self._along(root, path):
            found |= at.schema.get("properties", {})
        return found

    def property(self, root: MapNode, path: Path, name: str) -> Mapping[str, Any]:
        """The schema of one property, its reference followed."""
        for at in self._along(root, path):
            if name in at.schema.get("properties", {}):
                return _followed(_At(at.kind, at.schema["properties"][name])).schema
        return {}

    def title(self, root: MapNode, path: Path) -> str:
        """What the mapping at `path` is, in a word or two."""
        titles = [str(at.schema["title"]) for at in self._along(root, path) if "title" in at.schema]
        return titles[-1] if titles else ""

    def children(self, root: MapNode, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each key of the mapping at `path` that holds a mapping of known keys, with those."""
        for at in self._along(root, path):
            for name, child in at.schema.get("properties", {}).items():
                inner = _followed(_At(at.kind, child)).schema.get("properties")
                if inner:
                    yield name, inner

    def siblings(self, key: str) -> Iterator[str]:
        """Titles of the other branches of this kind's file that have such a key."""
        definitions = bundle.schema(self.kind).get("$defs", {}) | bundle.schema("policies").get("$defs", {})
        for definition in definitions.values():
            if key in definition.get("properties", {}) and "title" in definition:
                yield str(definition["title"])

    def _along(self, root: MapNode, path: Path) -> list[_At]:
        here = _applicable(_At(self.kind, bundle.schema(self.kind)), plain(root))
        for index, step in enumerate(path):
            below = [child for at in here for child in _child(at, step)]
            value = plain(descend(root, path[: index + 1]))
            here = [each for child in below for each in _applicable(child, value)]
        return here


def _child(at: _At, step: str | int) -> Iterator[_At]:
    if isinstance(step, int):
        if "items" in at.schema:
            yield _At(at.kind, at.schema["items"])
    elif step in at.schema.get("properties", {}):
        yield _At(at.kind, at.schema["properties"][step])
    elif isinstance(at.schema.get("additionalProperties"), Mapping):
        yield _At(at.kind, at.schema["additionalProperties"])


def _followed(at: _At) -> _At:
    while "$ref" in at.schema:
        file, _, pointer = str(at.schema["$ref"]).partition("#")
        kind = file.removesuffix(".schema.json") or at.kind
        schema: Any = bundle.schema(kind)
        for step in pointer.strip("/").split("/"):
            schema = schema[step]
        at = _At(kind, schema)
    return at


def _applicable(at: _At, value: Any) -> list[_At]:
    """The schema itself and every branch of it that applies to the value."""
    at = _followed(at)
    found = [at]
    for part in at.schema.get("allOf", ()):
        found += _applicable(_At(at.kind, part), value)
    if "if" in at.schema:
        branch = at.schema.get("then" if _holds(at.schema["if"], value) else "else")
        if branch is not None:
            found += _applicable(_At(at.kind, branch), value)
    return found


def _holds(condition: Mapping[str, Any], value: Any) -> bool:
    from jsonschema import Draft202012Validator

    return bool(Draft202012Validator(condition).is_valid(value))
