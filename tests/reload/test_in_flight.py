"""Edits while things are under way: what is taken away holds at once, what runs finishes as it began, nothing is lost.

The whole runtime inside the test's loop, the model's double holding an answer back until the edit is in force.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, TOOLS, Process, Program, lived, project, until
from doubles.house import TOKEN as OPERATOR
from doubles.messages_server import MessagesServer, Reply, thinking, tool
from doubles.telegram_house import ANA, answered
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.app import App

SIDE = "name: Side\ndescription: Talks\nmodel: smart\ntools: [add]\npolicy: works\nprefix: /side\n"
ASKS = TOOLS.replace("default: deny", "default: ask").replace("[list_files, add]", "[list_files]")
Scene = Callable[[App, Program], Awaitable[None]]


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    def last(body: dict[str, Any]) -> Reply:
        block = body["messages"][-1]["content"][-1]
        return Reply({"type": "text", "text": str(block.get("content") or block.get("text"))})

    with MessagesServer(otherwise=last) as server:
        yield server
    assert server.violations == []


def play(root: Path, state: Path, scene: Scene) -> None:
    async def whole() -> None:
        async with lived(root, state) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 100)

    asyncio.run(whole())


async def edited(app: App) -> None:
    """What is on disk is in force, whether this or the watch applied it."""
    attempt = await app.reload.attempt("test")
    assert attempt.outcome in ("applied", "unchanged"), attempt


def swap(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@asynccontextmanager
async def held(app: App, operator: Program, model: MessagesServer, *blocks: Any, **more: Any) -> AsyncIterator[Any]:
    """A turn whose model is in the middle of an answer with these blocks; it goes on at the end of the block."""
    go_on, before = threading.Event(), len(model.requests)
    model.say(Reply({"type": "text", "text": "let me see, " * 3}, *blocks, until=go_on))
    asking = asyncio.create_task(operator.say(**{"text": "go", **more}))
    try:
        await until(lambda: len(model.requests) > before, "the model's turn")
        yield asking
    finally:
        go_on.set()
        await asking


def results(model: MessagesServer, number: int = -1) -> list[str]:
    """What the model was told of its calls."""
    return [block["content"] for block in model.requests[number].body["messages"][-1]["content"] if "content" in block]


def audit(state: Path, type: str = "decided") -> list[dict[str, Any]]:
    lines = [line for file in sorted((state / "logs").glob("audit*")) for line in file.read_text().splitlines()]
    return [found for found in map(json.loads, lines) if found.get("type") == type]


# ── each call ────────────────────────────────────────────────────────────────────────────────────


def test_a_tool_that_is_taken_from_the_agent_or_from_the_project_is_not_called_by_the_turn_that_runs(
    tmp_path: Path, model: MessagesServer
) -> None:
    root, state = project(tmp_path / "project", model.url), tmp_path / "state"
    manifest, tools = root / "agents/main.yaml", root / "tools.yaml"

    async def scene(app: App, operator: Program) -> None:
        async with held(app, operator, model, tool("add", a=1, b=2)) as asking:
            swap(manifest, ", add]", "]")
            await edited(app)
        assert "agent `main` no longer has `add`" in results(model)[0] and "3" not in results(model)
        assert "taken away while this ran" in (await asking).json()["reply"]
        swap(manifest, "[list_files]", "[list_files, add]")
        await edited(app)
        async with held(app, operator, model, tool("add", a=1, b=2)):
            swap(manifest, ", add]", "]")
            swap(tools, 'tools:\n  add: {python: "sums:add"}\n', "")
            swap(tools, "[list_files, add]", "list_files")
            await edited(app)
        assert results(model) == ["refused: taken away while this ran: there is no tool `add` any more"]

    play(root, state, scene)
    lines = audit(state)
    assert [(line["decision"], line["reason"].partition(":")[0]) for line in lines] == [
        ("deny", "taken away while this ran")
    ] * 2
    assert audit(state, "ran") == []


def test_a_turn_of_an_agent_that_is_gone_ends_under_the_floor_and_the_policy_of_that_name_in_force(
    tmp_path: Path, model: MessagesServer
) -> None:
    root, state = project(tmp_path / "project", model.url, files={"agents/side.yaml": SIDE}), tmp_path / "state"
    tools = root / "tools.yaml"

    async def scene(app: App, operator: Program) -> None:
        async with held(app, operator, model, tool("add", a=1, b=2), text="/side go") as asking:
            (root / "agents/side.yaml").unlink()
            await edited(app)
        assert (results(model), (await asking).json()["agent"]) == (["3"], "side")
        (root / "agents/side.yaml").write_text(SIDE)
        await edited(app)
        async with held(app, operator, model, tool("add", a=1, b=2), text="/side go"):
            (root / "agents/side.yaml").unlink()
            swap(tools, "[list_files, add]}", "list_files}")
            await edited(app)
        assert "no rule allows this call of `add`" in results(model)[0]
        tools.write_text(TOOLS + "  others: {default: deny, rules: [{allow: add}]}\n")
        (root / "agents/side.yaml").write_text(SIDE.replace("policy: works", "policy: others"))
        await edited(app)
        async with held(app, operator, model, tool("add", a=1, b=2), text="/side go"):
            (root / "agents/side.yaml").unlink()
            tools.write_text(TOOLS + "  floor: {rules: [{id: none, deny: add}]}\n")
            await edited(app)
        assert "denied by floor/none" in results(model)[0]

    play(root, state, scene)


# ── who waits for an agent that is gone ──────────────────────────────────────────────────────────

CHATS = """\
channels:
  http: {{kind: http, port: 0, token: {operator}}}
  telegram: {{kind: telegram, token: "{token}", api_base: "{api}"}}
