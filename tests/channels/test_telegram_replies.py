"""Telegram, answering: how a reply looks, arrives whole, and is shown while it is written."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doubles.desk import Desk
from doubles.house import until
from doubles.telegram_house import ANA, BEN, FORUM, GROUP, Notes, answered, channel, play, quiet, working
from doubles.telegram_people import BOT_NAME
from doubles.telegram_rules import units
from doubles.telegram_server import TelegramServer
from openclaw.channels import _telegram_words as words
from openclaw.channels._telegram_sending import Document, steps
from openclaw.channels.telegram import Channel
from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import DeliveryError
from openclaw.messages import Address, Answered, Message, Refused, Reply
from openclaw.ports import Watcher


def reply(text: str, to: int | str = ANA, **more: Any) -> Reply:
    return Reply(Address("telegram", str(to)), text, "agent:main:telegram:7", "main", **more)


def looks(server: TelegramServer, chat: int = ANA, number: int = 0) -> list[tuple[str, str]]:
    """What is marked in a message: kind and text."""
    message = server.sent(chat)[number]
    code = message["text"].encode("utf-16-le")
    return [
        (entity["type"], code[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le"))
        for entity in message.get("entities", [])
    ]


# ── how it looks ─────────────────────────────────────────────────────────────────────────────────


def test_markdown_is_shown_as_it_is_meant() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        text = "# Title\n\n😀 **bold**, `code` and [a link](https://example.org)\n\n```python\nprint(1)\n```"
        await made.send(reply(text))
        assert server.texts(ANA) == ["Title\n\n😀 bold, code and a link\n\nprint(1)"]
        assert set(looks(server)) >= {
            ("bold", "Title"),
            ("bold", "bold"),
            ("code", "code"),
            ("text_link", "a link"),
            ("pre", "print(1)"),
        }
        assert server.called("sendMessage")[0].given["link_preview_options"] == {"is_disabled": True}

    play(scene)


@pytest.mark.parametrize(
    "text",
    [
        "a List<String> of <div>s",
        "<b>not bold</b>",
        "<!-- a remark -->",
        "<script>\nx = 1\n</script>\n\nafter",
        "a < b",
    ],
)
def test_html_is_shown_and_not_swallowed(text: str) -> None:
    shown = "\n".join(piece.text for piece in words.pieces(text))
    assert "".join(shown.split()) == "".join(text.split())


def test_links_lead_to_the_web_only() -> None:
    text = "[a](https://a.example) [b](tg://user?id=7) [c](notes.txt) ![d](tg://emoji?id=5368324170671202286) [e](//x)"
    [piece] = words.pieces(text)
    assert [(entity.type, entity.url) for entity in piece.entities] == [("text_link", "https://a.example")]
    assert all(letter in piece.text for letter in "abcde")


FENCE = re.compile(r"^([\W\d]*(?:~{3,}|`{3,})).*$", re.MULTILINE)  # what stands behind one names a language
LETTERS = st.text(st.sampled_from("ab *_`~|<>[]()#-\n\\!&.1$😀é"), max_size=300)


@given(LETTERS)
@example("1\n~~~a")
@settings(max_examples=150, deadline=None)
def test_no_letter_of_any_text_is_lost(text: str) -> None:
    shown = "".join(piece.text for piece in words.pieces(text))
    said = FENCE.sub(r"\1", text)
    for letter in "ab😀é":
        assert said.count(letter) <= shown.count(letter) or "](" in text or "]:" in text or "&" in text


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_every_text_gives_pieces_that_the_service_takes(text: str) -> None:
    for piece in words.pieces(text * 40):
        assert 0 < units(piece.text) <= words.LONGEST and piece.text.strip()
        assert all(0 <= e.offset and e.offset + e.length <= units(piece.text) for e in piece.entities)
        assert len(piece.entities) <= words.MOST_ENTITIES


def test_a_text_with_many_marks_keeps_them_all_in_more_messages() -> None:
    found = words.pieces("**a** " * 250)
    assert len(found) >= 3
    assert sum(len(piece.entities) for piece in found) == 250


def test_lone_surrogates_and_nothing_at_all_can_be_sent() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        await made.send(reply("half \ud83d of one"))
        await made.send(reply("  \n"))
        assert server.texts(ANA) == ["half ? of one", "(no text)"]

    play(scene)


def test_formatting_that_is_refused_costs_the_formatting_only() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        server.fail("sendMessage", 400)
        await made.send(reply("**so** it is"))
        assert server.texts(ANA) == ["so it is"] and looks(server) == []

    play(scene)


def test_failures_and_repetitions_are_marked() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        await made.send(reply("the *model* did not answer", failed=True))
        await made.send(reply("**hello**", repeated=True))
        assert server.texts(ANA) == ["⚠ the *model* did not answer", "(repeated after a restart)\n\nhello"]
        assert looks(server, number=1) == [("bold", "hello")]

    play(scene)


# ── whole ────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_reply_comes_in_pieces_and_code_stays_code() -> None:
    lines = [f"line {number} of the program" for number in range(600)]
    text = "Here it is:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat was it."

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        await made.send(reply(text))
        whole = "\n".join(server.texts(ANA))
        assert [line for line in whole.splitlines() if line.startswith("line ")] == lines
        assert len(server.sent(ANA)) > 3
        for number in range(len(server.sent(ANA))):
            assert [kind for kind, _ in looks(server, number=number)] == ["pre"]

    play(scene)


def test_a_hundred_kilobytes_arrive_whole_as_a_beginning_and_a_file() -> None:
    text = "".join(f"{number}: **a** line with an emoji 😀\n\n" for number in range(2600))

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        await made.send(reply(text))
        [(chat, upload, caption)] = server.uploads
        assert (chat, upload.name, upload.content.decode()) == (ANA, "reply.md", text)
        assert caption == f"The answer has {len(text):,} characters; all of it is in this file."
        [begun] = [message for message in server.sent(ANA) if "text" in message]
        assert begun["text"].startswith("0: a line with an emoji 😀\n\n1: a line")

    assert len(text.encode()) > 95_000
    play(scene)


def test_ten_pieces_are_sent_and_eleven_are_a_file() -> None:
    paragraphs = ["x" * (words.ROOM - 10)] * 10
    assert [type(step) for step in steps(reply("\n\n".join(paragraphs)))] == [words.Piece] * words.MOST_PIECES
    assert [type(step) for step in steps(reply("\n\n".join([*paragraphs, "y" * 100])))] == [words.Piece, Document]


@pytest.mark.parametrize("status", [502, 429, 0])
def test_a_reply_that_failed_half_way_goes_on_where_it_stopped(status: int) -> None:
    numbers = [f"{number:05}" for number in range(2000)]

    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        server.fail("sendMessage", status, after=2)
        long = reply("\n".join(numbers))
        with pytest.raises(DeliveryError):
            await made.send(long)
        assert len(server.sent(ANA)) == 2
        await until(lambda: not made._outlet.rests(ANA), "the end of the rest")
        await made.send(long)
        lines = [line for text in server.texts(ANA) for line in text.splitlines()]
        assert [line for line in lines if line.isdigit()] == numbers
        assert ("(perhaps a second time; the first was not confirmed)" in lines) == (status != 429)

    play(scene)


def test_a_reply_of_which_a_part_arrived_is_marked_by_the_next_run_and_goes_on_unmarked_in_this_one() -> None:
    numbers = [f"{number:05}" for number in range(2000)]
    long, again = reply("\n".join(numbers)), reply("\n".join(numbers), repeated=True)

    async def whole(server: TelegramServer) -> None:
        server.chat(ANA)
        server.chat(BEN)
        first, second = channel(server), channel(server)
        server.fail("sendMessage", 429, after=2)
        with pytest.raises(DeliveryError) as caught:
            await first.send(long)
        assert caught.value.begun, "two pieces arrived"
        await until(lambda: not first._outlet.rests(ANA), "the end of the rest")
        server.fail("sendMessage", 429)
        with pytest.raises(DeliveryError) as caught:
            await first.send(again)
        assert caught.value.begun, "and so they have still"
        await until(lambda: not first._outlet.rests(ANA), "the end of the rest")
        await first.send(again)
        assert "\n".join(server.texts(ANA)).split() == numbers
        whole = len(server.texts(ANA))
        server.fail("sendMessage", 429, after=1)
        with pytest.raises(DeliveryError):
            await second.send(again)
        await until(lambda: not second._outlet.rests(ANA), "the end of the rest")
        await second.send(again)
        mark, *lines = "\n".join(server.texts(ANA)[whole:]).splitlines()
        assert (mark, [line for line in lines if line]) == ("(repeated after a restart)", numbers)
        for made in (first, second):
            await made.close()

    with TelegramServer() as server:
        asyncio.run(whole(server))


@pytest.mark.parametrize(("status", "begun"), [(429, False), (0, True), (502, True)])
def test_only_what_may_have_arrived_is_told_as_begun(status: int, begun: bool) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        server.fail("sendMessage", status)
        with pytest.raises(DeliveryError) as caught:
            await made.send(reply("hello"))
        assert caught.value.begun == begun

    play(scene)


def test_what_may_have_arrived_is_marked_when_it_is_sent_again() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        server.fail("sendMessage", 0)
        with pytest.raises(DeliveryError):
            await made.send(reply("**hello**"))
        await made.send(reply("**hello**"))
        assert server.texts(ANA) == ["(perhaps a second time; the first was not confirmed)\nhello"]
        assert looks(server) == [("bold", "hello")]
        server.flood(ANA, 1)
        with pytest.raises(DeliveryError):
            await made.send(reply("refused before"))
        await until(lambda: not made._outlet.rests(ANA), "the end of the rest")
        await made.send(reply("refused before"))
        assert server.texts(ANA)[1] == "refused before", "an answer that says no leaves no doubt"

    play(scene)


# ── where ────────────────────────────────────────────────────────────────────────────────────────


def test_replies_go_to_persons_groups_topics_and_rooms() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        server.chat(GROUP)
        server.chat(FORUM, forum=True).topics.add(33)
        await made.send(reply("to Ana"))
        await made.send(reply("to the group", chat=str(GROUP)))
        await made.send(reply("to the topic", chat=str(FORUM), topic="33"))
        await made.send(reply("a heartbeat", to=FORUM))
        await made.send(reply("the topic is gone", chat=str(FORUM), topic="34"))
        assert server.texts(ANA) == ["to Ana"] and server.texts(GROUP) == ["to the group"]
        assert [(message["text"], message.get("message_thread_id")) for message in server.sent(FORUM)] == [
            ("to the topic", 33),
            ("a heartbeat", None),
            ("the topic is gone", None),
        ]

    play(scene)


@pytest.mark.parametrize(
    ("to", "words"), [(99, "Chat not found"), (BEN, "does not take messages"), ("ana", "is no chat of Telegram")]
)
def test_what_can_never_arrive_is_said_for_good(to: int | str, words: str) -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(BEN).blocked = True
        with pytest.raises(DeliveryError, match=words) as caught:
            await made.send(reply("hello", to=to))
        assert caught.value.final

    play(scene)


def test_a_refused_token_is_not_the_end_of_a_reply() -> None:
    async def whole(server: TelegramServer) -> None:
        server.chat(ANA)
        made = channel(server)
        await made.open()
        server.revoke()
        with pytest.raises(DeliveryError, match="refused the bot's token") as caught:
            await made.send(reply("hello"))
        assert not caught.value.final and caught.value.retry_after
        await made.close()

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_a_flooded_chat_rests_alone() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(ANA)
        server.chat(BEN)
        server.flood(ANA, 30)
        for _ in range(2):
            with pytest.raises(DeliveryError) as caught:
                await made.send(reply("hello"))
            assert 0 < (caught.value.retry_after or 0) <= 30
        await made.send(reply("hello", to=BEN))
        assert len([call for call in server.called("sendMessage") if call.given["chat_id"] == ANA]) == 1
        assert server.texts(BEN) == ["hello"] and server.texts(ANA) == []

    play(scene, clock=SystemClock())


def test_a_chat_gets_no_more_than_its_share_and_then_its_wait_is_told() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.chat(GROUP)
        with pytest.raises(DeliveryError, match="had its share") as caught:
            for number in range(12):
                await made.send(reply(str(number), chat=str(GROUP)))
        assert 0 < (caught.value.retry_after or 0) <= 3.0
        assert len(server.sent(GROUP)) == 10

    play(scene, clock=ManualClock(SystemClock().now()))


def test_a_reply_before_the_channel_runs_waits_for_nothing() -> None:
    async def whole(server: TelegramServer) -> None:
        server.chat(ANA)
        made = channel(server)
        await made.send(reply("good morning"))
        assert server.texts(ANA) == ["good morning"]
        await made.close()

    with TelegramServer() as server:
        asyncio.run(whole(server))


# ── while it is written ──────────────────────────────────────────────────────────────────────────


class Paced(Desk):
    """A desk whose model speaks a word when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.more: asyncio.Queue[str | None] = asyncio.Queue()

    async def _stream(self, id: str, text: str) -> None:
        from openclaw.messages import TextDelta

        whole = ""
        while (word := await self.more.get()) is not None:
            whole += word
            self._tell(id, TextDelta(word))
        self._say(id, whole)


