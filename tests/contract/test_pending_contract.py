"""What every kind of store tells of what has not come to its end, and how it lets that go."""

from __future__ import annotations

from contract.test_store_contract import message, play, reply, route
from openclaw.messages import Address
from openclaw.pending import Pending

__all__ = ["play"]


def test_what_is_unsettled_stands_in_one_line_over_all_sessions(play):
    async def steps(rig):
        inbox = rig.store.inbox
        ids = [(await inbox.accept(message(name), route(session))).id for name, session in ("1a", "2b", "3a")]
        await inbox.next("a")
        await inbox.settle(ids[1], "done", None, deliver=())
        assert [(one.id, one.attempts) for one in await inbox.line(9)] == [(ids[0], 1), (ids[2], 0)]
        assert [one.id for one in await inbox.line(1)] == [ids[0]]

    play(steps)


def test_what_waits_or_is_parked_can_be_dropped_and_what_is_answered_cannot(play):
    async def steps(rig):
        inbox = rig.store.inbox
        waits, runs, parks = [(await inbox.accept(message(name), route(name))).id for name in ("w", "r", "p")]
        await inbox.next("r")
        await inbox.settle(parks, "parked", reply(), deliver=())
        told = reply(text="dropped")
        assert [await inbox.drop(id, told) for id in (waits, parks, runs, "unknown")] == [True, True, False, False]
        assert await inbox.drop(waits) is False
        assert [(await inbox.find(id)).state for id in (waits, parks, runs)] == ["failed", "failed", "running"]
        assert [(await inbox.find(id)).reply for id in (waits, parks, runs)] == [told, reply(), None]
        inbox = (await rig.restart()).inbox
        assert (await inbox.parked(), await inbox.retry(parks), await inbox.next("w")) == ([], None, None)

    play(steps)


def test_a_dead_reply_can_be_let_go_of(play):
    async def steps(rig):
        outbox = rig.store.outbox
        dead, due = await outbox.put(reply(text="dead")), await outbox.put(reply(text="due"))
        await outbox.sent(dead, dead=True)
        assert [await outbox.drop(id) for id in (dead, due, dead)] == [True, False, False]
        outbox = (await rig.restart()).outbox
        assert (await outbox.dead(), await outbox.again(dead)) == ([], None)
        assert [one.id for one in await outbox.due("telegram")] == [due]

    play(steps)


def test_the_channels_that_have_undelivered_replies_are_known_and_how_many(play):
    async def steps(rig):
        outbox = rig.store.outbox
        dead, _ = await outbox.put(reply(text="dead")), await outbox.put(reply(text="due"))
        await outbox.sent(dead, dead=True)
        assert await outbox.channels() == {"telegram": 1}
        late = await outbox.put(reply(text="late"))
        await outbox.put(reply(text="elsewhere", to=Address("mail", "1")))
        await outbox.retry(late, 60.0)  # what rests is not delivered either
        assert list((await outbox.channels()).items()) == [("telegram", 2), ("mail", 1)]
        pending = Pending(rig.store, delivering=lambda: ["mail"])
        assert ((await pending.figures())["undelivered"], len(await pending.listed())) == (2, 3)  # with the dead one
        for channel in ("telegram", "mail"):
            for one, _ in await outbox.undelivered(channel):
                await outbox.sent(one.id)
        assert await (await rig.restart()).outbox.channels() == {}

    play(steps)


def test_what_did_not_end_is_counted_without_being_read_and_told_in_part(play):
    async def steps(rig):
        inbox, outbox = rig.store.inbox, rig.store.outbox
        ids = [(await inbox.accept(message(name), route(name))).id for name in ("1", "2", "3")]
        for id in ids[:2]:
            await inbox.settle(id, "parked", reply(), deliver=())
        lost = [await outbox.put(reply()) for _ in range(3)]
        for id in lost[:2]:
            await outbox.sent(id, dead=True)
        assert (await inbox.aside(), await outbox.given_up()) == (2, 2)
        assert [one.id for one in await inbox.parked(1)] == ids[:1]
        assert [one.id for one in await outbox.dead(1)] == lost[:1]
        await inbox.drop(ids[1])
        assert [getattr(await inbox.one(id), "id", None) for id in (*ids, "?")] == [ids[0], None, ids[2], None]
        assert (await inbox.aside(), await outbox.drop(lost[0]), await outbox.given_up()) == (1, True, 1)

    play(steps)
