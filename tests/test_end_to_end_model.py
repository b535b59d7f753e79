"""The whole runtime with the real SDK against a strict double of the model's service: what it sends breaks no rule,
what fails leaves nothing half-said, and whoever asked is told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, Hasty, Leaping, Program, events, lived, project, until
from doubles.messages_server import Drop, HttpError, MessagesServer, Reply, thinking, tool
from openclaw import cli
from openclaw.app import App
from openclaw.clock import Clock

KEY = "sk-test-hush-hush"
SESSION = "agent:main:http:operator"
Scene = Callable[[App, Program], Awaitable[None]]


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    """The double; at the end of every test it must have seen no rule broken."""
    with MessagesServer(key=KEY) as server:
        yield server
    assert server.violations == []


def run(tmp_path: Path, model: MessagesServer, scene: Scene, *, clock: Clock | None = None, **files: str) -> None:
    root = project(tmp_path / "project", model.url, key=KEY, files=files)

    async def whole() -> None:
        async with lived(root, tmp_path / "state", clock=clock) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 100)

    asyncio.run(whole())


def said(entries: list[dict[str, Any]]) -> str:
    """All text of the model in a transcript."""
    blocks = [block for entry in entries if entry.get("role") == "assistant" for block in entry["content"]]
    return " ".join(str(block.get("text", block.get("thinking", ""))) for block in blocks)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def test_two_parallel_calls_are_answered_together_and_in_order(tmp_path: Path, model: MessagesServer) -> None:
    model.say(
        Reply(thinking("two sums"), tool("add", id="one", a=1, b=2), tool("add", id="two", a=30, b=4)), "3 and 34."
    )

    async def scene(app: App, operator: Program) -> None:
        answer = (await operator.say("1+2 and 30+4?")).json()
        assert answer["reply"] == "3 and 34." and answer["usage"]["input_tokens"] == 20
        kinds = [entry["type"] for entry in await operator.entries(SESSION)]
        assert sorted(kinds[2:6]) == ["intent", "intent", "result", "result"] and len(kinds) == 7

    run(tmp_path, model, scene)
    results = model.requests[1].body["messages"][-1]
    assert [(block["tool_use_id"], block["content"]) for block in results["content"]] == [("one", "3"), ("two", "34")]
    assert model.requests[1].body["messages"][1]["content"][0]["type"] == "thinking"


def test_thinking_is_kept_while_the_setup_stays_and_left_out_when_it_changes(
    tmp_path: Path, model: MessagesServer
) -> None:
    model.say(*[Reply(thinking("hm"), {"type": "text", "text": str(n)}) for n in range(4)])
    root = tmp_path / "project"

    async def scene(app: App, operator: Program) -> None:
        await operator.say("first")
        await operator.say("second")
        (root / "agents/main.md").write_text("You are the second soul.\n")
        assert (await operator.http.post("/api/reload")).json()["outcome"] in ("applied", "unchanged")
        await operator.say("third")
        await operator.say("fourth")

    run(tmp_path, model, scene)

    def thoughts(number: int) -> list[str]:
        messages = model.requests[number].body["messages"]
        return [b["type"] for m in messages if m["role"] == "assistant" for b in m["content"]]

    assert thoughts(1) == ["thinking", "text"]
    assert thoughts(2) == ["text", "text"]  # bound to the soul before
    assert thoughts(3) == ["text", "text", "thinking", "text"]
    souls = [seen.body["system"][0]["text"][:23] for seen in model.requests]
    assert souls == ["You are the first soul."] * 2 + ["You are the second soul"] * 2


def test_a_paused_turn_goes_on_and_a_refusal_leaves_no_words_behind(tmp_path: Path, model: MessagesServer) -> None:
    model.say(
        Reply(thinking("long"), {"type": "text", "text": "One moment."}, stop_reason="pause_turn"),
        "Here it is.",
        Reply({"type": "text", "text": "I would rath"}, stop_reason="refusal"),
        "Gladly.",
    )

    async def scene(app: App, operator: Program) -> None:
        assert (await operator.say("think long")).json()["reply"] == "Here it is."
        refused = await operator.say("something bad")
        assert (refused.status_code, refused.json()["code"]) == (502, "turn_failed")
        assert "declined" in refused.json()["detail"]
        assert (await operator.say("something good")).json()["reply"] == "Gladly."
        assert "I would rath" not in said(await operator.entries(SESSION))

    run(tmp_path, model, scene)


def test_a_call_cut_off_by_the_token_limit_never_runs(tmp_path: Path, model: MessagesServer) -> None:
    cut = Reply(
        {"type": "text", "text": "Adding."}, tool("add", a=1, b=22), stop_reason="max_tokens", fault="short", after=2
    )
    whole = Reply(tool("add", id="late", a=1, b=2), stop_reason="max_tokens")
    model.say(cut, whole, "Never mind.")

    async def scene(app: App, operator: Program) -> None:
        assert "cut off" in (await operator.say("add")).json()["reply"]
        assert (await operator.say("again")).json()["reply"] == "Never mind."
        entries = await operator.entries(SESSION)
        assert [entry["type"] for entry in entries if entry["type"] in ("intent", "result")] == ["result"]

    run(tmp_path, model, scene)
    assert model.requests[2].body["messages"][-1]["content"][0]["is_error"] is True


# ── faults ───────────────────────────────────────────────────────────────────────────────────────

HALF = {"type": "text", "text": "half an answer that must not stay"}
CALL = tool("add", a=1, b=2)
FAULTS = {
    "429": HttpError(429, "rate_limit_error", headers={"retry-after-ms": "5"}),
    "529": HttpError(529, "overloaded_error", headers={"retry-after-ms": "5"}),
    "500": HttpError(500, headers={"retry-after-ms": "5"}),
    "dropped": Drop(),
    "cut in text": Reply(HALF, fault="cut", after=2),
    "cut in thinking": Reply(thinking("half an answer that must not stay"), HALF, fault="cut", after=2),
    "cut in a call": Reply(HALF, CALL, fault="cut", after=6),
    "ended early": Reply(HALF, CALL, fault="ended", after=6),
    "reset": Reply(HALF, fault="reset", after=2),
    "garbage": Reply(HALF, fault="garbage", after=2),
    "error event": Reply(HALF, fault="error", after=2),
    "stall": Reply(HALF, fault="stall", after=2),
    "no reason": Reply(HALF, stop_reason=None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_same_question_is_asked_again_and_nothing_half_said_stays(
    tmp_path: Path, model: MessagesServer, fault: str
) -> None:
    model.say(FAULTS[fault], "Whole.", "Thanks.")

    async def scene(app: App, operator: Program) -> None:
        body, headers = {"text": "hello"}, {"Accept": "text/event-stream"}
        async with operator.http.stream("POST", "/api/messages", json=body, headers=headers) as response:
            told = [event async for event in events(response)]
        assert told[-1][0] == "reply" and told[-1][1]["reply"] == "Whole."
        texts = [content for name, content in told if name == "text"]
        if any("half" in content["text"] for content in texts):
            assert any(content.get("restart") for content in texts)
        assert (await operator.say("and?")).json()["reply"] == "Thanks."
        entries = await operator.entries(SESSION)
        assert said(entries) == "Whole. Thanks."
        assert not [entry for entry in entries if entry["type"] in ("intent", "result")]

    run(tmp_path, model, scene, clock=Hasty())
    first, second = model.requests[0].body, model.requests[1].body
    assert first == second


def test_a_stream_that_never_ends_is_ended_by_the_turns_limit(tmp_path: Path, model: MessagesServer) -> None:
    model.say(Reply(HALF, fault="endless", after=3), "Back.")
    clock = Leaping()

    async def scene(app: App, operator: Program) -> None:
        asking = asyncio.create_task(operator.say("hello"))
        await until(lambda: model.requests, "the request")  # the first of a process waits until the SDK was imported
        clock.ahead += 31
        ended = await asking
        assert ended.status_code == 502 and "limits.turn" in ended.json()["detail"]
        assert (await operator.say("still there?")).json()["reply"] == "Back."

    run(tmp_path, model, scene, clock=clock, **{"agents/main.yaml": AGENT + "limits: {turn: 30s}\n"})
    assert model.wait_left_early()


def test_a_service_that_stays_away_is_told_after_the_last_try(tmp_path: Path, model: MessagesServer) -> None:
    away = HttpError(529, "overloaded_error", headers={"x-should-retry": "false"})
    model.say(*[away] * 4, "Back.")

    async def scene(app: App, operator: Program) -> None:
        failed = await operator.say("hello")
        assert failed.status_code == 502 and "overloaded" in failed.json()["detail"]
        assert (await operator.say("and now?")).json()["reply"] == "Back."

    run(tmp_path, model, scene, clock=Hasty())


# ── credentials and addresses ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("smart", "expected"),
    [
        ('{{id: claude-sonnet-5-5, base_url: "{url}", api_key: wrong-key-hush}}', "refused the credentials"),
        ('{{id: no-such-model, base_url: "{url}", api_key: "{key}"}}', "does not know the model `no-such-model`"),
        ('{{id: claude-sonnet-5-5, base_url: "{url}/v1", api_key: "{key}"}}', "check base_url in models.yaml"),
        ('{{id: claude-sonnet-5-5, base_url: "http://127.0.0.1:9", api_key: "{key}"}}', "cannot reach 127.0.0.1:9"),
    ],
    ids=["wrong key", "unknown model", "wrong address", "unreachable"],
)
def test_what_is_wrong_with_the_model_is_told_with_its_cure_and_no_secret(
    tmp_path: Path, model: MessagesServer, smart: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(app: App, operator: Program) -> None:
        failed = await operator.say("hello")
        assert failed.status_code == 502 and failed.json()["code"] == "turn_failed"
        assert expected in failed.json()["detail"]
        assert "hush" not in failed.text and "Traceback" not in failed.text
        kept = await operator.http.get(f"/api/messages/{(await messages(operator))[0]}")
        assert kept.json()["status"] == "failed" and expected in kept.json()["error"]

    async def messages(operator: Program) -> list[str]:
        return [entry["message"] for entry in await operator.entries(SESSION)]

    described = smart.format(url=model.url, key=KEY)
    models = f"default: smart\nmodels:\n  smart: {described}\n"
    run(tmp_path, model, scene, clock=Hasty(), **{"models.yaml": models})
    assert "hush" not in caplog.text


def test_without_a_key_the_start_says_both_ways_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    root = project(tmp_path / "project", "", files={"models.yaml": "models:\n  smart: {id: claude-sonnet-5-5}\n"})
    assert cli.main(["-C", str(root), "--state", str(tmp_path / "state"), "run"]) == 4
    told = capsys.readouterr().err
    assert "--demo" in told and "ANTHROPIC_API_KEY" in told and "Traceback" not in told


def test_a_session_goes_on_after_a_restart_with_its_thinking(tmp_path: Path, model: MessagesServer) -> None:
    model.say(Reply(thinking("noted"), {"type": "text", "text": "I will remember."}), "Zorblax.")

    async def first(app: App, operator: Program) -> None:
        await operator.say("my cat is Zorblax", sender="ada")

    async def second(app: App, operator: Program) -> None:
        assert (await operator.say("what is my cat?", sender="ada")).json()["reply"] == "Zorblax."

    run(tmp_path, model, first)
    run(tmp_path, model, second)
    assert model.requests[1].body["messages"][:2][1]["content"][0]["thinking"] == "noted"


# ── stand-ins and summaries ──────────────────────────────────────────────────────────────────────

TWO_MODELS = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: "{key}", fallback: [cheap], capabilities: [thinking]}}
  cheap: {{id: claude-haiku-5-5, base_url: "{url}", api_key: "{key}", capabilities: [thinking]}}
"""


