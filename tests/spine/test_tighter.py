"""Of the snapshot that a turn began with and the one in force, the tighter: what is asked of both, and what of both
holds a command back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from doubles.counter import PEOPLE, _snapshot
from openclaw.manifest.snapshot import Person, Snapshot
from openclaw.messages import Address, CommandLine, Confinement, Step, ToolSpec
from openclaw.permissions.policy import Attempt, Decision, Effect, Policy, Rule
from openclaw.tighter import Both, tightest

BUILD = ToolSpec("build", "Builds", {"type": "object"}, "shell", options={"template": "make", "writes": True})
BEGAN = _snapshot(Policy("works"), [BUILD])
WALLS = Confinement(mechanism="bubblewrap", workspace=Path("/w"))
STEP = Step(("make",), program="/usr/bin/make")


def both(now: Snapshot) -> Both:
    return Both(BEGAN.agents["main"], BEGAN, now)


def decision(effect: Effect, **held: Any) -> Decision:
    return Decision(effect, "", command=CommandLine((STEP,), replace(WALLS, **held)))


def together(*decisions: Decision) -> Confinement:
    found = tightest(decisions).command
    assert found is not None and found.confinement is not None
    return found.confinement


def test_a_command_is_held_by_walls_where_either_wants_them() -> None:
    off, on = decision(Effect.ALLOW, mechanism="none"), decision(Effect.ALLOW)
    assert together(off, on) == together(on, off) == WALLS
    assert together(on, decision(Effect.ASK, mechanism="none")).mechanism == "bubblewrap"
    assert together(off).mechanism == "none"


def test_a_command_has_only_what_both_give_it() -> None:
    much = decision(
        Effect.ALLOW, network=True, writable=True, shown=(Path("/a"), Path("/b")), opened=("config",), settings=True,
        lenient=True, around=(STEP,), hidden=(Path("/x"),),
    )  # fmt: skip
    less = decision(Effect.ALLOW, shown=(Path("/b"),), hidden=(Path("/y"),))
    expected = replace(WALLS, shown=(Path("/b"),), hidden=(Path("/x"), Path("/y")))
    assert together(much, less) == expected
    assert together(less, much) == replace(expected, hidden=(Path("/y"), Path("/x")))


def test_what_a_person_agreed_to_may_write_although_the_other_snapshot_would_not_have_asked() -> None:
    assert together(decision(Effect.ALLOW), decision(Effect.ASK, writable=True)).writable


def test_the_strictest_holds_and_of_equals_the_first_and_none_without_a_command() -> None:
    first, second = decision(Effect.ASK), replace(decision(Effect.ASK), reason="second")
    assert tightest([first, second]).reason == ""
    assert tightest([first, Decision(Effect.DENY, "no")]) == Decision(Effect.DENY, "no")


def test_each_snapshot_judges_with_the_people_the_rooms_and_the_permissions_of_tools_that_it_has() -> None:
    attempt = Attempt(BUILD, {}, "main", "telegram:1", "nader", frozenset({"team"}), room="den")
    tools = {**BEGAN.tools, "build": replace(BUILD, options={"template": "make other"})}
    people = {"ben": Person("ben", (Address("telegram", "1"),), groups=("guests",))}
    now = replace(BEGAN, tools=tools, people=people, policies={"works": Policy("works", default=Effect.DENY)})
    first, second = both(now).judged(attempt, lambda snapshot: "yard" if snapshot is now else "den")
    assert second == (attempt, BEGAN.policies["works"])
    judged, policy = first
    assert (judged.person, judged.groups, judged.room) == ("ben", frozenset({"guests"}), "yard")
    assert judged.tool.options == {"template": "make", "writes": None}  # what runs is what the turn began with
    assert policy == now.policies["works"]
    assert [*both(BEGAN).judged(attempt, lambda snapshot: "den")] == [(attempt, BEGAN.policies["works"])]


def test_a_tool_is_away_where_the_agent_or_the_project_has_it_no_more_or_its_memory_is_another_one() -> None:
    agent = BEGAN.agents["main"]
    less = replace(BEGAN, agents={"main": replace(agent, tools=("pay",))})
    assert both(BEGAN).away(BUILD) == "" == both(less).away(BEGAN.tools["pay"])
    assert both(less).away(BUILD) == "taken away while this ran: agent `main` no longer has `build`"
    assert both(less).away(BUILD, listed=False) == "", "a heartbeat's check needs not be on the list"
    none = replace(BEGAN, tools={}, agents={})
    assert both(none).away(BUILD, listed=False) == "taken away while this ran: there is no tool `build` any more"
    kept = replace(BEGAN, agents={"main": replace(agent, memory="person")})
    assert "another one now" in both(kept).away(BEGAN.tools["memory_search"]) and both(kept).away(BUILD) == ""


def test_an_agent_that_is_gone_is_under_the_policy_of_its_name_or_under_its_own_and_the_floor_in_force() -> None:
    rule = Rule(Effect.DENY, ("build",), id="floor")
    gone = replace(BEGAN, agents={}, people=PEOPLE)
    assert both(gone).policy is BEGAN.policies["works"] and both(gone).gone and not both(BEGAN).gone
    floor = Policy("floor", (rule,))
    assert both(replace(gone, policies={"floor": floor})).policy == replace(BEGAN.policies["works"], rules=(rule,))
    assert both(replace(gone, policies={})).policy is BEGAN.policies["works"]
    named = Policy("works", (rule,))
    assert both(replace(gone, policies={"works": named, "floor": floor})).policy is named
