"""The Discord channel on stage: the real channel and library, the double of the service, and a desk that answers.

`Stage` runs one channel in the test's loop; `notes` outlive it, so that the next one on the same notes is the channel
after a restart. Nothing is replaced but the clock, and that only where a test would wait for minutes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Self

from doubles.desk import Desk
from doubles.discord_server import DiscordServer
from doubles.house import until
from openclaw.channels.discord import Channel
from openclaw.clock import Clock, SystemClock
from openclaw.messages import Reply
from openclaw.ports import ChannelOptions

KEY = "discord"


class Kept:
    """Notes in memory, as they would come back from a disk."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.writes = 0

    async def get(self, name: str) -> Any:
        return json.loads(self.documents.get(name, "null"))

    async def put(self, name: str, document: Any) -> None:
        self.writes += 1
        self.documents[name] = json.dumps(document)


class Stage:
    def __init__(
        self,
        server: DiscordServer,
        *,
        notes: Kept | None = None,
        clock: Clock | None = None,
        desk: Desk | None = None,
        **options: Any,
    ) -> None:
        self.server = server
        self.clock = clock or SystemClock()
        self.notes = notes or Kept()
        settings = {"token": server.token, "groups": "mention", "api_base": server.api, "notes": self.notes}
        self.channel = Channel(ChannelOptions(KEY, "discord", {**settings, **options}), self.clock)
        self.desk = desk or Desk(self.clock, self.send)
        self.failed: list[Exception] = []  # what sending raised
        self.task: asyncio.Task[None] | None = None

    async def send(self, reply: Reply) -> None:
        try:
            await self.channel.send(reply)
        except Exception as error:
            self.failed.append(error)

    async def start(self) -> None:
        await self.channel.open()
        self.task = asyncio.create_task(self.channel.run(self.desk, self.desk))

    async def __aenter__(self) -> Self:
        """Connected: what is said from now on comes as an event."""
        before = self.server.sessions
        await self.start()
        assert self.task is not None
        await until(lambda: self.server.sessions > before or (self.task and self.task.done()), "a session")
        if self.task.done():
            await self.task
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.channel.close()

    # ── what is waited for ───────────────────────────────────────────────────────────────────────

    async def posted(self, count: int = 1) -> list[Any]:
        await until(lambda: len(self.desk.posted) >= count, f"message {count}")
        return self.desk.posted

    async def said(self, channel: str, *texts: str) -> list[dict[str, Any]]:
        """The bot's messages in a channel, once they read like this."""

        def there() -> list[str]:
            return [one["content"] for one in self.server.sent(channel)]

        try:
            await until(lambda: there() == list(texts), f"{texts}")
        except AssertionError:
            assert there() == list(texts)
        return self.server.sent(channel)

    async def card(self, channel: str) -> dict[str, Any]:
        """The newest message with buttons."""

        def found() -> dict[str, Any] | None:
            cards = [one for one in self.server.sent(channel) if one["components"]]
            return cards[-1] if cards else None

        card: dict[str, Any] = await until(found, "a card")
        return card


def play(scenario: Callable[[DiscordServer], Coroutine[Any, Any, None]], seconds: float = 60, **options: Any) -> None:
    with DiscordServer(**options) as server:
        asyncio.run(asyncio.wait_for(scenario(server), seconds))
