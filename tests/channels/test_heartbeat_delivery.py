"""What heartbeats say reaches people on Telegram: once, also when it is down for a minute, and they can answer it.

A whole runtime, the Bot API's double and the model's. The heartbeats are run by hand; what comes of them is the same.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, Hasty, Process, Program, lived, project, until
from doubles.house import TOKEN as OPERATOR
from doubles.messages_server import MessagesServer, Reply
from doubles.telegram_house import ANA, GROUP, answered, quiet
from doubles.telegram_people import BOT_NAME
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.app import App
from openclaw.channels._telegram_sending import REPEATED

CHANNELS = """\
channels:
  http: {{kind: http, port: 0, token: {operator}}}
  telegram: {{kind: telegram, token: "{token}", api_base: "{api}"}}
people:
  ana: {{ids: ["telegram:7"], owner: true}}
rooms:
  den: {{id: "telegram:-50"}}
"""
BEATS = """\
defaults: {timezone: UTC, agent: main}
heartbeats:
  private: {cron: "0 3 29 2 *", prompt: look for ana, deliver: ana}
  shared: {cron: "0 3 29 2 *", prompt: look for the den, deliver: den}
  nobody: {cron: "0 3 29 2 *", prompt: stay silent, deliver: ana}
"""
SIDE = AGENT.replace("Main", "Side").replace("default: true", "prefix: /side").replace("soul: main.md\n", "")
NEWS = {"look for ana": "The milk is out.", "look for the den": "The den is cold.", "stay silent": "NO_REPLY"}
Scene = Callable[[App, Program, TelegramServer], Awaitable[None]]


def speaks(body: dict[str, Any]) -> Reply:
    """News to a heartbeat, and an echo to people."""
    last = str(body["messages"][-1]["content"][-1]["text"])
    return Reply({"type": "text", "text": NEWS.get(last, f"You said: {last}")})


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(otherwise=speaks) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        server.chat(ANA)
        server.chat(GROUP)
        yield server


def place(tmp_path: Path, model: MessagesServer, telegram: TelegramServer) -> Path:
    channels = CHANNELS.format(operator=OPERATOR, token=TOKEN, api=telegram.url)
    files = {"channels.yaml": channels, "heartbeats.yaml": BEATS, "agents/side.yaml": SIDE}
    return project(tmp_path / "project", model.url, files=files)


def run(tmp_path: Path, model: MessagesServer, telegram: TelegramServer, scene: Scene, **options: Any) -> None:
    async def whole() -> None:
        root = place(tmp_path, model, telegram)
        async with lived(root, tmp_path / "state", **options) as (app, operator):
            await until(lambda: telegram.called("getUpdates"), "the first poll")
            await asyncio.wait_for(scene(app, operator, telegram), 100)

    asyncio.run(whole())


async def beat(operator: Program, name: str) -> None:
    response = await operator.http.post(f"/api/heartbeats/{name}/run")
    assert response.status_code == 202, response.text


async def history(operator: Program, name: str) -> list[dict[str, Any]]:
    response = await operator.http.get("/api/heartbeats/history", params={"heartbeat": name})
    assert response.status_code == 200, response.text
    return list(response.json()["runs"])


async def delivery(operator: Program, name: str, state: str = "sent") -> dict[str, Any]:
    """The one run of this heartbeat, once its one delivery is so."""
    async with asyncio.timeout(30):
        while True:
            runs = await history(operator, name)
            if runs and runs[0]["deliveries"] and runs[0]["deliveries"][0]["state"] == state:
                [found] = runs
                assert len(found["deliveries"]) == 1
                return dict(found)
            await asyncio.sleep(0.2)  # a program may not ask too often


async def ended(operator: Program, name: str) -> list[dict[str, Any]]:
    """The runs of this heartbeat, once the newest is over."""
    async with asyncio.timeout(30):
        while True:
            runs = await history(operator, name)
            if runs and runs[0]["outcome"] not in ("queued", "running"):
                return runs
            await asyncio.sleep(0.2)


def heard(model: MessagesServer) -> str:
    """All that the model was given with the last request."""
    return str(model.requests[-1].body["messages"])


async def told(operator: Program, session: str) -> list[dict[str, Any]]:
    return [entry for entry in await operator.entries(session) if entry["type"] == "told"]


@pytest.mark.slow
def test_what_is_said_while_telegram_is_down_for_a_minute_comes_once_after_it(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.cut()
        await beat(operator, "private")
        run = await delivery(operator, "private", "due")
        await app.clock.sleep(60)
        assert telegram.sent(ANA) == [] and run["outcome"] == "answered"
        assert "agent:main:person:ana" not in {one["key"] for one in await sessions(operator)}, "nobody was told yet"
        telegram.mend()
        [news] = await answered(telegram, ANA)
        assert news.endswith("The milk is out."), "after a mark, for what was cut off might have arrived"
        run = await delivery(operator, "private")
        assert run["outcome"] == "answered" and run["deliveries"][0]["tries"] > 1
        await app.clock.sleep(60)
        assert telegram.texts(ANA) == [news]
        telegram.say("which milk?", by=ANA)
        assert await answered(telegram, ANA, 2) == [news, "You said: which milk?"]
        assert "heartbeat private told them this" in heard(model) and heard(model).count("The milk is out.") == 1

    run(tmp_path, model, telegram, scene, clock=Hasty())


def test_it_can_be_answered_where_it_was_said(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    """In a room, and by a person who has chosen another agent: it is that agent who knows of it."""

    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        await beat(operator, "shared")
        assert await answered(telegram, GROUP) == ["The den is cold."]
        await delivery(operator, "shared")
        telegram.say(f"@{BOT_NAME} how cold?", by=ANA, chat=GROUP)
        await until(lambda: telegram.texts(GROUP)[1:] == ["You said: how cold?"], "the whole answer")
        assert "heartbeat shared told them this" in heard(model) and "The den is cold." in heard(model)
        telegram.say("/agent side", by=ANA)
        await answered(telegram, ANA)
        await beat(operator, "private")
        assert (await answered(telegram, ANA, 2))[1] == "The milk is out."
        await delivery(operator, "private")
        telegram.say("which milk?", by=ANA)
        await until(lambda: telegram.texts(ANA)[2:] == ["You said: which milk?"], "the whole answer")
        assert "heartbeat private told them this" in heard(model) and "The den is cold." not in heard(model)
        assert len(await told(operator, "agent:side:person:ana")) == 1
        assert "agent:main:person:ana" not in {one["key"] for one in await sessions(operator)}

    run(tmp_path, model, telegram, scene)


async def sessions(operator: Program) -> list[dict[str, Any]]:
    return list((await operator.http.get("/api/sessions")).json()["sessions"])


def test_a_silent_run_sends_nothing_and_tells_nobody(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        await beat(operator, "nobody")
        await beat(operator, "private")
        await delivery(operator, "private")
        runs = await ended(operator, "nobody")
        assert [(run["outcome"], run["deliveries"]) for run in runs] == [("silent", [])]
        assert telegram.texts(ANA) == ["The milk is out."]

    run(tmp_path, model, telegram, scene)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_crash_while_it_is_sent_repeats_it_with_a_mark_and_tells_it_once(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    root, state = place(tmp_path, model, telegram), tmp_path / "state"

    async def whole() -> None:
        with Process(root, state) as runtime:
            async with Program(await runtime.address()) as operator:
                await until(lambda: telegram.called("getUpdates"), f"the poll: {runtime.log}", 45)
                telegram.hold("sendMessage")
                await beat(operator, "private")
                await until(lambda: telegram.called("sendMessage"), "the message on its way", 45)
            runtime.process.send_signal(signal.SIGKILL)
            runtime.process.wait(10)
        telegram.release("sendMessage")
        with Process(root, state) as runtime:
            async with Program(await runtime.address()) as operator:
                run = await delivery(operator, "private")
                assert run["outcome"] == "answered"
                marked = f"{REPEATED}\n\nThe milk is out."
                assert marked in telegram.texts(ANA) and set(telegram.texts(ANA)) <= {marked, "The milk is out."}
                assert len(telegram.texts(ANA)) <= 2
                before = len(telegram.texts(ANA))
                telegram.say("which milk?", by=ANA)
                assert (await answered(telegram, ANA, before + 1))[-1] == "You said: which milk?"
                await quiet(telegram)
                assert len(await told(operator, "agent:main:person:ana")) == 1
                assert heard(model).count("The milk is out.") == 1

    asyncio.run(whole())
