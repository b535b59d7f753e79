"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in string values, filled in after parsing.

A value never becomes YAML: what is filled in stays one string. An unset variable is a diagnostic, never
an empty string in silence. Decides which values are secret; those are masked in every output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from openclaw import bundle
from openclaw.manifest.diagnostic import MOST_TOLD, Diagnostic, Span, error, warning
from openclaw.manifest.nodes import Entry, ListNode, MapNode, Node, Scalar, Unknown
from openclaw.manifest.source import Source
from openclaw.near import near
from openclaw.secrecy import SECRET_NAME, SHAPES

Path = tuple[str | int, ...]

_HOLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_SHORTEST_LITERAL: Final = 16  # a shorter literal under a secret key is a stand-in such as `none`
_OF_DOCUMENTS: Final = re.compile(r"EXAMPLE(?:KEY)?\Z|([A-Za-z0-9])\1{11}")  # nobody's: AWS writes so, and rows of x
MOVE: Final = "move it to an environment variable and write `${NAME}` here"
REPLACE: Final = "delete it here, and have it replaced; a tool gets it by `env` or `with`"


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """The tree with values in place; `secrets` are the strings that no output may hold."""

    root: Node
    diagnostics: tuple[Diagnostic, ...]
    secrets: frozenset[str]
    cut: bool = False  # more mistakes than are put in words


def fill(
    kind: str, root: Node, source: Source, variables: Mapping[str, str] | None, read_file: Callable[[str], bytes | None]
) -> Filled:
    """`variables` None: nobody looks at the environment, and what depends on it is Unknown."""
    filling = _Filling(kind, source, variables, read_file, optional=_without_secret(kind, root))
    filling.off = frozenset(name for name, channel in _channels(kind, root).items() if filling.is_off(channel))
    tree = filling.node(root, ())
    return Filled(tree, tuple(filling.said), frozenset(filling.secrets), filling.cut)


def looks(text: str) -> Iterator[tuple[int, int, str]]:
    """Where something has the shape of a secret, and what it looks like; not what documents show in its place."""
    for pattern, what in SHAPES:
        yield from ((*found.span(), what) for found in pattern.finditer(text) if not is_shown(found[0]))


def is_shown(secret: str) -> bool:
    return _OF_DOCUMENTS.search(secret) is not None


@cache
def secret_keys(kind: str) -> frozenset[str]:
    """Keys whose values are secret: those the schema marks writeOnly."""
    found: set[str] = set()
    todo: list[Any] = [bundle.schema(kind)]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            properties = each.get("properties", {})
            found |= {
                name for name, schema in properties.items() if isinstance(schema, dict) and schema.get("writeOnly")
            }
            todo += each.values()
        elif isinstance(each, list):
            todo += each
    return frozenset(found)


def _channels(kind: str, root: Node) -> dict[str, MapNode]:
    channels = root.get("channels") if kind == "channels" and isinstance(root, MapNode) else None
    if not isinstance(channels, MapNode):
        return {}
    return {name: entry.value for name, entry in channels.entries.items() if isinstance(entry.value, MapNode)}


def _without_secret(kind: str, root: Node) -> frozenset[str]:
    """Channels that take no part where a secret they cannot do without has no value; `enabled: true` insists."""
    return frozenset(name for name, channel in _channels(kind, root).items() if _may_sit_out(channel))


def _may_sit_out(channel: MapNode) -> bool:
    kind, enabled = channel.get("kind"), channel.get("enabled")
    definition = bundle.schema("channels")["$defs"].get(kind.value) if isinstance(kind, Scalar) else None
    needs = {*definition["required"]} & secret_keys("channels") if definition and "required" in definition else set()
    return bool(needs) and not (isinstance(enabled, Scalar) and enabled.value is True)