def test_in_private_the_answer_is_a_draft_that_grows_and_then_a_message() -> None:
    desk = Paced()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("tell me", by=ANA)
        await until(lambda: server.actions, "typing")
        desk.more.put_nowait("Once ")
        await until(lambda: server.drafts, "the first draft")
        desk.more.put_nowait("upon **a** time")
        await until(lambda: server.drafts[-1][2] == "Once upon a time", "the next draft")
        desk.more.put_nowait(None)
        assert await answered(server, ANA) == ["Once upon a time"]
        seen = dict.fromkeys(text for _, _, text in server.drafts)  # one that grows old is sent again as it stands
        assert list(seen) == ["Once", "Once upon a time"]
        assert {(chat, number != 0) for chat, number, _ in server.drafts} == {(ANA, True)}
        drafts = len(server.drafts)
        server.say("/help", by=ANA)
        await answered(server, ANA, 2)
        assert len(server.drafts) == drafts, "nothing is shown after the end"

    play(scene, desk=desk)


def test_drafts_are_dropped_rather_than_queued() -> None:
    desk = Paced()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("tell me", by=ANA)
        for number in range(400):
            desk.more.put_nowait(f"{number} ")
            await asyncio.sleep(0)
        desk.more.put_nowait(None)
        [text] = await answered(server, ANA)
        assert text.split() == [str(number) for number in range(400)]
        assert len(server.drafts) < 40

    play(scene, desk=desk, clock=SystemClock())


