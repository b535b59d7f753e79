"""Calls worth trying on two policies: for each rule some that it speaks of, and some just beside. Pure; tries nothing.

They are examples, drawn from what rules name, so they can show that a policy is looser and never that it is not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from openclaw.permissions import profiles
from openclaw.permissions.parts import Part
from openclaw.permissions.policy import Condition
from openclaw.words import ToolSpec

STRANGER = "somebody:else"
MOST = 120  # calls that are tried for one reason
FEW, MANY = 6, 60
_NUMBERS = ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum")


@dataclass(frozen=True, slots=True)
class Circumstance:
    """Who asks, from where and when. Sender and room are addresses."""

    sender: str = STRANGER
    channel: str = ""
    room: str | None = None
    heartbeat: str | None = None
    tainted: bool = False
    now: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    input: Mapping[str, Any]
    circumstance: Circumstance


def trials(
    tool: ToolSpec,
    parts: Iterable[Part],
    others: Iterable[Part],
    now: datetime,
    given: Iterable[Mapping[str, Any]] = (),
) -> Iterator[Trial]:
    """Calls that these parts of rules speak of, the likeliest first; `others` are what else is said of the tool, and
    `given` arguments that somebody thought worth judging."""
    own, rest = list(parts), list(others)
    inputs = [each for part in own for each in _inputs(tool, part, rest)]
    inputs[FEW:FEW] = [_sample(tool), *({**_sample(tool), **each} for each in islice(given, MANY))]
    inputs += [each for part in rest for each in _inputs(tool, part, ())]
    moments = _distinct(each for part in (*own, *rest) for each in _moments(part.of.until, now)) or [now.isoformat()]
    around = [each for part in (*own, *rest) for each in _circumstances(part, moments[:FEW])]
    pairs = itertools.product(_distinct(inputs), _distinct(around) or [_usual(STRANGER, now)])
    return (Trial(*pair) for pair in islice(pairs, MOST))


def _distinct(found: Iterable[Any]) -> list[Any]:
    return list({repr(each): each for each in found}.values())


# ── what is called ───────────────────────────────────────────────────────────────────────────────


def _inputs(tool: ToolSpec, part: Part, others: Iterable[Part]) -> Iterator[dict[str, Any]]:
    base = _sample(tool)
    for condition in (part.when, *([part.of.unless] if part.of.unless is not None else [])):
        named: list[list[str | None]] = [[*_named(tool, name, condition)] for name in tool.judged]
        for values in itertools.product(*(each or [None] for each in named)):
            given = {name: value for name, value in zip(tool.judged, values, strict=True) if value is not None}
            yield from ({**base, **given, **stated} for stated in _stated(tool, condition))
    command = next((name for name, judged in tool.judged.items() if judged == "command"), None)
    if command is not None:
        for beside in _beside(part, others):
            yield {**base, command: beside}


def _named(tool: ToolSpec, name: str, condition: Condition) -> Iterator[str]:
    match tool.judged[name]:
        case "command":
            yield from (text for entry in condition.commands or () for text in _spelt(entry))
        case "path":
            if "command" not in tool.judged.values():
                yield from (text for glob in condition.paths or () for text in _paths(glob))
        case "url":
            yield from (f"https://{host.replace('*', 'www')}/" for host in condition.hosts or ())


def _spelt(entry: str) -> Iterator[str]:
    """Commands that an entry speaks of: as it stands, and with something more."""
    words = entry.split()
    plain = ["x" if word == "*" else word for word in words if word != "**"]
    yield " ".join(plain)
    known = profiles.profile(plain[0]) if plain else None
    yield " ".join([*plain, "x"])
    if known is not None and len(plain) == 1:
        yield from (f"{plain[0]} {name}" for name in islice(sorted(known.subcommands), 3))


def _beside(part: Part, others: Iterable[Part]) -> Iterator[str]:
    """Lines on which a command stands together with others."""
    for entry in islice(part.when.commands or (), 3):
        first = next(_spelt(entry))
        for other in islice((each for one in others for each in one.when.commands or ()), 12):
            second = next(_spelt(other))
            yield from (f"{first} && {second}", f"{second} && {first}", f"{first} {second}", f"{second} {first}")


def _paths(glob: str) -> Iterator[str]:
    whole = glob.replace("**", "x").replace("*", "x").replace("?", "x")
    yield whole
    if "**/" in glob:
        yield glob.replace("**/", "").replace("**", "x").replace("*", "x").replace("?", "x")
        yield glob.replace("**/", "x/y/").replace("**", "x").replace("*", "x").replace("?", "x")
    if glob.endswith("**"):
        yield glob.removesuffix("**").replace("*", "x").replace("?", "x") + "x/y.txt"


def _stated(tool: ToolSpec, condition: Condition) -> Iterator[dict[str, Any]]:
    """Values that a condition on inputs is about: at its bounds, and on both sides of them."""
    named = condition.input or {}
    choices = [[*_values(schema, _declared(tool, name))] for name, schema in named.items()]
    for values in islice(itertools.product(*choices), 64):
        yield dict(zip(named, values, strict=True))


def _values(schema: Any, declared: Mapping[str, Any]) -> Iterator[Any]:
    if not isinstance(schema, Mapping):
        yield schema
        yield _value(declared)
        return
    yield from schema.get("enum", ())
    if "const" in schema:
        yield schema["const"]
    for name in _NUMBERS:
        if isinstance(bound := schema.get(name), int | float):
            yield from (bound, bound + 1, bound - 1)
    yield _value({**declared, **schema})
    yield _value(declared)


def _declared(tool: ToolSpec, name: str) -> Mapping[str, Any]:
    found = tool.input_schema.get("properties", {}).get(name, {})
    return found if isinstance(found, Mapping) else {}


def _sample(tool: ToolSpec) -> dict[str, Any]:
    """The least that can be given."""
    required = tool.input_schema.get("required", ())
    return {name: _value(_declared(tool, name), tool.judged.get(name, "")) for name in required}


def _value(schema: Mapping[str, Any], judged: str = "") -> Any:
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    if judged:
        return {"path": "elsewhere/file.txt", "url": "https://somewhere.example/", "command": "x"}[judged]
    match schema.get("type", "string"):
        case "integer" | "number":
            return next((schema[name] for name in _NUMBERS if name in schema), 1)
        case "boolean":
            return True
        case "array":
            return [_value(schema.get("items") or {})]
        case "object":
            return {}
        case _:
            return "x" * max(1, int(schema.get("minLength", 1)))


# ── who calls, from where, when ──────────────────────────────────────────────────────────────────


def _usual(sender: str, now: datetime) -> Circumstance:
    return Circumstance(sender, sender.partition(":")[0], now=now.isoformat())


def _circumstances(part: Part, moments: Sequence[str]) -> Iterator[Circumstance]:
    for condition in (part.when, *([part.of.unless] if part.of.unless is not None else []), Condition()):
        for sender in (*(condition.sender or ()), STRANGER):
            yield from _there(condition, sender, moments)


def _there(condition: Condition, sender: str, moments: Sequence[str]) -> Iterator[Circumstance]:
    home = sender.partition(":")[0]
    places = itertools.product(
        [home if one == "*" else one for one in condition.channel or (home,)],
        condition.room or (None,),
        ["some" if one == "*" else one for one in condition.heartbeat or (None,)],
        [condition.tainted] if condition.tainted is not None else [False, True],
        moments,
    )
    yield from (Circumstance(sender, *place) for place in islice(places, 24))


def _moments(until: str | None, now: datetime) -> list[str]:
    """Now, and when a permission is about to end, and has ended: of two the longer one is seen then."""
    if until is None:
        return [now.isoformat()]
    try:
        end = datetime.fromisoformat(until + ("T23:59:59" if len(until) == 10 else ""))
    except ValueError:
        return [now.isoformat()]
    return [now.isoformat(), *((end + timedelta(seconds=by)).isoformat() for by in (-1, 1))]
