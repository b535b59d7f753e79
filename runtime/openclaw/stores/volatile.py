"""A state folder in memory, for simulations and tests: the same promises as long as the process lives.

Closing and opening again is a restart: what was running is queued again, and everything is due. Law and
words are those of `files`; one contract suite runs over both.
"""

from __future__ import annotations

import copy
import json
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice, takewhile
from typing import Any, Literal

from openclaw.clock import Clock
from openclaw.errors import StateError
from openclaw.messages import Accepted, Address, Entry, Message, Reply, Route
from openclaw.names import file_name
from openclaw.ports import (
    KEPT,
    KEPT_ARCHIVES,
    KEPT_LEAST,
    KEPT_USAGE,
    Cause,
    Delivered,
    Fits,
    Outgoing,
    Queued,
    Run,
    SessionSummary,
    Settlement,
)
from openclaw.spending import Bill, Place, Spent, summed
from openclaw.stores._rows import too_many
from openclaw.stores._told import telling


@dataclass(slots=True)
class _Row:
    message: Message
    route: Route
    state: Literal["queued", "running", "done", "failed", "parked"] = "queued"
    attempts: int = 0
    settled: datetime | None = None
    reply: Reply | None = None
    pruned: bool = False

    @property
    def unsettled(self) -> bool:
        return self.state in ("queued", "running")


class Inbox:
    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self.clock = clock
        self._rows: dict[str, _Row] = {}  # by id, in the order of acceptance
        self.billed: Callable[[Bill], None] = lambda bill: None

    async def accept(self, message: Message, route: Route, *, at_most: int | None = None) -> Accepted:
        behind = await self.waiting(route.session)
        if at_most is not None and behind >= at_most and _id(message) not in self._rows:
            raise too_many(behind)
        return self.take(message, route)

    def take(self, message: Message, route: Route) -> Accepted:
        id, new = _id(message), _id(message) not in self._rows
        row = self._rows.setdefault(id, _Row(message, route))
        return Accepted(id, row.route.agent, row.route.session, new=new)

    async def next(self, session: str) -> Queued | None:
        return next((self._take(id) for id in self._of(session)), None)

    async def join(self, session: str, at_most: int, fits: Fits = lambda queued: True) -> Sequence[Queued]:
        waiting = (self._queued(id) for id in self._of(session) if self._rows[id].state == "queued")
        return [self._take(queued.id) for queued in list(islice(takewhile(fits, waiting), max(at_most, 0)))]

    def _of(self, session: str) -> Iterator[str]:
        return (id for id, row in self._rows.items() if row.unsettled and row.route.session == session)

    def _queued(self, id: str) -> Queued:
        row = self._rows[id]
        return Queued(id, row.message, row.route, row.attempts)

    def _take(self, id: str) -> Queued:
        row = self._rows[id]
        row.state, row.attempts = "running", row.attempts + 1
        return self._queued(id)

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
        if not self._rows[id].unsettled:
            return
        if bill is not None:
            self.billed(bill)
        for outgoing in [reply] if deliver is None and reply else deliver or ():
            self._outbox.post(outgoing, id)
        for row in (self._rows[one] for one in (id, *joined) if one in self._rows):
            if row.unsettled:
                row.state, row.settled, row.reply = state, self.clock.now(), reply

    async def release(self, *ids: str) -> None:
        for row in (self._rows[id] for id in ids if id in self._rows):
            if row.state == "running":
                row.state, row.attempts = "queued", row.attempts - 1

    async def move(self, id: str, route: Route) -> None:
        row = self._rows.get(id)
        if row is not None and row.unsettled:
            await self.release(id)
            row.route = route

    async def waiting(self, session: str | None = None) -> int:
        of = [row for row in self._rows.values() if session is None or row.route.session == session]
        return sum(row.state == "queued" for row in of)

    async def open(self) -> Sequence[str]:
        return list(dict.fromkeys(row.route.session for row in self._rows.values() if row.unsettled))

    async def find(self, id: str) -> Settlement | None:
        row = self._rows.get(id)
        return None if row is None else Settlement(id, row.state, row.route, row.reply)

    async def line(self, at_most: int) -> Sequence[Queued]:
        return [self._queued(id) for id, row in self._rows.items() if row.unsettled][:at_most]

    async def drop(self, id: str, reply: Reply | None = None) -> bool:
        row = self._rows.get(id)
        if row is None or row.state not in ("queued", "parked"):
            return False
        row.state, row.settled, row.reply = "failed", row.settled or self.clock.now(), row.reply or reply
        return True

    async def parked(self, at_most: int | None = None) -> Sequence[Queued]:
        aside = (self._queued(id) for id, row in self._rows.items() if row.state == "parked" and not row.pruned)
        return [*islice(aside, at_most)]

    async def aside(self) -> int:
        return len(await self.parked())

    async def one(self, id: str) -> Queued | None:
        row = self._rows.get(id)
        return self._queued(id) if row is not None and (row.unsettled or row.state == "parked") else None

    async def retry(self, id: str) -> str | None:
        row = self._rows.get(id)
        if row is None or row.state != "parked" or row.pruned:
            return None
        row.state, row.attempts, row.settled, row.reply = "queued", 0, None, None
        return row.route.session

    def run(self, run: Run) -> Run:
        """What its message came to; of one that is gone no more is known."""
        row = self._rows.get(run.message)
        if row is None:
            return run
        deliveries = self._outbox.deliveries(run.message)
        return replace(run, state=row.state, ended=row.settled, reply=row.reply, deliveries=deliveries)

    def prune(self, oldest: datetime) -> int:
        """What was said goes; that it was, stays."""
        ended = [row for row in self._rows.values() if row.settled and not row.pruned and row.state != "parked"]
        old = [row for row in ended if row.settled and row.settled < oldest]
        for row in old:
            row.pruned, row.reply, row.route = True, None, replace(row.route, text="")
        return len(old)

    def restart(self) -> None:
        for row in self._rows.values():
            if row.state == "running":
                row.state = "queued"


