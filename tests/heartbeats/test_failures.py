"""A heartbeat that fails: its owner is told once, it rests longer each time, and is given up until somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from heartbeats.beat_house import HOURLY, House, snapshot
from openclaw.clock import settle
from openclaw.heartbeats import Heartbeats
from openclaw.messages import Address

NADER = Address("telegram", "12345")
WATCHED = replace(HOURLY, notify=(NADER,))
MINUTELY = replace(WATCHED, cron=("* * * * *",))


def play(house: House, scene: Callable[[Heartbeats], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with house.running() as beats:
            await scene(beats)

    asyncio.run(asyncio.wait_for(main(), 60))


async def hours(house: House, beats: Heartbeats, *, failed: bool, count: int) -> list[str]:
    told = []
    for _ in range(count):
        await house.pass_time(hours=1)
        told += await house.end(beats, "no answer", failed=failed)
    return told


def test_the_owner_is_told_when_failures_begin_and_when_they_are_over() -> None:
    house = House(WATCHED)

    async def scene(beats: Heartbeats) -> None:
        assert await hours(house, beats, failed=False, count=2) == []
        assert await hours(house, beats, failed=True, count=3) == ["telegram:12345: Heartbeat h failed: no answer"]
        told = await hours(house, beats, failed=False, count=2)
        assert told == ["telegram:12345: Heartbeat h runs again, after 3 failures."]

    play(house, scene)


def test_after_five_in_a_row_it_stops_says_so_and_goes_on_when_it_is_resumed() -> None:
    house = House(WATCHED)

    async def scene(beats: Heartbeats) -> None:
        told = await hours(house, beats, failed=True, count=8)
        assert len(told) == 2 and "is stopped: it failed 5 times in a row" in told[1]
        assert "openclaw heartbeats resume h" in told[1]
        assert await house.passed() == [("05-04T18:00", "skipped", "stopped: it failed 5 times in a row")]
        [row] = await beats.told()
        assert (row["stopped"], row["failures"], row["next"]) == ("it failed 5 times in a row", 5, None)
        assert await beats.resume("h")
        await settle()
        assert await hours(house, beats, failed=True, count=1) == ["telegram:12345: Heartbeat h failed: no answer"]
        [row] = await beats.told()
        assert (row["stopped"], row["failures"]) == (None, 1) and row["next"] is not None

    play(house, scene)


def test_what_was_given_up_stays_so_over_a_restart() -> None:
    house = House(WATCHED)

    async def failing(beats: Heartbeats) -> None:
        await hours(house, beats, failed=True, count=5)

    async def after(beats: Heartbeats) -> None:
        await house.pass_time(hours=3)
        assert await house.take() == []

    play(house, failing)
    play(house, after)


def test_an_edit_counts_as_looking() -> None:
    house = House(WATCHED)

    async def scene(beats: Heartbeats) -> None:
        await hours(house, beats, failed=True, count=6)
        house.snapshot = snapshot(replace(WATCHED, prompt="look closer"))
        beats.replan()
        await settle()
        await house.pass_time(hours=1)
        assert await house.take() == ["05-04T19:00"]

    play(house, scene)


def test_a_run_by_hand_that_goes_well_counts_as_looking_and_its_failure_tells_nobody() -> None:
    house = House(WATCHED)

    async def scene(beats: Heartbeats) -> None:
        await hours(house, beats, failed=True, count=6)
        await beats.run_now("h")
        assert await house.end(beats, "still broken", failed=True) == []
        await house.pass_time(hours=1)
        assert await house.take() == []
        await beats.run_now("h")
        assert len(await house.end(beats)) == 1
        await settle()
        await house.pass_time(hours=1)
        assert await house.take() == ["05-04T20:00"]

    play(house, scene)


def test_while_it_fails_it_rests_longer_each_time() -> None:
    house = House(MINUTELY)

    async def scene(beats: Heartbeats) -> None:
        ran = []
        for _ in range(120):
            await house.pass_time(minutes=1)
            before = len(await house.store.marks.runs("h", 1000, ran=True))
            await house.end(beats, "no answer", failed=True)
            if before > len(ran):
                ran.append(house.clock.now().strftime("%H:%M"))
        assert ran == ["12:01", "12:02", "12:07", "12:22", "13:22"]
        whys = {why for _, _, why in await house.passed()}
        assert "rests until 12:07:00 UTC after 2 failures in a row" in whys

    play(house, scene)


def test_nobody_is_told_where_nobody_is_named() -> None:
    house = House(HOURLY)

    async def scene(beats: Heartbeats) -> None:
        assert await hours(house, beats, failed=True, count=6) == []

    play(house, scene)


# ── what was missed is made up for one after the other ───────────────────────────────────────────


def test_what_was_missed_rests_and_stops_as_any_run_does() -> None:
    house = House(replace(MINUTELY, missed="all"))

    async def before(beats: Heartbeats) -> None:
        del beats

    async def scene(beats: Heartbeats) -> None:
        told = []
        for _ in range(150):
            told += await house.end(beats, "no answer", failed=True)
            await house.pass_time(minutes=1)
        assert len(told) == 2 and "is stopped" in told[1]
        assert len(await house.store.marks.runs("h", 1000, ran=True)) == 5

    play(house, before)
    asyncio.run(house.down(hours=1))
    play(house, scene)


def test_a_pause_holds_what_is_still_to_be_made_up_for() -> None:
    house = House(replace(MINUTELY, missed="all"))

    async def before(beats: Heartbeats) -> None:
        del beats

    async def scene(beats: Heartbeats) -> None:
        await house.end(beats)
        await beats.pause("h")
        await settle()
        await house.end(beats)
        ran = len(await house.store.marks.runs("h", 1000, ran=True))
        await house.pass_time(minutes=5)
        assert len(await house.store.marks.runs("h", 1000, ran=True)) == ran < 59

    play(house, before)
    asyncio.run(house.down(hours=1))
    play(house, scene)


# ── clocks and hands ─────────────────────────────────────────────────────────────────────────────


def test_failures_of_a_clock_that_ran_ahead_do_not_count() -> None:
    house = House(WATCHED)

    async def scene(beats: Heartbeats) -> None:
        house.clock.jump(86400)
        await house.pass_time(minutes=1)
        await house.end(beats, "no answer", failed=True)
        await hours(house, beats, failed=True, count=4)
        house.clock.jump(-86400)
        await house.pass_time(minutes=1)
        await house.take()
        assert await beats.resume("h")
        await settle()
        await house.pass_time(hours=2)
        assert await house.take() != []

    play(house, scene)


def test_what_failed_by_hand_neither_counts_nor_swallows_a_notice() -> None:
    house = House(WATCHED)

    async def scene(beats: Heartbeats) -> None:
        await beats.run_now("h")
        assert await house.end(beats, "no answer", failed=True) == []
        assert len(await hours(house, beats, failed=True, count=4)) == 1
        await beats.run_now("h")
        assert await house.end(beats, "no answer", failed=True) == []
        [told] = await hours(house, beats, failed=True, count=1)
        assert "is stopped" in told

    play(house, scene)
