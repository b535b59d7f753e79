"""Telegram by webhook: the service calls us, and nobody else is believed."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from doubles.desk import Desk
from doubles.house import TOKEN as OPERATOR
from doubles.house import Hasty, lived, project, until
from doubles.messages_server import MessagesServer
from doubles.telegram_house import ANA, Notes, answered, channel, working
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.channels.telegram import Channel
from openclaw.errors import OpenClawError
from openclaw.messages import Accepted, Answered, Message, Refused
from openclaw.ports import Watcher

SECRET = "a-secret-of-the-webhook_1234"
HOOK = {"url": "https://bot.example.org/", "secret": SECRET}
HEADER = "x-telegram-bot-api-secret-token"


def update(number: int, text: str, by: int = ANA) -> bytes:
    chat, user = {"id": by, "type": "private"}, {"id": by, "is_bot": False, "first_name": "Ana"}
    message = {"message_id": number, "date": 1_700_000_000, "chat": chat, "from": user, "text": text}
    return json.dumps({"update_id": number, "message": message}).encode()


async def hooked(server: TelegramServer, desk: Desk, made: Channel) -> Any:
    await until(lambda: server.webhook["url"] and desk.letter("telegram"), "the webhook")
    return desk.letters["telegram"]


def test_the_service_is_told_where_to_call_and_its_calls_are_taken() -> None:
    async def whole(server: TelegramServer) -> None:
        desk, made = Desk(), channel(server, webhook=HOOK)
        server.chat(ANA)
        async with working(server, desk, made, polls=False):
            letter = await hooked(server, desk, made)
            assert server.webhook == {"url": "https://bot.example.org/channels/telegram", "secret_token": SECRET}
            assert server.allowed is not None and "channel_post" not in server.allowed
            received = made.pulse.received
            assert await letter({HEADER: SECRET}, update(1, "hello")) == 200
            assert await answered(server, ANA) == ["You said: hello"]
            assert made.pulse.received > received
            assert server.called("getUpdates") == []
        assert desk.letter("telegram") is None

    with TelegramServer() as server:
        asyncio.run(whole(server))


@pytest.mark.parametrize("headers", [{}, {HEADER: ""}, {HEADER: SECRET + "x"}, {HEADER: "\udcff"}])
def test_a_call_without_the_secret_is_refused_unread(headers: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def whole(server: TelegramServer) -> None:
        desk, made = Desk(), channel(server, webhook=HOOK)
        async with working(server, desk, made, polls=False):
            letter = await hooked(server, desk, made)
            assert await letter(headers, update(1, "hello")) == 401
            assert desk.posted == []

    with TelegramServer() as server:
        asyncio.run(whole(server))
    assert SECRET not in caplog.text


def test_no_webhook_without_a_secret() -> None:
    made = channel(TelegramServer(), webhook={"url": "https://bot.example.org", "secret": ""})
    with pytest.raises(OpenClawError, match="without a secret would believe anybody"):
        asyncio.run(made.open())


def test_what_comes_again_is_taken_once_also_after_a_restart() -> None:
    notes, desk = Notes(), Desk()

    async def whole(server: TelegramServer) -> None:
        server.chat(ANA)
        for count in (1, 1):
            made = channel(server, webhook=HOOK, notes=notes)
            async with working(server, desk, made, polls=False):
                letter = await hooked(server, desk, made)
                for _ in range(3):
                    assert await letter({HEADER: SECRET}, update(1, "/help")) == 200
                assert len(await answered(server, ANA, count)) == count

    with TelegramServer() as server:
        asyncio.run(whole(server))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[1]", 400),
        (b"\xff\xfe", 400),
        (b'{"message": {}}', 400),
        (b'{"update_id": 5, "message": {"message_id": "x"}}', 200),
        (b'{"update_id": 6, "brand_new": {}}', 200),
    ],
)
def test_what_makes_no_sense_is_refused_or_passed_over(body: bytes, status: int) -> None:
    async def whole(server: TelegramServer) -> None:
        desk, made = Desk(), channel(server, webhook=HOOK)
        async with working(server, desk, made, polls=False):
            letter = await hooked(server, desk, made)
            assert await letter({HEADER: SECRET}, body) == status
            assert desk.posted == []

    with TelegramServer() as server:
        asyncio.run(whole(server))


class Stopping(Desk):
    async def __call__(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        return Refused("stopping", "the runtime is stopping")


def test_a_stopping_runtime_asks_the_service_to_call_again() -> None:
    async def whole(server: TelegramServer) -> None:
        desk, made = Stopping(), channel(server, webhook=HOOK)
        async with working(server, desk, made, polls=False):
            letter = await hooked(server, desk, made)
            assert await letter({HEADER: SECRET}, update(1, "hello")) == 503
            assert await letter({HEADER: SECRET}, update(1, "hello")) == 503

    with TelegramServer() as server:
        asyncio.run(whole(server))


class Hurried(Hasty):
    """A clock on which a minute is a moment."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = 1000.0