@dataclass(slots=True)
class _Posted:
    reply: Reply
    since: datetime
    message: str | None = None  # the inbox id of what was settled with it
    tries: int = 0
    handed: bool = False  # to the channel, which has not said yet how that ended
    rest_until: float = 0.0  # monotonic
    state: Literal["due", "sent", "dead"] = "due"
    ended: datetime | None = None

    def outgoing(self, id: str) -> Outgoing:
        told = replace(self.reply, repeated=self.reply.repeated or self.handed)
        return Outgoing(id, told, self.tries, self.since)

    @property
    def delivered(self) -> Delivered:
        return Delivered(self.reply.to, self.state, self.tries, self.ended)


class Outbox:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._posted: dict[str, _Posted] = {}  # what is due
        self._dead: dict[str, _Posted] = {}  # what was given up
        self._of: dict[str, list[_Posted]] = {}  # by the message they came from, also when they have ended
        self._count = 0
        self.told: Callable[[Message, Route], object] = lambda message, route: None  # puts it into the inbox

    async def put(self, reply: Reply) -> str:
        return self.post(reply)

    def post(self, reply: Reply, message: str | None = None) -> str:
        self._count += 1
        id = f"r{self._count}"
        self._posted[id] = _Posted(reply, self._clock.now(), message)
        if message is not None:
            self._of.setdefault(message, []).append(self._posted[id])
        return id

    def deliveries(self, message: str) -> tuple[Delivered, ...]:
        return tuple(posted.delivered for posted in self._of.get(message, ()))

    async def due(self, channel: str) -> Sequence[Outgoing]:
        return [outgoing for outgoing, seconds in await self.undelivered(channel) if seconds == 0]

    async def undelivered(self, channel: str) -> Sequence[tuple[Outgoing, float]]:
        found = [(id, posted) for id, posted in self._posted.items() if posted.reply.to.channel == channel]
        held: dict[Address, float] = {}  # a reply never overtakes an earlier one to the same place
        for _, posted in found:
            seconds = max(posted.rest_until - self._clock.monotonic(), 0.0)
            held[posted.reply.place] = max(seconds, held.get(posted.reply.place, 0.0))
        return [(posted.outgoing(id), held[posted.reply.place]) for id, posted in found]

    async def channels(self) -> Mapping[str, int]:
        return Counter(posted.reply.to.channel for posted in self._posted.values())

    async def sending(self, id: str) -> None:
        self._posted[id].handed = True
        self._posted[id].tries += 1

    async def sent(self, id: str, *, dead: bool = False) -> str | None:
        posted = self._posted.pop(id, None)
        if posted is None:
            return None
        posted.state, posted.ended = "dead" if dead else "sent", self._clock.now()
        if dead:
            self._dead[id] = posted
        told = None if dead else telling(id, posted.reply, self._clock.now())
        if told is None:
            return None
        self.told(*told)
        return told[1].session

    async def retry(self, id: str, after: float, *, begun: bool = False) -> None:
        self._posted[id].handed = begun
        self._posted[id].rest_until = self._clock.monotonic() + after

    async def dead(self, at_most: int | None = None) -> Sequence[Outgoing]:
        oldest = sorted(self._dead.items(), key=lambda item: int(item[0][1:]))
        return [posted.outgoing(id) for id, posted in oldest[:at_most]]

    async def given_up(self) -> int:
        return len(self._dead)

    async def drop(self, id: str) -> bool:
        return self._dead.pop(id, None) is not None

    async def again(self, id: str) -> str | None:
        posted = self._dead.pop(id, None)
        if posted is None:
            return None
        posted.state, posted.tries, posted.ended, posted.since = "due", 0, None, self._clock.now()
        posted.rest_until = 0.0
        self._posted[id] = posted
        self._posted = dict(sorted(self._posted.items(), key=lambda item: int(item[0][1:])))
        return posted.reply.to.channel

    def prune(self, oldest: datetime) -> int:
        gone = 0
        for message, posted in self._of.items():
            kept = [one for one in posted if one.state == "dead" or not (one.ended and one.ended < oldest)]
            gone += len(posted) - len(kept)
            self._of[message] = kept
        return gone

    def restart(self) -> None:
        for posted in self._posted.values():
            posted.rest_until = 0.0


