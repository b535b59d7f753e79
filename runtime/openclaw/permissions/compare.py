"""Whether one policy is looser than another about one tool, rule by rule. Pure; knows no snapshot and no people.

Its law: what is not told here cannot be looser. A rule counts as kept only where another one provably permits, or
forbids, at least the same; everything else is a `Loosening`, and whether a call really meets it is for a trial of
calls to find. What a policy tightens is what the old one is looser in than the new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from openclaw.permissions import conditions, profiles, programs
from openclaw.permissions.decide import hidden, standing
from openclaw.permissions.policy import Condition, Effect, Policy, Rule
from openclaw.permissions.template import Template
from openclaw.words import ToolSpec

Why: TypeAlias = Literal[
    "gained",  # the tool is there at all
    "allow",  # a rule permits what none permitted
    "forbid",  # a rule that asked or denied is gone, or narrower
    "ask",  # a rule asks where the default denied
    "default",  # what no rule names asks, and was denied
    "silent",  # a rule that permitted, and is gone, stood in the way of another
    "sandbox",  # programs are held less
    "trusted",  # more repositories say themselves what git runs
    "network",  # what a person agrees to has the network
    "tool",  # the same name does something else
]
_LOOSE: Mapping[str, int] = {"required": 0, "auto": 1, "off": 2}


@dataclass(frozen=True, slots=True)
class Side:
    """A tool under a policy. Who and where, in the rules' conditions, are addresses, the same on both sides. `code`
    stands for what runs where that is not in the tool itself."""

    policy: Policy
    tool: ToolSpec
    code: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A rule, or what it says of one command, one path, one host; where it stands does not count."""

    effect: Effect
    when: Condition
    unless: Condition | None
    until: str | None
    unsafe: bool
    network: bool
    writes: bool
    of: Rule = field(compare=False)


@dataclass(frozen=True, slots=True)
class Loosening:
    """One reason for which calls may be judged less strictly. `parts` are of one rule; `certain`: no trial is needed
    to know that it is so."""

    why: Why
    parts: tuple[Part, ...] = ()
    certain: bool = False
    detail: str = ""

    @property
    def rule(self) -> Rule | None:
        return self.parts[0].of if self.parts else None


def loosened(old: Side | None, new: Side | None) -> tuple[Loosening, ...]:
    """Everything in which `new` may be looser than `old`. None is a tool that is not there: no call reaches it."""
    if new is None or hidden(new.policy, new.tool.name):
        return ()
    if old is None:
        denied = standing(new.policy, new.tool.name) is Effect.DENY
        return () if denied else (Loosening("gained"),)
    return (*_rules(old, new), *_sandbox(old.policy, new), *_trusted(old.policy, new), *_tool(old, new))


# ── rules ────────────────────────────────────────────────────────────────────────────────────────


def speaking(side: Side) -> list[Rule]:
    """The rules that speak of the tool; a forbidden program stays forbidden inside a template that could start it."""
    template = side.tool.options.get("template")
    return [
        rule
        for rule in side.policy.rules
        if conditions.names_tool(rule, side.tool.name)
        or (isinstance(template, Template) and rule.effect is Effect.DENY and _may_start(template, rule))
    ]


def _may_start(template: Template, rule: Rule) -> bool:
    """Whether a template could start a program that a rule names, by the name that stands in either."""
    programs_named = [entry.split()[0].rsplit("/", 1)[-1].casefold() for entry in rule.when.commands or ()]
    for shape in template.shapes:
        first = shape.words[0]
        name = "".join(part for part in first if isinstance(part, str))
        written_out = all(isinstance(part, str) for part in first)
        if programs_named and (not written_out or programs.kind(name) is not None):
            return True
        if name.rsplit("/", 1)[-1].casefold() in programs_named:
            return True
    return False


def _rules(old: Side, new: Side) -> Iterator[Loosening]:
    before, after = _Parts.of(speaking(old)), _Parts.of(speaking(new))
    strict, was_strict = new.policy.default is Effect.DENY, old.policy.default is Effect.DENY
    yield from _told("allow", (each for each in after.allows if not before.permit(each)))
    yield from _told("forbid", (each for each in before.forbids if after.misses(each, strict)))
    if was_strict and not strict:
        yield Loosening("default")
    if was_strict and strict:  # there an ask answers in place of the default, for all of a command
        yield from _told("ask", (each for each in after.asks if each not in before.asks))
    yield from _told("silent", _in_the_way(before, after, strict and was_strict))
    yield from _told("network", (each for each in after.asks if each.network and not before.online(each)), certain=True)


