"""Letting go of what is kept no longer, in idle moments and a little at a time.

Law: nobody waits for it, and it waits for nobody for ever. It goes on while no turn runs, and where there always is one
in spite of that, but slowly; it leaves the disk to others between two bites, and gives up until the next time where the
disk is full. Knows nothing of what is let go of.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from openclaw.clock import Clock
from openclaw.errors import DiskFull
from openclaw.ports import Store

EVERY = 3600.0  # seconds from one time to the next
FIRST = 60.0  # seconds after the start
BETWEEN = 0.2  # seconds between two bites
BUSY = 5.0  # seconds until it looks again whether a turn runs
PATIENCE = 300.0  # seconds in all that it waits, each time, for moments without one

Went = TypeVar("Went", int, bool)

log = logging.getLogger(__name__)


class Tidying:
    def __init__(self, store: Store, clock: Clock, busy: Callable[[], bool]) -> None:
        self._store = store
        self._clock = clock
        self._busy = busy
        self._patience = PATIENCE

    async def run(self) -> None:
        """Until cancelled; raises StorageFailed."""
        await self._clock.sleep(FIRST)
        while True:
            await self._once()
            await self._clock.sleep(EVERY)

    async def _once(self) -> None:
        total, self._patience = 0, PATIENCE
        try:
            while gone := await self._bite(lambda: self._store.prune(self._clock.now())):
                total += gone
            while await self._bite(self._store.shrink):
                pass
        except DiskFull as error:
            log.warning("nothing was tidied up: %s", error)
        if total:
            log.info("%d messages, replies and archives were let go of", total)

    async def _bite(self, act: Callable[[], Awaitable[Went]]) -> Went:
        """In a moment without a turn; where none comes, in spite of them, but seldom."""
        while self._busy():
            await self._clock.sleep(BUSY)
            self._patience -= BUSY
            if self._patience <= 0:
                break
        went = await act()
        await self._clock.sleep(BETWEEN)
        return went
