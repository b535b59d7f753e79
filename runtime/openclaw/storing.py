"""The shapes of everything that is kept: inbox, outbox, journal, marks and audit of one state folder, and the doorbell.

Law: what a method that writes has returned from is kept; where it raises `DiskFull` nothing was written and it may be
asked again, and after `StorageFailed` nothing may be asked any more. `ports.py` gives all of these names on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

from openclaw.messages import Accepted, Address, Entry, Message, Reply, Route
from openclaw.spending import Bill, Place, Spent


@dataclass(frozen=True, slots=True)
class Queued:
    """An inbox row in a worker's hands. `attempts` counts how often it was taken, this time included."""

    id: str
    message: Message
    route: Route
    attempts: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a message ended, for whoever asks later."""

    id: str
    state: Literal["queued", "running", "done", "failed", "parked"]
    route: Route
    reply: Reply | None  # None also where it is kept no longer

    @property
    def ended(self) -> bool:
        return self.state not in ("queued", "running")


Fits: TypeAlias = Callable[[Queued], bool]
"""Whether a waiting message goes along with what is under way. Pure and quick: it is asked on the disk's own thread."""


class Inbox(Protocol):
    """Accepted messages: each once, in order per session, until settled."""

    async def accept(self, message: Message, route: Route, *, at_most: int | None = None) -> Accepted:
        """Commits the row. A message id that this channel has delivered before gives `new=False`, whatever waits.
        Raises QueueFull where `at_most` messages of the session wait already."""

    async def next(self, session: str) -> Queued | None:
        """The oldest unsettled message of the session, its attempts counted up and committed."""

    async def join(self, session: str, at_most: int, fits: Fits = lambda queued: True) -> Sequence[Queued]:
        """What waits behind the message that `next` gave, oldest first, up to the first that does not fit: taken
        with it, their attempts counted up, in one transaction. After a crash they wait again, each for itself."""

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
        """The message ends, and with it those that joined it: its reply is kept for `find`, and `deliver` (the reply
        itself where it is left out) enters the outbox once, and what its session used is counted, in one transaction.
        Idempotent."""

    async def release(self, *ids: str) -> None:
        """Gives unsettled messages back untaken (a graceful stop): the attempt does not count."""

    async def move(self, id: str, route: Route) -> None:
        """An unsettled message goes another way: there it waits at the place that its age gives it, and where it was
        taken up, that does not count. Idempotent."""

    async def waiting(self, session: str | None = None) -> int:
        """How many messages nobody has taken up yet, of one session or of all."""

    async def open(self) -> Sequence[str]:
        """Sessions that have unsettled messages, oldest first."""

    async def find(self, id: str) -> Settlement | None: ...

    async def line(self, at_most: int) -> Sequence[Queued]:
        """What is unsettled in all sessions, oldest first, as it stands."""

    async def drop(self, id: str, reply: Reply | None = None) -> bool:
        """A message that waits, or is parked, ends as failed, and nobody is told; the reply is kept for `find` where
        there is none. False where none does."""

    async def parked(self, at_most: int | None = None) -> Sequence[Queued]:
        """Messages that were put aside, oldest first."""

    async def aside(self) -> int:
        """How many there are of those."""

    async def one(self, id: str) -> Queued | None:
        """A message that is unsettled or was put aside, as it stands."""

    async def retry(self, id: str) -> str | None:
        """A parked message waits again, at its old place and as if it had never been tried. The session to ring;
        None where no such message is parked."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply on its way; `reply.repeated` where an earlier run ended while sending it, so that the person may have
    it already. `tries` counts the times it was handed to a channel before; `since` is when it was put."""

    id: str
    reply: Reply
    tries: int
    since: datetime


class Outbox(Protocol):
    async def put(self, reply: Reply) -> str: ...

    async def due(self, channel: str) -> Sequence[Outgoing]:
        """Undelivered replies of one channel whose time has come, oldest first."""

    async def undelivered(self, channel: str) -> Sequence[tuple[Outgoing, float]]:
        """All of one channel, oldest first, each with the seconds until its time comes: 0 for what is due. One that is
        to be tried again keeps back what else there is for its place."""

    async def channels(self) -> Mapping[str, int]:
        """Those that have undelivered replies, and how many; first the one whose oldest is the oldest."""

    async def sending(self, id: str) -> None:
        """Committed before the channel is called: after a crash from here on the reply counts as repeated."""

    async def sent(self, id: str, *, dead: bool = False) -> str | None:
        """The reply is done with. Where it was delivered and is to be `told`, that enters the inbox in the same
        transaction, from `cron:<heartbeat>` with the message id `told-<id>`; the session to ring is returned."""

    async def retry(self, id: str, after: float, *, begun: bool = False) -> None:
        """Due again in `after` seconds; as a repetition where it was `begun`."""

    async def dead(self, at_most: int | None = None) -> Sequence[Outgoing]:
        """Replies that were given up, oldest first."""

    async def given_up(self) -> int:
        """How many there are of those."""

    async def drop(self, id: str) -> bool:
        """A dead reply is no longer among them; False where no such reply is dead."""

    async def again(self, id: str) -> str | None:
        """A dead reply is due again, as if it had just been put, and repeated where a part of it may have arrived.
        Its channel; None where no such reply is dead."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    key: str
    entries: int
    size: int  # bytes
    updated: datetime


class Journal(Protocol):
    """The transcript of each session: append-only, readable, the only truth about what a turn has done."""

    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        """On disk, in order, when this returns. Raises DiskFull with nothing of it written, StorageFailed where the
        disk did not take it."""

    async def load(self, session: str) -> Sequence[Entry]:
        """All entries; a damaged line is skipped, reported and kept aside."""

    async def archive(self, session: str) -> str | None:
        """Puts the session aside; its key starts empty. The archive's name, or None where there was nothing."""

    async def list(self) -> Sequence[SessionSummary]: ...


