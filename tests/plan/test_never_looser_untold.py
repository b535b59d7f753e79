"""What a plan keeps quiet about cannot be looser: drawn pairs of policies, and calls that the real judgement ends.

A counterexample would be a call that is judged less strictly by the new policy while the plan says that none is.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.manifest import people
from openclaw.manifest.snapshot import Agent, Model, Person, Room, Snapshot
from openclaw.messages import Address, ToolSpec
from openclaw.permissions.compare import loosened
from openclaw.permissions.decide import decide
from openclaw.permissions.facts import Assumed, Bare, Facts, Program
from openclaw.permissions.policy import Attempt, Condition, Effect, Policy, Rule
from openclaw.permissions.template import Template, compile_template
from openclaw.plan.judging import House

DEEP = int(os.environ.get("OPENCLAW_PLAN_EXAMPLES", "0"))


def _schema(*names: str, **more: Any) -> dict[str, Any]:
    properties = {**{name: {"type": "string"} for name in names}, **more}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _template(text: str) -> Template:
    found = compile_template(text, {"x": {"type": "string"}})
    assert isinstance(found, Template)
    return found


TOOLS = {
    "run_command": ToolSpec("run_command", "", _schema("command"), "shell", judged={"command": "command"}),
    "write_file": ToolSpec("write_file", "", _schema("path"), "files", judged={"path": "path"}, writes=True),
    "web_fetch": ToolSpec("web_fetch", "", _schema("url"), "web", judged={"url": "url"}),
    "refund": ToolSpec("refund", "", _schema(amount={}), "python", {"reference": "shop:refund"}),
    "measure": ToolSpec("measure", "", _schema("x"), "shell", {"template": _template("sudo du {x} | head"), "env": {}}),
    "weigh": ToolSpec("weigh", "", _schema("x"), "shell", {"template": _template("du {x}"), "env": {}}),
}
INPUTS: dict[str, list[dict[str, Any]]] = {
    "run_command": [
        {"command": text}
        for text in (
            "ls", "ls -la", "foo", "foo x", "foo && bar", "bar x && foo x", "git status", "sudo ls", "env sudo ls",
            "ls; foo", "ls > x", "$(sudo x)",
            "git status --short", "git push origin x", "git -C x push", "bin/foo x",
            "make test", "make all", "grep -r x .", "foo x && make test",
        )
    ],
    "write_file": [{"path": path} for path in ("a/x", "a/b/x.key", "x.key", "b/x", ".env", ".", "A/b/y", "c/a/x", "a")],
    "web_fetch": [
        {"url": url}
        for url in ("https://a.example/", "https://b.a.example/x", "https://c.example/", "https://C.b.a.example:8/")
    ],
    "refund": [
        {"amount": amount}
        for amount in (1, 2, 50, 51, 1000, -3, 1.0, 2.5, True, None, "", "ab", "abcdef", [], [1, 2], math.nan, math.inf)
    ],
    "measure": [{"x": "a"}, {"x": "-x"}],
    "weigh": [{"x": "a"}],
}  # fmt: skip
COMMANDS = (
    "ls", "foo", "foo *", "foo **", "bar **", "git status", "sudo", "make test", "make **", "grep", "du", "git",
    "git status --short", "git *", "git push", "git push origin", "foo x", "ls -la", "sudo ls", "du.real", "bin/foo",
)
GLOBS = ("a/**", "**/*.key", "b/*", "**", "a/*", "**/*", "*", "a/b/**", "a/b/x.key", "a", "a/", "*.key", "./a/**", ".")
HOSTS = ("a.example", "*.a.example", "*", "c.example", "*.b.a.example", "b.a.example", "C.B.A.example", "*.example")
BOUNDS: tuple[Any, ...] = (
    {"maximum": 50}, {"maximum": 100}, {"minimum": 2}, {"enum": [1, 51]}, {"exclusiveMaximum": 50}, {"maximum": 49},
    {"exclusiveMinimum": 1}, {"minimum": 1, "maximum": 51}, {"type": "integer"}, {"type": ["number", "string"]},
    {"type": "number", "minimum": 2}, {"const": 1}, {"const": True}, 1, 1.0, "ab", True, {"maxLength": 2},
    {"maxLength": 5}, {"minLength": 1, "maxLength": 5}, {"enum": ["ab", 2]}, {"maxItems": 1}, {"maxItems": 3},
    {"multipleOf": 2}, {"maximum": 50, "multipleOf": 2}, {"pattern": "^a"}, {"pattern": "^a", "maxLength": 5},
    {"type": "string", "maxLength": 5}, {"not": {"maximum": 50}}, {"enum": [1]}, {"minItems": 1},
    {"enum": [None, "ab"]},
)
SENDERS = ("chat:1", "chat:2", "chat:3", "repl:local")



class Linked(Assumed):
    """A machine on which every program is a link to a file of another name."""

    def find_program(self, name: str) -> Program | None:
        found = super().find_program(name)
        return found and replace(found, path=f"{found.path}.real")


some = st.one_of(st.none(), st.lists(st.sampled_from(["ana", "bob", "group:team", "chat:3"]), min_size=1, max_size=2))
flag = st.integers(0, 5).map(lambda drawn: drawn == 0)


def entries(*words: str) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def conditions(draw: st.DrawFn, tools: tuple[str, ...]) -> Condition:
    names = draw(some)
    found = Condition(
        sender=None if names is None else tuple(names),
        channel=draw(st.sampled_from([None, None, None, ("chat",), ("*",), ("repl",)])),
        room=draw(st.sampled_from([None, None, None, ("ops",), ("*",)])),
        heartbeat=draw(st.sampled_from([None, None, None, None, ("beat",)])),
        tainted=draw(st.sampled_from([None, None, None, True, False])),
    )
    match draw(st.sampled_from(["", "", *tools])):
        case "run_command" | "measure" | "weigh":
            return replace(found, commands=draw(entries(*COMMANDS)))
        case "write_file":
            return replace(found, paths=draw(entries(*GLOBS)))
        case "web_fetch":
            return replace(found, hosts=draw(entries(*HOSTS)))
        case "refund":
            return replace(found, input={"amount": draw(st.sampled_from(BOUNDS))})
        case _:
            return found


@st.composite
def nearby(draw: st.DrawFn, rule: Rule) -> Rule:
    """The same rule about other commands, paths, hosts or values: mostly wider or narrower ones."""
    when, other = rule.when, draw(conditions(rule.tools))
    drawn = {"commands": COMMANDS, "paths": GLOBS, "hosts": HOSTS}
    stated: dict[str, Any] = {
        name: draw(entries(*words)) for name, words in drawn.items() if getattr(when, name) is not None
    }
    if when.input is not None:
        stated["input"] = {"amount": draw(st.sampled_from(BOUNDS))}
    return replace(rule, when=replace(when, **stated) if stated else other)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    effect = draw(st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.ASK, Effect.DENY]))
    tools = tuple(draw(st.lists(st.sampled_from([*TOOLS, "*"]), min_size=1, max_size=2, unique=True)))
    allows = effect is Effect.ALLOW
    return Rule(
        effect,
        tools,
        draw(conditions(tools)),
        None if allows or draw(st.booleans()) else draw(conditions(tools)),
        draw(st.sampled_from([None, "one", "two"])),
        until=draw(st.sampled_from([None, None, "2026-03-01", "2026-02-01", "2027-01-01"])) if allows else None,
        unsafe=allows and draw(flag),
        network=effect is not Effect.DENY and draw(flag),
        writes=allows and draw(flag),
        policy="works",
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        "works",
        tuple(draw(st.lists(rules(), max_size=5))),
        draw(st.sampled_from([Effect.ASK, Effect.DENY])),
        sandbox=draw(st.sampled_from(["auto", "auto", "required", "off"])),
        trusted_repositories=draw(st.sampled_from([(), (), (Path("/workspace"),)])),
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """A policy and another one; mostly the same with an edit or two, as policies are edited."""
    old = draw(policies())
    if draw(flag):
        return old, draw(policies())
    kept = [rule for rule in old.rules if draw(st.integers(0, 3))]
    kept += [replace(rule, when=draw(conditions(rule.tools))) for rule in old.rules if not draw(st.integers(0, 4))]
    if draw(st.booleans()):
        kept = [draw(nearby(rule)) if draw(st.booleans()) else rule for rule in old.rules]
    kept += draw(st.lists(rules(), max_size=1))
    other = draw(policies())
    new = replace(old, rules=tuple(kept))
    for name in ("default", "sandbox", "trusted_repositories"):
        if draw(flag):
            new = replace(new, **{name: getattr(other, name)})
    return (old, new) if draw(st.booleans()) else (new, old)


@st.composite
def snapshots(draw: st.DrawFn, policy: Policy) -> Snapshot:
    ana = draw(st.sampled_from([("chat:1",), ("chat:1", "chat:2")]))
    team = draw(st.sampled_from([(), ("team",)]))
    known = {
        "ana": Person("ana", tuple(map(Address.parse, ana)), groups=team),
        "bob": Person("bob", (Address("chat", "9"),), groups=draw(st.sampled_from([(), ("team",)]))),
    }
    tools = tuple(name for name in TOOLS if draw(st.integers(0, 9)))
    agent = Agent("main", "Main", "", "", "", "m", tools, "works", default=True)
    rooms = {"ops": Room("ops", Address("chat", draw(st.sampled_from(["7", "8"]))))}
    return Snapshot(
        "", "/project", {"main": agent}, TOOLS, {"works": policy}, {}, known, rooms, {}, {"m": Model("m", "m")}
    )


def effect(snapshot: Snapshot, tool: str, given: dict[str, Any], around: dict[str, Any], facts: Facts) -> Effect:
    if tool not in snapshot.agents["main"].tools:
        return Effect.DENY
    who = people.sender(Address.parse(around["sender"]), snapshot)
    room = next((one.name for one in snapshot.rooms.values() if str(one.id) == around["room"]), None)
    attempt = Attempt(
        TOOLS[tool], given, "main", around["sender"], who.person, who.groups, around["sender"].partition(":")[0],
        room, around["heartbeat"], Path("/workspace"), now=around["now"], untrusted=around["tainted"],
    )  # fmt: skip
    return decide(attempt, snapshot.policies["works"], facts).effect


circumstances = st.fixed_dictionaries(
    {
        "sender": st.sampled_from(SENDERS),
        "room": st.sampled_from([None, "chat:7", "chat:8"]),
        "heartbeat": st.sampled_from([None, "beat"]),
        "tainted": st.sampled_from(["", "a page"]),
        "now": st.sampled_from(["2026-01-15T00:00:00+00:00", "2026-03-01T12:00:00+00:00", "2026-12-01T00:00:00+00:00"]),
    }
)


def looser(drawn: st.DataObject) -> bool:
    """One drawn pair and calls under both: true where a call was judged less strictly, for which there is a reason."""
    before, after = drawn.draw(pairs())
    old, new = drawn.draw(snapshots(before)), drawn.draw(snapshots(after))
    facts = drawn.draw(st.sampled_from([Assumed(), Bare(), Linked()]))
    around = drawn.draw(st.lists(circumstances, min_size=2, max_size=4))
    met = [
        (tool, given, each)
        for tool, inputs in INPUTS.items()
        for given in inputs
        for each in around
        if effect(new, tool, given, each, facts) < effect(old, tool, given, each, facts)
    ]
    before_all, after_all = House.of(old), House.of(new)
    for tool in {call[0] for call in met}:
        was = before_all.side(old.agents["main"], tool if tool in old.agents["main"].tools else None)
        now = after_all.side(new.agents["main"], tool)
        assert loosened(was, now), f"{tool}: {old.policies['works']}\n-> {new.policies['works']}"
    return bool(met)


def judged(examples: int) -> int:
    """Among how many drawn pairs a call was judged less strictly; each was told."""
    met: list[bool] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not DEEP,
    )
    @given(st.data())
    def each(drawn: st.DataObject) -> None:
        met.append(looser(drawn))

    each()
    print(f"{sum(met):,} of {len(met):,} drawn pairs judge a drawn call less strictly")
    return sum(met)


def test_whatever_is_judged_less_strictly_is_told() -> None:
    assert judged(20) >= 3


@pytest.mark.slow
def test_whatever_is_judged_less_strictly_is_told_of_many_policies() -> None:
    assert judged(DEEP or 400) >= 80
