"""What is used of models: held until the store has it, added up, and compared with what a day may cost.

Its law: each call counts once, on the day on which its answer was written, in the project's zone. What a session has
used waits here as a bill until the transaction that settles its message takes it along, so it costs the disk nothing
of its own; what a crash took from here stands in the transcript behind the place that was counted last, and is counted
when the session is taken up again. Knows no model and asks none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from math import isfinite

from openclaw.clock import Clock
from openclaw.errors import DiskFull, OverBudget
from openclaw.messages import Entry, Usage
from openclaw.ports import KEPT_USAGE, Spending
from openclaw.spending import Bill, Place, Spent, cost_words, day_of, next_day, summed

_HELD = 3  # days whose sums are at hand: a change of the zone moves a day by one at most


@dataclass(slots=True)
class Tally:
    clock: Clock
    store: Spending
    zone: Callable[[], tzinfo]
    started: dict[tuple[str, str], Spent] = field(default_factory=dict)  # by agent and model, since the start
    _days: dict[tuple[str, str], Spent] = field(default_factory=dict)  # by day and agent
    _open: dict[str, Bill] = field(default_factory=dict)  # by session
    _taken: list[Bill] = field(default_factory=list)  # on their way to the store
    _begun: datetime | None = None

    async def open(self) -> None:
        self._begun = await self.store.begun()
        for row in await self.store.rows(self._first_held(), "9999-12-31"):
            self._add_up(row)

    @property
    def today(self) -> str:
        return day_of(self.clock.now(), self.zone())

    # ── counting ─────────────────────────────────────────────────────────────────────────────────

    async def place(self, session: str, entries: Sequence[Entry]) -> int:
        """How many of these entries are counted. Where the last one is gone from there, as a damaged line is, so is all
        that is not later than it was: nothing counts twice."""
        waiting = [*self._taken, *self._open.values()]
        known = [bill.last for bill in waiting if bill.session == session and bill.last is not None]
        last = known[-1] if known else await self.store.counted(session)
        if last is None:
            return 0
        for at in range(len(entries), 0, -1):
            if entries[at - 1].id == last.entry:
                return at
        return next((at for at, entry in enumerate(entries) if entry.at > last.at), len(entries))

    def call(
        self, session: str, agent: str, entry: Entry, model: str, usage: Usage, cost: float | None, least: float = 0.0
    ) -> None:
        """What the answer or summary `entry` took; `cost` in US dollars, None where the price of all of it is not
        known: `least` is what is."""
        oldest = self.clock.now() - timedelta(days=KEPT_USAGE)
        if entry.at < max(oldest, self._begun or oldest):
            return
        cost = cost if cost is not None and isfinite(cost) else None  # a sum with it in could not be stored
        known = cost if cost is not None else least if isfinite(least) else 0.0
        day = day_of(entry.at, self.zone())
        tokens = replace(usage, searches=0)  # these stand in the transcript; here only what they cost
        spent = Spent(day, agent, model, calls=1, usage=tokens, cost=known, unpriced=int(cost is None))
        self._count(session, spent, Place(entry.id, entry.at))

    def turn(self, session: str, agent: str, model: str, seconds: float, *, failed: bool) -> None:
        """Of the model that answered in the end."""
        self._count(session, Spent(self.today, agent, model, turns=1, failed=int(failed), seconds=seconds), None)

    def _count(self, session: str, spent: Spent, last: Place | None) -> None:
        self._wait(Bill(session, (spent,), last))
        self._add_up(spent)
        key, whole = (spent.agent, spent.model), replace(spent, day="")
        self.started[key] = self.started[key].plus(whole) if key in self.started else whole

    def _add_up(self, spent: Spent) -> None:
        key = (spent.day, spent.agent)
        if key in self._days:
            self._days[key] = self._days[key].plus(spent)
            return
        first = self._first_held()
        self._days = {held: sum for held, sum in self._days.items() if held[0] >= first}
        self._days[key] = replace(spent, model="")

    def _first_held(self) -> str:
        return day_of(self.clock.now() - timedelta(days=_HELD), self.zone())

    # ── on its way to the store ──────────────────────────────────────────────────────────────────

    def take(self, session: str) -> Bill | None:
        """What waits there, for whoever brings it to the store; nobody else gets it meanwhile."""
        bill = self._open.pop(session, None)
        if bill is not None:
            self._taken.append(bill)
        return bill

    def stored(self, bill: Bill) -> None:
        self._taken = [each for each in self._taken if each is not bill]

    async def write(self, session: str) -> None:
        """Stores what waits there. It is written also where whoever asked is cancelled; where there is no room it waits
        on, and goes along with the next message."""
        if (bill := self.take(session)) is None:
            return
        writing = asyncio.ensure_future(self.store.add(bill))
        writing.add_done_callback(lambda done: self._written(bill, done))
        with suppress(DiskFull):
            await asyncio.shield(writing)

    def _written(self, bill: Bill, done: asyncio.Future[None]) -> None:
        self.stored(bill)
        if done.cancelled() or done.exception() is not None:
            later = self._open.pop(bill.session, None)
            for each in (bill, later):
                if each is not None:
                    self._wait(each)

    def _wait(self, bill: Bill) -> None:
        waiting = self._open.get(bill.session, Bill(bill.session, ()))
        rows = tuple(summed([*waiting.rows, *bill.rows]))
        self._open[bill.session] = Bill(bill.session, rows, bill.last or waiting.last)

    async def rows(self, first: str, last: str) -> Sequence[Spent]:
        """What is stored and what waits for that."""
        bills = [*self._taken, *self._open.values()]
        waiting = [row for bill in bills for row in bill.rows if first <= row.day <= last]
        return [*await self.store.rows(first, last), *waiting]

    # ── the budget ───────────────────────────────────────────────────────────────────────────────

    def of_today(self, agent: str) -> Spent:
        today = self.today
        return self._days.get((today, agent), Spent(today, agent, ""))

    def mind(self, agent: str, limit: float, *, figures: bool) -> None:
        """Raises OverBudget where the day has cost what it may. `figures`: whether whoever is told of it may know what
        it was. What is being asked for at this moment is not known yet, so several turns side by side may go beyond it
        by one call each."""
        spent = self.of_today(agent)
        if spent.cost < limit:
            return
        now, zone = self.clock.now(), self.zone()
        again = f"{next_day(now, zone):%Y-%m-%d %H:%M} ({zone})"
        if not figures:
            raise OverBudget(f"The spending limit of today is reached. I answer again from {again}.")
        cost = cost_words(spent.cost, not spent.unpriced)
        raise OverBudget(
            f"I ask the model nothing more for now: agent {agent} has cost {cost} today, and ${limit:g} a day is "
            f"allowed (limits.usd_per_day). It answers again from {again}."
        )
