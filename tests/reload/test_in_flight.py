"""Edits while things are under way: what is taken away holds at once, what runs finishes as it began, nothing is lost.

The whole runtime inside the test's loop, the model's double holding an answer back until the edit is in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, MODELS, TOOLS, Leaping, Process, Program, events, lived, project, until
from doubles.house import TOKEN as OPERATOR
from doubles.messages_server import MessagesServer, Reply, thinking, tool
from doubles.telegram_house import ANA, answered
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.app import App
from openclaw.idling import AFTER
from openclaw.messages import Call, Compaction

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


PAYS = """\
tools:
  pay:
    description: pays
    shell: echo paid {amount} to {who}
    input:
      amount: {type: integer, description: how much}
      who: {type: string, description: whom}
policies:
  works:
    default: ask
    rules: [{allow: [list_files, pay]}, {deny: pay, paths: ["**/*.key"]}]
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("how much}", "how much, maximum: 50}", "the tool was edited while this ran: amount: 1000 is greater"),
        ("type: string", "type: path", "denied by works/"),
    ],
)
def test_a_turn_that_runs_is_held_to_what_a_tool_takes_by_now(
    tmp_path: Path, model: MessagesServer, old: str, new: str, told: str
) -> None:
    root = project(tmp_path / "project", model.url, files={"tools.yaml": PAYS})
    swap(root / "agents/main.yaml", ", add]", ", pay]")

    async def scene(app: App, operator: Program) -> None:
        async with held(app, operator, model, tool("pay", amount=1000, who="the.key")) as asking:
            swap(root / "tools.yaml", old, new)
            await edited(app)
        reply = (await asking).json()["reply"]
        assert told in reply and "paid" not in reply
        swap(root / "tools.yaml", new, old)
        await edited(app)
        async with held(app, operator, model, tool("pay", amount=1000, who="me")) as asking:
            swap(root / "tools.yaml", "description: whom}", "description: to whom, default: you}")
            await edited(app)
        assert "paid 1000 to me" in (await asking).json()["reply"], "what fits runs as it began"

    play(root, tmp_path / "state", scene)


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
        while True:
            found: dict[str, Any] = (await operator.http.get(f"/api/messages/{id}")).json()
            if found["status"] not in ("queued", "running"):
                return found
            await asyncio.sleep(0.01)


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_waits_for_a_removed_agent_is_answered_once_although_the_runtime_is_killed_in_between(
    tmp_path: Path, model: MessagesServer
) -> None:
    """Once while the removed agent's own turn runs, which had called a tool; once while another answers the rest."""
    root, state = project(tmp_path / "project", model.url, files={"agents/side.yaml": SIDE}), tmp_path / "state"
    ids: list[str] = []

    async def first(process: Process) -> None:
        async with Program(await process.address()) as operator:
            model.say(Reply(tool("add", a=1, b=2)), Reply({"type": "text", "text": "let me see"}, until=never))
            ids.extend(await queued(operator, "/side 0", sender="ana"))
            await until(lambda: len(model.requests) == 2, "the second call of the model")
            ids.extend(await queued(operator, *(f"/side {number}" for number in range(1, 6)), sender="ana"))
            (root / "agents/side.yaml").unlink()
            assert (await operator.http.post("/api/reload")).status_code == 200
            process.process.kill()

    async def second(process: Process) -> None:
        await until(lambda: "3" in said_last(model), "the third of those that were moved")
        process.process.kill()

    async def third(process: Process) -> None:
        async with Program(await process.address()) as operator:
            told = [await ended(operator, id) for id in ids]
        assert told[0]["error"].startswith("side is no longer here, and its answer to this was cut off.")
        assert [found["reply"] for found in told[1:]] == [f"{NOTICE}{number}" for number in range(1, 6)]

    never, slowly = threading.Event(), threading.Event()
    try:
        for scene in (first, second, third):
            with Process(root, state) as process:
                asyncio.run(asyncio.wait_for(scene(process), 100))
                process.process.kill()
                process.process.wait(15)
            if scene is first:
                model.say(echo("1"), echo("2"), Reply({"type": "text", "text": "never"}, until=slowly))
    finally:
        never.set()
        slowly.set()


