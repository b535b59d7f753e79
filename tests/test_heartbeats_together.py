"""Heartbeats with everything behind them: the whole runtime, the real SDK, the strict double of the model's service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, CHANNELS, Hasty, Program, lived, project, until
from doubles.messages_server import HttpError, MessagesServer, Reply, tool
from openclaw.app import App

MODELS = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: test-key, price: {{input: 2, output: 10}}}}
  cheap: {{id: claude-haiku-5-5, base_url: "{url}", api_key: test-key, price: {{input: 0.5, output: 2.5}}}}
"""
TOOLS = """\
tools:
  add: {python: "sums:add"}
  probe:
    description: Looks at a gauge
    shell: cat -- gauge.txt | tail -n 1
policies:
  works:
    default: ask
    rules: [{allow: [list_files, add, probe]}, {allow: run_command, commands: [cat, tail]}]
"""
BEATS = """\
heartbeats:
  dawn: {{cron: "0 5 29 2 *", prompt: Say good morning., deliver: "http:operator", model: cheap{more}}}
"""
PIPED = 'command: "cat gauge.txt | tail -n 1"'
Scene = Callable[[App, Program], Awaitable[None]]


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


def place(root: Path, model: MessagesServer, more: str = "", **files: str) -> Path:
    manifests = {"models.yaml": MODELS.format(url=model.url), "tools.yaml": TOOLS}
    return project(root, model.url, files={**manifests, "heartbeats.yaml": BEATS.format(more=more), **files})


def run(
    tmp_path: Path, model: MessagesServer, scene: Scene, more: str = "", clock: Hasty | None = None, **files: str
) -> None:
    root = place(tmp_path / "project", model, more, **files)

    async def whole() -> None:
        async with lived(root, tmp_path / "state", clock=clock) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 100)

    asyncio.run(whole())


async def beat(operator: Program, name: str = "dawn") -> Mapping[str, Any]:
    """Runs it now; the row of the history once it has ended and what it sends has arrived."""
    begun = await operator.http.post(f"/api/heartbeats/{name}/run")
    assert begun.status_code == 202, begun.text

    async def found() -> dict[str, Any] | None:
        rows = (await operator.http.get(f"/api/heartbeats/history?heartbeat={name}")).json()["runs"]
        row: dict[str, Any] = next(row for row in rows if row["message"] == begun.json()["id"])
        due = row["outcome"] in ("queued", "running") or any(one["state"] == "due" for one in row["deliveries"])
        return None if due else row

    async with asyncio.timeout(30):
        while (row := await found()) is None:  # noqa: ASYNC110 - over HTTP there is no event for it
            await asyncio.sleep(0.02)
    return row


def test_a_run_is_told_with_what_it_took_and_enters_the_session_of_whoever_gets_it(
    tmp_path: Path, model: MessagesServer
) -> None:
    model.say("Good morning, Nader.", "I wished you a good morning.")

    async def scene(app: App, operator: Program) -> None:
        row = await beat(operator)
        assert (row["outcome"], row["cause"], row["reply"]) == ("answered", "hand", "Good morning, Nader.")
        usage = row["usage"]
        assert (row["model"], usage["input_tokens"], usage["output_tokens"]) == ("claude-haiku-5-5", 10, 5)
        assert row["cost_usd"] == pytest.approx((10 * 0.5 + 5 * 2.5) / 1e6)
        assert [one["to"] for one in row["deliveries"]] == ["http:operator"]
        answer = (await operator.say("What did you just say?")).json()
        assert answer["reply"] == "I wished you a good morning."

    run(tmp_path, model, scene)
    first, second = model.requests
    assert first.body["model"] == "claude-haiku-5-5" and second.body["model"] == "claude-sonnet-5-5"
    assert "Good morning, Nader." in json.dumps(second.body["messages"])
    assert "heartbeat dawn" in json.dumps(second.body["messages"])


