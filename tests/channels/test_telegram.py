"""Telegram, taking in: what is heard, by whom, and what is not; driven by the real client against the API's double."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from doubles.desk import Desk
from doubles.house import Leaping, until
from doubles.telegram_house import ANA, BEN, FORUM, GROUP, Notes, answered, channel, play, quiet, working
from doubles.telegram_people import BOT_ID, BOT_NAME
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.channels.telegram import Channel
from openclaw.clock import SystemClock
from openclaw.errors import CredentialsError
from openclaw.messages import Accepted, Address, Answered, File, Image, Message, Quote, Refused, Text
from openclaw.ports import Watcher


def parts(desk: Desk, number: int = 0) -> tuple[Any, ...]:
    return desk.posted[number].parts


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_is_taken_in_with_who_and_when_and_answered() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        said = server.say("hello there", by=ANA)
        assert await answered(server, ANA) == ["You said: hello there"]
        [message] = desk.posted
        assert message.sender == Address("telegram", "7")
        assert message.id == f"{BOT_ID}:7:{said['message_id']}"
        assert (message.text, message.name, message.chat, message.topic) == ("hello there", "Person 7", None, None)
        assert message.at.timestamp() == said["date"] and message.at.tzinfo is not None

    play(scene)


def test_a_command_is_answered_at_once_in_columns_and_ours_loses_our_name() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say(f"/help@{BOT_NAME}", by=ANA)
        assert await answered(server, ANA) == ["Type anything.\nThis desk echoes it."]
        [entity] = server.sent(ANA)[0]["entities"]
        assert (entity["type"], entity["offset"], entity["length"]) == ("pre", 0, 35)
        assert desk.posted == []

    play(scene)


def test_the_first_press_of_everybody_is_told_what_there_is() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("/start", by=ANA)
        server.say("/start from-a-link", by=ANA)
        assert await answered(server, ANA, 2) == ["Type anything.\nThis desk echoes it."] * 2

    play(scene)


def test_commands_that_come_faster_than_they_may_be_answered_are_answered_less() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        with server.together():
            for _ in range(60):
                server.say("/help", by=ANA)
        await quiet(server)
        assert len(made._tasks) <= 21
        server.say("hello", by=BEN)
        assert await answered(server, BEN) == ["You said: hello"]

    play(scene)


def test_what_a_message_answers_is_quoted_and_never_a_command() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        first = server.say("/help me to find my keys", by=ANA)["message_id"]
        await answered(server, ANA)
        server.say("and this?", by=ANA, reply_to=first)
        mine = server.sent(ANA)[0]["message_id"]
        server.say("say that again", by=ANA, reply_to=mine)
        picked = {"text": "my keys", "position": 17}
        server.say("where?", by=ANA, reply_to=first, quote=picked)
        await until(lambda: len(desk.posted) == 4, "the messages")
        assert parts(desk, 1) == (Text("and this?"), Quote("/help me to find my keys", "Person 7"))
        assert parts(desk, 2)[1].author == "the assistant"
        assert parts(desk, 3)[1] == Quote("my keys", "Person 7")

    play(scene)


def test_a_forwarded_command_is_material_and_not_obeyed() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.forward("/help", by=ANA, origin=99)
        server.say("/help", by=ANA, via_bot=server.user(55, name="Inline", bot=True))
        await until(lambda: len(desk.posted) == 2, "the messages")
        assert parts(desk) == (Quote("/help", "Person 99", forwarded=True),)
        assert parts(desk, 1) == (Quote("/help", "Inline", forwarded=True),)
        assert [message.text for message in desk.posted] == ["", ""]

    play(scene)


def test_an_edit_is_a_message_of_its_own_only_where_words_changed() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        said = server.say("what is 2 + 2", by=ANA)["message_id"]
        await answered(server, ANA)
        server.edit(ANA, said, link_preview_options={"is_disabled": True})
        server.edit(ANA, said, text="/help")
        assert len(await answered(server, ANA, 2)) == 2
        assert [message.text for message in desk.posted] == [
            "what is 2 + 2",
            "[edit of an earlier message, which now reads:]\n/help",
        ]
        assert desk.posted[0].id != desk.posted[1].id
        assert made.passed["edit without other words"] == 1

    play(scene)


def test_a_preview_that_comes_after_a_restart_is_no_new_message_and_a_later_edit_is() -> None:
    notes, desk = Notes(), Desk()

    async def whole(server: TelegramServer) -> None:
        async with working(server, desk, channel(server, notes=notes)):
            said = server.say("look at https://example.org", by=ANA)
            await answered(server, ANA)
            await quiet(server)
        async with working(server, desk, made := channel(server, notes=notes)):
            server.queue({"edited_message": {**said, "edit_date": said["date"] + 3}})
            await until(lambda: made.passed["edit without other words"], "the preview")
            server.queue({"edited_message": {**said, "text": "look again", "edit_date": said["date"] + 60}})
            await answered(server, ANA, 2)
        assert [message.text.splitlines()[-1] for message in desk.posted] == [said["text"], "look again"]

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_a_mention_that_is_added_at_once_is_heard() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        at = int(time.time()) + 30
        said = server.say("how are you?", by=ANA, chat=GROUP, date=at)
        mention = {"type": "mention", "offset": 0, "length": len(BOT_NAME) + 1}
        added = {"text": f"@{BOT_NAME} how are you?", "entities": [mention], "edit_date": at + 3}
        server.queue({"edited_message": {**said, **added}})
        await until(lambda: desk.posted, "the message")
        assert desk.posted[0].text.endswith("how are you?")

    play(scene)


def test_an_answer_to_something_without_words_says_what_it_was() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        voice = server.voice(ANA)["message_id"]
        server.say("did you hear that?", by=ANA, reply_to=voice)
        await until(lambda: len(desk.posted) == 2, "the messages")
        assert parts(desk, 1)[1].text == "[a voice message came along; it cannot be looked at here]"

    play(scene)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"sticker": {"file_id": "s", "file_unique_id": "s", "width": 1, "height": 1, "is_animated": False,
                      "is_video": False, "type": "regular", "emoji": "🙂"}}, "a sticker 🙂"),
        ({"location": {"latitude": 1.0, "longitude": 2.0}}, "a location"),
        ({"dice": {"emoji": "🎲", "value": 3}}, "a die"),
        ({"contact": {"phone_number": "1", "first_name": "Bo"}}, "a contact"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_at_is_said_in_words(content: dict[str, Any], words: str) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.post(ANA, content)
        await until(lambda: desk.posted, "the message")
        assert desk.posted[0].text == f"[{words} came along; it cannot be looked at here]"

    play(scene)


def test_long_and_strange_texts_arrive_as_they_are() -> None:
    strange = (
        "x" * 4096,
        "  two  spaces\n\n\tand a tab ",
        "😀" * 2048,
        "\u202eabc\u0000",
        "<b>&amp;</b> *_[]()~`>#+-=|{}.!",
    )

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        for text in strange:
            server.say(text, by=ANA)
        await until(lambda: len(desk.posted) == len(strange), "the messages")
        assert tuple(message.text for message in desk.posted) == strange

    play(scene)


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def test_files_and_photos_are_kept_in_the_folder_and_named(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        server.document(ANA, "../../etc/pass wd.txt", b"root\r\n\x00", caption="look at this", mime_type="text/plain")
        server.photo(ANA, b"jpeg bytes")
        await until(lambda: len(desk.posted) == 2, "the messages")
        text, file = parts(desk)
        assert text == Text("look at this") and isinstance(file, File)
        assert (file.name, file.size, file.media_type) == ("../../etc/pass wd.txt", 7, "text/plain")
        assert Path(file.path).parent == tmp_path and Path(file.path).read_bytes() == b"root\r\n\x00"
        [image] = parts(desk, 1)
        assert isinstance(image, Image) and Path(image.path).read_bytes() == b"jpeg bytes"
        assert len(list(tmp_path.iterdir())) == 2

    play(scene)


def test_files_of_a_person_and_of_a_group_with_like_numbers_stay_apart(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        server.document(ANA, "a.txt", b"private")
        server.document(ANA, "a.txt", b"group", chat=-ANA, caption=f"@{BOT_NAME}", caption_entities=[
            {"type": "mention", "offset": 0, "length": len(BOT_NAME) + 1}
        ])  # fmt: skip
        await until(lambda: len(desk.posted) == 2, "the messages")
        assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"group", b"private"]

    play(scene)


def test_a_file_that_is_too_large_or_cannot_be_had_is_told(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        server.document(ANA, "film.mkv", b"x", size=21 * 1024 * 1024)
        await until(lambda: len(desk.posted) == 1, "the first")
        server.fail("download", 500, times=2)
        server.document(ANA, "notes.txt", b"x", caption="read it")
        await until(lambda: len(desk.posted) == 2, "the second")
        server.fail("download", 0)
        server.document(ANA, "again.txt", b"it came")
        await until(lambda: len(desk.posted) == 3, "the third")
        assert desk.posted[0].text == "[the file film.mkv has 21.0 MB, and Telegram gives bots at most 20.0 MB]"
        assert desk.posted[1].text == "read it\n[the file notes.txt could not be fetched; it may be sent again]"
        assert isinstance(parts(desk, 2)[0], File), "one lost connection is tried again"

    play(scene)


def test_a_message_whose_files_have_no_room_is_taken_in_and_says_so(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path / "nowhere" / "incoming"
        server.document(ANA, "bill.txt", b"pay 5", caption="please pay")
        await until(lambda: desk.posted, "the message")
        lost = Text("[the file bill.txt could not be kept, for there is no room; it may be sent again]")
        assert parts(desk) == (Text("please pay"), lost) and server.called("getFile") == []

    play(scene)


def test_nothing_is_fetched_for_a_stranger(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.strangers.add(Address("telegram", str(BEN)))
        server.document(BEN, "evil.txt", b"x")
        assert await answered(server, BEN) == ["I do not know you yet. Your code is CODE2222."]
        assert server.called("getFile") == [] and desk.posted == []

    play(scene)


def test_pictures_of_an_album_are_one_message(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        with server.together():
            for number in range(3):
                caption = {"caption": "our trip"} if number == 0 else {}
                server.photo(ANA, b"%d" % number, media_group_id="album", **caption)
        await until(lambda: desk.posted, "the message")
        await quiet(server)
        assert [type(part) for part in parts(desk)] == [Text, Image, Image, Image]
        assert len(desk.posted) == 1

    play(scene)


def test_a_mention_in_an_album_is_for_all_of_it(tmp_path: Path) -> None:
    mention = {"type": "mention", "offset": 0, "length": len(BOT_NAME) + 1}

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        with server.together():
            server.photo(BEN, b"not", chat=GROUP, media_group_id="another")
            server.photo(ANA, b"1", chat=GROUP, media_group_id="a", caption=f"@{BOT_NAME}", caption_entities=[mention])
            server.photo(ANA, b"2", chat=GROUP, media_group_id="a")
        await until(lambda: desk.posted, "the message")
        await quiet(server)
        assert [type(part) for part in parts(desk)] == [Image, Image] and len(desk.posted) == 1
        assert made.passed == {"no mention": 1}

    play(scene)


# ── who ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_stranger_is_told_a_code_once_in_private_and_nothing_in_a_group() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.strangers.add(Address("telegram", str(BEN)))
        server.say(f"@{BOT_NAME} let me in", by=BEN, chat=GROUP)
        server.say("let me in", by=BEN)
        server.say("please", by=BEN)
        await answered(server, BEN)
        await quiet(server)
        await desk.pair("CODE2222")
        server.say("thank you", by=BEN)
        assert await answered(server, BEN, 2) == [
            "I do not know you yet. Your code is CODE2222.",
            "You said: thank you",
        ]
        assert server.sent(GROUP) == []

    play(scene)


def test_bots_channels_and_anonymous_administrators_are_nobody() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("beep", by=66, bot=True)
        server.channel_post("news")
        server.say(f"@{BOT_NAME} hi", by=1087968824, chat=GROUP, bot=True, sender_chat={"id": GROUP, "type": "group"})
        server.say(f"@{BOT_NAME} hi", by=777000, chat=GROUP, sender_chat={"id": -1_002, "type": "channel"})
        server.say("a person", by=ANA)
        assert await answered(server, ANA) == ["You said: a person"]
        assert len(desk.posted) == 1
        assert made.passed == {"bot": 1, "not a person": 2}, "a channel's posts are not even asked for"

    play(scene)


GATED: dict[str, dict[str, Any]] = {
    "channel_post": {"message_id": 1, "date": 1, "chat": {"id": -1_005, "type": "channel", "title": "x"}, "text": "x"},
    "inline_query": {"id": "1", "from": {"id": 7, "is_bot": False, "first_name": "A"}, "query": "x", "offset": ""},
    "poll_answer": {"poll_id": "1", "option_ids": [0], "option_persistent_ids": ["a"], "user":
                    {"id": 7, "is_bot": False, "first_name": "A"}},
    "message_reaction": {"chat": {"id": 7, "type": "private"}, "message_id": 1, "date": 1, "old_reaction": [],
                         "new_reaction": [{"type": "emoji", "emoji": "👍"}]},
    "business_message": {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}, "text": "hi",
                         "from": {"id": 7, "is_bot": False, "first_name": "A"}},
    "chat_join_request": {"chat": {"id": -5, "type": "group", "title": "g"}, "date": 1, "user_chat_id": 7,
                          "from": {"id": 7, "is_bot": False, "first_name": "A"}},
}  # fmt: skip


def test_every_other_kind_of_update_is_counted_and_passed_over() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.allowed = None  # what was queued before it was said which ones are wanted
        for kind, content in GATED.items():
            server.queue({kind: content})
        server.membership(ANA, "member")
        await quiet(server)
        assert desk.posted == []
        assert made.passed == {**dict.fromkeys(GATED, 1), "membership: member": 1}

    play(scene)


# ── groups ───────────────────────────────────────────────────────────────────────────────────────


def test_a_group_is_answered_by_mention_reply_or_addressed_command_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "openclaw")

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("nobody asked the bot", by=ANA, chat=GROUP)
        server.say("/help", by=ANA, chat=GROUP)
        server.say("/help@other_bot", by=ANA, chat=GROUP)
        asked = server.say(f"hey @{BOT_NAME.upper()} how are you", by=ANA, chat=GROUP)
        assert await answered(server, GROUP) == ["You said: hey how are you"]
        mine = server.sent(GROUP)[0]
        assert mine["reply_to_message"]["message_id"] == asked["message_id"]
        server.say("fine", by=BEN, chat=GROUP, reply_to=mine["message_id"])
        await answered(server, GROUP, 2)
        server.say(f"/help@{BOT_NAME}", by=ANA, chat=GROUP)
        assert (await answered(server, GROUP, 3))[1:] == ["You said: fine", "Type anything.\nThis desk echoes it."]
        assert [(message.chat, message.sender.id) for message in desk.posted] == [("-50", "7"), ("-50", "8")]
        assert made.passed == {"no mention": 2, "command for another bot": 1}

    play(scene)
    told = [line.getMessage() for line in caplog.records if getattr(line, "event", "") == "message passed over"]
    assert told.count("something was passed over: no mention") == 2 and "nobody asked" not in caplog.text


def test_a_mention_by_name_counts_where_somebody_has_no_user_name() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        entity = {"type": "text_mention", "offset": 2, "length": 8, "user": server.me()}
        other = {**entity, "user": server.user(BEN)}
        server.say("😀OpenClaw, hello", by=ANA, chat=GROUP, entities=[entity])
        server.say("😀Some Ben, hello", by=ANA, chat=GROUP, entities=[other])
        await until(lambda: desk.posted, "the message")
        await quiet(server)
        assert [message.text for message in desk.posted] == ["😀, hello"]

    play(scene)


@pytest.mark.parametrize(("groups", "heard"), [("all", 2), ("off", 0)])
def test_groups_may_be_answered_always_or_never(groups: str, heard: int) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("good morning", by=ANA, chat=GROUP)
        server.say(f"@{BOT_NAME} good morning", by=ANA, chat=GROUP)
        server.say("/help@other_bot", by=ANA, chat=GROUP)
        await quiet(server)
        assert len(desk.posted) == heard

    play(scene, groups=groups)


def test_a_topic_is_a_conversation_of_its_own_and_is_answered_there() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(FORUM, forum=True)
        opened = {"name": "Trains", "icon_color": 1}
        root = server.post(BOT_ID, {"forum_topic_created": opened}, chat=FORUM, topic=33, bot=True)["message_id"]
        server.say("just talking", by=ANA, chat=FORUM, topic=33, reply_to=root)
        server.say(f"@{BOT_NAME} when?", by=ANA, chat=FORUM, topic=33, reply_to=root)
        server.say(f"@{BOT_NAME} where?", by=ANA, chat=FORUM)
        await answered(server, FORUM, 3)
        assert {message.get("message_thread_id") for message in server.sent(FORUM) if "text" in message} == {33, None}
        assert [(message.text, message.topic) for message in desk.posted] == [("when?", "33"), ("where?", None)]
        assert parts(desk) == (Text("when?"),), "the message that opened the topic is not answered by everything in it"

    play(scene)


def test_a_group_that_becomes_another_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.hold("sendMessage")
        server.say(f"@{BOT_NAME} hello", by=ANA, chat=GROUP)
        await until(lambda: server.called("sendMessage"), "the answer on its way")
        server.migrate(GROUP, FORUM, by=ANA)
        server.release("sendMessage")
        assert await answered(server, FORUM) == ["You said: hello"]
        assert "group -50 became -1000000000099" in caplog.text

    play(scene)


# ── once ─────────────────────────────────────────────────────────────────────────────────────────


def test_duplicate_and_reordered_updates_are_taken_once_and_in_their_order() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        with server.together():
            first = server.say("one", by=ANA, id=705)
            second = server.say("two", by=ANA, id=704)
            server.queue({"message": first}, id=705)
            server.queue({"message": second}, id=704)
        await answered(server, ANA, 2)
        await quiet(server)
        server.queue({"message": first}, id=705)
        server.queue({"message": second}, id=706)
        await quiet(server)
        assert [message.text for message in desk.posted] == ["two", "one"]

    play(scene)


def test_numbers_that_begin_anew_lose_nothing() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("before", by=ANA)
        await answered(server, ANA)
        await quiet(server)
        server.restart_ids(5)
        server.say("after", by=ANA)
        server.say("and on", by=ANA)
        assert (await answered(server, ANA, 3))[1:] == ["You said: after", "You said: and on"]

    play(scene)


def test_what_was_taken_is_remembered_over_a_restart() -> None:
    notes, desk = Notes(), Desk()

    async def whole(server: TelegramServer) -> None:
        async with working(server, desk, channel(server, notes=notes)):
            server.say("/help", by=ANA, id=900)
            await answered(server, ANA)
            await quiet(server)
        server.queue({"message": next(iter(server.chats[ANA].messages.values()))}, id=900)
        async with working(server, desk, channel(server, notes=notes)):
            server.say("hello", by=ANA)
            assert (await answered(server, ANA, 2))[1:] == ["You said: hello"]
            await quiet(server)
        assert len(server.sent(ANA)) == 2

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_another_bot_under_the_same_key_is_not_deaf_and_begins_with_nothing() -> None:
    desk, other = Desk(), BOT_ID + 1
    left = {"token": "t", "place": {"person": "7", "chat": None, "topic": None}, "chat": "7", "message": "1"}
    cards = [{**left, "session": "s", "digest": "d", "offers": ["deny"]}]
    notes = Notes()

    async def whole(server: TelegramServer, bot: int) -> None:
        made = channel(server, notes=notes, token=server.token)
        async with working(server, desk, made):
            assert (len(made._questions._cards.left()), made._shown.of("m9")) == (0, None)
            assert made._outlet.now_at(-1) == -1
            server.say(f"hello, {bot}", by=ANA, id=5)
            assert await answered(server, ANA) == [f"You said: hello, {bot}"]
            await quiet(server)
        assert [message.id for message in desk.posted][-1].startswith(f"{bot}:7:1")
        notes.documents |= {"cards": cards, "shown": {"m9": 1}, "moved": {"-1": -2}}

    for bot in (BOT_ID, other):
        with TelegramServer(token=f"{bot}:AAEdoubleTokenOfTheBotApi00000000000") as server:
            asyncio.run(whole(server, bot))
    assert len(desk.posted) == 2


def test_what_is_kept_of_a_bot_whose_token_was_changed_serves_on() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        async with working(server, Desk(), channel(server, notes=notes)):
            server.say("hello", by=ANA, id=5)
            await answered(server, ANA)
            await quiet(server)
        server.token = f"{BOT_ID}:AnotherTokenOfTheSameBot"
        async with working(server, Desk(), made := channel(server, notes=notes, token=server.token)):
            assert list(made._intake._seen) == [5]

    with TelegramServer() as server:
        asyncio.run(whole(server))


class Slow(Desk):
    """A desk whose disk takes a while."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def __call__(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        await self.may.wait()
        return await super().__call__(message, watch)


