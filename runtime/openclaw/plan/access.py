"""What an agent may do unasked, what it asks about, and what it is denied; and what of that strangers set off. Pure.

Its law: a rule counts as within a stranger's reach unless it names people, or places that no open way leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from openclaw.manifest.people import addresses, approvers_of, person
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Address
from openclaw.permissions.compare import Side, speaking
from openclaw.permissions.conditions import in_time, names_tool
from openclaw.permissions.decide import hidden
from openclaw.permissions.policy import Condition, Effect, Origin, Rule
from openclaw.plan.rules import condition_words, place
from openclaw.plan.ways import Way, ways

UNNAMED = "what no rule names"


@dataclass(frozen=True, slots=True)
class Line:
    """Tools and what is said of them. `strangers`: whoever no manifest names can set it off."""

    tools: tuple[str, ...]
    words: str
    at: Origin | None = None
    strangers: bool = False


@dataclass(frozen=True, slots=True)
class Able:
    agent: str
    policy: str
    strangers: tuple[str, ...]  # the open ways that lead to it
    unasked: tuple[Line, ...]
    asks: tuple[Line, ...]
    denied: tuple[Line, ...]
    approvers: tuple[str, ...]


@dataclass(slots=True)
class _House:
    """A snapshot, with what many agents share read off once."""

    snapshot: Snapshot
    open_ways: list[Way]
    now: str
    spoken: dict[tuple[str, str], list[Rule]] = field(default_factory=dict)
    settled: dict[tuple[str, str], bool] = field(default_factory=dict)
    hidden: dict[tuple[str, str], bool] = field(default_factory=dict)

    def speaking(self, policy: str, tool: str) -> list[Rule]:
        if (policy, tool) not in self.spoken:
            side = Side(self.snapshot.policies[policy], self.snapshot.tools[tool])
            self.spoken[policy, tool] = [rule for rule in speaking(side) if in_time(rule, self.now)]
        return self.spoken[policy, tool]

    def hides(self, policy: str, tool: str) -> bool:
        if (policy, tool) not in self.hidden:
            self.hidden[policy, tool] = hidden(self.snapshot.policies[policy], tool)
        return self.hidden[policy, tool]

    def settles(self, policy: str, tool: str) -> bool:
        """Whether a rule speaks of every call of a tool."""
        if (policy, tool) not in self.settled:
            rules = self.snapshot.policies[policy].rules
            self.settled[policy, tool] = any(names_tool(rule, tool) and _whole(rule) for rule in rules)
        return self.settled[policy, tool]


def able(snapshot: Snapshot, now: datetime) -> list[Able]:
    """Of every agent, without the rules that have ended by `now`."""
    house = _House(snapshot, [way for way in ways(snapshot) if way.open and not way.off], now.isoformat())
    return [_able(agent, house) for agent in snapshot.agents.values()]


def _able(agent: Agent, house: _House) -> Able:
    snapshot, policy = house.snapshot, house.snapshot.policies[agent.policy]
    strange = [way for way in house.open_ways if agent.id in way.agents]
    tools = [name for name in agent.tools if name in snapshot.tools]
    gone = tuple(name for name in tools if house.hides(agent.policy, name))
    open_tools = [name for name in tools if name not in gone]
    said = _said(agent, house, open_tools)
    by_rule = {effect: [*_lines(said, effect, strange, snapshot)] for effect in Effect}
    rest = _unnamed(agent, house, open_tools)
    unlisted = [Line(rest, UNNAMED, strangers=bool(strange))] if rest else []
    asks, denies = (unlisted, []) if policy.default is Effect.ASK else ([], unlisted)
    never = [Line(gone, "whatever the call")] if gone else []
    return Able(
        agent.id,
        agent.policy,
        tuple(way.title for way in strange),
        tuple(by_rule[Effect.ALLOW]),
        (*by_rule[Effect.ASK], *asks),
        (*never, *by_rule[Effect.DENY], *denies),
        named(approvers_of(agent.id, snapshot), snapshot),
    )


def named(found: Iterable[str], snapshot: Snapshot) -> tuple[str, ...]:
    """Addresses as people, where they are somebody's."""
    return tuple(dict.fromkeys(_name(each, snapshot) for each in found))


def _name(address: str, snapshot: Snapshot) -> str:
    try:
        known = person(Address.parse(address), snapshot)
    except ValueError:
        return address
    return known.name if known else address


def _said(agent: Agent, house: _House, tools: Iterable[str]) -> dict[int, tuple[Rule, list[str]]]:
    """Each rule of the policy, in its order, with the agent's tools that it speaks of."""
    rules = house.snapshot.policies[agent.policy].rules
    found: dict[int, tuple[Rule, list[str]]] = {id(rule): (rule, []) for rule in rules}
    for name in tools:
        for rule in house.speaking(agent.policy, name):
            found[id(rule)][1].append(name)
    return {key: (rule, names) for key, (rule, names) in found.items() if names}


def _lines(
    said: dict[int, tuple[Rule, list[str]]], effect: Effect, strange: Iterable[Way], snapshot: Snapshot
) -> Iterator[Line]:
    reached = list(strange)
    for rule, tools in said.values():
        if rule.effect is effect:
            words = ", ".join(part for part in (_words(rule), place(rule)) if part)
            yield Line(tuple(tools), words, rule.origin, _for_strangers(rule, reached, snapshot))


def _words(rule: Rule) -> str:
    parts = [*condition_words(rule.when)]
    if rule.unless is not None:
        parts.append(f"except {', '.join(condition_words(rule.unless))}")
    parts += [f"until {rule.until}"] if rule.until is not None else []
    parts += [name for name in ("unsafe", "network", "writes") if getattr(rule, name)]
    return ", ".join(parts)


def _for_strangers(rule: Rule, strange: Iterable[Way], snapshot: Snapshot) -> bool:
    when = rule.when
    if when.sender is not None:
        people = {str(id) for one in snapshot.people.values() for id in one.ids}
        if set(addresses(when.sender, snapshot)) <= people:
            return False
    if when.heartbeat is not None:
        return False
    return any(_leads(way, when) for way in strange)


def _leads(way: Way, when: Condition) -> bool:
    channel = way.name.partition("/")[0]
    if when.room is not None:
        return way.through == "room" and (way.name in when.room or "*" in when.room)
    return when.channel is None or channel in when.channel or "*" in when.channel or way.through == "room"


def _unnamed(agent: Agent, house: _House, tools: Iterable[str]) -> tuple[str, ...]:
    """The tools of which some calls are left to the default: all that no rule settles as a whole."""
    return tuple(name for name in tools if not house.settles(agent.policy, name))


def _whole(rule: Rule) -> bool:
    return rule.when == Condition() and rule.unless is None and rule.until is None
