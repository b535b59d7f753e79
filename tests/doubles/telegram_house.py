"""A Telegram channel at work for tests: the real channel and client, the Bot API's double, and a desk behind it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from doubles.desk import Desk
from doubles.house import Hasty, until
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.channels.telegram import Channel
from openclaw.clock import Clock
from openclaw.errors import DeliveryError
from openclaw.messages import Reply
from openclaw.ports import ChannelOptions

ANA, BEN = 7, 8
GROUP, FORUM = -50, -1_000_000_000_099
Scene = Callable[[TelegramServer, Desk, Channel], Awaitable[None]]


class Notes:
    """What a channel keeps, in memory; `documents` may be handed to a later channel."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.writes = 0

    async def get(self, name: str) -> Any:
        return copy.deepcopy(self.documents.get(name))

    async def put(self, name: str, document: Any) -> None:
        self.writes += 1
        self.documents[name] = copy.deepcopy(document)


def channel(server: TelegramServer, *, clock: Clock | None = None, notes: Notes | None = None, **more: Any) -> Channel:
    options = {"token": TOKEN, "groups": "mention", "webhook": None, "api_base": server.url, "strangers": "pair"}
    whole = {**options, "notes": notes or Notes(), **more}
    return Channel(ChannelOptions("telegram", "telegram", whole), clock or Hasty())


async def delivered(made: Channel, reply: Reply) -> None:
    """As the outbox delivers: again and again, until it arrived or never can."""
    for _ in range(12):
        try:
            return await made.send(reply)
        except DeliveryError as error:
            if error.final:
                return None
            await asyncio.sleep(0.02)
    raise AssertionError("it was never delivered")


@asynccontextmanager
async def working(
    server: TelegramServer, desk: Desk, made: Channel, *, polls: bool = True
) -> AsyncIterator[asyncio.Task[None]]:
    """The channel from start to end; what `run` does is in the task."""
    desk._send = lambda reply: delivered(made, reply)
    await made.open()
    running = asyncio.create_task(made.run(desk, desk))
    try:
        if polls:
            await until(lambda: running.done() or server.called("getUpdates"), "the first poll")
        yield running
    finally:
        for task in (running, *desk._tasks):
            task.cancel()
        await asyncio.gather(running, *desk._tasks, return_exceptions=True)
        await made.close()


def play(scene: Scene, *, desk: Desk | None = None, **options: Any) -> TelegramServer:
    """One scene with one channel."""

    async def whole(server: TelegramServer) -> None:
        made, behind = channel(server, **options), desk or Desk()
        async with working(server, behind, made):
            await asyncio.wait_for(scene(server, behind, made), 60)

    with TelegramServer() as server:
        asyncio.run(whole(server))
        return server


async def answered(server: TelegramServer, chat: int, count: int = 1) -> list[str]:
    """What the bot wrote to a chat, once it is so much."""
    await until(lambda: len(server.sent(chat)) >= count, f"message {count} in chat {chat}")
    return server.texts(chat)


async def quiet(server: TelegramServer) -> None:
    """Everything that waits was taken in."""
    await until(lambda: not server.waiting, "the end of what waits")
