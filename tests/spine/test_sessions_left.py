"""What a crash, a stop or an operator left in the queue: everyone gets their own answer, and nobody another's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw.clock import ManualClock, settle
from openclaw.commands import Line
from openclaw.doorbells.local import Doorbell
from openclaw.errors import DiskFull, StateError
from openclaw.messages import (
    Accepted,
    Address,
    Answered,
    AssistantEntry,
    Entry,
    Message,
    Refused,
    Text,
    Usage,
    UserEntry,
)
from openclaw.ports import Queued
from openclaw.sessions import Sessions
from openclaw.sessions.line import ATTEMPTS
from openclaw.stores.volatile import Store
from openclaw.transcript import Transcript
from spine.test_sessions_queue import MAIN, NOW, Room, Talker, here, run, serving


def user(message: str, *joined: str, anew: str = "") -> UserEntry:
    return UserEntry(f"u{anew}-{message}", NOW, ({"type": "text", "text": message},), message, joined=joined)


def answer(text: str, stop: str = "end_turn") -> AssistantEntry:
    return AssistantEntry(f"a-{text}", NOW, ({"type": "text", "text": text},), "demo", stop, Usage(), "s")


def words(found: AssistantEntry | None) -> Any:
    return found and found.content[0]["text"]


# ── whose turn is whose ──────────────────────────────────────────────────────────────────────────


def test_an_answer_is_that_of_its_own_turn_and_never_a_later_one() -> None:
    transcript = Transcript([user("m1"), user("m2"), answer("to m2"), user("m3"), answer("to m3")])
    assert [words(transcript.answer(f"m{number}")) for number in (1, 2, 3, 4)] == [None, "to m2", "to m3", None]
    assert [transcript.latest(f"m{number}") for number in (1, 2, 3, 4)] == [False, False, True, False]


def test_a_turn_that_its_model_only_paused_has_no_answer_yet() -> None:
    assert Transcript([user("m1"), answer("half", "pause_turn")]).answer("m1") is None


def test_what_is_said_anew_begins_a_turn_of_its_own_and_leaves_those_it_was_said_with() -> None:
    transcript = Transcript([user("m1", "m2"), user("m3"), answer("to m3"), user("m1", anew="2")])
    assert transcript.latest("m1") and not transcript.steers(transcript.entries[-1])
    assert (transcript.place("m1"), transcript.place("m2")) == (3, 0)
    assert [transcript.together(message) for message in ("m1", "m2")] == [{"m1"}, {"m2"}]
    transcript.add(answer("to m1"))
    assert (words(transcript.answer("m1")), transcript.answer("m2")) == ("to m1", None)
    again = Transcript([user("m1", "m2"), user("m3"), user("m1", "m2", anew="2"), answer("to both")])
    assert again.together("m2") == {"m1", "m2"} and words(again.answer("m2")) == "to both"


# ── what was put aside, and what a crash left ────────────────────────────────────────────────────


async def crashed(store: Store, session: str = MAIN, *, times: int = 1, joined: bool = False) -> Queued:
    """As if the runtime had been killed that often while it answered the session's oldest message."""
    for _ in range(times):
        found = await store.inbox.next(session)
        if joined:
            await store.inbox.join(session, 9)
        store.inbox.restart()
    assert found is not None
    return found


async def written(room: Room, *entries: Entry) -> None:
    transcript = await room.sessions.transcript(MAIN)
    await room.store.journal.append(MAIN, entries)
    for entry in entries:
        transcript.add(entry)


def test_a_message_that_was_put_aside_and_is_tried_again_is_said_anew_behind_what_came_after_it() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here(), store, at_once=0) as room:
            first = await room.say("first")
            await crashed(store, times=ATTEMPTS)
            await written(room, user(first.id))
        async with serving(here(), store) as room:
            await settle(50)
            assert await room.states(first) == ["parked"]
            second = await room.say("second")
            await settle(50)
            await written(room, answer("to second"))
            assert await store.inbox.retry(first.id) == MAIN
            room.sessions.ring(MAIN)
            await settle(50)
            assert room.talker.anew == ["first"]
            assert await room.states(first, second) == ["done", "done"]

    run(scene)


def test_what_was_answered_before_a_crash_is_neither_cut_off_nor_said_anew() -> None:
    async def scene() -> None:
        for interrupted in ("resume", "notify", "drop"):
            store = Store("memory", ManualClock(NOW))
            async with serving(here(), store, at_once=0) as room:
                taken = await room.say("one")
                await crashed(store)
                await written(room, user(taken.id), answer("to one"))
            async with serving(here(interrupted=interrupted), store) as room:
                await settle(50)
                assert (room.talker.began, room.talker.anew) == (["one"], [])
                assert await room.states(taken) == ["done"]

    run(scene)


@pytest.mark.parametrize("interrupted", ["notify", "drop"])
def test_what_was_taken_up_and_never_begun_is_answered_whatever_becomes_of_what_was_cut_off(interrupted: str) -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here(), store, at_once=0) as room:
            taken = await room.say("one")
            await crashed(store)
        async with serving(here(interrupted=interrupted), store) as room:
            await settle(50)
            assert await room.due() == ["one"]
            assert await room.states(taken) == ["done"]

    run(scene)