@pytest.mark.slow
def test_a_stand_in_answers_and_the_account_says_so(tmp_path: Path, model: MessagesServer) -> None:
    first = Reply(thinking("by smart"), {"type": "text", "text": "Hello."})
    model.say(first, *[HttpError(529, "overloaded_error")] * 3, Reply(thinking("by cheap"), HALF), "Still here.")

    async def scene(app: App, operator: Program) -> None:
        await operator.say("hi")
        answer = (await operator.say("are you there?")).json()
        assert answer["reply"] == HALF["text"]
        await operator.say("and now?")
        used = {row["model"]: row["turns"] for row in app.desk.usage()}
        assert used == {"claude-sonnet-5-5": 1, "claude-haiku-5-5": 2}  # smart still rests

    run(tmp_path, model, scene, **{"models.yaml": TWO_MODELS.format(url=model.url, key=KEY)})
    asked = [seen.body["model"] for seen in model.requests]
    assert asked == ["claude-sonnet-5-5"] * 4 + ["claude-haiku-5-5"] * 2
    assert "by smart" in str(model.requests[1].body) and "by smart" not in str(model.requests[4].body)


def test_a_summary_is_made_and_taken_back_by_command(tmp_path: Path, model: MessagesServer) -> None:
    model.say("Noted.", "Ada's boat is the Zorblax.", "- INC-2041 is its ticket.", "The Zorblax.", "It was INC-2041.")
    small = AGENT + "compaction: {at_tokens: 2000, keep_tokens: 1}\n"

    async def scene(app: App, operator: Program) -> None:
        await operator.say("my boat is the Zorblax, ticket INC-2041")
        assert "Shortened" in (await operator.say("/compact")).json()["reply"]
        await operator.say("what is my boat?")
        assert "taken back" in (await operator.say("/undo_compact")).json()["reply"]
        await operator.say("what was my ticket?")
        kinds = [entry["type"] for entry in await operator.entries(SESSION)]
        assert [kind for kind in kinds if kind not in ("message", "draft")] == ["compaction", "undone"]

    run(tmp_path, model, scene, **{"agents/main.yaml": small})
    summed, whole = (str(model.requests[at].body["messages"]) for at in (3, 4))
    assert "Ada's boat" in summed and "INC-2041" in summed and "my boat is the" not in summed
    assert "my boat is the" in whole and "<summary" not in whole


def test_a_full_window_is_made_room_in_while_a_turn_goes_on(tmp_path: Path, model: MessagesServer) -> None:
    full = HttpError(400, "invalid_request_error", "prompt is too long: 9 > 8")
    over = Reply(HALF, stop_reason="model_context_window_exceeded")
    model.say("Noted.", over, "They met.", "Gladly.", full, "They met again.", "Once more.")

    async def scene(app: App, operator: Program) -> None:
        await operator.say("hello")
        assert (await operator.say("tell me more")).json()["reply"] == "Gladly."
        assert (await operator.say("and more")).json()["reply"] == "Once more."
        assert HALF["text"] not in said(await operator.entries(SESSION))

    run(tmp_path, model, scene)
    assert "They met." in str(model.requests[3].body["messages"][0])
