"""A state folder in memory, for simulations and tests: the same promises as long as the process lives.

Closing and opening again is a restart: what was running is queued again, and everything is due. Law and
words are those of `files`; one contract suite runs over both.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from openclaw.clock import Clock
from openclaw.errors import StateError
from openclaw.messages import Accepted, Address, Entry, Message, Reply, Route
from openclaw.names import file_name
from openclaw.ports import Outgoing, Queued, SessionSummary, Settlement


@dataclass(slots=True)
class _Row:
    message: Message
    route: Route
    state: Literal["queued", "running", "done", "failed", "parked"] = "queued"
    attempts: int = 0
    reply: Reply | None = None

    @property
    def unsettled(self) -> bool:
        return self.state in ("queued", "running")


class Inbox:
    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._rows: dict[str, _Row] = {}  # by id, in the order of acceptance

    async def accept(self, message: Message, route: Route) -> Accepted:
        id, new = _id(message), _id(message) not in self._rows
        row = self._rows.setdefault(id, _Row(message, route))
        return Accepted(id, row.route.agent, row.route.session, new=new)

    async def next(self, session: str) -> Queued | None:
        for id, row in self._rows.items():
            if row.unsettled and row.route.session == session:
                row.state, row.attempts = "running", row.attempts + 1
                return Queued(id, row.message, row.route, row.attempts)
        return None

    async def settle(
        self,
        id: str,
        state: Literal["done", "failed", "parked"],
        reply: Reply | None,
        *,
        deliver: Sequence[Reply] | None = None,
    ) -> None:
        row = self._rows[id]
        if row.unsettled:
            row.state, row.reply = state, reply
            for outgoing in [reply] if deliver is None and reply else deliver or ():
                await self._outbox.put(outgoing)

    async def release(self, id: str) -> None:
        row = self._rows.get(id)
        if row is not None and row.state == "running":
            row.state, row.attempts = "queued", row.attempts - 1

    async def open(self) -> Sequence[str]:
        return list(dict.fromkeys(row.route.session for row in self._rows.values() if row.unsettled))

    async def find(self, id: str) -> Settlement | None:
        row = self._rows.get(id)
        return None if row is None else Settlement(id, row.state, row.route, row.reply)

    def restart(self) -> None:
        for row in self._rows.values():
            if row.state == "running":
                row.state = "queued"


@dataclass(slots=True)
class _Posted:
    reply: Reply
    since: datetime
    tries: int = 0
    handed: bool = False  # to the channel, which has not said yet how that ended
    rest_until: float = 0.0  # monotonic


class Outbox:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._posted: dict[str, _Posted] = {}
        self._count = 0

    async def put(self, reply: Reply) -> str:
        self._count += 1
        id = f"r{self._count}"
        self._posted[id] = _Posted(reply, self._clock.now())
        return id

    async def due(self, channel: str) -> Sequence[Outgoing]:
        ready: list[Outgoing] = []
        held: set[Address] = set()  # a reply never overtakes an earlier one to the same place
        for id, posted in self._posted.items():
            reply = posted.reply
            place = reply.place
            if posted.rest_until > self._clock.monotonic():
                held.add(place)
            if reply.to.channel == channel and place not in held:
                told = replace(reply, repeated=reply.repeated or posted.handed)
                ready.append(Outgoing(id, told, posted.tries, posted.since))
        return ready

    async def sending(self, id: str) -> None:
        self._posted[id].handed = True
        self._posted[id].tries += 1

    async def sent(self, id: str, *, dead: bool = False) -> None:
        self._posted.pop(id, None)

    async def retry(self, id: str, after: float, *, begun: bool = False) -> None:
        self._posted[id].handed = begun
        self._posted[id].rest_until = self._clock.monotonic() + after

    def restart(self) -> None:
        for posted in self._posted.values():
            posted.rest_until = 0.0


class Journal:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, list[Entry]] = {}
        self._updated: dict[str, datetime] = {}
        self.archived: dict[str, list[Entry]] = {}  # by the archive's name

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
        name = f"{file_name(session)}.{self._clock.now().strftime('%Y%m%dT%H%M%SZ')}-{len(self.archived) + 1}"
        self.archived[name] = entries
        return name

    async def list(self) -> Sequence[SessionSummary]:
        return [
            SessionSummary(key, len(entries), len(repr(entries)), self._updated[key])
            for key, entries in sorted(self._entries.items())
        ]


class Marks:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._documents: dict[str, tuple[Any, int]] = {}
        self._fires: dict[str, dict[datetime, str | None]] = {}  # schedule -> instant -> why it was skipped

    async def get(self, name: str) -> tuple[Any, int]:
        return copy.deepcopy(self._documents.get(name, (None, 0)))

    async def put(self, name: str, document: Any, version: int) -> bool:
        if self._documents.get(name, (None, 0))[1] != version:
            return False
        # Through JSON, as on disk: what is no JSON value fails here too, and nobody shares the document.
        self._documents[name] = (json.loads(json.dumps(document)), version + 1)
        return True

    async def fire(self, schedule: str, instant: datetime, message: Message, route: Route) -> bool:
        if not await self._mark(schedule, instant, None):
            return False
        return (await self._inbox.accept(message, route)).new

    async def skip(self, schedule: str, instant: datetime, why: str) -> bool:
        return await self._mark(schedule, instant, why)

    async def last(self, schedule: str) -> datetime | None:
        return max(self._fires.get(schedule, ()), default=None)

    async def _mark(self, schedule: str, instant: datetime, why: str | None) -> bool:
        fires = self._fires.setdefault(schedule, {})
        if instant in fires:
            return False
        fires[instant.astimezone(UTC)] = why
        return True


class Store:
    """`folder` is not touched. Two stores never share anything."""

    def __init__(self, folder: str, clock: Clock) -> None:
        self.damage: list[object] = []  # memory is not damaged
        self.outbox = Outbox(clock)
        self.inbox = Inbox(self.outbox)
        self.journal = Journal(clock)
        self.marks = Marks(self.inbox)
        self._open = False

    async def open(self) -> None:
        if self._open:
            raise StateError("the store is open already")
        self._open = True
        self.inbox.restart()
        self.outbox.restart()

    async def close(self) -> None:
        self._open = False


def _id(message: Message) -> str:
    return f"{message.sender.channel}:{message.id}"