def test_in_a_group_a_message_is_edited_and_becomes_the_answer() -> None:
    desk = Paced()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        asked = server.say(f"@{BOT_NAME} tell me", by=ANA, chat=GROUP)["message_id"]
        desk.more.put_nowait("Once ")
        await answered(server, GROUP)
        desk.more.put_nowait("upon a time")
        await until(lambda: server.texts(GROUP) == ["Once upon a time"], "the edit")
        desk.more.put_nowait(", in a *far* country.")
        desk.more.put_nowait(None)
        await until(lambda: server.texts(GROUP) == ["Once upon a time, in a far country."], "the answer")
        [message] = server.sent(GROUP)
        assert message["reply_to_message"]["message_id"] == asked
        assert looks(server, GROUP) == [("italic", "far")]
        assert server.drafts == []

    play(scene, desk=desk)


def test_an_answer_whose_message_was_deleted_comes_as_a_new_one() -> None:
    desk = Paced()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say(f"@{BOT_NAME} tell me", by=ANA, chat=GROUP)
        desk.more.put_nowait("Once ")
        await answered(server, GROUP)
        del server.chats[GROUP].messages[server.sent(GROUP)[0]["message_id"]]
        desk.more.put_nowait("upon a time")
        desk.more.put_nowait(None)
        assert await answered(server, GROUP) == ["Once upon a time"]

    play(scene, desk=desk)


