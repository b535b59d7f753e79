"""Every project that `openclaw init --from` writes is sound, keeps what it promises, and answers without a key."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from doubles import warm
from openclaw import bundle

EXAMPLES = sorted(bundle.examples())
KEPT = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}
ENVIRONMENT = {**KEPT, "OPENCLAW_HTTP_PORT": "0", "TERM": "dumb"}
ANSWER = "Allow this?"

# What a newcomer writes, and what comes of it; `$` is a command in another window.
TALKS = {
    "assistant": [
        ("hello", "remember that my cat is Zorblax"),
        ("run ls", "it is empty so far"),
        ("write hello to notes/hello.txt", "Wrote `notes/hello.txt`"),
        ("list files in notes", "hello.txt"),
        ("write hello to other.txt", ANSWER),
        ("y", "Wrote `other.txt`"),
        ("/research cats", "Nothing that is remembered"),
        ("how big is notes?", "notes"),
        ("$ heartbeats run morning", "that I would look through"),
    ],
    "team": [
        ("hello", "remember that my cat is Zorblax"),
        ("run ls", "no tool `run_command` here"),
        ("write x to plan.md", ANSWER),
        ("n", "I did not write it"),
        ("/release hello", "/release what is new? · /release v1.4.0"),
        ("/release what is new?", "Add the export"),
        ("/release v1.4.0", ANSWER),
        ("y", "v1.4.0 is released"),
        ("$ heartbeats run standup", "There are no notes yet"),
    ],
    "watcher": [
        ("hello", "how full is the disk?"),
        ("how full is the disk?", "Filesystem"),
        ("how busy is the machine?", "load average"),
        ("what is largest?", "```"),
        ("errors in app.log", "Error: 1"),
        ("errors in fine.log", "speaks of no error"),
        ("errors in nosuch.log", "[sed: exit code 2]"),
        ("run touch x", ANSWER),
        ("y", "(no output)"),
        ("$ heartbeats run morning", "load average"),
        ("$ heartbeats run disk", "enough_space is well"),
    ],
}


def arguments(project: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(project.parent / "state"), *more]


def openclaw(project: Path, *more: str) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = warm.run(
        arguments(project, *more), text=True, timeout=120, input="", env=ENVIRONMENT
    )
    return done


class Window:
    """A terminal that cannot move its cursor, and who sits at it."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._seen = ""

    def say(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def until(self, text: str) -> str:
        """What was shown up to there; what came with it is for the next look."""
        deadline = time.monotonic() + 60
        while text not in self._seen:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self._seen}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._seen += os.read(self._master, 65536).decode("utf-8", "replace")
        before, found, self._seen = self._seen.partition(text)
        return before + found


@contextmanager
def started(project: Path) -> Iterator[Window]:
    master, slave = pty.openpty()
    child = warm.Popen(
        arguments(project, "run", "--demo"),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=ENVIRONMENT,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Window(master)
    finally:
        child.terminate()
        child.wait(60)
        os.close(master)


def furnished(workspace: Path) -> None:
    """A repository with a commit, and two logs."""
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)
    git = ["git", "-C", str(workspace), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Add the export"], check=True)
    (workspace / "app.log").write_text("fine\nError: 1\n")
    (workspace / "fine.log").write_text("fine\n")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_sound_and_keeps_its_promises(tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    assert openclaw(tmp_path, "init", "--from", name, str(project)).returncode == 0
    checked = openclaw(project, "validate", "--strict", "--no-env")
    assert (checked.returncode, checked.stdout) == (0, "")
    tested = openclaw(project, "test")
    assert tested.returncode == 0, tested.stdout
    assert "0 passed" not in tested.stdout


@pytest.mark.parametrize(
    "name", [pytest.param("assistant", marks=pytest.mark.slow), "team", pytest.param("watcher", marks=pytest.mark.slow)]
)
def test_a_newcomer_talks_with_an_example_and_is_asked(tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    openclaw(tmp_path, "init", "--from", name, str(project))
    if name != "assistant":
        furnished(tmp_path / "state/workspace")
    with started(project) as window:
        window.until("/quit leaves")
        for said, expected in TALKS[name]:
            if said.startswith("$ "):
                done = openclaw(project, *said.split()[1:])
                assert expected in done.stdout + done.stderr
                continue
            window.say(said)
            seen = window.until(said) + window.until(expected)
            assert "only follow a few plain requests" not in seen
    if name == "team":
        tags = subprocess.run(["git", "-C", tmp_path / "state/workspace", "tag"], capture_output=True, check=True)
        assert tags.stdout == b"v1.4.0\n"
    kept = openclaw(project, "inbox", "list").stdout
    assert "undelivered" not in kept, kept


def test_what_the_demo_says_to_somebody_elsewhere_never_goes_out(tmp_path: Path) -> None:
    project = tmp_path / "project"
    openclaw(tmp_path, "init", "--from", "watcher", str(project))
    channels = project / "channels.yaml"
    channels.write_text(channels.read_text("utf-8").replace('"repl:local"', '"telegram:12345"'))
    done = openclaw(project, "heartbeats", "run", "morning", "--demo")
    assert "load average" in done.stdout, done.stderr
    assert "telegram" not in openclaw(project, "inbox", "list").stdout
    assert "load average" in openclaw(project, "heartbeats", "history", "--json").stdout


def test_nobody_has_a_number_that_an_example_ships(tmp_path: Path) -> None:
    for name in EXAMPLES:
        openclaw(tmp_path, "init", "--from", name, str(tmp_path / name))
        channels = yaml.safe_load((tmp_path / name / "channels.yaml").read_text("utf-8"))
        people = [id for person in channels.get("people", {}).values() for id in person["ids"]]
        for id in (*people, *(room["id"] for room in channels.get("rooms", {}).values())):
            # The first 22 bits count within a millisecond: of all that Discord ever numbered, nothing is as old.
            assert id == "repl:local" or (id.startswith("discord:") and int(id.split(":")[1]) < 1 << 22), id


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
