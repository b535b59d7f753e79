"""Every project that `openclaw init --from` writes is sound, keeps what it promises, and answers without a key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from openclaw import bundle

EXAMPLES = sorted(bundle.examples())
ASKED = {"assistant": "run ls", "team": "/release run ls", "watcher": "run df -h"}


def openclaw(project: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}
    command = [
        sys.executable,
        "-m",
        "openclaw",
        "-C",
        str(project),
        "--state",
        str(project.parent / "state"),
        *arguments,
    ]
    environment = {**kept, "OPENCLAW_HTTP_PORT": "0"}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, input=said, env=environment)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_sound_and_keeps_its_promises(tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    assert openclaw(tmp_path, "init", "--from", name, str(project)).returncode == 0
    checked = openclaw(project, "validate", "--strict", "--no-env")
    assert (checked.returncode, checked.stdout) == (0, "")
    tested = openclaw(project, "test")
    assert tested.returncode == 0, tested.stdout
    assert "0 passed" not in tested.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_answers_without_a_key(tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    openclaw(tmp_path, "init", "--from", name, str(project))
    answered = openclaw(project, "run", "--demo-if-no-key", said=f"{ASKED[name]}\n")
    assert answered.returncode == 0, answered.stderr
    assert "```" in answered.stdout


def test_every_rule_of_an_example_decides_in_a_scenario(tmp_path: Path) -> None:
    for name in EXAMPLES:
        project = tmp_path / name
        openclaw(tmp_path, "init", "--from", name, str(project))
        covered = openclaw(project, "test").stdout.splitlines()[-1].split(", ")[-1]
        done, of, all_, rules = covered.split()
        assert (done, of, rules) == (all_, "of", "rules"), f"{name}: {covered}"


def test_the_workflow_that_is_written_checks_and_tests(tmp_path: Path) -> None:
    openclaw(tmp_path, "init")
    workflow = yaml.safe_load((tmp_path / ".github/workflows/agents.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["agents"]["steps"] if "run" in step]
    for command in commands:
        if command.startswith("openclaw "):
            done = openclaw(tmp_path, *command.split()[1:])
            assert done.returncode == 0, f"{command}: {done.stdout}"
    assert any("validate" in command for command in commands) and any(
        command == "openclaw test" for command in commands
    )


def test_an_example_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    done = openclaw(tmp_path, "init", "--from", "nothing")
    assert done.returncode == 2 and "team" in done.stderr
