"""Telegram, asking: cards with buttons, who may press them, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from doubles.desk import Desk
from doubles.house import Hasty, until
from doubles.telegram_house import ANA, BEN, FORUM, GROUP, Notes, answered, channel, play, quiet, working
from doubles.telegram_people import BOT_NAME, Update
from doubles.telegram_server import TelegramServer
from openclaw.channels._cards import AGAIN, patience
from openclaw.channels.telegram import Channel
from openclaw.clock import SystemClock
from openclaw.errors import StorageFailed
from openclaw.messages import Address, Answer
from openclaw.retiring import ENDING

NADER = 9


def asking(*approvers: int) -> Desk:
    """A desk whose questions these people may answer."""
    desk = Desk()
    desk.approvers = tuple(f"telegram:{one}" for one in approvers)
    return desk


async def card(server: TelegramServer, chat: int) -> Update:
    """The message with buttons that stands in a chat."""
    found: Update = await until(
        lambda: next((m for m in server.sent(chat) if m.get("reply_markup")), None), f"a card in {chat}"
    )
    return found


async def pressed(
    server: TelegramServer, by: int, chat: int, message: int, label: str, **more: Any
) -> tuple[str, bool]:
    """What the presser is told, and whether they must see it."""
    query = server.press(by, chat, message, label, **more)
    told: tuple[str, bool] = await until(lambda: server.alerts.get(query), "an answer to the press")
    return told


def test_a_card_shows_the_whole_call_and_takes_the_right_persons_answer() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        assert asked["text"].startswith("main asks to run run_command\n")
        assert "for telegram:7; in /home/ana/work; no rule allows it" in asked["text"]
        [entity] = asked["entities"]
        assert entity["type"] == "pre" and asked["text"].endswith("\n\nmake test")
        labels = [button["text"] for button in server.buttons(ANA, asked["message_id"])]
        assert labels == ["Allow once", "Always allow", "Deny"]
        assert await pressed(server, ANA, ANA, asked["message_id"], "once") == ("Allowed once.", False)
        await until(lambda: "The answer was allow-once." in server.texts(ANA), "the reply")
        assert desk.answers == [("m1-approval", "allow-once", Address("telegram", "7"))]
        await until(lambda: server.sent(ANA)[0]["text"].startswith("run_command: allowed once by Person 7"), "the end")
        assert "reply_markup" not in server.sent(ANA)[0] and "make test" in server.sent(ANA)[0]["text"]

    play(scene, desk=desk)


def test_the_wrong_person_is_told_so_and_the_card_stays() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say(f"@{BOT_NAME} ask rm -r build", by=ANA, chat=GROUP)
        asked = (await card(server, GROUP))["message_id"]
        assert await pressed(server, BEN, GROUP, asked, "once") == ("This is not yours to answer.", True)
        assert desk.answers == [] and len(server.buttons(GROUP, asked)) == 3
        assert await pressed(server, ANA, GROUP, asked, "Deny") == ("Denied.", False)
        await until(lambda: "The answer was deny." in server.texts(GROUP), "the reply")

    play(scene, desk=desk)


def test_a_question_of_somebody_who_may_not_answer_goes_to_the_approvers_in_private() -> None:
    desk = asking(BEN, NADER)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.chat(BEN)
        server.chat(NADER)
        server.say(f"@{BOT_NAME} ask make test", by=ANA, chat=GROUP)
        bens, naders = await card(server, BEN), await card(server, NADER)
        assert not any(message.get("reply_markup") for message in server.sent(GROUP))
        assert await pressed(server, NADER, NADER, naders["message_id"], "once") == ("Allowed once.", False)
        told = await pressed(server, BEN, BEN, bens["message_id"], "", data=button(bens, 2))
        assert told == ("This was answered a moment ago.", True) or told == ("This question is gone.", True)
        await until(lambda: "by Person 9" in server.texts(BEN)[0], "the outcome on the other card")
        assert [by.id for _, _, by in desk.answers] == ["9"]

    play(scene, desk=desk)


def button(asked: Update, number: int) -> str:
    buttons = [button for row in asked["reply_markup"]["inline_keyboard"] for button in row]
    held: str = buttons[number]["callback_data"]
    return held


def test_a_button_works_once() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        queries = [server.press(ANA, ANA, asked["message_id"], data=button(asked, n)) for n in (0, 2, 0)]
        await until(lambda: all(query in server.alerts for query in queries), "the answers to the presses")
        assert [server.alerts[query][1] for query in queries] == [False, True, True]
        assert [answer for _, answer, _ in desk.answers] == ["allow-once"]

    play(scene, desk=desk)


def test_an_answer_that_does_not_fit_on_the_disk_leaves_the_buttons_at_work() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("full make test", by=ANA)
        asked = (await card(server, ANA))["message_id"]
        assert await pressed(server, ANA, ANA, asked, "Always") == ("This is still open: the disk is full", True)
        assert await pressed(server, ANA, ANA, asked, "once") == ("Allowed once.", False)
        await until(lambda: "The answer was allow-once." in server.texts(ANA), "the reply")

    play(scene, desk=desk)


def test_forged_presses_mean_nothing() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        server.say("hello", by=ANA)
        other = server.say("something else", by=ANA)["message_id"]
        server.chat(GROUP)
        id, held = asked["message_id"], button(asked, 0)
        token = held.partition(".")[0]
        assert (await pressed(server, ANA, ANA, id, "", data="m1-approval"))[1]
        assert (await pressed(server, ANA, ANA, id, "", data=f"{token}.9"))[0] == "This button means nothing."
        assert (await pressed(server, ANA, ANA, id, "", data=""))[0] == "This question is gone."
        assert "another message" in (await pressed(server, ANA, ANA, other, "", data=held))[0]
        assert "another message" in (await pressed(server, ANA, ANA, id, "", data=held, elsewhere=GROUP))[0]
        server.say("allow-once", by=ANA)
        server.say("yes", by=ANA)
        await quiet(server)
        assert desk.answers == []
        assert len(held.encode()) <= 64 and "approval" not in held

    play(scene, desk=desk)


def test_only_what_is_offered_has_a_button() -> None:
    desk = asking(ANA)
    desk.offers = ("allow-once", "deny")

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        labels = [one["text"] for one in server.buttons(ANA, asked["message_id"])]
        assert labels == ["Allow once", "Deny"]
        await pressed(server, ANA, ANA, asked["message_id"], "Deny")
        await until(lambda: desk.answers, "the answer")
        assert desk.answers[0][1] == "deny"

    play(scene, desk=desk)


def test_a_call_that_is_too_long_for_a_message_is_shown_whole_with_the_buttons_at_the_end() -> None:
    desk = asking(ANA)
    desk.lines = tuple(f"argument {number:05} \\u{{202e}} of a very long call" for number in range(300))

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("ask it", by=ANA)
        asked = await card(server, ANA)
        assert asked is server.sent(ANA)[-1] and len(server.sent(ANA)) >= 4
        shown = "\n".join(message["text"] for message in server.sent(ANA))
        assert all(line in shown for line in desk.lines)
        await pressed(server, ANA, ANA, asked["message_id"], "Deny")
        await until(lambda: "denied by Person 7" in server.chats[ANA].messages[asked["message_id"]]["text"], "the end")

    play(scene, desk=desk)


def test_a_topic_is_asked_in_the_topic() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.chat(FORUM, forum=True)
        server.say(f"@{BOT_NAME} ask make test", by=ANA, chat=FORUM, topic=33)
        assert (await card(server, FORUM))["message_thread_id"] == 33

    play(scene, desk=desk)


def test_a_stopped_turn_withdraws_its_question() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        held = button(asked, 0)
        await desk.stop("agent:main:telegram:7")
        await until(lambda: server.sent(ANA)[0]["text"].startswith("run_command: withdrawn"), "the outcome")
        assert (await pressed(server, ANA, ANA, asked["message_id"], "", data=held))[0] == "This question is gone."

    play(scene, desk=desk)


def test_a_card_is_put_up_once_the_network_and_the_chat_allow_it() -> None:
    desk = asking(ANA)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.fail("sendMessage", 502)
        server.flood(ANA, 2)
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        server.fail("editMessageText", 500)
        await pressed(server, ANA, ANA, asked["message_id"], "once")
        await until(lambda: "allowed once" in server.sent(ANA)[0]["text"], "the outcome in spite of a failure")

    play(scene, desk=desk)


def test_an_approver_who_never_wrote_to_the_bot_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    desk = asking(BEN, NADER)

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.chat(NADER)
        server.say("ask make test", by=ANA)
        asked = await card(server, NADER)
        await pressed(server, NADER, NADER, asked["message_id"], "once")
        assert "The answer was allow-once." in await answered(server, ANA)
        assert "cannot be asked there" in caplog.text

    play(scene, desk=desk)


# ── over a restart ───────────────────────────────────────────────────────────────────────────────


async def interrupted(server: TelegramServer, notes: Notes) -> Update:
    """A question that stands when the runtime dies: the card, as it stands in the chat."""
    desk = asking(ANA)
    async with working(server, desk, channel(server, notes=notes)) as running:
        server.say("ask make test", by=ANA)
        asked = await card(server, ANA)
        await until(lambda: notes.documents.get("cards"), "the card on disk")
        await quiet(server)
        running.cancel()  # before the turn, whose end would be told
        await asyncio.gather(running, return_exceptions=True)
    assert asked["reply_markup"]
    return asked


def test_a_card_serves_on_when_its_question_is_asked_again() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        asked = await interrupted(server, notes)
        desk = asking(ANA)
        async with working(server, desk, channel(server, notes=notes)):
            server.say("ask make test", by=ANA)  # as the resumed turn asks it
            await until(lambda: desk.approvals(), "the question again")
            assert await pressed(server, ANA, ANA, asked["message_id"], "once") == ("Allowed once.", False)
            await until(lambda: "The answer was allow-once." in server.texts(ANA), "the reply")
            cards = [text for text in server.texts(ANA) if "run_command" in text]
            assert len(cards) == 1 and cards[0].startswith("run_command: allowed once"), "no second card"

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_a_press_waits_for_its_question_to_be_asked_again() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        asked = await interrupted(server, notes)
        desk = asking(ANA)
        async with working(server, desk, channel(server, notes=notes, clock=SystemClock())):
            query = server.press(ANA, ANA, asked["message_id"], "once")
            await quiet(server)
            server.say("ask make test", by=ANA)
            await until(lambda: query in server.alerts, "an answer to the press")
            assert server.alerts[query] == ("Allowed once.", False)

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_whoever_presses_before_the_question_is_asked_again_leaves_the_card_at_work() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        asked = await interrupted(server, notes)
        desk = asking(ANA)
        async with working(server, desk, channel(server, notes=notes)):
            for by in (BEN, ANA):
                told = await pressed(server, by, ANA, asked["message_id"], "once")
                assert told == ("The runtime was restarted, and has not asked this again yet; try again soon.", True)
            assert len(server.buttons(ANA, asked["message_id"])) == 3
            server.say("ask make test", by=ANA)
            await until(lambda: desk.approvals(), "the question again")
            assert await pressed(server, ANA, ANA, asked["message_id"], "once") == ("Allowed once.", False)

    with TelegramServer() as server:
        asyncio.run(whole(server))


class Hurried(Hasty):
    """A clock on which five minutes are a moment."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = 2000.0


