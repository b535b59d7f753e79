"""Whether one policy is looser than another about one tool, rule by rule. Pure; knows no snapshot and no people.

Its law: what is not told here cannot be looser. A rule counts as kept only where another one provably permits, or
forbids, at least the same; everything else is a `Loosening`, and whether a call really meets it is for a trial of
calls to find. What a policy tightens is what the old one is looser in than the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openclaw.permissions import bounds, conditions, profiles, programs
from openclaw.permissions.decide import hidden, standing
from openclaw.permissions.parts import Part, apart, forbids_as_much, permits_as_much
from openclaw.permissions.policy import Condition, Effect, Policy, Rule
from openclaw.permissions.template import Template
from openclaw.words import ToolSpec

Why: TypeAlias = Literal[
    "gained",  # the tool is there at all
    "allow",  # a rule permits what none permitted
    "forbid",  # a rule that asked or denied is gone, or narrower
    "behind",  # a deny of a program is, and the file behind a template's may be called so
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


def bearing(side: Side) -> list[Rule]:
    """The rules that may decide about the tool. A forbidden program stays forbidden inside every template, and what
    the file behind a template's program is called is not known here."""
    return [
        rule for rule in side.policy.rules if conditions.names_tool(rule, side.tool.name) or _in_templates(rule, side)
    ]


def _in_templates(rule: Rule, side: Side) -> bool:
    template = isinstance(side.tool.options.get("template"), Template)
    return template and rule.effect is Effect.DENY and rule.when.commands is not None


def speaking(side: Side) -> list[Rule]:
    """The rules that speak of the tool by its name, or by that of a program which it could start."""
    template = side.tool.options.get("template")
    return [
        rule
        for rule in bearing(side)
        if conditions.names_tool(rule, side.tool.name)
        or any(isinstance(template, Template) and _may_start(template, entry) for entry in rule.when.commands or ())
    ]


def _may_start(template: Template, entry: str) -> bool:
    """Whether a template could start a program that an entry names, by the name that stands in either."""
    wanted = entry.split()[0].rsplit("/", 1)[-1].casefold()
    for shape in template.shapes:
        name = "".join(part for part in shape.words[0] if isinstance(part, str))
        if programs.kind(name) is not None or name.rsplit("/", 1)[-1].casefold() == wanted:
            return True
    return False


def _rules(old: Side, new: Side) -> Iterator[Loosening]:
    before, after = _Parts.of(bearing(old)), _Parts.of(bearing(new))
    strict, was_strict = new.policy.default is Effect.DENY, old.policy.default is Effect.DENY
    yield from _told("allow", (each for each in after.allows if not before.permit(each)))
    missed = [each for each in before.forbids if after.misses(each, strict)]
    yield from _told("forbid", (each for each in missed if not _behind(each, old)))
    yield from _told("behind", (each for each in missed if _behind(each, old)))
    if was_strict and not strict:
        yield Loosening("default")
    if was_strict and strict:  # there an ask answers in place of the default, for all of a command
        yield from _told("ask", (each for each in after.asks if each not in before.known))
    yield from _told("silent", _in_the_way(before, after, strict and was_strict))
    online = (each for each in after.asks if each.of.network and not before.online(each))
    yield from _told("network", online, certain=True)


def _behind(part: Part, side: Side) -> bool:
    """Whether a prohibition meets the tool only where a program of its template is a link to a file of that name."""
    template = side.tool.options.get("template")
    if not isinstance(template, Template) or conditions.names_tool(part.of, side.tool.name):
        return False
    return not any(_may_start(template, entry) for entry in part.when.commands or ())


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
        if part in after.known or part.when.commands is None:
            continue
        others = any(not _held_by_profiles(each) for each in after.allows if each.when.commands != part.when.commands)
        if ((part.of.writes or part.of.network) and others) or (strict and after.asks):
            yield part


