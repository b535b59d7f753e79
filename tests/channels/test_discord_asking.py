"""Questions on Discord as cards, who may answer them, and slash commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from doubles.discord_house import Kept, Stage, play
from doubles.discord_server import ANA, BOT, GENERAL, NADER, OPS, TALK, DiscordServer
from doubles.house import Hasty, until
from openclaw.errors import StorageFailed
from openclaw.messages import Address

ME = f"<@{BOT}>"
ALLOWED = "**Allowed once** by Nader."


@asynccontextmanager
async def staged(server: DiscordServer, *approvers: str, **more: Any) -> AsyncIterator[Stage]:
    async with Stage(server, **more) as stage:
        stage.desk.approvers = tuple(f"discord:{one}" for one in approvers)
        yield stage


def follow_ups(server: DiscordServer, press: str) -> list[str]:
    return [one["content"] for one in server.interactions[press].follow_ups]


def test_a_question_is_put_as_a_card_and_answered_by_the_right_person() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER) as stage:
            private = server.direct(NADER)
            server.say("ask rm -r old", channel=private)
            card = await stage.card(private)
            buttons = [(b["label"], b["custom_id"]) for b in card["components"][0]["components"]]
            assert [label for label, _ in buttons] == ["Allow once", "Always allow", "Deny"]
            assert all("rm" not in id and len(id) <= 100 for _, id in buttons)
            assert "rm -r old" in card["content"] and "/home/ana/work" in card["content"]
            press = server.press(card["id"], "Allow once")
            await until(lambda: server.sent(private)[-1]["content"] == "The answer was allow-once.", "the answer")
            assert stage.desk.answers == [("m1-approval", "allow-once", Address("discord", NADER))]
            await until(lambda: server.sent(private)[0]["content"].endswith(ALLOWED), "the outcome on the card")
            assert server.sent(private)[0]["components"] == []
            assert [answer["type"] for answer in server.interactions[press].answers] == [6]
            assert follow_ups(server, press) == []

    play(scenario)


def test_whoever_may_not_answer_is_told_unseen_and_the_card_stays() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER) as stage:
            server.say(f"{ME} ask deploy", channel=TALK)
            card = await stage.card(TALK)
            press = server.press(card["id"], "Allow once", by=ANA)
            await until(lambda: follow_ups(server, press), "the refusal")
            assert follow_ups(server, press) == ["This is not yours to answer."]
            assert server.interactions[press].follow_ups[0]["flags"] & 64
            assert (await stage.card(TALK))["components"] and stage.desk.answers == []
            server.press(card["id"], "Allow once", by=NADER)
            await until(lambda: stage.desk.answers, "the answer")

    play(scenario)


def test_a_button_counts_once_and_only_where_it_was_put() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER) as stage:
            private = server.direct(NADER)
            server.say("ask deploy", channel=private)
            card = await stage.card(private)
            elsewhere = server.press(card["id"], "Deny", channel=OPS)
            await until(lambda: follow_ups(server, elsewhere), "the refusal")
            forged = server.press(card["id"], "made-up:0")
            await until(lambda: follow_ups(server, forged), "the refusal")
            id = card["components"][0]["components"][0]["custom_id"]
            server.press(card["id"], "Allow once")
            await until(lambda: stage.desk.answers, "the answer")
            await until(lambda: server.sent(private)[0]["components"] == [], "the end of the card")
            late = server.press(card["id"], id)
            await until(lambda: follow_ups(server, late), "the refusal")
            assert follow_ups(server, elsewhere) == ["This button belongs to another message."]
            assert follow_ups(server, forged) == follow_ups(server, late) == ["This question is not open any more."]
            assert len(stage.desk.answers) == 1

    play(scenario)


def test_an_answer_that_does_not_fit_on_the_disk_is_told_and_may_be_given_again() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER) as stage:
            private = server.direct(NADER)
            server.say("full deploy", channel=private)
            card = await stage.card(private)
            press = server.press(card["id"], "Always allow")
            await until(lambda: follow_ups(server, press), "why it does not count")
            assert follow_ups(server, press) == ["the disk is full"]
            server.press(card["id"], "Allow once")
            await until(lambda: server.sent(private)[0]["content"].endswith(ALLOWED), "the outcome on the card")

    play(scenario)


def test_who_may_not_answer_is_not_asked_and_every_approver_is_in_private() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER, "700000000000000009") as stage:
            server.say(f"{ME} ask deploy", by=ANA)
            card = await stage.card(server.direct(NADER))
            other = await stage.card(server.direct("700000000000000009"))
            await until(lambda: server.sent(GENERAL), "a word about it")
            [waiting] = server.sent(GENERAL)
            assert waiting["content"].startswith("Waiting for somebody's approval.") and not waiting["components"]
            server.press(card["id"], "Deny")
            await stage.said(GENERAL, "The answer was deny.")
            await until(lambda: not server.sent(server.direct("700000000000000009"))[0]["components"], "its end")
            ended = server.sent(server.direct("700000000000000009"))[0]
            assert ended["id"] == other["id"] and ended["content"].endswith("**Denied** by Nader.")

    play(scenario)


def test_a_card_outlives_a_restart_and_answers_the_question_asked_again() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with staged(server, NADER, notes=notes) as stage:
            server.say("ask deploy", channel=private)
            card = await stage.card(private)
            await until(lambda: "cards" in notes.documents, "the card on disk")
        async with staged(server, NADER, notes=notes) as stage:
            early = server.press(card["id"], "Allow once")
            await until(lambda: server.interactions[early].answers, "the press")
            assert stage.desk.answers == []
            server.say("ask deploy", channel=private)
            await until(lambda: stage.desk.answers, "the answer")
            await until(lambda: server.sent(private)[-1]["content"] == "The answer was allow-once.", "the answer")
            await until(lambda: server.sent(private)[0]["content"].endswith(ALLOWED), "the outcome on the card")
            cards = [one for one in server.sent(private) if "asks to run" in one["content"]]
            assert [one["id"] for one in cards] == [card["id"]]

    play(scenario)


def test_a_card_that_was_deleted_meanwhile_is_put_up_anew() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with staged(server, NADER, notes=notes) as stage:
            server.say("ask deploy", channel=private)
            await stage.card(private)
            await until(lambda: "cards" in notes.documents, "the card on disk")
        server.messages[private].clear()
        async with staged(server, NADER, notes=notes) as stage:
            server.say("ask deploy", channel=private)
            card = await stage.card(private)
            await until(lambda: card["id"] in notes.documents["cards"], "the new card on disk")
            assert len(json.loads(notes.documents["cards"])) == 1
            server.press(card["id"], "Allow once")
            await until(lambda: stage.desk.answers, "the answer")

    play(scenario)


def test_a_disk_that_refuses_a_card_ends_the_channel() -> None:
    class Full(Kept):
        async def put(self, name: str, document: Any) -> None:
            if name == "cards":
                raise StorageFailed("the disk is full")
            await super().put(name, document)

    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER, notes=Full()) as stage:
            server.say("ask deploy", channel=server.direct(NADER))
            assert stage.task is not None
            with pytest.raises(StorageFailed):
                await asyncio.wait_for(asyncio.shield(stage.task), 30)

    play(scenario)


def test_a_card_whose_question_is_never_asked_again_says_so_when_it_is_pressed() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes, private = Kept(), server.direct(NADER)
        async with staged(server, NADER, notes=notes) as stage:
            server.say("ask deploy", channel=private)
            card = await stage.card(private)
            await until(lambda: "cards" in notes.documents, "the card on disk")
        async with staged(server, NADER, notes=notes, clock=Hasty()):
            press = server.press(card["id"], "Allow once")
            await until(lambda: follow_ups(server, press), "the refusal")
            assert follow_ups(server, press) == ["This question is not open any more."]
            await until(lambda: server.sent(private)[0]["components"] == [], "the end of the card")

    play(scenario)


def test_a_card_shows_the_whole_call_and_cannot_be_broken_out_of() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER) as stage:
            private = server.direct(NADER)
            stage.desk.lines = ("echo", "```", "# not a heading", *(f"argument {n}" for n in range(900)), "the end")
            server.say("ask long", channel=private)
            card = await stage.card(private)
            before = [one["content"] for one in server.sent(private)]
            whole = "\n".join(before)
            assert all(f"argument {n}" in whole for n in range(900)) and "the end" in card["content"]
            assert "\\`\\`\\`" in before[0] and all(text.count("```") % 2 == 0 for text in before)

    play(scenario)


def test_a_press_that_the_service_gave_up_on_counts_all_the_same() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with staged(server, NADER) as stage:
            private = server.direct(NADER)
            server.say("ask deploy", channel=private)
            card = await stage.card(private)
            server.fail("POST", "/interactions/*", 404, code=10062)
            server.press(card["id"], "Allow once")
            await until(lambda: stage.desk.answers, "the answer")
            await until(lambda: server.sent(private)[0]["content"].endswith(ALLOWED), "the end of the card")

    play(scenario)


def test_a_question_waits_for_the_connection_and_is_put_once_it_is_there() -> None:
    async def scenario(server: DiscordServer) -> None:
        private = server.direct(NADER)
        async with staged(server, NADER, clock=Hasty()) as stage:
            server.fail("POST", f"/channels/{private}/messages", 503, times=2)
            server.limit("POST", f"/channels/{private}/messages", 8)
            server.say("ask deploy", channel=private)
            card = await stage.card(private)
            server.press(card["id"], "Deny")
            await until(lambda: stage.desk.answers, "the answer")

    play(scenario)


# ── slash commands ───────────────────────────────────────────────────────────────────────────────


def test_slash_commands_are_registered_when_the_table_has_changed_and_not_again() -> None:
    async def scenario(server: DiscordServer) -> None:
        notes = Kept()
        async with Stage(server, notes=notes):
            await until(lambda: "commands" in notes.documents, "the table")
        by_name = {one["name"]: one for one in server.commands}
        assert list(by_name) == ["help", "agent", "research"]
        assert by_name["help"]["options"] == [] and by_name["research"]["options"][0]["required"]
        assert [o["name"] for o in by_name["agent"]["options"]] == ["name"]
        async with Stage(server, notes=notes) as stage:
            server.say("hello", channel=server.direct(NADER))
            await stage.said(server.direct(NADER), "You said: hello")
        assert len(server.made("PUT", "/applications/*/commands")) == 1
        notes.documents["commands"] = '"another table"'
        async with Stage(server, notes=notes):
            await until(lambda: len(server.made("PUT", "/applications/*/commands")) == 2, "the table again")

    play(scenario)


def test_a_command_that_acts_at_once_is_answered_unseen_and_one_that_queues_for_all() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server) as stage:
            at_once = server.command("help", channel=GENERAL)
            await until(lambda: server.interactions[at_once].edits, "help")
            one = server.interactions[at_once]
            assert one.answers == [{"type": 5, "data": {"flags": 64}}]
            assert one.edits[0]["content"] == "Type anything.\nThis desk echoes it."
            assert server.sent(GENERAL) == []
            queued = server.command("research", {"text": "who wrote X"}, channel=TALK)
            await until(lambda: server.interactions[queued].edits, "the answer")
            [message] = stage.desk.posted
            assert (message.id, message.text) == (queued, "/research who wrote X")
            assert (message.chat, message.topic, str(message.sender)) == (GENERAL, TALK, f"discord:{NADER}")
            await stage.said(TALK, "You said: /research who wrote X")
            assert server.interactions[queued].answers == [{"type": 5}]

    play(scenario)


def test_a_stranger_and_a_refused_command_are_answered_unseen() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server, groups="off") as stage:
            stage.desk.strangers.add(Address("discord", ANA))
            private = server.command("research", {"text": "x"}, by=ANA, channel=server.direct(ANA))
            public = server.command("research", {"text": "x"}, by=NADER, channel=GENERAL)
            expected = {private: "I do not know you yet. Your code is CODE2222.", public: "I am not at work"}
            for used, words in expected.items():
                await until(lambda used=used: server.interactions[used].answers, "an answer")  # type: ignore[misc]
                [answer] = server.interactions[used].answers
                assert answer["type"] == 4 and answer["data"]["flags"] & 64
                assert answer["data"]["content"].startswith(words)
            assert stage.desk.posted == []

    play(scenario)


def test_an_answer_to_a_command_that_the_service_gave_up_on_comes_as_a_message() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Stage(server):
            server.fail("POST", "/interactions/*", 404, code=10062)
            server.command("research", {"text": "x"}, channel=GENERAL)
            await stage_said(server, GENERAL, "You said: /research x")
            server.fail("POST", "/interactions/*", 404, code=10062)
            server.command("help", channel=OPS)
            await stage_said(server, OPS, "Type anything.\nThis desk echoes it.")

    play(scenario)


async def stage_said(server: DiscordServer, channel: str, text: str) -> None:
    await until(lambda: [one["content"] for one in server.sent(channel)] == [text], text)
