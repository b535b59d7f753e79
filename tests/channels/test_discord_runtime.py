"""Discord with everything behind it: the whole runtime, the real client, the doubles of both services."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from doubles.discord_server import ANA, BOT, GENERAL, NADER, OPS, TALK, TOKEN, DiscordServer
from doubles.house import AGENT, Hasty, Process, Program, lived, noted, project, until
from doubles.house import TOKEN as OPERATOR
from doubles.messages_server import MessagesServer, Reply, tool
from openclaw.app import App

ME = f"<@{BOT}>"
CHANNELS = """\
channels:
  http: {{kind: http, port: 0, token: {operator}}}
  discord: {{kind: discord, token: "{token}", api_base: "{api}"{more}}}
people:
  nader: {{ids: ["discord:{nader}", "http:operator/nader"], owner: true}}
rooms:
  ops: {{id: "discord:{ops}", agent: scout}}
"""
ASKS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: ask
    rules: [{allow: list_files}]
    approvers: [nader]
"""
SCOUT = AGENT.replace("default: true\n", "").replace("name: Main", "name: Scout") + "prefix: /scout\n"
Scene = Callable[[App, Program, DiscordServer], Awaitable[None]]


def echo(body: dict[str, Any]) -> Reply:
    """Answers a question with its words; a tool's result with what it was."""
    last = body["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        content = last["content"]
        return Reply({"type": "text", "text": f"It is {content if isinstance(content, str) else content[0]['text']}"})
    return Reply({"type": "text", "text": f"You said: {last['text']}"})


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(otherwise=echo) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def discord() -> Iterator[DiscordServer]:
    with DiscordServer() as server:
        yield server


def place(tmp_path: Path, model: MessagesServer, discord: DiscordServer, more: str = "", **files: str) -> Path:
    text = CHANNELS.format(operator=OPERATOR, token=TOKEN, api=discord.api, nader=NADER, ops=OPS, more=more)
    standard = {"channels.yaml": text, "agents/scout.yaml": SCOUT}
    return project(tmp_path / "project", model.url, files={**standard, **files})


def run(tmp_path: Path, root: Path, discord: DiscordServer, scene: Scene, **options: Any) -> None:
    async def whole() -> None:
        async with lived(root, tmp_path / "state", **options) as (app, operator):
            await until(lambda: discord.sessions, "a session")
            await asyncio.wait_for(scene(app, operator, discord), 150)

    asyncio.run(whole())


def texts(discord: DiscordServer, channel: str) -> list[str]:
    return [one["content"] for one in discord.sent(channel)]


async def answered(discord: DiscordServer, channel: str, *expected: str) -> None:
    await until(lambda: texts(discord, channel) == list(expected), f"{expected} in {channel}")


async def card(discord: DiscordServer, channel: str) -> dict[str, Any]:
    found: dict[str, Any] = await until(
        lambda: next((one for one in discord.sent(channel) if one["components"]), None), "a card"
    )
    return found


def test_messages_are_answered_in_their_sessions_and_a_stranger_is_let_in_by_code(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        private, ana = discord.direct(NADER), discord.direct(ANA)
        discord.say("hello", channel=private)
        discord.say(f"{ME} in a thread", channel=TALK)
        discord.say(f"{ME} in the room", channel=OPS)
        await answered(discord, private, "You said: hello")
        await answered(discord, TALK, "You said: in a thread")
        await answered(discord, OPS, "You said: in the room")
        sessions = {one.key for one in await app.desk.sessions()}
        assert sessions == {
            "agent:main:person:nader",
            f"agent:main:discord:chat:{GENERAL}:{TALK}",
            f"agent:scout:discord:chat:{OPS}",
        }
        discord.say("let me in", channel=ana, by=ANA)
        [told] = await until(lambda: texts(discord, ana), "the code")
        [waiting] = app.desk.pairings()[0]
        assert waiting.code in told and waiting.name == "Ana"
        await app.desk.pair(waiting.code)
        discord.say("thanks", channel=ana, by=ANA)
        await answered(discord, ana, told, "You said: thanks")
        discord.say(f"{ME} here too?", by=ANA)
        discord.say(f"{ME} and I?")
        await answered(discord, GENERAL, "You said: and I?")

    run(tmp_path, place(tmp_path, model, discord), discord, scene)


def test_one_person_has_one_session_on_discord_and_over_http(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        discord.say("My name is Nader", channel=discord.direct(NADER))
        await answered(discord, discord.direct(NADER), "You said: My name is Nader")
        answer = (await operator.say("What's my name?", sender="nader")).json()
        assert answer["session"] == "agent:main:person:nader"
        assert "My name is Nader" in str(model.requests[-1].body["messages"][0])

    run(tmp_path, place(tmp_path, model, discord), discord, scene)


def test_an_approval_is_answered_by_the_right_person_and_refused_to_the_wrong_one(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        model.say(Reply(tool("add", a=2, b=3)))
        discord.say(f"{ME} add two and three")
        asked = (await card(discord, GENERAL))["id"]
        wrong = discord.press(asked, "Allow once", by=ANA)
        await until(lambda: discord.interactions[wrong].follow_ups, "the refusal")
        assert discord.interactions[wrong].follow_ups[0]["content"] == "This is not yours to answer."
        discord.press(asked, "Allow once", by=NADER)
        await until(lambda: "It is 5" in texts(discord, GENERAL), "the answer")
        await until(lambda: not discord.sent(GENERAL)[0]["components"], "the end of the card")
        assert discord.sent(GENERAL)[0]["content"].endswith("**Allowed once** by Nader.")

    run(tmp_path, place(tmp_path, model, discord, **{"tools.yaml": ASKS}), discord, scene)


def test_a_question_outlives_a_restart_on_the_card_where_it_was_put(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    root, private = place(tmp_path, model, discord, **{"tools.yaml": ASKS}), discord.direct(NADER)
    asked: dict[str, Any] = {}

    async def before(app: App, operator: Program, discord: DiscordServer) -> None:
        model.say(Reply(tool("add", a=2, b=3)))
        discord.say("add two and three", channel=private)
        asked.update(await card(discord, private))
        await until(lambda: app.desk.approvals(), "the question")
        await until(lambda: noted(tmp_path / "state", "discord", "cards"), "the card on disk")

    async def after(app: App, operator: Program, discord: DiscordServer) -> None:
        await until(lambda: app.desk.approvals(), "the question again", 30)
        discord.press(asked["id"], "Allow once")
        await until(lambda: "It is 5" in texts(discord, private), "the answer")
        assert len([text for text in texts(discord, private) if "asks to run" in text]) == 1

    run(tmp_path, root, discord, before, clock=Hasty())
    discord.sessions = 0
    run(tmp_path, root, discord, after)


@pytest.mark.slow
def test_a_network_that_is_away_for_a_minute_loses_nothing_and_the_status_tells(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        private = discord.direct(NADER)
        discord.say("before", channel=private)
        await answered(discord, private, "You said: before")
        discord.outage(True)
        discord.say("meanwhile", channel=private)
        await app.clock.sleep(60)
        assert app.roll.condition("discord") in ("connecting", "silent")  # minutes may have passed on a busy machine
        assert "cannot be reached" in app.roll.told()["discord"]["trouble"]
        clock.walk()
        discord.outage(False)
        await answered(discord, private, "You said: before", "You said: meanwhile")
        await until(lambda: app.roll.condition("discord") == "receiving", "the pulse")

    clock = Hasty()
    run(tmp_path, place(tmp_path, model, discord), discord, scene, clock=clock)


@pytest.mark.slow
def test_a_dead_connection_is_replaced_and_a_revoked_token_ends_this_channel_alone(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        private = discord.direct(NADER)
        discord.zombie()
        discord.say("can you hear me?", channel=private)
        await answered(discord, private, "You said: can you hear me?")
        assert app.roll.told()["discord"]["reconnects"] >= 1
        discord.token = "another"
        discord.drop()
        await until(lambda: "refuses the bot's token" in str(app.desk.status()["channels"]["discord"]), "its end")
        assert (await operator.say("are you there?")).json()["reply"] == "You said: are you there?"

    run(tmp_path, place(tmp_path, model, discord), discord, scene, clock=Hasty())
    assert TOKEN not in caplog.text and "refuses the bot's token" in caplog.text


def test_an_agents_prefix_is_a_slash_command_and_its_answer_comes_whole(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    long = "\n\n".join(f"{n} " + "w" * 700 for n in range(7))
    model.say(long)

    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        await until(lambda: any(one["name"] == "scout" for one in discord.commands), "the command")
        used = discord.command("scout", {"text": "tell me"}, channel=GENERAL)
        await until(lambda: "\n\n".join(texts(discord, GENERAL)) == long, "the whole answer")
        one = discord.interactions[used]
        assert [answer["type"] for answer in one.answers] == [5] and len(one.follow_ups) == 3
        assert model.requests[-1].body["messages"][-1]["content"][-1]["text"] == "tell me"
        status = discord.command("status", channel=GENERAL)
        await until(lambda: discord.interactions[status].edits, "the status")
        assert "discord" in discord.interactions[status].edits[0]["content"]

    run(tmp_path, place(tmp_path, model, discord), discord, scene)


def test_a_file_reaches_the_workspace_and_the_model_hears_of_it(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        private = discord.direct(NADER)
        discord.say("what is this?", channel=private, files=[("cat.png", b"\x89PNG", "image/png")])
        await until(lambda: texts(discord, private), "an answer")
        [kept] = [path for path in (tmp_path / "state").rglob("*cat.png") if path.is_file()]
        assert kept.read_bytes() == b"\x89PNG" and str(kept) in str(model.requests[-1].body["messages"][-1])

    run(tmp_path, place(tmp_path, model, discord), discord, scene)


@pytest.mark.slow
def test_an_answer_streams_into_one_message(tmp_path: Path, model: MessagesServer, discord: DiscordServer) -> None:
    long = " ".join(f"word{n}" for n in range(200))
    go_on = threading.Event()
    model.say(Reply({"type": "text", "text": long}, pace=0.01, until=go_on))

    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        private = discord.direct(NADER)
        discord.say("tell me", channel=private)
        [draft] = await until(lambda: discord.sent(private), "a draft")
        assert draft["content"].startswith("word0") and draft["content"].endswith("…")
        go_on.set()
        await answered(discord, private, long)
        assert discord.sent(private)[0]["id"] == draft["id"]
        edits = discord.made("PATCH", f"/channels/{private}/messages/*")
        assert 1 <= len(edits) < 20, "the model sent it in some 180 pieces"

    run(tmp_path, place(tmp_path, model, discord), discord, scene)


@pytest.mark.slow
def test_what_an_attempt_said_that_failed_is_taken_back(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    void, go_on = " ".join(f"void{n}" for n in range(150)), threading.Event()
    model.say(Reply({"type": "text", "text": void}, until=go_on, fault="cut", after=len(void)), "A whole answer.")

    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        private = discord.direct(NADER)
        discord.say("tell me", channel=private)
        [draft] = await until(lambda: discord.sent(private), "a draft")
        assert draft["content"].startswith("void0")
        go_on.set()
        await answered(discord, private, "A whole answer.")
        assert discord.sent(private)[0]["id"] == draft["id"]

    run(tmp_path, place(tmp_path, model, discord), discord, scene)


def test_it_ends_soon_after_a_stop(tmp_path: Path, model: MessagesServer, discord: DiscordServer) -> None:
    root = place(tmp_path, model, discord)

    async def whole() -> None:
        living = lived(root, tmp_path / "state")
        await living.__aenter__()
        await until(lambda: discord.sessions, "a session")
        await asyncio.wait_for(living.__aexit__(None, None, None), 15)

    asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_many_messages_of_many_people_are_each_answered_once_and_in_order(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    people, each = [str(700000000000001000 + n) for n in range(100)], 5
    allowed = f", allow: [{', '.join(people)}]"

    async def scene(app: App, operator: Program, discord: DiscordServer) -> None:
        for number in range(each):
            for one in people:
                discord.say(f"{number} of {one}", channel=discord.direct(one), by=one)
            if number == 2:
                discord.drop()
        await until(lambda: all(len(discord.sent(discord.direct(one))) >= each for one in people), "every answer", 120)
        for one in people:
            expected = [f"You said: {number} of {one}" for number in range(each)]
            assert texts(discord, discord.direct(one)) == expected

    run(tmp_path, place(tmp_path, model, discord, allowed), discord, scene)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_kill_between_a_message_and_its_answer_answers_it_once(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    """Killed at three moments: while the model thinks, just after a message was written, and while it is away."""
    root, state, private = place(tmp_path, model, discord), tmp_path / "state", discord.direct(NADER)
    slow = Reply({"type": "text", "text": "one"}, delay=30)

    async def started(count: int) -> None:
        await until(lambda: discord.sessions >= count, "a session", 40)

    async def scene() -> None:
        model.say(slow)
        with Process(root, state) as first:
            await started(1)
            discord.say("first", channel=private)
            await until(lambda: model.requests, "the request", 30)
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(10)
        discord.say("while it was away", channel=private, missed=True)
        with Process(root, state) as second:
            await started(2)
            await until(lambda: "You said: first" in texts(discord, private), "the first answer", 40)
            await until(lambda: "You said: while it was away" in texts(discord, private), "the second answer", 40)
            discord.say("killed at once", channel=private)
            second.process.send_signal(signal.SIGKILL)
            second.process.wait(10)
        with Process(root, state) as third:
            await started(3)
            await until(lambda: "You said: killed at once" in texts(discord, private), "the third answer", 40)
            await asyncio.sleep(1.5)
            third.process.terminate()
            third.process.wait(15)
        said = [text.removeprefix("(repeated after a restart)\n") for text in texts(discord, private)]
        assert said == ["You said: first", "You said: while it was away", "You said: killed at once"]

    asyncio.run(asyncio.wait_for(scene(), 170))
    with closing(sqlite3.connect(state / "runtime.db")) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        assert "inbox" in tables
        assert database.execute("select count(*) from inbox").fetchone() == (3,)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_kill_while_a_question_is_open_leaves_its_card_at_work(
    tmp_path: Path, model: MessagesServer, discord: DiscordServer
) -> None:
    root = place(tmp_path, model, discord, **{"tools.yaml": ASKS})
    state, private = tmp_path / "state", discord.direct(NADER)

    async def scene() -> None:
        model.say(Reply(tool("add", a=2, b=3)))
        with Process(root, state) as first:
            await until(lambda: discord.sessions == 1, "a session", 40)
            discord.say("add two and three", channel=private)
            asked = await card(discord, private)
            await until(lambda: noted(state, "discord", "cards"), "the card on disk")
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(10)
        with Process(root, state):
            await until(lambda: discord.sessions == 2, "a session", 40)
            press = discord.press(asked["id"], "Allow once")
            await until(lambda: "It is 5" in texts(discord, private), "the answer", 30)
            assert discord.interactions[press].follow_ups == []
        assert len([text for text in texts(discord, private) if "asks to run" in text]) == 1

    asyncio.run(asyncio.wait_for(scene(), 110))
