"""The reminder tools: what a model writes reaches whoever keeps the reminders, and what they say comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openclaw import bundle
from openclaw.adapters import importer
from openclaw.clock import ManualClock
from openclaw.errors import ToolError
from openclaw.inputs import input_problem
from openclaw.manifest.build import compile
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Call
from openclaw.permissions.decide import standing
from openclaw.permissions.policy import Effect, Policy
from openclaw.ports import Completed, Place, Reminding, Request
from openclaw.providers.scripted import Provider
from openclaw.reminders import Reminders
from openclaw.stores import volatile
from openclaw.tools.reminders import Tools

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CALL = Call("main", "agent:main:repl:local", "repl:local", Path("/w"), "c1")
SPECS = {name: spec for name, spec in BUILTINS.items() if spec.kind == "reminders"}
MAIN = Agent("main", "Main", "", "", "", "smart", tuple(SPECS), "p")
SNAPSHOT = Snapshot("", "/p", {"main": MAIN}, {}, {"p": Policy("p")}, {}, {}, {}, {}, {})


def kept() -> Reminders:
    clock = ManualClock(NOW)
    return Reminders(volatile.Store("", clock).marks, clock, lambda: SNAPSHOT)


def opened(reminding: Reminding | None) -> Tools:
    return Tools(SPECS, Place("/p", "/s", reminding), ManualClock(NOW))


def ask(*calls: tuple[str, Mapping[str, Any]]) -> Sequence[str]:
    async def run() -> Sequence[str]:
        tools = opened(kept())
        await tools.open()
        said = [await tools.run(name, input, CALL) for name, input in calls]
        await tools.close()
        assert not any(result.is_error for result in said)
        return [result.text for result in said]

    return asyncio.run(run())


def test_one_is_set_up_listed_and_cancelled() -> None:
    said = ask(
        ("reminder_list", {}),
        ("remind_me", {"text": "Drink!", "in": "10m"}),
        ("reminder_list", {}),
        ("remind_me", {"text": "Read the news", "cron": "@daily", "act": True}),
        ("remind_me", {"text": "Go home", "at": "18:00", "in": "", "act": False}),
        ("reminder_list", {}),
        ("reminder_delete", {"name": "reminder.2"}),
    )
    assert said == [
        "No reminder is set.",
        "reminder.1 is set for Friday 2026-05-01 12:10 (UTC): tell “Drink!”.",
        "1 reminder:\n- reminder.1: Friday 2026-05-01 12:10 (UTC): tell “Drink!”",
        "reminder.2 is set for Saturday 2026-05-02 00:00 and then Sunday 2026-05-03 00:00 (UTC), "
        "at 00:00, every day: do “Read the news”.",
        "reminder.3 is set for Friday 2026-05-01 18:00 (UTC): tell “Go home”.",
        "3 reminders:\n- reminder.1: Friday 2026-05-01 12:10 (UTC): tell “Drink!”\n"
        "- reminder.2: Saturday 2026-05-02 00:00 and then Sunday 2026-05-03 00:00 (UTC), at 00:00, every day: "
        "do “Read the news”\n- reminder.3: Friday 2026-05-01 18:00 (UTC): tell “Go home”",
        "reminder.2 is cancelled; it was to do “Read the news”.",
    ]


def test_where_nothing_runs_on_a_schedule_they_say_so() -> None:
    with pytest.raises(ToolError, match="reminders are not available here"):
        asyncio.run(opened(None).run("reminder_list", {}, CALL))
    with pytest.raises(ToolError, match="exactly one way"):
        asyncio.run(opened(kept()).run("remind_me", {"text": "x"}, CALL))


@pytest.mark.parametrize("name", sorted(SPECS))
def test_what_is_described_to_the_model_is_what_is_run(name: str) -> None:
    assert sorted(SPECS) == ["remind_me", "reminder_delete", "reminder_list"]
    assert input_problem(SPECS[name], {"nonsense": 1}) is not None


# ── the demo model ───────────────────────────────────────────────────────────────────────────────


def called(said: str) -> list[tuple[str, Mapping[str, Any]]]:
    """What the demo model calls when a person says that."""

    async def run() -> list[tuple[str, Mapping[str, Any]]]:
        provider = Provider({}, Brisk(NOW))
        await provider.open()
        messages = [{"role": "user", "content": [{"type": "text", "text": said}]}]
        request = Request("demo", "You are Jarvis", tuple(BUILTINS.values()), messages, 1000)
        [done] = [event async for event in provider.stream(request) if isinstance(event, Completed)]
        return [(block["name"], block["input"]) for block in done.content if block["type"] == "tool_use"]

    return asyncio.run(run())


class Brisk(ManualClock):
    async def sleep(self, seconds: float) -> None:
        await self.advance(seconds)


@pytest.mark.parametrize(
    ("said", "name", "input"),
    [
        (
            "remind me in 10 minutes to drink water",
            "remind_me",
            {"text": "Reminder: drink water", "in": "10 minutes"},
        ),
        ("Please remind me in 1h30m to call my mum.", "remind_me", {"text": "Reminder: call your mum", "in": "1h30m"}),
        ("remind me at 18:00 to go home", "remind_me", {"text": "Reminder: go home", "at": "18:00"}),
        ("remind me at 2026-05-02 08:30 to rest", "remind_me", {"text": "Reminder: rest", "at": "2026-05-02 08:30"}),
        ("list my reminders", "reminder_list", {}),
        ("cancel reminder.3", "reminder_delete", {"name": "reminder.3"}),
        ("delete reminder 3.", "reminder_delete", {"name": "3"}),
    ],
)
def test_the_demo_model_understands_plain_requests(said: str, name: str, input: Mapping[str, Any]) -> None:
    assert called(said) == [(name, input)]
    assert input_problem(SPECS[name], input) is None
    if name == "remind_me":
        [answer] = ask((name, input))
        assert answer.startswith("reminder.1 is set for ")


def test_the_default_project_asks_before_one_is_set_up() -> None:
    root = bundle.project_files()
    snapshot = compile(Folder.read(root), environment={}, importer=importer(root), today=NOW).snapshot
    assert snapshot is not None
    main = snapshot.default_agent
    assert set(SPECS) <= set(main.tools)
    policy = snapshot.policies[main.policy]
    assert {name: standing(policy, name) for name in SPECS} == {
        "remind_me": Effect.ASK,
        "reminder_list": Effect.ALLOW,
        "reminder_delete": Effect.ALLOW,
    }


def test_a_name_that_there_is_not_is_an_error_that_the_model_reads() -> None:
    with pytest.raises(ToolError, match=r"there is no reminder `reminder\.9` here; reminder_list shows the names"):
        ask(("reminder_delete", {"name": "reminder.9"}))