def _held_by_profiles(part: Part) -> bool:
    entries = part.when.commands or ()
    return not part.of.unsafe and all(profiles.profile(entry.split()[0]) is not None for entry in entries)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Rules taken apart: each about one command, and where they forbid also about one path and one host."""

    allows: tuple[Part, ...]
    forbids: tuple[Part, ...]
    asks: tuple[Part, ...]
    known: frozenset[Part]

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> _Parts:
        parts = [part for rule in rules for part in apart(rule)]
        allows = tuple(part for part in parts if part.effect is Effect.ALLOW)
        forbids = tuple(part for part in parts if part.effect is not Effect.ALLOW)
        asks = tuple(part for part in forbids if part.effect is Effect.ASK)
        return cls(allows, forbids, asks, frozenset(parts))

    def permit(self, part: Part) -> bool:
        """Whether everything that a permission permits is permitted here."""
        return part in self.known or any(permits_as_much(each, part) for each in self.allows)

    def misses(self, part: Part, strict: bool) -> bool:
        """Whether something that a prohibition forbids may be judged less strictly here."""
        if part in self.known or any(forbids_as_much(each, part) for each in self.forbids):
            return False
        return bool(self.allows) or (part.effect is Effect.DENY and (not strict or bool(self.asks)))

    def online(self, part: Part) -> bool:
        return any(each.of.network and forbids_as_much(each, part) for each in self.asks)


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
    elif before == "off" and any(rule.effect is Effect.ALLOW for rule in bearing(new)):
        yield Loosening("sandbox", detail=f"{detail}; what it holds may run where nothing could be held")


def _trusted(old: Policy, new: Side) -> Iterator[Loosening]:
    added = [root for root in new.policy.trusted_repositories if root not in old.trusted_repositories]
    entries = [entry for rule in bearing(new) if rule.effect is Effect.ALLOW for entry in rule.when.commands or ()]
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
    conditional = any(rule.when != Condition() or rule.unless is not None for rule in bearing(old))
    if _permitting(new) or conditional:
        yield from (Loosening("tool", detail=words) for words in _differently(old, new))


def _permitting(side: Side) -> bool:
    return any(rule.effect is Effect.ALLOW for rule in bearing(side))


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
    if _taken(before) != _taken(after) and not _takes_less(before, after):
        yield "it takes other inputs"


def _map(tool: ToolSpec, name: str) -> Mapping[str, Any]:
    found = tool.options.get(name)
    return found if isinstance(found, Mapping) else {}


def _taken(tool: ToolSpec) -> Any:
    """What may be given, without the words about it."""
    return _wordless(tool.input_schema)


def _takes_less(before: ToolSpec, after: ToolSpec) -> bool:
    """Whether every input that may be given now might have been given before, and means the same."""
    was, now = _taken(before), _taken(after)
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return False
    wide, narrow = (each.get("properties", {}) for each in (was, now))
    if {**was, "properties": (), "required": ()} != {**now, "properties": (), "required": ()}:
        return False
    if not set(was.get("required", ())) <= set(now.get("required", ())) or wide.keys() != narrow.keys():
        return False
    options = isinstance(after.options.get("template"), Template)
    return all(
        isinstance(schema, Mapping)
        and all(bounds.same(schema.get(key), wide[name].get(key)) for key in ("default", "type"))
        and bounds.within(schema, wide[name], Effect.ASK)
        and not (options and _admits_more(schema, wide[name]))
        for name, schema in narrow.items()
    )


def _admits_more(narrow: Mapping[str, Any], wide: Mapping[str, Any]) -> bool:
    """A template takes what begins with `-` where its inputs are written out, or may be below zero."""
    written_out = "enum" in narrow and "enum" not in wide
    return written_out or (_below_zero(narrow) and not _below_zero(wide))


def _below_zero(schema: Mapping[str, Any]) -> bool:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    return isinstance(least, int | float) and least < 0


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
