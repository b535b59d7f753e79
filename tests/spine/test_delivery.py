"""Replies on their way out: in order to each place, side by side to several, each once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from openclaw.clock import ManualClock, settle
from openclaw.delivery import TRIES, Delivery
from openclaw.errors import DeliveryError
from openclaw.messages import Address, Reply
from openclaw.ports import Operations, Post
from openclaw.stores.volatile import Store


class Mail:
    """A channel whose places can be held up, or made to fail."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        self.held: dict[str, asyncio.Event] = {}
        self.failing: dict[str, DeliveryError] = {}
        self.tried = 0

    async def open(self) -> None: ...

    async def run(self, post: Post, operations: Operations) -> None: ...

    async def close(self) -> None: ...

    async def send(self, reply: Reply) -> None:
        self.tried += 1
        if held := self.held.get(reply.to.id):
            await held.wait()
        if error := self.failing.get(reply.to.id):
            raise error
        self.arrived.append((reply.to.id, reply.text))

    def to(self, id: str) -> list[str]:
        return [text for place, text in self.arrived if place == id]


class House:
    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
        self.outbox = Store("", self.clock).outbox
        self.delivery = Delivery(self.outbox, self.clock)
        self.mail = Mail()

    async def put(self, id: str, text: str) -> None:
        await self.outbox.put(Reply(Address("mail", id), text, f"s:{id}", "main"))
        self.delivery.grown("mail")

    async def __aenter__(self) -> House:
        self.task = asyncio.create_task(self.delivery.run("mail", self.mail))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def test_a_place_that_takes_long_holds_up_no_other_and_keeps_its_order() -> None:
    async def main() -> None:
        async with House() as house:
            house.mail.held["slow"] = asyncio.Event()
            for number in range(3):
                await house.put("slow", f"s{number}")
                await house.put("quick", f"q{number}")
                await settle()
            assert house.mail.arrived == [("quick", f"q{number}") for number in range(3)]
            house.mail.held["slow"].set()
            await settle(60)
            assert house.mail.to("slow") == ["s0", "s1", "s2"]
            assert house.mail.tried == 6 and not await house.outbox.due("mail")

    asyncio.run(main())


def test_a_place_where_one_failed_rests_and_nothing_overtakes() -> None:
    async def main() -> None:
        async with House() as house:
            house.mail.failing["a"] = DeliveryError("not now", retry_after=30)
            await house.put("a", "first")
            await settle()
            await house.put("a", "second")
            await house.put("b", "other")
            await settle()
            assert house.mail.arrived == [("b", "other")]
            del house.mail.failing["a"]
            await house.clock.advance(29)
            assert house.mail.to("a") == []
            await house.clock.advance(2)
            await settle(60)
            assert house.mail.to("a") == ["first", "second"]

    asyncio.run(main())


def test_what_cannot_be_delivered_is_given_up_and_the_next_one_goes() -> None:
    async def main() -> None:
        async with House() as house:
            house.mail.failing["gone"] = DeliveryError("blocked", final=True)
            house.mail.failing["away"] = DeliveryError("unreachable")
            await house.put("gone", "x")
            await house.put("away", "y")
            await settle()
            assert [outgoing.reply.text for outgoing in await house.outbox.due("mail")] == []  # gone; or rests
            for _ in range(TRIES):
                await house.clock.advance(1000)
                await settle()
            assert house.mail.tried == 1 + TRIES
            house.mail.failing.clear()
            await house.put("away", "z")
            await settle()
            assert house.mail.arrived == [("away", "z")]

    asyncio.run(main())


def test_many_replies_to_many_places_each_arrive_once_in_order() -> None:
    async def main() -> None:
        async with House() as house:
            for number in range(200):
                await house.put(str(number % 37), str(number))
                if number % 11 == 0:
                    await settle(3)
            await settle(400)
            assert sorted(int(text) for _, text in house.mail.arrived) == list(range(200))
            for place in range(37):
                assert house.mail.to(str(place)) == [str(n) for n in range(200) if n % 37 == place]

    asyncio.run(main())