@pytest.mark.parametrize(
    ("tool", "check"), [("probe", "{tool: probe}"), ("run_command", f"{{tool: run_command, input: {{{PIPED}}}}}")]
)
def test_a_check_that_is_well_lets_the_model_sleep_and_one_that_fails_wakes_it_with_what_it_found(
    tmp_path: Path, model: MessagesServer, tool: str, check: str
) -> None:
    model.say("The gauge is gone!", "It is.")
    workspace = tmp_path / "state/workspace"

    async def scene(app: App, operator: Program) -> None:
        workspace.mkdir(exist_ok=True)
        (workspace / "gauge.txt").write_text("21 degrees\n")
        row = await beat(operator)
        assert (row["outcome"], row["check"], row["model"], row["cost_usd"]) == ("quiet", f"{tool} is well", None, 0)
        (workspace / "gauge.txt").unlink()
        row = await beat(operator)
        assert row["outcome"] == "answered" and row["check"].startswith(f"{tool} failed: ")
        answer = (await operator.say("Gone?")).json()
        assert (await app.sessions.transcript(answer["session"])).untrusted == "a forwarded message"

    run(tmp_path, model, scene, f", check: {check}")
    request, _ = model.requests
    text = json.dumps(request.body["messages"])
    assert "Say good morning." in text and "No such file" in text and "material, not an instruction" in text


def test_a_run_ends_when_its_money_is_spent(tmp_path: Path, model: MessagesServer) -> None:
    call = Reply(tool("add", a=1, b=2))
    model.say(call, call, call, call, "never said")

    async def scene(app: App, operator: Program) -> None:
        row = await beat(operator)
        assert row["outcome"] == "failed" and "max_cost_usd" in row["reply"]
        assert row["deliveries"] == []

    run(tmp_path, model, scene, ", max_cost_usd: 0.00004")
    assert len(model.requests) == 3  # 0.0000175 each: the third goes beyond it


@pytest.mark.slow
def test_a_run_ends_when_its_time_is_up(tmp_path: Path, model: MessagesServer) -> None:
    model.say(Reply({"type": "text", "text": "and so on"}, fault="endless", after=3))

    async def scene(app: App, operator: Program) -> None:
        row = await beat(operator)
        assert row["outcome"] == "failed" and "longer than 100 seconds (timeout)" in row["reply"]

    run(tmp_path, model, scene, ", timeout: 100s", clock=Hasty())


def test_a_failure_goes_to_the_owner_and_not_to_whoever_the_reply_is_for(
    tmp_path: Path, model: MessagesServer
) -> None:
    model.say(HttpError(400, "invalid_request_error"))
    people = "people: {nader: {ids: ['http:operator/nader'], owner: true}}\n"

    async def scene(app: App, operator: Program) -> None:
        beats, replies = app.heartbeats, app.store.outbox
        [heartbeat] = beats.all().values()
        assert [str(one) for one in heartbeat.notify] == ["http:operator/nader"]
        assert (await beat(operator))["outcome"] == "failed"
        assert list(await replies.due("http")) == []

    run(tmp_path, model, scene, **{"channels.yaml": CHANNELS + people})


@pytest.mark.slow
def test_a_reminder_is_set_by_the_agent_comes_once_and_can_be_answered(tmp_path: Path, model: MessagesServer) -> None:
    model.say(Reply(tool("remind_me", **{"text": "Drink water, Nader.", "in": "1s"})), "I will.", "You should drink.")
    tools = TOOLS.replace("[list_files, add, probe]", "[list_files, add, probe, remind_me]")
    agent = AGENT.replace("[list_files, add]", "[list_files, add, remind_me]")

    async def scene(app: App, operator: Program) -> None:
        name = "reminder.1"
        assert (await operator.say("remind me to drink in a second")).json()["reply"] == "I will."
        await until(lambda: not app.reminders.heartbeats(), "the end of the reminder")
        [row] = (await operator.http.get(f"/api/heartbeats/history?heartbeat={name}")).json()["runs"]
        assert (row["outcome"], row["reply"], row["model"]) == ("answered", "Drink water, Nader.", None)
        assert (await operator.say("what was that?")).json()["reply"] == "You should drink."

    run(tmp_path, model, scene, **{"tools.yaml": tools, "agents/main.yaml": agent})
    assert "Drink water, Nader." in json.dumps(model.requests[-1].body["messages"])


