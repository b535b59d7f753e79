"""The watchdog: a channel that receives nothing is started anew, and says so; nothing that was said is lost."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from doubles.house import TOKEN, Hasty, Program, lived, project, until
from doubles.http_socket import listening_at
from doubles.messages_server import MessagesServer
from doubles.messages_server import text as says
from doubles.telegram_house import ANA
from doubles.telegram_server import TOKEN as BOT
from doubles.telegram_server import TelegramServer
from openclaw import adapters
from openclaw.app import App
from openclaw.clock import Clock
from openclaw.parts import Parts
from openclaw.project import Options
from openclaw.stores._files import Files
from openclaw.stores.files import Store

CHANNELS = """\
channels:
  http: {{kind: http, port: 0, token: {token}}}
  telegram: {{kind: telegram, token: "{bot}", api_base: "{api}", allow: [7]}}
"""


@pytest.mark.slow
def test_a_channel_whose_polls_hang_is_started_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main(model: MessagesServer, telegram: TelegramServer) -> None:
        channels = CHANNELS.format(token=TOKEN, bot=BOT, api=telegram.url)
        root = project(tmp_path / "project", model.url, files={"channels.yaml": channels})
        async with lived(root, tmp_path / "state", clock=(clock := Hasty())) as (app, operator):
            await until(lambda: app.roll.condition("telegram") == "receiving", "the first poll")
            telegram.hold("getUpdates")
            telegram.say("hello", by=ANA)
            await until(lambda: app.roll.restarts.get("telegram"), "the watchdog", 30)
            telegram.release("getUpdates")
            clock.walk()
            await until(lambda: telegram.texts(ANA), "the answer", 30)
            await until(lambda: app.roll.condition("telegram") == "receiving", "a poll of the new one", 30)
            told = (await operator.http.get("/metrics")).text
            assert 'openclaw_channel_restarts_total{channel="telegram"}' in told
            state = (await operator.http.get("/api/status")).json()["channels"]["telegram"]
            assert state["restarts"] >= 1 and state["condition"] == "receiving"

    with caplog.at_level(logging.WARNING), MessagesServer(otherwise=says("Here.")) as model, TelegramServer() as bot:
        asyncio.run(main(model, bot))
    assert "channel telegram received nothing for" in caplog.text and BOT not in caplog.text


class Filling(Files):
    """A disk that has no room for rows while it is told so."""

    full = False

    def commit(self, db: sqlite3.Connection) -> None:
        self._check()
        super().commit(db)

    def allocate(self, file: int, size: int) -> None:
        self._check()
        super().allocate(file, size)

    def _check(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space")


def test_a_command_typed_on_a_full_disk_takes_no_channel_away(tmp_path: Path) -> None:
    disk = Filling()

    def kind(folder: str, name: str) -> Any:
        return stored if folder == "stores" else adapters.kind(folder, name)

    def stored(folder: str, clock: Clock) -> Store:
        return Store(folder, clock, disk)

    async def main(model: MessagesServer, telegram: TelegramServer) -> None:
        channels = CHANNELS.format(token=TOKEN, bot=BOT, api=telegram.url)
        root = project(tmp_path / "project", model.url, files={"channels.yaml": channels})
        app = App(Options(root, tmp_path / "state"), parts=Parts(kind))
        async with app.opened():
            running = asyncio.create_task(app.run())
            telegram.say("one", by=ANA)
            await until(lambda: telegram.texts(ANA), "the first answer")
            disk.full = True
            telegram.say("/status", by=ANA)
            await until(lambda: telegram.texts(ANA)[1:], "what the command says")
            await until(lambda: app.space.waiting, "the note that it was taken, which waits for room")
            async with Program((await app.addresses())[0]) as operator:
                refused = await operator.http.delete("/api/inbox/r1")
                assert (refused.status_code, refused.json()["code"]) == (503, "full")
            disk.full = False
            telegram.say("two", by=ANA)
            await until(lambda: telegram.texts(ANA)[2:], "the answer")
            assert telegram.texts(ANA)[2:] == ["Here."]
            assert app.roll.states["telegram"] == "running" and not app.roll.restarts
            app.stopping.set()
            await running

    with MessagesServer(otherwise=says("Here.")) as model, TelegramServer() as bot:
        asyncio.run(asyncio.wait_for(main(model, bot), 120))


def test_a_control_socket_that_cannot_be_made_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main(model: MessagesServer) -> None:
        root, socket = project(tmp_path / "project", model.url), tmp_path / "state" / "control.sock"
        socket.mkdir(parents=True)
        async with lived(root, socket.parent, clock=Hasty()) as (app, _):
            await until(lambda: "is tried again" in caplog.text, "word of it")
            socket.rmdir()
            await until(socket.exists, "the socket")
            await listening_at(socket)
            assert app.failure is None

    with MessagesServer() as model:
        asyncio.run(asyncio.wait_for(main(model), 60))
    assert caplog.text.count("control.sock cannot be made") == 1