Cause: TypeAlias = Literal["schedule", "hand"]
"""Why an instant was run: its time came, or a person asked for it."""

KEPT = 90  # days of history, and of what was said in messages and replies that have ended
KEPT_ARCHIVES = 365  # days of conversations that were put aside
KEPT_USAGE = 400  # days of what was used of models
LARGEST_ROWS = 1 << 30  # bytes of messages and replies; beyond them the oldest that have ended go earlier
LARGEST_ARCHIVES = 4 << 30  # bytes of conversations put aside, likewise
KEPT_LEAST = 10  # instants of a schedule whose history is kept however old it is


@dataclass(frozen=True, slots=True)
class Delivered:
    """A reply's way to one place: under way, there, or given up."""

    to: Address
    state: Literal["due", "sent", "dead"]
    tries: int
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """One instant of a schedule and what came of it; of several missed ones in a row, the last.

    How it was carried out (`state`, `reply`) and whether its reply arrived (`deliveries`) are two things.
    """

    schedule: str
    instant: datetime  # when it was due
    at: datetime  # when it was begun or passed over
    state: Literal["queued", "running", "done", "failed", "parked", "missed", "skipped"]
    cause: Cause = "schedule"
    why: str = ""  # it was missed or skipped
    number: int = 1  # of the instants this stands for
    message: str = ""  # inbox id; "" where it was not run
    ended: datetime | None = None
    reply: Reply | None = None
    deliveries: tuple[Delivered, ...] = ()

    @property
    def ran(self) -> bool:
        return self.state not in ("missed", "skipped")

    @property
    def failed(self) -> bool:
        return self.state in ("failed", "parked")


class Marks(Protocol):
    """Small JSON documents with a version, and the fires of schedules."""

    async def get(self, name: str) -> tuple[Any, int]:
        """The document and its version; (None, 0) where there is none."""

    async def put(self, name: str, document: Any, version: int) -> bool:
        """Writes if the version on disk is still `version`; False otherwise. Durable on return."""

    async def fire(
        self, schedule: str, instant: datetime, message: Message, route: Route, cause: Cause = "schedule"
    ) -> bool:
        """The inbox row and the schedule's mark in one transaction; False where this instant was fired or skipped
        before. One that was merely missed, because the clock ran ahead, can still be fired."""

    async def skip(self, schedule: str, instant: datetime, why: str, *, missed: bool = False, number: int = 1) -> bool:
        """Records an instant that is not run, or the last of `number` of them; False where it has a mark."""

    async def last(self, schedule: str) -> datetime | None:
        """The last instant of the schedule itself that has a mark."""

    async def lasts(self) -> Mapping[str, datetime]:
        """The same, of all schedules at once."""

    async def runs(
        self,
        schedule: str | None,
        limit: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        ran: bool = False,
    ) -> Sequence[Run]:
        """The history of one schedule or of all, the latest instants first: those after `since` and up to `until`;
        with `ran` only those that were run. Kept for `KEPT` days, and the last `KEPT_LEAST` of each for ever."""


class Audit(Protocol):
    """What was decided and done, for whoever asks later. Lines are only ever added."""

    def note(self, record: Mapping[str, Any]) -> None:
        """Takes a JSON object whose secrets are struck out. It is written before whatever the store is asked for
        after it, and nobody waits."""

    async def written(self) -> None:
        """Returns once everything that was noted is written. Raises DiskFull."""


class Spending(Protocol):
    """What was used of models, by day, agent and model. Kept for `KEPT_USAGE` days."""

    async def add(self, bill: Bill) -> None:
        """Counts what no settled message brings along. Raises DiskFull with nothing of it written."""

    async def rows(self, first: str, last: str) -> Sequence[Spent]:
        """Of the days from one to another, both included."""

    async def counted(self, session: str) -> Place | None:
        """Up to where the session's transcript was counted last."""

    async def begun(self) -> datetime | None:
        """Since when all is counted; None: since ever."""


class Store(Protocol):
    """One state folder. Constructed as `Store(folder: str, clock)`; `open` takes the lock."""

    @property
    def inbox(self) -> Inbox: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def marks(self) -> Marks: ...

    @property
    def audit(self) -> Audit: ...

    @property
    def spending(self) -> Spending: ...

    async def open(self) -> None: ...

    async def room(self) -> bool:
        """Whether new work can be kept; after `DiskFull`, whether it is worth trying again."""

    async def prune(self, now: datetime) -> int:
        """Lets go of what is older than it is kept, a little at a time. How much went; 0 when there is no more."""

    async def shrink(self) -> bool:
        """Gives space that nothing needs back to the disk, a little at a time. Whether there is much more."""

    async def close(self) -> None: ...


Wake: TypeAlias = Callable[[str], Awaitable[None]]


class Doorbell(Protocol):
    """Says that a session has work; carries nothing. At most one wake per session runs at a time."""

    def ring(self, session: str) -> None: ...

    async def serve(self, wake: Wake, concurrency: int) -> None:
        """Calls `wake(session)` for every ring, sessions side by side, until cancelled. A ring during a wake
        wakes once more after it."""
