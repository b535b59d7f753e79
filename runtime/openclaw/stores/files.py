"""The state folder of one machine: rows in runtime.db, transcripts in sessions/, approvals in a file of their own.

Law: what returned is on disk. One thread does all disk work, in the order in which it was asked for, so the
event loop never waits for a disk. One runtime per folder. Knows nothing of what the words mean.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from openclaw.audit import HEAD
from openclaw.clock import Clock
from openclaw.errors import DiskFull, StateError
from openclaw.messages import Accepted, Entry, Message, Reply, Route
from openclaw.ports import Cause, Fits, Outgoing, Queued, Run, SessionSummary, Settlement
from openclaw.spending import Bill, Place, Spent
from openclaw.stores import _codec as codec
from openclaw.stores._audit import Trail
from openclaw.stores._disk import Disk, thread
from openclaw.stores._document import Document
from openclaw.stores._files import Files
from openclaw.stores._jsonl import Damage, Transcripts
from openclaw.stores._lock import Lock
from openclaw.stores._pruning import FEW
from openclaw.stores._room import Room
from openclaw.stores._spending import BEGUN
from openclaw.stores._sqlite import Rows
from openclaw.stores._summaries import Summaries

APPROVALS = "exec-approvals"

log = logging.getLogger(__name__)


class Inbox:
    def __init__(self, disk: Disk, rows: Rows, room: Room) -> None:
        self._disk = disk
        self._rows = rows
        self._room = room

    async def accept(self, message: Message, route: Route, *, at_most: int | None = None) -> Accepted:
        return await self._disk.run(self._accept, message, route, at_most)

    def _accept(self, message: Message, route: Route, at_most: int | None) -> Accepted:
        """One that is there already takes no room: whoever brings it again is told so, also where there is none."""
        return self._rows.known(message) or self._room.new(self._rows.accept)(message, route, at_most)

    async def next(self, session: str) -> Queued | None:
        return await self._disk.run(self._room.new(self._rows.next), session)

    async def join(self, session: str, at_most: int, fits: Fits = lambda queued: True) -> Sequence[Queued]:
        return await self._disk.run(self._room.new(self._rows.join), session, at_most, fits)

    async def settle(
        self,
        id: str,
        state: Literal["done", "failed", "parked"],
        reply: Reply | None,
        *,
        deliver: Sequence[Reply] | None = None,
        joined: Sequence[str] = (),
        bill: Bill | None = None,
    ) -> None:
        """Raises KeyError for an id that was never accepted."""
        outgoing = [reply] if deliver is None and reply else deliver or ()
        await self._disk.run(self._room.essential(self._rows.settle), id, state, reply, outgoing, joined, bill)

    async def release(self, *ids: str) -> None:
        await self._disk.run(self._room.essential(self._rows.release), ids)

    async def move(self, id: str, route: Route) -> None:
        await self._disk.run(self._room.essential(self._rows.move), id, route)

    async def waiting(self, session: str | None = None) -> int:
        return await self._disk.run(self._rows.waiting, session)

    async def open(self) -> Sequence[str]:
        return await self._disk.run(self._rows.open_sessions)

    async def find(self, id: str) -> Settlement | None:
        return await self._disk.run(self._rows.find, id)

    async def line(self, at_most: int) -> Sequence[Queued]:
        return await self._disk.run(self._rows.line, at_most)

    async def drop(self, id: str, reply: Reply | None = None) -> bool:
        return await self._disk.run(self._room.essential(self._rows.drop), id, reply)

    async def parked(self, at_most: int | None = None) -> Sequence[Queued]:
        return await self._disk.run(self._rows.parked, at_most)

    async def aside(self) -> int:
        return await self._disk.run(self._rows.aside)

    async def one(self, id: str) -> Queued | None:
        return await self._disk.run(self._rows.one, id)

    async def retry(self, id: str) -> str | None:
        return await self._disk.run(self._room.essential(self._rows.unpark), id)


class Outbox:
    def __init__(self, disk: Disk, rows: Rows, room: Room) -> None:
        self._disk = disk
        self._rows = rows
        self._room = room

    async def put(self, reply: Reply) -> str:
        return await self._disk.run(self._room.new(self._rows.put), reply)

    async def due(self, channel: str) -> Sequence[Outgoing]:
        """A reply handed to a channel before, with no word on how that ended, comes again as repeated."""
        return await self._disk.run(self._rows.due, channel)

    async def undelivered(self, channel: str) -> Sequence[tuple[Outgoing, float]]:
        return await self._disk.run(self._rows.undelivered, channel)

    async def channels(self) -> Mapping[str, int]:
        return await self._disk.run(self._rows.channels)

    async def sending(self, id: str) -> None:
        await self._disk.run(self._room.essential(self._rows.sending), id)

    async def sent(self, id: str, *, dead: bool = False) -> str | None:
        return await self._disk.run(self._room.essential(self._rows.sent), id, dead)

    async def retry(self, id: str, after: float, *, begun: bool = False) -> None:
        await self._disk.run(self._room.essential(self._rows.retry), id, after, begun)

    async def dead(self, at_most: int | None = None) -> Sequence[Outgoing]:
        return await self._disk.run(self._rows.dead, at_most)

    async def given_up(self) -> int:
        return await self._disk.run(self._rows.given_up)

    async def drop(self, id: str) -> bool:
        return await self._disk.run(self._room.essential(self._rows.bury), id)

    async def again(self, id: str) -> str | None:
        return await self._disk.run(self._room.essential(self._rows.again), id)


class Audit:
    """Notes are handed over in bunches: one that comes while others wait goes with them; on a full disk they wait."""

    def __init__(self, disk: Disk, trail: Trail) -> None:
        self._disk = disk
        self._trail = trail
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._called = False

    def note(self, record: Mapping[str, Any]) -> None:
        self._waiting.append(record)
        if not self._called:
            self._called = True
            self._disk.post(self._try)

    async def written(self) -> None:
        await self._disk.run(self.write)

    def write(self) -> None:
        """In the disk thread. Raises DiskFull, with nothing of it written."""
        self._called = False  # first: what is noted from here on calls again
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if taken:
                self._trail.append(taken)
        except DiskFull:
            self._waiting.extendleft(reversed(taken))
            raise

    def close(self) -> None:
        self._try()
        if self._waiting:
            log.error("the disk is full: %d lines of the audit log were not written", len(self._waiting))
        self._trail.close()

    def _try(self) -> None:
        with suppress(DiskFull):
            self.write()


class Journal:
    def __init__(self, disk: Disk, transcripts: Transcripts, summaries: Summaries, room: Room, audit: Audit) -> None:
        self._disk = disk
        self._summaries = summaries
        self._transcripts = transcripts
        self._room = room
        self._audit = audit

    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        await self._disk.run(self._room.essential(self._append), session, entries)

    def _append(self, session: str, entries: Sequence[Entry]) -> None:
        self._audit.write()  # what did not fit before: no intent without the decision that it follows from
        self._transcripts.append(session, entries)

    async def load(self, session: str) -> Sequence[Entry]:
        """Raises StateTooNew or StateError for a file that is another version's or another session's."""
        return await self._disk.run(self._transcripts.load, session)

    async def archive(self, session: str) -> str | None:
        return await self._disk.run(self._room.essential(self._transcripts.archive), session)

    async def list(self) -> Sequence[SessionSummary]:
        return await self._disk.read(self._summaries.list)


class Marks:
    """All documents are rows, but the remembered approvals: people read and edit those."""

    def __init__(self, disk: Disk, rows: Rows, room: Room, approvals: Document) -> None:
        self._disk = disk
        self._rows = rows
        self._room = room
        self._approvals = approvals

    async def get(self, name: str) -> tuple[Any, int]:
        if name == APPROVALS:
            return await self._disk.run(self._approvals.get)
        return await self._disk.run(self._rows.get_mark, name)

    async def put(self, name: str, document: Any, version: int) -> bool:
        if name == APPROVALS:
            return await self._disk.run(self._room.new(self._approvals.put), document, version)
        return await self._disk.run(self._room.new(self._rows.put_mark), name, document, version)

    async def fire(
        self, schedule: str, instant: datetime, message: Message, route: Route, cause: Cause = "schedule"
    ) -> bool:
        return await self._disk.run(self._room.new(self._rows.fire), schedule, instant, message, route, cause)

    async def skip(self, schedule: str, instant: datetime, why: str, *, missed: bool = False, number: int = 1) -> bool:
        return await self._disk.run(self._room.new(self._rows.skip), schedule, instant, why, missed, number)

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


class Spending:
    def __init__(self, disk: Disk, rows: Rows, room: Room) -> None:
        self._disk = disk
        self._rows = rows
        self._room = room

    async def add(self, bill: Bill) -> None:
        await self._disk.run(self._room.essential(self._rows.add), bill)

    async def rows(self, first: str, last: str) -> Sequence[Spent]:
        return await self._disk.run(self._rows.spent, first, last)

    async def counted(self, session: str) -> Place | None:
        return await self._disk.run(self._rows.counted, session)

    async def begun(self) -> datetime | None:
        at, _ = await self._disk.run(self._rows.get_mark, BEGUN)
        return None if at is None else codec.time_from(at)


class Store:
    """`damage` lists what could not be read of the transcripts that were opened so far."""

    def __init__(
        self, folder: str, clock: Clock, files: Files | None = None, executor: Callable[[], Executor] = thread
    ) -> None:
        """A simulation hands in `files` that fail when told, and an `executor` that works in its own order."""
        root, files = Path(folder), files or Files()
        self.damage: list[Damage] = []
        self._lock = Lock(root, files)
        self._disk = Disk(executor)
        self._room = Room(root, files)
        self._rows = Rows(root / "runtime.db", clock, files, self._room)
        self._transcripts = Transcripts(root / "sessions", clock, self.damage, files)
        self.audit = Audit(self._disk, Trail(root / "logs", head=root / HEAD, files=files))
        self.inbox = Inbox(self._disk, self._rows, self._room)
        self.outbox = Outbox(self._disk, self._rows, self._room)
        summaries = Summaries(root / "sessions")
        self.journal = Journal(self._disk, self._transcripts, summaries, self._room, self.audit)
        self.spending = Spending(self._disk, self._rows, self._room)
        self.marks = Marks(self._disk, self._rows, self._room, Document(root / f"{APPROVALS}.json", files))

    async def open(self) -> None:
        """Raises StateLocked, StateTooNew or StateError; then nothing is held and nothing was changed."""
        self._lock.take()
        self._disk.start()
        try:
            await self._disk.run(self._open)
        except BaseException:
            await self.close()
            raise

    def _open(self) -> None:
        try:
            self._rows.open()
            self._transcripts.open()
            self._room.open()
        except DiskFull as error:
            raise StateError(f"the state folder cannot be used: {error}") from error

    async def room(self) -> bool:
        return await self._disk.run(self._room.there)

    async def prune(self, now: datetime) -> int:
        return await self._disk.run(self._rows.prune, now) or await self._prune_archives(now)

    async def shrink(self) -> bool:
        return await self._disk.run(self._rows.shrink)

    async def _prune_archives(self, now: datetime) -> int:
        going = await self._disk.read(self._transcripts.outdated, now)
        bites = [going[at : at + FEW] for at in range(0, len(going), FEW)]
        return sum([await self._disk.run(self._transcripts.let_go, bite) for bite in bites])

    async def close(self) -> None:
        try:
            await self._disk.finish(self._transcripts.close, self.audit.close, self._rows.close)
        finally:
            self._lock.release()
