"""What goes on while the disk is full: whatever was begun waits for room and tries again, whatever is new is refused.

Law: only `DiskFull` is waited out, for then nothing was written; every other failure goes through. What is waited for
ends with the runtime. Knows nothing of what is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from openclaw.clock import Clock, Waits
from openclaw.errors import DiskFull
from openclaw.ports import Journal, Store, Wake
from openclaw.words import time_json

log = logging.getLogger(__name__)

AGAIN = 1.0  # seconds between two tries
REST = 5.0  # seconds until a session that found no room is woken again
_NEW = frozenset({"accept", "retry", "drop"})  # of the inbox: refused, rather than waited for
_ASKED = frozenset({"again", "drop"})  # of the outbox, likewise: somebody waits for the answer
_FIRED = frozenset({"fire", "skip"})  # of the marks: an instant comes again by itself
_DONE = ("channel:", "check/")  # what a channel and a heartbeat's run note of what they did: nothing can refuse that

P = ParamSpec("P")
T = TypeVar("T")


class Space:
    """`since` is when the disk was found full; None while there is room."""

    def __init__(self, clock: Clock) -> None:
        self.since: datetime | None = None
        self.waiting = 0  # pieces of work
        self.resting: set[str] = set()  # sessions that found no room, perhaps where they work and nowhere else
        self._clock = clock
        self._over = False
        self._store: Store | None = None
        self._lacking = asyncio.Event()
        self._rests = asyncio.Event()

    def over(self, store: Store) -> Store:
        """The same store, on which inbox, outbox, journal and notes of what was done wait for room where they may."""
        self._store = store
        kept: Any = _Through(store)
        kept.inbox = _Through(store.inbox, self._inbox)
        kept.outbox = _Through(store.outbox, self._outbox)
        kept.journal = _Through(store.journal, lambda name, work: self._patient(work))
        kept.marks = _Through(store.marks, self._marks)
        return cast(Store, kept)

    async def run(self) -> None:
        """Looks by itself whether there is room again, for it may be long until somebody writes. Until cancelled;
        raises StorageFailed."""
        while True:
            await self._lacking.wait()
            await self._clock.sleep(AGAIN)
            await self._look()

    def sparing(self, wake: Wake) -> Wake:
        """The same wake; a session that finds no room rests, and takes up nobody's place while it does. What it had
        taken up lies in the queue again."""

        async def spared(session: str) -> None:
            full = None
            try:
                await wake(session)
            except DiskFull as error:
                full = error
            finally:
                self._rest(session, full)

        return spared

    async def wake(self, ring: Callable[[str], None]) -> None:
        """Rings the sessions that rest every few seconds. Until cancelled."""
        while True:
            await self._rests.wait()
            self._rests.clear()
            await self._clock.sleep(REST)
            for session in sorted(self.resting):
                ring(session)

    def _rest(self, session: str, full: DiskFull | None) -> None:
        if full is None:
            self.resting.discard(session)
            return
        if session not in self.resting:  # said once
            log.warning("session %s waits: %s", session, full)
        self.resting.add(session)
        self._rests.set()

    def end(self) -> None:
        """The runtime ends: nothing waits any longer."""
        self._over = True

    def told(self) -> dict[str, Any]:
        """For the status."""
        if self.since is None:
            return {"full": False, **({"resting": len(self.resting)} if self.resting else {})}
        return {"full": True, "since": time_json(self.since), "waiting": self.waiting}

    def _inbox(self, name: str, work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        return self._noted(work) if name in _NEW else self._patient(work)

    def _outbox(self, name: str, work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        return self._noted(work) if name in _ASKED else self._patient(work)

    def _marks(self, name: str, work: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        if name in _FIRED:
            return self._noted(work)
        if name != "put":
            return work

        async def put(document: str, *args: Any) -> bool:
            way = self._patient(work) if document.startswith(_DONE) else self._noted(work)
            return await way(document, *args)

        return put

    def _patient(self, work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        return partial(self._held, work)

    def _noted(self, work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def once(*args: P.args, **more: P.kwargs) -> T:
            try:
                done = await work(*args, **more)
            except DiskFull as error:
                self._full(error)
                raise
            await self._look()
            return done

        return once

    async def _held(self, work: Callable[..., Awaitable[T]], *args: Any, **more: Any) -> T:
        held = False
        try:
            while True:
                try:
                    done = await work(*args, **more)
                except DiskFull as error:
                    self._full(error)
                    if self._over:
                        raise
                else:
                    if held:
                        await self._look()
                    return done
                self.waiting += not held
                held = True
                await self._clock.sleep(AGAIN)
        finally:
            self.waiting -= held

    def _full(self, error: DiskFull) -> None:
        if self.since is None:
            self.since = self._clock.now()
            self._lacking.set()
            log.error("%s; nothing new is taken in until then, and what was begun waits", error)

    async def _look(self) -> None:
        """Asks the disk: that something was done says little, for it may have written nothing, or had the reserve."""
        if self.since is None or self._store is None or not await self._store.room():
            return
        if self.since is not None:  # nobody else was faster
            self.since = None
            self._lacking.clear()
            log.warning("there is room on the disk again; all goes on")


def waited_for(journal: Journal, waits: Waits) -> Journal:
    """The same journal; the time in which it is waited for is one of these."""

    def way(name: str, work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def timed(*args: P.args, **more: P.kwargs) -> T:
            with waits.waiting():
                return await work(*args, **more)

        return timed

    return cast(Journal, _Through(journal, way))


class _Through:
    """Another object, some of whose calls go another way. What is set on it is its own."""

    def __init__(self, inner: Any, way: Callable[[str, Any], Any] | None = None) -> None:
        self._inner = inner
        self._way = way

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._way(name, found) if self._way is not None and callable(found) else found
