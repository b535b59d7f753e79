"""Time, as a thing that is handed over. Everything that waits or asks for the date takes a `Clock`."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock: aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Waits:
    """How long was waited for what nobody here can hasten: a person, room on the disk. What is waited for at the same
    time counts once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._going_on = 0
        self._since = 0.0
        self._ended = 0.0

    def seconds(self) -> float:
        """So far, a wait that is going on included."""
        return self._ended + (self._clock.monotonic() - self._since if self._going_on else 0.0)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        if not self._going_on:
            self._since = self._clock.monotonic()
        self._going_on += 1
        try:
            yield
        finally:
            self._ended, self._going_on = self.seconds(), self._going_on - 1
            self._since = self._clock.monotonic()


class ManualClock:
    """A clock that stands still until it is advanced; for simulations and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking every sleeper at its own instant, in order."""
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._step(due - self._monotonic)
            if not future.done():
                future.set_result(None)
            await settle()
        self._step(end - self._monotonic)
        await settle()

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as an administrator or a suspend does."""
        self._now += timedelta(seconds=seconds)

    def _step(self, seconds: float) -> None:
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)


async def settle(rounds: int = 20) -> None:
    """Let every task that can run, run."""
    for _ in range(rounds):
        await asyncio.sleep(0)
