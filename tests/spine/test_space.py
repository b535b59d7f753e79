"""A disk that is full for a while: what was begun waits for room, what is new is refused, and all goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles.house import Hasty, lived, project
from openclaw.clock import ManualClock, settle
from openclaw.doorbells.local import Doorbell
from openclaw.errors import DiskFull, StorageFailed
from openclaw.house import House
from openclaw.manifest.snapshot import Agent
from openclaw.messages import Address, Message, Refused, Reply, Route, Text, UserEntry
from openclaw.ports import Queued
from openclaw.space import Space
from openclaw.stores.volatile import Inbox, Journal, Marks, Store

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ENTRY = UserEntry("e", NOW, (), "m")


class Tank:
    """Room that runs out; what is kept in memory meets the same disk."""

    error: Exception | None = None

    def check(self) -> None:
        if self.error is not None:
            raise self.error


class Kept(Journal):
    tank: Tank

    async def append(self, session: str, entries: object) -> None:
        self.tank.check()
        await super().append(session, [ENTRY])


class Taken(Inbox):
    tank: Tank

    async def accept(self, message: Message, route: Route, *, at_most: int | None = None):  # type: ignore[no-untyped-def]
        if message.id != "known":
            self.tank.check()
        return await super().accept(message, route, at_most=at_most)

    async def next(self, session: str) -> Queued | None:
        self.tank.check()
        return await super().next(session)

    async def drop(self, id: str, reply: Reply | None = None) -> bool:
        self.tank.check()
        return await super().drop(id, reply)


class Noted(Marks):
    tank: Tank

    async def put(self, name: str, document: object, version: int) -> bool:
        self.tank.check()
        return await super().put(name, document, version)

    async def fire(self, *what: Any) -> bool:
        self.tank.check()
        return await super().fire(*what)


class Kind(Store):
    tank: Tank

    async def room(self) -> bool:
        return self.tank.error is None


def filled() -> tuple[Store, Tank, Space, ManualClock]:
    clock, tank = ManualClock(NOW), Tank()
    store, space = Kind("memory", clock), Space(clock)
    store.tank = tank
    store.journal, store.inbox = Kept(clock), Taken(store.outbox, clock)
    store.marks = Noted(store.inbox)
    store.journal.tank = store.inbox.tank = store.marks.tank = tank  # type: ignore[attr-defined]
    return store, tank, space, clock


def test_what_was_begun_waits_and_what_is_new_is_refused_until_there_is_room() -> None:
    async def scene() -> None:
        inner, tank, space, clock = filled()
        store = space.over(inner)
        await store.open()
        tank.error = DiskFull("the disk is full")
        writing = asyncio.create_task(store.journal.append("s", [ENTRY]))
        await settle()
        assert not writing.done()
        with pytest.raises(DiskFull):
            await store.inbox.accept(Message("1", Address("repl", "local"), (Text("x"),), NOW), Route("a", "s", "x"))
        with pytest.raises(DiskFull):  # somebody waits for word of it
            await store.inbox.drop("1")
        assert space.told() == {"full": True, "since": "2026-11-23T00:00:00.000Z", "waiting": 1}
        await clock.advance(5)
        assert not writing.done()
        tank.error = None
        await clock.advance(5)
        await writing
        assert list(await store.journal.load("s")) == [ENTRY]
        assert space.told() == {"full": False}

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_only_a_full_disk_is_waited_out_and_that_no_longer_than_the_runtime_lives() -> None:
    async def scene() -> None:
        inner, tank, space, clock = filled()
        store = space.over(inner)
        tank.error = StorageFailed("the disk is broken")
        with pytest.raises(StorageFailed):
            await store.journal.append("s", [ENTRY])
        tank.error = DiskFull("the disk is full")
        waking = asyncio.create_task(store.inbox.next("s"))
        await settle()
        space.end()
        await clock.advance(2)
        with pytest.raises(DiskFull):
            await waking
        assert space.told()["waiting"] == 0

    asyncio.run(asyncio.wait_for(scene(), 10))


@pytest.mark.parametrize("name", ["channel:telegram:updates", "check/disk"])
def test_what_is_noted_of_things_done_waits_for_room_and_other_documents_are_refused(name: str) -> None:
    async def scene() -> None:
        inner, tank, space, clock = filled()
        store = space.over(inner)
        tank.error = DiskFull("the disk is full")
        with pytest.raises(DiskFull):
            await store.marks.put("pairings", [], 0)
        assert space.told()["full"]
        noting = asyncio.create_task(store.marks.put(name, [1], 0))
        await clock.advance(5)
        assert not noting.done()
        tank.error = None
        await clock.advance(5)
        assert await noting and await store.marks.get(name) == ([1], 1)

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_an_instant_that_does_not_fit_is_put_off_and_tells_that_the_disk_is_full() -> None:
    async def scene() -> None:
        inner, tank, space, _ = filled()
        store, message = space.over(inner), Message("1", Address("cron", "h"), (Text("x"),), NOW)
        tank.error = DiskFull("the disk is full")
        with pytest.raises(DiskFull):
            await store.marks.fire("h", NOW, message, Route("a", "cron:h", "x"))
        assert space.told()["full"]
        tank.error = None
        assert await store.marks.fire("h", NOW, message, Route("a", "cron:h", "x")) and not space.told()["full"]

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_what_needs_no_room_does_not_say_that_there_is_some() -> None:
    async def scene() -> None:
        inner, tank, space, _ = filled()
        store, route = space.over(inner), Route("a", "s", "x")
        known, new = (Message(id, Address("repl", "local"), (Text("x"),), NOW) for id in ("known", "new"))
        await store.inbox.accept(known, route)
        tank.error = DiskFull("the disk is full")
        with pytest.raises(DiskFull):
            await store.inbox.accept(new, route)
        assert not (await store.inbox.accept(known, route)).new and space.told()["full"]
        tank.error = None
        assert (await store.inbox.accept(new, route)).new and not space.told()["full"]

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_room_is_noticed_where_nobody_writes() -> None:
    async def scene() -> None:
        inner, tank, space, clock = filled()
        store = space.over(inner)
        looking = asyncio.create_task(space.run())
        tank.error = DiskFull("the disk is full")
        with pytest.raises(DiskFull):
            await store.marks.put("pairings", [], 0)
        await clock.advance(10)
        assert space.told()["full"]
        tank.error = None
        await clock.advance(2)
        assert space.told() == {"full": False}
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_sessions_that_find_no_room_where_they_work_rest_in_nobodys_place(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        clock, bell = ManualClock(NOW), Doorbell()
        space, woken, crowded = Space(clock), [], True

        async def wake(session: str) -> None:
            woken.append(session)
            if crowded and session.startswith("stuck"):
                raise DiskFull("there is no room for the workspace")

        tasks = [bell.serve(space.sparing(wake), 1), space.wake(bell.ring)]
        running = [asyncio.create_task(task) for task in tasks]
        for session in ("stuck 1", "stuck 2", "well"):
            bell.ring(session)
        await settle()
        assert woken == ["stuck 1", "stuck 2", "well"] and clock.now() == NOW
        assert space.told() == {"full": False, "resting": 2}
        await clock.advance(5)
        assert woken[3:] == ["stuck 1", "stuck 2"] and caplog.text.count("waits: there is no room") == 2
        crowded = False
        await clock.advance(5)
        assert woken[5:] == ["stuck 1", "stuck 2"] and space.told() == {"full": False}
        await clock.advance(60)
        assert len(woken) == 7
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scene(), 10))


class Crowded(House):
    """Where there is no room for a workspace at first."""

    looked = 0

    def workspace(self, agent: Agent) -> Path:
        Crowded.looked += 1
        if Crowded.looked < 3:
            raise DiskFull("there is no room for the workspace")
        return super().workspace(agent)


def test_a_message_with_a_file_waits_until_there_is_room_for_the_workspace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with lived(project(tmp_path / "p", "http://127.0.0.1:9"), tmp_path / "s", clock=Hasty()) as (app, _):
            Crowded.looked = 0
            app.desk.house = Crowded(app.house.project, app.house.state)
            folder = await app.desk.folder(Message("1", Address("http", "operator"), (Text("x"),), NOW))
            assert folder == app.house.workspace(app.supervisor.current.snapshot.agents["main"]) / "incoming"
            assert caplog.text.count("message 1 of http:operator waits: there is no room") == 1
            Crowded.looked = -1000
            full = await app.desk.folder(Message("2", Address("http", "operator"), (Text("x"),), NOW))
            assert full == Refused("full", "there is no room for the workspace")

    asyncio.run(asyncio.wait_for(scene(), 30))
