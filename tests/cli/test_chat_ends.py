"""A one-shot question ends: with its answer, with a refusal, with its reader, and with the signal that ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doubles import warm
from openclaw.cli.chat import Question
from openclaw.messages import Retrying, Waiting

ROOT = Path(__file__).resolve().parents[2]


def chat(state: Path, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return warm.Popen(
        [sys.executable, "-m", "openclaw", "-C", str(ROOT), "--state", str(state), "chat", "--demo", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_refused_question_ends_with_the_reason(tmp_path: Path) -> None:
    _, errors = (asked := chat(tmp_path, "--agent", "nobody", "hello")).communicate(timeout=30)
    assert (2, True) == (asked.returncode, errors.startswith("openclaw: there is no agent `nobody`")), errors


def test_a_question_whose_reader_left_ends_without_a_fuss(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    asked = chat(tmp_path, "run ls", stdout=writer)
    os.close(writer)
    _, errors = asked.communicate(timeout=30)
    assert (1, "· run_command  ls\n") == (asked.returncode, errors)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_ends_a_question_together_with_its_tools(tmp_path: Path, number: signal.Signals) -> None:
    fifo = tmp_path / "workspace" / "fifo"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    asked = chat(tmp_path, "run cat fifo")
    assert asked.stderr is not None and "run_command" in asked.stderr.readline()
    writer = _reader_came(fifo)
    asked.send_signal(number)
    asked.communicate(timeout=30)
    assert 130 == asked.returncode
    with pytest.raises(BrokenPipeError):  # soon: what a sandbox held dies with it, and nobody waits for that
        for _ in range(3000):
            os.write(writer, b"?")
            time.sleep(0.01)
    os.close(writer)


def _reader_came(fifo: Path) -> int:
    """The fifo's other end, once somebody reads it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.01)
    raise AssertionError("nobody opened the fifo")


def test_whoever_asks_is_told_what_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        question = Question("hello", None, None, as_json)
        question.happened(Waiting(10.0, "smart"))
        question.happened(Retrying("it is overloaded", 4.0))
    told = capsys.readouterr()
    assert told.err == "· smart has said nothing for 10 s; still waiting\n· it is overloaded; trying again in 4 s\n"
    assert [json.loads(line)["event"] for line in told.out.splitlines()] == ["waiting", "text"]
