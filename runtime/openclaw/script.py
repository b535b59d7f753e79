"""The script of a scripted model: YAML read into rules, or the reason why it cannot be followed.

    pace: 0.01                     # seconds between two pieces of text; default 0
    rules:
      - say: '^remember (that )?(?P<fact>.+)$'       # a regular expression, case ignored
        system: Scout                                # optional: only where the system prompt has this too
        calls: [{save_memory: {text: "{fact}"}}]     # one step an item; a list as an item is made at once
        reply: "Saved: {fact}"                       # {result}: what the last calls returned; {fact:you}: my -> your
        failed: "That did not work: {result}"        # where a call of the last step failed
        empty: "Nothing found."                      # where its results say that there is nothing
        stop: max_tokens                             # optional: the stop_reason to end with
        fault: overloaded                            # optional: fail instead, as a ProviderError of this kind
        delay: 2                                     # optional: seconds before the first piece
    otherwise: I can only follow my script.          # where no rule fits
    hints: {save_memory: remember that I like tea}   # {hints}: what to try, of those tools that the agent has

A rule whose calls need a tool that the agent has not is passed over, as long as another one fits.

The law: `read` is pure and total, and the only judge: what passes here can be followed. Knows no file and no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from openclaw.errors import ProviderFault

MOST_BYTES: Final = 1 << 20
_LONGEST = 86_400  # seconds
_DEEPEST = 100
_TOP = ("pace", "rules", "otherwise", "hints")
_KEYS = ("say", "system", "calls", "reply", "failed", "empty", "stop", "fault", "delay")


@dataclass(frozen=True, slots=True)
class Rule:
    say: re.Pattern[str]
    system: re.Pattern[str] | None
    steps: tuple[tuple[tuple[str, Mapping[str, Any]], ...], ...]
    reply: str
    failed: str
    empty: str | None
    stop: str
    fault: ProviderFault | None
    delay: float


@dataclass(frozen=True, slots=True)
class Script:
    rules: tuple[Rule, ...]
    otherwise: str
    pace: float
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a script cannot be followed, in words that name the rule."""

    reason: str


class _Unfit(Exception):
    """Leaves `read` as a Problem."""


def read(content: bytes) -> Script | Problem:
    try:
        return _script(_document(content))
    except _Unfit as unfit:
        return Problem(str(unfit))


def _document(content: bytes) -> Any:
    import yaml

    if len(content) > MOST_BYTES:
        raise _Unfit("it has more than 1 MiB")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _shallow(yaml.parse(content, Loader=loader))
        return yaml.load(content, Loader=loader)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}" if error.problem_mark else "it"
        raise _Unfit(f"{place} cannot be read as YAML") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that there is not
        raise _Unfit(f"it cannot be read as YAML: {error}") from error


def _shallow(events: Iterable[Any]) -> None:
    """Refuses depth before the loader meets it: it recurses in C, and would end the process."""
    from yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            raise _Unfit(f"it is nested more than {_DEEPEST} levels deep")


def _script(document: Any) -> Script:
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise _Unfit("it has no list of `rules`")
    _known(document, _TOP, "")
    rules = tuple(_rule(item, f"rule {number}: ") for number, item in enumerate(document["rules"], 1))
    otherwise = _text(document, "otherwise", "My script says nothing to that.", "")
    hints = document.get("hints", {})
    if not isinstance(hints, dict) or not all(isinstance(name, str) for name in hints):
        raise _Unfit("`hints` names tools, and for each what to try")
    hints = {name: _text(hints, name, "", "") for name in hints}
    return Script(rules, otherwise, _seconds(document, "pace", ""), hints)


def _rule(item: Any, where: str) -> Rule:
    if not isinstance(item, dict):
        raise _Unfit(f"{where}a rule is a mapping")
    _known(item, _KEYS, where)
    if "say" not in item:
        raise _Unfit(f"{where}`say` is missing")
    return Rule(
        say=_pattern(item, "say", where),
        system=_pattern(item, "system", where) if item.get("system") else None,
        steps=_steps(item.get("calls") or [], where),
        reply=_text(item, "reply", "{result}", where),
        failed=_text(item, "failed", "That did not work: {result}", where),
        empty=_text(item, "empty", "", where) if "empty" in item else None,
        stop=_text(item, "stop", "end_turn", where),
        fault=_fault(item.get("fault"), where),
        delay=_seconds(item, "delay", where),
    )


def _known(mapping: Mapping[Any, Any], keys: tuple[str, ...], where: str) -> None:
    if unknown := [key for key in mapping if key not in keys]:
        raise _Unfit(f"{where}unknown key `{unknown[0]}`; there are: {', '.join(keys)}")


def _text(mapping: Mapping[str, Any], key: str, default: str, where: str) -> str:
    value = mapping.get(key, default)
    if value is None or isinstance(value, dict | list | set):
        raise _Unfit(f"{where}`{key}` is text")
    return str(value)


def _seconds(mapping: Mapping[str, Any], key: str, where: str) -> float:
    value = mapping.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
        raise _Unfit(f"{where}`{key}` is a number of seconds, from 0 to {_LONGEST:,}")
    return float(value)


def _fault(value: Any, where: str) -> ProviderFault | None:
    faults: tuple[ProviderFault, ...] = get_args(ProviderFault)
    if value and value not in faults:
        raise _Unfit(f"{where}`fault` is one of: {', '.join(faults)}")
    return value or None


def _pattern(item: Mapping[str, Any], key: str, where: str) -> re.Pattern[str]:
    text = _text(item, key, "", where)
    try:
        return re.compile(text, re.IGNORECASE | re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise _Unfit(f"{where}`{key}` is no regular expression: {error}") from error


def _steps(calls: Any, where: str) -> tuple[tuple[tuple[str, Mapping[str, Any]], ...], ...]:
    if not isinstance(calls, list):
        raise _Unfit(f"{where}`calls` is a list of calls, each written {{tool: {{input}}}}")
    return tuple(_step(step if isinstance(step, list) else [step], where) for step in calls)


def _step(calls: list[Any], where: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    if not all(isinstance(call, dict) and len(call) == 1 for call in calls):
        raise _Unfit(f"{where}a call is written {{tool: {{input}}}}")
    made = tuple((name, input or {}) for call in calls for name, input in call.items())
    if not all(isinstance(name, str) and isinstance(input, dict) for name, input in made):
        raise _Unfit(f"{where}a call is written {{tool: {{input}}}}")
    return made
