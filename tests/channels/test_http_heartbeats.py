"""Heartbeats over HTTP: how they stand, what came of them, what is to come, and what the operator does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from doubles.beats import beat, ran
from doubles.desk import Desk
from doubles.http_house import before, code, until
from openclaw.clock import ManualClock

NOW = datetime(2026, 11, 28, 2, 30, tzinfo=UTC)
Scene = Callable[[Desk, httpx2.AsyncClient], Awaitable[None]]


def play(scene: Scene, token: str = "operator-secret") -> None:
    async def whole() -> None:
        desk = Desk(ManualClock(NOW))
        desk.beats = {
            "night": beat("night", check="probe", active_hours="22:00-06:00", failures=2),
            "reminder.1": beat("reminder.1", origin="reminder", once="2026-11-28T09:00:00.000Z", cron=[], says=True),
        }
        async with before(desk, token) as client:
            await asyncio.wait_for(scene(desk, client), 60)

    asyncio.run(whole())


async def ended(client: httpx2.AsyncClient, place: str) -> None:
    async def done() -> bool:
        return bool((await client.get(place)).json()["status"] == "done")

    await until(done)


def test_heartbeats_and_reminders_are_told_with_how_they_stand() -> None:
    async def scene(desk: Desk, client: httpx2.AsyncClient) -> None:
        desk.beats["night"]["last_run"] = ran("night", "2026-11-28T03:00:00.000Z", "failed", why="no answer")
        night, reminder = (await client.get("/api/heartbeats")).json()["heartbeats"]
        assert (night["check"], night["failures"], night["last_run"]["outcome"]) == ("probe", 2, "failed")
        assert (reminder["origin"], reminder["says"], reminder["once"]) == (
            "reminder", True, "2026-11-28T09:00:00.000Z"
        )  # fmt: skip

    play(scene, "watcher-secret")


def test_history_is_of_one_or_of_all_since_a_time_and_bounded() -> None:
    async def scene(desk: Desk, client: httpx2.AsyncClient) -> None:
        usage = {"input_tokens": 9, "output_tokens": 2, "cache_read_tokens": 0, "cache_write_tokens": 0}
        sent = [{"to": "telegram:1", "state": "sent", "tries": 1, "ended": "2026-11-28T03:00:02.000Z"}]
        desk.runs = [
            ran("night", "2026-11-28T03:00:00.000Z", reply="Well.", usage=usage, deliveries=sent, cost_usd=0.01),
            ran("day", "2026-11-27T12:00:00.000Z", "missed", why="nothing ran then", count=3),
            ran("night", "2026-11-27T03:00:00.000Z", "quiet", check="nothing new"),
        ]

        async def asked(**params: str) -> list[tuple[str, str]]:
            found = (await client.get("/api/heartbeats/history", params=params)).json()["runs"]
            return [(run["heartbeat"], run["scheduled"][8:10]) for run in found]

        assert await asked() == [("night", "28"), ("day", "27"), ("night", "27")]
        assert await asked(heartbeat="night") == [("night", "28"), ("night", "27")]
        assert await asked(limit="1") == [("night", "28")]
        assert await asked(since="2026-11-27T12:00:00Z") == [("night", "28")]
        assert await asked(heartbeat="gone") == []
        plus = await client.get("/api/heartbeats/history?since=2026-11-27T14:30:00+02:00")  # not encoded, as people do
        assert len(plus.json()["runs"]) == 1

    play(scene, "watcher-secret")


def test_what_comes_is_told_for_a_week_unless_another_end_is_named() -> None:
    async def scene(desk: Desk, client: httpx2.AsyncClient) -> None:
        days = ("2026-11-29T03:00:00.000Z", "2026-12-05T02:30:00.000Z", "2026-12-05T02:31:00.000Z")
        desk.soon = [{"heartbeat": "night", "at": day} for day in days]

        async def asked(**params: str) -> int:
            return len((await client.get("/api/heartbeats/coming", params=params)).json()["coming"])

        assert await asked() == 2
        assert await asked(until="2026-12-31T00:00:00Z") == 3
        assert await asked(until="9999-12-31T23:59:59Z") == 3
        assert await asked(until="2026-11-01T00:00:00Z") == 0
        assert await asked(limit="1") == 1

    play(scene, "watcher-secret")


@pytest.mark.parametrize(
    "query",
    [
        "history?limit=0", "history?limit=1001", "history?since=yesterday", "history?since=2026-11-28T03:00:00",
        "history?heartbeat=%00", "coming?until=0001-01-01T00:00:00%2B10:00", "coming?limit=x",
    ],
)  # fmt: skip
def test_a_query_that_means_nothing_is_refused(query: str) -> None:
    async def scene(_: Desk, client: httpx2.AsyncClient) -> None:
        assert code(await client.get(f"/api/heartbeats/{query}")) == (422, "bad_field")

    play(scene)


def test_the_operator_runs_pauses_and_resumes_one() -> None:
    async def scene(desk: Desk, client: httpx2.AsyncClient) -> None:
        begun = await client.post("/api/heartbeats/night/run")
        assert (begun.status_code, begun.headers["location"]) == (202, f"/api/messages/{begun.json()['id']}")
        await ended(client, begun.headers["location"])
        [run] = (await client.get("/api/heartbeats/history", params={"heartbeat": "night"})).json()["runs"]
        assert (run["cause"], run["message"], run["reply"]) == ("hand", begun.json()["id"], "You said: Look round")
        paused = await client.post("/api/heartbeats/night/pause")
        assert paused.json() == {"name": "night", "paused": True}
        assert desk.beats["night"]["paused"]["by"] == "http:operator"
        resumed = await client.post("/api/heartbeats/night/resume")
        assert resumed.json() == {"name": "night", "paused": False}
        assert (desk.beats["night"]["paused"], desk.beats["night"]["failures"]) == (None, 0)
        for verb in ("run", "pause", "resume"):
            assert code(await client.post(f"/api/heartbeats/day/{verb}")) == (404, "unknown_heartbeat")

    play(scene)


def test_a_reminder_is_deleted_and_a_heartbeat_of_the_manifests_is_not() -> None:
    async def scene(desk: Desk, client: httpx2.AsyncClient) -> None:
        assert (await client.delete("/api/heartbeats/reminder.1")).json() == {"name": "reminder.1", "deleted": True}
        assert code(await client.delete("/api/heartbeats/reminder.1")) == (404, "unknown_heartbeat")
        kept = await client.delete("/api/heartbeats/night")
        assert code(kept) == (409, "in_manifest") and "heartbeats.yaml" in kept.json()["detail"]
        assert list(desk.beats) == ["night"]

    play(scene)


@pytest.mark.parametrize(("token", "may_read"), [("watcher-secret", True), ("chatter-secret", False), ("none", False)])
def test_only_the_operator_changes_anything(token: str, may_read: bool) -> None:
    async def scene(desk: Desk, client: httpx2.AsyncClient) -> None:
        refused = (401, "unauthorized") if token == "none" else (403, "scope")
        for verb in ("run", "pause", "resume"):
            assert code(await client.post(f"/api/heartbeats/night/{verb}")) == refused
        assert code(await client.delete("/api/heartbeats/reminder.1")) == refused
        assert desk.beats["night"]["paused"] is None and "reminder.1" in desk.beats
        for place in ("", "/history", "/coming"):
            answer: Any = await client.get(f"/api/heartbeats{place}")
            assert (answer.status_code == 200) if may_read else (code(answer) == refused)

    play(scene, token)
