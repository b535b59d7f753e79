"""What of a project no case has put to use: agents, prefixes, channels, rooms, heartbeats, and rules of policies.

A way counts when a message went along it, or was turned back there; a heartbeat when its schedule was looked at or it
ran; a rule when it decided, which is more than matching: the outcome was its own. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openclaw.manifest.snapshot import Snapshot
from openclaw.permissions.decide import Rule, label
from openclaw.scenarios.document import Used

KINDS = ("agent", "prefix", "channel", "room", "heartbeat")
_MANY = {"prefix": "prefixes"}


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Of each kind of way its names, with whether each was used; the rules likewise, in the order of their places."""

    ways: Mapping[str, Mapping[str, bool]]
    rules: tuple[tuple[Rule, bool], ...]


def of(snapshot: Snapshot, used: Used) -> Coverage:
    heard = [channel.key for channel in snapshot.channels.values() if not channel.off]
    names = {
        "agent": list(snapshot.agents),
        "prefix": [agent.prefix for agent in snapshot.agents.values() if agent.prefix],
        "channel": heard,
        "room": [room.name for room in snapshot.rooms.values() if room.id.channel in heard],
        "heartbeat": list(snapshot.heartbeats),
    }
    ways = {kind: {name: f"{kind} {name}" in used.ways for name in names[kind]} for kind in KINDS}
    return Coverage(ways, tuple((rule, place(rule) in used.rules) for rule in _rules(snapshot)))


def place(rule: Rule) -> tuple[str, int, int]:
    return rule.origin.file, rule.origin.line, rule.origin.column


def _rules(snapshot: Snapshot) -> list[Rule]:
    """Those of the policies that an agent has, each once, wherever it joined."""
    policies = {agent.policy for agent in snapshot.agents.values()}
    every = {place(rule): rule for name in sorted(policies) for rule in snapshot.policies[name].rules}
    return [every[where] for where in sorted(every)]


def summary(coverage: Coverage) -> str:
    """`used 1 of 2 agents, 1 of 1 prefix, ... and 4 of 9 rules`; what a project has none of is left out."""
    counted = [_count(kind, found.values()) for kind, found in coverage.ways.items() if found]
    counted.append(_count("rule", [used for _, used in coverage.rules]))
    return f"coverage: {', '.join(counted)}"


def _count(kind: str, used: Iterable[bool]) -> str:
    every = list(used)
    return f"{sum(every)} of {len(every)} {kind if len(every) == 1 else _MANY.get(kind, f'{kind}s')}"


def unused(coverage: Coverage) -> list[str]:
    """A line for everything that no case has used."""
    lines = []
    for kind, found in coverage.ways.items():
        lacking = [name for name, used in found.items() if not used]
        if lacking:
            lines.append(
                f"no case led to {kind if len(lacking) == 1 else _MANY.get(kind, f'{kind}s')} {', '.join(lacking)}"
            )
    for rule, used in coverage.rules:
        if not used:
            where = ":".join(map(str, place(rule)))
            lines.append(f"never decided: {where} {rule.effect.name.lower()} {label(rule)}{_about(rule)}")
    return lines


def _about(rule: Rule) -> str:
    """Of a rule without a name of its own, its tools."""
    return "" if rule.id else f" ({', '.join(rule.tools)})"
