"""Edits that leave less of a file than was applied: half written ones, and those that take prohibitions away.

Pure: bytes and snapshots in, diagnostics out. Its law: a file that ends where the applied one went on takes no
prohibition with it; a person can say that it is meant so, a writer that broke off cannot. Knows no clock and no disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Final

from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.snapshot import Agent, Channel, Person, Room, Snapshot
from openclaw.permissions import bounds
from openclaw.permissions.policy import Effect, Origin, Policy, Rule
from openclaw.plan.rules import place, rule_words
from openclaw.words import ToolSpec

SETTLE: Final = 1.5  # seconds that a file which shrank is given to become whole
MOST_SETTLED: Final = 4  # times that this is waited for: a writer may go on, but not for ever
_TOLD: Final = 3  # losses that a diagnostic names
_NOWHERE: Final = Origin("", 0, 0)
_POLICIES: Final = ("tools.yaml", "policies.yaml")
_SANDBOX: Final = {"off": 0, "auto": 1, "required": 2}
_MEANT: Final = "POST /api/reload or SIGHUP applies it as it is"


@dataclass(frozen=True, slots=True)
class Held:
    """Why an edit is not applied though all of it is valid."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class _Loss:
    """What an edit takes away, in words, and where it stood: in one of the files whose names begin so."""

    words: str
    homes: tuple[str, ...]
    line: int = 0  # of a rule


def shrunk(before: Folder, after: Folder) -> frozenset[str]:
    """The files of which a beginning is left, or nothing."""
    now = _contents(after)
    return frozenset(file for file, was in _contents(before).items() if _beginning(was, now.get(file, b"")))


def _contents(folder: Folder) -> Mapping[str, bytes]:
    return {**{file: content for file, content in folder.more.items() if content is not None}, **folder.files}


def is_cut(before: Folder, after: Folder) -> bool:
    """Whether a manifest is gone, or only a beginning of it is left."""
    return any(kind_of(file) is not None for file in shrunk(before, after))


def _beginning(was: bytes, now: bytes) -> bool:
    return len(now) < len(was) and was.startswith(now)


def held(before: Folder, old: Snapshot, after: Folder, new: Snapshot | None) -> Held | None:
    """Why an edit that nobody asked to apply is not applied: a manifest ends early, or is gone, and prohibitions went
    with what is missing. `before` and `old` are what is in force."""
    changed = [file for file, was in before.files.items() if kind_of(file) and after.files.get(file) != was]
    if new is None or not changed or not (losses := [*_losses(old, new)]):
        return None
    found = []
    for file in changed:
        gone = [loss for loss in losses if file.startswith(loss.homes)]
        if gone and _ends_early(before.files[file], after.files.get(file), gone):
            found.append(_told(file, after.files.get(file), gone))
    return Held(tuple(found)) if found else None


def _ends_early(was: bytes, now: bytes | None, gone: Iterable[_Loss]) -> bool:
    """Whether a file breaks off: what is left is a beginning, or ends inside a line, or with a line after which the
    applied file went on with rules that are gone."""
    if now is None or _beginning(was, now):
        return True
    rules = [loss.line for loss in gone if loss.line]
    if not rules:
        return False
    if was.endswith(b"\n") and not now.endswith(b"\n"):
        return True
    lines, last = _lines(was), (_lines(now) or [(0, b"")])[-1][1]
    same = [number for number, line in lines if line == last]
    return bool(same) and same[-1] != lines[-1][0] and max(rules) > same[-1]


def _lines(content: bytes) -> list[tuple[int, bytes]]:
    """Those that say something, with their numbers."""
    return [(number, line.rstrip()) for number, line in enumerate(content.splitlines(), 1) if line.strip()]


def _told(file: str, now: bytes | None, gone: list[_Loss]) -> Diagnostic:
    words = list(dict.fromkeys(loss.words for loss in gone))
    more = f"; and {len(words) - _TOLD} more" if len(words) > _TOLD else ""
    lost = f"{'; '.join(words[:_TOLD])}{more}"
    if now is None:
        return error("cut-off", Span(file), f"{file} is gone, and with it {lost}", f"put it back; {_MEANT}")
    cure = f"write the rest; if it is meant so, end the file with one more line, a comment will do, or {_MEANT}"
    return error("cut-off", _end(file, now), f"the file ends early: missing from what was applied is {lost}", cure)


def _end(file: str, content: bytes) -> Span:
    lines = content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    return Span(file, line, column, line, column)


# ── what is lost ─────────────────────────────────────────────────────────────────────────────────