def echo(text: str) -> Reply:
    return Reply({"type": "text", "text": text})


def said_last(model: MessagesServer) -> str:
    return str(model.requests[-1].body["messages"][-1]["content"][-1].get("text"))


# ── what runs ends as it began ───────────────────────────────────────────────────────────────────


def test_a_live_session_takes_its_new_soul_and_tools_at_its_next_turn_without_the_thinking_so_far(
    tmp_path: Path, model: MessagesServer
) -> None:
    root, go_on = project(tmp_path / "project", model.url), threading.Event()
    model.say(
        Reply(thinking("hm"), tool("add", a=1, b=2)), Reply(thinking("so"), echo("three").content[0], until=go_on)
    )

    async def scene(app: App, operator: Program) -> None:
        asking = asyncio.create_task(operator.say("add", sender="ana"))
        await until(lambda: len(model.requests) == 2, "the second call of the model")
        (root / "agents/main.md").write_text("You are the second soul.\n")
        swap(root / "agents/main.yaml", "[list_files, add]", "[list_files]")
        await edited(app)
        go_on.set()
        assert (await asking).json()["reply"] == "three"
        await operator.say("and now?", sender="ana")

    play(root, tmp_path / "state", scene)
    bodies = [request.body for request in model.requests]
    souls = [body["system"][0]["text"].splitlines()[0] for body in bodies]
    assert souls == ["You are the first soul."] * 2 + ["You are the second soul."]
    tools = [[each["name"] for each in body["tools"]] for body in bodies]
    assert tools == [["list_files", "add"]] * 2 + [["list_files"]]
    before, after = bodies[1]["messages"], bodies[2]["messages"]
    assert [len(before), len(after)] == [3, 5] and plainly(after)[:3] == plainly(before)
    assert "thinking" in json.dumps(before) and "thinking" not in json.dumps(after)


def plainly(messages: list[dict[str, Any]]) -> list[Any]:
    """Without thinking, and without the marks of what is kept in the service's cache."""
    return [
        [{key: value for key, value in block.items() if key != "cache_control"} for block in turn["content"]]
        for turn in [{**turn, "content": [b for b in turn["content"] if b["type"] != "thinking"]} for turn in messages]
    ]


BEATS = """\
heartbeats:
  beat: {cron: "0 3 1 1 *", prompt: look, agent: main, timezone: UTC, deliver: ["http:operator/ana"]}
"""


@pytest.mark.parametrize(
    "edit", ["removed", *(pytest.param(edit, marks=pytest.mark.slow) for edit in ("other prompt", "other agent"))]
)
def test_a_run_of_a_heartbeat_that_is_edited_meanwhile_ends_as_it_began_and_is_in_the_history(
    tmp_path: Path, model: MessagesServer, edit: str
) -> None:
    manifest = tmp_path / "project/heartbeats.yaml"
    files = {"heartbeats.yaml": BEATS, "agents/side.yaml": SIDE}
    root, go_on = project(tmp_path / "project", model.url, files=files), threading.Event()
    model.say(Reply(thinking("hm"), echo("all is well").content[0], until=go_on))

    async def scene(app: App, operator: Program) -> None:
        taken = (await operator.http.post("/api/heartbeats/beat/run")).json()
        await until(lambda: model.requests, "the run")
        match edit:
            case "removed":
                manifest.unlink()
            case "other prompt":
                swap(manifest, "prompt: look", "prompt: listen")
            case "other agent":
                swap(manifest, "agent: main", "agent: side")
        await edited(app)
        go_on.set()
        told = await ended(operator, taken["id"])
        assert (told["status"], told["reply"], told["agent"]) == ("done", "all is well", "main")
        [run] = await app.store.marks.runs("beat", 9)
        assert run.state == "done" and [str(each.to) for each in run.deliveries] == ["http:operator/ana"]
        assert model.requests[0].body["messages"][-1]["content"][-1]["text"].endswith("look")
        if edit != "removed":
            again = (await operator.http.post("/api/heartbeats/beat/run")).json()
            told = await ended(operator, again["id"])
            expected = ("listen", "main") if edit == "other prompt" else ("look", "side")
            assert (told["reply"].splitlines()[-1], told["agent"]) == expected

    play(root, tmp_path / "state", scene)


