"""Heartbeats on clocks that are moved: by hand, by a suspend, by the zone, while the runtime runs and while it is down.

Whatever is done to the clock, an instant is run at most once, every instant that was passed over is in the history, and
once the clock goes as it should, so do the heartbeats.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.clock import ManualClock, settle
from openclaw.heartbeats import Heartbeats
from openclaw.manifest.snapshot import Heartbeat, Snapshot
from openclaw.ports import Run
from openclaw.stores.volatile import Store
from openclaw.timetable import Timetable

NOON = datetime(2026, 5, 4, 12, 0, 7, tzinfo=UTC)
HOUR, DAY = 3600.0, 86400.0
BEAT = Heartbeat("h", ("0 * * * *",), "look around", "main", "UTC")
OTHER = Heartbeat("other", ("30 12 * * *",), "look elsewhere", "main", "UTC")


def snapshot(*heartbeats: Heartbeat) -> Snapshot:
    return Snapshot("", "/p", {}, {}, {}, {}, {}, {}, {beat.name: beat for beat in heartbeats}, {})


class House:
    """A store that outlives the runtimes in it, and whoever answers at once what they put there."""

    def __init__(self, beat: Heartbeat, start: datetime) -> None:
        self.beat, self.start, self.clock = beat, start, ManualClock(start)
        self.latest = start  # that the clock has ever shown
        self.store = Store("", self.clock)
        self.answered: list[str] = []
        self.edits = 0
        self._snapshot = snapshot(beat)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Heartbeats]:
        await self.store.open()
        beats = Heartbeats(self.store, self.clock, lambda: self._snapshot, lambda session: None)
        await beats.open()
        self.beats = beats
        task = asyncio.create_task(beats.run())
        await self.answer()
        try:
            yield beats
        finally:
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            await self.store.close()
            assert isinstance(outcome, asyncio.CancelledError), outcome

    async def live(self, seconds: float) -> None:
        """Time passes, and every run ends before the next is due."""
        while seconds > 0:
            step = min(seconds, 600.0)
            await self.clock.advance(step)
            await self.answer()
            seconds -= step

    async def down(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        self.latest = max(self.latest, self.clock.now())

    async def answer(self) -> None:
        await settle()
        self.latest = max(self.latest, self.clock.now())
        while (queued := await self.store.inbox.next(f"cron:{self.beat.name}")) is not None:
            self.answered.append(queued.message.id)
            await self.store.inbox.settle(queued.id, "done", None)
            await self.beats.settled(queued)
            await settle()  # what was missed is made up for one after the other

    async def edit(self, beats: Heartbeats) -> None:
        """A reload that changes this one's prompt, and another's schedule."""
        self.edits += 1
        other = replace(OTHER, cron=(f"{self.edits % 60} 12 * * *",))
        self._snapshot = snapshot(replace(self.beat, prompt=f"prompt {self.edits}"), other)
        beats.replan()
        await self.answer()

    async def history(self) -> dict[datetime, Run]:
        runs = await self.store.marks.runs(self.beat.name, 100_000)
        assert len({run.instant for run in runs}) == len(runs)
        return {run.instant: run for run in runs}

    def instants(self, start: datetime, end: datetime) -> list[datetime]:
        """What the schedule has after the one and up to the other."""
        timetable = Timetable.of(self.beat.cron, ZoneInfo(self.beat.timezone))
        return [at.astimezone(UTC) for at in timetable.between(start, end)]

    async def judge(self) -> None:
        assert [id for id, times in Counter(self.answered).items() if times > 1] == []
        history = await self.history()
        assert [at for at in self.instants(self.start, self.latest) if at not in history] == []
        assert [run.why for run in history.values() if run.state == "missed" and not run.why] == []
        ran = {f"{self.beat.name}@{at.isoformat()}" for at, run in history.items() if run.ran}
        assert ran == set(self.answered)


async def goes_on(house: House, seconds: float = 2 * HOUR) -> None:
    """From now on each instant is run, whatever the clock has shown before."""
    await house.live(31)  # a jump is noticed within half a minute
    start = house.clock.now()
    await house.live(seconds)
    history = await house.history()
    assert [at for at in house.instants(start, house.clock.now()) if not history[at].ran] == []


def play(house: House, scene: Callable[[House], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scene(house)
        await house.judge()

    asyncio.run(whole())


# ── one move ─────────────────────────────────────────────────────────────────────────────────────

LONDON, NEW_YORK = "Europe/London", "America/New_York"
DAYS = [  # the clocks change an hour and a half to two and a half later
    (NOON, "UTC"),
    (datetime(2026, 3, 28, 23, 30, 7, tzinfo=UTC), LONDON),
    (datetime(2026, 10, 24, 23, 30, 7, tzinfo=UTC), LONDON),
    (datetime(2026, 3, 8, 5, 30, 7, tzinfo=UTC), NEW_YORK),
    (datetime(2026, 11, 1, 4, 30, 7, tzinfo=UTC), NEW_YORK),
]


JUMPS = [HOUR, -HOUR, DAY, -DAY]
POLICIES = ["once", "skip", "all"]


def moved_while_it_runs(jump: float, start: datetime, zone: str, missed: str) -> None:
    async def scene(house: House) -> None:
        async with house.running():
            await house.live(HOUR + 600)
            house.clock.jump(jump)
            await goes_on(house)
            house.clock.jump(-jump)
            await goes_on(house)

    play(House(replace(BEAT, timezone=zone, missed=missed), start), scene)


def moved_while_it_is_down(jump: float, start: datetime, zone: str, missed: str) -> None:
    async def scene(house: House) -> None:
        for move in (jump, -jump):
            async with house.running():
                await house.live(HOUR + 600)
            house.clock.jump(move)
            await house.down(90)
        async with house.running():
            await goes_on(house)

    play(House(replace(BEAT, timezone=zone, missed=missed), start), scene)


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("move", [moved_while_it_runs, moved_while_it_is_down])
def test_a_clock_is_moved_and_moved_back(move: Callable[..., None], jump: float) -> None:
    for missed in POLICIES:
        move(jump, NOON, "UTC", missed)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "zone"), DAYS[1:])
@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("move", [moved_while_it_runs, moved_while_it_is_down])
def test_a_clock_is_moved_near_a_change_of_the_clocks(
    move: Callable[..., None], jump: float, start: datetime, zone: str
) -> None:
    for missed in POLICIES:
        move(jump, start, zone, missed)


@pytest.mark.parametrize(("start", "zone"), DAYS[1:])
@pytest.mark.parametrize("cron", ["30 1 * * *", "30 1,2 * * *", "*/30 * * * *", "0 1-3 * * *"])
def test_over_a_change_of_the_clocks_each_instant_is_run_once_on_time(start: datetime, zone: str, cron: str) -> None:
    async def scene(house: House) -> None:
        async with house.running():
            await house.live(4 * HOUR)
        history = await house.history()
        assert sorted(history) == house.instants(house.start, house.clock.now())
        assert all(run.ran and run.at == at for at, run in history.items())

    play(House(replace(BEAT, cron=(cron,), timezone=zone), start), scene)


# ── many moves ───────────────────────────────────────────────────────────────────────────────────

SPANS = st.one_of(st.integers(1, 90), st.integers(60, 4 * 3600), st.integers(4 * 3600, 3 * 86400)).map(float)
MOVES = st.one_of(
    st.tuples(st.just("live"), st.integers(1, 2 * 3600).map(float)),
    st.tuples(st.just("down"), SPANS),
    st.tuples(st.just("jump"), SPANS),
    st.tuples(st.just("jump"), SPANS.map(lambda seconds: -seconds)),
    st.tuples(st.just("edit"), st.just(0.0)),
)
STARTS = st.sampled_from(DAYS)


def any_moves(examples: int) -> Callable[[Callable[..., None]], Callable[[], None]]:
    def decorated(test: Callable[..., None]) -> Callable[[], None]:
        quick = settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        policies = st.sampled_from(POLICIES)
        crons = st.sampled_from(["0 * * * *", "45 */2 * * *", "30 1 * * *", "15 1-3 * * *"])
        moves = st.lists(MOVES, max_size=8)
        given_: Callable[[], None] = quick(given(moves=moves, start=STARTS, missed=policies, cron=crons)(test))
        return given_

    return decorated


def moved(moves: Sequence[tuple[str, float]], start: tuple[datetime, str], missed: str, cron: str) -> None:
    async def scene(house: House) -> None:
        left = list(moves)
        while left:
            async with house.running() as beats:
                while left and left[0][0] != "down":
                    await one(house, beats, *left.pop(0))
            if left:
                await house.down(left.pop(0)[1])
        async with house.running():
            await goes_on(house)

    play(House(replace(BEAT, cron=(cron,), timezone=start[1], missed=missed), start[0]), scene)


async def one(house: House, beats: Heartbeats, move: str, seconds: float) -> None:
    match move:
        case "live":
            await house.live(seconds)
        case "jump":
            house.clock.jump(seconds)
            await house.live(31)
        case "edit":
            await house.edit(beats)


@any_moves(8)
def test_whatever_is_done_to_the_clock(
    moves: Sequence[tuple[str, float]], start: tuple[datetime, str], missed: str, cron: str
) -> None:
    moved(moves, start, missed, cron)


@pytest.mark.slow
@pytest.mark.timeout(600)
@any_moves(300)
def test_whatever_is_done_to_the_clock_at_length(
    moves: Sequence[tuple[str, float]], start: tuple[datetime, str], missed: str, cron: str
) -> None:
    moved(moves, start, missed, cron)
