"""Letting go of what is kept no longer, in idle moments and a little at a time.

Law: nobody waits for it. It goes on only while no turn runs, leaves the disk to others between two bites, and gives up
until the next time where the disk is full. Knows nothing of what is let go of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from openclaw.clock import Clock
from openclaw.errors import DiskFull
from openclaw.ports import Store

EVERY = 3600.0  # seconds from one time to the next
FIRST = 60.0  # seconds after the start
BETWEEN = 0.2  # seconds between two bites
BUSY = 5.0  # seconds until it looks again whether a turn runs

log = logging.getLogger(__name__)


class Tidying:
    def __init__(self, store: Store, clock: Clock, busy: Callable[[], bool]) -> None:
        self._store = store
        self._clock = clock
        self._busy = busy

    async def run(self) -> None:
        """Until cancelled; raises StorageFailed."""
        await self._clock.sleep(FIRST)
        while True:
            await self._once()
            await self._clock.sleep(EVERY)

    async def _once(self) -> None:
        total = 0
        try:
            while gone := await self._bite():
                total += gone
                await self._clock.sleep(BETWEEN)
        except DiskFull as error:
            log.warning("nothing was tidied up: %s", error)
        if total:
            log.info("%d messages, replies and archives were let go of", total)

    async def _bite(self) -> int:
        while self._busy():
            await self._clock.sleep(BUSY)
        return await self._store.prune(self._clock.now())
