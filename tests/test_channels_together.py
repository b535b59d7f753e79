"""One assistant on every channel: one memory for all, one session for a person, one answer to a question.

The whole runtime with the real clients of both services against their doubles, and programs over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.discord_server import ANA, NADER, DiscordServer
from doubles.house import AGENT, TOKEN, Program, lived, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool
from doubles.telegram_server import TOKEN as BOT
from doubles.telegram_server import TelegramServer
from openclaw.app import App

ON_TELEGRAM = 7
CHANNELS = """\
channels:
  http:
    kind: http
    port: 0
    token: {token}
    tokens: {{nader: {{secret: naders-own-secret, as: nader, scopes: [chat, approve]}}}}
  telegram: {{kind: telegram, token: "{bot}", api_base: "{telegram}"}}
  discord: {{kind: discord, token: "{discord_token}", api_base: "{discord}"}}
people:
  nader: {{ids: ["telegram:7", "discord:{nader}"], owner: true}}
  ana: {{ids: ["discord:{ana}"]}}
"""
TOOLS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: ask
    rules: [{allow: [save_memory, memory_search]}]
"""
MAIN = AGENT.replace("[list_files, add]", "[add, save_memory, memory_search]")
Scene = Callable[[App, Program, TelegramServer, DiscordServer], Awaitable[None]]