# ── questions ────────────────────────────────────────────────────────────────────────────────────


def test_a_question_about_a_tool_that_is_taken_away_is_withdrawn_on_its_card_and_for_whoever_reads_along(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    chats = CHATS.format(operator=OPERATOR, token=TOKEN, api=telegram.url)
    root = project(tmp_path / "project", model.url, files={"tools.yaml": ASKS, "channels.yaml": chats})
    why = "the tool `add` was taken away from agent `main`"

    def card() -> dict[str, Any] | None:
        return next((one for one in telegram.sent(ANA) if one.get("reply_markup")), None)

    async def scene(app: App, operator: Program) -> None:
        model.say(Reply(tool("add", a=2, b=3)))
        telegram.say("add", by=ANA)
        asked = await until(card, "a card")
        [approval] = app.approvals.pending()
        swap(root / "agents/main.yaml", ", add]", "]")
        await edited(app)
        late = await operator.http.post(f"/api/approvals/{approval.id}", json={"decision": "allow-once"})
        assert late.status_code == 404 and f"was withdrawn: {why}" in late.json()["detail"]
        await until(lambda: card() is None, "the end of the card")
        [told] = [one["text"] for one in telegram.sent(ANA) if one["message_id"] == asked["message_id"]]
        assert told.startswith(f"add: withdrawn: {why}\n")
        reply = f"refused: the question was withdrawn: {why.replace('`', '')}"
        await until(lambda: reply in telegram.texts(ANA), "the reply")

    play(root, tmp_path / "state", scene)


def test_whoever_waits_over_http_reads_why_a_question_was_withdrawn(tmp_path: Path, model: MessagesServer) -> None:
    root = project(tmp_path / "project", model.url, files={"tools.yaml": ASKS, "agents/side.yaml": SIDE})

    async def scene(app: App, operator: Program) -> None:
        model.say(Reply(tool("add", a=2, b=3)))
        body, headers = {"text": "/side add", "sender": "ana"}, {"Accept": "text/event-stream"}
        found = []
        async with operator.http.stream("POST", "/api/messages", json=body, headers=headers) as response:
            async for name, told in events(response):
                found.append((name, told))
                if name == "approval" and told["status"] == "waiting":
                    (root / "agents/side.yaml").unlink()
                    await edited(app)
        [settled] = [told for name, told in found if name == "approval" and told["status"] == "settled"]
        assert (settled["answer"], settled["reason"]) == ("cancelled", "agent `side` was taken away")
        assert found[-1][0] == "reply" and found[-1][1]["agent"] == "side"
        assert "the question was withdrawn: agent `side` was taken away" in found[-1][1]["reply"]

    play(root, tmp_path / "state", scene)


def test_a_summary_that_is_made_while_nothing_is_going_on_ends_with_the_model_it_began_with(
    tmp_path: Path, model: MessagesServer
) -> None:
    side = SIDE + "compaction: {at_tokens: 4000, keep_tokens: 1000}\n"
    root = project(tmp_path / "project", model.url, files={"agents/side.yaml": side})
    state, go_on, clock = tmp_path / "state", threading.Event(), Leaping()
    for number in range(3):
        usage = {"input_tokens": 500 + 1300 * number, "output_tokens": 1300}
        model.say(Reply({"type": "text", "text": f"{number} " * 2000}, usage=usage, piece=4000))
    model.say(Reply({"type": "text", "text": "a summary of all that"}, until=go_on))

    async def scene(app: App, operator: Program) -> None:
        for number in range(3):
            await operator.say(f"/side {number}", sender="ana")
        await until(lambda: not app.sessions.busy, "the end of the last turn")  # from then on it counts as quiet
        for _ in range(5):  # when it begins to count as quiet is the runtime's affair
            clock.ahead += AFTER + 1
            with contextlib.suppress(AssertionError):
                await until(lambda: len(model.requests) == 4, "the summary", 15)
                break
        assert len(model.requests) == 4
        swap(root / "models.yaml", "test-key", "other-key")
        (root / "agents/main.md").write_text("You are the second soul.\n")
        await edited(app)
        go_on.set()
        async with asyncio.timeout(60):
            while not await summed_up(app, "agent:side:http:operator/ana"):  # noqa: ASYNC110 - a journal has no event
                await asyncio.sleep(0.01)
        assert (await operator.say("go on", sender="ana")).json()["reply"] == "go on"

    async def whole() -> None:
        async with lived(root, state, clock=clock) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 100)

    asyncio.run(whole())
    keys = [request.headers.get("x-api-key") for request in model.requests]
    assert keys == ["test-key"] * 4 + ["other-key"]


