"""What was paid for a summary is kept: cut off, out of time or failed, the next one goes on where it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from doubles.house import until
from openclaw import billing
from openclaw.errors import ProviderError
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import Limits, Price
from openclaw.messages import AssistantEntry, Draft, Entry, Undone, Usage, UserEntry
from openclaw.ports import Completed, ProviderEvent, Request
from openclaw.prompt import Voice
from openclaw.shortening import FAILURES, PATIENCE, REMEMBERED, Failures, Shortening
from openclaw.transcript import Transcript
from openclaw.turn import Turn, TurnFailed
from spine.test_compaction import turns
from spine.test_fallback import NOW, Played
from spine.test_shortening import BROKEN, LIMITS, House, perform

LONG = turns(120, words=300)  # of which three pieces are made


class Slow(House):
    """Each answer takes so many seconds, and stops as it is told to."""

    def __init__(self, *plan: ProviderError | float | str, seconds: float = 0.0, stops: dict[int, str] | None = None):
        super().__init__(*plan, entries=list(LONG))
        answer, stops = self.model.stream, stops or {}

        async def stream(request: Request) -> AsyncIterator[ProviderEvent]:
            async for event in answer(request):
                if isinstance(event, Completed):
                    await self.clock.advance(seconds)
                    stop = stops.get(len(self.model.asked), "end_turn")
                    yield Completed(event.content, stop, event.usage, event.model)

        self.model.stream = stream  # type: ignore[method-assign]

    def asked(self, number: int) -> str:
        text: str = self.model.asked[number].messages[0]["content"][0]["text"]
        return text

    def drafts(self) -> list[Draft]:
        return [entry for entry in self.log.transcript.entries if isinstance(entry, Draft)]


def test_a_summary_that_takes_too_long_before_a_turn_is_gone_on_with_before_the_next() -> None:
    async def scene() -> None:
        house = Slow("one", "two", "three", seconds=PATIENCE / 2)
        before = house.log.transcript.messages("s")
        await house.shortening().before_turn()
        assert [draft.summary for draft in house.drafts()] == ["one", "two"] and house.summaries() == []
        assert house.failures.counted == {}
        assert house.log.transcript.messages("s") == before == Transcript(house.log.transcript.entries).messages("s")
        await house.shortening().before_turn()
        assert len(house.model.asked) == 3 and "two\n" in house.asked(2)
        [summary] = house.summaries()
        assert "three" in summary.summary
        assert house.log.transcript.usage == Usage(300, 30)

    asyncio.run(scene())


def test_a_summary_that_is_broken_off_is_gone_on_with_also_when_more_was_said() -> None:
    async def scene() -> None:
        house = Slow("one", 1e9)
        idle = asyncio.ensure_future(house.shortening().while_idle())
        await until(lambda: len(house.model.asked) == 2, "the second request")
        idle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await idle
        assert [draft.summary for draft in house.drafts()] == ["one"]
        house.log.transcript.add(UserEntry("more", NOW, ({"type": "text", "text": "more"},), "more"))
        house.model.plan = ["two", "three"]
        await house.shortening().before_turn()
        assert len(house.model.asked) == 4 and "one\n" in house.asked(2)
        assert "three" in house.summaries()[0].summary

    asyncio.run(scene())


def test_what_was_summed_up_of_something_else_is_not_gone_on_with() -> None:
    async def scene() -> None:
        other: list[Entry] = [*LONG[:5], Draft("d", NOW, "of other words", 9, "0" * 32, Usage(), "s"), *LONG[5:]]
        house = Slow("one", "two", "three")
        house.log = type(house.log)("s", house.store.journal, Transcript(other), house.clock)
        await house.shortening().before_turn()
        assert "of other words" not in str(house.model.asked)
        await house.shortening().taken_back("command-1")
        assert isinstance(house.log.transcript.entries[-1], Undone)
        house.model.plan = ["again one", "again two", "again three"]
        await house.shortening().asked("command-2")
        assert len(house.model.asked) == 6  # whoever takes a summary back wants another one

    asyncio.run(scene())


def test_a_summary_is_whole_when_it_is_broken_off_while_it_is_asked_for_what_it_leaves_out() -> None:
    async def scene() -> None:
        house = House("they talked", 1e9, entries=[*turns(1), *said("the ticket is INC-2041"), *turns(10)[5:]])
        summing = asyncio.ensure_future(house.shortening().asked("command-3"))
        await until(lambda: len(house.model.asked) == 2, "the second request")
        summing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await summing
        [summary] = house.summaries()
        assert "they talked" in summary.summary and "INC-2041" in summary.summary

    asyncio.run(scene())


def test_a_summary_that_has_no_room_is_asked_for_once_more_in_fewer_words() -> None:
    async def scene() -> None:
        house = Slow("one", "a long one", "two", "three", stops={2: "max_tokens"})
        await house.shortening().before_turn()
        [summary] = house.summaries()
        assert "three" in summary.summary and len(house.model.asked) == 4
        assert "was cut off" in house.asked(2) and house.asked(2).endswith(house.asked(1))
        assert house.model.asked[2].max_tokens > house.model.asked[1].max_tokens
        assert house.log.transcript.usage == Usage(400, 40)

    asyncio.run(scene())


def test_failures_of_one_piece_lose_none_of_the_others_and_what_is_left_out_is_only_the_rest() -> None:
    async def scene() -> None:
        house = Slow("they bought a cat", BROKEN, BROKEN, BROKEN)
        for _ in range(3):
            await house.shortening().before_turn()
        assert len(house.model.asked) == 4
        [trimmed] = house.summaries()
        assert "they bought a cat" in trimmed.summary and "What was said then" in trimmed.summary

    asyncio.run(scene())


def test_what_fails_while_idle_is_paid_counted_and_given_up() -> None:
    async def scene() -> None:
        house = Slow("they bought a cat")
        for _ in range(6):
            house.model.plan += [BROKEN]
            await house.shortening().while_idle()
        assert len(house.model.asked) == 1 + FAILURES and house.failures.counted == {"s": FAILURES}
        assert house.log.transcript.usage == Usage(100, 10)
        await house.shortening().before_turn()
        assert "they bought a cat" in house.summaries()[0].summary

    asyncio.run(scene())


def test_what_a_failed_summary_cost_counts_and_no_piece_is_asked_for_beyond_the_limit() -> None:
    async def scene() -> None:
        price = Price(input=10_000.0, output=0.0, cache_read=0.0, cache_write=0.0)  # a dollar for each request
        house = Slow("one", "two", "three")
        house.models = Models([replace(house.models.own, price=price)], Cooling(house.clock), house.events.append)
        await Shortening(house.log, house.models, LIMITS, house.failures, cost=1.5).before_turn()
        assert len(house.drafts()) == 2 and house.failures.counted == {}
        turn = Turn(house.models, house.log, perform, Limits(cost=1.5))
        turn.figures = lambda: True
        with pytest.raises(TurnFailed, match=r"this has cost \$2\.0000"):
            await turn.run(UserEntry("u", NOW, ({"type": "text", "text": "and now?"},), "m"))
        assert len(house.model.asked) == 2
        shortening = Shortening(house.log, house.models, LIMITS, house.failures, cost=0.5)
        assert await shortening.at_window() and "three" in house.summaries()[0].summary

    asyncio.run(scene())


def test_an_answer_that_was_dropped_because_the_window_was_full_is_paid_all_the_same() -> None:
    async def scene() -> None:
        house = Slow("half an ans", "they talked", "here I am", stops={1: "model_context_window_exceeded"})
        house.log = type(house.log)("s", house.store.journal, Transcript(turns(10)), house.clock)
        assert await house.turn(house.shortening().at_window) == "here I am"
        assert house.log.transcript.usage == Usage(300, 30) and "half an ans" not in str(house.log.transcript.entries)

    asyncio.run(scene())


def test_an_answer_that_was_declined_is_paid_all_the_same() -> None:
    async def scene() -> None:
        house = Slow("I will not", stops={1: "refusal"})
        with pytest.raises(TurnFailed, match="declined"):
            await house.turn(house.shortening().at_window)
        assert house.log.transcript.usage == Usage(100, 10)

    asyncio.run(scene())


def test_failures_are_counted_of_so_many_sessions_only() -> None:
    failures = Failures()
    for number in range(REMEMBERED + 5):
        failures.another(f"s{number}")
    assert len(failures.counted) == REMEMBERED and "s4" not in failures.counted


def said(text: str) -> list[Entry]:
    return [UserEntry("said", NOW, ({"type": "text", "text": text},), "m-said")]


def test_each_call_for_a_summary_counts_by_itself_at_the_price_of_the_one_who_answered() -> None:
    async def scene() -> None:
        house = House(ProviderError("rate_limited", "slow down", retry_after=3540.0), entries=list(LONG))
        stand_in = Played(house.clock, ["one", "two", "three"])
        cheap, dear = Price(1.0, 1.0, 0.1, 1.25), Price(9.0, 9.0, 0.9, 11.25)
        voices = [
            replace(house.models.own, price=dear),
            Voice(stand_in, "n", "system", (), "t", price=cheap, alias="n"),
        ]
        house.models = Models(voices, Cooling(house.clock), house.events.append)
        await house.shortening().before_turn()
        assert len(house.summaries()) == 1
        paid = [one for one in billing.asked(house.log.transcript.entries, house.models) if one[1] != Usage()]
        assert paid == [("n", Usage(100, 10), cheap)] * 3
        edited = AssistantEntry("a", NOW, (), "n", "end_turn", Usage(5), "a setup of before an edit")
        assert billing.asked([edited], house.models) == [("n", Usage(5), cheap)]

    asyncio.run(scene())
