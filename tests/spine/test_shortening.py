"""When a session is made short, what happens when that fails, and how it is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from openclaw import compaction
from openclaw.clock import ManualClock, settle
from openclaw.errors import ProviderError
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import CompactionLimits, Limits, Price
from openclaw.messages import (
    AssistantEntry,
    Compaction,
    Entry,
    Intent,
    Progress,
    Result,
    TextDelta,
    ToolCall,
    ToolResult,
    Undone,
    Usage,
    UserEntry,
)
from openclaw.ports import Begin
from openclaw.prompt import Voice
from openclaw.shortening import FAILURES, PATIENCE, TRIMMED, Failures, Shortening, notes
from openclaw.stores.volatile import Store
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn, TurnFailed
from spine.test_compaction import turns
from spine.test_fallback import NOW, Played

LIMITS = CompactionLimits(1000, 400)
BROKEN = ProviderError("rejected", "it will not")
FULL = ProviderError("context_window", "the conversation is too long")
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "bound"}


class House:
    """A long session, and a model that does what it was told."""

    def __init__(self, *plan: ProviderError | float | str, entries: list[Entry] | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.model = Played(self.clock, list(plan))
        self.events: list[Progress] = []
        voice = Voice(self.model, "m", "system", (), "s", alias="smart")
        self.models = Models([voice], Cooling(self.clock, chance=lambda: 0.0), self.events.append)
        self.store = Store("memory", self.clock)
        self.log = Log("s", self.store.journal, Transcript(turns(10) if entries is None else entries), self.clock)
        self.failures = Failures()

    def shortening(self) -> Shortening:
        return Shortening(self.log, self.models, LIMITS, self.failures)

    def notes(self, message: str = "m") -> list[str]:
        return notes(self.log.transcript, message)

    def summaries(self) -> list[Compaction]:
        return [entry for entry in self.log.transcript.entries if isinstance(entry, Compaction)]

    async def turn(self, shorten: Callable[[], Awaitable[bool]]) -> str:
        async def nothing() -> list[UserEntry]:
            return []

        turn = Turn(self.models, self.log, perform, Limits(), nothing, shorten)
        return await turn.run(UserEntry("u", NOW, ({"type": "text", "text": "and now?"},), "m"))


async def perform(call: ToolCall, begin: Begin) -> ToolResult:
    raise AssertionError("no tool is called here")


# ── failures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_summary_that_comes_to_no_end_is_given_up_and_has_failed() -> None:
    async def scene() -> None:
        house = House(1e9)
        shortening = asyncio.ensure_future(house.shortening().before_turn())
        await settle()
        await house.clock.advance(2 * PATIENCE - 1)
        assert not shortening.done()
        await house.clock.advance(2)
        await shortening
        assert house.failures.counted == {"s": 1} and house.summaries() == []

    asyncio.run(scene())


def test_after_three_failures_in_a_row_the_older_part_is_left_out_and_both_sides_are_told() -> None:
    async def scene() -> None:
        house = House(*[BROKEN] * FAILURES)
        for _ in range(FAILURES - 1):
            await house.shortening().before_turn()
            assert house.notes() == [] and house.summaries() == []
        await house.shortening().before_turn()
        assert house.notes() == [TRIMMED]
        [trimmed] = house.summaries()
        assert "left out here and not summarised" in trimmed.summary and "it will not" in trimmed.summary
        assert compaction.tokens(house.log) < 700

    asyncio.run(scene())


def test_while_the_model_is_away_nothing_is_counted_and_nothing_is_left_out() -> None:
    async def scene() -> None:
        house = House(*[ProviderError("credentials", "the key is refused")] * 4)
        for _ in range(4):
            await house.shortening().before_turn()
        assert house.failures.counted == {} and house.summaries() == []
        house.model.plan = [FULL, ProviderError("credentials", "the key is refused")]
        with pytest.raises(TurnFailed, match="the key is refused") as caught:
            await house.turn(house.shortening().at_window)
        assert caught.value.fault == "credentials" and house.summaries() == []

    asyncio.run(scene())


def test_that_a_part_was_left_out_is_told_with_the_first_reply_that_arrives_and_with_no_other() -> None:
    async def scene() -> None:
        house = House(*[BROKEN] * FAILURES)
        for _ in range(FAILURES):
            await house.shortening().before_turn()
        house.model.plan = [ProviderError("credentials", "no")]
        with pytest.raises(TurnFailed):
            await house.turn(house.shortening().at_window)
        assert house.notes("next") == [TRIMMED]  # nobody was told
        words = UserEntry("n", NOW, ({"type": "text", "text": "and now?"},), "next")
        await Turn(house.models, house.log, perform, Limits()).run(words)
        assert house.notes("next") == notes(Transcript(house.log.transcript.entries), "next") == [TRIMMED]
        assert house.notes("later") == []

    asyncio.run(scene())


def test_nobody_is_told_of_what_was_taken_back() -> None:
    async def scene() -> None:
        house = House()
        await compaction.trim(house.log, 400, "why")
        assert house.notes() == [TRIMMED]
        await house.shortening().taken_back("command-1")
        assert house.notes() == []

    asyncio.run(scene())


def test_a_success_in_between_is_no_failure_in_a_row() -> None:
    async def scene() -> None:
        house = House(BROKEN, BROKEN, "they talked", BROKEN)
        for _ in range(3):
            await house.shortening().before_turn()
        assert [summary.usage.output for summary in house.summaries()] == [10]
        for entry in turns(12)[30:]:
            house.log.transcript.add(entry)
        await house.shortening().before_turn()
        assert house.notes() == [] and len(house.summaries()) == 1

    asyncio.run(scene())


def test_what_is_trimmed_keeps_the_summary_before_it_and_what_must_not_be_lost() -> None:
    said = UserEntry("x", NOW, ({"type": "text", "text": "the ticket is INC-2041"},), "mx")
    earlier = Compaction("c", NOW, "<summary>Ada has a cat.</summary>", None)

    async def scene() -> None:
        house = House(entries=[earlier, said, *turns(8)])
        assert await compaction.trim(house.log, 400, "why") is not None
        text = house.summaries()[-1].summary
        assert "Ada has a cat." in text and "INC-2041" in text

    asyncio.run(scene())


# ── the model's window ───────────────────────────────────────────────────────────────────────────


def test_a_full_window_is_made_room_in_and_the_question_asked_once_more() -> None:
    async def scene() -> None:
        house = House(FULL, "they talked", "here I am")
        assert await house.turn(house.shortening().at_window) == "here I am"
        assert len(house.summaries()) == 1
        sent = house.model.asked[-1].messages
        assert sent[-2]["content"][-1]["text"] == "and now?" and "they talked" in str(sent[0])

    asyncio.run(scene())


def test_a_window_that_stays_full_is_told() -> None:
    async def scene() -> None:
        house = House(FULL, "they talked", FULL)
        with pytest.raises(TurnFailed, match="too long") as caught:
            await house.turn(house.shortening().at_window)
        assert caught.value.fault == "context_window"
        assert len(house.model.asked) == 3

    asyncio.run(scene())


def test_where_no_summary_can_be_made_a_full_window_is_trimmed_at_once() -> None:
    async def scene() -> None:
        house = House(FULL, BROKEN, "here I am")
        assert await house.turn(house.shortening().at_window) == "here I am"
        assert house.notes() == [TRIMMED]

    asyncio.run(scene())


def test_what_a_model_cannot_read_at_once_is_summed_up_in_smaller_pieces() -> None:
    async def scene() -> None:
        house = House(FULL, FULL, "first", "second", "third", entries=turns(40, words=2000))
        await house.shortening().before_turn()
        [summary] = house.summaries()
        sizes = [len(asked.messages[0]["content"][0]["text"]) for asked in house.model.asked[:4]]
        assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.6 * sizes[1]
        assert "first" in house.model.asked[3].messages[0]["content"][0]["text"]
        assert house.log.transcript.usage.input == 100 * (len(house.model.asked) - 2) and summary.keep_from is None

    asyncio.run(scene())


# ── one huge turn ────────────────────────────────────────────────────────────────────────────────


def huge(steps: int) -> list[Entry]:
    """One turn that is all there is: many calls, and what came of them."""
    entries: list[Entry] = [UserEntry("u0", NOW, ({"type": "text", "text": "count all of it"},), "m0")]
    for n in range(steps):
        call = {"type": "tool_use", "id": f"t{n}", "name": "ls", "input": {}}
        entries += [
            AssistantEntry(f"a{n}", NOW, (THOUGHT, call), "m", "tool_use", Usage(), "s"),
            Intent(f"i{n}", NOW, f"t{n}", "ls", {}),
            Result(f"r{n}", NOW, f"t{n}", "listing " * 40, False),
        ]
    return entries


def test_a_turn_that_is_more_than_is_kept_is_cut_at_an_answer_and_the_question_stays_word_for_word() -> None:
    async def scene() -> None:
        house = House("they counted", entries=huge(30))
        assert await house.shortening().at_window()
        sent = house.log.transcript.messages("s")
        assert "they counted" in str(sent[0]) and "count all of it" in str(sent[0])
        assert [message["role"] for message in sent[:3]] == ["user", "assistant", "user"]
        asked = [b["id"] for m in sent if m["role"] == "assistant" for b in m["content"] if b["type"] == "tool_use"]
        results = [b["tool_use_id"] for m in sent for b in m["content"] if b["type"] == "tool_result"]
        assert asked == results and 0 < len(asked) < 30
        assert THOUGHT not in [block for message in sent for block in message["content"]]

    asyncio.run(scene())


# ── taken back, and while idle ───────────────────────────────────────────────────────────────────


def test_a_summary_can_be_taken_back_and_is_not_made_again_at_once() -> None:
    async def scene() -> None:
        house = House("they talked")
        before = [dict(message) for message in house.log.transcript.messages("s")]
        await house.shortening().before_turn()
        assert len(house.log.transcript.messages("s")) < len(before)
        assert "The summary was taken back" in await house.shortening().taken_back("command-2")
        assert list(house.log.transcript.messages("s")) == before
        assert house.log.transcript.summary is None
        await house.shortening().before_turn()
        assert len(house.summaries()) == 1
        assert await house.shortening().taken_back("command-3") == "There is no summary to take back."
        read_back = Transcript(list(house.log.transcript.entries))
        assert list(read_back.messages("s")) == before
        for entry in turns(12, words=400)[50:]:
            house.log.transcript.add(entry)
        house.model.plan = ["they talked again"]
        await house.shortening().before_turn()
        assert len(house.summaries()) == 2

    asyncio.run(scene())


def test_taking_back_the_second_summary_leaves_the_first_in_force() -> None:
    async def scene() -> None:
        house = House("the first", "the second")
        await house.shortening().before_turn()
        for entry in turns(14)[50:]:
            house.log.transcript.add(entry)
        between = [dict(message) for message in house.log.transcript.messages("s")]
        await house.shortening().before_turn()
        assert "the second" in str(house.log.transcript.messages("s")[0])
        await house.shortening().taken_back("command-4")
        assert list(house.log.transcript.messages("s")) == between
        assert isinstance(house.log.transcript.entries[-1], Undone)

    asyncio.run(scene())


def test_a_command_that_is_taken_up_again_after_a_crash_is_not_done_twice() -> None:
    async def scene() -> None:
        house = House("the first", "the second")
        assert "Shortened from" in await house.shortening().asked("c1")
        for entry in turns(14)[50:]:
            house.log.transcript.add(entry)
        assert "Shortened from" in await house.shortening().asked("c2")
        for _ in range(2):
            assert "Shortened to" in await house.shortening().asked("c2")
            assert "The summary was taken back" in await house.shortening().taken_back("u1")
            house.log = replace(house.log, transcript=Transcript(house.log.transcript.entries))
        assert house.log.transcript.summary is not None and "the first" in house.log.transcript.summary.summary
        assert "The summary was taken back" in await house.shortening().taken_back("u2")
        assert house.log.transcript.summary is None

    asyncio.run(scene())


def test_an_idle_session_is_made_short_earlier_and_leaves_nothing_behind_when_it_is_disturbed() -> None:
    async def scene() -> None:
        house = House(60.0, "they talked", entries=turns(4, words=70))
        assert LIMITS.at_tokens * 0.7 < compaction.tokens(house.log) < LIMITS.at_tokens
        await house.shortening().before_turn()
        assert house.model.asked == []
        idle = asyncio.ensure_future(house.shortening().while_idle())
        await settle()
        idle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await idle
        assert house.model.left == 1 and house.summaries() == []
        await house.shortening().while_idle()
        assert len(house.summaries()) == 1

    asyncio.run(scene())


@pytest.mark.parametrize("fixed", [0, 600, 2_000])
def test_system_prompt_and_tools_do_not_make_every_other_turn_a_summary(fixed: int) -> None:
    """Of 1,000 tokens they take most, or more than all: 20 turns of 60 tokens are summed up now and then."""

    async def turn(house: House, number: int) -> None:
        await house.shortening().before_turn()
        house.log.transcript.add(UserEntry(f"u{number}", NOW, ({"type": "text", "text": "word " * 20},), f"m{number}"))
        carried = fixed + compaction.guess(house.log.transcript.kept())
        words = ({"type": "text", "text": "word " * 20},)
        answer = AssistantEntry(f"a{number}", NOW, words, "m", "end_turn", Usage(carried, 30), "s")
        house.log.transcript.add(answer)

    async def scene() -> None:
        house = House(entries=[])
        for number in range(20):
            await turn(house, number)
        assert 1 <= len(house.summaries()) <= 20 * 60 // 100

    asyncio.run(scene())


def test_a_summary_is_not_shown_while_it_is_written() -> None:
    async def scene() -> None:
        house = House("they talked")
        await house.shortening().before_turn()
        assert not [event for event in house.events if isinstance(event, TextDelta)]

    asyncio.run(scene())


def test_a_summary_counts_as_a_cost_of_the_turn_it_was_made_for() -> None:
    async def scene() -> None:
        price = Price(input=1_000_000.0, output=0.0, cache_read=0.0, cache_write=0.0)  # a dollar a token
        house = House("they talked")
        house.models = Models([replace(house.models.own, price=price)], Cooling(house.clock), house.events.append)
        await house.shortening().before_turn()
        turn = Turn(house.models, house.log, perform, Limits(cost=100.0))
        turn.figures = lambda: True
        with pytest.raises(TurnFailed, match=r"this has cost \$100\.0000"):
            await turn.run(UserEntry("u", NOW, ({"type": "text", "text": "and now?"},), "m"))
        assert len(house.model.asked) == 1  # for the summary alone

    asyncio.run(scene())
