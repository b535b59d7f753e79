"""Edits that leave less of a file than was applied: half written ones, and those that take prohibitions away.

Pure: bytes and snapshots in, diagnostics out. Its law: a file that ends where the applied one went on takes no
prohibition with it, whatever else was edited in it, and one that ends within a line is not taken at all; a person can
say that it is meant so, a writer that broke off cannot. Knows no clock and no disk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias

from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.snapshot import Agent, Channel, Heartbeat, Person, Room, Snapshot
from openclaw.permissions import bounds
from openclaw.permissions.policy import Effect, Origin, Policy, Rule
from openclaw.plan.lost import covers, trusting
from openclaw.plan.rules import place, rule_words
from openclaw.words import ToolSpec

SETTLE: Final = 1.5  # seconds that a file which shrank is given to become whole
MOST_SETTLED: Final = 4  # times that this is waited for: a writer may go on, but not for ever
_TOLD: Final = 3  # losses that a diagnostic names
_NOWHERE: Final = Origin("", 0, 0)
_POLICIES: Final = ("tools.yaml", "policies.yaml")
_DEFAULT: Final = re.compile(rb"^default:[ ]+true\b", re.MULTILINE)
_SANDBOX: Final = {"off": 0, "auto": 1, "required": 2}
_MEANT: Final = "POST /api/reload applies it as it is"


Lines: TypeAlias = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Held:
    """Why an edit is not applied though all of it is valid."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class _Loss:
    """What an edit takes away, in words, and the files where it stood."""

    words: str
    homes: tuple[str, ...]
    line: int = 0  # of a rule


@dataclass(frozen=True, slots=True)
class _End:
    """Where a file breaks off: the applied one went on after this line, or within one."""

    after: int = 0
    inside: bool = False


def shrunk(before: Folder, after: Folder) -> frozenset[str]:
    """The files that break off, or are gone; of code and texts those of which a beginning is left."""
    now = _contents(after)
    return frozenset(
        file
        for file, was in _contents(before).items()
        if (_end_of(was, now.get(file)) if _is_held(before, file) else _beginning(was, now.get(file, b"")))
    )


def _contents(folder: Folder) -> Mapping[str, bytes]:
    return {**{file: content for file, content in folder.more.items() if content is not None}, **folder.files}


def _is_held(folder: Folder, file: str) -> bool:
    """Manifests, and what values of theirs are read from."""
    return kind_of(file) is not None or _is_everywhere(folder, file)


def _is_everywhere(folder: Folder, file: str) -> bool:
    """Values stand in for whatever a manifest may say."""
    return file == ".env" or file in folder.fetched


def is_cut(before: Folder, after: Folder) -> bool:
    """Whether a manifest is gone, or breaks off."""
    return any(kind_of(file) is not None for file in shrunk(before, after))


def _beginning(was: bytes, now: bytes) -> bool:
    return len(now) < len(was) and was.startswith(now)


def held(before: Folder, old: Snapshot, after: Folder, new: Snapshot | None) -> Held | None:
    """Why an edit that nobody asked to apply is not applied: a manifest ends within a line, or it ends early, or is
    gone, and prohibitions went with what is missing. `before` and `old` are what is in force."""
    was, now = _contents(before), _contents(after)
    ends = {file: _end_of(was[file], now.get(file)) for file in was if _is_held(before, file)}
    if new is None or not any(ends.values()):
        return None
    losses, found = [*_losses(old, new, before, after)], []
    for file, end in ends.items():
        everywhere = _is_everywhere(before, file)
        gone = [each for each in losses if everywhere or (file in each.homes and not 0 < each.line <= _after(end))]
        if end and (gone or end.inside):
            found.append(_told(file, now.get(file), gone))
    return Held(tuple(found)) if found else None


def _after(end: _End | None) -> int:
    return end.after if end else 0


def _end_of(was: bytes, now: bytes | None) -> _End | None:
    """How a file breaks off: it is gone, what is left is a beginning or ends inside a line, or its last line is one
    after which, as often as it stands there, the applied file went on with lines that are gone. None where it does
    not."""
    if now is None:
        return _End() if was.strip() else None
    if was == now:
        return None
    before, left = _lines(was), _lines(now)
    last = left[-1][1] if left else b""
    counts, there = Counter(line for _, line in before), Counter(line for _, line in left)
    gone = {line for line, count in counts.items() if count > there[line]}
    if _beginning(was, now) or not now.endswith(b"\n"):
        if _is_inside(was, now, last, gone):
            return _End(inside=True)
        return _End() if _beginning(was, now) or was.endswith(b"\n") else None
    if last not in counts:
        return _behind(before, left, gone)
    at = [number for number, line in before if line == last][: there[last]][-1]
    return _End(at) if any(line in gone for number, line in before if number > at) else None