@pytest.mark.slow
def test_a_question_that_is_not_asked_again_is_not_open_any_more_after_a_while() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        asked = await interrupted(server, notes)
        desk, clock = asking(ANA), Hurried()
        async with working(server, desk, channel(server, notes=notes, clock=clock)):
            await clock.sleep(AGAIN + 1)
            told = await pressed(server, ANA, ANA, asked["message_id"], "once")
            assert told == ("This question is not open any more.", True)
            await until(lambda: not server.buttons(ANA, asked["message_id"]), "the end of the buttons")
            assert desk.answers == [] and notes.documents["cards"] == []

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_another_call_gets_a_card_of_its_own() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        asked = await interrupted(server, notes)
        desk = asking(ANA)
        async with working(server, desk, channel(server, notes=notes)):
            server.say("ask make install", by=ANA)
            await until(lambda: sum("asks to run" in text for text in server.texts(ANA)) == 2, "a second card")
            told = await pressed(server, ANA, ANA, asked["message_id"], "once")
            assert told[1] and desk.answers == []

    with TelegramServer() as server:
        asyncio.run(whole(server))


# ── a disk that refuses to write ─────────────────────────────────────────────────────────────────


class Broken(Notes):
    """Notes of which one cannot be written."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    async def put(self, name: str, document: Any) -> None:
        if name == self._name:
            raise StorageFailed("the disk did not take a write")
        await super().put(name, document)


class Stopping(Desk):
    """The desk of a runtime that stops."""

    def readiness(self) -> Mapping[str, Any]:
        return {**super().readiness(), "status": "stopping"}


def test_outcomes_hold_up_a_channel_that_ends_but_no_stop() -> None:
    assert patience(Stopping()) < 1 < 3 < patience(Desk()) < ENDING


class Unwritten(Desk):
    """A desk that cannot write an answer down."""

    async def answer(self, approval: str, answer: Answer, by: Address) -> None:
        raise StorageFailed("the disk did not take a write")


@pytest.mark.parametrize("what", ["an answer", "a card", "a message in a group"])
def test_a_disk_that_refuses_to_write_ends_the_channel_with_the_reason(what: str) -> None:
    desk = Unwritten()
    desk.approvers = (f"telegram:{ANA}",)
    notes = Broken({"a card": "cards", "a message in a group": "shown"}.get(what, ""))

    async def whole(server: TelegramServer) -> None:
        async with working(server, desk, channel(server, notes=notes)) as running:
            if what == "a message in a group":
                server.say(f"@{BOT_NAME} wait", by=ANA, chat=GROUP)
            else:
                server.say("ask make test", by=ANA)
            if what == "an answer":
                asked = await card(server, ANA)
                server.press(ANA, ANA, asked["message_id"], "Always")
            with pytest.raises(StorageFailed, match="did not take"):
                await asyncio.wait_for(running, 30)

    with TelegramServer() as server:
        asyncio.run(whole(server))
