"""Which keys belong where: the schema of a kind, walked along a path with the manifest at hand.

Follows references and the branches that `if`, `then` and `else` choose. Remembers each path it has walked, so
that many mistakes cost no more than the manifest is long. Knows nothing of diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw import bundle
from openclaw.manifest.conform import At, Path, branches, followed
from openclaw.manifest.nodes import MapNode, plain


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Of one manifest."""

    kind: str
    root: MapNode
    _walked: dict[Path, tuple[Any, list[At]]] = field(default_factory=dict)  # the value at a path, its schemas

    def keys(self, path: Path) -> dict[str, Any]:
        """The properties that the mapping at `path` may have."""
        found: dict[str, Any] = {}
        for at in self._along(path):
            found |= at.schema.get("properties", {})
        return found

    def property(self, path: Path, name: str) -> Mapping[str, Any]:
        """The schema of one property, its reference followed."""
        for at in self._along(path):
            if name in at.schema.get("properties", {}):
                return followed(At(at.kind, at.schema["properties"][name])).schema
        return {}

    def title(self, path: Path) -> str:
        """What the mapping at `path` is, in a word or two."""
        titles = [str(at.schema["title"]) for at in self._along(path) if "title" in at.schema]
        return titles[-1] if titles else ""

    def children(self, path: Path) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Each key of the mapping at `path` that holds known keys, with those, and whether it holds them in a list."""
        for at in self._along(path):
            for name, child in at.schema.get("properties", {}).items():
                inner = followed(At(at.kind, child))
                listed = "items" in inner.schema
                keys = (
                    _possible(At(inner.kind, inner.schema["items"])) if listed else inner.schema.get("properties", {})
                )
                if keys:
                    yield name, keys, listed

    def siblings(self, key: str) -> Iterator[str]:
        """Titles of the other branches of this kind's file that have such a key."""
        definitions = bundle.schema(self.kind).get("$defs", {}) | bundle.schema("policies").get("$defs", {})
        for definition in definitions.values():
            if key in definition.get("properties", {}) and "title" in definition:
                yield str(definition["title"])

    def suggested(self, path: Path, node: MapNode) -> tuple[str, str] | None:
        """A key of a mapping without its kind that only one kind has, and that kind."""
        title = self.title(path)
        kinds = {
            name: definition["properties"]
            for name, definition in bundle.schema(self.kind).get("$defs", {}).items()
            if definition.get("title") == f"{name} {title}"
        }
        for key in node.entries:
            having = [name for name, keys in kinds.items() if key in keys]
            if len(having) == 1:
                return key, having[0]
        return None

    def _along(self, path: Path) -> list[At]:
        return self._walk(path)[1]

    def _walk(self, path: Path) -> tuple[Any, list[At]]:
        if path not in self._walked:
            self._walked[path] = self._step(path)
        return self._walked[path]

    def _step(self, path: Path) -> tuple[Any, list[At]]:
        if not path:
            value = plain(self.root)
            return value, _applicable(At(self.kind, bundle.schema(self.kind)), value)
        above, schemas = self._walk(path[:-1])
        value = above[path[-1]]
        below = [child for at in schemas for child in _child(at, path[-1])]
        return value, [each for child in below for each in _applicable(child, value)]


def _child(at: At, step: str | int) -> Iterator[At]:
    if isinstance(step, int):
        if "items" in at.schema:
            yield At(at.kind, at.schema["items"])
    elif step in at.schema.get("properties", {}):
        yield At(at.kind, at.schema["properties"][step])
    elif isinstance(at.schema.get("additionalProperties"), Mapping):
        yield At(at.kind, at.schema["additionalProperties"])


def _possible(at: At) -> dict[str, Any]:
    """The keys of a mapping whatever branch applies to it."""
    at = followed(at)
    found = dict(at.schema.get("properties", {}))
    for keyword in ("then", "else"):
        if keyword in at.schema:
            found |= _possible(At(at.kind, at.schema[keyword]))
    return found


def _applicable(at: At, value: Any) -> list[At]:
    """The schema itself and every branch of it that applies to the value."""
    at = followed(at)
    return [at, *(found for branch in branches(at, value) for found in _applicable(branch, value))]
