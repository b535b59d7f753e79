"""A doorbell inside one process: says that a session has work, and carries nothing.

Law: one wake per session at a time; a ring during a wake wakes once more, behind the sessions that wait
already; never more wakes than the cap. A wake that raises is logged and the next one is served, except for
StorageFailed, after which nothing may go on. Rings are remembered from the start. Knows no store.
"""

from __future__ import annotations

import asyncio
import logging

from openclaw.errors import StorageFailed
from openclaw.ports import Wake

log = logging.getLogger("openclaw.doorbells")


class Doorbell:
    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}  # an ordered set: first rung, first served
        self._awake: set[str] = set()
        self._again: set[str] = set()
        self._changed = asyncio.Event()

    def ring(self, session: str) -> None:
        """Never waits, and costs nothing where the session waits already."""
        if session in self._awake:
            self._again.add(session)
        else:
            self._waiting[session] = None
            self._changed.set()

    async def serve(self, wake: Wake, concurrency: int) -> None:
        """Until cancelled; then every running wake is cancelled too, and waited for."""
        self._changed = asyncio.Event()  # an event belongs to the loop it was first waited for in
        self._changed.set()
        async with asyncio.TaskGroup() as wakes:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._waiting and len(self._awake) < concurrency:
                    session = next(iter(self._waiting))
                    del self._waiting[session]
                    self._awake.add(session)
                    wakes.create_task(self._wake(wake, session), name=f"wake {session}")

    async def _wake(self, wake: Wake, session: str) -> None:
        try:
            await wake(session)
        except StorageFailed:
            raise
        except Exception:
            log.exception("the wake of session %s failed", session)
        finally:
            self._awake.discard(session)
            if session in self._again:
                self._again.discard(session)
                self._waiting[session] = None
            self._changed.set()
