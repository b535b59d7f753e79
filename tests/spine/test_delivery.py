"""Replies on their way out: in order to each place, side by side to several, each once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from openclaw.clock import ManualClock, settle
from openclaw.delivery import EVERY, LONGEST, TRIES, Delivery
from openclaw.errors import DeliveryError
from openclaw.messages import Address, Reply
from openclaw.ports import Operations, Post
from openclaw.stores.volatile import Store


class Mail:
    """A channel whose places can be held up, or made to fail."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        self.held: dict[str, asyncio.Event] = {}
        self.failing: dict[str, Exception] = {}
        self.repeated: list[str] = []
        self.tried = 0

    async def open(self) -> None: ...

    async def run(self, post: Post, operations: Operations) -> None: ...

    async def close(self) -> None: ...

    async def send(self, reply: Reply) -> None:
        self.tried += 1
        if held := self.held.get(reply.place.id):
            await held.wait()
        if error := self.failing.get(reply.place.id):
            raise error
        if reply.repeated:
            self.repeated.append(reply.text)
        self.arrived.append((reply.to.id, reply.text))

    def to(self, id: str) -> list[str]:
        return [text for place, text in self.arrived if place == id]


class House:
    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
        self.outbox = Store("", self.clock).outbox
        self.delivery = Delivery(self.outbox, self.clock)
        self.mail = Mail()

    async def put(self, id: str, text: str, chat: str | None = None) -> None:
        await self.outbox.put(Reply(Address("mail", id), text, f"s:{id}", "main", chat=chat))
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
            house.mail.failing["broken"] = ZeroDivisionError()
            for place in ("gone", "broken"):
                await house.put(place, "x")
                await settle()
            for _ in range(TRIES):
                await house.clock.advance(61)
                await settle()
            assert house.mail.tried == 1 + TRIES
            house.mail.failing.clear()
            for place in ("gone", "broken"):
                await house.put(place, "z")
            await settle()
            assert house.mail.arrived == [("gone", "z"), ("broken", "z")]

    asyncio.run(main())


def test_a_network_that_is_away_for_a_day_loses_nothing_and_one_that_is_away_for_four_does() -> None:
    async def main() -> None:
        async with House() as house:
            house.mail.failing["a"] = DeliveryError("unreachable")
            await house.put("a", "x")
            for _ in range(24):
                await house.clock.advance(3600)
                await settle()
            house.mail.failing.clear()
            await house.clock.advance(60)
            await settle()
            assert house.mail.to("a") == ["x"]
            house.mail.failing["a"] = DeliveryError("unreachable")
            await house.put("a", "y")
            for _ in range(4):
                await house.clock.advance(86_400)
                await settle()
            house.mail.failing.clear()
            await house.clock.advance(60)
            await settle()
            assert house.mail.to("a") == ["x"]

    asyncio.run(main())


def test_a_group_is_one_place_whoever_asked_there_and_waiting_is_no_failure() -> None:
    async def main() -> None:
        async with House() as house:
            house.mail.failing["den"] = DeliveryError("one at a time", retry_after=3)
            for number in range(20):
                await house.put(str(number), f"r{number}", chat="den")
            await settle()
            assert house.mail.tried == 1  # the others wait behind it
            for _ in range(30):
                await house.clock.advance(3)
                await settle()
            assert 25 <= house.mail.tried <= 31  # the pauses stay what was asked for
            house.mail.failing.clear()
            await house.clock.advance(3)
            await settle(100)
            assert [text for _, text in house.mail.arrived] == [f"r{number}" for number in range(20)]

    asyncio.run(main())


def test_what_was_begun_is_a_repetition_the_next_time_and_what_was_not_is_none() -> None:
    async def main() -> None:
        async with House() as house:
            house.mail.failing["a"] = DeliveryError("cut in the middle", begun=True)
            house.mail.failing["b"] = DeliveryError("unreachable")
            await house.put("a", "x")
            await house.put("b", "y")
            await settle()
            house.mail.failing.clear()
            await house.clock.advance(2)
            await settle()
            assert house.mail.repeated == ["x"]

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


def test_what_is_too_old_when_its_channel_comes_back_is_given_up_and_the_rest_is_sent() -> None:
    async def main() -> None:
        house = House()
        for number in range(3):
            await house.put("a", f"old {number}")
        await house.clock.advance((LONGEST + timedelta(minutes=1)).total_seconds())
        await house.put("a", "new")
        async with house:
            await settle()
            assert house.mail.arrived == [("a", "new")]
            assert house.mail.tried == 1
            assert await house.outbox.due("mail") == []

    asyncio.run(main())


def test_what_waits_for_a_channel_that_does_not_run_is_given_up_in_time_and_before_that_it_stays() -> None:
    async def main() -> None:
        house, running = House(), ["mail"]
        await house.put("1", "its channel runs")
        await house.outbox.put(Reply(Address("gone", "1"), "early", "s", "main"))
        giving_up = asyncio.create_task(house.delivery.give_up(lambda: running))
        await house.clock.advance(LONGEST.total_seconds() - 60)
        await house.outbox.put(Reply(Address("gone", "1"), "late", "s", "main"))
        assert [*await house.outbox.channels()] == ["mail", "gone"] and await house.outbox.dead() == []
        await house.clock.advance(EVERY + 60)
        assert [one.reply.text for one in await house.outbox.dead()] == ["early"]
        assert [one.reply.text for one in await house.outbox.due("gone")] == ["late"]
        assert [one.reply.text for one in await house.outbox.due("mail")] == ["its channel runs"]
        giving_up.cancel()
        await asyncio.gather(giving_up, return_exceptions=True)

    asyncio.run(main())
