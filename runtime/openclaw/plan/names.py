"""What is different between two snapshots, by name alone. Pure; asks for no reason and judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import ToolSpec
from openclaw.permissions.policy import Origin, Policy
from openclaw.plan.changes import Change, Kind

_NOWHERE = Origin("", 0, 0)
PARTS: Final[Mapping[Kind, Callable[[Snapshot], Mapping[str, Any]]]] = {
    "agent": lambda one: one.agents,
    "tool": lambda one: {name: _described(spec) for name, spec in one.tools.items()},
    "policy": lambda one: {name: _judging(policy) for name, policy in one.policies.items()},
    "channel": lambda one: one.channels,
    "person": lambda one: one.people,
    "room": lambda one: one.rooms,
    "heartbeat": lambda one: one.heartbeats,
    "model": lambda one: one.models,
}


def named(old: Snapshot, new: Snapshot, stirred: frozenset[str] = frozenset()) -> Iterator[Change]:
    """What is different, by name alone. `stirred`: Python tools whose code changed, which cannot be compared."""
    for kind, part in PARTS.items():
        before, after = part(old), part(new)
        yield from (Change(kind, name, "removed") for name in before if name not in after)
        yield from (Change(kind, name, "added") for name in after if name not in before)
        touched = stirred if kind == "tool" else frozenset()
        both = [name for name in after if name in before]
        yield from (Change(kind, name, "changed") for name in both if after[name] != before[name] or name in touched)


def lines(old: Snapshot, new: Snapshot, stirred: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The same, a line each: `agent main changed`, `tool word_count added`."""
    return tuple(f"{each.kind} {each.name} {each.what}" for each in named(old, new, stirred))


def _described(spec: ToolSpec) -> ToolSpec:
    """The functions of Python tools may have been loaded anew and cannot be compared."""
    return replace(spec, options={key: value for key, value in spec.options.items() if key != "function"})


def _judging(policy: Policy) -> Policy:
    """The policy wherever in its file it stands."""
    return replace(policy, rules=tuple(replace(rule, origin=_NOWHERE) for rule in policy.rules))
