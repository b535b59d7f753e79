"""Each kind of channel as a person meets it, behind one face: the same questions can be put to all of them.

A face has the real channel on a real socket or pipe, the double of its service where it has one, and a small desk
behind it. `Person.WRONG` may write but not answer questions.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import httpx2

from doubles import discord_server, telegram_house
from doubles.desk import Desk
from doubles.discord_house import Stage
from doubles.discord_server import DiscordServer
from doubles.house import until
from doubles.telegram_server import TelegramServer
from openclaw.channels import http, repl
from openclaw.clock import SystemClock
from openclaw.control import serve_at
from openclaw.messages import Address, Reply
from openclaw.ports import Channel, ChannelOptions


class Person(Enum):
    RIGHT = "right"
    WRONG = "wrong"


class Face(Protocol):
    desk: Desk
    channel: Channel
    address: Address  # of the right person
    again: bool  # whether the service can deliver a message twice
    unasked: bool  # whether something can be sent to somebody who did not ask
    others: bool  # whether somebody else can see the question at all
    typing: bool  # whether it can show that somebody is at work
    streams: bool  # whether an answer is seen while it is written
    network: bool  # whether there is a network between the channel and its service

    async def say(self, text: str) -> str:
        """The right person writes; a name for the message."""

    async def repeat(self, message: str) -> None:
        """The service delivers it once more."""

    async def confirmed(self, message: str) -> bool:
        """Whether the service was told that it is taken."""

    async def texts(self) -> list[str]:
        """What the right person has been answered so far, whole replies as the service shows them."""

    async def files(self) -> str:
        """What came as files, as text."""

    async def card(self) -> str:
        """The whole question, once it is shown."""

    async def press(self, label: str, by: Person) -> str:
        """Answers it (`once` or `deny`); what a refusal says, "" for none."""

    async def shows_work(self) -> bool: ...

    async def glimpse(self) -> str:
        """What is seen of an answer that is being written; "" for nothing yet."""

    def cut(self, away: bool) -> None:
        """Takes the network away, or brings it back. What is said meanwhile reaches the service all the same."""

    async def stop(self) -> None:
        """Ends the channel, as the runtime does."""


class _Running:
    """What the faces share: the channel's own task."""

    channel: Channel
    desk: Desk
    task: asyncio.Task[None]

    def begin(self) -> None:
        self.task = asyncio.create_task(self.channel.run(self.desk, self.desk))

    async def files(self) -> str:
        return ""

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.channel.close()


# ── telegram ─────────────────────────────────────────────────────────────────────────────────────


class Telegram(_Running):
    again, unasked, others, typing, streams, network = True, True, True, True, True, True
    address = Address("telegram", str(telegram_house.ANA))

    def __init__(self, server: TelegramServer) -> None:
        self.server = server
        server.chat(telegram_house.ANA)  # has written before, else a bot may not write to them
        self.desk = Desk(send=lambda reply: telegram_house.delivered(made, reply))
        self.channel = made = telegram_house.channel(server)
        self._updates: dict[str, dict[str, Any]] = {}

    async def say(self, text: str) -> str:
        said = self.server.say(text, by=telegram_house.ANA)
        self._updates[str(said["message_id"])] = said
        return str(said["message_id"])

    async def repeat(self, message: str) -> None:
        self.server.queue({"message": self._updates[message]})

    async def confirmed(self, message: str) -> bool:
        return not self.server.waiting

    async def texts(self) -> list[str]:
        return [sent.get("text", "") for sent in self.server.sent(telegram_house.ANA) if not sent.get("reply_markup")]

    async def files(self) -> str:
        return "".join(upload.content.decode() for _, upload, _ in self.server.uploads)

    async def _card(self) -> dict[str, Any]:
        place = telegram_house.ANA
        found: dict[str, Any] = await until(
            lambda: next((one for one in self.server.sent(place) if one.get("reply_markup")), None), "a card"
        )
        return found

    async def card(self) -> str:
        return str((await self._card())["text"])

    async def press(self, label: str, by: Person) -> str:
        who = telegram_house.ANA if by is Person.RIGHT else telegram_house.BEN
        query = self.server.press(who, telegram_house.ANA, (await self._card())["message_id"], label)

        text, alert = await until(lambda: self.server.alerts.get(query), "the answer to the press")
        return str(text) if alert else ""

    async def shows_work(self) -> bool:
        return bool(self.server.called("sendChatAction", 200))

    async def glimpse(self) -> str:
        return self.server.drafts[-1][2] if self.server.drafts else ""

    def cut(self, away: bool) -> None:
        if away:
            self.server.cut()
        else:
            self.server.mend()


