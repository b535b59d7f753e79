"""Messages that come while an answer is written, through a whole runtime: in each mode, and when there are too many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from doubles.house import CHANNELS, Program, lived, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool
from doubles.telegram_server import TOKEN as BOT
from doubles.telegram_server import TelegramServer
from openclaw.app import App

TELEGRAM = '  telegram: {{kind: telegram, token: "{bot}", api_base: "{url}", allow: [7], queue_limit: 1}}\n'
Scene = Callable[[App, Program], Awaitable[None]]


def run(
    tmp_path: Path,
    model: MessagesServer,
    mode: str,
    scene: Scene,
    more: str = "",
    limit: int = 50,
    files: Mapping[str, str] | None = None,
) -> None:
    channels = CHANNELS.replace("port: 0", f"port: 0, queue: {mode}, queue_limit: {limit}") + more

    async def whole() -> None:
        root = project(tmp_path / "project", model.url, files={"channels.yaml": channels, **(files or {})})
        async with lived(root, tmp_path / "state") as (app, operator):
            await asyncio.wait_for(scene(app, operator), 120)

    asyncio.run(whole())
    assert model.violations == []


def said(body: Any) -> list[str]:
    """The words of the last message of a request, without what the runtime put around them."""
    last = [block for block in body["messages"][-1]["content"] if block["type"] == "text"]
    return [block["text"] for block in last if not block["text"].startswith("<context>")]


def given(body: Any) -> str:
    return "\n".join(block.get("text", "") for block in body["messages"][-1]["content"])


async def waiting(app: App, number: int = 1) -> None:
    """Until so many messages wait for a turn to end."""
    async with asyncio.timeout(40):
        while await app.store.inbox.waiting() < number:  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.01)


async def both(
    app: App, operator: Program, model: MessagesServer, go_on: threading.Event, *texts: str
) -> list[dict[str, Any]]:
    """What each is answered, where the model goes on with the first once the others wait in their order."""
    first = asyncio.create_task(operator.say(texts[0]))
    await until(lambda: model.requests, "the first request", 40)
    others = []
    for number, one in enumerate(texts[1:], 1):
        others.append(asyncio.create_task(operator.say(one)))
        await waiting(app, number)
    go_on.set()
    return [(await one).json() for one in (first, *others)]


def test_collected_messages_are_one_turn_that_keeps_who_said_what_and_when(tmp_path: Path) -> None:
    async def scene(app: App, operator: Program) -> None:
        go_on = threading.Event()
        model.say(Reply({"type": "text", "text": "one"}, until=go_on), text("both"))
        answers = await both(app, operator, model, go_on, "first", "second", "third")
        assert [answer["reply"] for answer in answers] == ["one", "both", "both"]
        assert len(model.requests) == 2
        body = model.requests[1].body
        assert said(body) == ["second", "third"] and given(body).count("\nsaid: ") == 2

    with MessagesServer() as model:
        run(tmp_path, model, "collect", scene)


def test_an_interrupted_answer_and_the_newer_message_are_answered_by_one_new_turn(tmp_path: Path) -> None:
    async def scene(app: App, operator: Program) -> None:
        model.say(Reply({"type": "text", "text": "never seen whole"}, delay=30.0), text("both"))
        first = asyncio.create_task(operator.say("first"))
        await until(lambda: model.requests, "the first request", 40)
        answers = [(await operator.say("no, second")).json(), (await first).json()]
        assert [answer["reply"] for answer in answers] == ["both", "both"]
        assert len(model.requests) == 2
        roles = [message["role"] for message in model.requests[1].body["messages"]]
        words = str(model.requests[1].body["messages"])
        assert roles[-1] == "user" and "first" in words and "no, second" in words
        entries = await operator.entries(answers[0]["session"])
        assert [entry["role"] for entry in entries] == ["user", "user", "assistant"]

    with MessagesServer() as model:
        run(tmp_path, model, "interrupt", scene)


def test_what_is_said_before_a_tool_has_run_is_read_with_its_result(tmp_path: Path) -> None:
    async def scene(app: App, operator: Program) -> None:
        go_on = threading.Event()
        model.say(Reply(tool("add", a=20, b=22), until=go_on), text("42, and noted"), text("later"))
        answers = await both(app, operator, model, go_on, "add", "and hurry")
        assert [answer["reply"] for answer in answers] == ["42, and noted"] * 2
        assert len(model.requests) == 2
        last = model.requests[1].body["messages"][-1]["content"]
        assert last[0]["type"] == "tool_result" and said(model.requests[1].body) == ["and hurry"]
        assert (await operator.say("next")).json()["reply"] == "later"

    with MessagesServer() as model:
        run(tmp_path, model, "steer", scene)


TWO_PLACES = """\
  telegram: {{kind: telegram, token: "{bot}", api_base: "{url}", allow: [7], queue: steer}}