def test_the_tool_at_work_is_shown_and_what_failed_is_void() -> None:
    from openclaw.messages import Retrying, TextDelta, ToolCall, ToolFinished, ToolResult, ToolStarted, Waiting

    desk = Paced()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("tell me", by=ANA)
        await until(lambda: desk.posted, "the message")
        call = ToolCall("c", "run_command", {})

        async def shown(text: str) -> None:
            await until(lambda: server.drafts and server.drafts[-1][2] == text, f"the draft {text!r}")

        desk._tell("m1", TextDelta("Let me look."))
        await shown("Let me look.")
        desk._tell("m1", ToolStarted(call, "run_command  ls -l"))
        await shown("Let me look.\n\n⏳ run_command  ls -l")
        desk._tell("m1", ToolFinished(call, ToolResult("fine"), 0.1))
        desk._tell("m1", TextDelta("There is half"))
        await shown("There is half")
        desk._tell("m1", Waiting(10, "smart"))
        await shown("There is half\n\n⏳ smart has said nothing for 10 s")
        desk._tell("m1", Retrying("the stream was cut", 2))
        await shown("⏳ the stream was cut; trying again in 2 s")
        desk.more.put_nowait("There is one file.")
        await shown("There is one file.")
        desk.more.put_nowait(None)
        assert await answered(server, ANA) == ["There is one file."]

    play(scene, desk=desk)