def _told(why: Why, parts: Iterable[Part], *, certain: bool = False) -> Iterator[Loosening]:
    """One for each rule that the parts are of."""
    groups: dict[int, list[Part]] = {}
    for part in parts:
        groups.setdefault(id(part.of), []).append(part)
    yield from (Loosening(why, tuple(group), certain) for group in groups.values())


def _in_the_way(before: _Parts, after: _Parts, strict: bool) -> Iterator[Part]:
    """Permissions whose end can let a call through: one program of a line could write, or reach the network, and
    another could not; or the default denied what a rule named and did not carry, and now an ask answers."""
    for part in before.allows:
        if part in after.allows or part.when.commands is None:
            continue
        others = any(not _held_by_profiles(each) for each in after.allows if each.when.commands != part.when.commands)
        if ((part.writes or part.network) and others) or (strict and after.asks):
            yield part


def _held_by_profiles(part: Part) -> bool:
    entries = part.when.commands or ()
    return not part.unsafe and all(profiles.profile(entry.split()[0]) is not None for entry in entries)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Rules taken apart: each about one command, and where they forbid also about one path and one host."""

    allows: tuple[Part, ...]
    forbids: tuple[Part, ...]
    asks: tuple[Part, ...]

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> _Parts:
        parts = [part for rule in rules for part in apart(rule)]
        allows = tuple(part for part in parts if part.effect is Effect.ALLOW)
        forbids = tuple(part for part in parts if part.effect is not Effect.ALLOW)
        return cls(allows, forbids, tuple(part for part in forbids if part.effect is Effect.ASK))

    def permit(self, part: Part) -> bool:
        """Whether everything that a permission permits is permitted here."""
        return part in self.allows or any(_permits_as_much(each, part) for each in self.allows)

    def misses(self, part: Part, strict: bool) -> bool:
        """Whether something that a prohibition forbids may be judged less strictly here."""
        if part in self.forbids or any(_forbids_as_much(each, part) for each in self.forbids):
            return False
        return bool(self.allows) or (part.effect is Effect.DENY and (not strict or bool(self.asks)))

    def online(self, part: Part) -> bool:
        return any(each.network and _forbids_as_much(each, part) for each in self.asks)


def apart(rule: Rule) -> Iterator[Part]:
    """A permission must cover all paths and hosts of a call by itself, so these are not taken apart."""
    when, forbids = rule.when, rule.effect is not Effect.ALLOW
    commands = _each(when.commands)
    paths = _each(when.paths) if forbids else [when.paths]
    hosts = _each(when.hosts) if forbids else [when.hosts]
    for command, path, host in itertools.product(commands, paths, hosts):
        one = replace(when, commands=command, paths=path, hosts=host)
        yield Part(rule.effect, one, rule.unless, rule.until, rule.unsafe, rule.network, rule.writes, rule)


def _each(entries: tuple[str, ...] | None) -> list[tuple[str, ...] | None]:
    return [None] if entries is None else [(entry,) for entry in entries]


def _permits_as_much(wide: Part, narrow: Part) -> bool:
    able = (wide.unsafe >= narrow.unsafe, wide.network >= narrow.network, wide.writes >= narrow.writes)
    if not all(able) or not _lasts(wide, narrow):
        return False
    if (wide.when.commands is None) is not (narrow.when.commands is None):
        return False
    return _within(narrow.when, wide.when)


def _lasts(wide: Part, narrow: Part) -> bool:
    if wide.until is None or wide.until == narrow.until:
        return True
    if narrow.until is None:
        return False
    end = narrow.until + ("T23:59:59" if len(narrow.until) == 10 else "")
    return conditions.in_time(wide.of, end)


def _forbids_as_much(wide: Part, narrow: Part) -> bool:
    if wide.effect < narrow.effect or not _within(narrow.when, wide.when):
        return False
    if wide.unless is None or wide.unless == narrow.unless:
        return True
    return narrow.unless is not None and _within(wide.unless, narrow.unless)


def _within(narrow: Condition, wide: Condition) -> bool:
    """Whether whatever meets one condition meets the other."""
    listed = ("commands", "paths", "hosts", "sender", "channel", "room", "heartbeat")
    if not all(_among(getattr(narrow, name), getattr(wide, name), name) for name in listed):
        return False
    if wide.tainted is not None and wide.tainted is not narrow.tainted:
        return False
    return wide.input is None or (narrow.input is not None and _inputs_within(narrow.input, wide.input))


def _among(narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None, name: str) -> bool:
    if wide is None:
        return True
    if narrow is None:
        return False
    return set(narrow) <= set(wide) or (name in ("channel", "heartbeat") and "*" in wide)


def _inputs_within(narrow: Mapping[str, Any], wide: Mapping[str, Any]) -> bool:
    return all(name in narrow and _same(narrow[name], schema) for name, schema in wide.items())


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and repr(one) == repr(other)  # to Python, true is 1


# ── what else a policy says ──────────────────────────────────────────────────────────────────────


def runs_programs(tool: ToolSpec) -> bool:
    return "command" in tool.judged.values() or isinstance(tool.options.get("template"), Template)


def _sandbox(old: Policy, new: Side) -> Iterator[Loosening]:
    before, after = old.sandbox, new.policy.sandbox
    if before == after or not runs_programs(new.tool):
        return
    detail = f"sandbox: {before} -> {after}"
    if _LOOSE[after] > _LOOSE[before]:
        yield Loosening("sandbox", certain=True, detail=detail)
    elif before == "off" and any(rule.effect is Effect.ALLOW for rule in speaking(new)):
        yield Loosening("sandbox", detail=f"{detail}; what it holds may run where nothing could be held")


def _trusted(old: Policy, new: Side) -> Iterator[Loosening]:
    added = [root for root in new.policy.trusted_repositories if root not in old.trusted_repositories]
    entries = [entry for rule in speaking(new) if rule.effect is Effect.ALLOW for entry in rule.when.commands or ()]
    following = any((known := profiles.profile(entry.split()[0])) and known.repository for entry in entries)
    if added and following:
        yield Loosening("trusted", certain=True, detail=", ".join(map(str, added)))


def _tool(old: Side, new: Side) -> Iterator[Loosening]:
    """The same name and rules, and something else happens."""
    before, after = old.tool, new.tool
    was, now = _map(before, "env"), _map(after, "env")
    if gained := [name for name in now if name not in was]:
        yield Loosening("tool", certain=True, detail=f"it is given {', '.join(gained)} from the environment")
    if changed := [name for name in now if name in was and was[name] != now[name]]:
        yield Loosening("tool", detail=f"another value is given in {', '.join(changed)}")
    if (after.options.get("writes") is True or after.writes) and not (before.options.get("writes") or before.writes):
        yield Loosening("tool", certain=True, detail="it may write in the workspace")
    if before.untrusted and not after.untrusted and any(rule.when.tainted is not None for rule in new.policy.rules):
        yield Loosening("tool", detail="what it returns no longer counts as strangers' words")
    conditional = any(rule.when != Condition() or rule.unless is not None for rule in speaking(old))
    if _permitting(new) or conditional:
        yield from (Loosening("tool", detail=words) for words in _differently(old, new))


def _permitting(side: Side) -> bool:
    return any(rule.effect is Effect.ALLOW for rule in speaking(side))


def _differently(old: Side, new: Side) -> Iterator[str]:
    before, after = old.tool, new.tool
    was, now = before.options.get("template"), after.options.get("template")
    if isinstance(was, Template) and isinstance(now, Template) and was.shapes != now.shapes:
        yield f"it runs `{now.text}`, and ran `{was.text}`"
    elif before.kind != after.kind:
        yield f"it is of the kind {after.kind}, and was {before.kind}"
    if before.options.get("reference") != after.options.get("reference"):
        yield f"it calls {after.options.get('reference')}, and called {before.options.get('reference')}"
    elif old.code != new.code:
        yield "the code behind it is another"
    if _map(before, "with") != _map(after, "with"):
        yield "its fixed arguments are others"
    if before.judged != after.judged:
        yield "rules look at other inputs of it"
    if _taken(before) != _taken(after):
        yield "it takes other inputs"


def _map(tool: ToolSpec, name: str) -> Mapping[str, Any]:
    found = tool.options.get(name)
    return found if isinstance(found, Mapping) else {}


def _taken(tool: ToolSpec) -> Any:
    """What may be given, without the words about it."""
    return _wordless(tool.input_schema)


def _wordless(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_wordless(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        name: {each: _wordless(below) for each, below in value.items()} if name == "properties" else _wordless(value)
        for name, value in schema.items()
        if name not in ("description", "examples")
    }
