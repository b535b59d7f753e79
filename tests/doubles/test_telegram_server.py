"""The Bot API's double refuses and does what the real service does; driven by the real client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity, ReplyParameters
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
)
from telegram.request import HTTPXRequest

from doubles.house import until
from doubles.listening import listening
from doubles.telegram_server import TOKEN, TelegramServer


@pytest.fixture(autouse=True)
def newer_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client warns of every duration that it gives as a number; this is how it is asked for real ones."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")


Scene = Callable[[TelegramServer, Bot], Awaitable[None]]


def run(scene: Scene, token: str = TOKEN) -> TelegramServer:
    async def whole(server: TelegramServer) -> None:
        requests = [HTTPXRequest(httpx_kwargs={"verify": False, "trust_env": False}) for _ in range(2)]
        bot = Bot(token, f"{server.url}/bot", f"{server.url}/file/bot", requests[0], requests[1])
        try:
            await asyncio.wait_for(scene(server, bot), 60)
        finally:
            await asyncio.gather(*[request.shutdown() for request in requests])

    with TelegramServer() as server:
        asyncio.run(whole(server))
        return server


async def refused(call: Awaitable[Any], words: str, kind: type[Exception] = BadRequest) -> Exception:
    with pytest.raises(kind, match=words) as caught:
        await call
    return caught.value


def test_the_bot_knows_itself_and_a_wrong_or_revoked_token_is_refused() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        me = await bot.get_me()
        assert me.is_bot and me.username == "openclaw_bot"
        server.revoke()
        await refused(bot.get_me(), "Unauthorized", InvalidToken)

    run(scene)

    async def stranger(server: TelegramServer, bot: Bot) -> None:
        await refused(bot.get_me(), "Unauthorized", InvalidToken)

    run(stranger, token="1:wrong")


def test_updates_come_again_until_an_offset_confirms_them() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        for number in range(3):
            server.say(f"text {number}", by=7)
        first = await bot.get_updates()
        again = await bot.get_updates(limit=2)
        assert [update.message.text for update in first if update.message] == ["text 0", "text 1", "text 2"]
        assert [update.update_id for update in again] == [update.update_id for update in first][:2]
        rest = await bot.get_updates(offset=first[1].update_id + 1)
        assert [update.update_id for update in rest] == [first[2].update_id] == server.waiting
        assert await bot.get_updates(offset=first[2].update_id + 1) == ()

    run(scene)


def test_a_long_poll_waits_and_ends_with_the_update() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        poll = asyncio.create_task(bot.get_updates(timeout=10))
        await until(lambda: server.called("getUpdates"), "the poll")
        server.say("hello", by=7)
        [update] = await poll
        assert update.message is not None and update.message.text == "hello"

    run(scene)


def test_only_allowed_updates_are_queued() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        await bot.get_updates(allowed_updates=["message"])
        server.channel_post("news")
        server.say("hello", by=7)
        assert len(await bot.get_updates()) == 1

    run(scene)


def test_a_second_poller_ends_the_first_one_with_a_conflict() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        first = asyncio.create_task(bot.get_updates(timeout=10))
        await until(lambda: server.called("getUpdates"), "the poll")
        await bot.get_updates()
        await refused(first, "terminated by other", Conflict)
        await bot.set_webhook("https://example.org/hook")
        await refused(bot.get_updates(), "webhook is active", Conflict)
        await bot.delete_webhook()
        assert await bot.get_updates() == ()

    run(scene)


def test_texts_are_measured_in_utf_16_and_may_not_be_empty() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        server.say("hi", by=7)
        await bot.send_message(7, "x" * 4096)
        await bot.send_message(7, "😀" * 2048)
        await refused(bot.send_message(7, "x" * 4097), "too long")
        await refused(bot.send_message(7, "😀" * 2048 + "x"), "too long")
        await refused(bot.send_message(7, " \n"), "text is empty")
        assert [len(text) for text in server.texts(7)] == [4096, 2048]

    run(scene)


@pytest.mark.parametrize(("offset", "length"), [(0, 5), (4, 1), (-1, 2), (0, 0), (1, 1), (0, 1)])
def test_entities_outside_the_text_or_inside_a_character_are_refused(offset: int, length: int) -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        server.say("hi", by=7)
        entities = [MessageEntity("bold", offset, length)]
        await refused(bot.send_message(7, "😀ab", entities=entities), "parse entities")
        await bot.send_message(7, "😀ab", entities=[MessageEntity("bold", 2, 2)])

    run(scene)


def test_an_edit_must_change_something_and_reach_a_message_of_the_bot() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        theirs = server.say("hi", by=7)["message_id"]
        mine = (await bot.send_message(7, "one")).message_id
        await bot.edit_message_text("two", 7, mine)
        await refused(bot.edit_message_text("two", 7, mine), "not modified")
        await refused(bot.edit_message_text("x" * 4097, 7, mine), "too long")
        await refused(bot.edit_message_text("two", 7, theirs), "can't be edited")
        await refused(bot.edit_message_text("two", 7, 999), "not found")
        assert server.texts(7) == ["two"]

    run(scene)


def test_a_button_carries_64_bytes_and_its_press_is_answered_once() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        server.say("hi", by=7)

        def keys(held: str) -> InlineKeyboardMarkup:
            return InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data=held)]])

        await refused(bot.send_message(7, "?", reply_markup=keys("é" * 33)), "Button_data_invalid")
        card = await bot.send_message(7, "?", reply_markup=keys("é" * 32))
        query = server.press(8, 7, card.message_id, "Yes")
        seen = (await bot.get_updates())[-1].callback_query
        assert seen is not None and (seen.id, seen.from_user.id, seen.data) == (query, 8, "é" * 32)
        await bot.answer_callback_query(query, "thanks", show_alert=True)
        assert server.alerts[query] == ("thanks", True)
        await refused(bot.answer_callback_query(query), "query id is invalid")
        await refused(bot.answer_callback_query("unknown"), "query id is invalid")
        await bot.edit_message_reply_markup(7, card.message_id)
        assert server.buttons(7, card.message_id) == []
        await refused(bot.edit_message_reply_markup(7, card.message_id), "not modified")

    run(scene)


def test_drafts_go_to_private_chats_only() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        server.say("hi", by=7)
        server.say("hi", by=7, chat=-5)
        assert await bot.send_message_draft(7, 1, "so far")
        assert server.drafts == [(7, 1, "so far")] and server.sent(7) == []
        await refused(bot.send_message_draft(-5, 1, "so far"), "peer_invalid")
        await refused(bot.send_message_draft(7, 0, "so far"), "id_invalid")

    run(scene)


def test_chats_that_are_unknown_blocked_moved_or_flooded_refuse() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        await refused(bot.send_message(7, "hi"), "Chat not found")
        server.say("hi", by=7)
        server.flood(7, 3)
        limited = await refused(bot.send_message(7, "hi"), "Retry in 0:00:03", RetryAfter)
        assert isinstance(limited, RetryAfter)
        await bot.send_message(7, "hi")
        server.membership(7, "kicked")
        await refused(bot.send_message(7, "hi"), "blocked", Forbidden)
        server.say("hi", by=7, chat=-5)
        server.migrate(-5, -1_000_000_000_005, by=7)
        moved = await refused(bot.send_message(-5, "hi"), "migrated", ChatMigrated)
        assert isinstance(moved, ChatMigrated) and moved.new_chat_id == -1_000_000_000_005

    run(scene)


def test_topics_and_answered_messages_are_echoed_where_they_exist() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        forum = -1_000_000_000_009
        server.chat(forum, forum=True)
        asked = server.say("hi", by=7, chat=forum, topic=33)
        said = await bot.send_message(
            forum, "hello", message_thread_id=33, reply_parameters=ReplyParameters(asked["message_id"])
        )
        assert said.message_thread_id == 33 and said.reply_to_message is not None
        await refused(bot.send_message(forum, "hello", message_thread_id=34), "thread not found")
        await refused(bot.send_message(forum, "x", reply_parameters=ReplyParameters(999)), "replied not found")

    run(scene)


def test_files_go_both_ways_and_are_bounded() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        raw = bytes(range(256)) * 9 + b"\r\n--\r\n"
        server.document(7, "notes.bin", raw, caption="look")
        server.document(7, "huge.bin", b"x", size=21 * 1024 * 1024)
        server.photo(7, b"jpeg")
        known, huge, photo = [update.message for update in await bot.get_updates()]
        assert known is not None and known.document is not None and known.caption == "look"
        file = await bot.get_file(known.document.file_id)
        taken = BytesIO()
        await file.download_to_memory(taken)
        assert taken.getvalue() == raw and file.file_size == len(raw)
        assert huge is not None and huge.document is not None and photo is not None
        await refused(bot.get_file(huge.document.file_id), "too big")
        assert photo.photo[-1].width == 800
        await bot.send_document(7, raw, caption="back", filename="answer.bin")
        assert [(upload.name, upload.content) for _, upload, _ in server.uploads] == [("answer.bin", raw)]

    run(scene)


def test_commands_must_have_names_that_the_service_knows() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        await bot.set_my_commands([("help", "what there is")])
        assert [command.command for command in await bot.get_my_commands()] == ["help"]
        await refused(bot.set_my_commands([("Help", "x")]), "command_invalid")
        await refused(bot.set_my_commands([("help", "")]), "description_invalid")

    run(scene)


def test_faults_on_demand_strike_once() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        server.fail("getMe", 502)
        await refused(bot.get_me(), "told to fail", NetworkError)
        server.fail("getMe", 0)
        await refused(bot.get_me(), "RemoteProtocolError", NetworkError)
        await bot.get_me()
        server.cut()
        await refused(bot.get_me(), "httpx", NetworkError)
        server.mend()
        await bot.get_me()

    run(scene)


def test_updates_go_to_the_webhook_with_the_secret_until_they_are_taken() -> None:
    async def scene(server: TelegramServer, bot: Bot) -> None:
        taken: list[bytes] = []

        async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken.append(await reader.readuntil(b"\r\n\r\n"))
            status = b"503 No" if len(taken) == 2 else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await writer.drain()

        async with listening(hook) as port:
            await bot.set_webhook(f"http://127.0.0.1:{port}/hook", secret_token="s3cret")
            for text in ("one", "two", "three"):
                server.say(text, by=7)
            assert await server.deliver() == [200, 503]
            assert len(server.waiting) == 2
            assert await server.deliver() == [200, 200]
        assert b"x-telegram-bot-api-secret-token: s3cret" in taken[0].lower()

    run(scene)
