"""What many heartbeats cost: how late they come, what they hold, and how fast they are planned and fired.

Lateness is measured on an idle runtime, from the instant to its row in the inbox, beside a floor of its own: asyncio
sleeping to the same instants, and one synced SQLite transaction after each. Targets: 99 of 100 within 50 ms; no CPU
while ten thousand wait. `next` is compared with croniter where that is installed. From the tests folder:

    python -m bench.heartbeats [--fires 100] [--number 10000] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import importlib
import itertools
import pstats
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench._house import resident
from openclaw.clock import ManualClock, SystemClock
from openclaw.heartbeats import Heartbeats
from openclaw.manifest.snapshot import Heartbeat, Snapshot
from openclaw.messages import Message, Route
from openclaw.ports import Cause
from openclaw.stores.files import Store
from openclaw.stores.volatile import Store as Memory
from openclaw.timetable import Timetable

EXPRESSIONS = ("*/5 * * * *", "30 7 * * 1-5", "0 0 1,15 * *", "15 3 29 2 *", "0 12 13 * 5", "7 */2 * 3,9 *")
ZONES = ("UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe")
APART = 0.25  # seconds between the instants whose lateness is measured


def snapshot(heartbeats: Sequence[Heartbeat]) -> Snapshot:
    return Snapshot("", "/p", {}, {}, {}, {}, {}, {}, {beat.name: beat for beat in heartbeats}, {})


def many(number: int) -> list[Heartbeat]:
    """Heartbeats over the day, in several zones."""
    return [
        Heartbeat(f"h{n}", (f"{n % 60} {n // 60 % 24} * * *",), f"prompt {n}", "main", ZONES[n % len(ZONES)])
        for n in range(number)
    ]


@asynccontextmanager
async def running(
    store: Store | Memory, clock: SystemClock | ManualClock, heartbeats: list[Heartbeat]
) -> AsyncIterator[tuple[Heartbeats, list[Snapshot]]]:
    """The heartbeats alone; nobody answers. The second is where the snapshot in force lies."""
    force = [snapshot(heartbeats)]
    beats = Heartbeats(store, clock, lambda: force[0], lambda session: None)
    await beats.open()
    task = asyncio.create_task(beats.run())
    try:
        yield beats, force
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def opened(clock: SystemClock | ManualClock) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, clock)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


class Stalls:
    """The longest time for which the loop was not free."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Stalls]:
        task = asyncio.create_task(self.watch())
        await asyncio.sleep(0.01)
        try:
            yield self
        finally:
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    profile = cProfile.Profile()
    with profile:
        yield
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


# ── lateness ─────────────────────────────────────────────────────────────────────────────────────