def _behind(before: Lines, left: Lines, gone: Set[bytes]) -> _End | None:
    """How a file breaks off behind a line that was edited: more went at its end than came there. A comment says that it
    is meant so, and what has nothing in common with it was written anew."""
    known = {line for _, line in before}
    if not left or left[-1][1].lstrip().startswith(b"#") or known.isdisjoint(line for _, line in left):
        return None
    went = [*takewhile(lambda each: each[1] in gone, reversed(before))]
    came = [*takewhile(lambda each: each[1] not in known, reversed(left))]
    return _End(went[-1][0] - 1) if len(went) > len(came) else None


def _is_inside(was: bytes, now: bytes, last: bytes, gone: Set[bytes]) -> bool:
    """Whether it ends within a line that went on in the applied one."""
    if now.endswith(b"\n") or not last:
        return False
    if _beginning(was, now):
        rest = was[len(now) :]
        return bool(rest.partition(b"\n")[0].strip())
    return any(len(line) > len(last) and line.startswith(last) for line in gone)


def _lines(content: bytes) -> Lines:
    """Those that say something, with their numbers."""
    return [(number, line.rstrip()) for number, line in enumerate(content.splitlines(), 1) if line.strip()]


def _told(file: str, now: bytes | None, gone: list[_Loss]) -> Diagnostic:
    words = list(dict.fromkeys(loss.words for loss in gone))
    more = f"; and {len(words) - _TOLD} more" if len(words) > _TOLD else ""
    lost = f"{'; '.join(words[:_TOLD])}{more}"
    if now is None:
        return error("cut-off", Span(file), f"{file} is gone, and with it {lost}", f"put it back; {_MEANT}")
    if not lost:
        lost = "the rest of this line"
    comment = "end the file with a new comment, or " if _has_words(file) else ""
    cure = f"write the rest; if it is meant so, {comment}{_MEANT}"
    return error("cut-off", _end(file, now), f"the file ends early: missing from what was applied is {lost}", cure)


def _has_words(file: str) -> bool:
    """Whether a comment may stand in it: of what holds one value all is that value."""
    return kind_of(file) is not None or file == ".env"


def _end(file: str, content: bytes) -> Span:
    lines = content.decode("utf-8", "replace").removesuffix("\n").split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    return Span(file, line, column, line, column)


# ── what is lost ─────────────────────────────────────────────────────────────────────────────────


def _losses(old: Snapshot, new: Snapshot, before: Folder, after: Folder) -> Iterator[_Loss]:
    """All by which the new one may be looser, as far as something that went missing can make it so."""
    for name, policy in old.policies.items():
        now = new.policies.get(name)
        yield from _of_policy(policy, now, new.tools.keys()) if now is not None else [*_rules(policy), _whole(policy)]
    yield from _of_people(old, new)
    yield from _of_agents(old, new, before, after)
    for name, tool in old.tools.items():
        if name in new.tools and _takes_more(tool, new.tools[name]):
            yield _Loss(f"part of what tool {name} may be given", ("tools.yaml",))
        elif name in new.tools and _run(tool) != _run(new.tools[name]):
            yield _Loss(f"part of what tool {name} runs", ("tools.yaml",))
    for name, beat in old.heartbeats.items():
        then = new.heartbeats.get(name, beat)
        if not beat.enabled and then.enabled:
            yield _Loss(f"that heartbeat {name} is switched off", ("heartbeats.yaml",))
        elif _doing(then) != _doing(beat):
            yield _Loss(f"part of what heartbeat {name} does, or for whom", ("heartbeats.yaml",))


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
    missing = [rule for rule in missing if not any(covers(other, rule) for other in new.rules)]
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
    if any(trusting(old, new)):
        yield _Loss(f"policy {old.name}: part of trusted_repositories", _POLICIES)


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
        if name in new.channels and _admits_more(channel, new.channels[name]):
            yield _Loss(f"whom and what channel {name} admits", ("channels.yaml",))


