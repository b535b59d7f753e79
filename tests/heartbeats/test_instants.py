"""Heartbeats: each scheduled instant once, whatever clocks, restarts, reloads and downtime do."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from heartbeats.beat_house import HOURLY, NOON, House, snapshot
from openclaw.clock import ManualClock, settle
from openclaw.errors import DiskFull, OpenClawError, StorageFailed
from openclaw.heartbeats import Heartbeats
from openclaw.heartbeats.agenda import CATCH_UP
from openclaw.messages import Address
from openclaw.stores import files, volatile


def test_a_due_heartbeat_puts_its_prompt_into_a_session_of_its_own_and_rings():
    house = House(HOURLY)

    async def main():
        async with house.running():
            await house.pass_time(minutes=59)
            assert house.rung == []
            await house.pass_time(minutes=1)
            assert house.rung == ["cron:h"]
            queued = await house.store.inbox.next("cron:h")
            assert queued.message.id == "h@2026-05-04T13:00:00+00:00"
            assert (queued.message.sender, queued.message.heartbeat) == (Address("cron", "h"), "h")
            assert queued.message.at == NOON + timedelta(hours=1)
            assert (queued.route.agent, queued.route.session) == ("main", "cron:h")
            assert queued.route.text == queued.message.text == "look around"

    asyncio.run(main())


def test_it_goes_on_hour_after_hour():
    house = House(HOURLY)

    async def main():
        async with house.running():
            fired = []
            for _ in range(5):
                await house.pass_time(hours=1)
                fired += await house.take()
            assert fired == [f"05-04T{hour}:00" for hour in range(13, 18)]

    asyncio.run(main())


def test_several_expressions_are_one_schedule_and_a_shared_minute_fires_once():
    house = House(replace(HOURLY, cron=("0 13 * * *", "*/30 13 * * *")))

    async def main():
        async with house.running():
            await house.pass_time(minutes=61)
            assert await house.take() == ["05-04T13:00"]
            await house.pass_time(minutes=60)
            assert await house.take() == ["05-04T13:30"]

    asyncio.run(main())


def test_a_switched_off_heartbeat_never_fires():
    house = House(replace(HOURLY, enabled=False))

    async def main():
        async with house.running():
            await house.pass_time(hours=3)
            assert await house.take() == []

    asyncio.run(main())


# ── downtime ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("missed", "fired", "lost"),
    [
        ("once", [17], [14, 15, 16]),
        ("skip", [], [14, 15, 16, 17]),
        ("all", [14, 15, 16, 17], []),
    ],
)
def test_what_was_missed_while_nothing_ran_is_made_up_for_as_the_policy_says_and_named(missed, fired, lost):
    house = House(replace(HOURLY, missed=missed))
    named = [(f"05-04T{hour}:00", "missed", "nothing ran then") for hour in lost]

    async def main():
        async with house.running():
            await house.pass_time(minutes=70)
            assert await house.take() == ["05-04T13:00"]
        await house.down(hours=4)
        async with house.running():
            assert await house.take() == [f"05-04T{hour}:00" for hour in fired]
            assert await house.passed() == named
            await house.pass_time(hours=1)
            assert await house.take() == ["05-04T18:00"]
            assert await house.passed() == named

    asyncio.run(main())


def test_of_very_many_missed_the_latest_are_named_and_the_others_counted():
    house = House(replace(HOURLY, cron=("* * * * *",)))

    async def main():
        async with house.running():
            pass
        await house.down(hours=4)
        async with house.running():
            assert await house.take() == ["05-04T16:00"]
            runs = [run for run in reversed(await house.store.marks.runs("h", 1000)) if not run.ran]
            assert len(runs) == CATCH_UP and sum(run.number for run in runs) == 239
            assert runs[0].why == "nothing ran then; 140 in a row, the first at 2026-05-04T12:01:00+00:00"

    asyncio.run(main())


def test_a_restart_within_the_minute_is_on_time_under_every_policy():
    for missed in ("once", "skip", "all"):
        house = House(replace(HOURLY, missed=missed))

        async def main(house=house):
            async with house.running():
                await house.pass_time(minutes=59)
            await house.down(seconds=90)
            async with house.running():
                assert await house.take() == ["05-04T13:00"]

        asyncio.run(main())


def test_catching_up_is_bounded_also_after_a_year():
    house = House(replace(HOURLY, cron=("* * * * *",), missed="all"))

    async def main():
        async with house.running():
            pass
        await house.down(days=200)
        async with house.running():
            fired = await house.take()
            assert len(fired) == CATCH_UP and fired[-1] == "11-20T12:00"
            [(instant, state, why)] = await house.passed()
            assert (instant, state) == ("11-20T10:20", "missed") and "20,000 or more in a row" in why

    asyncio.run(main())


def test_a_rare_heartbeat_missed_long_ago_is_still_made_up_for():
    house = House(replace(HOURLY, cron=("0 0 1 6 *",)))

    async def main():
        async with house.running():
            pass
        await house.down(days=150)
        async with house.running():
            assert await house.take() == ["06-01T00:00"]

    asyncio.run(main())


def test_no_instant_fires_twice_over_many_restarts():
    house = House(replace(HOURLY, cron=("*/10 * * * *",), missed="all"))

    async def main():
        fired = []
        for number in range(40):
            async with house.running():
                fired += await house.take()
                await house.pass_time(minutes=number % 7)
                fired += await house.take()
            await house.down(minutes=number % 11)
        async with house.running():
            fired += await house.take()
        assert len(fired) == len(set(fired)) and fired == sorted(fired)
        passed = house.clock.now() - NOON
        assert len(fired) == passed // timedelta(minutes=10)

    asyncio.run(main())


def test_the_files_store_remembers_over_a_restart_too(tmp_path):
    async def life(minutes):
        store = files.Store(str(tmp_path), clock := ManualClock(NOON + timedelta(minutes=minutes)))
        await store.open()
        rung = asyncio.Queue()
        task = asyncio.create_task(Heartbeats(store, clock, lambda: snapshot(HOURLY), rung.put_nowait).run())
        try:
            if minutes:
                async with asyncio.timeout(30):
                    await rung.get()
            else:
                async with asyncio.timeout(30):
                    while (await store.marks.get("heartbeats"))[0] is None:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
            queued = await store.inbox.next("cron:h")
            if queued is not None:
                await store.inbox.settle(queued.id, "done", None)
            return queued and queued.message.id
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.close()

    assert asyncio.run(life(0)) is None
    assert asyncio.run(life(61)) == "h@2026-05-04T13:00:00+00:00"
    assert asyncio.run(life(125)) == "h@2026-05-04T14:00:00+00:00"


# ── overlap ──────────────────────────────────────────────────────────────────────────────────────


def test_it_never_overlaps_itself_and_what_gave_way_is_recorded():
    house = House(HOURLY)

    async def main():
        async with house.running():
            await house.pass_time(hours=3)
            assert house.rung == ["cron:h"]
            skipped = [(f"05-04T{hour}:00", "skipped", "the run before it had not ended") for hour in (14, 15)]
            assert await house.passed() == skipped
            assert await house.take() == ["05-04T13:00"]
            await house.pass_time(hours=1)
            assert await house.take() == ["05-04T16:00"]

    asyncio.run(main())


# ── reloads ──────────────────────────────────────────────────────────────────────────────────────


def test_a_new_heartbeat_owes_nothing_for_the_time_before_and_starts_without_a_restart():
    house = House()

    async def main():
        async with house.running() as beats:
            await house.pass_time(hours=5)
            house.snapshot = snapshot(HOURLY)
            beats.replan()
            await settle()
            assert await house.take() == []
            await house.pass_time(hours=1)
            assert await house.take() == ["05-04T18:00"]

    asyncio.run(main())


def test_a_changed_schedule_counts_from_its_change_and_the_old_one_is_gone():
    house = House(replace(HOURLY, cron=("0 18 * * *",)))

    async def main():
        async with house.running() as beats:
            await house.pass_time(hours=5)
            house.snapshot = snapshot(replace(HOURLY, cron=("30 12 * * *", "30 18 * * *")))
            beats.replan()
            await house.pass_time(hours=2)
            assert await house.take() == ["05-04T18:30"]

    asyncio.run(main())


def test_an_unchanged_heartbeat_keeps_its_time_and_takes_the_new_prompt():
    house = House(HOURLY)

    async def main():
        async with house.running() as beats:
            for minute in range(1, 61):
                await house.pass_time(minutes=1)
                house.snapshot = snapshot(replace(HOURLY, prompt=f"prompt {minute}"))
                beats.replan()
                await settle()
            queued = await house.store.inbox.next("cron:h")
            assert (queued.message.id, queued.message.text) == ("h@2026-05-04T13:00:00+00:00", "prompt 59")

    asyncio.run(main())


def test_a_heartbeat_switched_on_again_does_not_make_up_for_its_pause():
    house = House(replace(HOURLY, missed="all"))

    async def main():
        async with house.running() as beats:
            for enabled, hours in ((False, 5), (True, 1)):
                house.snapshot = snapshot(replace(HOURLY, missed="all", enabled=enabled))
                beats.replan()
                await settle()
                assert await house.take() == []
                await house.pass_time(hours=hours)
            assert await house.take() == ["05-04T18:00"]

    asyncio.run(main())


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────


def test_the_spring_gap_and_the_autumn_hour_each_run_once():
    for start, fired in (
        (datetime(2026, 3, 28, 12, tzinfo=UTC), ["03-29T01:00", "03-30T00:30"]),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["10-25T00:30", "10-26T01:30"]),
    ):
        house = House(replace(HOURLY, cron=("30 1 * * *",), timezone="Europe/London"), start=start)

        async def main(house=house, fired=fired):
            found = []
            async with house.running():
                for _ in range(4):
                    await house.pass_time(hours=12)
                    found += await house.take()
            assert found == fired

        asyncio.run(main())


@pytest.mark.parametrize(
    "jump", [3600, -3600, *(pytest.param(jump, marks=pytest.mark.slow) for jump in (86400, -86400, 90, -90))]
)
def test_a_wall_clock_that_jumps_fires_no_instant_twice_and_goes_on(jump):
    house = House(HOURLY)

    async def main():
        fired = []
        async with house.running():
            await house.pass_time(hours=2, minutes=10)
            fired += await house.take()
            house.clock.jump(jump)
            for _ in range(30):
                await house.pass_time(hours=1)
                fired += await house.take()
        assert len(fired) == len(set(fired))
        assert fired[-1] == (NOON + timedelta(hours=32, seconds=jump, minutes=10)).strftime("%m-%dT%H:00")

    asyncio.run(main())


def test_a_jump_is_noticed_within_half_a_minute():
    house = House(HOURLY)

    async def main():
        async with house.running():
            await house.pass_time(minutes=1)
            house.clock.jump(59 * 60)
            await house.pass_time(seconds=31)
            assert await house.take() == ["05-04T13:00"]

    asyncio.run(main())


# ── a store in trouble ───────────────────────────────────────────────────────────────────────────


class Full(volatile.Marks):
    """A store whose disk is full until `room` is set."""

    room = False
    error: OpenClawError = DiskFull("the disk is full")

    async def fire(self, *args):
        if not self.room:
            raise self.error
        return await super().fire(*args)


@pytest.mark.parametrize(
    ("error", "seconds", "told"), [(DiskFull("it is full"), 5, 0), (OpenClawError("it is busy"), 30, 3)]
)
def test_a_disk_that_takes_nothing_delays_a_heartbeat_and_stops_nothing_else(error, seconds, told, caplog):
    house = House(HOURLY)
    house.store.marks = marks = Full(house.store.inbox)
    marks.error = error

    async def main():
        async with house.running():
            await house.pass_time(minutes=61)
            assert await house.take() == []
            marks.room = True
            await house.pass_time(seconds=seconds)
            assert await house.take() == ["05-04T13:00"]
            assert caplog.text.count("put off") == told

    asyncio.run(main())


class FullForMarks(volatile.Marks):
    """A store that takes no document until `room` is set."""

    room = False

    async def put(self, *args):
        if not self.room:
            raise DiskFull("the disk is full")
        return await super().put(*args)


def test_a_disk_that_is_full_while_times_are_planned_is_waited_for():
    house = House(HOURLY)
    house.store.marks = marks = FullForMarks(house.store.inbox)

    async def main():
        async with house.running():
            await house.pass_time(minutes=10)
            marks.room = True
            await house.pass_time(minutes=50)
            assert await house.take() == ["05-04T13:00"]

    asyncio.run(main())


def test_a_failed_disk_ends_the_heartbeats():
    house = House(HOURLY)
    house.store.marks = marks = Full(house.store.inbox)
    marks.error = StorageFailed("the disk did not take a write")

    async def main():
        with pytest.raises(StorageFailed):
            async with house.running():
                await house.pass_time(minutes=61)

    asyncio.run(main())


class Unanswered(volatile.Marks):
    """On a disk that has written what it was given, and does not say so yet."""

    async def fire(self, *what):
        await super().fire(*what)
        await asyncio.Event().wait()


def test_a_run_that_was_asked_for_is_taken_up_though_whoever_asked_is_gone_while_it_is_written():
    async def main():
        clock = ManualClock(datetime(2026, 5, 4, 12, tzinfo=UTC))
        store, rung = volatile.Store("", clock), []
        store.marks = Unanswered(store.inbox)
        beats = Heartbeats(store, clock, lambda: snapshot(HOURLY), rung.append)
        asking = asyncio.create_task(beats.run_now(HOURLY.name))
        await settle()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert rung == await store.inbox.open() == [f"cron:{HOURLY.name}"]

    asyncio.run(asyncio.wait_for(main(), 10))