def test_a_stop_between_queue_and_turn_gives_every_attempt_back() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here("collect"), store) as room:
            held = asyncio.Event()

            async def disturbed(session: str) -> None:
                held.set()
                await asyncio.Event().wait()

            room.sessions.disturbed = disturbed
            taken = await room.say("one")
            await held.wait()
            assert room.sessions.busy
        assert await room.states(taken) == ["queued"] and not room.sessions.busy
        [waiting] = await store.inbox.line(9)
        assert waiting.attempts == 0

    run(scene)


def test_a_stop_while_the_store_takes_a_message_gives_it_back_too() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here(), store, at_once=0) as room:
            await room.say("one")
            waking = asyncio.create_task(room.sessions.wake(MAIN))
            await asyncio.sleep(0)  # the store is asked
            waking.cancel()
            await asyncio.wait({waking})
            [waiting] = await store.inbox.line(9)
            assert (waking.cancelled(), waiting.attempts, await store.inbox.waiting()) == (True, 0, 1)

    run(scene)


def test_a_message_that_was_kept_is_answered_though_whoever_brought_it_was_cancelled_meanwhile() -> None:
    async def scene() -> None:
        async with serving(here()) as room:
            posting = asyncio.create_task(room.say("one"))
            await asyncio.sleep(0)  # the store is asked
            posting.cancel()
            await asyncio.wait({posting})
            await settle(50)
            assert posting.cancelled() and await room.due() == ["one"]

    run(scene)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DiskFull("the disk is full"), Refused("full", "the disk is full")),
        (StateError("a.jsonl is newer"), Answered("This cannot be done here: a.jsonl is newer")),
    ],
)
def test_a_command_that_cannot_be_done_now_is_refused_or_answered_and_ends_nothing(
    error: Exception, said: Answered | Refused
) -> None:
    async def at_once(line: Line, message: Message) -> str:
        raise error

    async def scene() -> None:
        store, clock = Store("memory", ManualClock(NOW)), ManualClock(NOW)
        room = Sessions(store, Doorbell(), here, Talker(store), at_once, clock)
        assert await room.post(Message("1", Address("repl", "local"), (Text("/agent ops"),), NOW)) == said

    run(scene)


def test_a_session_is_taken_in_from_elsewhere_only_while_nothing_of_it_is_on_its_way_to_an_answer() -> None:
    async def scene() -> None:
        async with serving(here(), at_once=0) as room:
            waking = asyncio.create_task(room.sessions.wake(MAIN))  # finds nothing
            await asyncio.sleep(0)
            assert room.sessions.busy
            assert await room.sessions.take_in(MAIN, [user("m0"), answer("to m0")]) == 2
            await waking
            held, go = asyncio.Event(), asyncio.Event()

            async def disturbed(session: str) -> None:
                held.set()
                await go.wait()

            await room.say("one")
            room.sessions.disturbed = disturbed
            waking = asyncio.create_task(room.sessions.wake(MAIN))
            await held.wait()
            assert await room.sessions.take_in(MAIN, [user("m0"), answer("to m0"), user("m9")]) is None
            go.set()
            await waking
            assert await room.due() == ["m0 + one"]

    run(scene)


def test_whatever_goes_wrong_before_a_turn_is_told_and_the_next_message_is_answered() -> None:
    async def scene() -> None:
        async with serving(here()) as room:
            async def broken(session: str) -> None:
                room.sessions.disturbed = whole
                raise KeyError("inner detail")

            room.sessions.disturbed, whole = broken, room.sessions.disturbed
            taken = await room.say("one")
            await settle(50)
            assert await room.states(taken) == ["failed"]
            [told] = await room.due()
            assert "KeyError" in told and "inner detail" not in told
            assert isinstance(await room.say("two"), Accepted)
            await settle(50)
            assert (await room.due())[1:] == ["two"]

    run(scene)


@pytest.mark.parametrize("poison", ["one", "two"])
def test_the_last_attempt_is_made_without_the_others_so_that_only_what_kills_is_put_aside(poison: str) -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here("collect"), store, at_once=0) as room:
            taken = [await room.say(text) for text in ("one", "two")]
            await written(room, user(*(one.id for one in taken)))
            await crashed(store, times=ATTEMPTS - 1, joined=True)
        for _ in range(2):
            async with serving(here("collect"), store, at_once=0) as room:
                room.talker.gates[poison] = asyncio.Event()
                await starts(room, poison)
        async with serving(here("collect"), store) as room:
            await settle(100)
            expected = {one: "parked" if one == poison else "done" for one in ("one", "two")}
            assert await room.states(*taken) == list(expected.values())

    run(scene)


async def starts(room: Room, poison: str) -> None:
    """Answers the session until it comes to what kills, and is killed there."""
    while poison not in room.talker.began and await room.store.inbox.open():
        waking = asyncio.create_task(room.sessions.wake(MAIN))
        await settle(50)
        if not waking.done():
            kept = [(row, row.attempts) for row in room.store.inbox._rows.values()]
            waking.cancel()
            await asyncio.wait({waking})
            for row, attempts in kept:  # a kill gives nothing back
                row.attempts = attempts
            return
