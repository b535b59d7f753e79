"""Saving a manifest changes the assistant while it runs: the real command, a real editor's ways to save, and a model's
double that records what it was told. A broken edit changes nothing and says where it is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doubles.house import AGENT, CHANNELS, SUMS, TOKEN, TOOLS, Process, Program, events, lived, project, until
from doubles.messages_server import MessagesServer, Reply, tool
from openclaw import cli
from openclaw.app import App

SHOUT = """\
  shout:
    description: Says it loudly
    shell: echo first {word}
    input: {word: {type: string, description: what}}
"""
FILES = {
    "tools.yaml": TOOLS.replace("policies:", f"{SHOUT}policies:").replace("add]}]", "add, shout]}]"),
    "agents/main.yaml": AGENT.replace("add]", "add, shout]"),
    "agents/side.yaml": "name: Side\ndescription: Talks\nmodel: smart\ntools: []\npolicy: works\nprefix: /side\n",
}


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    def last(body: dict[str, Any]) -> Reply:
        block = body["messages"][-1]["content"][-1]
        return Reply({"type": "text", "text": str(block.get("content") or block.get("text"))})

    with MessagesServer(otherwise=last) as server:
        yield server
    assert server.violations == []


class Live:
    """A running runtime and the hand that edits its files."""

    def __init__(self, root: Path, operator: Program) -> None:
        self.root = root
        self.operator = operator

    async def attempts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.operator.http.get("/api/reload")).json()["attempts"]
        return found

    async def after(self, edit: Callable[[], object], outcome: str = "") -> dict[str, Any]:
        """The attempt that an edit leads to, at last to this outcome: one of several writes may be seen half done."""
        known = number(await self.attempts())
        edit()
        return (await self.until(lambda found: number(found) > known and outcome in ("", found[-1]["outcome"])))[-1]

    async def until(self, there: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(30):
            while not there(found := await self.attempts()):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)
        return found

    def sed(self, file: str, script: str) -> Callable[[], object]:
        return lambda: subprocess.run(["sed", "-i", script, str(self.root / file)], check=True)

    def streamed(self, text: str, sender: str) -> AbstractAsyncContextManager[httpx2.Response]:
        body, headers = {"text": text, "sender": sender}, {"Accept": "text/event-stream"}
        return self.operator.http.stream("POST", "/api/messages", json=body, headers=headers)

    async def reply(self, text: str, sender: str = "ben") -> str:
        return str((await self.operator.say(text, sender=sender)).json()["reply"])


def number(attempts: list[dict[str, Any]]) -> int:
    """Of the last one; of many only the latest are told."""
    return int(attempts[-1]["number"]) if attempts else 0


def system(server: MessagesServer, number: int = -1) -> str:
    return str(server.requests[number].body["system"][0]["text"]).splitlines()[0]


@pytest.mark.slow
def test_edits_are_live_at_the_next_message_and_break_nothing_that_runs(tmp_path: Path, model: MessagesServer) -> None:
    root = project(tmp_path / "project", model.url, files=FILES)

    async def scene(process: Process) -> None:
        async with Program(await process.address()) as operator:
            live = Live(root, operator)
            pid = (await operator.http.get("/api/status")).json()["pid"]
            await a_slow_turn_keeps_its_soul(live, model)
            await tools_prefixes_and_models_are_live(live, model)
            await a_prohibition_holds_at_once(live, model)
            await a_broken_edit_changes_nothing(live, process)
            await every_way_to_save(live, model)
            process.process.send_signal(signal.SIGHUP)
            await live.until(lambda found: found[-1]["trigger"] == "SIGHUP")
            assert (await operator.http.get("/api/status")).json()["pid"] == pid == process.process.pid

    with Process(root, tmp_path / "state") as process:
        asyncio.run(asyncio.wait_for(scene(process), 100))
        process.process.terminate()
        assert process.process.wait(15) == 0
        assert "Traceback" not in process.log and TOKEN not in process.log and "test-key" not in process.log


async def a_slow_turn_keeps_its_soul(live: Live, model: MessagesServer) -> None:
    go_on = threading.Event()
    model.say(Reply({"type": "text", "text": "slow and steady, and " * 3}, until=go_on))
    async with live.streamed("think slowly", "ada") as response:
        told = events(response)
        while (await anext(told))[0] != "text":
            pass
        attempt = await live.after(live.sed("agents/main.md", "s/first/second/"))
        assert (attempt["outcome"], attempt["changes"]) == ("applied", ["agent main changed"])
        assert await live.reply("quick") == "quick"
        go_on.set()
        rest = [event async for event in told]
    assert rest[-1][0] == "reply" and rest[-1][1]["reply"].startswith("slow and steady")
    assert (system(model, 0), system(model, 1)) == ("You are the first soul.", "You are the second soul.")
    await live.reply("and now?", "ada")
    assert system(model) == "You are the second soul."


async def tools_prefixes_and_models_are_live(live: Live, model: MessagesServer) -> None:
    model.say(Reply(tool("shout", word="hi")))
    assert await live.reply("shout") == "first hi"
    assert (await live.after(live.sed("tools.yaml", "s/echo first/echo second/")))["outcome"] == "applied"
    model.say(Reply(tool("shout", word="hi"), tool("add", a=1, b=2)), "both")
    assert await live.reply("shout and add") == "both"
    assert [block["content"] for block in model.requests[-1].body["messages"][-1]["content"]] == ["second hi\n", "3"]
    attempt = await live.after(live.sed("sums.py", "s/str(a + b)/f'the sum is {a + b}'/"))
    assert (attempt["outcome"], attempt["changes"]) == ("applied", ["tool add changed"])
    model.say(Reply(tool("add", a=1, b=2)))
    assert await live.reply("add") == "the sum is 3"
    await live.after(live.sed("agents/side.yaml", "s|prefix: /side|prefix: /aside|"))
    assert (await live.operator.say("/aside hello")).json()["agent"] == "side"
    assert "no command" in (await live.operator.say("/side hello")).json()["reply"].lower()
    await live.after(live.sed("models.yaml", "s/claude-sonnet-5-5/claude-haiku-5-5/"))
    await live.reply("who are you?")
    assert model.requests[-1].body["model"] == "claude-haiku-5-5"


async def a_prohibition_holds_at_once(live: Live, model: MessagesServer) -> None:
    """Also for a turn that began before it: the tighter of the two policies decides."""
    go_on = threading.Event()
    model.say(Reply({"type": "text", "text": "let me add that up for you, " * 3}, tool("add", a=1, b=2), until=go_on))
    async with live.streamed("add slowly", "cleo") as response:
        told = events(response)
        while (await anext(told))[0] != "text":
            pass
        attempt = await live.after(live.sed("tools.yaml", "s/list_files, add, shout/list_files, shout/"))
        assert attempt["outcome"] == "applied" and "policy works changed" in attempt["changes"]
        go_on.set()
        rest = {name: content async for name, content in told}
    assert rest["tool_result"]["is_error"] and "refused" in rest["tool_result"]["text"]


async def a_broken_edit_changes_nothing(live: Live, process: Process) -> None:
    before = (await live.operator.http.get("/api/status")).json()["snapshot"]
    attempt = await live.after(live.sed("agents/main.yaml", "s/policy: works/policy: wroks/"))
    [problem] = [found for found in attempt["diagnostics"] if found["severity"] == "error"]
    assert attempt["outcome"] == "refused" and "`works`" in f"{problem['message']} {problem['help']}"
    place = f"{problem['file']}:{problem['line']}:{problem['column']}"
    assert place == "agents/main.yaml:7:9"
    await until(lambda: place in process.log, "the log")
    asked = await live.operator.http.post("/api/reload")
    assert (asked.status_code, asked.json()["code"]) == (422, "reload_refused")
    assert asked.json()["attempt"]["diagnostics"] == attempt["diagnostics"]
    status = (await live.operator.http.get("/api/status")).json()
    assert status["snapshot"] == before and status["last_reload"]["outcome"] == "refused"
    assert await live.reply("still there?") == "still there?"
    attempt = await live.after(live.sed("agents/main.yaml", "s/policy: wroks/policy: works/"))
    assert attempt["outcome"] == "unchanged"
    assert (await live.operator.http.post("/api/reload")).json()["outcome"] == "unchanged"


async def every_way_to_save(live: Live, model: MessagesServer) -> None:
    soul = live.root / "agents/main.md"

    def vim() -> None:
        (soul.parent / "4913").touch()
        (soul.parent / "4913").unlink()
        soul.rename(soul.with_name("main.md~"))
        soul.write_text("You are the third soul.\n")
        soul.with_name("main.md~").unlink()

    def atomic(number: str = "fourth") -> None:
        fresh = soul.with_name(".main.md.tmp")
        fresh.write_text(f"You are the {number} soul.\n")
        fresh.replace(soul)

    def nested() -> None:
        folder = live.root / "agents/team/deep"
        folder.mkdir(parents=True)
        (folder / "newcomer.yaml").write_text(AGENT.replace("Main", "New").replace("default: true", "prefix: /new_one"))
        (folder / "main.md").write_text("You are nested.\n")

    for save, expected in ((vim, "third"), (atomic, "fourth")):
        await live.after(save, "applied")
        await live.reply("who?")
        assert system(model) == f"You are the {expected} soul."
    known = number(await live.attempts())
    os.utime(soul)
    atomic()
    assert (await live.after(lambda: atomic("fifth")))["outcome"] == "applied"
    assert number(await live.attempts()) == known + 1  # saving what was there is no attempt
    manifest = live.root / "agents/side.yaml"
    kept = manifest.read_text()
    assert (await live.after(lambda: manifest.write_text("")))["outcome"] == "refused"
    assert (await live.after(lambda: manifest.write_text(kept)))["outcome"] == "unchanged"
    await live.after(nested, "applied")
    assert (await live.operator.say("/new_one hello")).json()["agent"] == "newcomer"
    nested_soul = live.root / "agents/team/deep/main.md"
    await live.after(lambda: nested_soul.write_text("You are nested deeper.\n"), "applied")


# ── inside one process ───────────────────────────────────────────────────────────────────────────


def inside(root: Path, state: Path, scene: Callable[[App, Live], Any]) -> None:
    async def whole() -> None:
        async with lived(root, state) as (app, operator):
            await asyncio.wait_for(scene(app, Live(root, operator)), 100)

    asyncio.run(whole())


def test_a_start_on_a_broken_project_runs_what_was_applied_last_until_it_is_mended(
    tmp_path: Path, model: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    root, state = project(tmp_path / "project", model.url), tmp_path / "state"
    (root / "agents/main.md").write_text("You are ${NAME_OF_SOUL:-kept}.\n")
    (root / ".env").write_text("HTTP_TOKEN=" + TOKEN + "\n")
    (root / "channels.yaml").write_text(CHANNELS.replace(TOKEN, '"${HTTP_TOKEN}"'))
    manifest = root / "agents/main.yaml"
    whole = manifest.read_text()

    async def nothing(app: App, live: Live) -> None:
        assert (await live.operator.http.get("/readyz")).status_code == 200

    async def broken(app: App, live: Live) -> None:
        assert any("BROKEN" in notice and "agents/main.yaml:7:" in notice for notice in app.notices)
        ready = await live.operator.http.get("/readyz")
        assert ready.status_code == 200 and ready.json()["on_last_good"] is True and "broken" in ready.json()["detail"]
        assert await live.reply("hello") == "hello"
        found = await live.until(bool)  # the watch looks once more, and says all that is wrong
        assert found[-1]["outcome"] == "refused"
        assert (await live.after(lambda: manifest.write_text(whole)))["outcome"] == "unchanged"
        ready = (await live.operator.http.get("/readyz")).json()
        assert ready == {"status": "ready", "on_last_good": False, "channels": {"http": "serving"}}

    inside(root, state, nothing)
    manifest.write_text(whole.replace("policy: works", "polciy: works"))
    inside(root, state, broken)
    manifest.write_text(whole.replace("policy: works", "polciy: works"))
    assert cli.main(["-C", str(root), "--state", str(state), "run", "--strict"]) == 3
    assert "agents/main.yaml:7:1" in capsys.readouterr().err
    assert cli.main(["-C", str(root), "--state", str(tmp_path / "other"), "run"]) == 3


def test_what_a_refused_edit_lacked_is_looked_for_although_nothing_named_it_before(
    tmp_path: Path, model: MessagesServer
) -> None:
    """A missing soul outside agents/, and a module that cannot be imported: mending either is enough."""
    root = project(tmp_path / "project", model.url)
    manifest, tools = root / "agents/main.yaml", root / "tools.yaml"

    async def scene(app: App, live: Live) -> None:
        named = manifest.read_text().replace("soul: main.md", "soul: ../souls/new.md")
        (root / "souls").mkdir()
        assert (await live.after(lambda: manifest.write_text(named)))["outcome"] == "refused"
        attempt = await live.after(lambda: (root / "souls/new.md").write_text("You are new.\n"))
        assert attempt["outcome"] == "applied"
        more = tools.read_text().replace("tools:\n", "tools:\n  twice: {python: 'more:twice'}\n")
        assert (await live.after(lambda: tools.write_text(more)))["outcome"] == "refused"
        module = SUMS.replace("def add(a: int, b: int)", "def twice(a: int)").replace("a + b", "2 * a")
        assert (await live.after(lambda: (root / "more.py").write_text(module + "oops(")))["outcome"] == "refused"
        attempt = await live.after(lambda: (root / "more.py").write_text(module))
        assert (attempt["outcome"], attempt["changes"]) == ("applied", ["tool twice added"])

    inside(root, tmp_path / "state", scene)


def test_other_tokens_keep_every_connection_another_port_is_had_first_and_a_taken_one_changes_nothing(
    tmp_path: Path, model: MessagesServer
) -> None:
    root = project(tmp_path / "project", model.url)
    manifest = root / "channels.yaml"

    async def scene(app: App, live: Live) -> None:
        go_on = threading.Event()
        model.say(Reply({"type": "text", "text": "slow and steady, and " * 3}, until=go_on))
        async with live.streamed("slowly", "ada") as response:
            told = events(response)
            await anext(told)
            more = CHANNELS.replace("}", ", tokens: {shop: {secret: shop-secret}}}")
            assert (await live.after(lambda: manifest.write_text(more)))["outcome"] == "applied"
            async with Program(str(live.operator.http.base_url), "shop-secret") as shop:
                assert (await shop.say("hello")).json()["reply"] == "hello"
            go_on.set()
            rest = [event async for event in told]
        assert rest[-1][0] == "reply"
        twice = CHANNELS.replace("}", f", tokens: {{shop: {{secret: {TOKEN}}}}}}}")
        attempt = await live.after(lambda: manifest.write_text(twice))
        assert attempt["outcome"] == "failed" and "same value" in attempt["error"]
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            attempt = await live.after(lambda: manifest.write_text(CHANNELS.replace("port: 0", f"port: {port}")))
        assert attempt["outcome"] == "failed" and str(port) in attempt["error"]
        asked = await live.operator.http.post("/api/reload")  # the port is free by now
        assert asked.json()["outcome"] == "applied"
        async with Program(f"http://127.0.0.1:{port}") as moved:
            assert (await moved.say("hello")).json()["reply"] == "hello"
        async with asyncio.timeout(30):
            while await serves(str(live.operator.http.base_url)):  # noqa: ASYNC110 - a port has no event
                await asyncio.sleep(0.02)

    inside(root, tmp_path / "state", scene)


async def serves(address: str) -> bool:
    """Whether a new connection is taken there."""
    try:
        async with Program(address) as program:
            return (await program.http.get("/healthz")).is_success
    except httpx2.TransportError:
        return False
