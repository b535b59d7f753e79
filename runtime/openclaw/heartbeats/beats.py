"""Heartbeats: sleeps until a schedule is due, then puts its prompt into the inbox like any other message.

The law: each scheduled instant is run once or passed over once, across restarts, reloads and clocks that
jump, because the instant's mark and its message enter the store in one transaction. A heartbeat never
overlaps itself. What was not run is recorded with the reason. A heartbeat that is new, changed, resumed or
switched on again owes nothing for the time before. Knows no agent and no answer; the inbox takes it from here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from openclaw import logbook
from openclaw.clock import Clock
from openclaw.errors import DiskFull, OpenClawError, StorageFailed
from openclaw.heartbeats import posting
from openclaw.heartbeats.agenda import COUNTED, ON_TIME, Agenda, Backlog, Plan
from openclaw.heartbeats.checks import Checks
from openclaw.heartbeats.failures import Failures, Hold
from openclaw.heartbeats.history import run_json
from openclaw.heartbeats.overview import Overview
from openclaw.heartbeats.standing import EVER, Standing, time_of
from openclaw.manifest.snapshot import Heartbeat, Snapshot
from openclaw.messages import Accepted, Address, Message, Refused, Reply
from openclaw.ports import Queued, Store

MARK = "heartbeats"  # since when each schedule counts
STEP = 30.0  # seconds of sleep at most: the clock on the wall may jump meanwhile
AGAIN = timedelta(seconds=30)  # after which what could not be done is tried again
ROOM = timedelta(seconds=5)  # the same, of what a full disk refused
AT_ONCE = 200  # plans made before others get their turn
MISSED = "nothing ran then"

log = logging.getLogger("openclaw.heartbeats")


class Extra(Protocol):
    """Heartbeats that are in no manifest."""

    def heartbeats(self) -> Mapping[str, Heartbeat]: ...

    async def fired(self, name: str) -> None:
        """The one instant of this one is dealt with."""

    async def delete(self, name: str) -> bool: ...


class Heartbeats:
    """`snapshot` tells the manifests in force; `ring` says that a session has work."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        ring: Callable[[str], None],
        extra: Extra | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._snapshot = snapshot
        self._ring = ring
        self._extra = extra
        self._failures = Failures(store.marks)
        self.checks = Checks(store.marks, clock)
        self._plans: dict[str, Plan] = {}
        self._agenda = Agenda()
        self._standing = Standing(store.marks, clock)
        self._overview = Overview(store.marks, clock, self._failures, self._standing, self._looked_at)
        self._looked: dict[str, datetime] = {}
        self._well: set[str] = set()  # those whose last run went well, as far as this process saw
        self._stale = True
        self._changed = asyncio.Event()
        self.step = STEP  # where the clock on the wall cannot jump, longer is as good
        self._ahead: float | None = None  # the clock on the wall less the one that never jumps

    async def open(self) -> None:
        """Reads what people said of heartbeats before."""
        await self._standing.open()

    def all(self) -> Mapping[str, Heartbeat]:
        extra = self._extra.heartbeats() if self._extra else {}
        return {**self._snapshot().heartbeats, **extra} if extra else self._snapshot().heartbeats

    def named(self, name: str | None) -> Heartbeat | None:
        return self.all().get(name) if name else None

    def of(self, message: Message) -> Heartbeat | None:
        """The heartbeat whose run this is; None where it was deleted, paused or switched off since, unless a person
        asked for the run."""
        heartbeat = self.named(message.heartbeat)
        if heartbeat is None or posting.by_hand(message):
            return heartbeat
        return heartbeat if heartbeat.enabled and not self._standing.paused(heartbeat.name) else None

    def replan(self) -> None:
        """The snapshot in force is another one. Unchanged heartbeats go on as they were."""
        self._stale = True
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled; raises StorageFailed."""
        while True:
            self._changed.clear()
            try:
                await self._plan()
            except StorageFailed:
                raise
            except OpenClawError as error:
                self._stale = True
                await self._clock.sleep(_put_off("all heartbeats", error).total_seconds())
                continue
            self._mind_the_clock()
            await self._fire_all(self._agenda.take(self._clock.now()))
            await self._rest()

    # ── what people ask for ──────────────────────────────────────────────────────────────────────

    async def run_now(self, name: str) -> Accepted | Refused:
        """Runs it beside its schedule, as a message like any other of it."""
        heartbeat = self.named(name)
        if heartbeat is None:
            return Refused("heartbeat", f"there is no heartbeat {name}")
        now, route = _in_milliseconds(self._clock.now()), posting.route(heartbeat)
        message = posting.message(heartbeat, now, by_hand=True)
        try:
            while not await self._store.marks.fire(name, now, message, route, "hand"):  # this very instant has a mark
                now += timedelta(milliseconds=1)
                message = posting.message(heartbeat, now, by_hand=True)
        finally:
            self._ring(route.session)  # it may be kept though nobody waits for the answer any more
        return await self._store.inbox.accept(message, route)  # is there already, and takes no room; tells its id

    async def pause(self, name: str, by: Address | None = None) -> bool:
        """Nothing of it runs by itself until it is resumed; False where there is none of this name."""
        if self.named(name) is None:
            return False
        if self._standing.paused(name) is None:
            await self._standing.pause(name, by, self.all())
            self._renew(name)
        return True

    async def resume(self, name: str) -> bool:
        """It goes on from now, also where it had stopped after failures; False where there is none of this name."""
        if self.named(name) is None:
            return False
        await self._standing.resume(name, self.all())
        self._renew(name)
        return True

    async def forget(self, name: str) -> bool:
        """Deletes one that is in no manifest."""
        return self._extra is not None and await self._extra.delete(name)

    def _renew(self, name: str) -> None:
        self._plans.pop(name, None)
        self.replan()

    # ── how things stand ─────────────────────────────────────────────────────────────────────────

    async def told(self) -> Sequence[Mapping[str, Any]]:
        """Every heartbeat, what is described of it, and how it stands."""
        return await self._overview.told(self.all(), self._snapshot().heartbeats)

    async def history(self, name: str | None, limit: int, since: datetime | None) -> Sequence[Mapping[str, Any]]:
        return [run_json(run) for run in await self._store.marks.runs(name, limit, since=since)]

    async def coming(self, until: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
        """What is on from now up to `until`, soonest first."""
        stopped = {name for name, plan in self._plans.items() if plan.stopped}
        on = [heartbeat for name, heartbeat in self.all().items() if name not in stopped]
        return await self._overview.coming(on, until, limit)

    async def ended(self, queued: Queued, reply: Reply) -> Sequence[Reply]:
        """A run is about to be settled with this reply: what its owner is told of it."""
        heartbeat = self.named(queued.message.heartbeat)
        if heartbeat is None:
            return ()
        if not reply.failed and reply.account is not None and reply.account.check:
            await self.checks.told(heartbeat, queued.id)
        (self._well.discard if reply.failed else self._well.add)(heartbeat.name)
        if reply.failed and posting.by_hand(queued.message):  # whoever asked for it sees that
            return ()
        looked = await self._looked_at(heartbeat.name)
        notices = await self._failures.notices(heartbeat, reply, looked, self._clock.now())
        if not reply.failed and (plan := self._plans.get(heartbeat.name)) is not None and plan.stopped:
            await self.resume(heartbeat.name)
        return notices

    async def settled(self, queued: Queued) -> None:
        """The run is in the history: what comes once is over, and what was missed may go on."""
        heartbeat = self.named(queued.message.heartbeat)
        if heartbeat is None:
            return
        if heartbeat.once is not None and self._extra is not None and not posting.by_hand(queued.message):
            await self._extra.fired(heartbeat.name)
        plan = self._plans.get(heartbeat.name)
        if plan is not None and plan.behind:
            self._agenda.put(plan, self._clock.now())
            self._changed.set()

    async def _looked_at(self, name: str) -> datetime:
        """Since when failures of it count."""
        if name not in self._looked:
            document, _ = await self._store.marks.get(MARK)
            entry = _readable(document.get(name) if isinstance(document, dict) else None)
            self._looked[name] = _looked(entry or {})
        return max(self._looked[name], self._standing.resumed(name))

    # ── planning ─────────────────────────────────────────────────────────────────────────────────

    async def _plan(self) -> None:
        if not self._stale:
            return
        self._stale = False  # at once: an edit while this waits for the disk makes it stale again
        wanted = {name: one for name, one in self.all().items() if one.enabled and not self._standing.paused(name)}
        since, lasts = await self._since(wanted), await self._store.marks.lasts()
        plans: dict[str, Plan] = {}
        for number, (name, heartbeat) in enumerate(wanted.items()):
            plans[name] = kept = self._kept(heartbeat) or self._new(heartbeat, since[name], lasts.get(name))
            if self._plans.get(name) is not kept:
                _tell_next(kept, kept.at)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        self._plans = plans
        self._well &= plans.keys()
        self._agenda.fill(plans.values())
        await self._clear_away(lasts)

    def _kept(self, heartbeat: Heartbeat) -> Plan | None:
        """The plan so far, where nothing about it has changed."""
        plan = self._plans.get(heartbeat.name)
        if plan is None or plan.heartbeat != heartbeat or plan.resumed != self._standing.resumed(heartbeat.name):
            return None
        return plan

    def _new(self, heartbeat: Heartbeat, entry: Mapping[str, Any], last: datetime | None) -> Plan:
        resumed = self._standing.resumed(heartbeat.name)
        done = max(last or EVER, datetime.fromisoformat(entry["since"]), resumed)
        if heartbeat.once is not None:  # owed until it has a mark, whatever was paused or switched off meanwhile
            done = last or heartbeat.once.astimezone(UTC) - timedelta(seconds=1)
        plan, now = Plan.of(heartbeat, done, max(_looked(entry), resumed), resumed), self._clock.now()
        plan.put_back(min(done, now))  # while nothing ran, perhaps
        plan.at = plan.due(now)
        return plan

    async def _clear_away(self, lasts: Mapping[str, datetime]) -> None:
        """One-shots whose run ended just before a crash."""
        shots = [(plan, plan.heartbeat.once) for plan in self._plans.values()]
        over = [plan for plan, once in shots if once and lasts.get(plan.heartbeat.name, EVER) >= once]
        if over and self._extra is not None:
            busy = await self._store.inbox.open()
            for plan in over:
                if posting.session(plan.heartbeat) not in busy:
                    await self._extra.fired(plan.heartbeat.name)

    async def _since(self, wanted: Mapping[str, Heartbeat]) -> Mapping[str, Mapping[str, Any]]:
        """From when on each schedule counts, remembered across restarts as long as the schedule stays the same."""
        while True:
            known, version = await self._store.marks.get(MARK)
            known = known if isinstance(known, dict) else {}
            document = {}
            for number, (name, heartbeat) in enumerate(wanted.items()):
                document[name] = self._entry(heartbeat, _readable(known.get(name)))
                if number % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)
            if document == known or await self._store.marks.put(MARK, document, version):
                self._looked = {name: _looked(entry) for name, entry in document.items()}
                return document

    def _entry(self, heartbeat: Heartbeat, known: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """What is remembered of one: its schedule and since when it counts, and since when it reads as it does."""
        if known is not None and "looked" in known and self._kept(heartbeat) is not None:
            return known
        schedule: dict[str, Any] = {"cron": list(heartbeat.cron), "timezone": heartbeat.timezone}
        if heartbeat.active_hours:
            schedule["active_hours"] = list(heartbeat.active_hours)
        now, content = self._clock.now().isoformat(), _content(heartbeat)
        if known is None:
            return {**schedule, "since": now, "content": content, "looked": now}
        same = schedule == {key: known[key] for key in known if key not in ("since", "content", "looked")}
        looked = known.get("looked", now) if known.get("content", content) == content else now
        return {**schedule, "since": known["since"] if same else now, "content": content, "looked": looked}

    # ── firing ───────────────────────────────────────────────────────────────────────────────────

    def _mind_the_clock(self) -> None:
        """A clock that was put back brings instants again that plans take for done."""
        ahead = self._clock.now().timestamp() - self._clock.monotonic()
        if self._ahead is not None and ahead < self._ahead - 1:
            log.warning("the clock was put back by %.0f s", self._ahead - ahead)
            for plan in self._plans.values():
                plan.put_back(self._clock.now())
                plan.at = plan.due(self._clock.now())
            self._agenda.fill(self._plans.values())
        self._ahead = ahead

    async def _fire_all(self, plans: Sequence[Plan]) -> None:
        busy = frozenset(await self._store.inbox.open()) if plans else frozenset()
        for plan in plans:
            if self._plans.get(plan.heartbeat.name) is plan:
                at = await self._attempt(plan, busy)
                self._agenda.put(plan, at)
                _tell_next(plan, at)

    async def _attempt(self, plan: Plan, busy: frozenset[str]) -> datetime | None:
        """When it is to be looked at next."""
        try:
            return await self._fire_due(plan, busy)
        except StorageFailed:
            raise
        except OpenClawError as error:
            return self._clock.now() + _put_off(f"heartbeat {plan.heartbeat.name}", error)

    async def _fire_due(self, plan: Plan, busy: frozenset[str]) -> datetime | None:
        now = self._clock.now()
        backlog = plan.come(now)
        if not backlog.instants:
            return plan.due(now)
        runs = _chosen(plan, backlog.instants, now)
        await self._miss(plan, backlog, [instant for instant in backlog.instants if instant not in runs])
        if plan.heartbeat.missed == "all" and (plan.behind or len(runs) > 1):
            return await self._catch_up(plan, runs, busy, now)
        if runs and (why := await self._hindrance(plan, busy, now)):
            await self._skip(plan, runs, why)
            runs = []
        if self._superseded(plan):
            return now
        for instant in runs:
            await self._fire(plan, instant)
        plan.dealt(backlog.instants[-1])
        return plan.due(now)

    async def _catch_up(
        self, plan: Plan, runs: Sequence[datetime], busy: frozenset[str], now: datetime
    ) -> datetime | None:
        """One after the other, so that a failure, a pause and an edit count before the next."""
        plan.behind = True
        if posting.session(plan.heartbeat) in busy:
            name = plan.heartbeat.name
            logbook.debug(log, "heartbeat waits", "heartbeat %s waits for the run before it", name, heartbeat=name)
            return now + AGAIN  # or when that run has ended
        hold = await self._hold(plan, now)
        if hold is not None and hold.until is not None:
            return hold.until
        if hold is not None:
            await self._skip(plan, runs, hold.why)
            plan.dealt(runs[-1])
            return None
        if self._superseded(plan):
            return now
        await self._fire(plan, runs[0])
        plan.dealt(runs[0])
        plan.behind = len(runs) > 1
        return now + AGAIN if plan.behind else plan.due(now)

    def _superseded(self, plan: Plan) -> bool:
        """Whether an edit, a pause or a deletion came while the disk was waited for: then it is planned anew first."""
        return self._stale or self._plans.get(plan.heartbeat.name) is not plan

    async def _hindrance(self, plan: Plan, busy: frozenset[str], now: datetime) -> str:
        if posting.session(plan.heartbeat) in busy:
            return "the run before it had not ended"
        hold = await self._hold(plan, now)
        return hold.why if hold is not None else ""

    async def _hold(self, plan: Plan, now: datetime) -> Hold | None:
        if plan.heartbeat.name in self._well:
            return None
        hold = await self._failures.holds(plan.heartbeat.name, plan.looked, now)
        plan.stopped = hold.why if hold is not None and hold.until is None else ""
        return hold

    async def _fire(self, plan: Plan, instant: datetime) -> None:
        heartbeat = plan.heartbeat
        message, route = posting.message(heartbeat, instant), posting.route(heartbeat)
        if await self._store.marks.fire(heartbeat.name, instant, message, route):
            extra = logbook.event("heartbeat fired", heartbeat=heartbeat.name)
            log.info("heartbeat %s runs for %s", heartbeat.name, instant.isoformat(), extra=extra)
            self._ring(route.session)
        plan.dealt(instant)

    async def _miss(self, plan: Plan, backlog: Backlog, instants: Sequence[datetime]) -> None:
        """Recorded one by one, but for those that are too many, which are recorded at their last."""
        marks, name, earlier = self._store.marks, plan.heartbeat.name, backlog.earlier
        if earlier is not None:
            more = " or more" if earlier.number == COUNTED else ""
            why = f"{MISSED}; {earlier.number:,}{more} in a row, the first at {earlier.first.isoformat()}"
            await marks.skip(name, earlier.last, why, missed=True, number=earlier.number)
        for instant in instants:
            await marks.skip(name, instant, MISSED, missed=True)
        if number := len(instants) + (earlier.number if earlier else 0):
            extra = logbook.event("heartbeat missed", heartbeat=name, times=number)
            log.warning("heartbeat %s missed %d of its times", name, number, extra=extra)

    async def _skip(self, plan: Plan, instants: Sequence[datetime], why: str) -> None:
        for instant in instants:
            if await self._store.marks.skip(plan.heartbeat.name, instant, why):
                name = plan.heartbeat.name
                extra = logbook.event("heartbeat skipped", heartbeat=name)
                log.warning("heartbeat %s did not run for %s (%s)", name, instant.isoformat(), why, extra=extra)

    async def _rest(self) -> None:
        upcoming = self._agenda.next()
        seconds = self.step if upcoming is None else (upcoming - self._clock.now()).total_seconds()
        waits = {
            asyncio.ensure_future(self._clock.sleep(max(min(self.step, seconds), 0.0))),
            asyncio.ensure_future(self._changed.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def _tell_next(plan: Plan, at: datetime | None) -> None:
    name, when = plan.heartbeat.name, "at no time" if at is None else at.isoformat()
    words = "heartbeat %s is looked at next %s"
    logbook.debug(log, "heartbeat planned", words, name, when, heartbeat=name)


def _in_milliseconds(at: datetime) -> datetime:
    """As it is told, so that whoever asks for later ones than that is not told of it again."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _put_off(what: str, error: OpenClawError) -> timedelta:
    """For how long. That the disk is full is said already, by whatever finds that out."""
    if isinstance(error, DiskFull):
        return ROOM
    log.error("%s: put off for %g s: %s", what, AGAIN.total_seconds(), error)
    return AGAIN


def _chosen(plan: Plan, due: Sequence[datetime], now: datetime) -> Sequence[datetime]:
    """Which of the instants that have come are run."""
    match plan.heartbeat.missed:
        case "all":
            return due
        case "once":
            return due[-1:]
        case "skip":
            return [instant for instant in due[-1:] if now - plan.runs_at(instant) <= ON_TIME]


def _content(heartbeat: Heartbeat) -> str:
    """A digest of all that is described of one, but for secrets: it stays on disk."""
    text = repr(heartbeat) + (heartbeat.check.shown if heartbeat.check else "")
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _looked(entry: Mapping[str, Any]) -> datetime:
    return time_of(entry.get("looked"))


def _readable(entry: Any) -> Mapping[str, Any] | None:
    """None for what a hand has spoilt: the schedule counts from now then."""
    try:
        for key in ("since", "looked"):
            if key == "since" or key in entry:
                datetime.fromisoformat(entry[key])
    except (KeyError, TypeError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None