def test_typing_goes_on_while_it_works_and_ends_with_the_answer() -> None:
    desk = Paced()

    async def scene(server: TelegramServer, behind: Desk, made: Channel) -> None:
        server.say("tell me", by=ANA)
        await until(lambda: len(server.actions) >= 3, "typing again and again")
        desk.more.put_nowait("So.")
        desk.more.put_nowait(None)
        await answered(server, ANA)
        typed = len(server.actions)
        await asyncio.sleep(0.2)  # ten seconds of this clock
        assert len(server.actions) == typed

    play(scene, desk=desk)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


class Refusing(Desk):
    async def __call__(self, message: Message, watch: Watcher | None = None) -> Answered | Refused:  # type: ignore[override]
        return Refused(*message.text.split(": ", 1))


def test_every_refusal_but_of_strangers_is_told() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.say("busy: there are too many at the moment", by=ANA)
        server.say("too_large: it is too long", by=ANA)
        server.say(f"@{BOT_NAME} agent: this agent is not here", by=ANA, chat=GROUP)
        server.say(f"@{BOT_NAME} sender: nobody knows you", by=ANA, chat=GROUP)
        assert await answered(server, ANA, 2) == ["there are too many at the moment", "it is too long"]
        assert await answered(server, GROUP) == ["this agent is not here"]
        await quiet(server)
        assert len(server.sent(GROUP)) == 1

    play(scene, desk=Refusing())


def test_words_of_our_own_are_tried_again_where_the_network_was_away() -> None:
    async def scene(server: TelegramServer, desk: Desk, made: Channel) -> None:
        server.fail("sendMessage", 502)
        server.flood(ANA, 1)
        server.say("/help", by=ANA)
        assert await answered(server, ANA) == ["Type anything.\nThis desk echoes it."]

    play(scene)


def test_what_comes_again_while_its_turn_runs_is_shown_again() -> None:
    desk = Paced()

    async def whole(server: TelegramServer) -> None:
        first = channel(server)
        async with working(server, Desk(), first):
            pass
        made = channel(server)
        async with working(server, desk, made):
            said = server.say("tell me", by=ANA)
            await until(lambda: desk.posted, "the message")
            made._intake._seen.clear()
            server.queue({"message": said})
            await quiet(server)
            drafts = len(server.drafts)
            desk.more.put_nowait("Once.")
            await until(lambda: len(server.drafts) > drafts, "a draft")
            desk.more.put_nowait(None)
            await answered(server, ANA)
            assert len(desk.posted) == 1

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_what_a_group_was_shown_before_a_crash_becomes_the_answer_after_it() -> None:
    notes = Notes()

    async def whole(server: TelegramServer) -> None:
        desk = Paced()
        async with working(server, desk, channel(server, notes=notes)) as running:
            server.say(f"@{BOT_NAME} tell me", by=ANA, chat=GROUP)
            desk.more.put_nowait("Once ")
            assert await answered(server, GROUP) == ["Once"]
            await until(lambda: notes.documents.get("shown"), "the message on disk")
            desk._send = None  # it died here
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        made = channel(server, notes=notes)
        await made.send(reply("Once upon a time.", chat=str(GROUP), answers="m1"))
        assert server.texts(GROUP) == ["Once upon a time."] and notes.documents["shown"] == {}
        await made.close()

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_a_megabyte_is_sent_without_formatting_all_of_it() -> None:
    text = "**word** " * 120_000
    [begun, document] = steps(reply(text))
    assert isinstance(document, Document) and document.content.decode() == text
    assert isinstance(begun, words.Piece) and begun.text.startswith("word word")
