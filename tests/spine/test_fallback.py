"""Which model answers: the agent's own, asked again with patience, or those that stand in for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeAlias

import pytest

from openclaw.clock import ManualClock, settle
from openclaw.errors import ProviderError
from openclaw.fallback import LONGEST_REST, REST, SILENCE, Cooling, Heard, Models
from openclaw.manifest.snapshot import Limits
from openclaw.messages import (
    AssistantEntry,
    Progress,
    Retrying,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolResult,
    Usage,
    UserEntry,
    Waiting,
)
from openclaw.ports import Alive, Begin, Completed, ProviderEvent, Request
from openclaw.prompt import Voice
from openclaw.stores.volatile import Store
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn, TurnFailed

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
AWAY = ProviderError("overloaded", "it is overloaded")
DONE = "done"

Step: TypeAlias = ProviderError | float | str | list[tuple[float, ProviderEvent]]
"""It fails, is silent for seconds, answers, or gives signs, each after some seconds, and then answers."""


@dataclass
class Played:
    """A model that does, request by request, what it was told."""

    clock: ManualClock
    plan: list[Step] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    left: int = 0  # answers that were not waited for

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def stream(self, request: Request) -> AsyncIterator[ProviderEvent]:
        self.asked.append(request)
        step = self.plan.pop(0) if self.plan else DONE
        if isinstance(step, ProviderError):
            raise step
        if isinstance(step, float):
            try:
                await self.clock.sleep(step)
            except asyncio.CancelledError:
                self.left += 1
                raise
        if isinstance(step, list):
            for pause, sign in step:
                await self.clock.sleep(pause)
                yield sign
        words = step if isinstance(step, str) else DONE
        yield TextDelta(words)
        yield Completed(({"type": "text", "text": words},), "end_turn", Usage(100, 10), request.model)


class House:
    """Models by name, each with its plan; the first is the agent's own."""

    def __init__(self, **plans: Sequence[Step]) -> None:
        self.clock = ManualClock(NOW)
        self.events: list[Progress] = []
        self.played = {name: Played(self.clock, list(plan)) for name, plan in plans.items()}
        voices = [
            Voice(each, f"id-{name}", "system", (), f"setup-{name}", alias=name) for name, each in self.played.items()
        ]
        self.cooling = Cooling(self.clock, chance=lambda: 0.0)
        self.models = Models(voices, self.cooling, self.events.append)

    async def ask(self, *, seconds: float = 600.0) -> Heard:
        asking = asyncio.ensure_future(self.models.ask(lambda voice: Request(voice.model, "", (), [], 100)))
        await settle()
        await self.clock.advance(seconds)
        assert asking.done()
        return await asking

    def requests(self) -> dict[str, int]:
        return {name: len(each.asked) for name, each in self.played.items()}

    def waits(self) -> list[float]:
        return [event.seconds for event in self.events if isinstance(event, Retrying)]


