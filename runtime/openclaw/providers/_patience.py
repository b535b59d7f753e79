"""Ends a read that waits too long, by the clock that was handed over.

Its law: only a read under way is ended, never whoever happens to run the same task, and a cancellation
from outside stays one. It does not know what is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from openclaw.clock import Clock

_T = TypeVar("_T")


class Stalled(Exception):
    pass


class Patience:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit = 0.0
        self._since = 0.0
        self._reader: asyncio.Task[Any] | None = None
        self._expired = False
        self._watch: asyncio.Task[None] | None = None

    def allow(self, seconds: float) -> None:
        """From now on a read may take this long. One sleeping task serves a whole stream."""
        if seconds == self._limit:
            return
        self.stop()
        self._limit = seconds
        self._watch = asyncio.get_running_loop().create_task(self._guard())

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._limit = 0.0

    async def wait(self, reading: Awaitable[_T]) -> _T:
        task = self._reader = asyncio.current_task()
        self._since = self._clock.monotonic()
        try:
            return await reading
        except asyncio.CancelledError:
            if self._expired and task is not None and task.uncancel() == 0:
                raise Stalled from None
            raise
        finally:
            self._reader = None

    async def _guard(self) -> None:
        left = self._limit
        while left > 0:
            await self._clock.sleep(left)
            waited = self._clock.monotonic() - self._since if self._reader else 0.0
            left = self._limit - waited
        if self._reader is not None:
            self._expired = True
            self._reader.cancel()
