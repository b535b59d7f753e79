"""What an exchange rests on: of two channels of one key each delivers its own, and what is kept stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles.house import project
from openclaw.clock import Clock, ManualClock, settle
from openclaw.delivery import Delivery
from openclaw.errors import DeliveryError, OpenClawError
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Address, Reply
from openclaw.ports import Operations, Outgoing, Place, Post
from openclaw.reading import read
from openclaw.stores.volatile import Store
from openclaw.supervisor import Supervisor

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Mail:
    """A channel that hands over when it is let."""

    def __init__(self, *, open: bool = True) -> None:
        self.begun: list[str] = []
        self.arrived: list[str] = []
        self.away = False
        self.door = asyncio.Event()
        if open:
            self.door.set()

    async def open(self) -> None: ...

    async def run(self, post: Post, operations: Operations) -> None: ...

    async def close(self) -> None: ...

    async def send(self, reply: Reply) -> None:
        if self.away:
            raise DeliveryError("away", retry_after=30)
        self.begun.append(reply.text)
        await self.door.wait()
        self.arrived.append(f"{reply.text}{' again' * reply.repeated}")


def test_what_is_being_handed_over_is_the_last_and_the_next_channel_takes_the_rest_each_once() -> None:
    async def main() -> None:
        store = Store("", ManualClock(NOW))
        delivery, old, new = Delivery(store.outbox, ManualClock(NOW)), Mail(open=False), Mail()
        for number in range(3):
            await store.outbox.put(Reply(Address("mail", "ana"), f"r{number}", "s", "main"))
        running = asyncio.create_task(delivery.run("mail", old))
        await settle()
        delivery.finish("mail", old)
        await settle()
        assert (old.begun, running.done(), delivery.busy("mail", old)) == (["r0"], False, True)
        old.door.set()
        await asyncio.wait_for(running, 60)
        assert (old.arrived, delivery.busy("mail", old)) == (["r0"], False)
        running = asyncio.create_task(delivery.run("mail", new))
        await settle()
        assert new.arrived == ["r1", "r2"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_reply_that_rests_while_channels_change_is_tried_again_in_its_time() -> None:
    async def main() -> None:
        clock = ManualClock(NOW)
        store, failing, new = Store("", clock), Mail(), Mail()
        delivery = Delivery(store.outbox, clock)
        failing.away = True
        await store.outbox.put(Reply(Address("mail", "ana"), "r", "s", "main"))
        running = asyncio.create_task(delivery.run("mail", failing))
        await settle()
        delivery.finish("mail", failing)
        await asyncio.wait_for(running, 60)
        running = asyncio.create_task(delivery.run("mail", new))
        await settle()
        assert (new.begun, await delivery.owes("mail", new, lambda _: True)) == ([], True)
        await clock.advance(31)
        await settle()
        assert (new.arrived, await delivery.owes("mail", new, lambda _: True)) == (["r"], False)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_two_channels_of_one_key_are_woken_alike_and_each_delivers_its_share() -> None:
    async def main() -> None:
        store = Store("", ManualClock(NOW))
        delivery, old, new = Delivery(store.outbox, ManualClock(NOW)), Mail(), Mail()

        def olds(outgoing: Outgoing) -> bool:
            return outgoing.reply.answers == "old"

        shares = [(old, olds), (new, lambda outgoing: not olds(outgoing))]
        running = [asyncio.create_task(delivery.run("mail", mail, mine)) for mail, mine in shares]
        await settle()
        for number in range(40):
            answers = "old" if number % 3 else None
            to = Address("mail", f"person{number % 7}")
            await store.outbox.put(Reply(to, f"r{number}", "s", "main", answers=answers))
            delivery.grown("mail")
            if number % 5 == 0:
                await settle()
        await settle(60)
        assert sorted(old.arrived) == sorted(f"r{number}" for number in range(40) if number % 3)
        assert sorted(new.arrived) == sorted(f"r{number}" for number in range(0, 40, 3))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(main())


class Kinds:
    """Adapters that say when they are opened and closed, by what they were made of."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.broken = False

    def __call__(self, folder: str, kind: str) -> Any:
        kinds = self

        class Adapter:
            def __init__(self, description: Mapping[str, Any], *where: Place | Clock) -> None:
                self.name = str(description.get("api_key", folder))

            async def open(self) -> None:
                if kinds.broken and folder == "tools":
                    raise OpenClawError("no such luck")
                kinds.log.append(f"open {self.name}")

            async def close(self) -> None:
                kinds.log.append(f"close {self.name}")

        return Adapter


@pytest.mark.parametrize("ends", ["swap", "forgo"])
def test_what_a_prepared_snapshot_keeps_outlives_the_turn_that_held_it(tmp_path: Path, ends: str) -> None:
    def snapshot(key: str) -> Snapshot:
        root = project(tmp_path / key, "http://127.0.0.1:9", key=key)
        (root / "agents/main.yaml").write_text((root / "agents/main.yaml").read_text().replace(", add]", "]"))
        found = read(root, NOW).compiled.snapshot
        assert found is not None
        return found

    async def main() -> None:
        kinds = Kinds()
        supervisor = Supervisor(Place("", ""), ManualClock(NOW), kind=kinds)
        one, two = snapshot("one"), snapshot("two")
        await supervisor.apply(one)
        async with supervisor.lease():
            await supervisor.apply(two)
            ahead = await supervisor.prepare(one)  # back to the first one, which a turn still holds open
            assert [line for line in kinds.log if "one" in line] == ["open one"]
        assert "close one" not in kinds.log
        if ends == "swap":
            supervisor.swap(ahead)
            await supervisor.sweep()
            assert "close one" not in kinds.log and "close two" in kinds.log
        else:
            await supervisor.forgo(ahead)
            assert "close one" in kinds.log and "close two" not in kinds.log
        await supervisor.close()
        assert sorted(line.removeprefix("close ") for line in kinds.log if line.startswith("close")) == sorted(
            line.removeprefix("open ") for line in kinds.log if line.startswith("open")
        )

    asyncio.run(main())


def test_what_was_opened_for_a_snapshot_that_cannot_be_had_is_closed_again(tmp_path: Path) -> None:
    async def main() -> None:
        kinds = Kinds()
        supervisor = Supervisor(Place("", ""), ManualClock(NOW), kind=kinds)
        found = read(project(tmp_path / "project", "http://127.0.0.1:9", key="one"), NOW).compiled.snapshot
        assert found is not None
        kinds.broken = True
        with pytest.raises(OpenClawError, match="no such luck"):
            await supervisor.prepare(found)
        assert kinds.log[-1] == "close one" and kinds.log.count("open one") == 1

    asyncio.run(main())
