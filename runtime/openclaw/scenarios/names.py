"""The names in scenario files against the project: agents, tools, heartbeats, channels, rooms, people, rules' ids.

Told in the words that manifests' own references get. What a broken manifest may define is no mistake here, nor in a
conversation what its own edits define, and what has had a diagnostic for its shape gets no other. Judges no case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from openclaw.manifest.diagnostic import Diagnostic, error
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.gather import gather
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, texts
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.policies import refer_person
from openclaw.near import near
from openclaw.scenarios.sense import elements

_Rule: TypeAlias = Callable[[Project, Scalar], Iterator[Diagnostic]]


def check(project: Project, root: MapNode) -> Iterator[Diagnostic]:
    yield from _mapping(project, root.get("given"), _GIVEN)
    for _, case in elements(root.get("routes")):
        yield from _route(project, case)
    for _, case in elements(root.get("decisions")):
        yield from _mapping(project, case, _DECISION)
    for _, case in elements(root.get("schedules")):
        yield from _mapping(project, case, _SCHEDULE)
    conversations = root.get("conversations")
    for entry in conversations.entries.values() if isinstance(conversations, MapNode) else ():
        yield from _conversation(project, entry.value)


def _route(project: Project, case: MapNode) -> Iterator[Diagnostic]:
    """An agent that is not there may be named by a program that is to be refused."""
    expect = case.get("expect")
    refused = isinstance(expect, MapNode) and "refused" in expect.entries
    yield from _mapping(project, case, _PLACE if refused else _ROUTE)
    yield from _mapping(project, expect, {"agent": _agent})


def _conversation(project: Project, case: Node) -> Iterator[Diagnostic]:
    if not isinstance(case, MapNode):
        return
    project = _edited(project, case)
    yield from _mapping(project, case.get("given"), _GIVEN)
    yield from _keys(project, case.get("tools"))
    for _, step in elements(case.get("steps")):
        yield from _mapping(project, step, {"heartbeat": _heartbeat})
        yield from _mapping(project, step.get("user"), _PLACE)
        yield from _mapping(project, step.get("expect"), _EXPECTED)
        yield from _mapping(project, step.get("approve"), {"by": _person})
        model = step.get("model")
        for calling in (model, step.get("expect")):
            for _, made in elements(calling.get("calls")) if isinstance(calling, MapNode) else ():
                yield from _keys(project, made)


def _edited(project: Project, case: MapNode) -> Project:
    """The project with what the conversation's edits define in it, each as if it stood where its file is named."""
    named, unreadable = {kind: dict(found) for kind, found in project.named.items()}, set(project.unreadable)
    edits = [edit for _, step in elements(case.get("steps")) if isinstance(edit := step.get("reload"), MapNode)]
    files = [(path, entry) for edit in edits for path, entry in edit.entries.items() if kind_of(path) is not None]
    if not files:
        return project
    for path, entry in files:
        text = entry.value.value if isinstance(entry.value, Scalar) else None
        if isinstance(text, str):
            alone = gather(Folder.of({path: text.encode()}), None, None, project.now).project
            unreadable |= alone.unreadable
            for kind, found in alone.named.items():
                for name, each in found.items():
                    place = Definition(name, entry.key.span, each.node, each.sound)
                    named.setdefault(kind, {}).setdefault(name, place)
    return replace(project, named=named, unreadable=unreadable, _names={})


def _mapping(project: Project, node: Node | None, rules: Mapping[str, _Rule]) -> Iterator[Diagnostic]:
    if isinstance(node, MapNode):
        for key, rule in rules.items():
            for named in texts(node.get(key)):
                yield from rule(project, named)


def _keys(project: Project, node: Node | None) -> Iterator[Diagnostic]:
    """A mapping by the names of tools."""
    for entry in node.entries.values() if isinstance(node, MapNode) else ():
        yield from project.refer("tool", entry.key)


# ── one function, one sort of name ───────────────────────────────────────────────────────────────


def _named(kind: str) -> _Rule:
    return lambda project, named: project.refer(kind, named)


_agent, _tool, _channel, _room, _heartbeat = map(_named, ("agent", "tool", "channel", "room", "heartbeat"))


def _agents(project: Project, named: Scalar) -> Iterator[Diagnostic]:
    if named.value != "*":
        yield from project.refer("agent", named)


def _person(project: Project, named: Scalar) -> Iterator[Diagnostic]:
    yield from refer_person(project, named)


def _rule(project: Project, named: Scalar) -> Iterator[Diagnostic]:
    """A rule's id, alone or behind its policy's name."""
    if "policy" in project.unreadable or any(not policy.sound for policy in project.all("policy").values()):
        return
    ids = dict(_ids(project))
    if named.value in ids or any(
        f"{policy}/{id}" == named.value for id, policies in ids.items() for policy in policies
    ):
        return
    close = near(str(named.value), ids)
    meant = f"; did you mean `{close}`?" if close else ""
    listed = f"there are: {', '.join(sorted(ids)[:20])}" if ids else "give the rule an `id`"
    help = f"write `{close}`" if close else listed
    yield error("unknown-rule", named.span, f"no rule has the id `{named.shown}`{meant}", help)


def _ids(project: Project) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each id with the policies that have a rule of that id of their own."""
    found: dict[str, list[str]] = {}
    for policy in project.all("policy").values():
        rules = policy.get("rules")
        for item in rules.items if isinstance(rules, ListNode) else ():
            for id in texts(item.get("id")) if isinstance(item, MapNode) else ():
                found.setdefault(str(id.value), []).append(policy.name)
    return iter((id, tuple(policies)) for id, policies in found.items())


_PLACE: Final[Mapping[str, _Rule]] = {"from": _person, "channel": _channel, "room": _room}
_GIVEN: Final[Mapping[str, _Rule]] = {**_PLACE, "agent": _agent}
_ROUTE: Final[Mapping[str, _Rule]] = {**_PLACE, "agent": _agent, "choice": _agent}
_DECISION: Final[Mapping[str, _Rule]] = {
    **_PLACE,
    "agent": _agents,
    "tool": _tool,
    "heartbeat": _heartbeat,
    "rule": _rule,
    "approvers": _person,
}
_SCHEDULE: Final[Mapping[str, _Rule]] = {"heartbeat": _heartbeat}
_EXPECTED: Final[Mapping[str, _Rule]] = {
    "ask": _tool,
    "calls": _tool,
    "denied": _tool,
    "agent": _agent,
    "approvers": _person,
}