def takes_none(kind: str, path: Path) -> bool:
    """Whether the value at a path is one that placeholders never stand in."""
    match kind:
        case "agent" | "defaults":
            return path[:1] in [(key,) for key in ("name", "description", "instructions", "tools", "policy", "prefix")]
        case "tools":
            return path[:1] == ("policies",) or path[2:3] in [
                (key,) for key in ("description", "shell", "python", "input")
            ]
        case "policies":
            return True
        case "heartbeats":  # what a check is called with may have an input of any name
            return path[2:] in (("prompt",), ("check", "tool"))
        case _:
            return "prompt" in path


@dataclass(slots=True, eq=False)
class _Filling:
    """One manifest being filled in, with what was found amiss on the way."""

    kind: str
    source: Source
    variables: Mapping[str, str] | None
    read_file: Callable[[str], bytes | None]
    said: list[Diagnostic] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    cut: bool = False
    optional: frozenset[str] = frozenset()  # channels whose unset secrets are no mistake
    off: frozenset[str] = frozenset()  # channels of which nothing unset is a mistake
    idle: bool = False  # while something of these is filled in
    lenient: bool = False  # or a secret of those

    def is_off(self, channel: MapNode) -> bool:
        """Whether `enabled` says so, once it is filled in; what is wrong with it is told elsewhere."""
        switch = channel.get("enabled")
        if isinstance(switch, Scalar) and isinstance(switch.value, str):
            switch = _Filling(self.kind, self.source, self.variables, self.read_file).scalar(switch, ("enabled",))
        return isinstance(switch, Scalar) and (switch.value is False or (switch.filled and switch.value == "false"))

    def node(self, node: Node, path: Path) -> Node:
        match node:
            case Scalar(value=str()):
                return self.scalar(node, path)
            case Scalar(value=int() | float()) if path[-1:] and path[-1] in secret_keys(self.kind):
                self.secrets.add(node.text)  # a secret of figures alone that wants quotes
                return replace(node, secret=True)
            case ListNode(items, span):
                return ListNode(tuple(self.node(item, (*path, index)) for index, item in enumerate(items)), span)
            case MapNode(entries, span):
                return MapNode(
                    {name: Entry(each.key, self.node(each.value, (*path, name))) for name, each in entries.items()},
                    span,
                )
            case _:
                return node

    def scalar(self, node: Scalar, path: Path) -> Scalar:
        secret = any(step in secret_keys(self.kind) for step in path[-1:])
        literal = self._literal(node, path, secret)
        if literal is not None:
            self.said.append(literal)
            self.secrets.add(str(node.value))
            return replace(node, secret=True)
        if "${" not in node.value:
            if secret:
                self.secrets.add(node.value)
            return replace(node, secret=secret) if secret else node
        if takes_none(self.kind, path):
            return self._refuse(node, path)
        channel = path[1] if path[:1] == ("channels",) and len(path) > 1 else None
        self.idle = channel in self.off
        self.lenient = self.idle or (secret and channel in self.optional)
        return self._filled(node, secret)

    def _refuse(self, node: Scalar, path: Path) -> Scalar:
        for hole in _HOLE.finditer(node.value):
            if hole[0] != "$${":
                key = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
                self.said.append(
                    error(
                        "placeholder-place",
                        self._span(node, hole),
                        f"`{key}` takes no placeholders; `{hole[0]}` would stay as it is",
                        "write the value itself, or `$${` for a plain `${`",
                    )
                )
                return replace(node, value=Unknown)
        return replace(node, value=node.value.replace("$${", "${"))

    def _filled(self, node: Scalar, secret: bool) -> Scalar:
        parts: list[str] = []
        hidden: list[str] = []
        unknown, secret_in_it, at = False, False, 0
        for hole in _HOLE.finditer(node.value):
            parts.append(node.value[at : hole.start()])
            at = hole.end()
            value, is_secret = ("${", False) if hole[0] == "$${" else self._value(node, hole, secret)
            unknown, secret_in_it = unknown or value is None, secret_in_it or is_secret
            hidden += [value] if value and is_secret else []
            parts.append(value or "")
        parts.append(node.value[at:])
        text = "".join(parts)
        found = Unknown if unknown else text
        return replace(node, value=found, secret=secret_in_it, filled=True, hidden=tuple(hidden))

    def _value(self, node: Scalar, hole: re.Match[str], secret: bool) -> tuple[str | None, bool]:
        """What one placeholder stands for and whether it is secret; None where that is not known."""
        inside, closed = hole[1], hole[2]
        if not closed:
            word = re.match(r"[A-Za-z_][A-Za-z0-9_]*", inside)
            self.said.append(
                error(
                    "placeholder",
                    self._span(node, hole),
                    "`${` is never closed",
                    f"write `${{{word.group() if word else 'NAME'}}}`",
                )
            )
            return None, secret
        if inside.startswith("file:"):
            return self._file(node, hole, inside.removeprefix("file:"))
        name = _NAME.fullmatch(inside)
        if name is None:
            word = re.search(r"[A-Za-z_][A-Za-z0-9_]*$", inside)
            self.said.append(
                error(
                    "placeholder",
                    self._span(node, hole),
                    f"`{hole[0][:60]}` is not a placeholder",
                    f"write `${{{word.group() if word else 'NAME'}}}` or `${{NAME:-default}}`",
                )
            )
            return None, secret
        return self._variable(node, hole, name[1], name[2], secret)

    def _variable(
        self, node: Scalar, hole: re.Match[str], name: str, default: str | None, secret: bool
    ) -> tuple[str | None, bool]:
        value = (self.variables or {}).get(name)
        if value:
            hidden = secret or bool(SECRET_NAME.fullmatch(name))
            if hidden:
                self.secrets.add(value)
            return value, hidden
        if default is not None:
            return default, False
        if self.variables is not None and not self.lenient:
            if len(self.said) < MOST_TOLD:
                self.said.append(self._unset(name, value, self._span(node, hole)))
            else:
                self.cut = True
        return None, secret

    def _unset(self, name: str, value: str | None, span: Span) -> Diagnostic:
        what = "is not set" if value is None else "is set, but empty"
        close = near(name, [key for key in self.variables or {} if not key.startswith("_")])
        hint = f"; did you mean `{close}`?" if close and value is None else ""
        return error(
            "variable-unset",
            span,
            f"environment variable `{name}` {what}{hint}",
            f"set it, or give a default: `${{{name}:-...}}`",
        )

    def _file(self, node: Scalar, hole: re.Match[str], path: str) -> tuple[str | None, bool]:
        if self.variables is None:
            return None, True
        content = self.read_file(path)
        try:
            text = None if content is None else content.decode("utf-8")
        except UnicodeDecodeError:
            text = None
        if content is None and self.idle:
            return None, True
        if text is None or "\0" in text:
            self.said.append(
                error(
                    "secret-file",
                    self._span(node, hole),
                    f"no file `{path}` that can be read as text",
                    "create it, or correct the path; it is relative to the project, or absolute",
                )
            )
            return None, True
        value = text.removesuffix("\n").removesuffix("\r")
        self.secrets.add(value)
        return value, True

    def _span(self, node: Scalar, hole: re.Match[str]) -> Span:
        return self.source.inside(node.start, node.end, node.style, node.value, hole.start(), len(hole[0]))

    def _literal(self, node: Scalar, path: Path, secret: bool) -> Diagnostic | None:
        found = next((what for _, _, what in looks(node.value)), None)
        cure = REPLACE if takes_none(self.kind, path) else MOVE
        if found:
            return error("secret-literal", node.span, f"this looks like {found}", cure)
        if secret and len(node.value) >= _SHORTEST_LITERAL and "${" not in node.value:
            return warning("secret-literal", node.span, "a secret stands here in plain text", cure)
        return None
