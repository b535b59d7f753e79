"""The Discord channel's connection: lost, dead, refused; and what was written meanwhile."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings

import pytest

from doubles.discord_house import Kept, Stage, play
from doubles.discord_server import ANA, BOT, GENERAL, NADER, OPS, DiscordServer
from doubles.house import Hasty, until
from openclaw.channels import _discord_missed
from openclaw.channels.discord import _spawning
from openclaw.errors import CredentialsError, OpenClawError

ME = f"<@{BOT}>"


async def texts(stage: Stage, count: int) -> list[str]:
    return [message.text for message in await stage.posted(count)]


# ── what was missed ──────────────────────────────────────────────────────────────────────────────


def test_what_was_written_while_it_was_away_is_fetched_in_order_before_what_comes_live() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with Stage(server, notes=notes) as stage:
            server.say("first", channel=private)
            server.say(f"{ME} here")
            await stage.said(private, "You said: first")
            await stage.said(GENERAL, "You said: here")
        for n in range(130):
            server.say(f"n{n}", channel=private, missed=True)
        server.say("not for you", missed=True)
        server.say(f"{ME} meanwhile", missed=True)
        async with Stage(server, notes=notes) as stage:
            server.say("live", channel=private)
            found = await texts(stage, 132)
            assert [text for text in found if text != "meanwhile"] == [*(f"n{n}" for n in range(130)), "live"]
            assert found.count("meanwhile") == 1
        async with Stage(server, notes=notes) as stage:
            server.say("again", channel=private)
            assert await texts(stage, 1) == ["again"]

    play(scenario)


def test_a_message_that_a_crash_left_between_disk_and_position_is_posted_again_and_answered_once() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with Stage(server, notes=notes) as stage:
            server.say("first", channel=private)
            await stage.said(private, "You said: first")
        before = dict(notes.documents)
        async with Stage(server, notes=notes) as stage:
            desk = stage.desk
            server.say("second", channel=private)
            await stage.said(private, "You said: first", "You said: second")
        notes.documents = before  # the position was not written
        async with Stage(server, notes=notes, desk=desk) as stage:
            desk._send = stage.send
            server.say("third", channel=private)
            await stage.said(private, "You said: first", "You said: second", "You said: third")

    play(scenario)


def test_channels_of_servers_are_read_from_the_first_welcome_on() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes = Kept()
        server.say("long ago", channel=OPS, missed=True)
        server._channels[OPS]["last_message_id"] = server.messages[OPS][-1]["id"]
        async with Stage(server, notes=notes) as stage:
            server.say("hello", channel=server.direct(NADER))
            await stage.posted()
        missed = server.say(f"{ME} for the first time", channel=OPS, missed=True)
        server._channels[OPS]["last_message_id"] = missed
        async with Stage(server, notes=notes) as stage:
            assert await texts(stage, 1) == ["for the first time"]

    play(scenario)


def test_a_long_absence_is_cut_and_said(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private, most = Kept(), server.direct(NADER), _discord_missed.MISSED
        async with Stage(server, notes=notes) as stage:
            server.say("hello", channel=private)
            await stage.said(private, "You said: hello")
        for n in range(most + 5):
            server.say(f"n{n}", channel=private, missed=True)
        async with Stage(server, notes=notes) as stage:
            server.say("live", channel=private)
            await until(lambda: stage.desk.posted and stage.desk.posted[-1].text == "live", "the live message")
            *fetched, _ = await texts(stage, most)
            assert fetched == [f"n{n}" for n in range(len(fetched))]
            assert len(fetched) in (most - 1, most), "the bot's own answer may be one of those that are fetched"
            assert _discord_missed.CUT in [one["content"] for one in server.sent(private)]

    play(scenario)
    assert f"more than {_discord_missed.MISSED} messages were missed" in caplog.text


def test_positions_are_written_in_batches_and_a_stopping_runtime_leaves_messages_for_the_next_start() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with Stage(server, notes=notes) as stage:
            for n in range(30):
                server.say(f"n{n}", channel=private)
            await stage.posted(30)
            await stage.said(private, *(f"You said: n{n}" for n in range(30)))
        assert notes.writes < 15

    play(scenario)


def test_a_channel_that_cannot_be_read_for_a_moment_is_tried_again_and_one_that_is_gone_forgotten() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with Stage(server, notes=notes) as stage:
            server.say("first", channel=private)
            server.say("ana", channel=server.direct(ANA), by=ANA)
            await stage.posted(2)
        server.say("missed", channel=private, missed=True)
        server.fail("GET", f"/channels/{private}/messages", 503)
        server.fail("GET", f"/channels/{server.direct(ANA)}/messages", 403, code=50001)
        async with Stage(server, notes=notes, clock=Hasty()) as stage:
            assert await texts(stage, 1) == ["missed"]
            await until(lambda: server.direct(ANA) not in notes.documents["places"], "its end")

    play(scenario)


def test_work_that_is_given_up_before_it_began_is_closed_quietly() -> None:
    started: list[object] = []

    async def work() -> None:
        raise AssertionError("it does not begin")

    async def scene() -> None:
        async with asyncio.TaskGroup() as tasks:
            spawn = _spawning(tasks)
            started.append(spawn(work()))
            raise LookupError

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ExceptionGroup):
            asyncio.run(scene())
        gc.collect()
    assert len(started) == 1 and [str(one.message) for one in told] == []


# ── connections ──────────────────────────────────────────────────────────────────────────────────


def test_a_connection_that_is_cut_is_resumed_and_a_session_that_is_gone_begun_anew() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server, clock=Hasty()) as stage:
            private = server.direct(NADER)
            server.say("one", channel=private)
            await stage.posted()
            server.drop()
            server.say("two", channel=private)
            await stage.posted(2)
            server.reconnect()
            server.say("three", channel=private)
            await stage.posted(3)
            server.invalidate(False)
            server.say("four", channel=private, missed=True)
            assert await texts(stage, 4) == ["one", "two", "three", "four"]
            assert server.sessions == 2 and server.resumed >= 2 and stage.channel.pulse.reconnects >= 2

    play(scenario)


@pytest.mark.slow
def test_a_dead_connection_is_left_and_the_pulse_tells() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server, clock=Hasty()) as stage:
            private = server.direct(NADER)
            server.say("one", channel=private)
            await stage.posted()
            beats = stage.channel.pulse.received
            await until(lambda: stage.channel.pulse.received > beats + 1, "acknowledgements")
            resumed = server.resumed  # more than none where the machine stood still until now
            server.zombie()
            beats = stage.channel.pulse.received
            server.say("two", channel=private)
            assert await texts(stage, 2) == ["one", "two"]
            assert server.resumed > resumed and stage.channel.pulse.received > beats

    play(scenario)


def test_a_network_that_is_away_at_the_start_or_later_is_waited_for() -> None:
    async def scenario(server: DiscordServer) -> None:
        server.outage(True)
        stage = Stage(server, clock=Hasty())
        await stage.start()
        await until(lambda: stage.channel.pulse.trouble, "trouble")
        assert "cannot be reached" in stage.channel.pulse.trouble
        private = server.direct(NADER)
        server.outage(False)
        await until(lambda: server.sessions == 1, "a session")
        server.say("one", channel=private)
        await stage.said(private, "You said: one")
        server.outage(True)
        await until(lambda: stage.channel.pulse.trouble, "trouble")
        server.say("two", channel=private)
        server.outage(False)
        await stage.said(private, "You said: one", "You said: two")
        await stage.__aexit__()

    play(scenario)


def test_a_server_that_answers_with_errors_is_waited_for() -> None:
    async def scenario(server: DiscordServer) -> None:
        server.fail("GET", "/users/@me", 503, times=2)
        async with Stage(server, clock=Hasty()):
            assert len(server.made("GET", "/users/@me")) == 3

    play(scenario)


def test_a_refused_token_ends_the_channel_and_is_not_told() -> None:
    async def scenario(server: DiscordServer) -> None:
        with pytest.raises(CredentialsError) as refused:
            async with Stage(server, token="wrong.token"):
                pass
        assert "Reset Token" in str(refused.value) and "wrong.token" not in str(refused.value)

    play(scenario)


def test_a_token_that_is_revoked_while_it_runs_ends_the_channel() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            assert stage.task is not None
            server.token = "another"
            server.drop()
            with pytest.raises(CredentialsError):
                await asyncio.wait_for(asyncio.shield(stage.task), 30)

    play(scenario)


def test_a_missing_intent_ends_a_channel_that_needs_it_and_only_warns_one_that_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(server: DiscordServer) -> None:
        with pytest.raises(OpenClawError) as missing:
            async with Stage(server, groups="all", message_content=True):
                pass
        assert "Message Content Intent" in str(missing.value)
        async with Stage(server, message_content=True) as stage:
            server.say(f"{ME} hi")
            await stage.said(GENERAL, "You said: hi")

    play(scenario, message_content=False)
    assert "goes on without the message content intent" in caplog.text


def test_a_gateway_that_ends_every_connection_is_not_stormed() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            for _ in range(8):
                count = server.connections
                server.drop()
                await until(lambda count=count: server.connections > count or stage.channel.pulse.trouble, "a try")  # type: ignore[misc]
            assert server.connections <= 8

    play(scenario)


def test_it_stops_at_once_also_in_the_middle_of_work_and_when_nothing_answers() -> None:
    async def scenario(server: DiscordServer) -> None:
        for away in (False, True):
            async with Stage(server, clock=Hasty()) as stage:
                server.say("wait", channel=server.direct(NADER))
                await stage.posted()
                if away:
                    server.outage(True)
                assert stage.task is not None
                stage.task.cancel()
                done, _ = await asyncio.wait({stage.task}, timeout=20)
                assert done
        server.outage(False)

    play(scenario)


def test_the_token_stands_in_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(server: DiscordServer) -> None:
        async with Stage(server, clock=Hasty()) as stage:
            server.say("hello", channel=server.direct(NADER))
            await stage.posted()
            server.drop()
            await until(lambda: server.resumed, "RESUMED")
            server.fail("POST", "/channels/*/messages", 500, times=9)
            server.say("there", channel=server.direct(NADER))
            await stage.posted(2)
        assert server.token not in caplog.text and caplog.text

    play(scenario)
