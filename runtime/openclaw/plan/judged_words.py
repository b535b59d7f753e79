"""Why calls are judged otherwise, in words: what a rule says now, or said, and a call that meets it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from openclaw.messages import ToolSpec
from openclaw.permissions.compare import Loosening, Side, speaking
from openclaw.permissions.policy import Condition, Effect, Origin, Rule
from openclaw.permissions.trials import STRANGER, Trial
from openclaw.plan.rules import condition_words, place

_NOWHERE = Origin("", 0, 0)
_ENDS = {Effect.ALLOW: "runs unasked", Effect.ASK: "asks", Effect.DENY: "is denied"}
_WERE = {Effect.ALLOW: "ran unasked", Effect.ASK: "asked", Effect.DENY: "was denied"}


def reason(
    each: Loosening, rule: Rule | None, old: Side | None, new: Side | None, others: Sequence[Rule], *, widens: bool
) -> str:
    """`rule`: as it is written; `others`: the rules of the policy on the other side."""
    words = _of_rule(each, rule, others, widens) if rule is not None else _of_policy(each, old, new, widens)
    return f"{words} ({place(rule)})" if rule is not None and place(rule) else words


def _of_rule(each: Loosening, rule: Rule, others: Sequence[Rule], widens: bool) -> str:
    stake = ", ".join(_stake(each, rule)) or "it"
    as_before = any(_bare(rule) == _bare(one) for one in others)
    verb = "denies" if rule.effect is Effect.DENY else "asks about"
    match each.why, widens:
        case "allow", True:
            return f"allows {stake}" + (", as before, which means more people or places now" if as_before else "")
        case "allow", False:
            return f"no longer allows {stake}" + (" for all people and places that were meant" if as_before else "")
        case "forbid", True:
            less = as_before or _narrower(rule, others)
            return f"{verb} {stake} less widely" if less else f"no longer {verb} {stake}"
        case "behind", _:
            lost = "denies less widely" if as_before or _narrower(rule, others) else "no longer denies"
            return f"{lost} what the file behind a program of its command may be called: {stake}"
        case "forbid", False:
            return f"{verb} {stake}"
        case "ask", True:
            return f"asks about {stake}, where it was denied"
        case "ask", False:
            return f"no longer asks about {stake}, so that it is denied"
        case "silent", _:
            return f"no longer allows {stake}, which stood in the way of other rules"
        case _:
            return f"what is agreed to {'has' if widens else 'has no longer'} the network: {stake}"


def _narrower(rule: Rule, others: Sequence[Rule]) -> bool:
    """Whether the same rule is still there, and says something else."""
    return any(one.id is not None and (one.policy, one.id) == (rule.policy, rule.id) for one in others)


def _stake(each: Loosening, rule: Rule) -> Iterator[str]:
    """What the parts of a rule are about, in the words of the manifest."""
    commands, paths, hosts = (_all(each, name) for name in ("commands", "paths", "hosts"))
    yield from condition_words(replace(rule.when, commands=commands, paths=paths, hosts=hosts))
    if rule.unless is not None:
        yield f"except {', '.join(condition_words(rule.unless))}"
    if rule.until is not None:
        yield f"until {rule.until}"
    yield from (name for name in ("unsafe", "writes", "network") if getattr(rule, name))


def _all(each: Loosening, name: str) -> tuple[str, ...] | None:
    found = [getattr(part.when, name) for part in each.parts]
    return None if None in found else tuple(dict.fromkeys(entry for entries in found for entry in entries))


def _of_policy(each: Loosening, old: Side | None, new: Side | None, widens: bool) -> str:
    match each.why:
        case "gained":
            return _standing(new) if widens else "it has this tool no more"
        case "default":
            return "what no rule names asks, and was denied" if widens else "what no rule names is denied, and asked"
        case "sandbox":
            was, now = (old.policy.sandbox if old else ""), (new.policy.sandbox if new else "")
            return f"programs are held {'less' if widens else 'more'}: sandbox {was} -> {now}"
        case "trusted":
            return f"git {'follows' if widens else 'no longer follows'} what these repositories say: {each.detail}"
        case _:
            return each.detail


def _standing(side: Side | None) -> str:
    """What comes with a tool."""
    if side is None:
        return ""
    rules = speaking(side)
    allowing = any(rule.effect is Effect.ALLOW for rule in rules)
    bare = any(rule.effect is Effect.ALLOW and rule.when == Condition() and rule.until is None for rule in rules)
    held = any(rule.effect is not Effect.ALLOW for rule in rules)
    if bare and not held:
        return f"it has this tool now, and it runs unasked (policy {side.policy.name})"
    otherwise = "asks" if side.policy.default is Effect.ASK else "is denied"
    if allowing:
        return f"it has this tool now; some of it runs unasked, what no rule names {otherwise} ({side.policy.name})"
    return f"it has this tool now; what no rule names {otherwise} (policy {side.policy.name})"


def example(tool: ToolSpec, trial: Trial, before: Effect, after: Effect) -> str:
    """`run_command "docker x" for telegram:5`: asked, runs unasked now."""
    return f"{_call(tool, trial)}{''.join(_around(trial))}: {_WERE[before]}, {_ENDS[after]} now"


def _call(tool: ToolSpec, trial: Trial) -> str:
    names = list(tool.judged) or list(trial.input)
    shown = [f"{name} {_short(trial.input[name])}" for name in names if name in trial.input]
    also = [f"{name} {_short(value)}" for name, value in trial.input.items() if name not in names and _said(value)]
    return " ".join([tool.name, ", ".join([*shown, *also])]).strip()


def _said(value: object) -> bool:
    return value not in ("x", True)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _around(trial: Trial) -> Iterable[str]:
    around = trial.circumstance
    yield "" if around.sender == STRANGER else f", for {around.sender}"
    for name, value in (("channel", around.channel), ("room", around.room), ("heartbeat", around.heartbeat)):
        if value and not (name == "channel" and value == around.sender.partition(":")[0]):
            yield f", {name} {value}"
    if around.tainted:
        yield ", once strangers' words are in it"


def _bare(rule: Rule) -> Rule:
    return replace(rule, origin=_NOWHERE)
