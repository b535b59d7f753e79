"""A one-shot question asked at a terminal: what a model writes commands nothing there, and Ctrl-C always ends it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from doubles import warm

ROOT = Path(__file__).resolve().parents[2]
FILES = ("tools.yaml", "channels.yaml", "desk_tools.py")
SCRIPT = r"""
rules:
  - {say: paint, reply: "before\e]0;title\a\e[2Jafter"}
  - {say: touch, calls: [{run_command: {command: touch x}}]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "agents", folder / "agents")
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    (folder / "models.yaml").write_text("models: {smart: {kind: scripted, script: script.yaml}}\n")
    (folder / "script.yaml").write_text(SCRIPT)
    return folder


@contextmanager
def asked(project: Path, text: str, term: str = "xterm") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command with a terminal of its own, and the other end of that terminal."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(project.parent / "state"), "chat"]
    child: subprocess.Popen[bytes] = warm.Popen(
        [*command, *([text] if text else [])],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": term},
    )
    os.close(slave)
    try:
        yield child, master
    finally:
        child.kill()
        child.wait()
        os.close(master)


def until(master: int, text: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 30
    while text not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65536)
    return seen


def eventually(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def running(project: Path) -> Iterator[None]:
    """A runtime that serves the control socket, and no terminal."""
    state = project.parent / "state"
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(state), "run"]
    nothing = subprocess.DEVNULL
    with warm.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing) as child:
        try:
            eventually(lambda: b'"running": true' in piped(project, "status", "--json").stdout)
            yield
        finally:
            child.terminate()


def piped(project: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(project.parent / "state")]
    return warm.run([*command, *arguments], stdin=subprocess.DEVNULL, timeout=30)


def test_an_answer_does_not_command_the_terminal(project: Path) -> None:
    with asked(project, "paint") as (_, master):
        assert b"\x1b" not in until(master, b"after")


def test_nor_does_it_on_a_plain_terminal(project: Path) -> None:
    with asked(project, "", term="dumb") as (_, master):
        until(master, b"plain terminal")
        os.write(master, b"paint\n")
        assert b"\x1b" not in until(master, b"after")


def test_control_c_at_the_question_for_approval_ends_the_command(project: Path) -> None:
    with asked(project, "touch") as (child, master):
        until(master, b"y or n")
        os.write(master, b"\x03")
        assert 130 == child.wait(timeout=15)
    assert not (project.parent / "state" / "workspace" / "x").exists()


def test_a_yes_at_the_question_runs_the_call(project: Path) -> None:
    with asked(project, "touch") as (child, master):
        until(master, b"y or n")
        os.write(master, b"y\n")
        assert 0 == child.wait(timeout=15)
    assert (project.parent / "state" / "workspace" / "x").exists()


def test_that_nobody_could_be_asked_is_not_held_against_the_person(project: Path) -> None:
    with running(project):
        unasked = piped(project, "chat", "touch").stderr
        assert b"failed: refused: " in unasked and b"nobody who may agree is reachable" in unasked
        with asked(project, "touch") as (child, master):
            until(master, b"y or n")
            os.write(master, b"y\n")
            assert 0 == child.wait(timeout=15)
    assert (project.parent / "state" / "workspace" / "x").exists()


def test_a_persons_no_is(project: Path) -> None:
    with running(project):
        with asked(project, "touch") as (child, master):
            until(master, b"y or n")
            os.write(master, b"n\n")
            child.wait(timeout=15)
        with asked(project, "touch") as (child, master):
            assert b"y or n" not in until(master, b"the person said no")


def test_a_plain_terminal_is_asked_by_a_line(project: Path) -> None:
    touched = project.parent / "state" / "workspace" / "x"
    with asked(project, "", term="dumb") as (_, master):
        until(master, b"plain terminal")
        os.write(master, b"touch\n")
        until(master, b"[y] once")
        os.write(master, b"what?\n")
        assert b"\x1b" not in until(master, b"[y] once")
        assert not touched.exists()
        os.write(master, b"y\n")
        until(master, b"ok, ")
        assert touched.exists()
        os.write(master, b"paint\n")
        until(master, b"after")


def test_what_was_typed_before_a_question_is_a_message_and_no_answer(project: Path) -> None:
    with asked(project, "", term="dumb") as (_, master):
        until(master, b"plain terminal")
        os.write(master, b"touch\ny\npaint\n")
        until(master, b"[y] once")
        os.write(master, b"n\n")
        assert b"the person said no" in until(master, b"after")
    assert not (project.parent / "state" / "workspace" / "x").exists()


def test_the_end_of_the_input_at_a_question_is_a_no(project: Path) -> None:
    with asked(project, "", term="dumb") as (child, master):
        until(master, b"plain terminal")
        os.write(master, b"touch\n")
        until(master, b"[y] once")
        os.write(master, b"\x04")
        until(master, b"the person said no")
        assert 0 == child.wait(timeout=15)


def test_a_no_by_a_line_denies_and_the_next_line_is_a_message(project: Path) -> None:
    with asked(project, "", term="dumb") as (_, master):
        until(master, b"plain terminal")
        os.write(master, b"touch\n")
        until(master, b"[y] once")
        os.write(master, b"n\npaint\n")
        assert b"the person said no" in until(master, b"after")
    assert not (project.parent / "state" / "workspace" / "x").exists()
