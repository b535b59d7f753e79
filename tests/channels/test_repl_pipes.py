"""The REPL without a terminal: lines in, answers out, everything else on stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from doubles import warm

TESTS = Path(__file__).parents[1]


def talk(text: bytes, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return warm.run(
        [sys.executable, "-m", "doubles.desk", *arguments],
        input=text,
        cwd=TESTS,
        env={**os.environ, **environment},
        timeout=30,
        check=True,
    )


def test_each_line_is_a_message_and_only_answers_are_on_stdout() -> None:
    done = talk("hällo\n\ntool ls\n/help\nlate x\nlast without newline".encode())
    assert done.stdout.decode() == (
        "You said: hällo\nDone.\nType anything.\nThis desk echoes it.\nx\nYou said: last without newline\n"
    )
    assert "run_command  ls: ok, 0.0 s" in done.stderr.decode()


def test_a_message_in_a_pipe_says_that_nobody_can_be_asked() -> None:
    assert talk(b"ask rm -rf x\n").stdout == b"Nobody who may agree is reachable.\n"


def test_a_failed_call_says_why() -> None:
    assert b"run_command  ls: failed, 0.0 s: no such file\n" in talk(b"break ls\n").stderr


def test_failures_and_refusals_are_no_answers() -> None:
    done = talk(b"fail\nrefuse\n")
    assert done.stdout == b""
    assert b"the model did not answer\nopenclaw: this desk does not know you\n" in done.stderr


def test_quit_ends_before_the_input_does() -> None:
    assert talk(b"one\n/quit\ntwo\n").stdout == b"You said: one\n"


def test_a_megabyte_is_one_message() -> None:
    assert talk(b"x" * 1_000_000 + b"\n").stdout == b"1000000\n"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert talk(b"a\xffb\n").stdout.decode() == "You said: a\ufffdb\n"


def test_an_unasked_reply_is_printed_with_its_origin() -> None:
    done = talk(b"", "unasked")
    assert done.stdout == b"Good morning!\n"
    assert b"openclaw: heartbeat morning:\n" in done.stderr


def test_a_reader_that_leaves_ends_the_conversation() -> None:
    read, write = os.pipe()
    os.close(read)
    with warm.Popen(
        [sys.executable, "-m", "doubles.desk"],
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=TESTS,
    ) as process:
        os.close(write)
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert b"left ['one']" in process.stderr.read()


def test_a_dumb_terminal_and_regular_files_are_plain_lines_too(tmp_path: Path) -> None:
    file = tmp_path / "questions"
    file.write_text("from a file\n")
    with file.open() as questions:
        done = warm.run(
            [sys.executable, "-m", "doubles.desk"],
            stdin=questions,
            cwd=TESTS,
            env={**os.environ, "TERM": "dumb"},
            timeout=30,
            check=True,
        )
    assert done.stdout == b"You said: from a file\n"
