"""Several bots one after the other under one channel's key: each answers what it was asked, and none another's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.house import Program, until
from doubles.messages_server import MessagesServer
from doubles.telegram_house import ANA, answered, quiet
from doubles.telegram_people import BOT_ID
from doubles.telegram_server import TelegramServer
from openclaw.app import App
from openclaw.project import Options
from reload.test_channels import HTTP, living, manifest, polled, slowly, telegram


def another(number: int) -> TelegramServer:
    return TelegramServer(token=f"{BOT_ID + number}:AAEdoubleTokenOfTheBotApi00000000000")


@pytest.fixture
def bots() -> Iterator[list[TelegramServer]]:
    with another(0) as one, another(1) as two, another(2) as three:
        yield [one, two, three]


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer() as server:
        yield server
    assert server.violations == []


@pytest.mark.parametrize("way", [(1, 0), (1, 2), (1, 2, 0)])
def test_a_bot_says_what_it_was_asked_though_others_had_its_key_meanwhile(
    tmp_path: Path, model: MessagesServer, bots: list[TelegramServer], way: tuple[int, ...]
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bots[0])) as live:
            first = slowly(model, "To the first.")
            bots[0].say("one", by=ANA, id=5)
            await until(lambda: model.requests, "the turn")
            await quiet(bots[0])
            assert (await live.channels(HTTP, telegram(bots[1]))).outcome == "applied"
            await polled(bots[1])
            model.say("To the second.")
            bots[1].say("two", by=ANA, id=5)
            await quiet(bots[1])
            for number in way[1:]:
                before = len(bots[number].called("getUpdates"))
                assert (await live.channels(HTTP, telegram(bots[number]))).outcome == "applied"
                await until(lambda bot=bots[number], before=before: len(bot.called("getUpdates")) > before, "a poll")
            first.set()
            assert await answered(bots[0], ANA) == ["To the first."]
            assert await answered(bots[1], ANA) == ["To the second."]
            await until(lambda: not live.app.intake.retiring.leaving(), "the end of the others")
        assert [len(one.called("sendMessage")) for one in bots] == [1, 1, 0], "nobody tried what is another's"
        assert [len(one.called("getUpdates", 409)) for one in bots] == [0, 0, 0]

    asyncio.run(main())


def test_what_rests_when_another_bot_gets_the_key_is_said_by_the_one_that_was_asked(
    tmp_path: Path, model: MessagesServer, bots: list[TelegramServer]
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bots[0])) as live:
            await polled(bots[0])
            bots[0].flood(ANA, 1)
            model.say("To the first.")
            bots[0].say("one", by=ANA)
            await until(lambda: bots[0].called("sendMessage", 429), "the first try")
            assert (await live.channels(HTTP, telegram(bots[1]))).outcome == "applied"
            assert await answered(bots[0], ANA) == ["To the first."]
            await until(lambda: not live.app.intake.retiring.leaving(), "its end")
        assert bots[1].called("sendMessage") == []

    asyncio.run(main())


def test_an_answer_waits_for_its_own_bot_over_a_restart_under_another(
    tmp_path: Path, model: MessagesServer, bots: list[TelegramServer]
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bots[0])) as live:
            await polled(bots[0])
            bots[0].fail("sendMessage", 502, times=1000)
            model.say("To the first.")
            bots[0].say("one", by=ANA)
            await until(lambda: bots[0].called("sendMessage", 502), "the first try")
        bots[0]._failures.clear()
        (live.root / "channels.yaml").write_text(manifest(HTTP, telegram(bots[1])), "utf-8")
        app = App(Options(live.root, live.app.options.state), parts=live.app.parts)
        async with app.opened():
            [address] = await app.addresses()
            running = asyncio.create_task(app.run())
            async with Program(address):
                await polled(bots[1])
                model.say("To the second.")
                bots[1].say("two", by=ANA)
                assert await answered(bots[1], ANA) == ["To the second."]
                assert len(bots[1].called("sendMessage")) == 1
                (live.root / "channels.yaml").write_text(manifest(HTTP, telegram(bots[0])), "utf-8")
                assert (await app.reload.attempt("edit")).outcome == "applied"
                [text] = await answered(bots[0], ANA)
                assert text.endswith("To the first.")
            app.stopping.set()
            await running

    asyncio.run(main())


def test_one_that_never_began_holds_nobody_up(
    tmp_path: Path, model: MessagesServer, bots: list[TelegramServer]
) -> None:
    """The first is still saying something, the second waits for it, and a third description comes."""

    async def main() -> None:
        async with living(tmp_path, model, telegram(bots[0])) as live:
            await polled(bots[0])
            bots[0].hold("sendMessage")
            model.say("Slowly said.")
            bots[0].say("one", by=ANA)
            delivery, first = live.app.delivery, live.app.intake.running("telegram")
            assert first is not None
            await until(lambda: delivery.busy("telegram", first), "the delivery")
            retiring = live.app.intake.retiring
            for groups in ("all", "mention"):
                assert (await live.channels(HTTP, telegram(bots[0], more=f", groups: {groups}"))).outcome == "applied"
            await until(lambda: retiring.at_work("telegram") == [first], "the end of the one between", 8)
            bots[0].release("sendMessage")
            assert await answered(bots[0], ANA) == ["Slowly said."]
            await until(lambda: not retiring.at_work("telegram"), "the end of the first")
            model.say("And on.")
            bots[0].say("two", by=ANA)
            assert (await answered(bots[0], ANA, 2))[1] == "And on."
        assert len(bots[0].called("getUpdates", 409)) == 0 and len(bots[0].called("sendMessage")) == 2

    asyncio.run(main())
