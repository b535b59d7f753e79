"""What conversations stand on: a loop on which time stands still, and a model that says what it is given."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from openclaw.errors import ProviderError
from openclaw.ports import Completed, Request
from openclaw.providers.steps import Answer, Provider, Steps
from openclaw.scenarios import lives
from openclaw.scenarios.standstill import StandstillClock, StandstillLoop, Stuck

T = TypeVar("T")
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def on(loop: StandstillLoop, work: Coroutine[Any, Any, T]) -> T:
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.close()


def test_time_passes_only_as_far_as_it_is_told_to() -> None:
    loop = StandstillLoop()
    clock = StandstillClock(loop, START)
    seen: list[float] = []

    async def ticking() -> None:
        while True:
            await clock.sleep(0.1)
            seen.append(round(clock.monotonic(), 6))

    async def work() -> tuple[datetime, datetime]:
        task = asyncio.ensure_future(ticking())
        await loop.passing(0)
        before = clock.now()
        await loop.passing(0.35)
        await asyncio.to_thread(seen.append, -1.0)
        task.cancel()
        return before, clock.now()

    assert on(loop, work()) == (START, START + timedelta(seconds=0.35))
    assert seen == [0.1, 0.2, 0.3, -1.0]


def test_a_timer_at_the_very_end_rings_although_floats_do_not_add_up() -> None:
    loop = StandstillLoop()
    rung: list[int] = []

    async def work() -> None:
        for number in range(1, 4):
            loop.call_at(0.1 * number, rung.append, number)
        await loop.passing(0.1 + 0.2)

    on(loop, work())
    assert rung == [1, 2, 3]


def test_what_can_never_come_is_not_waited_for() -> None:
    loop = StandstillLoop()

    async def never() -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match="no timer is set"):
        on(loop, never())


def test_what_goes_round_in_a_circle_is_found_out() -> None:
    loop = StandstillLoop(most=1_000)

    async def circle() -> None:
        while True:  # noqa: ASYNC110 - a circle is wanted
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="goes on for ever"):
        on(loop, circle())


def test_failures_of_what_is_given_to_threads_come_back() -> None:
    loop = StandstillLoop()

    def fails() -> None:
        raise ValueError("no")

    async def work() -> None:
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(fails)

    on(loop, work())


def test_tracebacks_that_the_runtime_logs_are_heard_and_its_log_is_as_before() -> None:
    log, ours, heard = logging.getLogger("openclaw.anything"), logging.getLogger("openclaw"), list[str]()
    before = (ours.handlers, ours.propagate, ours.level)

    async def work() -> None:
        log.error("this is only told")
        try:
            raise ValueError("no")
        except ValueError:
            log.exception("it broke")

    lives.run(StandstillLoop(), work(), heard)
    assert heard == ["it broke: ValueError: no"]
    assert before == (ours.handlers, ours.propagate, ours.level)


def test_what_is_left_behind_is_ended() -> None:
    loop, ended = StandstillLoop(), list[str]()

    async def lasting() -> None:
        try:
            await loop.create_future()
        finally:
            ended.append("lasting")

    async def work() -> asyncio.Task[None]:
        task = asyncio.ensure_future(lasting())
        await loop.passing(1)
        return task

    assert lives.run(loop, work(), []).cancelled()
    assert (ended, loop.is_closed()) == (["lasting"], True)


# ── the model ────────────────────────────────────────────────────────────────────────────────────


def request(session: str) -> Request:
    said = {"role": "user", "content": ({"type": "text", "text": "hello"},)}
    return Request("a-model", "You are here.", (), (said,), 1_000, session=session)


async def _heard(provider: Provider, session: str) -> Completed:
    found = [event async for event in provider.stream(request(session))]
    assert isinstance(found[-1], Completed)
    return found[-1]


def test_each_request_gets_one_answer_in_order() -> None:
    steps, loop = Steps(), StandstillLoop()
    provider = Provider({"steps": steps}, StandstillClock(loop, START))

    async def work() -> list[Completed]:
        first, second = (asyncio.ensure_future(_heard(provider, name)) for name in ("one", "two"))
        await loop.passing(0)
        assert [one.request.session for one in steps.waiting] == ["one", "two"]
        assert steps.give(Answer("Hello."))
        assert steps.give(Answer("See.", (("look", {"at": 1}), ("look", {"at": 2}))))
        assert not steps.give(Answer("Nobody hears this."))
        return [await first, await second]

    one, two = on(loop, work())
    assert (one.content, one.stop_reason, one.model) == (({"type": "text", "text": "Hello."},), "end_turn", "a-model")
    assert [block.get("name") for block in two.content] == [None, "look", "look"]
    assert len({block["id"] for block in two.content[1:]}) == 2
    assert two.stop_reason == "tool_use"


def test_answers_that_were_laid_out_ahead_wait_for_their_requests() -> None:
    steps, loop = Steps(), StandstillLoop()
    provider = Provider({"steps": steps}, StandstillClock(loop, START))
    steps.ahead.append(Answer("Hello."))
    assert on(loop, _heard(provider, "one")).content == ({"type": "text", "text": "Hello."},)
    assert not steps.ahead


def test_whoever_gives_up_is_answered_no_more() -> None:
    steps, loop = Steps(), StandstillLoop()
    provider = Provider({"steps": steps}, StandstillClock(loop, START))

    async def work() -> None:
        asking = asyncio.ensure_future(_heard(provider, "one"))
        await loop.passing(0)
        asking.cancel()
        await loop.passing(0)
        assert not steps.waiting
        assert not steps.give(Answer("Hello."))

    on(loop, work())


def test_a_model_may_fail() -> None:
    steps, loop = Steps(), StandstillLoop()
    provider = Provider({"steps": steps}, StandstillClock(loop, START))
    steps.ahead.append(Answer(fault="overloaded"))
    with pytest.raises(ProviderError) as raised:
        on(loop, _heard(provider, "one"))
    assert raised.value.fault == "overloaded"


def test_one_that_ctrl_c_came_before_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    half = StandstillLoop.__new__(StandstillLoop)
    del half
    gc.collect()
    assert told == []
