"""Rules in words, and how the rules of one policy became those of another. Pure; judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from openclaw.permissions.policy import Condition, Origin, Policy, Rule
from openclaw.plan.changes import Field

_NOWHERE = Origin("", 0, 0)
_STATED = (
    ("commands", "commands"), ("paths", "paths"), ("hosts", "hosts"), ("sender", "from"),
    ("channel", "channel"), ("room", "room"), ("heartbeat", "heartbeat"),
)  # fmt: skip
MANY = 100  # entries of a list that are all shown


def effect_of(rule: Rule) -> str:
    return rule.effect.name.lower()


def rule_words(rule: Rule) -> str:
    """`deny run_command, commands [sudo, su], except from [nader]`."""
    return ", ".join([f"{effect_of(rule)} {' '.join(rule.tools)}", *_conditions(rule)])


def _conditions(rule: Rule) -> Iterator[str]:
    yield from condition_words(rule.when)
    if rule.unless is not None:
        yield f"except {', '.join(condition_words(rule.unless))}"
    if rule.until is not None:
        yield f"until {rule.until}"
    yield from (name for name in ("unsafe", "network", "writes") if getattr(rule, name))


def condition_words(condition: Condition) -> Iterator[str]:
    for ours, name in _STATED:
        entries = getattr(condition, ours)
        if entries is not None:
            yield f"{name} {some(entries)}"
    if condition.input is not None:
        yield f"input {json.dumps(dict(condition.input), ensure_ascii=False, sort_keys=True, default=str)}"
    if condition.tainted is not None:
        yield "once strangers' words are in it" if condition.tainted else "until strangers' words are in it"


def some(entries: Sequence[str]) -> str:
    """A list, the beginning of a long one."""
    more = len(entries) - MANY
    return f"[{', '.join(entries[:MANY])}{f' and {more} more' if more > 0 else ''}]"


def place(rule: Rule) -> str:
    """`careful/no-root, tools.yaml:31`."""
    where = f"{rule.origin.file}:{rule.origin.line}" if rule.origin.file else ""
    named = "/".join(part for part in (rule.policy, rule.id) if part)
    return ", ".join(part for part in (named, where) if part)


def rules_changed(old: Policy, new: Policy) -> Iterator[Field]:
    """Its own rules: those of another policy are told with that one. Two of one id are one rule that was changed."""
    before, after = _own(old), _own(new)
    gone = [rule for rule in before if _bare(rule) not in map(_bare, after)]
    come = [rule for rule in after if _bare(rule) not in map(_bare, before)]
    for rule in come:
        was = next((each for each in gone if rule.id is not None and each.id == rule.id), None)
        if was is not None:
            gone.remove(was)
            if rule_words(was) == rule_words(rule):  # all else that a rule says is its reason
                yield Field(f"rule {rule.id}: reason", was.reason, rule.reason, at=rule.origin)
                continue
        yield Field(f"rule {rule.id or ''}".strip(), rule_words(was) if was else None, rule_words(rule), at=rule.origin)
    for rule in gone:
        yield Field(f"rule {rule.id or ''}".strip(), rule_words(rule), None, at=rule.origin)


def _own(policy: Policy) -> list[Rule]:
    return [rule for rule in policy.rules if rule.policy == policy.name]


def _bare(rule: Rule) -> Rule:
    return replace(rule, origin=_NOWHERE)