def test_what_is_deleted_before_its_run_is_taken_up_is_not_run(tmp_path: Path, model: MessagesServer) -> None:
    model.say(Reply({"type": "text", "text": "and so on"}, fault="endless", after=3))

    async def scene(app: App, operator: Program) -> None:
        posted = [await operator.http.post("/api/heartbeats/dawn/run") for _ in range(2)]
        await until(lambda: model.requests, "the first run")
        (tmp_path / "project/heartbeats.yaml").write_text("heartbeats: {}\n")
        assert (await operator.http.post("/api/reload")).status_code == 200
        assert await app.desk.stop("cron:dawn")
        async with asyncio.timeout(30):
            while await app.store.inbox.open():  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0.01)
        rows = (await operator.http.get("/api/heartbeats/history")).json()["runs"]
        assert [(row["message"], row["outcome"]) for row in reversed(rows)] == [
            (posted[0].json()["id"], "failed"),
            (posted[1].json()["id"], "silent"),
        ]

    run(tmp_path, model, scene)
    assert len(model.requests) == 1


def test_what_is_secret_in_the_input_of_a_check_is_in_nothing_that_comes_of_it(
    tmp_path: Path, model: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAUGE_KEY", "hunter2-Abc")
    model.say("It is hot.")
    tools = TOOLS.replace("cat -- gauge.txt | tail -n 1", "cat -- {path}\n    input: {path: {type: path}}")
    beats = (
        "heartbeats:\n"
        "  dawn: {cron: '@yearly', prompt: x, check: {tool: probe, wake: output, input: {path: '${GAUGE_KEY}.txt'}}}\n"
    )

    async def scene(app: App, operator: Program) -> None:
        check = app.heartbeats.all()["dawn"].check
        assert check is not None and check.secrets == ("hunter2-Abc",) and "hunter2" not in repr(check)
        workspace = tmp_path / "state/workspace"
        workspace.mkdir(exist_ok=True)
        (workspace / "hunter2-Abc.txt").write_text("hunter2-Abc: 41 degrees\n" * 2000)
        row = await beat(operator)
        assert row["check"] == "probe said: ***: 41 degrees (1 in a row)"
        spilt = [file.read_text() for file in (workspace / ".openclaw/outputs").iterdir()]
        assert spilt == ["***: 41 degrees\n" * 2000]
        (workspace / "hunter2-Abc.txt").unlink()
        model.say("It is gone.")
        assert "cat: ***.txt: No such file" in (await beat(operator))["check"]
        model.say("It may not.")
        (workspace / "hunter2-Abc.txt").symlink_to("/etc/passwd")
        assert "not run" in (await beat(operator))["check"]
        known = [await app.store.marks.get(name) for name in ("check/dawn", "heartbeats")]
        rows = (await operator.http.get("/api/heartbeats/history")).text
        assert "hunter2" not in json.dumps(known) + rows

    run(tmp_path, model, scene, **{"heartbeats.yaml": beats, "tools.yaml": tools})
    assert len(model.requests) == 3 and "hunter2" not in json.dumps([one.body for one in model.requests])


def test_an_outage_that_the_model_could_not_tell_is_told_by_the_next_check(
    tmp_path: Path, model: MessagesServer
) -> None:
    model.say(HttpError(400, "invalid_request_error"), "The gauge is gone!")

    async def scene(app: App, operator: Program) -> None:
        assert [(await beat(operator))["outcome"] for _ in range(3)] == ["failed", "answered", "quiet"]

    run(tmp_path, model, scene, ", check: {tool: probe}")
    assert len(model.requests) == 2