@asynccontextmanager
async def telegram(folder: Path) -> AsyncIterator[Face]:
    with TelegramServer() as server:
        face = Telegram(server)
        await face.channel.open()
        face.begin()
        await until(lambda: server.called("getUpdates"), "the first poll")
        try:
            yield face
        finally:
            await face.stop()


# ── discord ──────────────────────────────────────────────────────────────────────────────────────


class Discord:
    again, unasked, others, typing, streams, network = True, True, True, True, True, True
    address = Address("discord", discord_server.NADER)

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.stage = Stage(server)
        self.desk, self.channel = self.stage.desk, self.stage.channel
        self.place = server.direct(discord_server.NADER)

    async def say(self, text: str) -> str:
        return self.server.say(text, channel=self.place)

    async def repeat(self, message: str) -> None:
        found = self.server._find(self.place, message)
        assert found is not None
        self.server.dispatch("MESSAGE_CREATE", found)

    async def confirmed(self, message: str) -> bool:
        kept = await self.stage.notes.get("places") or {"channels": {}}
        place = kept["channels"].get(self.place)
        return place is not None and int(place[0]) >= int(message)

    async def texts(self) -> list[str]:
        return [one["content"] for one in self.server.sent(self.place) if not one["components"]]

    async def files(self) -> str:
        return "".join(content.decode() for content, _ in self.server._files.values())

    async def card(self) -> str:
        return str((await self.stage.card(self.place))["content"])

    async def press(self, label: str, by: Person) -> str:
        card = await self.stage.card(self.place)
        who = discord_server.NADER if by is Person.RIGHT else discord_server.ANA
        wanted = "Allow once" if label == "once" else "Deny"
        press = self.server.interactions[self.server.press(card["id"], wanted, by=who)]
        await until(lambda: press.answers, "the answer to the press")
        if by is Person.WRONG:
            await until(lambda: press.follow_ups, "the refusal")
        return "".join(one["content"] for one in press.follow_ups)

    async def shows_work(self) -> bool:
        return bool(self.server.made("POST", f"/channels/{self.place}/typing"))

    async def glimpse(self) -> str:
        return "".join(await self.texts())

    def cut(self, away: bool) -> None:
        self.server.outage(away)

    async def stop(self) -> None:
        assert self.stage.task is not None
        self.stage.task.cancel()
        await asyncio.gather(self.stage.task, return_exceptions=True)
        await self.channel.close()


@asynccontextmanager
async def discord(folder: Path) -> AsyncIterator[Face]:
    with DiscordServer() as server:
        face = Discord(server)
        async with face.stage:
            yield face


# ── http ─────────────────────────────────────────────────────────────────────────────────────────


