"""Strangers: a code each, an hour, once, three at a time; let in to private chats and to nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from openclaw.clock import ManualClock
from openclaw.errors import PairingError
from openclaw.manifest.snapshot import Channel
from openclaw.messages import Address
from openclaw.pairing import DOCUMENT, LETTERS, MOST_WAITING, Pairings
from openclaw.ports import ChannelOptions
from openclaw.router import pairs
from openclaw.stores.volatile import Store

ANA, BEN = Address("telegram", "1"), Address("telegram", "2")


class Door:
    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
        self.store = Store("", self.clock)
        self.pairings = Pairings(self.store.marks, self.clock)

    async def knock(self, sender: Address, name: str = "Ana") -> str:
        code = await self.pairings.knock(sender, name)
        assert code is not None
        return code

    async def again(self) -> Pairings:
        """As the next start finds it."""
        pairings = Pairings(self.store.marks, self.clock)
        await pairings.open()
        return pairings


def at(scene: Callable[[Door], Awaitable[None]]) -> None:
    async def main() -> None:
        door = Door()
        await door.pairings.open()
        await scene(door)

    asyncio.run(main())


def test_a_code_lets_its_holder_in_once_and_for_good() -> None:
    async def scene(door: Door) -> None:
        code = await door.knock(ANA)
        assert len(code) == 8 and set(code) <= set(LETTERS)
        assert not door.pairings.admits(ANA)
        admitted = await door.pairings.pair(f"{code[:4]}-{code[4:].lower()}")  # as somebody reads it out
        assert admitted.sender == ANA and admitted.code == ""
        later = await door.again()
        assert later.admits(ANA) and not later.admits(BEN) and later.waiting() == []
        with pytest.raises(PairingError, match="nobody waits"):
            await later.pair(code)

    at(scene)


def test_a_code_is_gone_after_an_hour_and_a_new_one_can_be_had() -> None:
    async def scene(door: Door) -> None:
        code = await door.knock(ANA)
        assert await door.pairings.knock(ANA, "Ana") is None  # told once an hour, however often they write
        await door.clock.advance(3600)
        with pytest.raises(PairingError):
            await door.pairings.pair(code)
        assert await door.knock(ANA) != code

    at(scene)


def test_few_wait_at_a_time_on_one_channel_and_others_are_not_held_up() -> None:
    async def scene(door: Door) -> None:
        for number in range(MOST_WAITING):
            await door.knock(Address("telegram", str(number + 10)))
        assert await door.pairings.knock(ANA, "Ana") is None
        assert await door.pairings.knock(Address("discord", "1"), "Ana") is not None

    at(scene)


def test_who_was_let_in_can_be_shut_out_again() -> None:
    async def scene(door: Door) -> None:
        await door.pairings.pair(await door.knock(ANA))
        await door.pairings.unpair(ANA)
        assert not (await door.again()).admits(ANA)
        with pytest.raises(PairingError, match="telegram:1 was not let in"):
            await door.pairings.unpair(ANA)

    at(scene)


@pytest.mark.parametrize("document", ["x", {"admitted": "x"}, {"admitted": [{"sender": "nowhere"}, 7, None]}])
def test_what_cannot_be_read_admits_nobody(document: object) -> None:
    async def scene(door: Door) -> None:
        _, version = await door.store.marks.get(DOCUMENT)
        await door.store.marks.put(DOCUMENT, document, version)
        pairings = await door.again()
        assert pairings.admitted() == [] and pairings.waiting() == []

    at(scene)


@pytest.mark.parametrize(
    ("allow", "strangers", "may"),
    [(None, "pair", True), (("5",), "pair", True), ((), "pair", False), (None, "ignore", False)],
)
def test_an_empty_list_of_senders_means_nobody_also_no_stranger(
    allow: tuple[str, ...] | None, strangers: str, may: bool
) -> None:
    channel = Channel("telegram", ChannelOptions("telegram", "telegram", {"strangers": strangers}), allow=allow)
    assert pairs(channel) is may


def test_many_who_knock_at_once_are_counted_and_nobody_gets_two_codes() -> None:
    async def scene(door: Door) -> None:
        crowd = [Address("telegram", str(number // 2)) for number in range(30)]
        codes = await asyncio.gather(*[door.pairings.knock(sender, "Ana") for sender in crowd])
        assert sum(code is not None for code in codes) == MOST_WAITING == len(door.pairings.waiting())
        assert {one.code for one in door.pairings.waiting()} == {code for code in codes if code}

    at(scene)