def attentive(body: dict[str, Any]) -> Reply:
    """Saves a name it is told, looks for one it is asked for, adds what it is asked to add."""
    last = body["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        content = last["content"]
        return text(content if isinstance(content, str) else content[0]["text"])
    match last["text"]:
        case "My name is Nader":
            return Reply(tool("save_memory", name="name", text="The person's name is Nader."))
        case "What's my name?":
            return Reply(tool("memory_search", query="name"))
        case "add":
            return Reply(tool("add", a=20, b=22))
    return text(f"You said: {last['text']}")


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(otherwise=attentive) as server:
        yield server
    assert server.violations == []


def run(tmp_path: Path, model: MessagesServer, scene: Scene) -> None:
    async def whole(telegram: TelegramServer, discord: DiscordServer) -> None:
        channels = CHANNELS.format(
            token=TOKEN, bot=BOT, telegram=telegram.url, discord_token=discord.token, discord=discord.api,
            nader=NADER, ana=ANA,
        )  # fmt: skip
        files = {"channels.yaml": channels, "tools.yaml": TOOLS, "agents/main.yaml": MAIN}
        root = project(tmp_path / "project", model.url, files=files)
        async with lived(root, tmp_path / "state") as (app, operator):
            await until(lambda: telegram.called("getUpdates") and discord.sessions, "both connections")
            await asyncio.wait_for(scene(app, operator, telegram, discord), 100)

    with TelegramServer() as telegram, DiscordServer() as discord:
        asyncio.run(whole(telegram, discord))


def on_discord(discord: DiscordServer, who: str = NADER) -> list[str]:
    return [one["content"] for one in discord.sent(discord.direct(who))]


def test_a_name_told_on_telegram_is_known_over_http_and_a_person_has_one_session(
    tmp_path: Path, model: MessagesServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer, discord: DiscordServer) -> None:
        telegram.say("My name is Nader", by=ON_TELEGRAM)
        await until(lambda: telegram.texts(ON_TELEGRAM), "the answer on Telegram")
        another = (await operator.say("What's my name?", sender="somebody-else")).json()
        assert "Nader" in another["reply"]
        assert another["session"] == "agent:main:http:operator/somebody-else"
        async with Program(str(operator.http.base_url), "naders-own-secret") as nader:
            own = (await nader.say("hello over HTTP")).json()
        discord.say("hello on Discord", channel=discord.direct(NADER))
        await until(lambda: on_discord(discord), "the answer on Discord")
        assert own["session"] == "agent:main:person:nader"
        entries = await operator.entries("agent:main:person:nader")
        said = [entry["content"][-1]["text"] for entry in entries if entry.get("role") == "user"]
        assert said == ["My name is Nader", "hello over HTTP", "hello on Discord"]

    run(tmp_path, model, scene)


def test_one_press_answers_a_question_and_every_card_says_so(tmp_path: Path, model: MessagesServer) -> None:
    """Ana may not answer; her question goes to Nader, wherever he is, and not to her."""

    async def scene(app: App, operator: Program, telegram: TelegramServer, discord: DiscordServer) -> None:
        telegram.chat(ON_TELEGRAM)
        discord.say("add", by=ANA, channel=discord.direct(ANA))
        card = await until(
            lambda: next((one for one in telegram.sent(ON_TELEGRAM) if one.get("reply_markup")), None), "a card"
        )
        there = await until(
            lambda: next((one for one in discord.sent(discord.direct(NADER)) if one["components"]), None), "a card"
        )
        assert not [one for one in discord.sent(discord.direct(ANA)) if one["components"]]
        buttons = [button for row in there["components"] for button in row["components"]]
        deny = next(button["custom_id"] for button in buttons if button["label"] == "Deny")
        telegram.press(ON_TELEGRAM, ON_TELEGRAM, card["message_id"], "once")
        await until(lambda: not app.desk.approvals(), "the first press")
        discord.press(there["id"], deny)  # from a window that has not heard of it yet
        await until(lambda: "42" in on_discord(discord, ANA), "the answer to Ana")
        await until(lambda: not discord.sent(discord.direct(NADER))[0]["components"], "the end of the other card")
        assert not app.desk.approvals()

    run(tmp_path, model, scene)


def test_the_health_of_every_channel_is_when_it_last_received(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer, discord: DiscordServer) -> None:
        async def receiving() -> bool:
            ready = (await operator.http.get("/readyz")).json()
            expected = {"http": "serving", "telegram": "receiving", "discord": "receiving"}
            return bool(ready["channels"] == expected)

        async with asyncio.timeout(30):
            while not await receiving():  # noqa: ASYNC110  # told by whoever is asked
                await asyncio.sleep(0.02)
        told = (await operator.http.get("/metrics")).text
        assert 'openclaw_channel_condition{channel="telegram",condition="receiving"} 1.0' in told
        assert 'openclaw_channel_last_received_timestamp_seconds{channel="discord"}' in told

    run(tmp_path, model, scene)


def test_who_may_not_answer_any_more_after_an_edit_cannot_answer_what_was_asked_before(
    tmp_path: Path, model: MessagesServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer, discord: DiscordServer) -> None:
        telegram.chat(ON_TELEGRAM)
        discord.say("add", by=ANA, channel=discord.direct(ANA))
        card = await until(
            lambda: next((one for one in telegram.sent(ON_TELEGRAM) if one.get("reply_markup")), None), "a card"
        )
        manifest = Path(app.options.project) / "channels.yaml"
        manifest.write_text(manifest.read_text("utf-8").replace(', owner: true', ''), "utf-8")
        # Unchanged: the edit was noticed before it was asked for.
        assert (await operator.http.post("/api/reload")).json()["outcome"] in ("applied", "unchanged")
        assert not app.desk.approvals()
        telegram.press(ON_TELEGRAM, ON_TELEGRAM, card["message_id"], data=_token(card))
        told = await until(lambda: [text for text in on_discord(discord, ANA) if "withdrawn" in text], "the answer")
        assert "42" not in told

    run(tmp_path, model, scene)


def _token(card: dict[str, Any]) -> str:
    return str(card["reply_markup"]["inline_keyboard"][0][0]["callback_data"])


def test_who_cannot_be_asked_where_they_write_is_asked_elsewhere(tmp_path: Path, model: MessagesServer) -> None:
    """A program that pipes a question in for the owner: nobody reads there."""

    async def scene(app: App, operator: Program, telegram: TelegramServer, discord: DiscordServer) -> None:
        telegram.chat(ON_TELEGRAM)
        async with Program(str(operator.http.base_url), "naders-own-secret") as nader:
            asking = asyncio.ensure_future(nader.say("add", ask=False))
            card = await until(
                lambda: next((one for one in telegram.sent(ON_TELEGRAM) if one.get("reply_markup")), None), "a card"
            )
            telegram.press(ON_TELEGRAM, ON_TELEGRAM, card["message_id"], "once")
            answer = await asking
            id = answer.json()["id"]

            async def done() -> str:
                return str((await nader.http.get(f"/api/messages/{id}")).json().get("reply", ""))

            async with asyncio.timeout(20):
                while not (reply := await done()):  # noqa: ASYNC110  # told by whoever is asked
                    await asyncio.sleep(0.02)
            assert "42" in reply

    run(tmp_path, model, scene)
