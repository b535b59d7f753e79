"""What stands behind a snapshot: each value as it was written, and where; each variable, and who names it.

Its law: a secret is never shown, and what a placeholder stands in is shown as it was written, whoever holds the
value. Knows the manifests that were compiled; compares nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from openclaw.manifest.diagnostic import Span
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, texts
from openclaw.manifest.placeholders import secret_keys
from openclaw.manifest.policies import all_rules
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.agents import default_soul, soul_path
from openclaw.manifest.snapshot import Snapshot
from openclaw.permissions.policy import Origin
from openclaw.secrecy import SECRET_NAME

_KINDS = ("agent", "tool", "policy", "channel", "person", "room", "heartbeat", "model")
_SECRET_KEYS = {"agent": "agent", "tool": "tools", "policy": "policies", "heartbeat": "heartbeats", "model": "models"}
_HOLE = re.compile(r"\$\$\{|\$\{(?:file:(?P<file>[^}]*)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?)\}")
HIDDEN = "***"
_SECRETIVE = re.compile(r"(?:.*[_-])?(?:token|key|secret|password)", re.IGNORECASE)
_TELLING = re.compile(r"token|secret|pass|pwd|credential|auth|cookie|bearer|signature|keys?$", re.IGNORECASE)
"""Names of what is secret, in arguments and variables whose names no schema knows."""
_OWN_NAMES = {"tool": ("with.", "env."), "heartbeat": ("check.input.",)}
CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""The name and password within an address."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value in a manifest. `shown` is fit for anybody, and so are `items`, those of a list; `veiled`: what it comes
    to is not, or nobody looked. `raw` is the very text: for comparing, and for nothing else."""

    shown: str
    origin: Origin
    veiled: bool = False
    items: tuple[str, ...] | None = None
    raw: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """One place that names a variable or a file of a secret. `where` is `channel telegram: token`."""

    where: str
    origin: Origin
    secret: bool
    default: bool  # it can do without


Call: TypeAlias = tuple[str, str | Mapping[str, Any]]
"""A tool, "" for any that takes a command; and a command, or arguments."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A snapshot with what its manifests say, word for word: by kind and name, then by key with dots."""

    snapshot: Snapshot
    written: Mapping[tuple[str, str], Mapping[str, Written]] = field(default_factory=dict)
    variables: Mapping[str, tuple[Named, ...]] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()  # that somebody thought worth judging: in tests of rules, and in scenarios


def stated(snapshot: Snapshot, project: Project) -> Stated:
    written = {(kind, one.name): dict(_below(one.node, kind, "")) for kind, one in _definitions(project)}
    found: dict[str, list[Named]] = {}
    for kind, one in _definitions(project):
        for name, named in _holes(one.node, kind, f"{kind} {one.name}"):
            found.setdefault(name, []).append(named)
    variables = {name: tuple(places) for name, places in sorted(found.items())}
    return Stated(snapshot, written, variables, tuple(_tested(project)))


def _tested(project: Project) -> Iterator[Call]:
    """The commands in tests of rules."""
    for rule in all_rules(project):
        tests = rule.node.get("tests")
        for name in ("match", "no_match"):
            texts_of = texts(tests.get(name)) if isinstance(tests, MapNode) else []
            yield from (("", str(each.value)) for each in texts_of)


def _definitions(project: Project) -> Iterator[tuple[str, Definition]]:
    yield from ((kind, one) for kind in _KINDS for one in project.all(kind).values())
    root = project.roots.get("heartbeats.yaml")
    if root is not None and isinstance(found := root.get("defaults"), MapNode):
        yield "heartbeat", Definition("(defaults)", root.key("defaults"), found)


def _below(node: MapNode, kind: str, before: str) -> Iterator[tuple[str, Written]]:
    for name, entry in node.entries.items():
        key, at = f"{before}{name}", _at(entry.key.span)
        if isinstance(entry.value, MapNode) and entry.value.entries:
            yield from _below(entry.value, kind, f"{key}.")
        else:
            yield key, _written(entry.value, kind, key, at)


def _written(node: Node, kind: str, key: str, at: Origin) -> Written:
    items = tuple(_shown(item, kind, key) for item in node.items) if isinstance(node, ListNode) else None
    return Written(_shown(node, kind, key), at, _veiled(node, kind, key), items, _raw(node))


