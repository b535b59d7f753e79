"""When a schedule runs: several expressions in one zone, within the hours it is active. Pure; knows no clock.

Law: an instant that several expressions share is one. Hours in which it is not active are no part of the schedule:
what would come there does not exist, and so is never missed. The clock on the wall at the instant itself decides. An
expression with no time of the day in those hours has no instants, also where a change of the clocks moves one there.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from openclaw.schedule import Cron, parse

Hours = tuple[int, int]
"""Minutes of the day: active from the first up to before the second; over midnight where the second is earlier."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """All that runs one thing: expressions in a zone, the hours in which they count, and an instant apart from them."""

    crons: tuple[Cron, ...]
    zone: tzinfo
    active: Hours | None = None
    once: datetime | None = None  # one instant more

    @classmethod
    def of(
        cls, expressions: Sequence[str], zone: tzinfo, active: Hours | None = None, once: datetime | None = None
    ) -> Timetable:
        """Raises ValueError for an expression that is none."""
        return cls(tuple(map(_cron, expressions)), zone, active, once)

    def next(self, after: datetime) -> datetime | None:
        """The first instant later than `after`, with the zone's offset then; None where nothing more comes."""
        return next(self.following(after), None)

    def following(self, after: datetime) -> Iterator[datetime]:
        """Every instant later than `after`, in order."""
        fires = [self._fires(cron, after) for cron in self.crons if self._ever(cron)]  # others would be sought for ever
        return _distinct(heapq.merge(*fires, self._once(after)))

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Every instant later than `start` up to and including `end`, in order."""
        for fire in self.following(start):
            if fire > end:
                return
            yield fire

    @property
    def ever_active(self) -> bool:
        """Whether any of its times of the day lies in the active hours; one instant by itself always counts."""
        return self.once is not None or any(map(self._ever, self.crons))

    @property
    def times(self) -> list[int]:
        """Every minute of the day on which it may fire on some day, in order."""
        every = {hour * 60 + minute for cron in self.crons for hour in cron.hours for minute in cron.minutes}
        return sorted(time for time in every if self.active is None or _within(time, self.active))

    def _ever(self, cron: Cron) -> bool:
        times = (hour * 60 + minute for hour in cron.hours for minute in cron.minutes)
        return self.active is None or any(_within(time, self.active) for time in times)

    def _fires(self, cron: Cron, after: datetime) -> Iterator[datetime]:
        for fire in cron.following(after, self.zone):
            if self.active is None or _within(fire.hour * 60 + fire.minute, self.active):
                yield fire

    def _once(self, after: datetime) -> list[datetime]:
        if self.once is None or self.once <= after:
            return []
        offset = self.once.astimezone(self.zone).utcoffset() or timedelta(0)
        return [self.once.astimezone(timezone(offset))]


def late(name: str, instant: datetime, jitter: float) -> timedelta:
    """By how much a run may come later than its instant: from 0 up to `jitter` seconds, always the same for it."""
    if not jitter:
        return timedelta(0)
    digest = hashlib.sha256(f"{name}@{instant.astimezone(UTC).isoformat()}".encode()).digest()
    return timedelta(seconds=jitter * int.from_bytes(digest[:4]) / 2**32)


def _within(time: int, hours: Hours) -> bool:
    start, end = hours
    return start <= time < end if start < end else time >= start or time < end


def _distinct(fires: Iterator[datetime]) -> Iterator[datetime]:
    last = None
    for fire in fires:
        if fire != last:
            yield fire
        last = fire


def _cron(expression: str) -> Cron:
    parsed = parse(expression)
    if not isinstance(parsed, Cron):
        raise ValueError(f"`{expression}`: {parsed.message}")
    return parsed
