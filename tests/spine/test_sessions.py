"""From post to settled: each message once, in order, also when somebody stops it or the runtime ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from openclaw import commands
from openclaw.clock import ManualClock, settle
from openclaw.doorbells.local import Doorbell
from openclaw.errors import StorageFailed
from openclaw.heartbeats import Heartbeats
from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import (
    Accepted,
    Address,
    Answered,
    Finished,
    Message,
    Progress,
    Refused,
    Reply,
    Route,
    Text,
    TextDelta,
    UserEntry,
)
from openclaw.ports import Beside, Queued, Watcher
from openclaw.router import LONGEST
from openclaw.sessions import Sessions
from openclaw.sessions.line import ATTEMPTS
from openclaw.stores.volatile import Inbox, Store
from openclaw.transcript import Transcript
from spine.test_router import SNAPSHOT

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BEAT = Heartbeat("beat", ("* * * * *",), "tick", "main", "UTC")
HERE = replace(SNAPSHOT, heartbeats={"beat": BEAT, "kept": replace(BEAT, name="kept", session="keep")})


@dataclass
class Echo:
    """Answers with the text it was given, as slowly as the test says."""

    store: Store
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher, beside: Beside) -> Reply:
        text = queued.route.text
        self.log.append(f"begin {text}")
        entry = UserEntry(f"e{queued.id}", NOW, ({"type": "text", "text": text},), queued.id)
        await self.store.journal.append(queued.route.session, [entry])
        transcript.add(entry)
        tell(TextDelta(text))
        if text in self.gates:
            await self.gates[text].wait()
        if text == "break":
            raise RuntimeError("inner detail")
        self.log.append(f"end {text}")
        message = queued.message
        return Reply(message.sender, f"you said {text}", queued.route.session, queued.route.agent, queued.id)

    async def abandon(self, queued: Queued, transcript: Transcript) -> None:
        self.abandoned.append(queued.route.text)

    async def count(self, session: str, agent: str, transcript: Transcript) -> None:
        pass  # nothing is ever used


class Room:
    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.echo, self.doorbell = store, Echo(store), Doorbell()
        self.sessions = Sessions(store, self.doorbell, lambda: HERE, self.echo, self.at_once, clock)
        self.sessions.beats = Heartbeats(store, clock, lambda: HERE, self.doorbell.ring)

    async def at_once(self, line: commands.Line, message: Message) -> str:
        return f"did {line.name} {line.argument}".strip()

    async def say(self, text: str, sender: str = "repl:local", id: str | None = None, **more: Any) -> Any:
        message = Message(id or text, Address.parse(sender), (Text(text),), NOW)
        return await self.sessions.post(replace(message, **more))


@asynccontextmanager
async def serving(store: Store | None = None) -> AsyncIterator[Room]:
    clock = ManualClock(NOW)
    room = Room(store or Store("memory", clock), clock)
    await room.store.open()
    await room.sessions.open()
    task = asyncio.create_task(room.doorbell.serve(room.sessions.wake, 8))
    try:
        yield room
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 50))


def test_a_message_is_accepted_answered_and_settled_with_its_reply_in_the_outbox() -> None:
    async def scene() -> None:
        async with serving() as room:
            taken = await room.say("hello")
            assert isinstance(taken, Accepted) and taken.new
            await settle()
            settled = await room.sessions._store.inbox.find(taken.id)
            assert settled is not None and settled.state == "done"
            assert [o.reply.text for o in await room.store.outbox.due("repl")] == ["you said hello"]

    run(scene)


def test_one_session_answers_in_order_and_two_side_by_side() -> None:
    async def scene() -> None:
        async with serving() as room:
            room.echo.gates = {"slow": asyncio.Event(), "other": asyncio.Event()}
            await room.say("slow")
            await room.say("next")
            await room.say("other", agent="ops")
            await settle()
            assert room.echo.log == ["begin slow", "begin other"]
            room.echo.gates["slow"].set()
            await settle()
            assert room.echo.log == ["begin slow", "begin other", "end slow", "begin next", "end next"]

    run(scene)


def test_what_was_told_elsewhere_is_marked_by_the_run_that_it_came_of_whatever_its_session_holds_by_now() -> None:
    async def scene() -> None:
        async with serving() as room:
            told = Message("t", Address("cron", "news"), (Text("the news"),), NOW, heartbeat="news", told=True)
            for page in ("", "web_fetch evil.example"):  # as when the next run began before this entered
                way = Route("main", f"s{page}", "the news")
                await room.store.inbox.accept(replace(told, id=f"t{page}", untrusted=page), way)
                room.doorbell.ring(way.session)
                later = UserEntry("u", NOW, ({"type": "text", "text": "now"},), "m", "another page")
                await room.store.journal.append("cron:news", [later])
                await settle()
                assert (await room.sessions.transcript(way.session)).untrusted == page

    run(scene)


def test_the_same_message_id_is_answered_once() -> None:
    async def scene() -> None:
        async with serving() as room:
            first, second = await room.say("hello", id="7"), await room.say("hello", id="7")
            assert [first.new, second.new, second.id] == [True, False, first.id]
            await settle()
            assert room.echo.log.count("begin hello") == 1

    run(scene)


def test_empty_too_large_and_late_messages_are_refused_and_not_stored() -> None:
    async def scene() -> None:
        async with serving() as room:
            codes = [(await room.say(text, id=text[:3])).code for text in ("", " \n ", "x" * (LONGEST + 1))]
            assert codes == ["empty", "empty", "too_large"]
            room.sessions.stopping = True
            assert (await room.say("late")).code == "stopping"
            assert list(await room.store.inbox.open()) == []

    run(scene)


def test_commands_act_at_once_and_unknown_ones_are_explained() -> None:
    async def scene() -> None:
        async with serving() as room:
            assert await room.say("/memory cats") == Answered("did memory cats")
            unknown = await room.say("/memroy cats")
            assert isinstance(unknown, Answered) and "did you mean /memory?" in unknown.text
            help = await room.say("/research")
            assert isinstance(help, Answered) and help.text.startswith("Researcher:")
            assert isinstance(await room.say(" /memroy is a word"), Accepted)

    run(scene)


def test_new_waits_for_its_turn_and_puts_the_session_aside() -> None:
    async def scene() -> None:
        async with serving() as room:
            await room.say("hello")
            assert isinstance(await room.say("/new"), Accepted)
            await settle()
            assert list(await room.store.journal.load("agent:main:repl:local")) == []
            assert (await room.sessions.transcript("agent:main:repl:local")).entries == []

    run(scene)


def test_stop_ends_the_running_answer_and_the_next_is_taken_up() -> None:
    async def scene() -> None:
        async with serving() as room:
            room.echo.gates = {"slow": asyncio.Event()}
            slow = await room.say("slow")
            await room.say("next")
            await settle()
            assert await room.sessions.stop(slow.session)
            await settle()
            assert room.echo.abandoned == ["slow"]
            texts = [outgoing.reply.text for outgoing in await room.store.outbox.due("repl")]
            assert texts == ["Stopped.", "you said next"]
            assert not await room.sessions.stop(slow.session)

    run(scene)


def test_an_unforeseen_failure_is_told_without_its_details_and_stops_nothing() -> None:
    async def scene() -> None:
        async with serving() as room:
            await room.say("break")
            await room.say("next")
            await settle()
            texts = [outgoing.reply.text for outgoing in await room.store.outbox.due("repl")]
            assert texts[1] == "you said next"
            assert "RuntimeError" in texts[0] and "inner detail" not in texts[0]

    run(scene)


def test_a_message_interrupted_by_the_end_is_answered_at_the_next_start() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(store) as room:
            room.echo.gates = {"slow": asyncio.Event()}
            await room.say("slow")
            await settle()
        await store.close()
        async with serving(store) as room:
            await settle()
            assert room.echo.log == ["begin slow", "end slow"]

    run(scene)


def test_a_message_that_was_taken_up_too_often_is_put_aside_and_said_so() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        await store.open()
        message = Message("1", Address("repl", "local"), (Text("poison"),), NOW)
        await store.inbox.accept(message, Route("main", "agent:main:repl:local", "poison"))
        for _ in range(ATTEMPTS):  # each a start that ended in a crash
            await store.inbox.next("agent:main:repl:local")
        await store.close()
        async with serving(store) as room:
            await settle()
            assert room.echo.log == []
            [outgoing] = await store.outbox.due("repl")
            assert outgoing.reply.failed and "three times" in outgoing.reply.text

    run(scene)


def test_a_fetched_message_is_kept_for_whoever_asks_and_sent_to_nobody() -> None:
    async def scene() -> None:
        async with serving() as room:
            taken = await room.say("hello", fetched=True)
            await settle()
            settled = await room.store.inbox.find(taken.id)
            assert settled is not None and settled.reply is not None
            assert settled.reply.text == "you said hello"
            assert list(await room.store.outbox.due("repl")) == []

    run(scene)


def test_watchers_hear_their_message_and_listeners_what_nobody_watches() -> None:
    async def scene() -> None:
        async with serving() as room:
            own: list[Progress] = []
            rest: list[Progress] = []
            room.sessions.listen("repl", rest.append)
            message = Message("w", Address("repl", "local"), (Text("watched"),), NOW)
            await room.sessions.post(message, own.append)
            await room.say("unwatched")
            await settle()
            assert own[0] == TextDelta("watched") and isinstance(own[-1], Finished)
            assert rest[0] == TextDelta("unwatched") and len(rest) == 2

    run(scene)


def test_a_choice_of_agent_outlives_the_runtime() -> None:
    async def scene() -> None:
        store = Store("memory", ManualClock(NOW))
        async with serving(store) as room:
            await room.sessions.choose(Address("repl", "local"), "ops")
        await store.close()
        async with serving(store) as room:
            assert (await room.say("hello")).agent == "ops"
            await room.sessions.choose(Address("repl", "local"), None)
            assert (await room.say("again")).agent == "main"

    run(scene)


def test_a_heartbeat_starts_afresh_unless_it_asks_to_keep() -> None:
    async def scene() -> None:
        async with serving() as room:
            for name in ("beat", "kept"):
                for instant in ("1", "2"):
                    await room.say(f"/not a command {instant}", f"cron:{name}", f"{name}{instant}", heartbeat=name)
            await settle(100)
            fresh, kept = [await room.sessions.transcript(f"cron:{name}") for name in ("beat", "kept")]
            assert [len(fresh.entries), len(kept.entries)] == [1, 2]
            assert list(await room.store.outbox.due("cron")) == []

    run(scene)


class Broken(Inbox):
    """On a disk that breaks, which it takes a while to find out."""

    found: asyncio.Event

    async def accept(self, message: Message, route: Route, *, at_most: int | None = None) -> Accepted:
        await self.found.wait()
        raise StorageFailed("the disk is broken")


def test_a_disk_that_breaks_is_told_also_where_whoever_brought_the_message_was_cancelled_meanwhile() -> None:
    async def scene() -> None:
        clock = ManualClock(NOW)
        store = Store("memory", clock)
        inbox = store.inbox = Broken(store.outbox, clock)
        inbox.found = asyncio.Event()
        async with serving(store) as room:
            told: list[StorageFailed] = []
            room.sessions.failed = told.append
            bringing = asyncio.create_task(room.say("hello"))
            await settle()
            bringing.cancel()
            await settle()
            assert bringing.cancelled() and told == []
            inbox.found.set()
            await settle()
            assert [str(error) for error in told] == ["the disk is broken"]

    run(scene)


class Crowded(Heartbeats):
    """What comes of a run that has ended waits until there is room on the disk."""

    room: asyncio.Event

    async def settled(self, queued: Queued) -> None:
        await self.room.wait()


def test_a_heartbeats_reply_is_sent_and_shown_though_what_comes_of_the_run_waits_for_room() -> None:
    async def scene() -> None:
        async with serving() as room:
            beats = Crowded(room.store, ManualClock(NOW), lambda: HERE, room.doorbell.ring)
            room.sessions.beats, beats.room = beats, asyncio.Event()
            rung: list[str] = []
            heard: list[Progress] = []
            room.sessions.delivered = rung.append
            place, sender = Address("telegram", "-100"), Address("cron", "beat")
            tick = Message("beat1", sender, (Text("tick"),), NOW, heartbeat="beat", deliver=(place,))
            await room.sessions.post(tick, heard.append)
            await settle(100)
            assert rung == ["telegram"] and isinstance(heard[-1], Finished)
            beats.room.set()

    run(scene)


def test_strangers_are_refused_before_anything_is_stored() -> None:
    async def scene() -> None:
        async with serving() as room:
            assert isinstance(await room.say("hello", "telegram:666"), Refused)
            assert list(await room.store.inbox.open()) == []

    run(scene)


def test_a_reply_enters_a_session_once_however_many_places_lead_there() -> None:
    async def scene() -> None:
        async with serving() as room:
            nader = HERE.people["nader"].ids
            place = Address("telegram", "-100")
            await room.say("tick", "cron:beat", "beat1", heartbeat="beat", deliver=(*nader, place))
            await settle(100)
            entered = []
            for channel in sorted({address.channel for address in (*nader, place)}):
                for outgoing in await room.store.outbox.due(channel):
                    entered += [session] if (session := await room.store.outbox.sent(outgoing.id)) else []
            assert sorted(entered) == ["agent:main:person:nader", "agent:ops:telegram:chat:-100"]
            for session in entered:
                room.doorbell.ring(session)
            await settle(100)
            transcript = await room.sessions.transcript("agent:main:person:nader")
            assert [(entry.by, entry.text) for entry in transcript.entries] == [("heartbeat beat", "you said tick")]

    run(scene)
