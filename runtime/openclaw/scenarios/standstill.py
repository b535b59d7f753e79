"""An event loop on which time stands still until it is told to pass: a conversation of hours takes no time at all.

The law: no thread, no socket, no clock of the machine. What is given to threads runs here, in the order in which it
was given. `passing` returns when everything that could happen up to then has happened, and nothing is left that could
go on by itself: what a step led to is there when the next one looks. While nobody waits for that, as between two lives
of a runtime, time passes from one timer to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")

MOST = 500_000  # rounds of the loop at one instant, after which something goes round in a circle
_EXACT = 1e-6  # seconds: sums of floats end this close to what they mean


class Stuck(Exception):
    """What is waited for cannot come any more: nothing is ready, and no timer is set; or it never comes to rest."""


class _Idle:
    """What a loop asks for events of sockets: there are none, so time passes as far as it may."""

    def __init__(self, loop: StandstillLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.idle(timeout)
        return []


class StandstillLoop(asyncio.BaseEventLoop):
    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        self.now = 0.0
        self._most = most
        self._clock_resolution = 1e-9
        self._selector = _Idle(self)
        self._until = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._rounds = 0

    def __del__(self) -> None:
        """It holds no socket and no thread to let go of; and Ctrl-C may have come before it was whole."""

    def time(self) -> float:
        return self.now

    async def passing(self, seconds: float) -> None:
        """Lets that much time pass, and everything happen that is due by then."""
        self._until, self._waiter = self.now + seconds, self.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def idle(self, timeout: float | None) -> None:
        """Nothing is ready for `timeout` seconds; None: for ever."""
        if timeout == 0:
            self._rounds += 1
            if self._rounds > self._most:
                raise Stuck("something goes on for ever, and no time passes")
            return
        self._rounds = 0
        if self._waiter is None and timeout is None:
            raise Stuck("nothing is ready, and no timer is set")
        if timeout is not None and (self._waiter is None or self.now + timeout <= self._until + _EXACT):
            self.now += timeout
        elif self._waiter is not None:
            self.now = max(self.now, self._until)
            if not self._waiter.done():
                self._waiter.set_result(None)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        self.call_soon(_do, partial(func, *args), future)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in a system call."""


def _do(work: Callable[[], T], future: asyncio.Future[T]) -> None:
    if future.cancelled():
        return
    try:
        found = work()
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(found)


class StandstillClock:
    """`openclaw.clock.Clock` on such a loop, which begins at `start`."""

    def __init__(self, loop: StandstillLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=round(self._loop.now, 6))

    def monotonic(self) -> float:
        return self._loop.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def __deepcopy__(self, memo: object) -> StandstillClock:
        return self  # the image of a store keeps the time of its loop
