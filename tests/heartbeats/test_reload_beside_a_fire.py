"""A reload in the same second as a fire loses no instant and doubles none: a whole runtime, edited around its minute.

The clock stands still but where a round moves it over the minute; how far the reload has come by then is up to chance.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from doubles.house import Program, lived, project
from doubles.messages_server import MessagesServer, Reply
from openclaw.app import App
from openclaw.clock import ManualClock
from openclaw.ports import Run

START = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
BEATS = """\
heartbeats:
  beat: {{cron: "* * * * *", prompt: "prompt {prompt}", agent: main, timezone: UTC}}
  other: {{cron: "{minute} 3 * * *", prompt: never, agent: main, timezone: UTC}}
"""


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(otherwise=lambda body: Reply({"type": "text", "text": "Nothing new."})) as server:
        yield server
    assert server.violations == []


def beats(round: int) -> str:
    """In turn the other one is edited, and this one's prompt."""
    return BEATS.format(prompt=round // 2, minute=(round + 1) // 2 % 60)


async def ended(app: App, instant: datetime) -> Run:
    """The run of this instant, once it is over."""
    async with asyncio.timeout(30):
        while True:
            [run, *_] = await app.store.marks.runs("beat", 1) or [None]
            if run is not None and run.instant >= instant and run.ended is not None:
                return run
            await asyncio.sleep(0.002)


async def one(app: App, clock: ManualClock, root: Path, round: int, chance: random.Random) -> None:
    """One minute, with an edit in its first second or the one before."""
    instant = START.replace(second=0) + timedelta(minutes=round + 1)
    before = chance.choice([0.0, 0.001, 0.4])
    await clock.advance((instant - clock.now()).total_seconds() - before)
    (root / "heartbeats.yaml").write_text(beats(round), "utf-8")
    if chance.random() < 0.3:  # the fire is under way first
        crossing = asyncio.create_task(clock.advance(before + 0.4))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        attempt = await app.reload.attempt("test")
        await crossing
    else:
        reload = asyncio.create_task(app.reload.attempt("test"))
        await asyncio.sleep(chance.choice([0, 0.002, 0.01, 0.02, 0.03, 0.05]))
        await clock.advance(before + 0.4)
        attempt = await reload
    assert attempt.outcome in ("applied", "unchanged"), attempt  # the watch may have been there before
    await clock.advance(1)
    run = await ended(app, instant)
    assert (run.instant, run.state) == (instant, "done")


def rounds(tmp_path: Path, model: MessagesServer, number: int) -> None:
    root, clock, chance = tmp_path / "project", ManualClock(START), random.Random(number)
    project(root, model.url, files={"heartbeats.yaml": BEATS.format(prompt="first", minute=0)})

    async def scene(app: App, operator: Program) -> None:
        while (await app.store.marks.get("heartbeats"))[0] is None:  # noqa: ASYNC110 - since when it counts
            await asyncio.sleep(0.002)
        for round in range(number):
            await one(app, clock, root, round, chance)
        minutes = [START.replace(second=0) + timedelta(minutes=round + 1) for round in range(number)]
        params: dict[str, Any] = {"heartbeat": "beat", "limit": 1000}
        rows = (await operator.http.get("/api/heartbeats/history", params=params)).json()["runs"]
        assert [datetime.fromisoformat(row["scheduled"]) for row in reversed(rows)] == minutes
        assert {row["outcome"] for row in rows} == {"answered"}
        asked = [request.body["messages"][-1]["content"][-1]["text"] for request in model.requests]
        assert len(asked) == number
        allowed = [{f"prompt {round // 2}", "prompt first" if round < 1 else f"prompt {(round - 1) // 2}"}
                   for round in range(number)]  # fmt: skip
        assert [text for text, either in zip(asked, allowed, strict=True) if text not in either] == []

    async def whole() -> None:
        async with lived(root, tmp_path / "state", clock=clock) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 20 + number)

    asyncio.run(whole())


def test_a_reload_around_the_minute_of_a_heartbeat_loses_and_doubles_no_run(
    tmp_path: Path, model: MessagesServer
) -> None:
    rounds(tmp_path, model, 20)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_hundred_reloads_around_the_minute_of_a_heartbeat_lose_and_double_no_run(
    tmp_path: Path, model: MessagesServer
) -> None:
    rounds(tmp_path, model, 200)
