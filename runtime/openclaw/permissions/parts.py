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
    program: str | None = field(init=False, compare=False)  # that it names, by whichever path
    bare: Rule = field(init=False, compare=False)
    """Without its time, exceptions and inputs, and without what only those who agree are told and give."""

    def __post_init__(self) -> None:
        rule, when, words = self.of, self.when, " ".join(self.when.commands or ()).split()
        said = repr((self.effect, when, rule.unless, rule.until, rule.unsafe, rule.network, rule.writes))
        network = rule.network and self.effect is Effect.ALLOW
        blank = replace(when, input=None)
        bare = Rule(self.effect, ("*",), blank, unsafe=rule.unsafe, network=network, writes=rule.writes)
        program = words[0].rsplit("/", 1)[-1].casefold() if words else None
        for name, value in (("said", said), ("program", program), ("bare", bare)):
            object.__setattr__(self, name, value)


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
    if _apart_by_program(wide, narrow):
        return False
    more, less = wide.of, narrow.of
    able = (more.unsafe >= less.unsafe, more.network >= less.network, more.writes >= less.writes)
    if not all(able) or not _lasts(wide, narrow):
        return False
    if (wide.when.commands is None) is not (narrow.when.commands is None):
        return False
    return _within(narrow, wide)


def _lasts(wide: Part, narrow: Part) -> bool:
    if wide.of.until is None or wide.of.until == narrow.of.until:
        return True
    if narrow.of.until is None:
        return False
    end = narrow.of.until + ("T23:59:59" if len(narrow.of.until) == 10 else "")
    return conditions.in_time(wide.of, end)


def forbids_as_much(wide: Part, narrow: Part) -> bool:
    if wide.effect < narrow.effect or _apart_by_program(wide, narrow) or not _within(narrow, wide):
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
    first, second = (replace(each, commands=None) for each in (narrow, wide))
    return _within(*(Part(Effect.ALLOW, each, Rule(Effect.ALLOW, ("*",), each)) for each in (first, second)))


def _apart_by_program(one: Part, other: Part) -> bool:
    """Whether they speak of two programs; quickly, since most do."""
    return one.program is not None and other.program is not None and one.program != other.program


def _within(narrow: Part, wide: Part) -> bool:
    """Whether whatever meets the conditions of one part meets those of the other; both permit, or both forbid."""
    if not bounds.inputs_within(narrow.when.input, wide.when.input, wide.effect):
        return False
    return _as_listed(narrow.when, wide.when) or covers(wide.bare, narrow.bare) is True


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
