"""A day's budget that is used up: told once in a row, no failure of the heartbeat, and nothing is stopped for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openclaw import ports
from openclaw.clock import ManualClock
from openclaw.heartbeats.failures import Failures
from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import Address, Message, Reply, Route, Text
from openclaw.stores import files, volatile

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
CRON, OWNER = Address("cron", "watch"), Address("telegram", "7")
BEAT = Heartbeat("watch", ("0 * * * *",), "Look.", "main", "UTC", notify=(OWNER,))


def reply(fault: str, *, failed: bool = True) -> Reply:
    return Reply(CRON, "I ask the model nothing more for now: ...", "cron:watch", "main", failed=failed, fault=fault)


async def ran(store: ports.Store, clock: ManualClock, answer: Reply) -> None:
    now = clock.now()
    message = Message(f"watch-{now:%H%M}", CRON, (Text("Look."),), now, heartbeat="watch")
    assert await store.marks.fire("watch", now, message, Route("main", "cron:watch", "Look."))
    queued = await store.inbox.next("cron:watch")
    assert queued is not None
    await store.inbox.settle(queued.id, "failed" if answer.failed else "done", answer, deliver=())
    await clock.advance(3600)


@pytest.mark.parametrize("kind", [files, volatile])
def test_a_budget_that_is_used_up_is_told_once_and_stops_nothing(kind: object, tmp_path: Path) -> None:
    async def whole() -> None:
        clock = ManualClock(NOON)
        store: ports.Store = (files.Store if kind is files else volatile.Store)(str(tmp_path / "state"), clock)
        await store.open()
        failures, looked = Failures(store.marks), NOON - timedelta(days=1)
        [first] = await failures.notices(BEAT, reply("budget"), looked, clock.now())
        assert (first.to, first.text) == (OWNER, "Heartbeat watch failed: I ask the model nothing more for now: ...")
        for _ in range(6):
            await ran(store, clock, reply("budget"))
            assert await failures.notices(BEAT, reply("budget"), looked, clock.now()) == ()
            assert await failures.holds("watch", looked, clock.now()) is None
        await ran(store, clock, reply("overloaded"))
        assert (await failures.row("watch", looked, clock.now())).length == 1
        assert len(await failures.notices(BEAT, reply("budget"), looked, clock.now())) == 1
        await store.close()

    asyncio.run(whole())
