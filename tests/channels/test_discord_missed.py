"""What Discord says once: nothing of it is lost, whatever comes between hearing it and having it on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from doubles.discord_house import Kept, Stage, play
from doubles.discord_server import ANA, BOT, GENERAL, NADER, OPS, DiscordServer
from doubles.house import Hasty, until
from openclaw.messages import Accepted, Address, Answered, Message, Refused

ME = f"<@{BOT}>"

Taken = Accepted | Answered | Refused


def never() -> Callable[[Message, Any], Coroutine[Any, Any, Taken]]:
    """Taking a message in that does not end: a large file, or a busy disk."""

    async def take(message: Message, watch: Any) -> Taken:
        await asyncio.Event().wait()
        raise AssertionError

    return take


async def known(server: DiscordServer, notes: Kept, *channels: tuple[str, str]) -> None:
    """A run in which people wrote in these channels, by their id and who wrote."""
    async with Stage(server, notes=notes) as stage:
        for number, (channel, by) in enumerate(channels, 1):
            server.say(f"{ME} before", channel=channel, by=by)
            await stage.posted(number)


async def heard(stage: Stage, *texts: str) -> None:
    await until(lambda: {one.text for one in stage.desk.posted} >= set(texts), f"{texts}")


def newest(server: DiscordServer, channel: str, id: str) -> None:
    """As the welcome tells it."""
    server._channels[channel]["last_message_id"] = id


def test_what_is_still_being_taken_in_is_fetched_after_a_crash_whatever_was_said_behind_it() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        await known(server, notes, (GENERAL, NADER), (private, NADER))
        async with Stage(server, notes=notes) as stage:
            stage.desk.take = never()
            server.say(f"{ME} important")
            await until(lambda: stage.desk.take is None, "the message")
            newest(server, GENERAL, server.say("among us"))
            server.say("elsewhere", channel=private)
            await heard(stage, "elsewhere")
            await stage.channel._places.flush()
            crashed = Kept()
            crashed.documents = dict(notes.documents)
        async with Stage(server, notes=crashed) as stage:
            await heard(stage, "important")

    play(scenario)


def test_what_a_stopping_runtime_did_not_take_is_fetched_at_the_next_start() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        await known(server, notes, (GENERAL, NADER))
        async with Stage(server, notes=notes) as stage:
            stage.desk.take = stopping
            server.say(f"{ME} important")
            await until(lambda: stage.desk.take is None, "the message")
            newest(server, GENERAL, server.say("among us"))
            server.say("elsewhere", channel=private)
            await heard(stage, "elsewhere")
        async with Stage(server, notes=notes) as stage:
            await heard(stage, "important")

    play(scenario)


async def stopping(message: Message, watch: Any) -> Taken:
    return Refused("stopping", "the runtime is stopping")


def test_the_first_private_message_that_a_stop_left_is_fetched() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with Stage(server, notes=notes) as stage:
            stage.desk.take = stopping
            server.say("important", channel=private)
            await until(lambda: private in notes.documents.get("places", ""), "the channel on disk")
        async with Stage(server, notes=notes) as stage:
            await heard(stage, "important")

    play(scenario)


def test_a_message_that_waits_for_what_was_missed_keeps_the_position_where_it_is() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        await known(server, notes, (GENERAL, NADER), (private, NADER))
        newest(server, GENERAL, server.say(f"{ME} missed", missed=True))
        server.fail("GET", f"/channels/{GENERAL}/messages", 503, times=30)
        async with Stage(server, notes=notes) as stage:
            server.say(f"{ME} live")
            newest(server, GENERAL, server.say("among us"))
            server.say("elsewhere", channel=private)
            await heard(stage, "elsewhere")
        server._failures.clear()
        async with Stage(server, notes=notes) as stage:
            await heard(stage, "missed", "live")
            assert [one.text for one in stage.desk.posted] == ["missed", "live"]

    play(scenario)


def test_another_welcome_in_the_middle_of_catching_up_loses_nothing() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        await known(server, notes, (private, NADER))
        for n in range(3):
            server.say(f"missed {n}", channel=private, missed=True)
        stage, gate = Stage(server, notes=notes, clock=Hasty()), asyncio.Event()
        real = stage.desk.__call__

        async def slow(message: Message, watch: Any) -> Taken:
            await gate.wait()
            return await real(message, watch)

        stage.desk.take = slow
        async with stage:
            await until(lambda: stage.desk.take is None, "the first message")
            before = server.sessions
            server.invalidate(False)
            await until(lambda: server.sessions > before, "another welcome")
            server.say("live", channel=private)
            gate.set()
            await heard(stage, "live")
            assert [one.text for one in stage.desk.posted] == ["missed 0", "missed 1", "missed 2", "live"]

    play(scenario)


def test_a_malformed_message_in_the_history_is_skipped_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private, anas = Kept(), server.direct(NADER), server.direct(ANA)
        await known(server, notes, (private, NADER), (anas, ANA))
        server.say("bad", channel=private, missed=True)
        server.messages[private][-1].update(attachments=[{"id": "1"}])
        server.say("good", channel=private, missed=True)
        server.say("of Ana", channel=anas, by=ANA, missed=True)
        async with Stage(server, notes=notes) as stage:
            server.say("live", channel=private)
            await heard(stage, "live", "of Ana")
            assert [one.text for one in stage.desk.posted if one.text != "of Ana"] == ["good", "live"]
            await stage.channel._places.flush()
        assert int(json.loads(notes.documents["places"])["channels"][private][0]) >= int(
            server.messages[private][-2]["id"]
        )

    play(scenario)
    assert "a malformed message" in caplog.text


def test_a_missed_message_that_takes_long_holds_up_its_own_channel_alone() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private, anas = Kept(), server.direct(NADER), server.direct(ANA)
        await known(server, notes, (private, NADER), (anas, ANA))
        server.say("large", channel=private, missed=True)
        stage = Stage(server, notes=notes)
        stage.desk.take = never()
        async with stage:
            await until(lambda: stage.desk.take is None, "the large one")
            server.say("behind it", channel=private)
            server.say("of Ana", channel=anas, by=ANA)
            server.say(f"{ME} in the server")
            await heard(stage, "of Ana", "in the server")
            assert "behind it" not in [one.text for one in stage.desk.posted]

    play(scenario)


def test_a_mention_in_a_thread_or_channel_that_is_new_since_the_last_run_is_fetched() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes = Kept()
        newest(server, OPS, server.say(f"{ME} long before", channel=OPS, missed=True))
        await known(server, notes, (GENERAL, NADER))
        fresh = server.open_thread("plans")
        newest(server, fresh, server.say(f"{ME} in a new thread", channel=fresh, missed=True))
        async with Stage(server, notes=notes) as stage:
            server.say(f"{ME} live")
            await heard(stage, "in a new thread", "live")
            assert "long before" not in [one.text for one in stage.desk.posted]

    play(scenario)


def test_a_message_that_cannot_be_taken_in_is_tried_at_the_next_start_and_then_given_up() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        await known(server, notes, (private, NADER))

        async def broken(message: Message, watch: Any) -> Taken:
            raise RuntimeError("something")

        for said in (True, False):
            stage = Stage(server, notes=notes)
            if not said:
                stage.desk.take = broken
            async with stage:
                if said:
                    server.say("at first", channel=private)
                    await heard(stage, "at first")
                    stage.desk.take = broken
                    server.say("poison", channel=private)
                await until(lambda stage=stage: stage.desk.take is None, "the message")  # type: ignore[misc]
                server.say("after it", channel=private)
                await heard(stage, "after it")
        async with Stage(server, notes=notes) as stage:
            server.say("the end", channel=private)
            await heard(stage, "the end")
            assert "poison" not in [one.text for one in stage.desk.posted]

    play(scenario)


def test_strangers_in_private_take_no_place_on_disk() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, strangers = Kept(), [str(700000000000005000 + n) for n in range(10)]
        async with Stage(server, notes=notes) as stage:
            for one in strangers:
                stage.desk.strangers.add(Address("discord", one))
                server.say("let me in", channel=server.direct(one), by=one)
            await until(lambda: len(stage.desk.waiting) == len(strangers), "every code")
            assert "places" not in notes.documents
            server.say("hello", channel=server.direct(NADER))
            await heard(stage, "hello")
        channels = json.loads(notes.documents["places"])["channels"]
        assert server.direct(NADER) in channels and not {server.direct(one) for one in strangers} & channels.keys()

    play(scenario)
