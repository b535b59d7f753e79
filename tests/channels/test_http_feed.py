"""What is kept of a turn for whoever listens: whole from any place, within its bounds, and gone in time."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from doubles.desk import Desk
from openclaw.clock import ManualClock, settle
from openclaw.control.chunks import Visible
from openclaw.control.feed import KEPT, LARGEST, MOST, PIECE, PING, Feed, Feeds, Told
from openclaw.messages import (
    Address,
    Finished,
    Reply,
    Retrying,
    Settled,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolStarted,
    Waiting,
)

REPLY = Reply(Address("http", "operator"), "Done.", "s", "main")
START = datetime(2026, 3, 1, tzinfo=UTC)


def text(told: list[Told]) -> str:
    return "".join(one.content["text"] for one in told if one.name == "text")


def test_reading_on_from_any_place_gives_what_comes_after_it() -> None:
    chance = random.Random(7)
    feed, whole, places = Feed(), "", {0: 0}  # place -> characters of text before it
    for _ in range(600):
        if chance.random() < 0.1:
            feed(ToolStarted(ToolCall("c", "add", {"a": 1}), "add  1"))
        else:
            delta = "".join(chance.choice("abc ü🙂\n") for _ in range(chance.randrange(1, 60)))
            feed(TextDelta(delta))
            whole += delta
        places[feed.place] = len(whole)
    assert feed.place == len(whole) + sum(one.name != "text" for one in feed.after(0))
    for place, before in places.items():
        told = list(feed.after(place))
        assert text(told) == whole[before:]
        assert [one.place for one in told] == sorted({one.place for one in told})
        assert not told or told[-1].place == feed.place


def test_a_place_within_a_piece_of_text_cuts_it() -> None:
    feed = Feed()
    for word in ("one ", "two ", "three"):
        feed(TextDelta(word))
    feed(ThinkingDelta("not told"))
    feed(TextDelta(""))
    assert [(one.place, one.content) for one in feed.after(0)] == [(13, {"text": "one two three"})]
    assert [one.content["text"] for one in feed.after(6)] == ["o three"]
    feed(TextDelta("!"))
    assert text(list(feed.after(13))) == "!"
    assert feed.after(14) == () and feed.has(15) and not feed.has(16)


def test_void_text_is_told_to_be_void() -> None:
    feed = Feed()
    feed(TextDelta("Half an ans"))
    feed(Retrying("cut", 1))
    feed(TextDelta("A whole one."))
    assert [one.content.get("restart", False) for one in feed.after(0)] == [False, True, False]
    assert [one.content["text"] for one in feed.after(11)] == ["", "A whole one."]


def test_whoever_reads_is_told_how_long_the_model_has_said_nothing() -> None:
    feed, visible = Feed(), Visible()
    feed(TextDelta("Half"))
    feed(Waiting(10.0, "smart"))
    feed(TextDelta(" an answer"))
    told = feed.after(0)
    assert [(one.name, one.content.get("seconds"), one.content.get("model")) for one in told][1] == (
        "waiting",
        10.0,
        "smart",
    )
    assert visible.add(told) == "Half an answer"  # for a reader of plain text nothing has happened


def test_a_turn_that_writes_without_end_stays_small_and_its_beginning_is_gone() -> None:
    feed = Feed()
    for _ in range(1000):
        feed(TextDelta("x" * 5000))
    assert feed.size <= LARGEST + PIECE * 2 and not feed.has(0) and feed.has(feed.place)
    assert feed.has(feed.first) and len(text(list(feed.after(feed.first)))) == feed.size


def test_many_small_deltas_are_few_pieces() -> None:
    feed = Feed()
    for _ in range(20_000):
        feed(TextDelta("abc "))
    assert len(feed.after(0)) <= 80_000 // PIECE + 1


def test_listeners_read_at_their_own_pace_and_hear_that_the_line_lives() -> None:
    async def scene() -> None:
        clock, feed = ManualClock(START), Feed()
        quick: list[str] = []
        slow: list[str] = []
        gate = asyncio.Event()

        async def listen(into: list[str], wait: asyncio.Event | None) -> None:
            async for told in feed.listen(0, clock):
                into.append("".join(one.content.get("text", "") for one in told))
                if wait is not None:
                    await wait.wait()

        tasks = [asyncio.create_task(listen(quick, None)), asyncio.create_task(listen(slow, gate))]
        for word in ("a", "b", "c"):
            feed(TextDelta(word))
            await settle()
        await clock.advance(PING + 1)
        gate.set()
        feed(Finished(REPLY))
        await asyncio.gather(*tasks)
        assert quick == ["a", "b", "c", ""] and slow == ["a", "bc"]

    asyncio.run(scene())


def test_a_listener_that_falls_behind_what_is_kept_is_let_go() -> None:
    async def scene() -> None:
        feed, seen = Feed(), 0
        feed(TextDelta("x"))
        async for _ in feed.listen(0, ManualClock(START)):
            seen += 1
            for _ in range(600):
                feed(TextDelta("x" * 5000))
            feed(Settled("a", "deny"))
        assert seen == 1

    asyncio.run(scene())


def test_feeds_of_turns_that_ended_are_bounded_in_number_and_time() -> None:
    async def scene() -> None:
        clock = ManualClock(START)
        desk = Desk(clock)
        feeds = Feeds(desk, clock)

        def ended(id: str, size: int = 1) -> Feed:
            feed = Feed()
            feeds.keep(id, feed)
            for _ in range(size):
                feed(TextDelta("x" * 1000))
            feed(Finished(REPLY))
            return feed

        first = ended("m0")
        for number in range(1, MOST + 1):
            ended(f"m{number}")
        assert feeds._known("m0") is None and feeds._known("m1") is not None and first.over
        await clock.advance(KEPT + 1)
        last = ended("later")
        assert feeds._known(f"m{MOST}") is None and feeds._known("later") is last
        for number in range(40):
            ended(f"big{number}", 1000)
        assert feeds._known("later") is None and feeds._known("big0") is None and feeds._known("big39") is not None

    asyncio.run(scene())
