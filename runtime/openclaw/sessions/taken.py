"""What one wake took from its session's queue, and gives back where the runtime ends before that is settled.

The law: what was taken is known here, also where whoever took it was cancelled while the store was at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from openclaw.messages import Route
from openclaw.ports import Fits, Inbox, Queued

Found = TypeVar("Found")


class Taken:
    def __init__(self, inbox: Inbox, session: str) -> None:
        self._inbox = inbox
        self._session = session
        self._ids: list[str] = []
        self._taking: set[asyncio.Task[None]] = set()

    @property
    def any(self) -> bool:
        return bool(self._ids)

    async def next(self) -> Queued | None:
        return await self._whole(self._next())

    async def join(self, at_most: int, fits: Fits) -> Sequence[Queued]:
        return await self._whole(self._join(at_most, fits))

    async def move(self, queued: Queued, route: Route) -> None:
        """It waits elsewhere from now on, and is no longer in this wake's hands."""
        await self._whole(self._move(queued, route))

    async def give_back(self) -> None:
        """Those that are not settled wait again, and this time does not count."""
        if self._taking:
            await asyncio.wait(self._taking)
        if self._ids:
            await self._inbox.release(*self._ids)

    async def _next(self) -> Queued | None:
        queued = await self._inbox.next(self._session)
        self._ids += [queued.id] if queued else []
        return queued

    async def _join(self, at_most: int, fits: Fits) -> Sequence[Queued]:
        joined = await self._inbox.join(self._session, at_most, fits)
        self._ids += [queued.id for queued in joined]
        return joined

    async def _move(self, queued: Queued, route: Route) -> None:
        await self._inbox.move(queued.id, route)
        self._ids.remove(queued.id)

    async def _whole(self, taking: Coroutine[Any, Any, Found]) -> Found:
        task = asyncio.ensure_future(taking)
        self._taking.add(task)  # type: ignore[arg-type]
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._taking.discard(task)
        if not task.cancelled():
            task.exception()  # who asked was cancelled, perhaps, and is not told; so nobody complains of it later