class Journal:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, list[Entry]] = {}
        self._updated: dict[str, datetime] = {}
        self.archived: dict[str, list[Entry]] = {}  # by the archive's name
        self._archived_at: dict[str, datetime] = {}
        self._count = 0

    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        if entries:
            self._entries.setdefault(session, []).extend(entries)
            self._updated[session] = self._clock.now()

    async def load(self, session: str) -> Sequence[Entry]:
        return list(self._entries.get(session, ()))

    async def archive(self, session: str) -> str | None:
        entries = self._entries.pop(session, None)
        if entries is None:
            return None
        self._count += 1
        name = f"{file_name(session)}.{self._clock.now().strftime('%Y%m%dT%H%M%SZ')}-{self._count}"
        self.archived[name], self._archived_at[name] = entries, self._clock.now()
        return name

    def prune(self, oldest: datetime) -> int:
        old = [name for name, at in self._archived_at.items() if at < oldest]
        for name in old:
            del self.archived[name], self._archived_at[name]
        return len(old)

    async def list(self) -> Sequence[SessionSummary]:
        return [
            SessionSummary(key, len(entries), len(repr(entries)), self._updated[key])
            for key, entries in sorted(self._entries.items())
        ]


class _Fires:
    """What was decided of the instants of one schedule; kept in their order, so that the latest are at hand."""

    def __init__(self) -> None:
        self._runs: dict[datetime, Run] = {}
        self._instants: list[datetime] = []  # ascending

    def __iter__(self) -> Iterator[Run]:
        """The latest instants first."""
        return (self._runs[instant] for instant in reversed(self._instants))

    def last(self) -> datetime | None:
        return next((run.instant for run in self if run.cause == "schedule"), None)

    def mark(self, run: Run) -> bool:
        """False where the instant has a mark that stands."""
        before = self._runs.get(run.instant)
        if before is None:
            insort(self._instants, run.instant)
        elif before.state != "missed" or not run.ran:
            return False
        self._runs[run.instant] = run
        return True

    def prune(self, oldest: datetime) -> None:
        old = self._instants[: min(bisect_left(self._instants, oldest), max(len(self._instants) - KEPT_LEAST, 0))]
        last = self.last() if old else None
        for instant in old:
            if instant != last:
                del self._runs[instant]
        self._instants[: len(old)] = [instant for instant in old if instant == last]


