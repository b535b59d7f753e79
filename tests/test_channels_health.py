"""The watchdog: a channel that receives nothing is started anew, and says so; nothing that was said is lost."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from doubles.house import TOKEN, Hasty, lived, project, until
from doubles.messages_server import MessagesServer
from doubles.messages_server import text as says
from doubles.telegram_house import ANA
from doubles.telegram_server import TOKEN as BOT
from doubles.telegram_server import TelegramServer

CHANNELS = """\
channels:
  http: {{kind: http, port: 0, token: {token}}}
  telegram: {{kind: telegram, token: "{bot}", api_base: "{api}", allow: [7]}}
"""


def test_a_channel_whose_polls_hang_is_started_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main(model: MessagesServer, telegram: TelegramServer) -> None:
        channels = CHANNELS.format(token=TOKEN, bot=BOT, api=telegram.url)
        root = project(tmp_path / "project", model.url, files={"channels.yaml": channels})
        async with lived(root, tmp_path / "state", clock=Hasty()) as (app, operator):
            await until(lambda: app.roll.condition("telegram") == "receiving", "the first poll")
            telegram.hold("getUpdates")
            telegram.say("hello", by=ANA)
            await until(lambda: app.roll.restarts.get("telegram"), "the watchdog", 30)
            telegram.release("getUpdates")
            await until(lambda: telegram.texts(ANA), "the answer", 30)
            told = (await operator.http.get("/metrics")).text
            assert 'openclaw_channel_restarts_total{channel="telegram"}' in told
            state = (await operator.http.get("/api/status")).json()["receiving"]["telegram"]
            assert state["restarts"] >= 1 and state["condition"] == "receiving"

    with caplog.at_level(logging.WARNING), MessagesServer(otherwise=says("Here.")) as model, TelegramServer() as bot:
        asyncio.run(main(model, bot))
    assert "channel telegram received nothing for" in caplog.text and BOT not in caplog.text
