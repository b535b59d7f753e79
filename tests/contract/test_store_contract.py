"""What every kind of store promises, run over every kind: the words of `openclaw.ports`, one by one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from openclaw import ports
from openclaw.clock import ManualClock
from openclaw.errors import QueueFull
from openclaw.messages import (
    Account,
    Address,
    AssistantEntry,
    Compaction,
    File,
    Image,
    Intent,
    Message,
    Reply,
    Result,
    Route,
    Text,
    Told,
    Usage,
    UserEntry,
)
from openclaw.ports import KEPT, KEPT_ARCHIVES, KEPT_LEAST, Delivered, Run
from openclaw.stores import files, volatile

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
ANA = Address("telegram", "7")
BOB = Address("telegram", "8")


@dataclass
class Rig:
    """A store, and how to restart it."""

    store: ports.Store
    clock: ManualClock
    folder: str
    kind: str

    async def restart(self) -> ports.Store:
        await self.store.close()
        if self.kind == "files":
            self.store = files.Store(self.folder, self.clock)
        await self.store.open()
        return self.store


Steps = Callable[[Rig], Awaitable[None]]


@pytest.fixture(params=["files", "volatile"])
def play(request, tmp_path):
    """Runs an async function against an open store of each kind, and closes it."""

    def run(steps: Steps) -> None:
        async def main() -> None:
            clock = ManualClock(NOON)
            folder = str(tmp_path / "state")
            make = files.Store if request.param == "files" else volatile.Store
            rig = Rig(make(folder, clock), clock, folder, request.param)
            await rig.store.open()
            try:
                await steps(rig)
            finally:
                await rig.store.close()

        asyncio.run(main())

    return run


def message(id: str, sender: Address = ANA, text: str = "hello") -> Message:
    return Message(id, sender, (Text(text),), NOON)


def route(session: str = "agent:main:telegram:7", text: str = "hello") -> Route:
    return Route("main", session, text)


def reply(to: Address = ANA, text: str = "hi", **more) -> Reply:
    return Reply(to, text, "agent:main:telegram:7", "main", **more)


def user(id: str, text: str = "hello") -> UserEntry:
    return UserEntry(id, NOON, ({"type": "text", "text": text},), f"in-{id}")


# ── inbox ────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_is_taken_in_once_for_ever(play):
    async def steps(rig):
        first = await rig.store.inbox.accept(message("1"), route())
        again = await rig.store.inbox.accept(message("1"), route("agent:other:telegram:7"))
        assert first.new and not again.new
        assert (again.id, again.session) == (first.id, "agent:main:telegram:7")
        await rig.store.inbox.settle(first.id, "done", None)
        assert not (await rig.store.inbox.accept(message("1"), route())).new
        store = await rig.restart()
        assert not (await store.inbox.accept(message("1"), route())).new

    play(steps)


def test_the_same_id_on_another_channel_is_another_message(play):
    async def steps(rig):
        one = await rig.store.inbox.accept(message("1", Address("telegram", "7")), route())
        two = await rig.store.inbox.accept(message("1", Address("discord", "7")), route())
        assert one.new and two.new and one.id != two.id

    play(steps)


def test_the_same_id_accepted_many_times_at_once_is_new_once(play):
    async def steps(rig):
        outcomes = await asyncio.gather(*(rig.store.inbox.accept(message("1"), route()) for _ in range(20)))
        assert [outcome.new for outcome in outcomes].count(True) == 1
        assert len({outcome.id for outcome in outcomes}) == 1

    play(steps)


def test_messages_leave_a_session_in_the_order_they_came(play):
    async def steps(rig):
        inbox = rig.store.inbox
        for number in (3, 1, 2):
            await inbox.accept(message(str(number)), route())
            await inbox.accept(message(f"other-{number}"), route("another"))
        seen = []
        while (queued := await inbox.next("agent:main:telegram:7")) is not None:
            seen.append(queued.message.id)
            await inbox.settle(queued.id, "done", None)
        assert seen == ["3", "1", "2"]

    play(steps)


def test_an_unsettled_message_stays_at_the_head_and_its_attempts_are_counted(play):
    async def steps(rig):
        await rig.store.inbox.accept(message("1"), route())
        await rig.store.inbox.accept(message("2"), route())
        assert (await rig.store.inbox.next(route().session)).attempts == 1
        assert (await rig.store.inbox.next(route().session)).attempts == 2
        store = await rig.restart()
        queued = await store.inbox.next(route().session)
        assert (queued.message.id, queued.attempts) == ("1", 3)

    play(steps)


def test_a_released_message_was_not_attempted(play):
    async def steps(rig):
        await rig.store.inbox.accept(message("1"), route())
        queued = await rig.store.inbox.next(route().session)
        await rig.store.inbox.release(queued.id)
        await rig.store.inbox.release(queued.id)
        assert (await rig.store.inbox.find(queued.id)).state == "queued"
        assert (await rig.store.inbox.next(route().session)).attempts == 1

    play(steps)


def test_a_settled_message_is_not_released(play):
    async def steps(rig):
        await rig.store.inbox.accept(message("1"), route())
        queued = await rig.store.inbox.next(route().session)
        await rig.store.inbox.settle(queued.id, "parked", None)
        await rig.store.inbox.release(queued.id)
        assert await rig.store.inbox.next(route().session) is None
        assert (await rig.store.inbox.find(queued.id)).state == "parked"

    play(steps)


def test_a_message_that_goes_another_way_waits_there_at_its_age_and_was_not_attempted(play):
    async def steps(rig):
        elsewhere = Route("side", "agent:side:telegram:7", "hello", instead="main")
        inbox = rig.store.inbox
        for id, way in (("1", route()), ("2", route("agent:side:telegram:7")), ("3", route())):
            await inbox.accept(message(id), way)
        queued = await inbox.next(route().session)
        await inbox.move(queued.id, elsewhere)
        await inbox.move(queued.id, elsewhere)
        assert (await inbox.find(queued.id)).state == "queued" and (await inbox.find(queued.id)).route == elsewhere
        inbox = (await rig.restart()).inbox
        assert [await inbox.waiting(one) for one in (route().session, elsewhere.session)] == [1, 2]
        taken = await inbox.next(elsewhere.session)
        assert (taken.message.id, taken.route, taken.attempts) == ("1", elsewhere, 1)
        assert [one.message.id for one in await inbox.join(elsewhere.session, 9)] == ["2"]
        assert (await inbox.next(route().session)).message.id == "3"
        assert not (await inbox.accept(message("1"), route())).new
        await inbox.settle(taken.id, "done", None)
        await inbox.move(taken.id, route())
        assert (await inbox.find(taken.id)).route == elsewhere

    play(steps)


def test_a_session_takes_at_most_so_many_waiting_messages_but_knows_those_it_has(play):
    async def steps(rig):
        inbox = rig.store.inbox
        for number in range(3):
            assert (await inbox.accept(message(str(number)), route(), at_most=3)).new
        with pytest.raises(QueueFull, match="3 messages wait here") as raised:
            await inbox.accept(message("3"), route(), at_most=3)
        assert raised.value.waiting == 3
        assert not (await inbox.accept(message("2"), route(), at_most=3)).new
        assert (await inbox.accept(message("3"), route("another"), at_most=3)).new
        assert (await inbox.accept(message("4"), route())).new
        queued = await inbox.next(route().session)
        with pytest.raises(QueueFull):
            await inbox.accept(message("5"), route(), at_most=3)
        await inbox.settle(queued.id, "done", None)
        await inbox.next(route().session)  # what runs does not wait
        assert (await inbox.accept(message("5"), route(), at_most=3)).new

    play(steps)


def test_waiting_messages_are_counted_until_somebody_takes_them_up(play):
    async def steps(rig):
        inbox = rig.store.inbox
        assert await inbox.waiting() == 0
        await inbox.accept(message("1"), route())
        await inbox.accept(message("2"), route())
        await inbox.accept(message("3"), route("another"))
        queued = await inbox.next(route().session)
        assert [await inbox.waiting(), await inbox.waiting(route().session), await inbox.waiting("none")] == [2, 1, 0]
        await inbox.release(queued.id)
        assert await inbox.waiting(route().session) == 2
        await inbox.next(route().session)
        inbox = (await rig.restart()).inbox
        assert await inbox.waiting() == 3

    play(steps)


def test_waiting_messages_join_the_one_under_way_in_order_and_end_with_it(play):
    async def steps(rig):
        inbox, outbox = rig.store.inbox, rig.store.outbox
        taken = [await inbox.accept(message(str(number)), route()) for number in range(5)]
        await inbox.accept(message("other"), route("another"))
        head = await inbox.next(route().session)
        assert await inbox.join(route().session, 0) == []
        first = await inbox.join(route().session, 2)
        assert [(queued.message.id, queued.attempts) for queued in first] == [("1", 1), ("2", 1)]
        fitting = await inbox.join(route().session, 9, lambda queued: queued.message.id != "4")
        assert [queued.message.id for queued in fitting] == ["3"]
        assert await inbox.join(route().session, 9, lambda queued: False) == []
        joined = [queued.id for queued in (*first, *fitting)]
        await inbox.settle(head.id, "done", reply(answers=head.id), joined=joined)
        await inbox.settle(head.id, "failed", reply(text="again"), joined=joined)
        assert [outgoing.reply.text for outgoing in await outbox.due("telegram")] == ["hi"]
        found = [await inbox.find(one.id) for one in taken]
        assert [one.state for one in found] == ["done"] * 4 + ["queued"]
        assert [one.reply for one in found] == [reply(answers=head.id)] * 4 + [None]
        assert (await inbox.next(route().session)).message.id == "4"

    play(steps)


def test_a_message_does_not_join_across_one_that_does_not_fit(play):
    async def steps(rig):
        for number in range(4):
            await rig.store.inbox.accept(message(str(number)), route())
        await rig.store.inbox.next(route().session)
        assert await rig.store.inbox.join(route().session, 9, lambda queued: queued.message.id != "1") == []
        assert await rig.store.inbox.waiting() == 3

    play(steps)


def test_joined_messages_of_a_dead_run_wait_again_each_for_itself(play):
    async def steps(rig):
        for number in range(3):
            await rig.store.inbox.accept(message(str(number)), route())
        await rig.store.inbox.next(route().session)
        await rig.store.inbox.join(route().session, 9)
        inbox = (await rig.restart()).inbox
        head = await inbox.next(route().session)
        assert (head.message.id, head.attempts) == ("0", 2)
        [joined] = await inbox.join(route().session, 1)
        assert (joined.message.id, joined.attempts) == ("1", 2)
        await inbox.release(head.id, joined.id, "unknown")
        assert [await inbox.waiting(), (await inbox.next(route().session)).attempts] == [3, 2]

    play(steps)


def test_a_parked_message_is_listed_and_can_be_tried_again(play):
    async def steps(rig):
        inbox = rig.store.inbox
        for number in range(3):
            await inbox.accept(message(str(number)), route())
        assert await inbox.parked() == []
        for _ in range(2):
            await inbox.next(route().session)
            queued = await inbox.next(route().session)
            await inbox.settle(queued.id, "parked", reply(text="put aside"))
        inbox = (await rig.restart()).inbox
        parked = await inbox.parked()
        assert [(one.message.id, one.route, one.attempts) for one in parked] == [("0", route(), 2), ("1", route(), 2)]
        assert await inbox.retry(parked[0].id) == route().session
        assert await inbox.retry(parked[0].id) is None
        assert await inbox.retry("unknown") is None
        assert [one.message.id for one in await inbox.parked()] == ["1"]
        queued = await inbox.next(route().session)
        assert (queued.message.id, queued.attempts) == ("0", 1)
        await inbox.settle(queued.id, "done", reply(text="at last"))
        assert (await inbox.find(queued.id)).reply.text == "at last"
        assert [one.reply.text for one in await rig.store.outbox.due("telegram")] == ["put aside"] * 2 + ["at last"]

    play(steps)


def test_a_dead_reply_is_listed_and_can_be_sent_again(play):
    async def steps(rig):
        outbox = rig.store.outbox
        first, second = [await outbox.put(reply(text=text)) for text in ("first", "second")]
        await outbox.put(reply(BOB, "third"))
        assert await outbox.dead() == []
        await outbox.sending(second)
        await outbox.sent(second, dead=True)
        await outbox.sent(first, dead=True)
        await rig.clock.advance(3600)
        outbox = (await rig.restart()).outbox
        dead = await outbox.dead()
        assert [(one.id, one.reply.text, one.tries, one.since) for one in dead] == [
            (first, "first", 0, NOON),
            (second, "second", 1, NOON),
        ]
        assert await outbox.again(first) == "telegram"
        assert await outbox.again(first) is None
        assert await outbox.again("unknown") is None
        due = await outbox.due("telegram")
        assert [(one.reply.text, one.tries, one.since) for one in due] == [
            ("first", 0, NOON + timedelta(hours=1)),
            ("third", 0, NOON),
        ]
        assert await outbox.again(second) == "telegram"
        again = next(one for one in await outbox.due("telegram") if one.id == second)
        assert (again.tries, again.reply.repeated) == (0, True)  # nobody knows what of it arrived
        await outbox.sent(second)
        await outbox.sent(first)
        assert await outbox.dead() == []

    play(steps)


def test_everything_of_a_message_comes_back(play):
    full = Message(
        id="42",
        sender=ANA,
        parts=(Text("a\nb\x00\u2028"), Image("in/a.png", "image/png"), File("in/b", "b \U0001f600.txt", 7)),
        at=NOON + timedelta(microseconds=1),
        name="Ana \u202e",
        chat="-100",
        topic="3",
        agent="main",
        session="mine",
        heartbeat="h",
        deliver=(ANA, BOB),
        told=True,
    )

    async def steps(rig):
        way = Route("main", "s", "a\nb")
        await rig.store.inbox.accept(full, way)
        store = await rig.restart()
        queued = await store.inbox.next("s")
        assert (queued.message, queued.route) == (full, way)

    play(steps)


def test_a_message_is_found_in_every_state_with_its_reply(play):
    async def steps(rig):
        inbox = rig.store.inbox
        taken = await inbox.accept(message("1"), route())
        assert (await inbox.find(taken.id)).state == "queued"
        await inbox.next(route().session)
        assert (await inbox.find(taken.id)).state == "running"
        answer = reply(answers=taken.id)
        await inbox.settle(taken.id, "done", answer)
        found = await inbox.find(taken.id)
        assert (found.id, found.state, found.route, found.reply) == (taken.id, "done", route(), answer)
        assert await inbox.find("unknown") is None

    play(steps)


def test_everything_of_a_reply_comes_back(play):
    account = Account("model-1", Usage(1, 2, 3, 4), 0.25, 1.5, "disk 91 %", woken=False)
    full = reply(told=Route("main", "agent:main:telegram:7", "a\nb"), account=account, fault="overloaded", failed=True)

    async def steps(rig):
        taken = await rig.store.inbox.accept(message("1"), route())
        await rig.store.inbox.settle(taken.id, "failed", full)
        store = await rig.restart()
        assert (await store.inbox.find(taken.id)).reply == full
        assert [out.reply for out in await store.outbox.due("telegram")] == [full]

    play(steps)


def test_what_was_running_when_the_runtime_died_is_queued_again(play):
    async def steps(rig):
        taken = await rig.store.inbox.accept(message("1"), route())
        await rig.store.inbox.next(route().session)
        store = await rig.restart()
        assert (await store.inbox.find(taken.id)).state == "queued"

    play(steps)


def test_sessions_with_work_are_listed_oldest_first(play):
    async def steps(rig):
        inbox = rig.store.inbox
        ids = {}
        for session in ("b", "a", "c", "b"):
            taken = await inbox.accept(message(f"{session}{len(ids)}"), route(session))
            ids[session] = taken.id
        assert list(await inbox.open()) == ["b", "a", "c"]
        await inbox.settle(ids["a"], "failed", None)
        assert list(await inbox.open()) == ["b", "c"]

    play(steps)


def test_settling_twice_posts_one_reply_and_keeps_the_first_word(play):
    async def steps(rig):
        taken = await rig.store.inbox.accept(message("1"), route())
        await rig.store.inbox.settle(taken.id, "done", reply(text="first"))
        await rig.store.inbox.settle(taken.id, "failed", reply(text="second"))
        assert [out.reply.text for out in await rig.store.outbox.due("telegram")] == ["first"]
        assert (await rig.store.inbox.find(taken.id)).state == "done"

    play(steps)


def test_settling_an_unknown_message_is_an_error(play):
    async def steps(rig):
        with pytest.raises(KeyError):
            await rig.store.inbox.settle("unknown", "done", None)

    play(steps)


def test_a_reply_that_is_not_to_be_sent_is_found_and_never_due(play):
    async def steps(rig):
        taken = await rig.store.inbox.accept(message("1"), route())
        await rig.store.inbox.settle(taken.id, "done", reply(text="kept"), deliver=())
        assert (await rig.store.inbox.find(taken.id)).reply.text == "kept"
        assert not await rig.store.outbox.due("telegram")

    play(steps)


def test_the_replies_to_deliver_may_be_others_than_the_reply_itself(play):
    async def steps(rig):
        taken = await rig.store.inbox.accept(message("1"), route())
        others = [reply(BOB, "for bob"), reply(Address("discord", "9"), "for discord")]
        await rig.store.inbox.settle(taken.id, "done", reply(text="kept"), deliver=others)
        store = await rig.restart()
        assert (await store.inbox.find(taken.id)).reply.text == "kept"
        assert [out.reply for out in await store.outbox.due("telegram")] == [others[0]]
        assert [out.reply for out in await store.outbox.due("discord")] == [others[1]]

    play(steps)


# ── outbox ───────────────────────────────────────────────────────────────────────────────────────


def test_replies_are_due_on_their_own_channel_in_the_order_given(play):
    async def steps(rig):
        outbox = rig.store.outbox
        ids = [await outbox.put(reply(text=text)) for text in ("one", "two")]
        await outbox.put(reply(Address("discord", "1")))
        due = await outbox.due("telegram")
        assert [(out.id, out.reply, out.tries) for out in due] == [
            (ids[0], reply(text="one"), 0),
            (ids[1], reply(text="two"), 0),
        ]

    play(steps)


def test_a_sent_or_dead_reply_is_never_due_again(play):
    async def steps(rig):
        outbox = rig.store.outbox
        sent, dead = [await outbox.put(reply(text=text)) for text in ("one", "two")]
        for id in (sent, dead):
            await outbox.sending(id)
        await outbox.sent(sent)
        await outbox.sent(dead, dead=True)
        assert not await outbox.due("telegram")
        assert not await (await rig.restart()).outbox.due("telegram")

    play(steps)


def test_a_reply_on_its_way_at_a_crash_comes_again_as_repeated(play):
    async def steps(rig):
        id = await rig.store.outbox.put(reply())
        await rig.store.outbox.put(reply(BOB))
        await rig.store.outbox.sending(id)
        first, second = await (await rig.restart()).outbox.due("telegram")
        assert (first.id, first.reply.repeated, first.tries) == (id, True, 1)
        assert not second.reply.repeated

    play(steps)


def test_a_reply_that_the_channel_refused_comes_again_later_unmarked(play):
    async def steps(rig):
        outbox = rig.store.outbox
        id = await outbox.put(reply())
        await outbox.sending(id)
        await outbox.retry(id, 30)
        assert not await outbox.due("telegram")
        await rig.clock.advance(31)
        (out,) = await outbox.due("telegram")
        assert (out.id, out.tries, out.reply.repeated) == (id, 1, False)

    play(steps)


def test_after_a_restart_every_reply_is_due_at_once(play):
    async def steps(rig):
        id = await rig.store.outbox.put(reply())
        await rig.store.outbox.retry(id, 3600)
        assert [out.id for out in await (await rig.restart()).outbox.due("telegram")] == [id]

    play(steps)


def test_no_reply_overtakes_an_earlier_one_to_the_same_place(play):
    async def steps(rig):
        outbox = rig.store.outbox
        first = await outbox.put(reply(text="first"))
        await outbox.put(reply(text="second"))
        await outbox.put(reply(BOB, "to bob"))
        await outbox.put(reply(chat="room", text="in a room"))
        await outbox.retry(first, 30)
        assert [out.reply.text for out in await outbox.due("telegram")] == ["to bob", "in a room"]
        await rig.clock.advance(10)
        waiting = [(out.reply.text, round(seconds)) for out, seconds in await outbox.undelivered("telegram")]
        assert waiting == [("first", 20), ("second", 20), ("to bob", 0), ("in a room", 0)]
        await rig.clock.advance(21)
        assert [out.reply.text for out in await outbox.due("telegram")] == ["first", "second", "to bob", "in a room"]

    play(steps)


# ── what was told ────────────────────────────────────────────────────────────────────────────────


STRANGERS = "web_fetch evil.example"


def of_heartbeat(name: str = "a:b %", text: str = "Ready.") -> Reply:
    key = f"cron:{name.replace('%', '%25').replace(':', '%3A')}"
    way = Route("scout", "agent:scout:telegram:7", f"{text} As told.")
    return Reply(ANA, text, key, "main", told=way, untrusted=STRANGERS)


def test_a_delivered_reply_enters_the_session_of_whoever_got_it_once(play):
    async def steps(rig):
        id = await rig.store.outbox.put(of_heartbeat())
        await rig.store.outbox.sending(id)
        await rig.clock.advance(5)
        assert await rig.store.outbox.sent(id) == "agent:scout:telegram:7"
        assert await rig.store.outbox.sent(id) is None
        store = await rig.restart()
        assert list(await store.inbox.open()) == ["agent:scout:telegram:7"]
        queued = await store.inbox.next("agent:scout:telegram:7")
        assert queued.route == Route("scout", "agent:scout:telegram:7", "Ready. As told.")
        assert queued.message == Message(
            id=f"told-{id}",
            sender=Address("cron", "a:b %"),
            parts=(Text("Ready. As told."),),
            at=NOON + timedelta(seconds=5),
            name="a:b %",
            heartbeat="a:b %",
            told=True,
            untrusted=STRANGERS,
        )
        await store.inbox.settle(queued.id, "done", None, deliver=())
        assert await store.outbox.sent(id) is None
        assert not await store.inbox.open()

    play(steps)


def test_what_did_not_arrive_or_is_not_to_be_told_enters_no_session(play):
    async def steps(rig):
        dead, plain = [await rig.store.outbox.put(one) for one in (of_heartbeat(), reply())]
        assert await rig.store.outbox.sent(dead, dead=True) is None
        assert await rig.store.outbox.sent(dead) is None  # the first word counts
        assert await rig.store.outbox.sent(plain) is None
        assert await rig.store.outbox.sent("unknown") is None
        assert not await (await rig.restart()).inbox.open()

    play(steps)


def test_what_one_heartbeat_told_several_times_enters_each_time_in_order(play):
    async def steps(rig):
        for text in ("one", "two", "three"):
            await rig.store.outbox.sent(await rig.store.outbox.put(of_heartbeat(text=text)))
        seen = []
        while queued := await rig.store.inbox.next("agent:scout:telegram:7"):
            seen.append(queued.route.text)
            await rig.store.inbox.settle(queued.id, "done", None)
        assert seen == ["one As told.", "two As told.", "three As told."]

    play(steps)


# ── journal ──────────────────────────────────────────────────────────────────────────────────────

KINDS = (
    UserEntry("1", NOON, ({"type": "text", "text": "línea\r\n\u2028 \U0001f600 \ud800"},), "in"),
    AssistantEntry(
        "2",
        NOON,
        (
            {"type": "thinking", "thinking": "", "signature": "x=="},
            {"type": "tool_use", "id": "t", "name": "run_command", "input": {"a": [1.5]}},
        ),
        "model",
        "tool_use",
        Usage(1, 2, 3, 4),
        "digest",
    ),
    Intent("3", NOON + timedelta(microseconds=1), "t", "run_command", {"command": "ls"}),
    Result("4", NOON, "t", "a\x00b", True),
    Compaction("5", NOON, "summary", None, Usage(5, 6)),
    Compaction("6", NOON, "summary", "4"),
    Told("7", NOON, "heartbeat morning", "Ready.\n\u2028 \ud800", "in"),
)


def test_every_kind_of_entry_comes_back_in_order(play):
    async def steps(rig):
        await rig.store.journal.append("s", KINDS[:2])
        await rig.store.journal.append("s", KINDS[2:])
        assert tuple(await rig.store.journal.load("s")) == KINDS
        assert tuple(await (await rig.restart()).journal.load("s")) == KINDS

    play(steps)


def test_a_session_nobody_wrote_to_is_empty(play):
    async def steps(rig):
        assert list(await rig.store.journal.load("s")) == []
        await rig.store.journal.append("s", [])
        assert await rig.store.journal.archive("s") is None
        assert list(await rig.store.journal.list()) == []

    play(steps)


def test_an_archived_session_starts_empty_and_every_archive_has_its_own_name(play):
    async def steps(rig):
        journal = rig.store.journal
        names = set()
        for number in range(3):
            await journal.append("s", [user(str(number))])
            names.add(await journal.archive("s"))
            assert list(await journal.load("s")) == []
        await journal.append("s", [user("last")])
        assert len(names) == 3 and None not in names
        assert [entry.id for entry in await journal.load("s")] == ["last"]

    play(steps)


STRANGE_KEYS = (
    "agent:main:repl:local",
    "agent:Main:repl:local",
    "agent:main:telegram:chat:-100:7",
    "",
    ".",
    "..",
    "../../etc/passwd",
    "a/b\\c",
    'nul\x00 line\n quote" back\\ tab\t',
    "café",
    "cafe\u0301",
    "\U0001f600" * 40,
    "\ud800 lone",
    "x" * 10_000,
    "x" * 10_001,
    "agent_main_repl_local",
)


def test_any_text_is_a_session_key(play):
    async def steps(rig):
        for number, key in enumerate(STRANGE_KEYS):
            await rig.store.journal.append(key, [user(str(number))])
            await rig.store.inbox.accept(message(str(number)), route(key))
        store = await rig.restart()
        for number, key in enumerate(STRANGE_KEYS):
            assert [entry.id for entry in await store.journal.load(key)] == [str(number)]
            assert (await store.inbox.next(key)).message.id == str(number)
        assert {summary.key for summary in await store.journal.list()} == set(STRANGE_KEYS)
        assert list(await store.inbox.open()) == list(STRANGE_KEYS)

    play(steps)


def test_the_list_counts_entries(play):
    async def steps(rig):
        await rig.store.journal.append("b", [user("1"), user("2")])
        await rig.store.journal.append("a", [user("1")])
        listed = {summary.key: summary.entries for summary in await rig.store.journal.list()}
        await rig.store.journal.append("b", [user("3")])
        again = {summary.key: summary.entries for summary in await rig.store.journal.list()}
        assert (listed, again) == ({"a": 1, "b": 2}, {"a": 1, "b": 3})
        assert all(summary.size > 0 and summary.updated.tzinfo for summary in await rig.store.journal.list())

    play(steps)


# ── marks ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["anything", "exec-approvals"])
def test_a_document_is_written_only_over_the_version_that_was_read(play, name):
    async def steps(rig):
        marks = rig.store.marks
        assert await marks.get(name) == (None, 0)
        assert await marks.put(name, {"a": [1, "é"]}, 0)
        document, version = await marks.get(name)
        assert document == {"a": [1, "é"]} and version != 0
        assert not await marks.put(name, {"b": 1}, 0)
        assert await marks.put(name, {"b": 2}, version)
        assert not await marks.put(name, {"b": 3}, version)
        assert (await (await rig.restart()).marks.get(name))[0] == {"b": 2}

    play(steps)


def test_of_many_writers_with_one_version_one_wins(play):
    async def steps(rig):
        outcomes = await asyncio.gather(*(rig.store.marks.put("m", number, 0) for number in range(20)))
        assert outcomes.count(True) == 1
        assert (await rig.store.marks.get("m"))[0] == outcomes.index(True)

    play(steps)


def test_a_schedule_fires_an_instant_once_across_restarts(play):
    async def steps(rig):
        beat = Message(f"h@{NOON.isoformat()}", Address("cron", "h"), (Text("go"),), NOON, heartbeat="h")
        assert await rig.store.marks.fire("h", NOON, beat, route("cron:h"))
        assert not await rig.store.marks.fire("h", NOON, beat, route("cron:h"))
        store = await rig.restart()
        assert not await store.marks.fire("h", NOON.astimezone(), beat, route("cron:h"))
        queued = await store.inbox.next("cron:h")
        assert queued.message == beat
        await store.inbox.settle(queued.id, "done", None)
        assert await store.inbox.next("cron:h") is None

    play(steps)


def test_a_skipped_instant_is_not_fired_and_counts_as_the_last(play):
    async def steps(rig):
        marks = rig.store.marks
        assert await marks.last("h") is None
        assert await marks.skip("h", NOON, "still running")
        assert not await marks.skip("h", NOON, "again")
        assert not await marks.fire("h", NOON, message("h"), route("cron:h"))
        assert await marks.last("h") == NOON
        assert await marks.last("other") is None
        assert await marks.fire("h", NOON + timedelta(minutes=1), message("i"), route("cron:h"))
        assert await (await rig.restart()).marks.last("h") == NOON + timedelta(minutes=1)
        assert list(await rig.store.inbox.open()) == ["cron:h"]

    play(steps)


# ── the history of schedules ─────────────────────────────────────────────────────────────────────

MINUTE = timedelta(minutes=1)


def beat(number: int, name: str = "h") -> Message:
    return Message(f"{name}@{number}", Address("cron", name), (Text("go"),), NOON, heartbeat=name)


async def fired(store, number: int, name: str = "h", cause: ports.Cause = "schedule") -> bool:
    """Fires the instant `number` minutes after noon."""
    way = route(f"cron:{name}")
    return await store.marks.fire(name, NOON + number * MINUTE, beat(number, name), way, cause)


def test_a_missed_instant_can_still_be_fired_and_then_is_a_run(play):
    async def steps(rig):
        marks = rig.store.marks
        assert await marks.skip("h", NOON, "nothing ran then", missed=True, number=3)
        assert not await marks.skip("h", NOON, "again", missed=True)
        assert not await marks.skip("h", NOON, "again")
        [missed] = await marks.runs("h", 5)
        assert missed == Run("h", NOON, NOON, "missed", why="nothing ran then", number=3)
        assert not missed.ran
        await rig.clock.advance(60)
        assert await fired(rig.store, 0)
        assert not await fired(rig.store, 0)
        assert not await marks.skip("h", NOON, "again")
        store = await rig.restart()
        queued = await store.inbox.next("cron:h")
        [run] = await store.marks.runs("h", 5)
        assert run == Run("h", NOON, NOON + MINUTE, "running", message=queued.id)
        assert queued.message == beat(0)

    play(steps)


def test_a_skipped_instant_stays_skipped(play):
    async def steps(rig):
        assert await rig.store.marks.skip("h", NOON, "the run before it had not ended")
        assert not await fired(rig.store, 0)
        assert not await rig.store.inbox.open()
        [run] = await (await rig.restart()).marks.runs("h", 5)
        assert run == Run("h", NOON, NOON, "skipped", why="the run before it had not ended")

    play(steps)


def test_a_run_by_hand_is_history_and_does_not_move_the_schedule(play):
    async def steps(rig):
        assert await fired(rig.store, 0)
        assert await fired(rig.store, 1, cause="hand")
        assert await fired(rig.store, 2, "other", cause="hand")
        store = await rig.restart()
        assert await store.marks.last("h") == NOON
        assert await store.marks.last("other") is None
        assert await store.marks.lasts() == {"h": NOON}
        assert [(run.schedule, run.cause) for run in await store.marks.runs(None, 5)] == [
            ("other", "hand"),
            ("h", "hand"),
            ("h", "schedule"),
        ]

    play(steps)


def test_the_last_of_all_schedules_are_told_at_once(play):
    async def steps(rig):
        assert await rig.store.marks.lasts() == {}
        for name in ("b", "a:b", "\ud800", "é"):
            for number in (2, 1, 0):
                await fired(rig.store, number, name)
        await rig.store.marks.skip("b", NOON + 5 * MINUTE, "missed", missed=True)
        expected = dict.fromkeys(("a:b", "\ud800", "é"), NOON + 2 * MINUTE) | {"b": NOON + 5 * MINUTE}
        assert await rig.store.marks.lasts() == expected
        assert await (await rig.restart()).marks.lasts() == expected

    play(steps)


def test_history_tells_how_a_run_was_carried_out_and_where_its_reply_went(play):
    account = Account("model-1", Usage(10, 2), 0.01, 3.5, "2 new mails")

    async def steps(rig):
        for number in range(4):
            assert await fired(rig.store, number)
        await rig.clock.advance(600)
        done = await rig.store.inbox.next("cron:h")
        answer = Reply(ANA, "Ready.", "cron:h", "main", account=account)
        ways = [Address("telegram", "7"), Address("discord", "9"), Address("slack", "1")]
        await rig.store.inbox.settle(
            done.id, "done", answer, deliver=[Reply(to, "Ready.", "cron:h", "main") for to in ways]
        )
        for state in ("failed", "parked"):
            await rig.store.inbox.settle((await rig.store.inbox.next("cron:h")).id, state, None)
        outbox = rig.store.outbox
        [sent], [dead], [due] = [await outbox.due(to.channel) for to in ways]
        for out in (sent, sent, dead, due):
            await outbox.sending(out.id)
        await rig.clock.advance(60)
        await outbox.sent(sent.id)
        await outbox.sent(dead.id, dead=True)
        store = await rig.restart()
        runs = await store.marks.runs("h", 10)
        assert [run.state for run in runs] == ["queued", "parked", "failed", "done"]
        assert [run.failed for run in runs] == [False, True, True, False]
        later = NOON + timedelta(seconds=660)
        assert runs[-1] == Run(
            "h",
            NOON,
            NOON,
            "done",
            message=done.id,
            ended=NOON + timedelta(seconds=600),
            reply=answer,
            deliveries=(
                Delivered(ways[0], "sent", 2, later),
                Delivered(ways[1], "dead", 1, later),
                Delivered(ways[2], "due", 1, None),
            ),
        )
        assert (runs[0].ended, runs[0].reply, runs[0].deliveries) == (None, None, ())

    play(steps)


def test_the_reply_itself_is_a_delivery_where_nothing_else_was_to_be_delivered(play):
    async def steps(rig):
        await fired(rig.store, 0)
        await rig.store.inbox.settle((await rig.store.inbox.next("cron:h")).id, "done", reply())
        await rig.store.outbox.put(reply(BOB))  # unasked: of no run
        [run] = await rig.store.marks.runs("h", 1)
        assert run.deliveries == (Delivered(ANA, "due", 0, None),)

    play(steps)


def test_history_is_of_one_or_of_all_latest_first_bounded_and_since(play):
    async def steps(rig):
        marks = rig.store.marks
        for number in (1, 0, 2):
            await fired(rig.store, number)
            await fired(rig.store, number, "b")
        await marks.skip("h", NOON + 3 * MINUTE, "busy")
        await marks.skip("b", NOON + 4 * MINUTE, "", missed=True)

        async def seen(*args, **more):
            return [(run.schedule, (run.instant - NOON) // MINUTE) for run in await marks.runs(*args, **more)]

        assert await seen("h", 9) == [("h", 3), ("h", 2), ("h", 1), ("h", 0)]
        assert await seen("h", 2) == [("h", 3), ("h", 2)]
        assert await seen("h", 2, ran=True) == [("h", 2), ("h", 1)]
        assert await seen("h", 9, since=NOON + MINUTE) == [("h", 3), ("h", 2)]
        assert await seen("h", 9, since=(NOON + MINUTE).astimezone(), ran=True) == [("h", 2)]
        assert await seen(None, 5) == [("b", 4), ("h", 3), ("b", 2), ("h", 2), ("b", 1)]
        assert await seen(None, 3, ran=True) == [("b", 2), ("h", 2), ("b", 1)]
        assert await seen(None, 9, since=NOON + 2 * MINUTE) == [("b", 4), ("h", 3)]
        assert await seen("h", 2, until=NOON + MINUTE) == [("h", 1), ("h", 0)]
        assert await seen(None, 9, since=NOON, until=(NOON + MINUTE).astimezone()) == [("b", 1), ("h", 1)]
        assert await seen("h", 0) == await seen("nobody", 9) == []

    play(steps)


def test_old_history_goes_but_for_the_latest_of_each_schedule(play):
    async def steps(rig):
        marks = rig.store.marks
        await fired(rig.store, 0, "other")
        for number in range(KEPT_LEAST + 5):
            await fired(rig.store, number)
        await rig.clock.advance((KEPT + 1) * 86400)
        assert len(await marks.runs("h", 99)) == KEPT_LEAST + 5  # nothing goes by itself
        await marks.skip("h", NOON + timedelta(days=KEPT + 1), "busy")
        store = await rig.restart()
        kept = await store.marks.runs("h", 99)
        assert [run.instant for run in kept] == [
            NOON + timedelta(days=KEPT + 1),
            *(NOON + number * MINUTE for number in range(KEPT_LEAST + 4, 5, -1)),
        ]
        assert len(await store.marks.runs("other", 99)) == 1
        assert not await fired(store, 0), "what ran long ago ran"

    play(steps)


def test_nothing_of_the_last_days_goes_however_much_there_is(play):
    async def steps(rig):
        for number in range(3 * KEPT_LEAST):
            await fired(rig.store, number)
        await rig.clock.advance((KEPT - 1) * 86400)
        await fired(rig.store, KEPT * 1440 - 2000)
        assert len(await rig.store.marks.runs("h", 99)) == 3 * KEPT_LEAST + 1

    play(steps)


def test_runs_by_hand_never_push_out_the_last_of_the_schedule_itself(play):
    async def steps(rig):
        await fired(rig.store, 0)
        await fired(rig.store, 1)
        await rig.clock.advance((KEPT + 1) * 86400)
        for number in range(KEPT_LEAST + 1):
            await fired(rig.store, 2 + number, cause="hand")
        assert await (await rig.restart()).marks.last("h") == NOON + MINUTE
        kept = [(run.instant - NOON) // MINUTE for run in await rig.store.marks.runs("h", 99)]
        assert kept == [*range(KEPT_LEAST + 2, 2, -1), 1]

    play(steps)


# ── the whole ────────────────────────────────────────────────────────────────────────────────────


async def pruned(store, now):
    gone = 0
    while found := await store.prune(now):
        gone += found
    return gone


def test_what_ended_long_ago_is_let_go_but_for_ever_known(play):
    async def steps(rig):
        inbox, outbox = rig.store.inbox, rig.store.outbox
        old = await inbox.accept(message("old"), route(text="said"))
        await inbox.settle(old.id, "done", reply(text="answered"))
        aside = await inbox.accept(message("aside"), route("another"))
        await inbox.settle(aside.id, "parked", None)
        open_ = await inbox.accept(message("open"), route())
        [told] = await outbox.due("telegram")
        await outbox.sent(told.id)
        lost = await outbox.put(reply(text="lost"))
        await outbox.sent(lost, dead=True)
        due = await outbox.put(reply(BOB, "still due"))
        later = NOON + timedelta(days=KEPT)
        assert await pruned(rig.store, later) == 0
        assert await pruned(rig.store, later + timedelta(days=1)) > 0
        store = await rig.restart()
        assert await pruned(store, later + timedelta(days=1)) == 0
        assert not (await store.inbox.accept(message("old"), route("elsewhere"))).new
        found = await store.inbox.find(old.id)
        assert (found.state, found.route, found.reply) == ("done", route(text=""), None)
        assert [one.id for one in await store.outbox.due("telegram")] == [due]
        assert await store.inbox.retry(aside.id) == "another" and await store.outbox.again(lost) == "telegram"
        assert (await store.inbox.next(route().session)).id == open_.id
        assert (await store.inbox.find(open_.id)).route == route()

    play(steps)


def test_a_reply_never_gets_the_name_of_one_that_was_let_go(play):
    async def steps(rig):
        first = await rig.store.outbox.put(reply())
        await rig.store.outbox.sent(first)
        await pruned(rig.store, NOON + timedelta(days=KEPT + 1))
        assert await rig.store.outbox.put(reply()) != first
        store = await rig.restart()
        assert await store.outbox.put(reply()) != first

    play(steps)


def test_a_conversation_that_was_put_aside_is_kept_for_a_year(play):
    async def steps(rig):
        for session in ("one", "two"):
            await rig.store.journal.append(session, [user("1")])
        await rig.store.journal.archive("one")
        assert await pruned(rig.store, NOON + timedelta(days=KEPT_ARCHIVES)) == 0
        assert await pruned(rig.store, NOON + timedelta(days=KEPT_ARCHIVES + 1)) == 1
        assert [entry.id for entry in await rig.store.journal.load("two")] == ["1"]
        assert await rig.store.journal.archive("two") is not None

    play(steps)


def test_what_was_asked_for_is_done_even_if_the_asker_is_cancelled(play):
    async def steps(rig):
        async def ask(number):
            await rig.store.journal.append("s", [user(str(number))])

        tasks = [asyncio.create_task(ask(number)) for number in range(10)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [entry.id for entry in await rig.store.journal.load("s")] == [str(number) for number in range(10)]

    play(steps)


def test_closing_twice_does_nothing(play):
    async def steps(rig):
        await rig.store.close()

    play(steps)
