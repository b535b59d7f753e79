"""Replies on their way out when the channel fails: each arrives, in order, and none holds up another place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from openclaw.clock import ManualClock, settle
from openclaw.delivery import Delivery
from openclaw.errors import DeliveryError
from openclaw.messages import Address, Reply
from openclaw.ports import Operations, Post
from openclaw.stores.volatile import Store

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def reply(text: str, to: str = "ana") -> Reply:
    return Reply(Address("post", to), text, "s", "main")


class Postman:
    """A channel that fails as often as it is told to."""

    def __init__(self) -> None:
        self.failures: dict[str, list[Exception]] = {}
        self.brought: list[str] = []

    async def open(self) -> None: ...

    async def run(self, post: Post, operations: Operations) -> None: ...

    async def close(self) -> None: ...

    async def send(self, reply: Reply) -> None:
        if self.failures.get(reply.text):
            raise self.failures[reply.text].pop()
        self.brought.append(reply.text + " again" * reply.repeated)


class Rounds:
    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock, self.postman = store, clock, Postman()
        self.delivery = Delivery(store.outbox, clock)

    async def put(self, *replies: Reply) -> None:
        for one in replies:
            await self.store.outbox.put(one)
        self.delivery.grown("post")
        await settle()


@asynccontextmanager
async def going() -> AsyncIterator[Rounds]:
    clock = ManualClock(NOW)
    rounds = Rounds(Store("memory", clock), clock)
    await rounds.store.open()
    task = asyncio.create_task(rounds.delivery.run("post", rounds.postman))
    try:
        yield rounds
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_no_reply_overtakes_one_that_failed_and_other_places_are_not_held_up() -> None:
    async def scene() -> None:
        async with going() as rounds:
            rounds.postman.failures["first"] = [DeliveryError("busy")]
            await rounds.put(reply("first"), reply("second"), reply("else", "ben"))
            assert rounds.postman.brought == ["else"]
            await rounds.clock.advance(2)
            assert rounds.postman.brought == ["else", "first", "second"]

    asyncio.run(asyncio.wait_for(scene(), 50))


def test_a_reply_that_failed_is_tried_again_also_when_another_one_went_out_meanwhile() -> None:
    async def scene() -> None:
        async with going() as rounds:
            rounds.postman.failures["late"] = [DeliveryError("busy"), DeliveryError("busy")]
            await rounds.put(reply("late"))
            await rounds.clock.advance(1.5)
            await rounds.put(reply("else", "ben"))
            assert rounds.postman.brought == ["else"]
            await rounds.clock.advance(2)
            assert rounds.postman.brought == ["else", "late"]

    asyncio.run(asyncio.wait_for(scene(), 50))


def test_a_channel_that_breaks_over_one_reply_still_brings_the_others() -> None:
    async def scene() -> None:
        async with going() as rounds:
            rounds.postman.failures["odd"] = [RuntimeError("a mistake in the channel")]
            await rounds.put(reply("odd"), reply("else", "ben"))
            assert rounds.postman.brought == ["else"]
            await rounds.clock.advance(2)
            assert rounds.postman.brought == ["else", "odd again"]  # nobody knows whether the first one arrived

    asyncio.run(asyncio.wait_for(scene(), 50))
