"""What is due next of many heartbeats, without looking at all of them. Pure but for the times it is told.

Law: a plan says up to which instant everything was fired or passed over; what comes after that and is not later than
now has come. A clock that was put back brings instants again; whoever fires them knows those that were, and what the
clock has shown before is not owed a second time.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from openclaw.heartbeats.standing import EVER
from openclaw.manifest.snapshot import Heartbeat
from openclaw.timetable import Timetable, late

CATCH_UP = 100  # instants of one heartbeat that are told apart after downtime; the latest of them
COUNTED = 20_000  # those before them are counted up to here
ON_TIME = timedelta(minutes=1)  # later than this, an instant counts as missed


@dataclass(frozen=True, slots=True)
class Earlier:
    """Instants in a row, told together."""

    first: datetime
    last: datetime
    number: int  # at most `COUNTED`


@dataclass(frozen=True, slots=True)
class Backlog:
    """Instants that have come, in order, and those before them that are too many to be told apart."""

    instants: Sequence[datetime]
    earlier: Earlier | None = None


@dataclass(slots=True, eq=False)
class Plan:
    """One heartbeat; `done` is the instant up to which everything has been fired or passed over."""

    heartbeat: Heartbeat
    timetable: Timetable
    done: datetime
    looked: datetime  # failures before a person looked at it do not count
    resumed: datetime  # when a person had it go on, as far as this plan knows
    seen: datetime  # the same of a clock that was put back behind `done`: what comes between them comes again
    stopped: str = ""  # why nothing of it runs until somebody looks
    behind: bool = False  # makes up for what was missed, one run after the other
    at: datetime | None = None  # when it is looked at next

    @classmethod
    def of(cls, heartbeat: Heartbeat, done: datetime, looked: datetime, resumed: datetime = EVER) -> Plan:
        timetable = Timetable.of(heartbeat.cron, ZoneInfo(heartbeat.timezone), heartbeat.active_hours, heartbeat.once)
        return cls(heartbeat, timetable, done, looked, resumed, done)

    def dealt(self, instant: datetime) -> None:
        """Everything up to this instant was fired or passed over."""
        self.done, self.seen = max(self.done, instant), instant

    def put_back(self, now: datetime) -> None:
        """The clock was put back to `now`."""
        self.seen = now

    def _start(self, now: datetime) -> datetime:
        """After which instant others have come, or are to come; of those that come again only what is on time."""
        late = ON_TIME + timedelta(seconds=self.heartbeat.jitter)
        return min(self.done, max(self.seen, now - late))

    def due(self, now: datetime) -> datetime | None:
        """When the next instant that was not dealt with is to run; None where nothing more comes."""
        instant = None if self.stopped else self.timetable.next(self._start(now))
        return None if instant is None else self.runs_at(instant)

    def runs_at(self, instant: datetime) -> datetime:
        return instant.astimezone(UTC) + late(self.heartbeat.name, instant, self.heartbeat.jitter)

    def come(self, now: datetime) -> Backlog:
        start, span = self._start(now), timedelta(days=1)
        while True:
            begin = max(start, now - span)
            found = [at.astimezone(UTC) for at in self.timetable.between(begin, now) if self.runs_at(at) <= now]
            if begin == start or len(found) > CATCH_UP:
                break
            span *= 4
        if len(found) <= CATCH_UP:
            return Backlog(found)
        kept, last = found[-CATCH_UP:], found[-CATCH_UP - 1]
        before = [at.astimezone(UTC) for at in itertools.islice(self.timetable.between(start, last), COUNTED)]
        return Backlog(kept, Earlier(before[0], last, len(before)))


class Agenda:
    """Plans by the time at which they are to be looked at."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Plan]] = []
        self._order = itertools.count()

    def fill(self, plans: Iterable[Plan]) -> None:
        self._heap = [(plan.at, next(self._order), plan) for plan in plans if plan.at is not None]
        heapq.heapify(self._heap)

    def put(self, plan: Plan, at: datetime | None) -> None:
        plan.at = at
        if at is not None:
            heapq.heappush(self._heap, (at, next(self._order), plan))

    def take(self, now: datetime) -> list[Plan]:
        """Those whose time has come, in the order of their times."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            at, _, plan = heapq.heappop(self._heap)
            if plan.at == at:  # it was not put elsewhere since
                plan.at = None
                taken.append(plan)
        return taken

    def next(self) -> datetime | None:
        return self._heap[0][0] if self._heap else None
