"""The state folder of one machine: rows in runtime.db, transcripts in sessions/, approvals in a file of their own.

Law: what returned is on disk. One thread does all disk work, in the order in which it was asked for, so the
event loop never waits for a disk. One runtime per folder. Knows nothing of what the words mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from openclaw.audit import HEAD
from openclaw.clock import Clock
from openclaw.messages import Accepted, Entry, Message, Reply, Route
from openclaw.ports import Cause, Outgoing, Queued, Run, SessionSummary, Settlement
from openclaw.stores._audit import Trail
from openclaw.stores._disk import Disk
from openclaw.stores._document import Document
from openclaw.stores._jsonl import Damage, Transcripts
from openclaw.stores._lock import Lock
from openclaw.stores._sqlite import Rows

APPROVALS = "exec-approvals"


class Inbox:
    def __init__(self, disk: Disk, rows: Rows) -> None:
        self._disk = disk
        self._rows = rows

    async def accept(self, message: Message, route: Route) -> Accepted:
        """Raises OpenClawError, with nothing stored, where the disk is full."""
        return await self._disk.run(self._rows.accept, message, route)

    async def next(self, session: str) -> Queued | None:
        return await self._disk.run(self._rows.next, session)

    async def settle(
        self,
        id: str,
        state: Literal["done", "failed", "parked"],
        reply: Reply | None,
        *,
        deliver: Sequence[Reply] | None = None,
    ) -> None:
        """Raises KeyError for an id that was never accepted."""
        outgoing = [reply] if deliver is None and reply else deliver or ()
        await self._disk.run(self._rows.settle, id, state, reply, outgoing)

    async def release(self, id: str) -> None:
        await self._disk.run(self._rows.release, id)

    async def open(self) -> Sequence[str]:
        return await self._disk.run(self._rows.open_sessions)

    async def find(self, id: str) -> Settlement | None:
        return await self._disk.run(self._rows.find, id)


class Outbox:
    def __init__(self, disk: Disk, rows: Rows) -> None:
        self._disk = disk
        self._rows = rows

    async def put(self, reply: Reply) -> str:
        return await self._disk.run(self._rows.put, reply)

    async def due(self, channel: str) -> Sequence[Outgoing]:
        """A reply handed to a channel before, with no word on how that ended, comes again as repeated."""
        return await self._disk.run(self._rows.due, channel)

    async def sending(self, id: str) -> None:
        await self._disk.run(self._rows.sending, id)

    async def sent(self, id: str, *, dead: bool = False) -> str | None:
        return await self._disk.run(self._rows.sent, id, dead)

    async def retry(self, id: str, after: float, *, begun: bool = False) -> None:
        await self._disk.run(self._rows.retry, id, after, begun)


class Journal:
    def __init__(self, disk: Disk, transcripts: Transcripts) -> None:
        self._disk = disk
        self._transcripts = transcripts

    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        await self._disk.run(self._transcripts.append, session, entries)

    async def load(self, session: str) -> Sequence[Entry]:
        """Raises StateTooNew or StateError for a file that is another version's or another session's."""
        return await self._disk.run(self._transcripts.load, session)

    async def archive(self, session: str) -> str | None:
        return await self._disk.run(self._transcripts.archive, session)

    async def list(self) -> Sequence[SessionSummary]:
        return await self._disk.run(self._transcripts.list)


class Marks:
    """All documents are rows, but the remembered approvals: people read and edit those."""

    def __init__(self, disk: Disk, rows: Rows, approvals: Document) -> None:
        self._disk = disk
        self._rows = rows
        self._approvals = approvals

    async def get(self, name: str) -> tuple[Any, int]:
        if name == APPROVALS:
            return await self._disk.run(self._approvals.get)
        return await self._disk.run(self._rows.get_mark, name)

    async def put(self, name: str, document: Any, version: int) -> bool:
        if name == APPROVALS:
            return await self._disk.run(self._approvals.put, document, version)
        return await self._disk.run(self._rows.put_mark, name, document, version)

    async def fire(
        self, schedule: str, instant: datetime, message: Message, route: Route, cause: Cause = "schedule"
    ) -> bool:
        """Raises OpenClawError, with nothing stored, where the disk is full."""
        return await self._disk.run(self._rows.fire, schedule, instant, message, route, cause)

    async def skip(
        self, schedule: str, instant: datetime, why: str, *, missed: bool = False, number: int = 1
    ) -> bool:
        return await self._disk.run(self._rows.skip, schedule, instant, why, missed, number)

    async def last(self, schedule: str) -> datetime | None:
        return await self._disk.run(self._rows.last, schedule)

    async def lasts(self) -> Mapping[str, datetime]:
        return await self._disk.run(self._rows.lasts)

    async def runs(
        self,
        schedule: str | None,
        limit: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        ran: bool = False,
    ) -> Sequence[Run]:
        return await self._disk.run(self._rows.runs, schedule, limit, since, until, ran)


class Audit:
    """Notes are handed over in bunches: one that comes while others wait goes with them."""

    def __init__(self, disk: Disk, trail: Trail) -> None:
        self._disk = disk
        self._trail = trail
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._called = False

    def note(self, record: Mapping[str, Any]) -> None:
        self._waiting.append(record)
        if not self._called:
            self._called = True
            self._disk.post(self._write)

    async def written(self) -> None:
        await self._disk.run(self._write)

    def _write(self) -> None:
        self._called = False  # first: what is noted from here on calls again
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        if taken:
            self._trail.append(taken)


class Store:
    """`damage` lists what could not be read of the transcripts that were opened so far."""

    def __init__(self, folder: str, clock: Clock) -> None:
        root = Path(folder)
        self.damage: list[Damage] = []
        self._lock = Lock(root)
        self._disk = Disk()
        self._rows = Rows(root / "runtime.db", clock)
        self._transcripts = Transcripts(root / "sessions", clock, self.damage)
        self.inbox = Inbox(self._disk, self._rows)
        self.outbox = Outbox(self._disk, self._rows)
        self.journal = Journal(self._disk, self._transcripts)
        self._trail = Trail(root / "logs", head=root / HEAD)
        self.audit = Audit(self._disk, self._trail)
        self.marks = Marks(self._disk, self._rows, Document(root / f"{APPROVALS}.json"))

    async def open(self) -> None:
        """Raises StateLocked, StateTooNew or StateError; then nothing is held and nothing was changed."""
        self._lock.take()
        self._disk.start()
        try:
            await self._disk.run(self._rows.open)
            await self._disk.run(self._transcripts.open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        try:
            await self._disk.finish(self._transcripts.close, self._trail.close, self._rows.close)
        finally:
            self._lock.release()
