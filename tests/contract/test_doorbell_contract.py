"""What every doorbell promises: one wake per session at a time, nothing forgotten, nobody starved."""

import asyncio
import logging
from collections import Counter

import pytest

from openclaw.clock import settle
from openclaw.doorbells.local import Doorbell
from openclaw.errors import StorageFailed


@pytest.fixture(params=[Doorbell], ids=["local"])
def bell(request):
    return request.param()


class Sleeper:
    """Wakes that last until they are let go, and a record of what ran at the same time."""

    def __init__(self):
        self.started = []
        self.running = Counter()
        self.most = 0
        self.cancelled = []
        self.gates = {}

    async def wake(self, session):
        self.started.append(session)
        self.running[session] += 1
        self.most = max(self.most, self.running.total())
        assert self.running[session] == 1, "two wakes of one session at a time"
        try:
            await self.gates.setdefault(session, asyncio.Event()).wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what a wake does to end well
            self.cancelled.append(session)
            raise
        finally:
            self.running[session] -= 1

    def let_go(self, session):
        self.gates.pop(session).set()


def serve(bell, steps, concurrency=10, wake=None):
    async def main():
        sleeper = Sleeper()
        serving = asyncio.create_task(bell.serve(wake or sleeper.wake, concurrency))
        try:
            await steps(sleeper)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        return sleeper

    return asyncio.run(main())


def test_sessions_are_woken_side_by_side(bell):
    async def steps(sleeper):
        for session in "abc":
            bell.ring(session)
        await settle()
        assert sleeper.started == ["a", "b", "c"]

    assert serve(bell, steps).most == 3


def test_a_ring_before_serving_is_remembered(bell):
    bell.ring("a")

    async def steps(sleeper):
        await settle()
        assert sleeper.started == ["a"]

    serve(bell, steps)


def test_any_number_of_rings_during_a_wake_wake_once_more(bell):
    async def steps(sleeper):
        bell.ring("a")
        await settle()
        for _ in range(5):
            bell.ring("a")
        await settle()
        assert sleeper.started == ["a"]
        sleeper.let_go("a")
        await settle()
        assert sleeper.started == ["a", "a"]
        sleeper.let_go("a")
        await settle()
        assert sleeper.started == ["a", "a"]

    serve(bell, steps)


def test_many_rings_before_a_wake_are_one(bell):
    async def steps(sleeper):
        for _ in range(5):
            bell.ring("a")
        await settle()
        sleeper.let_go("a")
        await settle()
        assert sleeper.started == ["a"]

    serve(bell, steps)


def test_no_more_wakes_than_the_cap_and_first_rung_is_first_served(bell):
    async def steps(sleeper):
        for session in "abcde":
            bell.ring(session)
        await settle()
        assert sleeper.started == ["a", "b"]
        sleeper.let_go("a")
        await settle()
        assert sleeper.started == ["a", "b", "c"]

    assert serve(bell, steps, concurrency=2).most == 2


def test_a_session_that_rings_without_end_starves_nobody(bell):
    async def steps(sleeper):
        bell.ring("busy")
        await settle()
        for session in ("busy", "x", "y"):
            bell.ring(session)
        for session in ("busy", "x", "y"):
            bell.ring("busy")
            sleeper.let_go(session)
            await settle()
        assert sleeper.started == ["busy", "x", "y", "busy"]

    serve(bell, steps, concurrency=1)


def test_a_wake_that_raises_is_logged_and_the_next_one_is_served(bell, caplog):
    seen = []

    async def wake(session):
        seen.append(session)
        if session == "bad":
            raise ValueError("broken on purpose")

    async def steps(_):
        bell.ring("bad")
        bell.ring("good")
        await settle()
        bell.ring("bad")
        await settle()
        assert seen == ["bad", "good", "bad"]

    with caplog.at_level(logging.ERROR, "openclaw.doorbells"):
        serve(bell, steps, wake=wake)
    assert [record.getMessage() for record in caplog.records] == ["the wake of session bad failed"] * 2


def test_a_ring_during_a_wake_that_raises_is_not_lost(bell, caplog):
    seen = []

    async def wake(session):
        seen.append(session)
        if len(seen) == 1:
            bell.ring(session)
            raise ValueError("broken on purpose")

    async def steps(_):
        bell.ring("a")
        await settle()

    serve(bell, steps, wake=wake)
    assert seen == ["a", "a"]


def test_cancelling_cancels_running_wakes_and_waits_for_their_end(bell):
    async def steps(sleeper):
        bell.ring("a")
        bell.ring("b")
        await settle()

    assert sorted(serve(bell, steps).cancelled) == ["a", "b"]


def test_a_bell_can_be_served_again_after_it_was_stopped(bell):
    async def steps(sleeper):
        bell.ring("a")
        await settle()
        assert sleeper.started == ["a"]

    serve(bell, steps)
    serve(bell, steps)


def test_a_failed_disk_ends_the_serving(bell):
    async def wake(session):
        raise StorageFailed("the disk did not take a write")

    async def main():
        bell.ring("a")
        async with asyncio.timeout(30):
            await bell.serve(wake, 2)

    with pytest.raises(BaseExceptionGroup) as raised:
        asyncio.run(main())
    assert raised.group_contains(StorageFailed)
