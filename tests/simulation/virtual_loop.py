"""An event loop that waits for nobody: its time is a number, and jumps to the next timer when nothing is left to do.

The law: no thread, no socket, no clock of the machine. What the runtime gives to threads runs here, one thing after
another for each executor, a while later that is drawn from the seed; so the same seed gives the same order of
everything. Callbacks that are ready run in the order in which they became so, as asyncio promises.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")

MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
ROUND = 1e-6  # seconds that a round of the loop takes: whoever looks at the clock again finds it later


class PowerCut(BaseException):
    """The machine is off: whoever was at work never hears how it ended."""


class Stuck(Exception):
    """Nothing is ready, and nothing ever will be."""


class _Idle:
    """What a loop asks for events of sockets: there are none, so time passes."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck("nothing is ready, and no timer is set")
        self._loop.now += max(timeout, ROUND)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """`now` is where its time begins; `chance` draws how long what is given to threads takes."""

    def __init__(self, now: float, chance: Random) -> None:
        super().__init__()
        self.now = now
        self._chance = chance
        self._clock_resolution = 1e-9
        self._selector = _Idle(self)

    def time(self) -> float:
        return self.now

    def pause(self) -> float:
        """Seconds until a thread gets to its next piece of work: mostly none, and now and then a slow spell."""
        drawn = self._chance.random()
        if drawn < 0.7:
            return 0.0
        return 0.004 * self._chance.random() if drawn < 0.98 else 0.2 * self._chance.random()

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
        hands = executor if isinstance(executor, Hands) else Hands(self)
        future: asyncio.Future[T] = self.create_future()
        hands.take(partial(func, *args), future)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in a system call."""


class Hands(Executor):
    """A thread that is none: it does one thing after another, in the loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._work: deque[tuple[Callable[[], Any], asyncio.Future[Any] | None]] = deque()
        self._busy = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.take(partial(fn, *args, **kwargs), None)
        return Future()

    def take(self, work: Callable[[], Any], future: asyncio.Future[Any] | None) -> None:
        self._work.append((work, future))
        if not self._busy:
            self._busy = True
            self._later()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Whoever ends it has waited for the last piece."""

    def _later(self) -> None:
        pause = self._loop.pause()
        if pause:
            self._loop.call_later(pause, self._next)
        else:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        work, future = self._work.popleft()
        if future is None or not future.cancelled():
            try:
                found, error = work(), None
            except PowerCut:
                return  # and nothing after it
            except Exception as failure:
                found, error = None, failure
            if future is not None and not future.cancelled():
                future.set_exception(error) if error is not None else future.set_result(found)
        if self._work:
            self._later()
        else:
            self._busy = False


class VirtualClock:
    """`openclaw.clock.Clock` on the loop that runs."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return MORNING + timedelta(seconds=round(self._loop.now, 6))

    def monotonic(self) -> float:
        return self._loop.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
