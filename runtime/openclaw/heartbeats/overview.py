"""How heartbeats stand and what is to come of them, told without holding up others. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from openclaw.clock import Clock
from openclaw.heartbeats.agenda import Plan
from openclaw.heartbeats.failures import GIVEN_UP, Failures
from openclaw.heartbeats.history import heartbeat_json, standing_json
from openclaw.heartbeats.standing import Standing
from openclaw.manifest.snapshot import Heartbeat
from openclaw.ports import Marks
from openclaw.words import time_json

AT_ONCE = 200  # heartbeats looked at before others get their turn


class Overview:
    """`looked` tells since when failures of a heartbeat count."""

    def __init__(
        self,
        marks: Marks,
        clock: Clock,
        failures: Failures,
        standing: Standing,
        looked: Callable[[str], Awaitable[datetime]],
    ) -> None:
        self._marks = marks
        self._clock = clock
        self._failures = failures
        self._standing = standing
        self._looked = looked

    async def told(
        self, heartbeats: Mapping[str, Heartbeat], manifests: Mapping[str, Heartbeat]
    ) -> Sequence[Mapping[str, Any]]:
        lasts = await self._marks.lasts()
        return [
            {**heartbeat_json(one, reminder=name not in manifests), **await self._standing_of(one, lasts.get(name))}
            for name, one in heartbeats.items()
        ]

    async def _standing_of(self, heartbeat: Heartbeat, last: datetime | None) -> Mapping[str, Any]:
        name, now = heartbeat.name, self._clock.now()
        row = await self._failures.row(name, await self._looked(name), now)
        paused = self._standing.paused(name)
        off = not heartbeat.enabled or paused or row.given_up
        found = await self._marks.runs(name, 1)
        return standing_json(
            next=None if off else Plan.of(heartbeat, now, now).timetable.next(now),
            last=last,
            paused=paused,
            stopped=GIVEN_UP if row.given_up else "",
            failures=row.length,
            last_run=found[0] if found else None,
        )

    async def coming(self, heartbeats: Iterable[Heartbeat], until: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
        """The next times of those that are on, soonest first."""
        now = self._clock.now()
        heap: list[tuple[datetime, str, Iterator[datetime]]] = []
        for number, heartbeat in enumerate(heartbeats):
            if heartbeat.enabled and not self._standing.paused(heartbeat.name):
                times = Plan.of(heartbeat, now, now).timetable.between(now, until)
                heap += [(first, heartbeat.name, times) for first in islice(times, 1)]
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        heapify(heap)
        found: list[Mapping[str, Any]] = []
        while heap and len(found) < limit:
            at, name, times = heappop(heap)
            found.append({"heartbeat": name, "at": time_json(at)})
            for following in islice(times, 1):
                heappush(heap, (following, name, times))
        return found
