"""What people say of heartbeats, and what is told of them: paused, resumed, run by hand, listed, foreseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from heartbeats.beat_house import HOURLY, NOON, House, snapshot
from openclaw.clock import settle
from openclaw.errors import DiskFull
from openclaw.heartbeats import Heartbeats
from openclaw.heartbeats.standing import MARK
from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import Accepted, Address, Message, Refused, Route
from openclaw.stores import volatile
from openclaw.words import time_json

NADER = Address("telegram", "12345")


def play(house: House, scene: Callable[[Heartbeats], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with house.running() as beats:
            await scene(beats)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_is_paused_does_not_run_over_restarts_and_owes_nothing_when_it_goes_on() -> None:
    house = House(replace(HOURLY, missed="all"))

    async def pause(beats: Heartbeats) -> None:
        assert await beats.pause("h", NADER) and await beats.pause("h")  # the first one stands
        await house.pass_time(hours=3)

    async def still(beats: Heartbeats) -> None:
        await house.pass_time(hours=3)
        assert await house.take() == []
        [row] = await beats.told()
        assert row["paused"] == {"at": time_json(NOON), "by": "telegram:12345"} and row["next"] is None
        assert await beats.coming(NOON + timedelta(days=1), 10) == []
        assert await beats.resume("h")
        await settle()
        await house.pass_time(hours=1)
        assert await house.take() == ["05-04T19:00"]
        assert await house.passed() == []

    play(house, pause)
    play(house, still)


def test_a_pause_that_was_kept_with_its_time_in_an_older_form_is_told_in_the_form_of_today() -> None:
    house = House(HOURLY)

    async def scene(beats: Heartbeats) -> None:
        await house.store.marks.put(MARK, {"h": {"paused": {"at": "2026-05-04T13:00:00+02:00", "by": None}}}, 0)
        await beats.open()
        [row] = await beats.told()
        assert row["paused"] == {"at": "2026-05-04T11:00:00.000Z", "by": None}

    play(house, scene)


def test_what_nobody_knows_can_be_neither_paused_nor_resumed_nor_run() -> None:
    async def scene(beats: Heartbeats) -> None:
        assert not await beats.pause("x") and not await beats.resume("x") and not await beats.forget("h")
        assert isinstance(await beats.run_now("x"), Refused)

    play(House(HOURLY), scene)


class Speechless(volatile.Inbox):
    """Cannot say what it took."""

    async def accept(self, message: Message, route: Route, *, at_most: int | None = None) -> Accepted:
        raise DiskFull("the disk is full")


def test_a_run_that_was_kept_is_carried_out_whatever_becomes_of_the_answer_to_whoever_asked() -> None:
    house = House(HOURLY)
    house.store.inbox = Speechless(house.store.outbox, house.clock)
    house.store.marks = volatile.Marks(house.store.inbox)

    async def scene(beats: Heartbeats) -> None:
        with pytest.raises(DiskFull):
            await beats.run_now("h")
        assert house.rung == ["cron:h"] and len(await house.take()) == 1

    play(house, scene)


def test_a_run_by_hand_is_in_the_history_and_changes_no_schedule() -> None:
    house = House(replace(HOURLY, enabled=False))

    async def scene(beats: Heartbeats) -> None:
        await house.pass_time(minutes=10)
        begun = await beats.run_now("h")
        assert isinstance(begun, Accepted) and house.rung == ["cron:h"]
        again = await beats.run_now("h")
        assert isinstance(again, Accepted) and again.id != begun.id  # also in the same instant
        await house.end(beats, "seen")
        rows = await beats.history("h", 10, None)
        assert len(rows) == 2
        assert [(row["cause"], row["outcome"], row["reply"]) for row in rows][-1] == ("hand", "answered", "seen")
        assert rows[-1]["message"] == begun.id
        house.snapshot = snapshot(HOURLY)
        beats.replan()
        await house.pass_time(minutes=50)
        assert await house.take() == ["05-04T13:00"]

    play(house, scene)


def test_a_late_start_on_purpose_is_the_same_for_the_same_instant_and_never_too_late() -> None:
    house = House(*(replace(HOURLY, name=f"h{number}", jitter=600) for number in range(20)))

    async def scene(beats: Heartbeats) -> None:
        await house.pass_time(minutes=60)
        early = len(house.rung)
        await house.pass_time(minutes=5)
        some = len(house.rung)
        await house.pass_time(minutes=5)
        assert early < some < len(house.rung) == 20
        rows = await beats.history(None, 100, None)
        assert {row["scheduled"] for row in rows} == {"2026-05-04T13:00:00.000Z"}

    play(house, scene)


def test_outside_its_active_hours_nothing_is_due_and_so_nothing_missed() -> None:
    house = House(replace(HOURLY, active_hours=(8 * 60, 14 * 60), timezone="Europe/London"))

    async def scene(beats: Heartbeats) -> None:
        fired = []
        for _ in range(24):
            await house.pass_time(hours=1)
            fired += await house.take()
        assert fired == [f"05-05T{hour:02}:00" for hour in range(7, 13)]
        assert await house.passed() == []

    play(house, scene)


def test_what_is_coming_is_told_soonest_first() -> None:
    house = House(HOURLY, replace(HOURLY, name="d", cron=("30 15 * * *",), timezone="Europe/London"))

    async def scene(beats: Heartbeats) -> None:
        rows = await beats.coming(NOON + timedelta(hours=4), 3)
        assert [(row["heartbeat"], row["at"]) for row in rows] == [
            ("h", "2026-05-04T13:00:00.000Z"),
            ("h", "2026-05-04T14:00:00.000Z"),
            ("d", "2026-05-04T14:30:00.000Z"),
        ]

    play(house, scene)


def test_what_is_told_of_one_says_how_it_stands() -> None:
    house = House(replace(HOURLY, deliver=(NADER,), active_hours=(600, 1320), model="cheap"))

    async def scene(beats: Heartbeats) -> None:
        await house.pass_time(hours=1)
        await house.end(beats, "NO_REPLY")
        [row] = await beats.told()
        assert (row["name"], row["origin"], row["model"], row["deliver"]) == ("h", "manifest", "cheap", [str(NADER)])
        assert (row["active_hours"], row["failures"], row["stopped"]) == ("10:00-22:00", 0, None)
        assert (row["last"], row["next"]) == ("2026-05-04T13:00:00.000Z", "2026-05-04T14:00:00.000Z")
        assert row["last_run"]["outcome"] == "silent"

    play(house, scene)


# ── what comes once ──────────────────────────────────────────────────────────────────────────────


class Reminders:
    """One that comes once, outside the manifests; `there` is whether it can run at present."""

    def __init__(self) -> None:
        self.one: dict[str, Heartbeat] = {
            "reminder.1": replace(HOURLY, name="reminder.1", cron=(), once=NOON + timedelta(minutes=30), says=True)
        }
        self.there = True

    def heartbeats(self) -> Mapping[str, Heartbeat]:
        return self.one if self.there else {}

    async def fired(self, name: str) -> None:
        self.one.pop(name)

    async def delete(self, name: str) -> bool:
        return self.one.pop(name, None) is not None


def reminded(scene: Callable[[House, Heartbeats, Reminders], Coroutine[Any, Any, None]], *, down: float = 0) -> None:
    """In a house with one reminder, after `down` minutes in which nothing ran."""
    house, reminders = House(), Reminders()

    async def main() -> None:
        await house.down(minutes=down)
        async with house.running(reminders) as beats:
            await scene(house, beats, reminders)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_comes_once_comes_at_its_time_and_is_over() -> None:
    async def scene(house: House, beats: Heartbeats, reminders: Reminders) -> None:
        await house.pass_time(minutes=29)
        assert await house.take("reminder.1") == []
        await house.pass_time(minutes=1)
        assert len(await house.take("reminder.1")) == 1 and reminders.one == {}

    reminded(scene)


def test_what_comes_once_comes_late_where_nothing_ran_at_its_time() -> None:
    async def scene(house: House, beats: Heartbeats, reminders: Reminders) -> None:
        await house.pass_time(minutes=1)
        assert len(await house.take("reminder.1")) == 1 and reminders.one == {}

    reminded(scene, down=300)


def test_what_comes_once_is_not_lost_where_it_was_paused_or_rested_over_its_time() -> None:
    async def scene(house: House, beats: Heartbeats, reminders: Reminders) -> None:
        await beats.pause("reminder.1")
        await house.pass_time(hours=1)
        reminders.there = False
        beats.replan()
        await house.pass_time(hours=1)
        assert await beats.pause("reminder.1") is False
        reminders.there = True
        beats.replan()
        await house.pass_time(hours=1)
        assert await house.take("reminder.1") == []  # still paused
        await beats.resume("reminder.1")
        await house.pass_time(minutes=1)
        assert len(await house.take("reminder.1")) == 1

    reminded(scene)


def test_a_run_by_hand_leaves_what_comes_once_to_its_time() -> None:
    async def scene(house: House, beats: Heartbeats, reminders: Reminders) -> None:
        await beats.run_now("reminder.1")
        assert len(await house.take("reminder.1")) == 1 and reminders.one
        await house.pass_time(minutes=30)
        assert len(await house.take("reminder.1")) == 1 and not reminders.one

    reminded(scene)


def test_a_run_that_waits_is_not_begun_once_it_is_paused_unless_a_person_asked_for_it() -> None:
    house = House(HOURLY)

    async def scene(beats: Heartbeats) -> None:
        await house.pass_time(hours=1)
        await beats.run_now("h")
        await beats.pause("h")
        waiting = []
        while (queued := await house.store.inbox.next("cron:h")) is not None:
            waiting.append(beats.of(queued.message) is not None)
            await house.store.inbox.settle(queued.id, "done", None)
        assert waiting == [False, True]

    play(house, scene)


@pytest.mark.parametrize("paused", [{"by": None}, {"at": None}, {"at": 5}, {"at": "once"}, 7])
def test_a_pause_that_is_spoilt_on_disk_is_told_and_can_be_ended(paused: object) -> None:
    house = House(HOURLY)

    async def main() -> None:
        await house.store.marks.put(MARK, {"h": {"paused": paused}, "gone": {"paused": paused}}, 0)
        async with house.running() as beats:
            [row] = await beats.told()
            assert (row["paused"] is None) is (paused == 7)
            await beats.resume("h")
            assert (await beats.told())[0]["paused"] is None

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_is_spoilt_on_disk_counts_from_now() -> None:
    house = House(HOURLY)

    async def main() -> None:
        await house.store.marks.put("heartbeats", {"h": {"since": "yesterday"}, "x": 7}, 0)
        await house.store.marks.put("heartbeats-standing", {"h": 7}, 0)
        async with house.running():
            await house.pass_time(hours=1)
            assert await house.take() == ["05-04T13:00"]

    asyncio.run(asyncio.wait_for(main(), 60))
