"""Fires what runs on a schedule: sleeps until the next due instant, puts its message into the inbox, rings.

Law: one run at most for every scheduled instant of a state folder, across restarts, reloads and clocks that
jump, because the instant's mark and its message enter the store in one transaction. A heartbeat never
overlaps itself. What was not run is recorded with the reason. A heartbeat that is new, changed or switched
on again owes nothing for the time before. Knows no agent and no answer; the inbox takes it from here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from openclaw.clock import Clock
from openclaw.errors import OpenClawError, StorageFailed
from openclaw.manifest.snapshot import Heartbeat, Snapshot
from openclaw.messages import Accepted, Address, Message, Refused, Route, Text, escape
from openclaw.ports import Store
from openclaw.schedule import Cron, parse

MARK = "heartbeats"
ON_TIME = timedelta(minutes=1)  # later than this, an instant counts as missed
CATCH_UP = 100  # runs at most of one heartbeat after downtime
STEP = 30.0  # seconds of sleep at most: the clock on the wall may jump meanwhile

log = logging.getLogger("openclaw.heartbeats")


@dataclass(slots=True)
class Plan:
    """One heartbeat, and up to which instant everything has been fired or skipped."""

    heartbeat: Heartbeat
    crons: tuple[Cron, ...]
    zone: ZoneInfo
    done: datetime

    def next(self, after: datetime) -> datetime | None:
        fires = (cron.next(after, self.zone) for cron in self.crons)
        return min((fire.astimezone(UTC) for fire in fires if fire is not None), default=None)

    def instants(self, after: datetime, until: datetime) -> Sequence[datetime]:
        """Those in (after, until], in order; the latest of them only where they are far more than can be run."""
        span = timedelta(days=1)
        while True:
            start = max(after, until - span)
            found = {fire.astimezone(UTC) for cron in self.crons for fire in cron.between(start, until, self.zone)}
            if start == after or len(found) > CATCH_UP:
                return sorted(found)
            span *= 4


class Heartbeats:
    """`snapshot` tells the manifests in force; `ring` says that a session has work."""

    def __init__(
        self, store: Store, clock: Clock, snapshot: Callable[[], Snapshot], ring: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._snapshot = snapshot
        self._ring = ring
        self._plans: dict[str, Plan] = {}
        self._planned: Mapping[str, Heartbeat] | None = None
        self._changed = asyncio.Event()

    def replan(self) -> None:
        """The snapshot in force is another one. Unchanged heartbeats go on as they were."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled; raises StorageFailed."""
        while True:
            self._changed.clear()
            await self._plan()
            for plan in self._plans.values():
                await self._attempt(plan)
            await self._rest()

    async def _attempt(self, plan: Plan) -> None:
        try:
            await self._fire_due(plan)
        except StorageFailed:
            raise
        except OpenClawError as error:  # a full disk, for example: tried again in a moment
            log.error("heartbeat %s waits: %s", plan.heartbeat.name, error)

    async def run_now(self, name: str) -> Accepted | Refused:
        """Runs it beside its schedule, as a message like any other of it."""
        heartbeat = self._snapshot().heartbeats.get(name)
        if heartbeat is None:
            return Refused("heartbeat", f"there is no heartbeat {name}")
        now = self._clock.now()
        message = _message(heartbeat, f"{name}@{now.isoformat()}-by-hand", now)
        route = Route(heartbeat.agent, _session(heartbeat), heartbeat.prompt)
        accepted = await self._store.inbox.accept(message, route)
        self._ring(accepted.session)
        return accepted

    # ── planning ─────────────────────────────────────────────────────────────────────────────────

    async def _plan(self) -> None:
        wanted = self._snapshot().heartbeats
        if wanted is self._planned:
            return
        enabled = {name: heartbeat for name, heartbeat in wanted.items() if heartbeat.enabled}
        since = await self._since(enabled)
        plans = {}
        for name, heartbeat in enabled.items():
            last = await self._store.marks.last(name)
            done = since[name] if last is None else max(last, since[name])
            plans[name] = Plan(heartbeat, tuple(map(_cron, heartbeat.cron)), ZoneInfo(heartbeat.timezone), done)
        self._plans, self._planned = plans, wanted

    async def _since(self, enabled: Mapping[str, Heartbeat]) -> Mapping[str, datetime]:
        """From when on each schedule counts, remembered across restarts as long as the schedule stays the same."""
        while True:
            known, version = await self._store.marks.get(MARK)
            document = {
                name: self._first_seen(heartbeat, (known or {}).get(name)) for name, heartbeat in enabled.items()
            }
            if document == (known or {}) or await self._store.marks.put(MARK, document, version):
                return {name: datetime.fromisoformat(entry["since"]) for name, entry in document.items()}

    def _first_seen(self, heartbeat: Heartbeat, known: Mapping[str, Any] | None) -> Mapping[str, Any]:
        schedule = {"cron": list(heartbeat.cron), "timezone": heartbeat.timezone}
        if known is not None and schedule == {key: known.get(key) for key in schedule}:
            return known
        return {**schedule, "since": self._clock.now().isoformat()}

    # ── firing ───────────────────────────────────────────────────────────────────────────────────

    async def _fire_due(self, plan: Plan) -> None:
        now = self._clock.now()
        due = plan.instants(min(plan.done, now), now)
        if not due:
            return
        runs = _chosen(plan.heartbeat, due, now)
        await self._skip(plan, [instant for instant in due if instant not in runs], "missed: nothing ran then")
        catching_up = plan.heartbeat.missed == "all" and len(runs) > 1
        if runs and not catching_up and _session(plan.heartbeat) in await self._store.inbox.open():
            await self._skip(plan, runs, "the run before it had not ended")
            runs = []
        for instant in runs:
            await self._fire(plan, instant)
        plan.done = due[-1]

    async def _fire(self, plan: Plan, instant: datetime) -> None:
        heartbeat, session = plan.heartbeat, _session(plan.heartbeat)
        message = _message(heartbeat, f"{heartbeat.name}@{instant.isoformat()}", instant)
        route = Route(heartbeat.agent, session, heartbeat.prompt)
        if await self._store.marks.fire(heartbeat.name, instant, message, route):
            log.info("heartbeat %s runs for %s", heartbeat.name, instant.isoformat())
            self._ring(session)
        plan.done = instant

    async def _skip(self, plan: Plan, instants: Sequence[datetime], why: str) -> None:
        """One record for all of them, at the last."""
        if not instants:
            return
        if len(instants) > 1:
            why = f"{why}; {len(instants)} in a row, the first at {instants[0].isoformat()}"
        if await self._store.marks.skip(plan.heartbeat.name, instants[-1], why):
            log.warning("heartbeat %s did not run for %s (%s)", plan.heartbeat.name, instants[-1].isoformat(), why)

    async def _rest(self) -> None:
        now = self._clock.now()
        upcoming = [plan.next(min(plan.done, now)) for plan in self._plans.values()]
        seconds = min([STEP, *((instant - now).total_seconds() for instant in upcoming if instant and instant > now)])
        waits = {asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._changed.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def _chosen(heartbeat: Heartbeat, due: Sequence[datetime], now: datetime) -> Sequence[datetime]:
    """Which of the instants that have come are run."""
    match heartbeat.missed:
        case "all":
            return due[-CATCH_UP:]
        case "once":
            return due[-1:]
        case "skip":
            return [instant for instant in due[-1:] if now - instant <= ON_TIME]


def _message(heartbeat: Heartbeat, id: str, at: datetime) -> Message:
    return Message(
        id=id,
        sender=Address("cron", heartbeat.name),
        parts=(Text(heartbeat.prompt),),
        at=at,
        name=heartbeat.name,
        heartbeat=heartbeat.name,
    )


def _session(heartbeat: Heartbeat) -> str:
    return f"cron:{escape(heartbeat.name)}"


def _cron(expression: str) -> Cron:
    parsed = parse(expression)
    if not isinstance(parsed, Cron):
        raise ValueError(f"`{expression}`: {parsed.message}")
    return parsed