def _shown(node: Node, kind: str, key: str) -> str:
    match node:
        case Scalar(text=text):
            return _struck(text) if _secret(node, kind, key) else CREDENTIALS.sub(HIDDEN, _HOLE.sub(_without, text))
        case ListNode(items):
            return f"[{', '.join(_shown(item, kind, key) for item in items)}]"
        case MapNode(entries):
            inner = (f"{name}: {_shown(entry.value, kind, f'{key}.{name}')}" for name, entry in entries.items())
            return f"{{{', '.join(inner)}}}"


def _without(hole: re.Match[str]) -> str:
    """A placeholder without its default, where the variable is a secret."""
    return _bare(hole) if hole["name"] and SECRET_NAME.fullmatch(hole["name"]) else hole[0]


def _bare(hole: re.Match[str]) -> str:
    return hole[0] if hole["default"] in (None, ":-") else f"${{{hole['name']}:-{HIDDEN}}}"


def _struck(text: str) -> str:
    """Of a secret nothing but the names of the variables and files that it comes from."""
    found, at = "", 0
    for hole in _HOLE.finditer(text):
        if hole[0] != "$${":
            found += (HIDDEN if hole.start() > at else "") + _bare(hole)
            at = hole.end()
    return found + (HIDDEN if at < len(text) else "")


def _raw(node: Node) -> str:
    match node:
        case Scalar(text=text):
            return repr(text)
        case ListNode(items):
            return f"[{', '.join(map(_raw, items))}]"
        case MapNode(entries):
            return f"{{{', '.join(f'{name!r}: {_raw(entry.value)}' for name, entry in entries.items())}}}"


def _secret(node: Scalar, kind: str, key: str) -> bool:
    name = key.rpartition(".")[2]
    own = any(key.startswith(before) for before in _OWN_NAMES.get(kind, ()))
    known = name in secret_keys(_SECRET_KEYS.get(kind, "channels")) or _SECRETIVE.fullmatch(name) is not None
    return node.secret or known or (own and any(map(_TELLING.search, key.split(".")[1:])))


def _veiled(node: Node, kind: str, key: str) -> bool:
    match node:
        case Scalar(filled=filled, text=text):
            return filled or _secret(node, kind, key) or CREDENTIALS.search(text) is not None
        case ListNode(items):
            return any(_veiled(item, kind, key) for item in items)
        case MapNode(entries):
            return any(_veiled(entry.value, kind, f"{key}.{name}") for name, entry in entries.items())


def _holes(node: Node, kind: str, where: str) -> Iterator[tuple[str, Named]]:
    match node:
        case Scalar(text=text, filled=True):
            yield from _named(node, text, where, kind)
        case ListNode(items):
            for item in items:
                yield from _holes(item, kind, where)
        case MapNode(entries):
            for name, entry in entries.items():
                yield from _holes(entry.value, kind, f"{where}{'.' if ':' in where else ': '}{name}")
        case _:
            return


def _named(node: Scalar, text: str, where: str, kind: str) -> Iterable[tuple[str, Named]]:
    key = where.rpartition(".")[2].rpartition(": ")[2]
    by_key = key in secret_keys(_SECRET_KEYS.get(kind, "channels"))
    for hole in _HOLE.finditer(text):
        if hole["name"]:
            secret = by_key or SECRET_NAME.fullmatch(hole["name"]) is not None
            yield hole["name"], Named(where, _at(node.span), secret, hole["default"] is not None)
        elif hole["file"] is not None:
            yield f"file:{hole['file']}", Named(where, _at(node.span), True, False)


def _at(span: Span) -> Origin:
    return Origin(span.file, span.line, span.column)


def souls(project: Project, agent: str) -> tuple[tuple[str, int], ...]:
    """The files an agent's soul is read from, with their bytes; none where it is the built-in one."""
    one = project.all("agent")[agent]
    named = one.texts("soul")
    paths = [soul_path(each) for each in named] or [default_soul(one)]
    look = project.folder.read_file if named else project.folder.files.get
    read = [(path, look(path)) for path in paths if path]
    return tuple((path, len(content)) for path, content in read if content is not None)


def inherited(key: str, project: Project) -> Origin | None:
    """Where a value of an agent stands that neither it nor its folders state; None for one that is built in."""
    places = {"model": ("models.yaml", ("default",)), "session.timezone": ("heartbeats.yaml", ("defaults", "timezone"))}
    file, path = places.get(key, ("", ()))
    node: Node | None = project.roots.get(file)
    at = None
    for step in path:
        if not isinstance(node, MapNode) or step not in node.entries:
            return None
        at, node = node.key(step), node.get(step)
    return None if at is None else _at(at)