def run(scene: Callable[[], object]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(scene(), 20)  # type: ignore[arg-type]

    asyncio.run(whole())


def test_a_model_that_stays_away_is_stood_in_for_and_rests_before_it_is_asked_first_again() -> None:
    async def scene() -> None:
        house = House(smart=[AWAY] * 3, cheap=[])
        assert (await house.ask()).voice.alias == "cheap"
        assert house.requests() == {"smart": 3, "cheap": 1}
        assert house.waits() == [1.0, 4.0, 0.0]
        assert "asking `cheap` instead" in str(house.events)
        house.cooling.failed(house.models.own, AWAY)  # as if another session had found the same just now
        assert (await house.ask(seconds=1)).voice.alias == "cheap"
        assert house.requests()["smart"] == 3
        await house.clock.advance(LONGEST_REST)
        assert (await house.ask()).voice.alias == "smart"

    run(scene)


def test_a_rest_grows_each_time_in_a_row_up_to_a_bound_and_is_as_long_as_the_server_says() -> None:
    house = House(smart=[])
    cooling, smart = Cooling(house.clock), house.models.own
    rests = []
    for _ in range(6):
        cooling.failed(smart, AWAY)
        rests.append(cooling.left(smart))
    assert rests == [REST, 2 * REST, 4 * REST, 8 * REST, LONGEST_REST, LONGEST_REST]
    cooling.answered(smart)
    assert cooling.left(smart) == 0.0
    cooling.failed(smart, ProviderError("rate_limited", "wait", retry_after=1800.0))
    assert cooling.left(smart) == 1800.0
    cooling.failed(smart, ProviderError("rate_limited", "wait", retry_after=1e9))
    assert cooling.left(smart) == 3600.0


def test_a_model_that_a_reload_made_another_does_not_rest_for_the_one_before_it() -> None:
    house = House(smart=[])
    cooling, smart = Cooling(house.clock), house.models.own
    cooling.failed(smart, ProviderError("rate_limited", "wait", retry_after=1800.0))
    assert cooling.left(replace(smart, system="another agent", setup="another")) == 1800.0
    moved = replace(smart, provider=Played(house.clock))
    assert [cooling.left(moved), cooling.left(replace(smart, model="id-newer"))] == [0.0, 0.0]
    cooling.failed(moved, AWAY)
    assert cooling.left(moved) == REST


def test_in_need_a_resting_model_is_asked_too() -> None:
    async def scene() -> None:
        house = House(smart=["back already"], cheap=[AWAY] * 4)
        house.cooling.failed(house.models.own, AWAY)
        assert (await house.ask()).voice.alias == "smart"
        assert house.requests() == {"smart": 1, "cheap": 3}

    run(scene)


def test_a_request_that_is_wrong_is_put_to_nobody_else() -> None:
    async def scene() -> None:
        house = House(smart=[ProviderError("rejected", "it is wrong")], cheap=[])
        with pytest.raises(ProviderError, match="it is wrong"):
            await house.ask()
        assert house.requests() == {"smart": 1, "cheap": 0}

    run(scene)


def test_where_none_answers_the_own_models_fault_is_told() -> None:
    async def scene() -> None:
        house = House(smart=[AWAY] * 3, cheap=[ProviderError("context_window", "too long")], last=[AWAY] * 4)
        with pytest.raises(ProviderError) as caught:
            await house.ask()
        assert caught.value is AWAY
        assert house.requests() == {"smart": 3, "cheap": 1, "last": 4}

    run(scene)


def test_the_time_a_server_names_is_kept_where_it_is_short_and_not_slept_through_where_it_is_long() -> None:
    async def scene() -> None:
        soon, later = (ProviderError("rate_limited", "slow down", retry_after=wait) for wait in (8.0, 3000.0))
        house = House(smart=[soon, "thanks"])
        assert (await house.ask(seconds=8)).done.content == ({"type": "text", "text": "thanks"},)
        alone = House(smart=[later, "never"])
        with pytest.raises(ProviderError):
            await alone.ask(seconds=0.1)
        helped = House(smart=[later, "never"], cheap=[])
        assert (await helped.ask(seconds=0.1)).voice.alias == "cheap"
        assert helped.cooling.left(helped.models.own) == pytest.approx(2999.9)

    run(scene)


def test_pauses_are_longer_by_chance_and_never_shorter() -> None:
    async def scene() -> None:
        house = House(smart=[AWAY])
        house.cooling.chance = lambda: 0.8
        await house.ask()
        assert house.waits() == [pytest.approx(1.2)]

    run(scene)


def test_whoever_waits_is_told_after_ten_seconds_and_now_and_then_and_not_while_words_come() -> None:
    async def scene() -> None:
        house = House(smart=[200.0])
        await house.ask()
        assert [event for event in house.events if isinstance(event, Waiting)] == [
            Waiting(seconds, "smart") for seconds in (10.0, 30.0, 60.0, 120.0, 180.0)
        ]
        house.events.clear()
        house.played["smart"].plan = [9.0]
        await house.ask()
        assert not [event for event in house.events if isinstance(event, Waiting)]

    run(scene)


def test_a_silent_model_is_left_where_another_can_be_asked_and_waited_for_where_none_can() -> None:
    async def scene() -> None:
        house = House(smart=[500.0], cheap=[])
        assert (await house.ask(seconds=SILENCE + 1)).voice.alias == "cheap"
        assert house.requests()["smart"] == 1 and house.played["smart"].left == 1
        alone = House(smart=[500.0])
        assert (await alone.ask(seconds=501)).voice.alias == "smart"

    run(scene)


def test_a_model_that_gives_signs_of_life_is_not_left_and_whoever_sees_no_words_is_told_what_it_does() -> None:
    async def scene() -> None:
        signs: list[tuple[float, ProviderEvent]] = [(5.0, ThinkingDelta("hm"))] * 20
        signs += [(0.0, TextDelta("I will write it."))] + [(5.0, Alive("writing a call"))] * 20
        house = House(smart=[signs], cheap=[])
        assert (await house.ask(seconds=201)).voice.alias == "smart"
        assert house.requests() == {"smart": 1, "cheap": 0}
        assert [event for event in house.events if isinstance(event, Waiting)] == [
            Waiting(seconds, "smart", doing)
            for doing in ("thinking", "writing a call")
            for seconds in (10.0, 30.0, 60.0)
        ]
        assert Waiting(30.0, "smart", "thinking").words == "smart has been thinking for 30 s"
        house = House(smart=[[(5.0, Alive("thinking")), (500.0, Alive("thinking"))]], cheap=[])
        assert (await house.ask(seconds=6 + SILENCE)).voice.alias == "cheap"
        assert [event.doing for event in house.events if isinstance(event, Waiting)] == ["thinking", "", ""]

    run(scene)


def test_whoever_leaves_ends_the_request() -> None:
    async def scene() -> None:
        house = House(smart=[500.0])
        asking = asyncio.ensure_future(house.models.ask(lambda voice: Request(voice.model, "", (), [], 100)))
        await settle()
        await house.clock.advance(5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert house.played["smart"].left == 1

    run(scene)


# ── in a turn ────────────────────────────────────────────────────────────────────────────────────

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "bound"}
WORDS = {"type": "text", "text": "hello"}


async def perform(call: ToolCall, begin: Begin) -> ToolResult:
    raise AssertionError("no tool is called here")


async def turn(house: House, message: str = "m2") -> str:
    earlier = [
        UserEntry("u1", NOW, (WORDS,), "m1"),
        AssistantEntry("a1", NOW, (THOUGHT, WORDS), "id-smart", "end_turn", Usage(1, 1), "setup-smart"),
    ]
    house.log = Log("s", Store("memory", house.clock).journal, Transcript(earlier), house.clock)  # type: ignore[attr-defined]
    talk = Turn(house.models, house.log, perform, Limits())  # type: ignore[attr-defined]
    running = asyncio.ensure_future(talk.run(UserEntry("u2", NOW, (WORDS,), message)))
    await settle()
    await house.clock.advance(100)
    return await running


def test_the_stand_in_gets_no_thinking_of_the_other_and_its_answer_says_whose_it_is() -> None:
    async def scene() -> None:
        house = House(smart=[AWAY] * 3, cheap=[])
        assert await turn(house) == DONE
        first, second = house.played["smart"].asked[0].messages, house.played["cheap"].asked[0].messages
        assert first[1]["content"] != second[1]["content"] == [WORDS]
        answer = house.log.transcript.entries[-1]  # type: ignore[attr-defined]
        assert (answer.model, answer.setup) == ("id-cheap", "setup-cheap")

    run(scene)


def test_a_time_that_is_too_long_to_wait_for_is_told() -> None:
    async def scene() -> None:
        house = House(smart=[ProviderError("rate_limited", "slow down", retry_after=3540.0)])
        with pytest.raises(TurnFailed, match="again at 2026-11-23 09:59 UTC, in 59 minutes"):
            await turn(house)

    run(scene)