people:
  nader: {{ids: ["http:operator/nader", "telegram:7"]}}
"""
AT_ONE = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: deny
    rules: [{allow: add, channel: http}]
"""


def test_what_joins_a_turn_from_another_place_of_the_same_person_brings_that_places_rights_along(
    tmp_path: Path,
) -> None:
    async def scene(app: App, operator: Program) -> None:
        came = threading.Event()
        model.say(Reply(tool("add", a=20, b=22), until=came), Reply(tool("add", a=1, b=2)), text("done"))
        first = asyncio.create_task(operator.say("add", sender="nader"))
        await until(lambda: model.requests, "the first request", 40)
        telegram.say("and more", by=7)
        await waiting(app)
        came.set()
        assert (await first).json()["reply"] == "done"
        blocks = [block for message in model.requests[-1].body["messages"] for block in message["content"]]
        alone, together = [block["content"] for block in blocks if block["type"] == "tool_result"]
        assert alone == "42" and together.startswith("refused: no rule allows")

    with MessagesServer() as model, TelegramServer() as telegram:
        places = TWO_PLACES.format(bot=BOT, url=telegram.url)
        run(tmp_path, model, "steer", scene, places, files={"tools.yaml": AT_ONE})


@pytest.mark.slow
def test_too_many_are_told_that_it_is_busy_in_the_way_of_their_channel_and_nothing_is_lost(tmp_path: Path) -> None:
    async def scene(app: App, operator: Program) -> None:
        go_on = threading.Event()
        slow = Reply({"type": "text", "text": "slow"}, until=go_on)
        model.say(slow, slow, *[text("quick")] * 8)
        telegram.say("one", by=7)
        first = asyncio.create_task(operator.say("one", sender="ann"))
        await until(lambda: len(model.requests) == 2, "two turns under way", 40)
        waits = asyncio.create_task(operator.say("two", sender="ann"))
        telegram.say("two", by=7)
        telegram.say("three", by=7)
        await until(lambda: not telegram.waiting and telegram.texts(7), "word on Telegram")
        assert "wait here already" in telegram.texts(7)[0]
        await waiting(app, 2)
        refused = await operator.say("three", sender="ann")
        assert (refused.status_code, refused.json()["code"]) == (429, "busy")
        assert int(refused.headers["Retry-After"]) >= 1
        ask = {"model": "openclaw", "user": "ann", "messages": [{"role": "user", "content": "four"}]}
        completion = await operator.http.post("/v1/chat/completions", json=ask)
        assert (completion.status_code, completion.json()["error"]["code"]) == (429, "busy")
        assert int(completion.headers["Retry-After"]) >= 1
        go_on.set()
        assert [(await one).status_code for one in (first, waits)] == [200, 200]
        await until(lambda: len(telegram.texts(7)) == 3, "both answers on Telegram")
        assert telegram.texts(7)[1:] == ["slow", "quick"]

    with MessagesServer() as model, TelegramServer() as telegram:
        run(tmp_path, model, "queue", scene, TELEGRAM.format(bot=BOT, url=telegram.url), limit=1)