def test_an_update_is_confirmed_only_when_it_is_on_disk() -> None:
    desk = Slow()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("hello", by=ANA)
        polls = len(server.called("getUpdates"))
        await until(lambda: len(server.called("getUpdates")) > polls + 2, "further polls")
        assert len(server.waiting) == 1
        desk.may.set()
        await quiet(server)
        assert len(desk.posted) == 1

    play(scene, desk=desk)


class Stopped(Desk):
    """A runtime that is about to end."""

    async def __call__(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        return Refused("stopping", "the runtime is stopping")


def test_what_a_stopping_runtime_does_not_take_stays_with_the_service() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        async with working(server, stopping := Stopped(), channel(server, notes=notes)):
            server.say("hello", by=ANA)
            await until(lambda: server.called("getUpdates", 200), "the poll")
            await asyncio.sleep(0.1)
            assert len(server.waiting) == 1 and stopping.posted == []
        async with working(server, Desk(), channel(server, notes=notes)):
            assert await answered(server, ANA) == ["You said: hello"]

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_malformed_updates_are_passed_over_and_the_rest_is_taken() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.allowed = None
        server.queue({"message": {"message_id": "not a number"}})
        server.queue({"message": None})
        server.queue({"message": "text"})
        server.queue({"future_kind": {"a": 1}})
        server.queue({})
        bad = {"type": "mention", "offset": 400, "length": -9}
        server.say("odd marks", by=ANA, entities=[bad])
        server.say("hello", by=ANA)
        await until(lambda: len(desk.posted) >= 1 and desk.posted[-1].text == "hello", "the good one")
        await quiet(server)
        assert sum(made.passed.values()) >= 5

    play(scene)


def test_one_chat_that_is_slow_to_take_holds_up_no_other(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        server.hold("getFile")
        server.document(ANA, "a.txt", b"x", caption="first")
        server.say("second", by=ANA)
        await until(lambda: server.called("getFile"), "the file on its way")
        server.say("hello", by=BEN)
        assert await answered(server, BEN) == ["You said: hello"]
        assert len(server.waiting) >= 2, "what is not taken in is not confirmed"
        server.release("getFile")
        await answered(server, ANA, 2)
        await quiet(server)
        assert [message.text for message in desk.posted] == ["hello", "first", "second"]

    play(scene, clock=SystemClock())


def test_a_file_that_does_not_come_is_given_up_for_those_beyond_the_next_hundred_updates(tmp_path: Path) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        server.hold("getFile")
        server.document(ANA, "a.txt", b"x", caption="first")
        for number in range(150):
            server.say("log hi", by=1000 + number)
        await until(lambda: len(desk.posted) == 151, "all of them")
        [waited] = [message for message in desk.posted if message.sender.id == str(ANA)]
        assert waited.text == "first\n[the file a.txt did not come within 30 s; it may be sent again]"

    play(scene)


def test_the_files_of_an_album_are_fetched_together_and_what_came_is_kept(tmp_path: Path) -> None:
    clock = Leaping()

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        desk.folder_at = tmp_path
        server.hold("documents/file_0.bin")
        with server.together():
            for name in ("slow.txt", "b.txt", "c.txt"):
                server.document(ANA, name, name.encode(), media_group_id="album")
        await until(lambda: len(list(tmp_path.iterdir())) == 2, "the others, beside the slow one")
        assert desk.posted == []
        clock.ahead += 31
        await until(lambda: desk.posted, "the message")
        lost, *came = parts(desk)
        assert lost == Text("[the file slow.txt did not come within 30 s; it may be sent again]")
        assert [(type(file), file.name) for file in came] == [(File, "b.txt"), (File, "c.txt")]
        server.release("documents/file_0.bin")

    play(scene, clock=clock)


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────


def test_a_start_without_network_and_a_cut_on_the_way_are_survived() -> None:
    async def whole(server: TelegramServer) -> None:
        server.cut()
        made, desk = channel(server), Desk()
        async with working(server, desk, made, polls=False):
            await until(lambda: made.pulse.trouble, "the trouble")
            assert made.pulse.last is None and "does not answer" in made.pulse.trouble
            server.mend()
            await until(lambda: made.pulse.received, "the first sign")
            server.say("hello", by=ANA)
            await answered(server, ANA)
            server.cut()
            await until(lambda: made.pulse.trouble, "the trouble")
            server.say("are you there?", by=ANA)
            server.mend()
            assert (await answered(server, ANA, 2))[1:] == ["You said: are you there?"]
            assert made.pulse.trouble == "" and made.pulse.reconnects == 2

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_failures_of_the_service_are_tried_again() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.fail("getUpdates", 502, times=2)
        server.fail("sendMessage", 500)
        server.say("hello", by=ANA)
        [text] = await answered(server, ANA)
        assert text.endswith("You said: hello")

    play(scene)


def test_another_poller_is_told_as_trouble_and_outlasted() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.fail("getUpdates", 409, times=2)
        server.say("wake up", by=ANA)  # ends the poll that goes on
        await until(lambda: "another program" in made.pulse.trouble, "the trouble")
        await until(lambda: not made.pulse.trouble, "its end")
        server.say("hello", by=ANA)
        await answered(server, ANA, 2)

    play(scene)


@pytest.mark.parametrize("token", ["secret", "12:", "12:a b", "12:abc\n"])
def test_what_cannot_be_a_token_is_said_before_it_is_sent_anywhere(token: str) -> None:
    made = channel(TelegramServer(), token=token)
    with pytest.raises(CredentialsError, match="is none of a bot") as caught:
        asyncio.run(made.open())
    assert token not in str(caught.value)


@pytest.mark.parametrize("when", ["at the start", "while it runs"])
def test_a_refused_token_ends_the_channel_with_words_that_do_not_carry_it(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def whole(server: TelegramServer) -> None:
        if when == "at the start":
            server.revoke()
        made = channel(server)
        async with working(server, Desk(), made, polls=when != "at the start") as running:
            server.revoke()
            with pytest.raises(CredentialsError, match="refused the bot's token") as caught:
                await asyncio.wait_for(running, 20)
            assert TOKEN not in str(caught.value)

    with TelegramServer() as server:
        asyncio.run(whole(server))
    assert TOKEN not in caplog.text


def test_the_token_is_in_no_log_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("hello", by=ANA)
        await answered(server, ANA)
        server.fail("sendMessage", 0)
        server.say("again", by=ANA)
        await answered(server, ANA, 2)
        server.cut()
        await until(lambda: made.pulse.trouble, "the trouble")
        assert TOKEN not in made.pulse.trouble

    play(scene)
    assert TOKEN not in caplog.text and TOKEN.partition(":")[2] not in caplog.text


def test_it_stops_in_the_middle_of_a_poll_at_once() -> None:
    async def whole(server: TelegramServer) -> float:
        made = channel(server)
        async with working(server, Desk(), made) as running:
            running.cancel()
            await asyncio.wait_for(asyncio.gather(running, made.close(), return_exceptions=True), 15)
            return 0.0

    with TelegramServer() as server:
        assert asyncio.run(whole(server)) == 0.0


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


class Talkative(Desk):
    """A desk with commands that Telegram can list, and some that it cannot."""

    more: tuple[tuple[str, str], ...] = (
        ("/quit", "leave"),
        ("!ops", "x"),
        ("/Big", "x"),
        ("/empty", ""),
        ("/a-b", "x"),
    )

    def commands(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> tuple[tuple[str, str], ...]:
        return (*super().commands(channel, among), *self.more, ("/long", "x" * 300))


def test_commands_are_listed_once_and_again_only_when_they_changed() -> None:
    notes, desk = Notes(), Talkative()

    async def whole(server: TelegramServer) -> None:
        for _ in range(2):
            async with working(server, desk, channel(server, notes=notes)):
                await until(lambda: server.called("getUpdates"), "a poll")
        assert len(server.called("setMyCommands")) == 1
        assert [command["command"] for command in server.commands] == ["help", "agent", "research", "empty", "long"]
        desk.more = (("/fresh", "new"),)
        async with working(server, desk, channel(server, notes=notes)):
            await until(lambda: len(server.called("setMyCommands", 200)) == 2, "the new list")
        assert {"command": "fresh", "description": "new"} in server.commands

    with TelegramServer() as server:
        asyncio.run(whole(server))