def test_two_calls_with_the_same_update_at_once_are_one() -> None:
    async def whole(server: TelegramServer) -> None:
        desk, made = Desk(), channel(server, webhook=HOOK)
        server.chat(ANA)
        async with working(server, desk, made, polls=False):
            letter = await hooked(server, desk, made)
            calls = [letter({HEADER: SECRET}, update(1, "/help")) for _ in range(5)]
            assert await asyncio.gather(*calls) == [200] * 5
            assert await letter({HEADER: SECRET}, update(2, "hello")) == 200
            assert len(await answered(server, ANA, 2)) == 2
        assert len(server.sent(ANA)) == 2

    with TelegramServer() as server:
        asyncio.run(whole(server))


@pytest.mark.slow
def test_a_webhook_that_was_taken_away_or_is_not_reached_is_noticed() -> None:
    async def whole(server: TelegramServer) -> None:
        desk, made = Desk(), channel(server, webhook=HOOK, clock=Hurried())
        async with working(server, desk, made, polls=False):
            await hooked(server, desk, made)
            server.webhook = {"url": ""}
            await until(lambda: server.webhook["url"], "the webhook again")
            server.webhook["last_error_message"] = "Wrong response from the webhook: 502 Bad Gateway"
            server.say("hello", by=ANA)
            await until(lambda: "502 Bad Gateway" in made.pulse.trouble, "the trouble")
            assert "cannot call https://bot.example.org/channels/telegram" in made.pulse.trouble
            del server.webhook["last_error_message"]
            await until(lambda: not made.pulse.trouble, "its end")

    with TelegramServer() as server:
        asyncio.run(whole(server))


def test_polling_takes_an_old_webhook_away() -> None:
    async def whole(server: TelegramServer) -> None:
        server.webhook = {"url": "https://old.example.org", "secret_token": ""}
        async with working(server, Desk(), channel(server)):
            server.say("hello", by=ANA)
            assert await answered(server, ANA) == ["You said: hello"]

    with TelegramServer() as server:
        asyncio.run(whole(server))


CHANNELS = """\
channels:
  http: {{kind: http, port: 0, token: {operator}}}
  telegram:
    kind: telegram
    token: "{token}"
    allow: [7]
    api_base: "{api}"
    webhook: {{url: "https://bot.example.org", secret: {secret}}}
"""


def test_calls_arrive_through_our_own_http_channel(tmp_path: Any) -> None:
    with MessagesServer() as model, TelegramServer() as server:
        model.say("Hello, Ana.")
        text = CHANNELS.format(operator=OPERATOR, token=TOKEN, api=server.url, secret=SECRET)
        root = project(tmp_path / "project", model.url, files={"channels.yaml": text})

        async def whole() -> None:
            async with lived(root, tmp_path / "state") as (app, _):
                await until(lambda: server.webhook["url"], "the webhook")
                [address] = await app.addresses()
                here = f"{address}/channels/telegram"
                server.say("hello", by=ANA)
                assert (await server.deliver(here, **{"X-Telegram-Bot-Api-Secret-Token": "wrong"}))[0] == 401
                assert await server.deliver(here) == [200]
                assert await answered(server, ANA) == ["Hello, Ana."]

        asyncio.run(whole())
