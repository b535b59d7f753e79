"""What every kind of store promises of what was used: once each, with the message it was used for, for so many days."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openclaw import ports
from openclaw.clock import ManualClock
from openclaw.errors import DiskFull
from openclaw.messages import Address, AssistantEntry, Message, Reply, Route, Text, Usage
from openclaw.ports import KEPT_USAGE
from openclaw.spending import Bill, Place, Spent
from openclaw.stores import files, volatile
from openclaw.tally import Tally

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ANA = Address("telegram", "7")
KEY = "agent:main:telegram:7"
Steps = Callable[[ports.Store, ManualClock], Awaitable[None]]
ONE = Spent("2026-11-28", "main", "m", 1, 0, 2.5, 2, Usage(10, 5, 30, 2), 0.125, 1)


@pytest.fixture(params=["files", "volatile"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Steps], None]:
    def run(steps: Steps) -> None:
        async def whole() -> None:
            clock = ManualClock(NOON)
            store: ports.Store = (
                files.Store(str(tmp_path / "state"), clock)
                if request.param == "files"
                else volatile.Store(str(tmp_path / "state"), clock)
            )
            await store.open()
            try:
                await steps(store, clock)
            finally:
                await store.close()

        asyncio.run(whole())

    return run


async def accepted(store: ports.Store, id: str = "1") -> str:
    message = Message(id, ANA, (Text("hello"),), NOON)
    return (await store.inbox.accept(message, Route("main", KEY, "hello"))).id


def test_a_bill_goes_with_the_message_that_is_settled_and_only_once(play: Callable[[Steps], None]) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        id, bill = await accepted(store), Bill(KEY, (ONE,), Place("e7", NOON))
        reply = Reply(ANA, "Well.", KEY, "main", id)
        await store.inbox.settle(id, "done", reply, bill=bill)
        await store.inbox.settle(id, "done", reply, bill=bill)
        assert await store.spending.rows("2026-11-28", "2026-11-28") == [ONE]
        assert await store.spending.counted(KEY) == Place("e7", NOON) and await store.spending.counted("other") is None
        assert await store.spending.begun() is None

    play(steps)


def test_bills_of_one_day_agent_and_model_add_up(play: Callable[[Steps], None]) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        later = Spent("2026-11-29", "main", "m", calls=1, usage=Usage(1), cost=1.0)
        strange = Spent("2026-11-28", "main", "\ud800 model", calls=1)
        await store.spending.add(Bill(KEY, (ONE, later), Place("e1", NOON)))
        await store.spending.add(Bill("agent:b", (ONE, strange)))
        rows = {row.model: row for row in await store.spending.rows("2026-11-01", "2026-11-28")}
        assert rows == {"m": ONE.plus(ONE), "\ud800 model": strange}
        assert await store.spending.rows("2026-11-29", "2026-12-31") == [later]
        assert await store.spending.counted("agent:b") is None

    play(steps)


def test_it_is_kept_for_so_many_days(play: Callable[[Steps], None]) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        await store.spending.add(Bill(KEY, (ONE,), Place("e1", NOON)))
        assert await store.prune(NOON + timedelta(days=KEPT_USAGE)) == 0
        assert await store.spending.rows("2026-01-01", "2030-01-01") == [ONE]
        assert await store.prune(NOON + timedelta(days=KEPT_USAGE + 1)) > 0
        assert await store.spending.rows("2026-01-01", "2030-01-01") == []

    play(steps)


def answer(id: str, at: datetime) -> AssistantEntry:
    return AssistantEntry(id, at, (), "m", "end_turn", Usage(10), "s")


def test_a_tally_counts_on_the_day_of_the_answer_and_knows_what_was_spent_before_it(
    play: Callable[[Steps], None],
) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        zones = [UTC]
        tally = Tally(clock, store.spending, lambda: zones[0])
        await tally.open()
        tally.call(KEY, "main", answer("e1", NOON), "m", Usage(10), 0.5)
        await clock.advance(12 * 3600)  # midnight
        assert (tally.of_today("main").cost, tally.today) == (0.0, "2026-11-29")
        tally.call(KEY, "main", answer("e2", clock.now()), "m", Usage(10), None)
        tally.turn(KEY, "main", "m", 3.0, failed=True)
        rows = await tally.rows("2026-11-01", "2026-11-30")
        told = [(row.day, row.calls, row.turns, row.cost_usd) for row in rows]
        assert told == [("2026-11-28", 1, 0, 0.5), ("2026-11-29", 1, 1, None)]
        bill = tally.take(KEY)
        assert bill is not None and bill.last is not None and bill.last.entry == "e2"
        entries = [answer(name, NOON) for name in ("e1", "e2", "e3")]
        assert await tally.place(KEY, entries) == 2  # of what is not stored yet, too
        await store.spending.add(bill)
        tally.stored(bill)
        assert tally.take(KEY) is None and await tally.place(KEY, entries) == 2
        assert await tally.place("another", entries) == 0
        again = Tally(clock, store.spending, lambda: zones[0])
        await again.open()
        assert again.of_today("main").unpriced == 1 and await again.place(KEY, entries) == 2
        again.call(KEY, "main", answer("e0", NOON - timedelta(days=KEPT_USAGE, hours=1)), "m", Usage(10), 0.5)
        assert again.take(KEY) is None  # so old that nobody keeps it

    play(steps)


def test_where_the_last_counted_entry_is_gone_only_what_is_later_counts(play: Callable[[Steps], None]) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        tally = Tally(clock, store.spending, lambda: UTC)
        entries = [answer(f"e{minute}", NOON + timedelta(minutes=minute)) for minute in range(4)]
        for entry in entries[:3]:
            tally.call(KEY, "main", entry, "m", Usage(10), 1.0)
        damaged = [*entries[:2], entries[3]]
        assert await tally.place(KEY, damaged) == 2 and await tally.place(KEY, entries[:1]) == 1
        bill = tally.take(KEY)
        assert bill is not None
        await store.spending.add(bill)
        tally.stored(bill)
        assert await tally.place(KEY, damaged) == 2 and await tally.place(KEY, entries[:1]) == 1
        assert await tally.place(KEY, [entries[3]]) == 0  # of a conversation that began since

    play(steps)


def test_whoever_is_cancelled_while_it_is_written_has_written_it_once(play: Callable[[Steps], None]) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        tally = Tally(clock, store.spending, lambda: UTC)
        tally.call(KEY, "main", answer("e1", NOON), "m", Usage(10), 1.0)
        writing = asyncio.create_task(tally.write(KEY))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait({writing})
        assert tally.take(KEY) is None  # the next message brings nothing of it along
        assert await store.spending.counted(KEY) == Place("e1", NOON)  # one write after the other
        [row] = await store.spending.rows("2026-11-01", "2026-11-30")
        assert row.calls == 1

    play(steps)


class Full(volatile.Spending):
    async def add(self, bill: Bill) -> None:
        raise DiskFull("there is no room")


def test_what_found_no_room_goes_along_with_the_next_message() -> None:
    async def scene() -> None:
        tally = Tally(ManualClock(NOON), Full(), lambda: UTC)
        tally.call(KEY, "main", answer("e1", NOON), "m", Usage(10), 1.0)
        writing = asyncio.create_task(tally.write(KEY))
        await asyncio.sleep(0)
        tally.call(KEY, "main", answer("e2", NOON), "m", Usage(10), 2.0)
        await writing
        bill = tally.take(KEY)
        assert bill is not None and bill.last == Place("e2", NOON)
        assert [(row.calls, row.cost) for row in bill.rows] == [(2, 3.0)]

    asyncio.run(scene())


def test_a_cost_beyond_all_numbers_is_one_that_is_not_known(play: Callable[[Steps], None]) -> None:
    async def steps(store: ports.Store, clock: ManualClock) -> None:
        tally = Tally(clock, store.spending, lambda: UTC)
        for at, cost in enumerate((float("inf"), float("nan"), 0.5)):
            tally.call(KEY, "main", answer(f"e{at}", NOON), "m", Usage(10), cost)
        bill = tally.take(KEY)
        assert bill is not None
        await store.spending.add(bill)
        [row] = await store.spending.rows("2026-11-01", "2026-11-30")
        assert (row.calls, row.unpriced, row.cost) == (3, 2, 0.5)

    play(steps)
