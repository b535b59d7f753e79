"""What is kept no longer goes in idle moments: never while a turn runs, and not where the disk is full."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from openclaw.clock import ManualClock, settle
from openclaw.errors import DiskFull
from openclaw.messages import Address, Message, Route, Text
from openclaw.ports import KEPT
from openclaw.stores.volatile import Store
from openclaw.tidying import BETWEEN, BUSY, EVERY, FIRST, PATIENCE, Tidying

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


class House:
    """A store with one message that ended long ago, and somebody who tidies up."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.store = Counting(self.clock)
        self.busy = False

    async def begin(self) -> asyncio.Task[None]:
        await self.store.open()
        taken = await self.store.inbox.accept(
            Message("1", Address("telegram", "7"), (Text("hello"),), NOON), Route("main", "s", "hello")
        )
        self.id = taken.id
        await self.store.inbox.settle(taken.id, "done", None)
        self.clock.jump(timedelta(days=KEPT + 1).total_seconds())
        return asyncio.create_task(Tidying(self.store, self.clock, lambda: self.busy).run())

    async def gone(self) -> bool:
        found = await self.store.inbox.find(self.id)
        assert found is not None
        return found.route.text == ""


class Counting(Store):
    """Counts how often it was asked, and is full when told."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__("", clock)
        self.asked, self.full, self.empty = 0, False, 0

    async def shrink(self) -> bool:
        self.empty = max(self.empty - 1, 0)
        return self.empty > 0

    async def prune(self, now: datetime) -> int:
        self.asked += 1
        if self.full:
            raise DiskFull("the disk is full")
        return await super().prune(now)


def play(steps) -> None:
    async def main() -> None:
        house = House()
        task = await house.begin()
        await settle()
        try:
            await steps(house)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_it_tidies_up_until_nothing_is_left_and_again_after_an_hour() -> None:
    async def steps(house: House) -> None:
        await house.clock.advance(FIRST - 1)
        assert house.store.asked == 0
        await house.clock.advance(1)
        assert house.store.asked == 1 and await house.gone()
        await house.clock.advance(BETWEEN)
        assert house.store.asked == 2
        await house.clock.advance(EVERY - 1)
        assert house.store.asked == 2
        await house.clock.advance(1 + 2 * BETWEEN)
        assert house.store.asked == 3

    play(steps)


def test_it_waits_while_a_turn_runs() -> None:
    async def steps(house: House) -> None:
        house.busy = True
        await house.clock.advance(FIRST)
        await house.clock.advance(BUSY * 10)
        assert house.store.asked == 0
        house.busy = False
        await house.clock.advance(BUSY)
        assert await house.gone()

    play(steps)


def test_where_a_turn_always_runs_it_goes_on_slowly_after_a_while() -> None:
    async def steps(house: House) -> None:
        house.busy = True
        await house.clock.advance(FIRST + PATIENCE - 1)
        assert house.store.asked == 0
        await house.clock.advance(1)
        assert await house.gone() and house.store.asked == 1
        await house.clock.advance(BETWEEN)
        assert house.store.asked == 1
        await house.clock.advance(BUSY)
        assert house.store.asked == 2

    play(steps)


def test_space_goes_back_to_the_disk_until_little_stands_empty() -> None:
    async def steps(house: House) -> None:
        house.store.empty = 100
        await house.clock.advance(FIRST + 110 * BETWEEN)
        assert house.store.empty == 0

    play(steps)


def test_a_full_disk_is_left_for_the_next_time() -> None:
    async def steps(house: House) -> None:
        house.store.full = True
        await house.clock.advance(FIRST)
        assert house.store.asked == 1 and not await house.gone()
        house.store.full = False
        await house.clock.advance(EVERY)
        assert await house.gone()

    play(steps)
