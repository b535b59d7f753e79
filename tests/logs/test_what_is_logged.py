"""What a whole runtime writes down of its turns, tools, approvals, heartbeats, edits and end, and what it does not."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, Process, lived, project, until
from doubles.messages_server import HttpError, MessagesServer, Reply, tool
from openclaw import logbook
from openclaw.cli import main

SESSION = "agent:main:http:operator"
TOOLS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: deny
    rules: [{allow: list_files}, {ask: add}]
"""
BEATS = 'heartbeats: {check: {cron: "0 3 1 1 *", prompt: how are the disks}}\n'
QUIET = {"text", "logger", "at", "message", "call", "approval", "seconds"}


def told(state: Path, event: str = "") -> list[dict[str, Any]]:
    with closing(logbook.Reader(state / "logs")) as reader:
        found = [json.loads(line) for line in reader.lines()]
    return [line for line in found if not event or line.get("event") == event]


def known(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in QUIET}


def test_what_a_runtime_does_is_written_down_and_what_is_said_in_it_is_not(tmp_path: Path) -> None:
    files = {"tools.yaml": TOOLS, "heartbeats.yaml": BEATS}
    state = tmp_path / "state"

    async def scene(root: Path) -> None:
        async with lived(root, state) as (app, operator):
            asked = asyncio.create_task(operator.say("a fine secret of mine, 4711"))
            await until(lambda: app.approvals.pending(), "the question")
            [question] = app.approvals.pending()
            answer = {"decision": "allow-once"}
            assert (await operator.http.post(f"/api/approvals/{question.id}", json=answer)).status_code == 200
            await asked
            await until(lambda: not app.sessions.running(), "the end of the turn")
            assert (await operator.say("once more")).status_code == 502
            (root / "agents/main.yaml").write_text(AGENT.replace("Talks", "Talks much"))
            assert (await operator.http.post("/api/reload")).json()["outcome"] in ("applied", "unchanged")
            assert (await operator.http.post("/api/heartbeats/check/run")).status_code < 300
            await until(lambda: len(told(state, "turn ended")) == 3, "the end of the heartbeat")

    with MessagesServer(key="test-key") as model:
        model.say(Reply(tool("add", a=4000, b=711)), "It is 4711.", HttpError(400, message="no 4711"), "All well.")
        asyncio.run(scene(project(tmp_path / "project", model.url, files=files)))

    where = {"agent": "main", "session": SESSION, "channel": "http"}
    [started], [stopped] = told(state, "started"), told(state, "stopped")
    assert (started["demo"], stopped["level"], told(state)[-1]) == (False, "info", stopped)
    ended = told(state, "turn ended")
    assert known(ended[0]) == {
        "level": "info",
        "event": "turn ended",
        **where,
        "outcome": "answered",
        "model": "claude-sonnet-5-5",
        "input_tokens": 20,
        "output_tokens": ended[0]["output_tokens"],
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
    }
    assert (ended[1]["level"], ended[1]["outcome"], ended[1]["fault"]) == ("warning", "failed", "rejected")
    assert (ended[2]["heartbeat"], ended[2]["session"]) == ("check", "cron:check")
    assert {line["message"] for line in told(state) if line.get("session") == SESSION} == {
        ended[0]["message"],
        ended[1]["message"],
    }
    [called] = told(state, "tool called")
    facts = {"tool": "add", "decision": "allow (allow-once)", "outcome": "done"}
    assert known(called) == {"level": "info", "event": "tool called", **where, **facts}
    [question], [settled] = told(state, "approval asked"), told(state, "approval settled")
    assert question["approval"] == settled["approval"] and question["session"] == SESSION
    assert (settled["outcome"], settled["by"]) == ("allow-once", "repl:local")
    assert told(state, "reload applied")
    whole = json.dumps([{**line, "at": "", "call": ""} for line in told(state)])
    assert "fine secret" not in whole and "4711" not in whole and "All well" not in whole