def _losses(old: Snapshot, new: Snapshot) -> Iterator[_Loss]:
    """All by which the new one may be looser, as far as something that went missing can make it so."""
    for name, policy in old.policies.items():
        now = new.policies.get(name)
        yield from _of_policy(policy, now, new.tools.keys()) if now is not None else [*_rules(policy), _whole(policy)]
    yield from _of_people(old, new)
    yield from _of_agents(old, new)
    for name, tool in old.tools.items():
        if name in new.tools and _takes_more(tool, new.tools[name]):
            yield _Loss(f"part of what tool {name} may be given", ("tools.yaml",))
    for name, beat in old.heartbeats.items():
        if not beat.enabled and name in new.heartbeats and new.heartbeats[name].enabled:
            yield _Loss(f"that heartbeat {name} is switched off", ("heartbeats.yaml",))


def _whole(policy: Policy) -> _Loss:
    return _Loss(f"policy {policy.name}", _POLICIES)


def _rules(policy: Policy) -> Iterator[_Loss]:
    return (_rule(rule) for rule in policy.rules if rule.effect is not Effect.ALLOW)


def _rule(rule: Rule) -> _Loss:
    where = place(rule)
    words = f"{rule_words(rule)} ({where})" if where else rule_words(rule)
    return _Loss(words, (rule.origin.file,) if rule.origin.file else _POLICIES, rule.origin.line)


def _of_policy(old: Policy, new: Policy, tools: Set[str]) -> Iterator[_Loss]:
    before, after = _by_meaning(old), _by_meaning(new)
    missing = [rule for key, rule in before.items() if key not in after and rule.effect is not Effect.ALLOW]
    yield from (_rule(rule) for rule in missing if rule.policy or tools & set(rule.tools))  # else a tool's own mark
    for key, rule in after.items():
        if key not in before and rule.effect is Effect.ALLOW:
            yield replace(_rule(rule), words=f"what narrowed {rule_words(rule)} ({place(rule)})", line=0)
    if new.default < old.default:
        yield _Loss(f"policy {old.name}: default: deny", _POLICIES)
    if old.approvers and set(old.approvers) != set(new.approvers):
        yield _Loss(f"policy {old.name}: approvers", _POLICIES)
    if _SANDBOX[new.sandbox] < _SANDBOX[old.sandbox]:
        yield _Loss(f"policy {old.name}: sandbox: {old.sandbox}", _POLICIES)


def _by_meaning(policy: Policy) -> dict[str, Rule]:
    return {repr(replace(rule, origin=_NOWHERE, reason=None)): rule for rule in policy.rules}


def _of_people(old: Snapshot, new: Snapshot) -> Iterator[_Loss]:
    """Who somebody is decides what is denied to them, and a place may admit only some agents. Who is no owner and in
    no group can be meant by name alone: a rule that names nobody is an error."""
    for name, person in old.people.items():
        now, counts = new.people.get(name), person.owner or person.groups
        if (counts and now is None) or (now is not None and _standing(now) != _standing(person)):
            yield _Loss(f"{'owner' if person.owner else 'person'} {name}", ("channels.yaml",))
    for name, room in old.rooms.items():
        if new.rooms.get(name, Room(room.name, room.id)) != room:
            yield _Loss(f"room {name}", ("channels.yaml",))
    for name, channel in old.channels.items():
        if name in new.channels and _guarding(channel) != _guarding(new.channels[name]):
            yield _Loss(f"whom and what channel {name} admits", ("channels.yaml",))


def _standing(person: Person) -> Any:
    return person.ids, person.owner, person.groups


def _guarding(channel: Channel) -> Any:
    """What keeps somebody or something out."""
    keys = ("strangers", "groups", "tokens", "hooks", "limits")
    options = {key: value for key, value in channel.options.options.items() if key in keys}
    return channel.agent, channel.agents, channel.allow, channel.skipped, options


def _of_agents(old: Snapshot, new: Snapshot) -> Iterator[_Loss]:
    was, instead = old.default_agent, new.default_agent
    if was.id != instead.id and (_bounds(was) != _bounds(instead) or not set(instead.tools) <= set(was.tools)):
        yield _Loss(f"the default agent {was.id}, whose place {instead.id} would take", ("agents/",))
    for name, agent in old.agents.items():
        now = new.agents.get(name)
        if now is not None and _bounds(now) != _bounds(agent):
            yield _Loss(f"what bounds agent {name}", ("agents/",))
        elif now is not None and not set(now.tools) <= set(agent.tools):
            yield _Loss(f"the list of agent {name}'s tools", ("agents/",))


def _bounds(agent: Agent) -> Any:
    return agent.policy, agent.memory, agent.workspace, agent.limits


def _takes_more(old: ToolSpec, new: ToolSpec) -> bool:
    """Whether a tool may be given what it was not before, or rules look at less of it."""
    before, after = old.input_schema.get("properties", {}), new.input_schema.get("properties", {})
    if old.judged != new.judged or (old.untrusted and not new.untrusted) or (new.writes and not old.writes):
        return True
    return any(
        name not in before or not bounds.within(schema, before[name], Effect.ASK) for name, schema in after.items()
    )