def _standing(person: Person) -> Any:
    return person.ids, person.owner, person.groups


def _admits_more(old: Channel, new: Channel) -> bool:
    """Whether somebody or something may come in, or to an agent, that could not before. A sender, a token or a hook
    that is gone takes nothing with it but itself: whoever withdraws one wants it gone at once."""
    before, after = old.options.options, new.options.options
    return (
        _is_wider(old.allow, new.allow)
        or _is_wider(old.agents, new.agents)
        or (old.skipped is not None and old.skipped != new.skipped)
        or old.agent != new.agent
        or any(before.get(key) != after.get(key) for key in ("strangers", "groups", "limits"))
        or any(
            _entries(before, key).get(name, one) != one
            for key in ("tokens", "hooks")
            for name, one in _entries(after, key).items()
        )
    )


def _is_wider(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> bool:
    """None stands for all that come into question."""
    return old is not None and (new is None or not set(new) <= set(old))


def _entries(options: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = options.get(key) or {}
    return found


def _of_agents(old: Snapshot, new: Snapshot, before: Folder, after: Folder) -> Iterator[_Loss]:
    was, instead = old.default_agent, new.default_agent
    if was.id != instead.id and not _says(instead.id, after) and (_looser(was, instead) or _has_more(was, instead)):
        words = f"the default agent {was.id}, whose place {instead.id} would take"
        yield _Loss(words, _homes(was.id, before, after))
    for name, agent in old.agents.items():
        now = new.agents.get(name)
        if now is not None and _looser(agent, now):
            yield _Loss(f"what bounds agent {name}", _homes(name, before, after))
        elif now is not None and _has_more(agent, now):
            yield _Loss(f"the list of agent {name}'s tools", _homes(name, before, after))


def _says(agent: str, folder: Folder) -> bool:
    """Whether it is the default agent because it says so: the last one is in any case."""
    return any(_DEFAULT.search(folder.files[file]) for file in _own(agent, folder))


def _own(agent: str, folder: Folder) -> list[str]:
    return [file for file in folder.files if kind_of(file) == "agent" and PurePosixPath(file).stem == agent]


def _homes(agent: str, before: Folder, after: Folder) -> tuple[str, ...]:
    """Its own file, unless it has another one now, and the defaults of the folders that this is in."""
    own, now = _own(agent, before), _own(agent, after)
    defaults = [file for file in before.files if kind_of(file) == "defaults"]
    above = [file for file in defaults if any(each.startswith(file.removesuffix("_defaults.yaml")) for each in own)]
    return (*(file for file in own if file in now or not now), *above)


def _looser(old: Agent, new: Agent) -> bool:
    """Of a policy, a memory and a workspace any other may be."""
    if (old.policy, old.memory, old.workspace) != (new.policy, new.memory, new.workspace):
        return True
    was, now = old.limits, new.limits
    dearer = _dearer(was.cost, now.cost) or _dearer(was.usd_per_day, now.usd_per_day)
    return dearer or (now.iterations, now.turn, now.output_tokens) != tuple(
        map(min, (now.iterations, now.turn, now.output_tokens), (was.iterations, was.turn, was.output_tokens))
    )


def _dearer(was: float | None, now: float | None) -> bool:
    return was is not None and (now is None or now > was)


def _has_more(old: Agent, new: Agent) -> bool:
    return not set(new.tools) <= set(old.tools)


def _run(tool: ToolSpec) -> Any:
    """What is not the code of a Python tool, whose loss would be an error."""
    options = {name: value for name, value in tool.options.items() if name not in ("function", "template")}
    return getattr(tool.options.get("template"), "text", ""), options, tool.timeout


def _doing(beat: Heartbeat) -> Any:
    return beat.agent, beat.prompt, beat.deliver, beat.notify, beat.check, beat.session, beat.max_cost


def _takes_more(old: ToolSpec, new: ToolSpec) -> bool:
    """Whether a tool may be given what it was not before, or rules look at less of it."""
    before, after = old.input_schema.get("properties", {}), new.input_schema.get("properties", {})
    if old.judged != new.judged or (old.untrusted and not new.untrusted) or (new.writes and not old.writes):
        return True
    return any(
        name not in before or not bounds.within(schema, before[name], Effect.ASK) for name, schema in after.items()
    )
