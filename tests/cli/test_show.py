"""`openclaw show AGENT`: each value with the place it comes from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.edits import PROJECT

SCOUT = """\
name: Scout
description: Finds things out
prefix: /scout
tools: ["read_*", run_command, memory_delete]
limits: {turn: 2m}
"""
MORE = {
    "agents/team/_defaults.yaml": "policy: careful\nlimits: {iterations: 7}\neffort: low\n",
    "agents/team/scout.yaml": SCOUT,
    "agents/team/scout.md": "You are Scout — 探索者.\n",
    "models.yaml": "default: cheap\nmodels:\n  cheap: {id: claude-haiku-5-5}\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {**PROJECT, **MORE}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def show(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(project / "state"), "show"]
    return warm.run([*command, *arguments], timeout=50, text=True, stdin=subprocess.DEVNULL)


def shown(project: Path, agent: str) -> dict[str, Any]:
    done = show(project, agent, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_value_has_the_place_it_comes_from(project: Path) -> None:
    values = shown(project, "scout")["values"]
    found = {key: (each["value"], each["how"], each["file"], each["line"]) for key, each in values.items()}
    assert found["description"] == ("Finds things out", "own", "agents/team/scout.yaml", 2)
    assert found["limits.turn"] == ("2m", "own", "agents/team/scout.yaml", 5)
    assert found["limits.iterations"] == ("7", "inherited", "agents/team/_defaults.yaml", 2)
    assert found["policy"] == ("careful", "inherited", "agents/team/_defaults.yaml", 1)
    assert found["effort"] == ("low", "inherited", "agents/team/_defaults.yaml", 3)
    assert found["model"] == ("cheap", "inherited", "models.yaml", 1)
    assert found["session.timezone"] == ("Europe/London", "inherited", "heartbeats.yaml", 1)
    assert found["soul"][1:] == ("own", "agents/team/scout.md", 1)
    assert found["memory"] == ("shared", "built in", None, None)
    assert found["tools"] == ("read_file, run_command, memory_delete", "own", "agents/team/scout.yaml", 4)


def test_tools_are_told_with_what_becomes_of_a_call(project: Path) -> None:
    tools = {tool["name"]: tool for tool in shown(project, "scout")["tools"]}
    assert {name: tool["decision"] for name, tool in tools.items()} == {
        "read_file": "asks",
        "run_command": "depends on the call",
        "memory_delete": "asks",
    }
    assert [rule["id"] for rule in tools["run_command"]["rules"]] == ["look", "team", "git", "no-root"]
    assert shown(project, "ops")["tools"][1] == {"name": "read_file", "decision": "is denied", "rules": []}
    assert shown(project, "main")["tools"][-1]["decision"] == "runs unasked"


def test_policy_soul_and_routes_are_told(project: Path) -> None:
    found = shown(project, "scout")
    assert found["soul"] == [{"file": "agents/team/scout.md", "bytes": len(MORE["agents/team/scout.md"].encode())}]
    assert (found["policy"]["name"], found["policy"]["what no rule names"]) == ("careful", "asks")
    assert found["policy"]["who answers"] == "ana"
    floor = found["policy"]["rules"][-1]
    assert (floor["policy"], floor["effect"], floor["file"], floor["line"]) == ("floor", "deny", "tools.yaml", 13)
    assert {route["way"]: route["answers"] for route in found["routes"]} == {
        "prefix /scout": "always",
        "token http (operator)": "by name",
    }
    main = {route["way"]: route["answers"] for route in shown(project, "main")["routes"]}
    assert main["room ops"] == "usually" and main["heartbeat morning"] == "usually"


def test_it_fits_into_eighty_columns(project: Path) -> None:
    done = show(project, "scout")
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= 80
    lines = done.stdout.splitlines()
    assert next(line for line in lines if line.startswith("limits.iterations")).split() == [
        "limits.iterations", "7", "agents/team/_defaults.yaml:2"
    ]  # fmt: skip
    for title in ("soul", "tools, under policy careful", "policy careful", "routes"):
        assert title in lines


def test_an_agent_that_is_not_there_is_wrong_usage(project: Path) -> None:
    done = show(project, "nobody")
    assert done.returncode == 2 and "there is no agent `nobody`; there are: main, ops, scout" in done.stderr


def test_a_broken_project_ends_with_three(project: Path) -> None:
    (project / "agents" / "ops.yaml").write_text("name: [\n")
    assert show(project, "main").returncode == 3