people:
  ana: {{ids: ["telegram:7", "http:operator/ana"], owner: true}}
"""
NOTICE = "(side is no longer here; main answers this.)\n\n"


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


async def queued(operator: Program, *texts: str, **more: Any) -> list[str]:
    """Messages that are taken in one behind the other; their ids."""
    found = []
    for text in texts:
        answer = await operator.http.post(
            "/api/messages", json={"text": text, **more}, headers={"Prefer": "respond-async"}
        )
        assert answer.status_code == 202, answer.text
        found.append(answer.json()["id"])
    return found


async def ended(operator: Program, id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (found := (await operator.http.get(f"/api/messages/{id}")).json())["status"] in ("queued", "running"):
            await asyncio.sleep(0.01)
    return found


def test_what_waits_for_an_agent_that_is_removed_is_answered_in_order_by_the_default_one_with_a_word(
    tmp_path: Path, model: MessagesServer
) -> None:
    root = project(tmp_path / "project", model.url, files={"agents/side.yaml": SIDE})

    async def scene(app: App, operator: Program) -> None:
        async with held(app, operator, model, text="/side first", sender="ana") as asking:
            waiting = await queued(operator, *(f"/side {number}" for number in range(5)), sender="ana")
            (root / "agents/side.yaml").unlink()
            await edited(app)
        first = (await asking).json()
        assert (first["agent"], first["session"]) == ("side", "agent:side:http:operator/ana")
        told = [await ended(operator, id) for id in waiting]
        assert [found["reply"] for found in told] == [f"{NOTICE}{number}" for number in range(5)]
        assert {(found["agent"], found["session"]) for found in told} == {("main", "agent:main:http:operator/ana")}
        assert await app.store.inbox.open() == []
        said = [turn["content"][-1]["text"] for turn in model.requests[-1].body["messages"] if turn["role"] == "user"]
        assert said == [str(number) for number in range(5)] and len(model.requests) == 6

    play(root, tmp_path / "state", scene)


def test_on_telegram_too_what_waits_for_a_removed_agent_gets_one_reply_each_and_in_order(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    chats = CHATS.format(operator=OPERATOR, token=TOKEN, api=telegram.url)
    root = project(tmp_path / "project", model.url, files={"agents/side.yaml": SIDE, "channels.yaml": chats})

    async def scene(app: App, operator: Program) -> None:
        go_on = threading.Event()
        model.say(Reply({"type": "text", "text": "a slow answer of side"}, until=go_on))
        for number in range(6):
            telegram.say(f"/side {number}", by=ANA)
        await until(lambda: model.requests, "the model's turn")
        async with asyncio.timeout(60):
            while await app.store.inbox.waiting() < 5:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        (root / "agents/side.yaml").unlink()
        await edited(app)
        go_on.set()
        assert await answered(telegram, ANA, 6) == [
            "a slow answer of side", *(f"{NOTICE}{number}" for number in range(1, 6))
        ]  # fmt: skip
        telegram.say("and now?", by=ANA)
        assert (await answered(telegram, ANA, 7))[-1] == "and now?"

    play(root, tmp_path / "state", scene)


def test_an_agent_that_is_back_before_its_messages_were_taken_up_answers_them_as_before(
    tmp_path: Path, model: MessagesServer
) -> None:
    root = project(tmp_path / "project", model.url, files={"agents/side.yaml": SIDE})

    async def scene(app: App, operator: Program) -> None:
        async with (
            held(app, operator, model, text="mine", sender="ana", agent="main"),
            held(app, operator, model, text="/side first", sender="ana"),
        ):
            [waiting, other] = await queued(operator, "/side second", "/side third", sender="ana")
            (root / "agents/side.yaml").unlink()
            await edited(app)
            (root / "agents/side.yaml").write_text(SIDE)
            await edited(app)
        told = [await ended(operator, id) for id in (waiting, other)]
        assert [(found["reply"], found["agent"]) for found in told] == [("second", "side"), ("third", "side")]

    play(root, tmp_path / "state", scene)


def test_what_was_moved_goes_back_to_an_agent_that_returns_before_another_has_begun(
    tmp_path: Path, model: MessagesServer
) -> None:
    root = project(tmp_path / "project", model.url, files={"agents/side.yaml": SIDE})

    async def scene(app: App, operator: Program) -> None:
        async with held(app, operator, model, text="mine", sender="ana"):
            async with held(app, operator, model, text="/side first", sender="ana"):
                [waiting] = await queued(operator, "/side second", sender="ana")
                (root / "agents/side.yaml").unlink()
                await edited(app)
            found = await app.store.inbox.find(waiting)
            while found is None or found.route.agent != "main":
                await asyncio.sleep(0.01)
                found = await app.store.inbox.find(waiting)
            assert (found.state, found.route.instead) == ("queued", "side")
            (root / "agents/side.yaml").write_text(SIDE)
            await edited(app)
        told = await ended(operator, waiting)
        assert (told["reply"], told["agent"]) == ("second", "side")

    play(root, tmp_path / "state", scene)


def test_whoever_may_not_ask_the_agents_that_are_left_is_told_so_and_nobody_answers(
    tmp_path: Path, model: MessagesServer
) -> None:
    http = f"channels:\n  http: {{kind: http, port: 0, token: {OPERATOR}, tokens: "
    root = project(
        tmp_path / "project",
        model.url,
        files={
            "agents/side.yaml": SIDE,
            "agents/third.yaml": SIDE.replace("/side", "/third"),
            "channels.yaml": http
            + "{shop: {secret: shop-secret-0123, agents: [side, third], scopes: [chat, read]}}}\n",
        },
    )

    async def scene(app: App, operator: Program) -> None:
        async with Program(str(operator.http.base_url), "shop-secret-0123") as shop:
            async with held(app, shop, model, text="first", agent="side"):
                [waiting] = await queued(shop, "second", agent="side")
                (root / "agents/side.yaml").unlink()
                swap(root / "channels.yaml", "[side, third]", "[third]")
                await edited(app)
            told = await ended(operator, waiting)
        assert told["status"] == "failed" and len(model.requests) == 1
        assert told["error"].startswith("side is no longer here, and nobody else answers this here: agent `main`")

    play(root, tmp_path / "state", scene)