class Marks:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._clock = inbox.clock
        self._documents: dict[str, tuple[Any, int]] = {}
        self._fires: dict[str, _Fires] = {}  # by schedule

    async def get(self, name: str) -> tuple[Any, int]:
        return copy.deepcopy(self._documents.get(name, (None, 0)))

    async def put(self, name: str, document: Any, version: int) -> bool:
        if self._documents.get(name, (None, 0))[1] != version:
            return False
        # Through JSON, as on disk: what is no JSON value fails here too, and nobody shares the document.
        self._documents[name] = (json.loads(json.dumps(document)), version + 1)
        return True

    async def fire(
        self, schedule: str, instant: datetime, message: Message, route: Route, cause: Cause = "schedule"
    ) -> bool:
        if not self._mark(Run(schedule, instant, self._clock.now(), "done", cause, message=_id(message))):
            return False
        return self._inbox.take(message, route).new

    async def skip(self, schedule: str, instant: datetime, why: str, *, missed: bool = False, number: int = 1) -> bool:
        state: Literal["missed", "skipped"] = "missed" if missed else "skipped"
        return self._mark(Run(schedule, instant, self._clock.now(), state, why=why, number=number))

    async def last(self, schedule: str) -> datetime | None:
        fires = self._fires.get(schedule)
        return None if fires is None else fires.last()

    async def lasts(self) -> Mapping[str, datetime]:
        found = {schedule: fires.last() for schedule, fires in self._fires.items()}
        return {schedule: instant for schedule, instant in found.items() if instant is not None}

    async def runs(
        self,
        schedule: str | None,
        limit: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        ran: bool = False,
    ) -> Sequence[Run]:
        of = self._fires if schedule is None else {schedule} & self._fires.keys()
        all_of_them = merge(*(self._fires[name] for name in sorted(of)), key=lambda run: run.instant, reverse=True)
        since = since or datetime.min.replace(tzinfo=UTC)
        kept = takewhile(lambda run: run.instant > since, all_of_them)
        wanted = (run for run in kept if (run.ran or not ran) and (until is None or run.instant <= until))
        return [self._inbox.run(run) for run in islice(wanted, max(limit, 0))]

    def _mark(self, run: Run) -> bool:
        fires = self._fires.setdefault(run.schedule, _Fires())
        if not fires.mark(replace(run, instant=run.instant.astimezone(UTC))):
            return False
        fires.prune(self._clock.now() - timedelta(days=KEPT))
        return True


class Audit:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def note(self, record: Mapping[str, Any]) -> None:
        self.records.append(copy.deepcopy(dict(record)))

    async def written(self) -> None:
        pass


class Spending:
    def __init__(self) -> None:
        self._rows: list[Spent] = []
        self._counted: dict[str, Place] = {}

    def take(self, bill: Bill) -> None:
        self._rows = summed([*self._rows, *bill.rows])
        if bill.last:
            self._counted[bill.session] = bill.last

    async def add(self, bill: Bill) -> None:
        self.take(bill)

    async def rows(self, first: str, last: str) -> Sequence[Spent]:
        return [row for row in self._rows if first <= row.day <= last]

    async def counted(self, session: str) -> Place | None:
        return self._counted.get(session)

    async def begun(self) -> datetime | None:
        return None

    def prune(self, now: datetime) -> int:
        oldest = (now - timedelta(days=KEPT_USAGE)).date().isoformat()
        before, self._rows = len(self._rows), [row for row in self._rows if row.day >= oldest]
        return before - len(self._rows)


class Store:
    """`folder` is not touched. Two stores never share anything."""

    def __init__(self, folder: str, clock: Clock) -> None:
        self.damage: list[object] = []  # memory is not damaged
        self.outbox = Outbox(clock)
        self.inbox = Inbox(self.outbox, clock)
        self.outbox.told = self.inbox.take
        self.journal = Journal(clock)
        self.marks = Marks(self.inbox)
        self.audit = Audit()
        self.spending = Spending()
        self.inbox.billed = self.spending.take
        self._open = False

    async def open(self) -> None:
        if self._open:
            raise StateError("the store is open already")
        self._open = True
        self.inbox.restart()
        self.outbox.restart()

    async def room(self) -> bool:
        return True

    async def shrink(self) -> bool:
        return False

    async def prune(self, now: datetime) -> int:
        old = now - timedelta(days=KEPT)
        archived = now - timedelta(days=KEPT_ARCHIVES)
        gone = self.inbox.prune(old) + self.outbox.prune(old) or self.spending.prune(now)
        return gone or self.journal.prune(archived)

    async def close(self) -> None:
        self._open = False


def _id(message: Message) -> str:
    return f"{message.sender.channel}:{message.id}"
