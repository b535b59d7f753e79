"""What every channel promises, put to each of them: the terminal, Telegram, Discord and HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from contract.faces import FACES, Face, Person, unasked
from openclaw.adapters import kind, kinds
from openclaw.errors import DeliveryError
from openclaw.messages import Accepted, Answered, Message, Refused
from openclaw.ports import Receiving, Watcher

Scene = Callable[[Face], Awaitable[None]]
T = TypeVar("T")
STOP = 20.0  # seconds: far less than a turn that waits, or a service that is asked for news, would take


@pytest.fixture(params=FACES)
def play(request: Any, tmp_path: Path, capfd: Any) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def whole() -> None:
            async with FACES[request.param](tmp_path) as face:
                face.desk.approvers = (str(face.address),)
                await asyncio.wait_for(scene(face), 60)

        with capfd.disabled():  # the terminal's face lays pipes over the streams itself
            asyncio.run(whole())

    return run


def test_every_kind_says_whether_its_service_keeps_what_was_not_acknowledged() -> None:
    found = {name: kind("channels", name).keeps for name in kinds("channels")}
    assert found == {"discord": True, "http": False, "repl": False, "telegram": True}


async def soon(found: Callable[[], Awaitable[T]]) -> T:
    """Asks again and again, for half a minute at most."""
    async with asyncio.timeout(30):
        while not (value := await found()):  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)
    return value


async def answered(face: Face, count: int = 1) -> list[str]:
    async def enough() -> list[str]:
        texts = await face.texts()
        return texts if len(texts) >= count else []

    return await soon(enough)


async def received(face: Face) -> None:
    async def posted() -> bool:
        return bool(face.desk.posted)

    await soon(posted)


def bare(text: str) -> str:
    return "".join(text.split())


def test_a_message_is_posted_and_its_answer_arrives_once(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        await face.say("stream häßlich 🦀 *stars* _and_ `code` <b>")
        assert len(await answered(face)) == 1
        await face.say("second")
        assert [bare(text) for text in await answered(face, 2)] == [
            bare("häßlich🦀*stars*_and_`code`<b>").replace("*", "").replace("_", "").replace("`", "")
            if type(face).__name__ == "Telegram"  # there formatting is not text
            else bare("häßlich🦀*stars*_and_`code`<b>"),
            "Yousaid:second",
        ]
        assert [message.sender for message in face.desk.posted] == [face.address] * 2

    play(scene)


def test_a_message_that_is_delivered_again_is_posted_once(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not face.again:
            pytest.skip("a line is typed once")
        first = await face.say("hello")
        await answered(face)
        await face.repeat(first)
        await face.say("next")
        await answered(face, 2)
        assert [message.text for message in face.desk.posted] == ["hello", "next"]

    play(scene)


def test_nothing_is_acknowledged_before_it_is_on_disk(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if type(face).__name__ == "Repl":
            pytest.skip("a line that was typed is acknowledged by nobody")
        gate, asked, take = asyncio.Event(), asyncio.Event(), face.desk

        async def slow(message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
            asked.set()
            await gate.wait()
            return await take(message, watch)

        face.desk.take = slow
        message = await face.say("hello")
        await asyncio.wait_for(asked.wait(), 30)
        await asyncio.sleep(0.2)  # long enough for an acknowledgement that does not wait
        assert not await face.confirmed(message)
        gate.set()
        await answered(face)
        await soon(lambda: face.confirmed(message))

    play(scene)


def test_a_long_reply_arrives_whole(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        await face.say("long 100000")

        async def ended() -> str:
            arrived = "".join(await face.texts()) + await face.files()
            return arrived if "word09999" in arrived else ""

        arrived = await soon(ended)
        assert all(f"word{number:05}" in arrived for number in range(10_000))

    play(scene)


def test_failures_refusals_and_commands_are_told(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if type(face).__name__ == "Repl":
            await face.say("/help")  # the other two are no answers, and go to standard error
            assert "This desk echoes it." in "\n".join(await answered(face, 2))
            return
        await face.say("fail")
        assert "the model did not answer" in (await answered(face))[0]
        await face.say("/help")
        assert "This desk echoes it." in (await answered(face, 2))[1]
        face.desk.busy = True
        await face.say("one more")
        assert "too much waits here" in (await answered(face, 3))[2]

    play(scene)


def test_what_was_streamed_before_a_retry_is_not_in_the_answer(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        await face.say("retry")
        assert await answered(face) == ["A whole answer."]

    play(scene)


def test_a_question_is_shown_whole_and_answered_once_by_the_right_person(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not face.others:
            pytest.skip("the terminal's questions are driven on a terminal, in tests/channels/test_repl_terminal.py")
        face.desk.lines = ("run_command", "  rm", "    -rf", "    a b\u202ec")
        await face.say("ask rm")
        card = await face.card()
        assert all(line.strip().split("\u202e")[0] in card for line in face.desk.lines)
        refusal = await face.press("once", Person.WRONG)
        assert refusal and face.desk.answers == []
        assert await face.press("once", Person.RIGHT) == ""
        assert "The answer was allow-once." in [text.strip() for text in await _all(face, "allow-once")]
        assert [(answer, by) for _, answer, by in face.desk.answers] == [("allow-once", face.address)]

    play(scene)


async def _all(face: Face, wanted: str) -> list[str]:
    async def there() -> list[str]:
        texts = await face.texts()
        return texts if any(wanted in text for text in texts) else []

    return await soon(there)


def test_work_is_shown_while_it_lasts(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not face.typing:
            pytest.skip("whoever waits here sees the stream itself")
        await face.say("wait")
        await soon(face.shows_work)

    play(scene)


def test_an_answer_is_seen_while_it_is_written(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not face.streams:
            pytest.skip("a pipe is given whole answers; the terminal's stream is in test_repl_terminal.py")
        await face.say("wait")
        await received(face)
        assert (await soon(face.glimpse)).startswith("Working on")

    play(scene)


def test_what_is_said_while_the_network_is_away_is_answered_once_it_is_back(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not face.network:
            pytest.skip("whoever asks is on the other side of no service")
        await face.say("first")
        await answered(face)
        face.cut(True)
        await face.say("second")
        await asyncio.sleep(0.3)  # attempts fail meanwhile
        assert len(face.desk.posted) == 1
        face.cut(False)
        await answered(face, 2)
        assert [message.text for message in face.desk.posted] == ["first", "second"]
        assert len(await face.texts()) == 2

    play(scene)


def test_what_nobody_asked_for_arrives_and_a_repetition_says_so(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not face.unasked:
            with pytest.raises(DeliveryError) as refused:
                await face.channel.send(unasked(face, "Good morning!"))
            assert refused.value.final
            return
        await face.channel.send(unasked(face, "Good morning!"))
        assert (await answered(face))[0].endswith("Good morning!")
        await face.channel.send(unasked(face, "Again.", repeated=True))
        told = "\n".join(await answered(face, 2))
        assert "Again." in told and (type(face).__name__ == "Repl" or "repeated after a restart" in told)

    play(scene)


def test_it_ends_soon_also_in_the_middle_of_a_turn(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        await face.say("wait")
        await received(face)
        async with asyncio.timeout(STOP):
            await face.stop()

    play(scene)


def test_a_channel_that_can_fall_silent_says_when_it_received(play: Callable[[Scene], None]) -> None:
    async def scene(face: Face) -> None:
        if not isinstance(face.channel, Receiving):
            assert type(face).__name__ in ("Repl", "Http")
            return
        pulse = face.channel.pulse

        async def began() -> bool:
            return pulse.last is not None

        await soon(began)
        before = pulse.received
        await face.say("hello")
        await answered(face)
        assert pulse.received > before and pulse.trouble == ""

    play(scene)
