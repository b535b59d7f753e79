"""Many messages at once: fair to all, never too many, and answered alone or together as their channel says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openclaw import commands
from openclaw.clock import ManualClock, settle
from openclaw.doorbells.local import Doorbell
from openclaw.durations import seconds
from openclaw.errors import DiskFull
from openclaw.heartbeats import Heartbeats
from openclaw.manifest.snapshot import Heartbeat, Queue, Renewal, Snapshot
from openclaw.messages import Accepted, Address, Finished, Message, Progress, Refused, Reply, Route, Text, UserEntry
from openclaw.ports import Beside, Queued, Watcher
from openclaw.sessions import Sessions
from openclaw.sessions.line import ATTEMPTS
from openclaw.sessions.renewal import over
from openclaw.sessions.warm import Warm
from openclaw.stores.volatile import Store
from openclaw.transcript import Transcript
from spine.test_router import SNAPSHOT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MAIN = "agent:main:repl:local"


def here(mode: Queue = "queue", limit: int = 50, **agent: Any) -> Snapshot:
    channels = {key: replace(one, queue=mode, queue_limit=limit) for key, one in SNAPSHOT.channels.items()}
    agents = {key: replace(one, **agent) for key, one in SNAPSHOT.agents.items()}
    return replace(SNAPSHOT, channels=channels, agents=agents)


@dataclass
class Talker:
    """Answers with every text it was given, one after the other; asks who joins once its gate is open."""

    store: Store
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    anew: list[str] = field(default_factory=list)
    error: Exception | None = None

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher, beside: Beside) -> Reply:
        self.began.append(queued.route.text)
        if self.error is not None:
            raise self.error
        if beside.anew:
            self.anew.append(queued.route.text)
        if beside.anew or not transcript.begun(queued.id):
            await self._write(transcript, queued, *beside.with_it)
        else:
            await self._join(transcript, queued, beside)
        gate = self.gates.get(_last(transcript))
        if gate is not None:
            await gate.wait()
        await self._join(transcript, queued, beside)
        message = queued.message
        text = " + ".join(_texts(transcript))
        return Reply(message.sender, text, queued.route.session, queued.route.agent, queued.id, chat=message.chat)

    async def _join(self, transcript: Transcript, first: Queued, beside: Beside) -> None:
        for queued in await beside.steer():
            await self._write(transcript, queued, joins=first.id)

    async def _write(self, transcript: Transcript, first: Queued, *others: Queued, joins: str = "") -> None:
        texts = tuple({"type": "text", "text": one.route.text} for one in (first, *others))
        joined = (joins,) if joins else tuple(one.id for one in others)
        entry = UserEntry(f"e{first.id}", NOW, texts, first.id, joined=joined)
        await self.store.journal.append(first.route.session, [entry])
        transcript.add(entry)

    async def abandon(self, queued: Queued, transcript: Transcript) -> None:
        self.abandoned.append(queued.route.text)

    async def count(self, session: str, agent: str, transcript: Transcript) -> None:
        pass  # nothing is ever used


def _texts(transcript: Transcript) -> list[str]:
    entries = [entry for entry in transcript.entries if isinstance(entry, UserEntry)]
    return [block["text"] for entry in entries for block in entry.content]


def _last(transcript: Transcript) -> str:
    return _texts(transcript)[-1]


class Room:
    def __init__(self, snapshot: Snapshot, store: Store, clock: ManualClock) -> None:
        self.store, self.clock, self.talker, self.doorbell = store, clock, Talker(store), Doorbell()
        self.sessions = Sessions(store, self.doorbell, lambda: snapshot, self.talker, self.at_once, clock)
        self.sessions.beats = Heartbeats(store, clock, lambda: snapshot, self.doorbell.ring)

    async def at_once(self, line: commands.Line, message: Message) -> str:
        return line.name

    async def say(self, text: str, sender: str = "repl:local", **more: Any) -> Any:
        message = Message(text, Address.parse(sender), (Text(text),), NOW)
        return await self.sessions.post(replace(message, **more))

    async def due(self, channel: str = "repl") -> list[str]:
        return [outgoing.reply.text for outgoing in await self.store.outbox.due(channel)]

    async def states(self, *taken: Accepted) -> list[str]:
        found = [await self.store.inbox.find(one.id) for one in taken]
        return [one.state for one in found if one is not None]


@asynccontextmanager
async def serving(snapshot: Snapshot, store: Store | None = None, at_once: int = 8) -> AsyncIterator[Room]:
    clock = ManualClock(NOW)
    found = Room(snapshot, store or Store("memory", clock), clock)
    await found.store.open()
    await found.sessions.open()
    task = asyncio.create_task(found.doorbell.serve(found.sessions.wake, at_once))
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await found.store.close()


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 20))


# ── fair, and never too many ─────────────────────────────────────────────────────────────────────


def test_a_session_with_much_to_say_lets_the_others_have_their_turn() -> None:
    async def scene() -> None:
        async with serving(here(), at_once=1) as room:
            for text in ("long 1", "long 2", "long 3"):
                await room.say(text)
            await room.say("short", agent="ops")
            await settle(50)
            assert room.talker.began == ["long 1", "short", "long 2", "long 3"]

    run(scene)


def test_a_message_that_waits_for_its_last_attempt_alone_holds_no_place() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        await store.open()
        for text, agent in (("poison", "main"), ("suspect", "ops")):
            route = Route(agent, f"agent:{agent}:repl:local", text)
            await store.inbox.accept(Message(text, Address("repl", "local"), (Text(text),), NOW), route)
            for _ in range(ATTEMPTS - 1):
                await store.inbox.next(route.session)
        await store.close()
        async with serving(here(), store, at_once=2) as room:
            gate = room.talker.gates["poison"] = asyncio.Event()
            await settle()
            assert room.talker.began == ["poison"]
            await room.say("well", agent="researcher")
            await settle()
            assert room.talker.began == ["poison", "well"]
            gate.set()
            await settle()
            assert room.talker.began == ["poison", "well", "suspect"]

    run(scene)


def test_one_more_than_may_wait_is_refused_as_busy_and_nothing_that_waits_is_dropped() -> None:
    async def scene() -> None:
        async with serving(here(limit=2)) as room:
            gate = room.talker.gates["0"] = asyncio.Event()
            taken = [await room.say("0")]
            await settle()
            taken += [await room.say(str(number)) for number in (1, 2)]
            refused = await room.say("3")
            assert isinstance(refused, Refused) and refused.code == "busy" and "2 messages wait here" in refused.reason
            assert (await room.say("2")).new is False  # it was taken: whoever says it again hears so
            assert isinstance(await room.say("elsewhere", agent="ops"), Accepted)
            assert (await room.say("/status")).text == "status"  # what acts at once never queues
            gate.set()
            await settle(50)
            assert await room.states(*taken) == ["done"] * 3
            assert isinstance(await room.say("3"), Accepted)

    run(scene)


def test_all_sessions_together_have_a_bound_too() -> None:
    async def scene() -> None:
        async with serving(here(), at_once=0) as room:
            room.sessions.most = 3
            agents = ("main", "ops", "researcher")
            taken = [await room.say(agent, agent=agent) for agent in agents]
            assert all(isinstance(one, Accepted) for one in taken)
            refused = await room.say("one more", agent="main", session="own")
            assert (refused.code, refused.reason[:25]) == ("busy", "3 messages wait in all al")
            assert (await room.say("main", agent="main")).new is False

    run(scene)


# ── together ─────────────────────────────────────────────────────────────────────────────────────


def test_what_waits_when_a_turn_begins_is_collected_into_one_with_one_reply() -> None:
    async def scene() -> None:
        async with serving(here("collect")) as room:
            gate = room.talker.gates["first"] = asyncio.Event()
            heard: list[Progress] = []
            taken = [await room.say("first")]
            await settle()
            taken += [await room.say("second"), await room.say("third", fetched=True), await room.say("/new")]
            taken += [await room.say("fifth")]
            for one in taken[1:3]:
                room.sessions.watch(one.id, heard.append)
            gate.set()
            await settle(100)
            assert room.talker.began == ["first", "second", "fifth"]  # a command takes its own place
            assert (await room.due())[:2] == ["first", "first + second + third"]
            ends = [event.reply.text for event in heard if isinstance(event, Finished)]
            assert ends == ["first + second + third"] * 2
            assert await room.states(*taken) == ["done"] * 5
            fetched = await room.store.inbox.find(taken[2].id)
            assert fetched is not None and fetched.reply is not None and fetched.reply.text == "first + second + third"

    run(scene)


def test_in_a_group_nobody_is_answered_together_with_somebody_else() -> None:
    async def scene() -> None:
        async with serving(here("collect"), at_once=0) as room:
            for text, sender in (("a", "9"), ("b", "9"), ("c", "12345"), ("d", "9"), ("e", "9")):
                await room.say(text, f"telegram:{sender}", chat="-5")
            for _ in range(3):
                await room.sessions.wake("agent:main:telegram:chat:-5")
            assert room.talker.began == ["a", "c", "d"]
            assert await room.store.inbox.waiting() == 0

    run(scene)


def test_what_one_person_says_in_a_group_is_collected_and_the_group_is_answered_once() -> None:
    async def scene() -> None:
        async with serving(here("collect")) as room:
            gate = room.talker.gates["a"] = asyncio.Event()
            nader = next(str(id) for id in SNAPSHOT.people["nader"].ids if id.channel == "telegram")
            await room.say("a", nader, chat="-5")
            await settle()
            await room.say("b", nader, chat="-5")
            await room.say("c", nader, chat="-5", topic="7")  # a session of its own
            await room.say("d", nader, chat="-5")
            gate.set()
            await settle(100)
            sent = await room.store.outbox.due("telegram")
            assert sorted(one.reply.text for one in sent) == ["a", "a + b + d", "c"]

    run(scene)


def test_what_was_collected_is_answered_once_after_a_crash_and_with_nothing_else() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here("collect"), store, at_once=0) as room:
            taken = [await room.say(text) for text in ("one", "two")]
            first = await store.inbox.next(MAIN)
            joined = await store.inbox.join(MAIN, 9)
            assert first is not None and len(joined) == 1
            await room.talker._write(await room.sessions.transcript(MAIN), first, *joined)
            taken.append(await room.say("three"))
        async with serving(here("collect"), store) as room:
            await settle(100)
            assert room.talker.began == ["one", "three"]
            assert await room.due() == ["one + two", "one + two + three"]
            assert await room.states(*taken) == ["done"] * 3

    run(scene)


def test_a_newer_message_interrupts_and_both_are_answered_by_one_turn() -> None:
    async def scene() -> None:
        async with serving(here("interrupt")) as room:
            room.talker.gates["one"] = asyncio.Event()
            taken = [await room.say("one")]
            await settle()
            taken.append(await room.say("two"))
            await settle(50)
            assert (room.talker.began, room.talker.abandoned) == (["one", "one"], ["one"])
            assert await room.due() == ["one + two"]
            assert await room.states(*taken) == ["done", "done"]
            for _ in range(ATTEMPTS + 1):  # as often as they like: an interruption is no attempt
                assert isinstance(await room.say(f"more {_}"), Accepted)
            await settle(50)
            assert "put aside" not in " ".join(await room.due())

    run(scene)


def test_nobody_interrupts_what_somebody_else_asked_for() -> None:
    async def scene() -> None:
        async with serving(here("interrupt")) as room:
            gate = room.talker.gates["one"] = asyncio.Event()
            await room.say("one", "telegram:9", chat="-5")
            await settle()
            await room.say("two", "telegram:12345", chat="-5")
            await settle()
            assert room.talker.abandoned == []
            gate.set()
            await settle(50)
            assert await room.due("telegram") == ["one", "one + two"]

    run(scene)


def test_what_is_said_while_tools_run_steers_the_turn_and_what_comes_too_late_is_a_turn_of_its_own() -> None:
    async def scene() -> None:
        async with serving(here("steer")) as room:
            gate = room.talker.gates["one"] = asyncio.Event()
            taken = [await room.say("one")]
            await settle()
            taken += [await room.say("two"), await room.say("three"), await room.say("/new")]
            gate.set()
            await settle(100)
            assert (await room.due())[0] == "one + two + three"
            assert room.talker.began == ["one"]
            taken.append(await room.say("late"))
            await settle(50)
            assert (await room.due())[-1] == "late"
            assert await room.states(*taken) == ["done"] * 5

    run(scene)


def test_what_steered_a_turn_that_a_crash_cut_off_is_answered_with_it() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here("steer"), store, at_once=0) as room:
            taken = [await room.say(text) for text in ("one", "two")]
            transcript = await room.sessions.transcript(MAIN)
            first = await store.inbox.next(MAIN)
            assert first is not None
            await room.talker._write(transcript, first)
            [second] = await store.inbox.join(MAIN, 9)
            await room.talker._write(transcript, second, joins=first.id)
        async with serving(here("steer"), store) as room:
            await settle(100)
            assert await room.due() == ["one + two"]
            assert await room.states(*taken) == ["done", "done"]

    run(scene)


def test_a_stop_ends_all_that_is_answered_together() -> None:
    async def scene() -> None:
        async with serving(here("collect"), at_once=0) as room:
            taken = [await room.say(text) for text in ("one", "two")]
            room.talker.gates["two"] = asyncio.Event()
            waking = asyncio.create_task(room.sessions.wake(MAIN))
            await settle()
            assert await room.sessions.stop(MAIN)
            await waking
            assert await room.due() == ["Stopped."]
            assert await room.states(*taken) == ["failed", "failed"]

    run(scene)


# ── what a crash cut off ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("interrupted", "began", "told", "state"),
    [("resume", ["cut"], "cut", "done"), ("notify", [], "was cut off", "failed"), ("drop", [], "", "failed")],
)
def test_what_becomes_of_an_answer_that_a_crash_cut_off(
    interrupted: str, began: list[str], told: str, state: str
) -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here(), store, at_once=0) as room:
            cut = await room.say("cut")
            begun = await store.inbox.next(MAIN)
            assert begun is not None
            await room.talker._write(await room.sessions.transcript(MAIN), begun)
        async with serving(here(interrupted=interrupted), store) as room:
            await settle(50)
            assert room.talker.began == began
            sent = await room.due()
            assert len(sent) == bool(told) and told in "".join(sent)
            assert await room.states(cut) == [state]
            assert isinstance(await room.say("next"), Accepted)
            await settle(50)
            assert room.talker.began == [*began, "next"]

    run(scene)


def test_a_runtime_that_ends_on_a_full_disk_leaves_its_message_for_the_next_one() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(here(), store, at_once=0) as room:
            taken = await room.say("one")
            room.talker.error = DiskFull("the disk is full")
            with pytest.raises(DiskFull):
                await room.sessions.wake(MAIN)
            assert await room.states(taken) == ["queued"] and await room.due() == []
        async with serving(here(), store) as room:
            await settle(50)
            assert await room.due() == ["one"]

    run(scene)


@pytest.mark.parametrize(("interrupted", "told"), [("notify", 1), ("drop", 0)])
def test_a_heartbeat_that_a_crash_cut_off_is_not_run_again_and_its_owner_hears_of_it_or_not(
    interrupted: str, told: int
) -> None:
    nader = SNAPSHOT.people["nader"].ids[0]
    beat = Heartbeat("beat", ("* * * * *",), "tick", "main", "UTC", notify=(nader,))
    snapshot = replace(here(interrupted=interrupted), heartbeats={"beat": beat})

    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(snapshot, store, at_once=0) as room:
            cut = await room.say("tick", "cron:beat", heartbeat="beat")
            await store.inbox.next("cron:beat")
        async with serving(snapshot, store) as room:
            await settle(50)
            assert (room.talker.began, await room.states(cut)) == ([], ["failed"])
            assert len(await room.due(nader.channel)) == told

    run(scene)


# ── conversations that start afresh ──────────────────────────────────────────────────────────────


def test_a_conversation_starts_afresh_after_a_silence_and_never_in_a_turn() -> None:
    async def scene() -> None:
        async with serving(here(session=Renewal("idle", idle=3600))) as room:
            await room.say("first")
            await settle()
            await room.clock.advance(3599)
            await room.say("second")
            await settle()
            assert await room.due() == ["first", "first + second"]
            await room.clock.advance(3601)
            gate = room.talker.gates["third"] = asyncio.Event()
            await room.say("third")
            await settle()
            await room.clock.advance(7200)
            gate.set()
            await settle()
            assert (await room.due())[-1] == "third"
            assert len(room.store.journal.archived) == 1

    run(scene)


@pytest.mark.parametrize(
    ("last", "now", "fresh"),
    [
        ("2026-11-23T03:59:59+00:00", "2026-11-23T04:00:00+00:00", True),
        ("2026-11-23T04:00:00+00:00", "2026-11-24T03:59:59+00:00", False),
        ("2026-11-22T23:00:00+00:00", "2026-11-23T01:00:00+00:00", False),
        ("2026-06-23T02:59:00+00:00", "2026-06-23T03:00:00+00:00", True),  # summer time in London
        ("2026-03-28T12:00:00+00:00", "2026-03-29T02:59:00+00:00", False),  # the night the clocks go forward
        ("2026-03-28T12:00:00+00:00", "2026-03-29T03:00:00+00:00", True),
    ],
)
def test_a_day_begins_at_its_hour_on_the_clock_of_its_place(last: str, now: str, fresh: bool) -> None:
    daily = Renewal("daily", timezone="Europe/London")
    assert over(daily, datetime.fromisoformat(last), datetime.fromisoformat(now)) is fresh


def test_a_day_also_begins_where_its_hour_is_left_out_or_comes_twice() -> None:
    daily = Renewal("daily", at=2 * 60 + 30, timezone="Europe/Berlin")  # 2:30 is not there on 29 March 2026
    noon = datetime(2026, 3, 28, 12, tzinfo=UTC)
    instants = [noon + timedelta(minutes=10 * step) for step in range(6 * 24)]
    assert [over(daily, noon, instant) for instant in instants] == sorted(over(daily, noon, one) for one in instants)
    assert over(daily, noon, instants[-1])


@pytest.mark.parametrize("idle", ["99999999999h", "9" * 5000 + "ms"], ids=["hours", "digits"])
def test_a_silence_longer_than_the_calendar_ends_no_conversation(idle: str) -> None:
    found = seconds(idle)
    assert found is not None
    assert not over(Renewal("idle", idle=found), NOW, NOW + timedelta(days=9000))
    assert NOW + timedelta(seconds=found) > NOW


# ── transcripts in memory ────────────────────────────────────────────────────────────────────────


def test_a_transcript_is_in_memory_once_however_many_ask_and_however_little_room_there_is() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        entry = UserEntry("e", NOW, ({"type": "text", "text": "x" * 500},), "m")
        for session in "abc":
            await store.journal.append(session, [entry])
        warm = Warm(store.journal, most=9, largest=2000)
        first, same = await asyncio.gather(warm.of("a"), warm.of("a"))
        assert first is same
        await warm.of("b")
        await warm.of("c")
        assert list(warm._kept) == ["c"]  # by size, the latest
        assert await warm.of("a") is first  # somebody still holds it
        warm.forget("a")
        assert await warm.of("a") is not first

    run(scene)
