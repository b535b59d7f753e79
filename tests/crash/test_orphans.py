"""A command outlives the runtime that was killed while it ran; the next one ends it before it serves, and says so."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from crash.harness import Life, Site, made, until
from openclaw.errors import StateError
from openclaw.messages import Call
from openclaw.tools import _orphans
from openclaw.tools._orphans import MARK, Record, end_left

TOOLS = """\
tools:
  hang:
    description: Runs a script that does not end
    shell: sh {script}
    input: {script: {type: string, description: The script}}
policies:
  works: {sandbox: %s, default: deny, rules: [{allow: hang}]}
"""
SCRIPT = """\
rules:
  - {say: '^hang (?P<n>\\S+)$', calls: [{hang: {script: "{n}"}}], reply: "{result}", failed: "failed {result}"}
otherwise: what?
"""
# What each leaves running, besides itself: a child; one in a session of its own, with and without its environment;
# one that does not end when it is asked to.
HANGS = {
    "plain": "sleep 300 & echo $! >> pids; echo $$ >> pids; wait",
    "away": "setsid sh -c 'echo $$ >> pids; exec sleep 300' < /dev/null > /dev/null 2>&1 & wait",
    "bare": "env -i setsid sh -c 'echo $$ >> pids; exec sleep 300' & wait",
    "deaf": "trap '' TERM; echo $$ >> pids; while :; do sleep 1; done",
}


def slow(value: str) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def marked(mark: str) -> list[int]:
    """Programs that carry the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def site(root: Path, script: str, sandbox: str) -> Site:
    agent = "name: D\ndescription: Hangs\nmodel: scripted\ntools: [hang]\npolicy: works\nworkspace: "
    files = {"agents/main.yaml": f"{agent}{root / 'work'}\n", "tools.yaml": TOOLS % sandbox, "script.yaml": SCRIPT}
    (root / "work").mkdir()
    (root / "work" / "hang").write_text(script)
    return made(root, files=files)


def killed(site: Site, noted: Callable[[str], Any]) -> tuple[str, str]:
    """Kills a runtime once its command has `noted` that it runs; the message's id and the command's mark."""
    with Life(site) as life:
        life.ready()
        id = life.post("hang hang", "agent:main:repl:local", "1")
        (record,) = until(lambda: [*(site.state / "running").glob("*")], "the record")
        until(lambda: noted(record.name), "the command")
        until(lambda: record.read_text().count("\n") > 1, "its number in the record")
        life.kill()
    return id, record.name


@pytest.mark.parametrize("hang", ["plain", "away", *map(slow, ("bare", "deaf"))])
def test_what_a_killed_runtime_was_running_is_ended_by_the_next_one(tmp_path: Path, hang: str) -> None:
    here, noted = site(tmp_path, HANGS[hang], "off"), tmp_path / "work" / "pids"
    id, mark = killed(here, lambda mark: noted.exists() and noted.read_text().endswith("\n"))
    pids = {int(line) for line in noted.read_text().split()}
    assert pids and all(map(alive, pids))
    with Life(here) as life:
        life.ready()
        assert not any(map(alive, pids)) and not marked(mark)
        reply = until(lambda: life.settled(id), "the reply")["reply"]
        assert "unknown: the runtime stopped while this ran" in reply
        assert "It was still running (" in reply and "was ended then" in reply
        assert "was left running when the runtime was killed" in (here.root / "stderr").read_text()
        assert [*(here.state / "running").iterdir()] == []
        assert life.stop() == 0


@pytest.mark.slow
def test_nothing_that_a_sandbox_held_is_left_either(tmp_path: Path) -> None:
    here = site(tmp_path, HANGS["deaf"], "auto")
    id, mark = killed(here, marked)
    with Life(here) as life:
        life.ready()
        assert not marked(mark)
        assert "unknown: the runtime stopped while this ran" in until(lambda: life.settled(id), "the reply")["reply"]


# ── without a runtime ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path, Call("main", "agent:main:s", "repl:local", tmp_path, "call-1"))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "300"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_number_that_is_another_programs_by_now_is_left_alone(
    tmp_path: Path, record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    record.begin()
    file = tmp_path / "running" / record.mark
    started = _orphans._started(sleeper.pid)
    with file.open("a") as lines:
        lines.write(f"[{sleeper.pid}, {started - 1}]\n")
    (left,) = end_left(tmp_path)
    assert (left.ended, sleeper.poll()) == (0, None)
    assert left.words == "Nothing of it was running any more when the runtime started again."


def test_a_record_of_another_boot_says_nothing_of_what_runs_now(
    tmp_path: Path, record: Record, sleeper: subprocess.Popen[bytes]
) -> None:
    record.begin()
    record.started(sleeper.pid)
    file = tmp_path / "running" / record.mark
    file.write_text(file.read_text().replace(_orphans._boot(), "another"))
    assert end_left(tmp_path) == []
    assert sleeper.poll() is None
    assert not file.exists()


def test_records_that_cannot_be_read_keep_the_runtime_from_starting(tmp_path: Path) -> None:
    (tmp_path / "running").touch()
    with pytest.raises(StateError, match=r"cannot be known: .*running: not a directory; mend it"):
        end_left(tmp_path)


def test_a_record_that_was_cut_off_is_still_a_mark(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mark = "0123456789abcdef" * 2
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / mark).write_text('{"session": "agent:')
    (tmp_path / "running" / "notes.txt").write_text("of a person's\n")
    with subprocess.Popen(["/bin/sleep", "300"], env={MARK: mark}) as process:
        with caplog.at_level(logging.WARNING):
            (left,) = end_left(tmp_path)
        assert (left.ended, process.wait(10)) == (1, -signal.SIGTERM)
    assert "1 of its programs" in caplog.text
    assert [path.name for path in (tmp_path / "running").iterdir()] == ["notes.txt"]


def test_a_command_that_was_to_start_the_runtime_again_is_not_ended_by_it(tmp_path: Path, record: Record) -> None:
    record.begin()
    inner = f"from pathlib import Path; from openclaw.tools._orphans import end_left; end_left(Path({str(tmp_path)!r}))"
    script = "\"$@\"; echo done; read line"
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", sys.executable, "-c", inner],
        env={**os.environ, **record.environment}, input=b"x\n", capture_output=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == (b"done\n", 0)


def test_a_command_that_ended_leaves_no_record_and_what_it_detached_lives(tmp_path: Path, record: Record) -> None:
    record.begin()
    with subprocess.Popen(["/bin/sleep", "300"], env=record.environment, start_new_session=True) as process:
        record.started(process.pid)
        lines = (tmp_path / "running" / record.mark).read_text().splitlines()
        assert json.loads(lines[1]) == [process.pid, _orphans._started(process.pid)]
        record.end()
        assert end_left(tmp_path) == []
        assert process.poll() is None
        process.kill()