async def summed_up(app: App, session: str) -> bool:
    return any(isinstance(entry, Compaction) for entry in await app.store.journal.load(session))


@pytest.mark.parametrize("name", [pytest.param("beat", marks=pytest.mark.slow), "reminder.1"])
def test_a_run_that_waits_while_its_agent_is_taken_away_is_dropped_with_a_word(
    tmp_path: Path, model: MessagesServer, name: str
) -> None:
    files = {"agents/side.yaml": SIDE, "heartbeats.yaml": BEATS.replace("agent: main", "agent: side")}
    root, go_on = project(tmp_path / "project", model.url, files=files), threading.Event()
    model.say(Reply(thinking("hm"), echo("all is well").content[0], until=go_on))

    async def scene(app: App, operator: Program) -> None:
        call = Call(agent="side", session="agent:side:http:operator/ana", sender="http:operator/ana", workspace=root)
        await app.reminders.remind("look", call, after="1h", act=True)
        first, second = [(await operator.http.post(f"/api/heartbeats/{name}/run")).json()["id"] for _ in range(2)]
        await until(lambda: model.requests, "the first run")
        (root / "heartbeats.yaml").unlink()
        (root / "agents/side.yaml").unlink()
        await edited(app)
        go_on.set()
        assert (await ended(operator, first))["reply"] == "all is well"
        told = await ended(operator, second)
        assert told["reply"] == "side is no longer here, so this was not done: look"
        runs = await app.store.marks.runs(name, 9)
        assert sorted(run.state for run in runs) == ["done", "failed"]
        assert {str(place.to) for run in runs for place in run.deliveries} == {"http:operator/ana"}
        assert len(model.requests) == 1 and await app.store.inbox.open() in ([], ["agent:main:http:operator/ana"])

    play(root, tmp_path / "state", scene)


def test_a_search_that_the_models_service_made_by_itself_is_looked_at_by_us_as_soon_as_an_edit_wants_that(
    tmp_path: Path, model: MessagesServer
) -> None:
    files = {
        "agents/main.yaml": AGENT.replace("add]", "add, web_search]"),
        "tools.yaml": TOOLS.replace("add]}]", "add, web_search]}]"),
        "models.yaml": MODELS.format(url=model.url, key="test-key").replace("[thinking", "[web_search, thinking"),
    }
    root = project(tmp_path / "project", model.url, files=files)

    model.say(Reply(thinking("first"), tool("add", a=5, b=5)))

    async def scene(app: App, operator: Program) -> None:
        go_on = threading.Event()
        model.say(Reply({"type": "text", "text": "let me see"}, tool("add", a=1, b=2), until=go_on))
        asking = asyncio.create_task(operator.say("go"))
        await until(lambda: len(model.requests) == 2, "the second call of the model")
        swap(root / "tools.yaml", "add, web_search]}]", "add]}, {id: mine, ask: web_search}]")
        await edited(app)
        go_on.set()
        await asking

    play(root, tmp_path / "state", scene)
    given = [[one for one in request.body["tools"] if one["name"] == "web_search"] for request in model.requests]
    assert ["type" in one for [one] in given] == [True, True, False]
    kinds = [{block["type"] for turn in one.body["messages"] for block in turn["content"]} for one in model.requests]
    assert ["thinking" in found for found in kinds] == [False, True, False]