class Http(_Running):
    again, unasked, others, typing, streams, network = True, False, True, False, True, False

    def __init__(self, folder: Path) -> None:
        self.desk = Desk()
        self.address = Address("http", "nader/nader")
        tokens = {
            "nader": {"secret": "right-secret", "as": "nader", "scopes": ["chat", "approve"]},
            "ben": {"secret": "wrong-secret", "scopes": ["chat", "approve"]},
        }
        limits = {"requests_per_minute": 6000, "body": 1 << 20, "connections": 100}
        options = {
            "host": "127.0.0.1", "port": 0, "token": "operators-secret", "tokens": tokens, "limits": limits,
            "hooks": {},
            "token_file": str(folder / "http-token"), "serve": self._serve, "notes": telegram_house.Notes(),
        }  # fmt: skip
        self.channel = self.made = http.Channel(ChannelOptions("http", "http", options), SystemClock())
        self._sent: dict[str, asyncio.Task[httpx2.Response]] = {}
        self._said: dict[str, str] = {}

    async def _serve(self, *arguments: Any) -> None:
        listener, post, operations, gate, options = arguments
        await serve_at(listener, post, operations, gate, SystemClock(), options)

    def client(self, secret: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {secret}"}
        return httpx2.AsyncClient(base_url=self.made.address, headers=headers, timeout=30, trust_env=False)

    async def _post(self, key: str) -> httpx2.Response:
        async with self.client("right-secret") as client:
            body, headers = {"text": self._said[key]}, {"Idempotency-Key": key}
            return await client.post("/api/messages", json=body, headers=headers)

    async def say(self, text: str) -> str:
        key = f"key-{len(self._said)}"
        self._said[key] = text
        self._sent[key] = asyncio.create_task(self._post(key))
        return key

    async def repeat(self, message: str) -> None:
        await self._post(message)

    async def confirmed(self, message: str) -> bool:
        return self._sent[message].done()

    async def texts(self) -> list[str]:
        answers = []
        for sent in [one for one in self._sent.values() if one.done()]:
            answer = sent.result().json()
            if answer.get("status") == "waiting":
                answers += await self._later(answer["id"])
            else:
                answers.append(answer.get("reply") or answer.get("detail"))
        return answers

    async def _later(self, id: str) -> list[str]:
        async with self.client("right-secret") as client:
            found = (await client.get(f"/api/messages/{id}")).json()
        return [found["reply"]] if "reply" in found else []

    async def _pending(self) -> dict[str, Any]:
        async with self.client("right-secret") as client:
            for _ in range(500):
                found = (await client.get("/api/approvals")).json()["pending"]
                if found:
                    pending: dict[str, Any] = found[0]
                    return pending
                await asyncio.sleep(0.01)
        raise AssertionError("nothing is pending")

    async def card(self) -> str:
        return "\n".join((await self._pending())["lines"])

    async def press(self, label: str, by: Person) -> str:
        decision = {"once": "allow-once", "deny": "deny"}[label]
        pending = await self._pending()
        async with self.client(f"{by.value}-secret") as client:
            answer = await client.post(f"/api/approvals/{pending['id']}", json={"decision": decision})
        return "" if answer.is_success else str(answer.json()["detail"])

    async def shows_work(self) -> bool:
        return False

    async def glimpse(self) -> str:
        [key] = self._said
        headers = {"Accept": "text/event-stream", "Idempotency-Key": key}
        async with (
            self.client("right-secret") as client,
            client.stream("POST", "/api/messages", json={"text": self._said[key]}, headers=headers) as response,
        ):
            async for line in response.aiter_lines():
                if line.startswith("data: ") and (text := json.loads(line[6:]).get("text")):
                    return str(text)
        return ""

    def cut(self, away: bool) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        for sent in self._sent.values():
            sent.cancel()
        await asyncio.gather(*self._sent.values(), return_exceptions=True)
        await super().stop()


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[Face]:
    face = Http(folder)
    await face.channel.open()
    face.begin()
    try:
        yield face
    finally:
        await face.stop()


# ── repl ─────────────────────────────────────────────────────────────────────────────────────────


class Repl(_Running):
    """Lines through pipes laid over this process's own standard streams."""

    again, unasked, others, typing, streams, network = False, True, False, False, False, False
    address = Address("repl", "local")

    def __init__(self, keyboard: int, screen: int) -> None:
        self.keyboard, self.screen = keyboard, screen
        self.channel = made = repl.Channel(ChannelOptions("repl", "repl"), SystemClock())
        self.desk = Desk(send=made.send)
        self._read = b""

    async def say(self, text: str) -> str:
        os.write(self.keyboard, f"{text}\n".encode())
        return text

    async def repeat(self, message: str) -> None:
        raise NotImplementedError

    async def confirmed(self, message: str) -> bool:
        return True

    async def texts(self) -> list[str]:
        while True:
            try:
                self._read += os.read(self.screen, 1 << 20)
            except BlockingIOError:
                return self._read.decode().splitlines()

    async def card(self) -> str:
        raise NotImplementedError

    async def press(self, label: str, by: Person) -> str:
        raise NotImplementedError

    async def shows_work(self) -> bool:
        return False

    async def glimpse(self) -> str:
        raise NotImplementedError

    def cut(self, away: bool) -> None:
        raise NotImplementedError


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[Face]:
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    os.set_blocking(out_read, False)
    kept = [os.dup(number) for number in (0, 1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number, end in ((0, in_read), (1, out_write), (2, nowhere)):
        os.dup2(end, number)
    face = Repl(in_write, out_read)
    await face.channel.open()
    face.begin()
    try:
        yield face
    finally:
        os.close(in_write)  # the reader, in a thread of its own, sees the end of the input
        await face.stop()
        for number, saved in enumerate(kept):
            os.dup2(saved, number)
        for end in (in_read, out_read, out_write, nowhere, *kept):
            os.close(end)


FACES: dict[str, Callable[[Path], Any]] = {
    "repl": terminal,
    "telegram": telegram,
    "discord": discord,
    "http": over_http,
}


def unasked(face: Face, text: str, **more: Any) -> Reply:
    return Reply(face.address, text, "cron:morning", "main", **more)
