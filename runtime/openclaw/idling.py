"""What is done for a session while nothing is going on in it, until somebody says something there.

The law: it begins a while after the last turn, when the model's cache of the conversation is cold anyway; one session
at a time; whoever says something ends it at once, and is answered when it has ended. Knows nothing of what is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from openclaw.clock import Clock
from openclaw.errors import StorageFailed
from openclaw.ports import Queued
from openclaw.transcript import Transcript

log = logging.getLogger(__name__)

AFTER = 360.0  # seconds since the last turn


class Idling:
    def __init__(
        self,
        wanted: Callable[[Queued, Transcript], bool],
        work: Callable[[Queued, Transcript], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """`work` may be cancelled at any time; `queued` is the message that was answered last."""
        self._wanted = wanted
        self._work = work
        self._clock = clock
        self._one_at_a_time = asyncio.Semaphore(1)
        self._group: asyncio.TaskGroup | None = None
        self._resting: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled; raises StorageFailed."""
        try:
            async with asyncio.TaskGroup() as self._group:
                await asyncio.get_running_loop().create_future()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._group = None

    def rests(self, queued: Queued, transcript: Transcript) -> None:
        """A turn has ended there."""
        session = queued.route.session
        if self._group is None or session in self._resting or not self._wanted(queued, transcript):
            return
        task = self._resting[session] = self._group.create_task(self._later(queued, transcript))
        task.add_done_callback(lambda ended: self._ended(session, ended))

    async def disturbed(self, session: str) -> None:
        """Something is about to be written there; when this returns nothing else writes."""
        if (task := self._resting.get(session)) is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _later(self, queued: Queued, transcript: Transcript) -> None:
        await self._clock.sleep(AFTER)
        try:
            async with self._one_at_a_time:
                await self._work(queued, transcript)
        except StorageFailed:
            raise
        except Exception:  # nobody waits for it
            log.exception("resting in session %s failed", queued.route.session)

    def _ended(self, session: str, task: asyncio.Task[None]) -> None:
        if self._resting.get(session) is task:
            del self._resting[session]
