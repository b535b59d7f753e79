"""What is done while nothing is going on: after a while, one session at a time, and never beside a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from openclaw.clock import ManualClock, settle
from openclaw.errors import StorageFailed
from openclaw.idling import AFTER, Idling
from openclaw.messages import Address, Message, Route, Text
from openclaw.ports import Queued
from openclaw.transcript import Transcript

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


class House:
    def __init__(self, seconds: float = 50.0, failure: Exception | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.told: list[str] = []
        self.seconds, self.failure = seconds, failure
        self.idling = Idling(lambda queued, transcript: queued.route.session != "short", self.work, self.clock)

    async def work(self, queued: Queued, transcript: Transcript) -> None:
        session = queued.route.session
        self.told.append(f"{session} begins")
        if self.failure is not None:
            raise self.failure
        try:
            await self.clock.sleep(self.seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # it takes a moment to end
            self.told.append(f"{session} is broken off")
            raise
        self.told.append(f"{session} ends")

    def rests(self, session: str) -> None:
        message = Message("1", Address("repl", "ada"), (Text("hi"),), NOW)
        self.idling.rests(Queued("m", message, Route("main", session, "hi"), 1), Transcript())


def run(scene: Callable[[House], Awaitable[None]], house: House) -> None:
    async def whole() -> None:
        running = asyncio.ensure_future(house.idling.run())
        await settle()
        try:
            await scene(house)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(whole())


def test_it_begins_a_while_after_the_last_turn_and_one_session_follows_another() -> None:
    async def scene(house: House) -> None:
        for session in ("a", "b", "short", "a"):
            house.rests(session)
        await settle()
        await house.clock.advance(AFTER - 1)
        assert house.told == []
        await house.clock.advance(200)
        assert house.told == ["a begins", "a ends", "b begins", "b ends"]

    run(scene, House())


@pytest.mark.parametrize(("waited", "told"), [(5, []), (AFTER + 1, ["a begins", "a is broken off"])])
def test_whoever_says_something_ends_it_and_goes_on_when_it_has_ended(waited: float, told: list[str]) -> None:
    async def scene(house: House) -> None:
        house.rests("a")
        await settle()
        await house.clock.advance(waited)
        await house.idling.disturbed("a")
        assert house.told == told
        await house.idling.disturbed("b")
        await house.clock.advance(AFTER * 2)
        assert house.told == told
        house.rests("a")
        await settle()
        await house.clock.advance(AFTER * 2)
        assert house.told == [*told, "a begins", "a ends"]

    run(scene, House())


def test_a_failure_is_nobodys_but_one_of_the_disk_is_raised() -> None:
    async def scene(house: House) -> None:
        house.rests("a")
        await settle()
        await house.clock.advance(AFTER)
        assert house.told == ["a begins"]
        house.rests("a")
        await settle()
        await house.clock.advance(AFTER)
        assert house.told == ["a begins"] * 2

    run(scene, House(failure=ValueError("no")))
    with pytest.raises(StorageFailed):
        run(scene, House(failure=StorageFailed("the disk")))


def test_nothing_rests_where_nobody_looks_after_it() -> None:
    house = House()
    house.rests("a")
    asyncio.run(house.idling.disturbed("a"))
    assert house.told == []
