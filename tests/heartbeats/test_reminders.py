"""Reminders: when they are meant, where they go, who sees them, and that none of them is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw import moments
from openclaw.clock import ManualClock
from openclaw.errors import DiskFull, ToolError
from openclaw.manifest.snapshot import Agent, Channel, Heartbeat, Person, Room, Snapshot
from openclaw.messages import Address, Call
from openclaw.permissions.policy import Policy
from openclaw.ports import ChannelOptions, Marks
from openclaw.reminders import MARK, MOST, MOST_OF_ONE, Reminders
from openclaw.stores import files, volatile

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)  # a Friday, 13:00 in London
LONDON = ZoneInfo("Europe/London")

NADER = Person("nader", (Address("telegram", "7"), Address("discord", "70")), owner=True, timezone="Europe/London")
SARA = Person("sara", (Address("telegram", "8"), Address("discord", "80")), timezone="Asia/Tokyo")
MORNING = Heartbeat(
    "morning",
    ("30 7 * * *",),
    "look around",
    "main",
    "Europe/Berlin",
    deliver=(Address("telegram", "-5"),),
    notify=(Address("telegram", "7"),),
    topic="9",
    timeout=60.0,
    model="cheap",
    max_cost=0.1,
)


def agent(id: str) -> Agent:
    return Agent(id, id, "", "", "", "smart", (), "p")


SNAPSHOT = Snapshot(
    digest="",
    root="/p",
    agents={"main": agent("main"), "scout": agent("scout")},
    tools={},
    policies={"p": Policy("p")},
    channels={
        key: Channel(key, ChannelOptions(key, key, {"strangers": "pair"})) for key in ("repl", "telegram", "discord")
    },
    people={"nader": NADER, "sara": SARA},
    rooms={},
    heartbeats={"morning": MORNING, "silent": replace(MORNING, name="silent", deliver=())},
    models={},
)


def call(sender: str = "telegram:7", **more: Any) -> Call:
    return replace(Call("main", "agent:main:x", sender, Path("/w"), "c1"), **more)


class Desk:
    """Reminders on a store, with what a test turns: the clock and the manifests."""

    def __init__(self, marks: Marks, start: datetime = NOON) -> None:
        self.clock = ManualClock(start)
        self.snapshot = SNAPSHOT
        self.marks = marks
        self.changes = 0
        self.let_in = {Address("telegram", "99")}
        self.reminders = self.another()

    def another(self) -> Reminders:
        """As after a restart, before it is opened."""
        made = Reminders(self.marks, self.clock, lambda: self.snapshot)
        made.changed = self._changed
        made.paired = lambda sender: sender in self.let_in
        return made

    def _changed(self) -> None:
        self.changes += 1

    async def set(self, text: str = "drink water", by: Call | None = None, **when: Any) -> Heartbeat:
        """Sets one up; what it became."""
        before = set(self.reminders.heartbeats())
        await self.reminders.remind(text, by or call(), **(when or {"after": "10m"}))
        [name] = set(self.reminders.heartbeats()) - before
        return self.reminders.heartbeats()[name]

    async def listed(self, sender: str, **more: Any) -> list[str]:
        return [line.partition(":")[0] for line in await self.reminders.reminders(call(sender, **more))]


def desk(scene: Callable[[Desk], Coroutine[Any, Any, None]], start: datetime = NOON) -> None:
    async def run() -> None:
        here = Desk(volatile.Store("", ManualClock(start)).marks, start)
        await here.reminders.open()
        await scene(here)

    asyncio.run(run())


def refused(here: Desk, *, by: Call | None = None, text: str = "drink water", **when: Any) -> Coroutine[Any, Any, str]:
    """The words of the refusal."""

    async def run() -> str:
        with pytest.raises(ToolError) as error:
            await here.reminders.remind(text, by or call(), **when)
        return str(error.value)

    return run()


# ── when ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at", "meant"),
    [
        ("18:00", "2026-05-01T17:00+00:00"),
        ("18:00:30", "2026-05-01T17:00:30+00:00"),
        ("9:05", "2026-05-02T08:05+00:00"),  # it is past nine there already
        ("13:00", "2026-05-02T12:00+00:00"),  # that is now
        (" 2026-05-03 08:30 ", "2026-05-03T07:30+00:00"),
        ("2026-05-03T08:30", "2026-05-03T07:30+00:00"),
        ("2026-05-03T08:30+02:00", "2026-05-03T06:30+00:00"),
        ("2026-05-03T08:30Z", "2026-05-03T08:30+00:00"),
        ("2026-12-24 18:00", "2026-12-24T18:00+00:00"),  # the clocks have changed by then
    ],
)
def test_a_time_is_what_the_persons_clock_shows(at: str, meant: str) -> None:
    async def scene(here: Desk) -> None:
        beat = await here.set(at=at)
        assert (beat.once, beat.cron, beat.timezone) == (datetime.fromisoformat(meant), (), "Europe/London")

    desk(scene)


def test_somebody_without_a_zone_gets_utc_and_is_told_so() -> None:
    async def scene(here: Desk) -> None:
        said = await here.reminders.remind("drink water", call("telegram:99"), at="18:00")
        assert said == "reminder.1 is set for Friday 2026-05-01 18:00 (UTC): tell “drink water”."

    desk(scene)


def test_the_answer_names_the_time_there_and_says_whether_it_tells_or_does() -> None:
    async def scene(here: Desk) -> None:
        tell = await here.reminders.remind("drink water", call(), at="18:00")
        assert tell == "reminder.1 is set for Friday 2026-05-01 18:00 (Europe/London): tell “drink water”."
        do = await here.reminders.remind("read\nthe news", call("telegram:8"), after="1h30m", act=True)
        assert do == "reminder.2 is set for Friday 2026-05-01 22:30 (Asia/Tokyo): do “read the news”."
        again = await here.reminders.remind("stand up", call(), cron="0 9 * * 1-5")
        assert again == (
            "reminder.3 is set for Monday 2026-05-04 09:00 and then Tuesday 2026-05-05 09:00 (Europe/London), "
            "at 09:00, Monday to Friday: tell “stand up”."
        )

    desk(scene)


def test_a_schedule_over_a_change_of_the_clocks_keeps_to_the_clock_on_the_wall() -> None:
    async def scene(here: Desk) -> None:
        said = await here.reminders.remind("stand up", call(), cron="0 9 * * *")
        assert "Saturday 2026-10-24 09:00 and then Sunday 2026-10-25 09:00" in said

    desk(scene, datetime(2026, 10, 23, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"at": "2026-05-01 12:59"}, "`2026-05-01 12:59` is past: it is now Friday 2026-05-01 13:00 in Europe/London"),
        ({"at": "2026-05-01T12:00:00Z"}, "is past: it is now Friday 2026-05-01 13:00"),
        ({"at": "2026-05-02"}, "write 2026-05-02 09:00, for example"),
        ({"at": "tomorrow"}, "`tomorrow` is no time; write HH:MM"),
        ({"at": "25:00"}, "`25:00` is no time"),
        ({"at": "2027-03-28 01:30"}, "the clocks in Europe/London are put forward over `2027-03-28 01:30`"),
        ({"at": "2032-05-01 12:00"}, "more than five years ahead"),
        ({"at": "9999-12-31T23:59-05:00"}, "more than five years ahead"),
        ({"after": "2000d"}, "more than five years ahead"),
        ({"after": "999999999w"}, "more than five years ahead"),
        ({"after": "soon"}, "`soon` is no duration; write a duration such as 500ms, 30s, 10m, 1h30m or 3d"),
        ({"after": "0s"}, "`0s` is no duration"),
        ({"after": "-5m"}, "`-5m` is no duration"),
        ({"after": "30m 1h"}, "is no duration"),
        ({"cron": "61 * * * *"}, "`61` is no minute; write a number in 0-59"),
        ({"cron": "* * * * *"}, "`* * * * *` comes every 1 min; a reminder comes every 5 minutes at most"),
        ({"cron": "58 23,0 * * *"}, ""),
        ({"cron": "0,57 0,23 * * *"}, "comes every 3 min"),
        ({"cron": "*/5 * * * *", "act": True}, "a reminder that acts comes every 15 minutes at most"),
        ({"cron": "0 0 29 2 */6"}, "first comes more than five years ahead"),
        ({}, "in exactly one way"),
        ({"at": "18:00", "after": "1h"}, "in exactly one way"),
        ({"at": "18:00", "cron": "@daily", "after": "1h"}, "in exactly one way"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(when: dict[str, Any], words: str) -> None:
    async def scene(here: Desk) -> None:
        if words:
            assert words in await refused(here, **when)
            assert (await here.marks.get(MARK), here.changes) == ((None, 0), 0)
        else:
            assert (await here.set(**when)).cron == (when["cron"],)

    desk(scene)


def test_as_often_as_is_allowed_is_allowed() -> None:
    async def scene(here: Desk) -> None:
        assert (await here.set(cron="*/5 * * * *")).says
        assert not (await here.set(cron="*/15 * * * *", act=True)).says

    desk(scene)


def test_a_time_that_comes_twice_is_the_first_that_is_still_ahead() -> None:
    early, late = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    for text in ("01:30", "2026-10-25 01:30"):
        assert moments.at(text, early - timedelta(minutes=1), LONDON) == early
        assert moments.at(text, early, LONDON) == late
    assert moments.at("01:30", late, LONDON) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_time_of_the_day_that_is_skipped_comes_the_day_after() -> None:
    assert moments.at("01:30", datetime(2027, 3, 27, 12, tzinfo=UTC), LONDON) == datetime(
        2027, 3, 29, 0, 30, tzinfo=UTC
    )


@given(
    st.integers(0, 4 * 365 * 24 * 60).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.times().map(lambda time: time.replace(second=0, microsecond=0)),
    st.sampled_from(["Europe/London", "Australia/Lord_Howe", "Pacific/Chatham", "America/Santiago", "UTC"]),
)
def test_the_clock_there_shows_the_time_that_was_written_and_did_not_before(now: Any, time: Any, key: str) -> None:
    zone = ZoneInfo(key)
    found = moments.at(f"{time:%H:%M}", now, zone)
    assert now < found <= now + timedelta(hours=49)
    assert found.astimezone(zone).time() == time
    minutes = int((found - now) / timedelta(minutes=1))
    between = (found - timedelta(minutes=passed) for passed in range(1, minutes))
    assert not any(moment.astimezone(zone).time() == time for moment in between)


@given(
    st.tuples(*(st.integers(0, 40) for _ in range(5))).filter(any),
    st.sampled_from(["", " "]),
    st.booleans(),
    st.booleans(),
)
def test_a_while_may_be_in_the_words_of_whoever_asks(
    parts: tuple[int, ...], gap: str, words: bool, zeros: bool
) -> None:
    units = ("weeks", "days", "hours", "minutes", "seconds")
    text = " ".join(f"{n}{gap}{u if words else u[0]}" for n, u in zip(parts, units, strict=True) if n or zeros)
    meant = timedelta(**dict(zip(units, parts, strict=True)))
    assert moments.after(text, NOON) == NOON + meant


@pytest.mark.parametrize("text", ["1h30m", "1H 30M", "1 hour and 30 minutes", "1 hr, 30 mins", " 1hour30 min "])
def test_words_mean_what_the_letters_mean(text: str) -> None:
    assert moments.after(text, NOON) == NOON + timedelta(hours=1, minutes=30)


@pytest.mark.parametrize("text", ["0h30m", "0 hours 30 minutes", "30m 0s", "030 minutes", "00h 30m"])
def test_zeros_in_a_while_are_what_they_say(text: str) -> None:
    assert moments.after(text, NOON) == NOON + timedelta(minutes=30)


@pytest.mark.parametrize(
    "text", ["10m s", "10 minutes s", "10 min, s", "10 mins and s", "1h 10 m s", "0s", "2 hours and 30"]
)
def test_a_while_with_a_part_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        moments.after(text, NOON)


@pytest.mark.parametrize("text", ["1" * 100_000, "1h" * 50_000, "1m" + " " * 100_000 + "x", "1 s, " * 20_000])
def test_a_while_of_any_length_is_refused_at_once(text: str) -> None:
    """Work that grew with the square of the length would run into the time limit of all tests here."""
    with pytest.raises(ValueError, match="is no duration"):
        moments.after(text, NOON)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_refusal(text: str) -> None:
    reads: Sequence[Callable[[], datetime]] = (
        lambda: moments.after(text, NOON),
        lambda: moments.at(text, NOON, LONDON),
    )
    for read in reads:
        try:
            assert NOON < read() <= NOON + moments.FURTHEST
        except ValueError as error:
            assert "write" in str(error) or "is past" in str(error)


def test_a_while_never_ends_early() -> None:
    now = NOON + timedelta(microseconds=1)
    assert moments.after("1s", now) == NOON + timedelta(seconds=2)


# ── what, and where it goes ──────────────────────────────────────────────────────────────────────


def test_in_private_it_goes_to_the_person_and_in_a_group_to_its_topic() -> None:
    async def scene(here: Desk) -> None:
        private = await here.set()
        assert private == Heartbeat(
            name="reminder.1",
            cron=(),
            prompt="drink water",
            agent="main",
            timezone="Europe/London",
            deliver=(Address("telegram", "7"),),
            notify=(Address("telegram", "7"),),
            once=NOON + timedelta(minutes=10),
            says=True,
            asked_by=Address("telegram", "7"),
        )
        group = await here.set(by=call(agent="scout", chat="-5", topic="9"), act=True, after="1h")
        assert (group.deliver, group.topic, group.agent) == ((Address("telegram", "-5"),), "9", "scout")
        assert (group.notify, group.says) == ((Address("telegram", "7"),), False)

    desk(scene)


def test_one_that_a_heartbeat_sets_up_goes_where_that_goes_and_keeps_to_its_limits() -> None:
    async def scene(here: Desk) -> None:
        by = call("cron:morning", session="cron:morning")
        beat = await here.set(by=by, at="18:00", act=True)
        assert beat.once == datetime(2026, 5, 1, 16, tzinfo=UTC)
        assert (beat.deliver, beat.topic, beat.notify) == (MORNING.deliver, MORNING.topic, MORNING.notify)
        assert (beat.model, beat.timeout, beat.max_cost) == ("cheap", 60.0, 0.1)
        assert beat.asked_by == Address("cron", "morning")

    desk(scene)


def test_a_heartbeat_that_delivers_nowhere_can_tell_nobody_but_act() -> None:
    async def scene(here: Desk) -> None:
        by = call("cron:silent", session="cron:silent")
        assert "heartbeat silent delivers nowhere" in await refused(here, by=by, after="1h")
        assert (await here.set(by=by, after="1h", act=True)).deliver == ()
        assert "no heartbeat gone any more" in await refused(here, by=call("cron:gone"), after="1h")

    desk(scene)


@pytest.mark.parametrize("by", [call("cron:reminder.1"), call("telegram:7", session="cron:reminder.1")])
def test_a_reminder_sets_no_reminder(by: Call) -> None:
    async def scene(here: Desk) -> None:
        assert "a reminder sets no reminder" in await refused(here, by=by, after="1h")

    desk(scene)


def test_the_text_is_kept_word_for_word_within_bounds() -> None:
    async def scene(here: Desk) -> None:
        assert (await here.set("  two\nlines ")).prompt == "two\nlines"
        assert (await here.set("x" * 2000)).prompt == "x" * 2000
        assert (await here.set("half \ud800")).prompt == "half ?"
        assert "the text is empty" in await refused(here, text=" \n", after="1h")
        assert "at most 2,000 characters, this one has 2,001" in await refused(here, text="x" * 2001, after="1h")

    desk(scene)


# ── who sees them ────────────────────────────────────────────────────────────────────────────────


def test_a_person_sees_their_own_from_every_address_and_the_owner_all() -> None:
    async def scene(here: Desk) -> None:
        await here.set(by=call("telegram:8"))
        await here.set(by=call("telegram:99"))
        await here.set(by=call("cron:morning"))
        assert await here.listed("discord:80") == ["reminder.1"]
        assert await here.listed("telegram:99") == ["reminder.2"]
        assert await here.listed("telegram:100") == []
        assert await here.listed("cron:morning") == ["reminder.3"]
        assert await here.listed("repl:local") == ["reminder.1", "reminder.2", "reminder.3"]
        lines = await here.reminders.reminders(call("discord:70"))
        assert lines == [
            "reminder.1: Friday 2026-05-01 21:10 (Asia/Tokyo): tell “drink water” (asked for by sara)",
            "reminder.2: Friday 2026-05-01 12:10 (UTC): tell “drink water” (asked for by telegram:99)",
            "reminder.3: Friday 2026-05-01 14:10 (Europe/Berlin): tell “drink water” (asked for by cron:morning)",
        ]

    desk(scene)


def test_in_a_group_an_owner_sees_what_goes_there_and_not_what_is_private_to_others() -> None:
    async def scene(here: Desk) -> None:
        await here.set(by=call("telegram:8"))
        await here.set(by=call("telegram:8", chat="-5"))
        await here.set(by=call("telegram:7"))
        assert await here.listed("telegram:7", chat="-5") == ["reminder.2", "reminder.3"]
        assert await here.listed("telegram:7", chat="-6") == ["reminder.3"]

    desk(scene)


def test_one_is_cancelled_by_whoever_sees_it_and_by_nobody_else() -> None:
    async def scene(here: Desk) -> None:
        await here.set(by=call("telegram:8"))
        for name, by in (("reminder.1", "telegram:99"), ("reminder.2", "telegram:8"), ("morning", "telegram:7")):
            with pytest.raises(ToolError, match=f"there is no reminder `{name}` here; reminder_list"):
                await here.reminders.unremind(name, call(by))
        assert here.changes == 1
        said = await here.reminders.unremind("1", call("discord:80"))
        assert said == "reminder.1 is cancelled; it was to tell “drink water”."
        assert (here.reminders.heartbeats(), here.changes) == ({}, 2)
        assert (await here.set(by=call("telegram:8"))).name == "reminder.2"  # no name comes twice
        await here.reminders.unremind("reminder.2", call("telegram:7"))

    desk(scene)


def test_each_person_has_so_many_and_all_together_so_many() -> None:
    async def scene(here: Desk) -> None:
        for number in range(MOST_OF_ONE):
            await here.reminders.remind("x", call(f"{'telegram:8' if number % 2 else 'discord:80'}"), after="1h")
        words = await refused(here, by=call("telegram:8"), after="1h")
        assert words == "one person has at most 50 reminders; cancel some first (reminder_list shows them)"
        document, version = await here.marks.get(MARK)
        entry = document["reminders"]["reminder.1"]
        others = {f"reminder.{n}": {**entry, "asked_by": f"telegram:{n}", "person": None} for n in range(51, MOST + 1)}
        document["reminders"] |= others
        assert await here.marks.put(MARK, document, version)
        assert "there are 200 reminders" in await refused(here, by=call("telegram:7"), after="1h")
        await here.reminders.unremind("reminder.1", call("telegram:8"))
        assert "reminder.201 is set" in await here.reminders.remind("x", call("telegram:7"), after="1h")

    desk(scene)


# ── how long they last ───────────────────────────────────────────────────────────────────────────


def test_what_comes_once_is_over_when_it_was_fired_and_what_repeats_is_not() -> None:
    async def scene(here: Desk) -> None:
        await here.set(after="10m")
        await here.set(cron="@daily")
        await here.reminders.fired("reminder.1")
        await here.reminders.fired("reminder.2")
        await here.reminders.fired("reminder.7")
        assert (list(here.reminders.heartbeats()), here.changes) == (["reminder.2"], 3)

    desk(scene)


def test_a_person_may_delete_any() -> None:
    async def scene(here: Desk) -> None:
        await here.set()
        assert await here.reminders.delete("reminder.1")
        assert not await here.reminders.delete("reminder.1")
        assert here.changes == 2

    desk(scene)


def test_one_rests_while_what_it_needs_is_gone() -> None:
    async def scene(here: Desk) -> None:
        await here.set(by=call("telegram:8", agent="scout"))
        await here.set(by=call("telegram:99"))
        await here.set(by=call("cron:morning"))
        able = here.reminders.heartbeats
        everything = able()
        assert able() is everything  # nothing to plan anew

        here.snapshot = replace(SNAPSHOT, agents={"main": agent("main")})
        assert list(able()) == ["reminder.2", "reminder.3"]
        [line, *_] = await here.reminders.reminders(call("telegram:7"))
        assert line.endswith("(rests: there is no agent scout any more)")
        here.snapshot = replace(SNAPSHOT, people={"nader": NADER})
        assert list(able()) == ["reminder.2", "reminder.3"]
        here.snapshot = replace(SNAPSHOT, people={"nader": NADER, "zara": replace(SARA, name="zara")})
        assert len(able()) == 3  # who has the address is still somebody
        here.snapshot = replace(SNAPSHOT, heartbeats={"morning": replace(MORNING, enabled=False)})
        assert list(able()) == ["reminder.1", "reminder.2"]
        here.snapshot = replace(SNAPSHOT, heartbeats={})
        assert list(able()) == ["reminder.1", "reminder.2"]
        here.snapshot = SNAPSHOT
        assert able() == everything

    desk(scene)


def test_a_restart_keeps_them(tmp_path: Path) -> None:
    async def scene() -> None:
        store = files.Store(str(tmp_path), ManualClock(NOON))
        await store.open()
        here = Desk(store.marks)
        await here.reminders.open()
        await here.set(at="18:00")
        await here.set("look", call("telegram:8", chat="-5", topic="9"), cron="0 9 * * *", act=True)
        before = here.reminders.heartbeats()
        await store.close()

        store = files.Store(str(tmp_path), ManualClock(NOON))
        await store.open()
        after = Desk(store.marks)
        await after.reminders.open()
        assert after.reminders.heartbeats() == before
        assert (await after.set()).name == "reminder.3"
        await store.close()

    asyncio.run(scene())


class Contested(volatile.Marks):
    """Another writer is faster, so many times."""

    times = 0

    async def put(self, name: str, document: Any, version: int) -> bool:
        if self.times:
            self.times -= 1
            found, at = await self.get(name)
            number = found["next"]
            found["reminders"][f"reminder.{number}"] = {**found["reminders"]["reminder.1"], "text": "theirs"}
            assert await super().put(name, {**found, "next": number + 1}, at)
        return await super().put(name, document, version)


class Crowded(volatile.Marks):
    """On a disk that may be full."""

    full = False

    async def put(self, name: str, document: Any, version: int) -> bool:
        if self.full:
            raise DiskFull("the disk is full")
        return await super().put(name, document, version)


def test_a_full_disk_is_told_to_an_agent_and_waited_for_where_nobody_asks() -> None:
    async def scene() -> None:
        marks = Crowded(volatile.Store("", ManualClock(NOON)).inbox)
        here = Desk(marks)
        await here.reminders.open()
        await here.set()
        marks.full = True
        assert await refused(here, after="1h") == "the disk is full"
        with pytest.raises(ToolError, match="the disk is full"):
            await here.reminders.unremind("reminder.1", call())
        with pytest.raises(DiskFull):  # a person is told by whatever they asked
            await here.reminders.delete("reminder.1")
        firing = asyncio.create_task(here.reminders.fired("reminder.1"))
        await here.clock.advance(10)
        assert not firing.done() and list(here.reminders.heartbeats()) == ["reminder.1"]
        marks.full = False
        await here.clock.advance(2)
        await firing
        assert not here.reminders.heartbeats()

    asyncio.run(scene())


def test_two_writers_lose_nothing() -> None:
    async def scene() -> None:
        marks = Contested(volatile.Store("", ManualClock(NOON)).inbox)
        here = Desk(marks)
        await here.reminders.open()
        await here.set("first")
        marks.times = 3
        said = await here.reminders.remind("ours", call(), after="1h")
        assert said.startswith("reminder.5 is set")
        texts = {name: beat.prompt for name, beat in here.reminders.heartbeats().items()}
        assert list(texts.values()) == ["first", "theirs", "theirs", "theirs", "ours"]
        assert here.changes == 2

    asyncio.run(scene())


def test_many_at_once_each_get_a_name_of_their_own() -> None:
    async def scene(here: Desk) -> None:
        await asyncio.gather(*(here.reminders.remind(str(n), call(), after="1h") for n in range(20)))
        beats = here.reminders.heartbeats()
        assert (len(beats), {beat.prompt for beat in beats.values()}) == (20, {str(n) for n in range(20)})

    desk(scene)


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        "text",
        {},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../x"},
        {"timezone": "Europe"},
        {"once": "2026-05-01T18:00:00"},
        {"once": None},
        {"once": 5},
        {"cron": "61 * * * *", "once": None},
        {"deliver": None},
        {"deliver": ["nobody"]},
        {"asked_by": "nobody"},
    ],
)
def test_one_that_cannot_be_read_costs_no_other_and_stays_as_it_is(damage: Any) -> None:
    async def scene(here: Desk) -> None:
        await here.set()
        document, version = await here.marks.get(MARK)
        good = document["reminders"]["reminder.1"]
        bad = {**good, **damage} if isinstance(damage, dict) and damage else damage
        await here.marks.put(MARK, {"next": "?", "reminders": {"reminder.7": bad, "reminder.1": good}}, version)
        after = here.reminders = here.another()
        await after.open()
        assert list(after.heartbeats()) == ["reminder.1"]
        assert (await here.set()).name == "reminder.8"
        assert (await here.marks.get(MARK))[0]["reminders"]["reminder.7"] == bad
        assert (await after.reminders(call()))[-1] == "reminder.7 cannot be read"
        assert await here.listed("telegram:8") == []
        with pytest.raises(ToolError, match="there is no reminder"):
            await after.unremind("reminder.7", call("telegram:8"))
        assert await after.unremind("reminder.7", call()) == "reminder.7 is cancelled."

    desk(scene)


@pytest.mark.parametrize("document", [[], "text", {"next": 3}, {"reminders": []}])
def test_a_document_that_is_none_stays_and_nothing_is_set_up(document: Any) -> None:
    async def scene(here: Desk) -> None:
        await here.marks.put(MARK, document, 0)
        await here.reminders.open()
        assert here.reminders.heartbeats() == {}
        assert "cannot be read, so nothing was changed" in await refused(here, after="1h")
        assert (await here.marks.get(MARK))[0] == document

    desk(scene)


def test_a_reminder_that_acts_sees_only_what_goes_where_its_own_reply_goes() -> None:
    async def scene(here: Desk) -> None:
        group = call(chat="-5")
        acting = await here.set("tidy up", by=group, after="1h", act=True)
        beside = await here.set("to the group", by=group)
        private = await here.set("for me alone")
        secret = await here.set("secret of sara", by=call("telegram:8"))
        run = call(session=f"cron:{acting.name}")
        assert await here.listed("telegram:7") == [acting.name, beside.name, private.name, secret.name]
        assert await here.listed("telegram:7", session=run.session) == [acting.name, beside.name]
        for hidden in (private, secret):
            with pytest.raises(ToolError, match="there is no reminder"):
                await here.reminders.unremind(hidden.name, run)
        assert "is cancelled" in await here.reminders.unremind(beside.name, run)
        assert await here.listed("telegram:7") == [acting.name, private.name, secret.name]

    desk(scene)


def with_channel(**change: Any) -> Snapshot:
    channel = replace(SNAPSHOT.channels["telegram"], **change)
    return replace(SNAPSHOT, channels={**SNAPSHOT.channels, "telegram": channel})


def test_one_rests_while_whoever_asked_for_it_could_not_ask_any_more() -> None:
    async def scene(here: Desk) -> None:
        await here.set(by=call("telegram:99"))
        await here.set(by=call("telegram:8", chat="-5"))
        await here.set(by=call("discord:80"))
        able = here.reminders.heartbeats

        async def rests() -> dict[str, str]:
            lines = [line for line in await here.reminders.reminders(call("repl:local")) if "(rests: " in line]
            assert len(lines) + len(able()) == 3
            return {line.partition(":")[0][-1]: line.partition("(rests: ")[2].removesuffix(")") for line in lines}

        assert await rests() == {}
        here.let_in.clear()
        assert await rests() == {"1": "telegram:99 may not ask here any more"}
        here.let_in.add(Address("telegram", "99"))
        here.snapshot = with_channel(allow=())
        assert await rests() == {n: f"telegram:{id} may not ask here any more" for n, id in (("1", "99"), ("2", "8"))}
        here.snapshot = with_channel(skipped="`${BOT}` has no value")
        off = "channel telegram takes no part: `${BOT}` has no value"
        assert await rests() == {"1": off, "2": off}
        here.snapshot = replace(SNAPSHOT, channels={"repl": SNAPSHOT.channels["repl"]})
        assert list(await rests()) == ["1", "2", "3"]
        here.snapshot = with_channel(agents=("scout",))
        assert await rests() == dict.fromkeys("12", "agent `main` does not answer here")
        here.snapshot = replace(SNAPSHOT, rooms={"ops": Room("ops", Address("telegram", "-5"), agents=("scout",))})
        assert await rests() == {"2": "agent `main` does not answer here"}
        here.snapshot = SNAPSHOT
        assert await rests() == {}

    desk(scene)
