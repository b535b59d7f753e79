"""A house in which heartbeats run: a store that outlives the runtimes in it, and a clock that is advanced by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from openclaw.clock import ManualClock, settle
from openclaw.heartbeats import Heartbeats
from openclaw.heartbeats.beats import Extra
from openclaw.manifest.snapshot import Heartbeat, Snapshot
from openclaw.messages import Reply
from openclaw.stores import volatile

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOURLY = Heartbeat("h", ("0 * * * *",), "look around", "main", "UTC")


def snapshot(*heartbeats: Heartbeat) -> Snapshot:
    return Snapshot("", "/p", {}, {}, {}, {}, {}, {}, {beat.name: beat for beat in heartbeats}, {})


class House:
    """A store that outlives the runtimes in it."""

    def __init__(self, *heartbeats: Heartbeat, start: datetime = NOON) -> None:
        self.clock = ManualClock(start)
        self.store = volatile.Store("", self.clock)
        self.snapshot = snapshot(*heartbeats)
        self.rung: list[str] = []

    @asynccontextmanager
    async def running(self, extra: Extra | None = None) -> AsyncIterator[Heartbeats]:
        await self.store.open()
        beats = Heartbeats(self.store, self.clock, lambda: self.snapshot, self.rung.append, extra)
        await beats.open()
        self.beats = beats
        task = asyncio.create_task(beats.run())
        await settle()
        try:
            yield beats
        finally:
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            await self.store.close()
            if not isinstance(outcome, asyncio.CancelledError):
                assert outcome is not None
                raise outcome

    async def down(self, **time: float) -> None:
        """Time passes while nothing runs."""
        await self.clock.advance(timedelta(**time).total_seconds())

    async def pass_time(self, **time: float) -> None:
        await self.clock.advance(timedelta(**time).total_seconds())

    async def take(self, name: str = "h") -> list[str]:
        """What was fired since: ids of its messages, answered and settled."""
        ids = []
        while (queued := await self.store.inbox.next(f"cron:{name}")) is not None:
            ids.append(queued.message.id)
            await self.store.inbox.settle(queued.id, "done", None)
            await self.beats.settled(queued)
            await settle()  # what was missed is made up for one after the other
        return [id.removeprefix(f"{name}@2026-").removesuffix(":00+00:00") for id in ids]

    async def end(self, beats: Heartbeats, text: str = "fine", *, failed: bool = False, name: str = "h") -> list[str]:
        """Everything that was fired ends like this; what the owner is told then."""
        told: list[str] = []
        while (queued := await self.store.inbox.next(f"cron:{name}")) is not None:
            reply = Reply(queued.message.sender, text, queued.route.session, "main", queued.id, failed=failed)
            notices: Sequence[Reply] = await beats.ended(queued, reply)
            await self.store.inbox.settle(queued.id, "failed" if failed else "done", reply, deliver=notices)
            await beats.settled(queued)
            told += [f"{notice.to}: {notice.text}" for notice in notices]
        return told

    async def passed(self, name: str = "h") -> list[tuple[str, str, str]]:
        """Instants that were not run, in order, with the reason."""
        runs = await self.store.marks.runs(name, 1000)
        return [(f"{run.instant:%m-%dT%H:%M}", run.state, run.why) for run in reversed(runs) if not run.ran]