def test_at_debug_it_is_told_why_something_happened_or_did_not_and_nothing_that_was_said(tmp_path: Path) -> None:
    tools = TOOLS.replace("{ask: add}", "{id: sums, allow: add}")
    files = {"tools.yaml": tools, "heartbeats.yaml": BEATS}
    state = tmp_path / "state"

    async def scene(root: Path) -> None:
        async with lived(root, state, level="debug") as (_, operator):
            await operator.say("a fine secret of mine, 4711")
            assert (await operator.say("/status")).status_code == 200
            assert (await operator.say("fine secret, Ada?", agent="nobody-4711")).status_code >= 400
            assert (await operator.say("once more")).status_code == 502
            await until(lambda: told(state, "watch looked"), "the first look")
            (root / "agents/main.yaml").write_text((root / "agents/main.yaml").read_text())
            looks = len(told(state, "watch looked"))
            await until(lambda: len(told(state, "watch looked")) > looks, "a look that finds nothing")

    with MessagesServer(key="test-key") as model:
        called = Reply(tool("add", a=4000, b=711), tool("fine_secret", x=4711))
        model.say(called, "It is 4711.", HttpError(400, message="no 4711"))
        asyncio.run(scene(project(tmp_path / "project", model.url, files=files)))

    lines = [line for line in told(state) if line["level"] == "debug"]
    where = {"agent": "main", "session": SESSION, "channel": "http"}
    [first, second] = told(state, "message taken")
    assert known(first) == {"level": "debug", "event": "message taken", **where}
    assert first["message"] != second["message"]
    assert first["text"] == "a message of http:operator for agent main is taken in"
    [refused] = told(state, "message refused")
    assert (refused["code"], refused["text"]) == ("agent", "a message of http:operator is refused: agent")
    assert len(told(state, "message answered at once")) == 1 and len(told(state, "message taken up")) == 2
    [judged] = told(state, "call judged")
    assert judged["rules"].endswith(" works/sums allow") and judged["decision"] == "allow"
    [unfit] = told(state, "call unfit")
    assert unfit["tool"] == "unknown"
    answered = told(state, "model answered")
    assert [(line["input_tokens"], line["alias"]) for line in answered] == [(10, "smart"), (10, "smart")]
    assert len(told(state, "model asked")) == 3
    assert [line["fault"] for line in told(state, "model failed")] == ["rejected"]
    assert told(state, "heartbeat planned")[0]["heartbeat"] == "check" and told(state, "watch stirred")
    whole = json.dumps([{**line, "at": "", "call": ""} for line in lines])
    assert not any(said in whole for said in ("fine secret", "fine_secret", "4711", "Ada"))


def test_at_info_no_line_is_made_that_only_debug_shows(tmp_path: Path) -> None:
    async def scene(root: Path) -> None:
        async with lived(root, tmp_path / "state") as (_, operator):
            await operator.say("hello")

    with MessagesServer(key="test-key") as model:
        model.say("Well.")
        asyncio.run(scene(project(tmp_path / "project", model.url)))
    assert {line["level"] for line in told(tmp_path / "state")} <= {"info", "warning"}


@pytest.mark.parametrize(
    ("options", "variable", "level"),
    [(["--log-level", "debug"], "", "debug"), ([], " DEBUG ", "debug"), (["--log-level", "info"], "debug", "info")],
)
def test_a_run_is_told_by_an_option_or_a_variable_what_its_log_keeps(
    tmp_path: Path, options: list[str], variable: str, level: str
) -> None:
    root = project(tmp_path / "project", "http://127.0.0.1:9", files={"heartbeats.yaml": BEATS})

    async def scene() -> None:
        with Process(root, tmp_path / "state", "--demo", *options, OPENCLAW_LOG_LEVEL=variable) as process:
            await process.address()
            first = "heartbeat planned" if level == "debug" else "started"
            await until(lambda: told(tmp_path / "state", first), "the first lines")

    asyncio.run(scene())
    assert any(line["level"] == "debug" for line in told(tmp_path / "state")) is (level == "debug")


def test_a_level_that_there_is_not_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENCLAW_LOG_LEVEL", "loud")
    assert main(["-C", str(tmp_path), "--state", str(tmp_path / "state"), "run"]) == 2
    assert "OPENCLAW_LOG_LEVEL: `loud` is none of debug, info" in capsys.readouterr().err


def test_the_process_says_on_standard_error_what_it_said_before_and_logs_the_rest(tmp_path: Path) -> None:
    root = project(tmp_path / "project", "http://127.0.0.1:9")

    async def scene() -> None:
        with Process(root, tmp_path / "state", "--demo") as process:
            await process.address()
        said = [line for line in process.log.splitlines() if line.startswith("openclaw: ")]
        assert said == []

    asyncio.run(scene())
    assert [line["event"] for line in told(tmp_path / "state") if line["level"] == "info"] == ["started", "stopped"]


@pytest.mark.slow
def test_a_second_start_goes_on_in_the_same_file(tmp_path: Path) -> None:
    root = project(tmp_path / "project", "http://127.0.0.1:9")

    async def scene() -> None:
        for _ in range(2):
            with Process(root, tmp_path / "state", "--demo") as process:
                await process.address()

    asyncio.run(scene())
    assert len(told(tmp_path / "state", "started")) == 2