class Often(SystemClock):
    """A wall clock that shows a minute for every `APART` seconds, from its own start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._start = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._begun) * 60 / APART)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * APART / 60)


async def lateness(fires: int) -> list[float]:
    """Milliseconds from each instant to the moment when its message is on disk."""
    clock, minutely = Often(), Heartbeat("h", ("* * * * *",), "look around", "main", "UTC")
    late: list[float] = []
    async with opened(clock) as store:
        marks, fire = store.marks, store.marks.fire

        async def noted(
            schedule: str, instant: datetime, message: Message, route: Route, cause: Cause = "schedule"
        ) -> bool:
            new = await fire(schedule, instant, message, route, cause)
            late.append((clock.now() - instant).total_seconds() * APART / 60 * 1000)
            queued = await store.inbox.next(route.session)
            assert queued is not None
            await store.inbox.settle(queued.id, "done", None)
            return new

        marks.fire = noted  # type: ignore[method-assign]
        async with running(store, clock, [minutely]):
            while len(late) < fires:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(APART)
    return late


def synced(folder: Path) -> tuple[Callable[[], object], Callable[[], None]]:
    """One small transaction, on disk when it returns; and the end of it."""
    db = sqlite3.connect(folder / "floor.db", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (n)")
    return lambda: db.execute("INSERT INTO t VALUES (1)"), db.close


async def floor(fires: int) -> list[float]:
    """The same of a sleep to an absolute time and one synced transaction in another thread."""
    loop, late = asyncio.get_running_loop(), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        write, close = synced(Path(folder))
        at = loop.time() + APART
        for _ in range(fires):
            await asyncio.sleep(at - loop.time())
            await asyncio.to_thread(write)
            late.append((loop.time() - at) * 1000)
            at += APART
        close()
    return late


def percentiles(late: Sequence[float]) -> tuple[float, float]:
    return statistics.median(late), statistics.quantiles(late, n=100, method="inclusive")[98]


# ── many ─────────────────────────────────────────────────────────────────────────────────────────


async def waiting(number: int) -> None:
    clock, heartbeats = SystemClock(), many(number)
    async with opened(clock) as store:
        gc.collect()
        before = resident()
        begun, stalls = time.perf_counter(), Stalls()
        async with running(store, clock, heartbeats) as (beats, force):
            async with stalls.watching():
                await planned(beats, number)
            print(f"planned at the start      {time.perf_counter() - begun:6.2f} s for {number:,}   "
                  f"(loop blocked for {stalls.longest * 1000:.0f} ms at most)")  # fmt: skip
            gc.collect()
            print(f"held                      {(resident() - before) * 1024 / number:6.2f} kB for each")
            await edited(beats, force, heartbeats)
            await idle()


async def planned(beats: Heartbeats, number: int) -> None:
    while len(beats._plans) < number or beats._stale or beats._agenda.next() is None:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)
    for _ in range(20):  # until it sleeps
        await asyncio.sleep(0.001)


async def edited(beats: Heartbeats, force: list[Snapshot], heartbeats: list[Heartbeat]) -> None:
    fresh = replace(heartbeats[5], prompt="another prompt")
    force[0] = snapshot([*heartbeats[:5], fresh, *heartbeats[6:]])
    stalls = Stalls()
    async with stalls.watching():
        begun = time.perf_counter()
        beats.replan()
        while beats._plans[fresh.name].heartbeat is not fresh:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        taken = time.perf_counter() - begun
        await asyncio.sleep(0.1)
    print(f"planned after an edit     {taken:6.2f} s   (loop blocked for {stalls.longest * 1000:.0f} ms at most)")


async def idle(seconds: float = 10.0) -> None:
    cpu, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    share = (time.process_time() - cpu) / (time.perf_counter() - begun)
    print(f"CPU while nothing is due  {share:6.2%}")


async def in_order(number: int) -> None:
    """A day of heartbeats on a clock that is moved over it, on a store in memory, which never waits."""
    clock = ManualClock(datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC))
    store, fired, late = Memory("", clock), list[datetime](), list[float]()
    await store.open()
    fire = store.marks.fire

    async def noted(
        schedule: str, instant: datetime, message: Message, route: Route, cause: Cause = "schedule"
    ) -> bool:
        fired.append(instant)
        late.append((clock.now() - instant).total_seconds())
        return await fire(schedule, instant, message, route, cause)

    store.marks.fire = noted  # type: ignore[method-assign]
    async with running(store, clock, many(number)) as (beats, _):
        await planned(beats, number)
        for _ in range(24 * 60):
            await clock.advance(60)
    right = fired == sorted(fired) and len(fired) == number
    verdict = "right" if right else "WRONG"
    print(f"order over a day          {verdict}: {len(fired):,} fires, the latest {max(late):g} s "
          "after its instant")  # fmt: skip


async def at_once(number: int, profile: bool) -> None:
    """All of them in one minute."""
    clock = ManualClock(datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC))
    heartbeats = [Heartbeat(f"h{n}", ("* * * * *",), f"prompt {n}", "main", "UTC") for n in range(number)]
    rung: list[str] = []
    async with opened(clock) as store:
        force, stalls = snapshot(heartbeats), Stalls()
        beats = Heartbeats(store, clock, lambda: force, rung.append)
        task = asyncio.create_task(beats.run())
        await planned(beats, number)
        async with stalls.watching():
            with profiled(profile):
                cpu, begun = time.process_time(), time.perf_counter()
                await clock.advance(30)
                while len(rung) < number:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.005)
                taken, cpu = time.perf_counter() - begun, time.process_time() - cpu
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        base = await transactions(number // 10) * 10
    print(f"due in the same minute    {taken:6.2f} s until all are in the inbox, {cpu:.2f} s of it CPU; "
          f"{taken / base:.1f} times as many synced transactions alone ({base:.2f} s)   "
          f"(loop blocked for {stalls.longest * 1000:.0f} ms at most)")  # fmt: skip


async def transactions(number: int) -> float:
    """Seconds for so many, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        write, close = synced(Path(folder))
        begun = time.perf_counter()
        for _ in range(number):
            write()
        taken = time.perf_counter() - begun
        close()
    return taken


# ── next ─────────────────────────────────────────────────────────────────────────────────────────


def each_next(seconds: float = 1.0) -> Mapping[str, tuple[float, float | None]]:
    """Times a second that an expression is read and its instant after another found: ours, croniter's."""
    try:
        croniter = importlib.import_module("croniter").croniter
    except ImportError:
        croniter = None
    zone, start = ZoneInfo("Europe/London"), datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)
    found = {}
    for expression in EXPRESSIONS:
        theirs = None
        if croniter is not None:
            local = start.astimezone(zone)
            theirs = rate(lambda n, e=expression, s=local: croniter(e, s + timedelta(hours=n)).get_next(), seconds)
        ours = rate(lambda n, e=expression: Timetable.of([e], zone).next(start + timedelta(hours=n)), seconds)
        found[expression] = ours, theirs
    return found


def rate(once: Any, seconds: float) -> float:
    begun = time.perf_counter()
    for n in itertools.count(1):
        once(n % 1000)
        if (taken := time.perf_counter() - begun) > seconds:
            return n / taken
    raise AssertionError("it counts for ever")


def main() -> None:
    parser = argparse.ArgumentParser(description="what many heartbeats cost")
    parser.add_argument("--fires", type=int, default=100)
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    beneath, late = (percentiles(asyncio.run(each(options.fires))) for each in (floor, lateness))
    print(f"late, half of the fires   {late[0]:6.2f} ms   floor {beneath[0]:.2f} ms   {late[0] / beneath[0]:.1f} times")
    print(f"late, 99 of 100           {late[1]:6.2f} ms   floor {beneath[1]:.2f} ms   {late[1] / beneath[1]:.1f} times")
    asyncio.run(waiting(options.number))
    asyncio.run(in_order(options.number))
    asyncio.run(at_once(options.number, options.profile))
    for expression, (ours, theirs) in each_next().items():
        beside = f"croniter {theirs:,.0f}, {ours / theirs:.1f} times" if theirs else "croniter is not installed"
        print(f"next of {expression:<17} {ours:10,.0f} a second   {beside}")


if __name__ == "__main__":
    main()
