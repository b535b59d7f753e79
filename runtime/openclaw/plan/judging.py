"""Which calls a reload would judge otherwise: every agent with every tool, under its old policy and its new one. Pure.

Its law: a tool that an agent does not have counts as denied. A reason to judge less strictly is told even where no
call was found that meets it: then it `may widen`. The same comparison with the sides exchanged tells what tightens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw.manifest import people
from openclaw.manifest.modules import is_module
from openclaw.manifest.origins import Call
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Address, ToolSpec
from openclaw.permissions.compare import Loosening, Side, Why, bearing, loosened
from openclaw.permissions.decide import decide
from openclaw.permissions.facts import Assumed, Facts
from openclaw.permissions.parts import Part, apart
from openclaw.permissions.policy import Attempt, Condition, Effect, Policy, Rule
from openclaw.permissions.trials import Trial, trials
from openclaw.plan.changes import Change, What
from openclaw.plan.judged_words import example, reason

_FACTS: Facts = Assumed()
_WORKSPACE = Path("/workspace")
_OTHERS = "(any other)"
_NOT_IN_DECISIONS = frozenset({"network", "sandbox", "trusted"})  # reasons of which no decision about a call can tell
_UNTOLD = frozenset({"silent", "tool", "behind"})  # reasons that are told only where they widen


@dataclass(slots=True)
class House:
    """One side: a snapshot, with its policies in addresses. `code` are digests of the files behind Python tools."""

    snapshot: Snapshot
    policies: dict[str, Policy] = field(default_factory=dict)
    rules: dict[int, Rule] = field(default_factory=dict)  # by the id of the rule in addresses: as it is written

    @classmethod
    def of(cls, snapshot: Snapshot) -> House:
        house = cls(snapshot)
        for name, policy in snapshot.policies.items():
            resolved = [_in_addresses(rule, snapshot) for rule in policy.rules]
            house.rules |= {id(ours): rule for ours, rule in zip(resolved, policy.rules, strict=True)}
            house.policies[name] = replace(policy, rules=tuple(resolved))
        return house

    def side(self, agent: Agent | None, tool: str | None) -> Side | None:
        if agent is None or tool is None or tool not in self.snapshot.tools:
            return None
        spec = self.snapshot.tools[tool]
        return Side(self.policies[agent.policy], spec, code(spec, self.snapshot))

    def effect(self, side: Side | None, trial: Trial) -> Effect:
        if side is None:
            return Effect.DENY
        around, snapshot = trial.circumstance, self.snapshot
        who = people.sender(Address.parse(around.sender), snapshot)
        room = next((one.name for one in snapshot.rooms.values() if str(one.id) == around.room), None)
        attempt = Attempt(
            tool=side.tool, input=trial.input, agent="", sender=around.sender, person=who.person, groups=who.groups,
            channel=around.channel, room=room, heartbeat=around.heartbeat, workspace=_WORKSPACE, now=around.now,
            untrusted="somebody" if around.tainted else "",
        )  # fmt: skip
        return decide(attempt, self.snapshot.policies[side.policy.name], _FACTS).effect


def _in_addresses(rule: Rule, snapshot: Snapshot) -> Rule:
    unless = None if rule.unless is None else _condition(rule.unless, snapshot)
    return replace(rule, when=_condition(rule.when, snapshot), unless=unless)


def _condition(condition: Condition, snapshot: Snapshot) -> Condition:
    """Whom a condition names, and which rooms, as addresses: names may come to mean others. What names all channels or
    heartbeats names those there are, and others: there may come to be more."""
    sender, room = condition.sender, condition.room
    channel, heartbeat = _spelt(condition.channel, snapshot.channels), _spelt(condition.heartbeat, snapshot.heartbeats)
    if sender is not None:
        sender = tuple(sorted(people.addresses(sender, snapshot)))
    if room is not None:
        names = [*snapshot.rooms] if "*" in room else room
        room = tuple(sorted(str(snapshot.rooms[one].id) if one in snapshot.rooms else one for one in names))
    return replace(condition, sender=sender, room=room, channel=channel, heartbeat=heartbeat)


def _spelt(names: tuple[str, ...] | None, known: Iterable[str]) -> tuple[str, ...] | None:
    return names if names is None or "*" not in names else (*sorted(known), _OTHERS)


def code(tool: ToolSpec, snapshot: Snapshot) -> str:
    """What is known of the code behind a Python tool: the digests of all files that any of them may import."""
    if "reference" not in tool.options:
        return ""
    return "".join(f"{file} {digest} " for file, digest in snapshot.sources.items() if is_module(file))


# ── every agent with every tool ──────────────────────────────────────────────────────────────────


def never() -> bool:
    return False


def judgements(
    old: Snapshot, new: Snapshot, now: datetime, calls: Sequence[Call] = (), over: Callable[[], bool] = never
) -> Iterator[Change]:
    """One change for each reason, with all the tools and agents it concerns. `calls` are tried beside those that
    rules name. Raises TimeoutError once it is `over`, which is asked before each call that is tried."""
    compared = _Comparison(House.of(old), House.of(new), now, calls, over)
    told: dict[tuple[What, str, str], Change] = {}
    tools: dict[tuple[What, str, str], dict[str, None]] = {}
    for id in dict.fromkeys([*new.agents, *old.agents]):
        for tool, change in compared.agent(old.agents.get(id), new.agents.get(id)):
            key = (change.what, change.words, repr(change.at))
            known = told.setdefault(key, change)
            told[key] = replace(known, agents=tuple(dict.fromkeys([*known.agents, id])))
            tools.setdefault(key, {})[tool] = None
    yield from (replace(change, name=", ".join(tools[key])) for key, change in told.items())


Key = tuple[str | None, str | None, str | None, str | None]


@dataclass(slots=True)
class _Comparison:
    old: House
    new: House
    now: datetime
    calls: Sequence[Call] = ()
    over: Callable[[], bool] = never
    _known: dict[Key, list[tuple[Why, Change]]] = field(default_factory=dict)

    def agent(self, before: Agent | None, after: Agent | None) -> Iterator[tuple[str, Change]]:
        """What a rule denies no more is told of the tools it names, and where there are none of templates."""
        found = [*self._of_tools(before, after)]
        told = {change.at for _, why, change in found if why == "forbid" and change.widens}
        yield from ((tool, change) for tool, why, change in found if why != "behind" or change.at not in told)

    def _of_tools(self, before: Agent | None, after: Agent | None) -> Iterator[tuple[str, Why, Change]]:
        for was, now in self._pairs(before, after):
            key = (before.policy if before else None, was, after.policy if after else None, now)
            self._go_on()
            if key not in self._known:
                self._known[key] = [*self._changes(self.old.side(before, was), self.new.side(after, now))]
            yield from ((now or was or "", why, change) for why, change in self._known[key])

    def _pairs(self, before: Agent | None, after: Agent | None) -> Iterator[tuple[str | None, str | None]]:
        was, now = _tools(before, self.old.snapshot), _tools(after, self.new.snapshot)
        gone, come = [one for one in was if one not in now], [one for one in now if one not in was]
        yield from ((one, one) for one in now if one in was)
        for one in come:
            former = next((each for each in gone if self._renamed(each, one)), None)
            if former is not None:
                gone.remove(former)
            yield former, one
        yield from ((one, None) for one in gone)

    def _renamed(self, was: str, now: str) -> bool:
        """Whether a tool is another one by its name alone."""
        if was in self.new.snapshot.tools or now in self.old.snapshot.tools:
            return False
        before, after = self.old.snapshot.tools.get(was), self.new.snapshot.tools.get(now)
        if before is None or after is None or before.kind == "python":
            return False
        return replace(before, name="") == replace(after, name="")

    def _changes(self, old: Side | None, new: Side | None) -> Iterator[tuple[Why, Change]]:
        if _alike(old, new):
            return
        wider, tighter = loosened(old, new), loosened(new, old)
        for each in wider:
            yield each.why, self._change(each, old, new, _shows(each, wider), widens=True)
        for each in tighter:
            if not _hushed(each):
                yield each.why, self._change(each, old, new, _shows(each, tighter), widens=False)
        if not wider and (found := self._found(_parts(old, new), (), old, new, widens=True)):
            yield "tool", Change("permission", "", "widens", "calls of it are judged less strictly", example=found)

    def _change(self, each: Loosening, old: Side | None, new: Side | None, shows: bool, *, widens: bool) -> Change:
        own, others = each.parts, _parts(old, new)
        found = self._found(own or others, others if own else (), old, new, widens=widens) if shows else ""
        sure = each.certain or bool(found)
        what: What = ("widens" if sure else "may widen") if widens else ("tightens" if sure else "may tighten")
        is_new = each.rule is not None and id(each.rule) in self.new.rules
        house, other, beyond = (self.new, self.old, old) if is_new else (self.old, self.new, new)
        written = house.rules[id(each.rule)] if each.rule is not None else None
        rules = [other.rules[id(rule)] for rule in beyond.policy.rules] if beyond is not None else []
        words = reason(each, written, old, new, rules, widens=widens)
        return Change("permission", "", what, words, example=found, at=(written.origin,) if written else ())

    def _found(
        self, own: Iterable[Part], others: Iterable[Part], old: Side | None, new: Side | None, *, widens: bool
    ) -> str:
        """A call that is judged otherwise in this direction, in words; of a tool that is new the loosest."""
        side = new or old
        if side is None:
            return ""
        best: tuple[int, str] = (0, "")
        for trial in trials(side.tool, own, others, self.now, self._given(side.tool)):
            self._go_on()
            before, after = self.old.effect(old, trial), self.new.effect(new, trial)
            by = (before - after) if widens else (after - before)
            if by > best[0]:
                best = (by, example(side.tool, trial, before, after))
            if by == Effect.DENY - Effect.ALLOW or (by and old is not None and new is not None):
                break
        return best[1]

    def _go_on(self) -> None:
        if self.over():
            raise TimeoutError

    def _given(self, tool: ToolSpec) -> Iterator[Mapping[str, Any]]:
        command = next((name for name, judged in tool.judged.items() if judged == "command"), None)
        for name, call in self.calls:
            if isinstance(call, str) and command is not None and name in ("", tool.name):
                yield {command: call}
            elif isinstance(call, Mapping) and name == tool.name:
                yield call


def _shows(each: Loosening, found: Iterable[Loosening]) -> bool:
    """Whether a call that is judged otherwise would be one for this reason, and not for another one."""
    if each.why == "tool":
        return all(one.why == "tool" for one in found)
    return each.why not in _NOT_IN_DECISIONS


def _hushed(each: Loosening) -> bool:
    """Of what tightens: the other side of an edit that is told already, or was no permission."""
    return each.why in _UNTOLD or (each.why == "sandbox" and not each.certain)


def _tools(agent: Agent | None, snapshot: Snapshot) -> tuple[str, ...]:
    """Those it may call, and those that checks of heartbeats run for it."""
    if agent is None:
        return ()
    beats = [beat for beat in snapshot.heartbeats.values() if beat.enabled and beat.agent == agent.id]
    return tuple(dict.fromkeys([*agent.tools, *(beat.check.tool for beat in beats if beat.check)]))


def _alike(old: Side | None, new: Side | None) -> bool:
    if old is None or new is None:
        return old is new
    header: Mapping[str, object] = {"default": old.policy.default, "sandbox": old.policy.sandbox}
    same = all(getattr(new.policy, name) == value for name, value in header.items())
    same = same and old.policy.trusted_repositories == new.policy.trusted_repositories
    return same and _spec(old) == _spec(new) and [*_apart(old)] == [*_apart(new)]


def _spec(side: Side) -> tuple[ToolSpec, str]:
    options = {name: value for name, value in side.tool.options.items() if name != "function"}
    return replace(side.tool, name="", options=options), side.code


def _apart(side: Side) -> Iterator[Part]:
    return (part for rule in bearing(side) for part in apart(rule))


def _parts(*sides: Side | None) -> tuple[Part, ...]:
    return tuple(part for side in sides if side is not None for part in _apart(side))
