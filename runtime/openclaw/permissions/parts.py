"""Rules taken apart, and whether one part permits, or forbids, at least what another one does. Pure.

Its law: True is a proof; what is not proven counts as different.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from openclaw.permissions import bounds, conditions
from openclaw.permissions.covers import covers
from openclaw.permissions.policy import Condition, Effect, Rule

_LISTED = ("commands", "paths", "hosts", "sender", "channel", "room", "heartbeat")


@dataclass(frozen=True, slots=True)
class Part:
    """A rule, or what it says of one command, one path, one host; where it stands does not count."""

    effect: Effect = field(compare=False)
    when: Condition = field(compare=False)
    of: Rule = field(compare=False)
    said: str = field(init=False)  # to Python, true is 1, so that values are compared as they are written

    def __post_init__(self) -> None:
        rule = self.of
        bare = (self.effect, self.when, rule.unless, rule.until, rule.unsafe, rule.network, rule.writes)
        object.__setattr__(self, "said", repr(bare))


def apart(rule: Rule) -> Iterator[Part]:
    """A permission must cover all paths and hosts of a call by itself, so these are not taken apart."""
    when, forbids = rule.when, rule.effect is not Effect.ALLOW
    commands = _each(when.commands)
    paths = _each(when.paths) if forbids else [when.paths]
    hosts = _each(when.hosts) if forbids else [when.hosts]
    for command, path, host in itertools.product(commands, paths, hosts):
        yield Part(rule.effect, replace(when, commands=command, paths=path, hosts=host), rule)


def _each(entries: tuple[str, ...] | None) -> list[tuple[str, ...] | None]:
    return [None] if entries is None else [(entry,) for entry in entries]


def permits_as_much(wide: Part, narrow: Part) -> bool:
    more, less = wide.of, narrow.of
    able = (more.unsafe >= less.unsafe, more.network >= less.network, more.writes >= less.writes)
    if not all(able) or not _lasts(wide, narrow):
        return False
    if (wide.when.commands is None) is not (narrow.when.commands is None):
        return False
    return _within(_rule(narrow), _rule(wide), Effect.ALLOW)


def _lasts(wide: Part, narrow: Part) -> bool:
    if wide.of.until is None or wide.of.until == narrow.of.until:
        return True
    if narrow.of.until is None:
        return False
    end = narrow.of.until + ("T23:59:59" if len(narrow.of.until) == 10 else "")
    return conditions.in_time(wide.of, end)


def forbids_as_much(wide: Part, narrow: Part) -> bool:
    if wide.effect < narrow.effect or not _within(_rule(narrow), _rule(wide), wide.effect):
        return False
    if narrow.when.commands is not None and wide.when.commands is None and wide.when.hosts is not None:
        return False  # beside commands, hosts are not looked at
    if wide.of.unless is None or bounds.same(wide.of.unless, narrow.of.unless):
        return True
    return narrow.of.unless is not None and _excused_as_much(narrow.of.unless, wide.of.unless)


def _excused_as_much(wide: Condition, narrow: Condition) -> bool:
    """Commands of an exception are others than those of a permission, and are the same or are not."""
    if not _among(narrow.commands, wide.commands, "commands"):
        return False
    first, second = (Rule(Effect.ALLOW, ("*",), replace(each, commands=None)) for each in (narrow, wide))
    return _within(first, second, Effect.ALLOW)


def _rule(part: Part) -> Rule:
    """What it says, without its time and exceptions, and without what only those who agree are told and give."""
    network = part.of.network and part.effect is Effect.ALLOW
    return Rule(part.effect, ("*",), part.when, unsafe=part.of.unsafe, network=network, writes=part.of.writes)


def _within(narrow: Rule, wide: Rule, effect: Effect) -> bool:
    """Whether whatever meets the conditions of one rule meets those of the other."""
    if not bounds.inputs_within(narrow.when.input, wide.when.input, effect):
        return False
    if _as_listed(narrow.when, wide.when):
        return True
    first, second = (replace(each, when=replace(each.when, input=None)) for each in (wide, narrow))
    return covers(first, second) is True


def _as_listed(narrow: Condition, wide: Condition) -> bool:
    if not all(_among(getattr(narrow, name), getattr(wide, name), name) for name in _LISTED):
        return False
    return wide.tainted is None or wide.tainted is narrow.tainted


def _among(narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None, name: str) -> bool:
    if wide is None:
        return True
    if narrow is None:
        return False
    return set(narrow) <= set(wide) or (name in ("channel", "heartbeat") and "*" in wide)
