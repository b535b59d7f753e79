"""A scenario file to values: what is given, and the cases, each with its place; and what a judged case comes to.

Read as manifests are: the same strict YAML, the same words for a misspelt key or a wrong type, positions in all of
it. A case that asserts nothing is a mistake, and so is one that could not be judged. Judges nothing itself, and
knows no project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from openclaw.manifest.diagnostic import Diagnostic, Span
from openclaw.manifest.nodes import MapNode, Node, descend, plain
from openclaw.manifest.source import Source
from openclaw.scenarios.check import Shaped, shaped
from openclaw.scenarios.sense import elements, moment

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in its file: keys and numbers from the top."""


@dataclass(frozen=True, slots=True)
class Place:
    """By whom and where something is said, as written; None is what was not."""

    sender: str | None = None  # a person's name or an address
    channel: str | None = None
    room: str | None = None
    chat: str | None = None  # a group's own id, where it is no room


@dataclass(frozen=True, slots=True)
class Given:
    """What holds for every case that does not say otherwise."""

    now: datetime | None = None
    place: Place = Place()
    agent: str | None = None
    tainted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What every case has: its place, where it stands in the tree, and the tree below it."""

    span: Span
    path: Path
    node: MapNode

    def at(self, *steps: str | int) -> Span:
        """The place of a value below the case; of the case itself where there is none."""
        try:
            return descend(self.node, steps).span
        except (KeyError, IndexError):
            return self.span


@dataclass(frozen=True, slots=True, eq=False)
class RouteCase(Case):
    text: str
    place: Place
    agent: str | None  # the one a program names
    choice: str | None  # the one picked with /agent
    paired: bool
    expect: Mapping[str, str]  # of agent, text, session, refused


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCase(Case):
    agents: tuple[str, ...] | None  # ("*",) is each
    tool: str
    calls: tuple[str | Mapping[str, Any], ...]  # command lines, or arguments
    place: Place
    heartbeat: str | None
    tainted: bool | None
    now: datetime | None
    expect: str
    rule: str | None
    approvers: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, eq=False)
class ScheduleCase(Case):
    heartbeat: str
    now: datetime | None
    until: datetime | None
    fires: tuple[datetime, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """`kind` is user, heartbeat, model, expect, approve, advance, restart or reload; `value` is plain."""

    kind: str
    value: Any
    span: Span
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Conversation(Case):
    name: str
    given: Given  # its own over the file's
    tools: Mapping[str, Any]  # stubs: tool -> text, {text, error}, or a list of these
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One file that can be judged."""

    file: str
    given: Given
    routes: tuple[RouteCase, ...]
    decisions: tuple[DecisionCase, ...]
    schedules: tuple[ScheduleCase, ...]
    conversations: tuple[Conversation, ...]
    root: MapNode
    source: Source

    @property
    def cases(self) -> Sequence[Case]:
        """All of them, as they stand in the file."""
        every: list[Case] = [*self.routes, *self.decisions, *self.schedules, *self.conversations]
        return sorted(every, key=lambda case: (case.span.line, case.span.column))


# ── what comes of a case ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that does not hold: all of it in words, a line each."""

    span: Span  # of the expectation
    expected: tuple[str, ...]
    got: tuple[str, ...]
    given: tuple[str, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Correction:
    """What a recorded expectation would have to be: the value at `path` in its file, plain."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Used:
    """What decided: names of ways (`agent main`, `prefix /research`, `channel discord`), and places of rules."""

    ways: frozenset[str] = frozenset()
    rules: frozenset[tuple[str, int, int]] = frozenset()  # file, line, column

    def __or__(self, other: Used) -> Used:
        return Used(self.ways | other.ways, self.rules | other.rules)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A judged case. `corrections` would make it pass; empty where nothing recorded can be corrected."""

    section: str  # routes, decisions, schedules, conversations
    name: str
    span: Span
    failures: tuple[Failure, ...] = ()
    corrections: tuple[Correction, ...] = ()
    used: Used = Used()

    @property
    def passed(self) -> bool:
        return not self.failures


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def read(file: str, content: bytes) -> Scenario | tuple[Diagnostic, ...]:
    """One file by itself: its cases, or what is wrong with it. Never raises, whatever the bytes."""
    found = shaped(file, content)
    return found.diagnostics or scenario(file, found)


def scenario(file: str, found: Shaped) -> Scenario:
    """Of a file without mistakes."""
    assert found.root is not None
    return _scenario(file, found.root, found.source)


def _scenario(file: str, root: MapNode, source: Source) -> Scenario:
    given = _given(root.get("given"), Given())
    return Scenario(
        file,
        given,
        tuple(_route(number, node) for number, node in elements(root.get("routes"))),
        tuple(_decision(number, node) for number, node in elements(root.get("decisions"))),
        tuple(_schedule(number, node) for number, node in elements(root.get("schedules"))),
        tuple(_conversations(root.get("conversations"), given)),
        root,
        source,
    )


def _place(value: Mapping[str, Any], above: Place = Place()) -> Place:
    return Place(
        value.get("from", above.sender),
        value.get("channel", above.channel),
        value.get("room", above.room),
        value.get("chat", above.chat),
    )


def _given(node: Node | None, above: Given) -> Given:
    value = plain(node) if node is not None else {}
    now = moment(value["now"]) if "now" in value else above.now
    place = _place(value, above.place)
    return Given(now, place, value.get("agent", above.agent), value.get("tainted", above.tainted))


def _route(number: int, node: MapNode) -> RouteCase:
    value = plain(node)
    return RouteCase(
        node.span,
        ("routes", number),
        node,
        value["text"],
        _place(value),
        value.get("agent"),
        value.get("choice"),
        value.get("paired", False),
        value["expect"],
    )


def _decision(number: int, node: MapNode) -> DecisionCase:
    value = plain(node)
    return DecisionCase(
        node.span,
        ("decisions", number),
        node,
        _listed(value.get("agent")),
        value.get("tool", "run_command"),
        tuple(_each(value.get("command", value.get("input", {})))),
        _place(value),
        value.get("heartbeat"),
        value.get("tainted"),
        moment(value["now"]) if "now" in value else None,
        value["expect"],
        value.get("rule"),
        _listed(value.get("approvers")),
    )


def _schedule(number: int, node: MapNode) -> ScheduleCase:
    value = plain(node)
    now, until = (moment(value[key]) if key in value else None for key in ("now", "until"))
    fires = tuple(map(moment, value["expect"]["fires"]))
    return ScheduleCase(node.span, ("schedules", number), node, value["heartbeat"], now, until, fires)


def _conversations(node: Node | None, given: Given) -> Iterator[Conversation]:
    if not isinstance(node, MapNode):
        return
    for name, entry in node.entries.items():
        assert isinstance(entry.value, MapNode)
        path: Path = ("conversations", name)
        own = _given(entry.value.get("given"), given)
        tools = entry.value.get("tools")
        steps = tuple(
            Step(
                next(iter(step.entries)),
                plain(next(iter(step.entries.values())).value),
                step.first,
                (*path, "steps", at),
            )
            for at, step in elements(entry.value.get("steps"))
        )
        yield Conversation(entry.key.span, path, entry.value, name, own, plain(tools) if tools else {}, steps)


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _listed(value: Any) -> tuple[str, ...] | None:
    return None if value is None else tuple(_each(value))
