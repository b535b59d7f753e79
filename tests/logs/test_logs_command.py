"""`openclaw logs`: what it shows of the files, which it leaves out, and how it goes on and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from openclaw import logbook
from openclaw.cli import main

Done = tuple[int, list[str], str]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The clock of whoever looks shows UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield tmp_path
    time.tzset()


def entry(minute: int, text: str, **more: Any) -> bytes:
    at = f"2026-11-23T09:{minute:02}:00.000Z"
    return json.dumps({"at": at, "level": "info", "logger": "openclaw", "text": text, **more}).encode() + b"\n"


def put(state: Path, *lines: bytes, name: str = logbook.NAME) -> None:
    (state / "logs").mkdir(exist_ok=True)
    with (state / "logs" / name).open("ab") as file:
        file.writelines(lines)


def logs(state: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Done:
    code = main(["--state", str(state), "logs", *options])
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err


def texts(found: Done) -> list[str]:
    assert found[0] == 0, found
    return [line.partition("  ")[2].strip().rpartition("  ")[2] for line in found[1]]


def test_lines_of_all_files_are_shown_in_their_order(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(state, entry(3, "third"))
    put(state, entry(1, "first"), name=logbook.part(9))
    put(state, entry(2, "second", session="agent:main:x:1"), name=logbook.part(10))
    put(state, b"something else\n", name="openclaw-old.jsonl")
    assert logs(state, capsys) == (
        0,
        [
            "2026-11-23 09:01:00.000 info     -  first",
            "2026-11-23 09:02:00.000 info     agent:main:x:1  second",
            "2026-11-23 09:03:00.000 info     -  third",
        ],
        "",
    )


def test_what_is_asked_for_is_shown_and_nothing_else(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(
        state,
        entry(1, "one", agent="main", session="s1", channel="http"),
        entry(2, "two", agent="main", session="s2", channel="telegram", level="warning"),
        entry(3, "three", agent="ops", session="s3", channel="http", level="error", error="Traceback\n  in Straße"),
        entry(4, "four"),
    )
    assert texts(logs(state, capsys, "--agent", "main")) == ["one", "two"]
    assert texts(logs(state, capsys, "--session", "s2")) == ["two"]
    assert texts(logs(state, capsys, "--channel", "http", "--agent", "main")) == ["one"]
    assert [json.loads(line)["text"] for line in logs(state, capsys, "--level", "warning", "--json")[1]] == [
        "two",
        "three",
    ]
    assert texts(logs(state, capsys, "--since", "2026-11-23T09:02", "--until", "2026-11-23T10:02+01:00")) == ["two"]
    assert texts(logs(state, capsys, "-n", "1")) == ["four"] and texts(logs(state, capsys, "-n", "0")) == []
    assert texts(logs(state, capsys, "--grep", "FOUR")) == ["four"]
    assert [line.strip() for line in logs(state, capsys, "--grep", "strasse")[1][1:]] == ["Traceback", "in Straße"]
    for ago in ("10m", "90 min", "1H", "1h 30m", "1 hour and 30 minutes"):
        assert texts(logs(state, capsys, "--since", ago)) == []


def test_the_last_hundred_are_shown_unless_a_time_is_asked_for(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(state, *(entry(1, f"n{number}") for number in range(150)))
    assert len(logs(state, capsys)[1]) == 100
    assert len(logs(state, capsys, "--since", "2026-11-23T09:01:00+00:00")[1]) == 150
    assert len(logs(state, capsys, "--since", "2026-11-23T09:01:00+00:00", "-n", "7")[1]) == 7


def test_with_json_each_line_is_as_it_stands_in_the_file(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = entry(1, "héllo", tool="add")
    put(state, line)
    assert logs(state, capsys, "--json") == (0, [line.decode().rstrip()], "")


def test_control_characters_are_shown_and_not_obeyed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(state, entry(1, "a\x1b[31mred\r\nsecond \x07", session="s\x1b[2J", error="x\x9b1m"))
    shown = "\n".join(logs(state, capsys)[1])
    assert "\x1b" not in shown and "\x07" not in shown and "\x9b" not in shown and "%1B[31mred" in shown


def test_damaged_lines_are_counted_and_passed_over(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(state, b"{\n", entry(1, "whole"), b"\xff\xfe\n", b'{"at": 7, "level": "info", "text": "x"}\n', b'{"at": "20')
    code, shown, told = logs(state, capsys)
    assert (code, len(shown), told) == (0, 1, "openclaw: 4 damaged lines passed over\n")


def test_where_there_is_nothing_that_is_said(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, told = logs(state, capsys)
    assert (code, shown) == (0, []) and "nothing is logged in" in told and "from its start on" in told
    assert not (state / "logs").exists()
    put(state, entry(1, "x"))
    assert logs(state, capsys, "--agent", "nobody") == (0, [], "openclaw: no line of the log is of that kind\n")


@pytest.mark.parametrize(
    "options",
    [["--since", "soon"], ["-n", "-1"], ["--level", "loud"], ["--until", "10"], ["--since", "0001-01-01T00:00+14:00"]],
)
def test_what_makes_no_sense_is_refused(state: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert logs(state, capsys, *options)[0] == 2


# ── on and on ────────────────────────────────────────────────────────────────────────────────────


def following(state: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "openclaw", "--state", str(state), "logs", "--follow", *options]
    return warm.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TZ": "UTC", "PYTHONUNBUFFERED": "1"},
    )


def test_following_goes_on_over_full_files_and_ends_quietly_with_ctrl_c(state: Path) -> None:
    with following(state, "--json") as process:
        assert process.stdout and process.stderr
        put(state, entry(1, "first"))
        assert json.loads(process.stdout.readline())["text"] == "first"
        put(state, entry(2, "sec")[:20])
        put(state, entry(2, "sec")[20:])
        assert json.loads(process.stdout.readline())["text"] == "sec"
        put(state, entry(3, "last of it"))
        (state / "logs" / logbook.NAME).rename(state / "logs" / logbook.part(1))
        put(state, entry(4, "of the next"))
        assert [json.loads(process.stdout.readline())["text"] for _ in range(2)] == ["last of it", "of the next"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert (process.stdout.read(), "Traceback" in process.stderr.read()) == ("", False)


def test_following_ends_quietly_when_nobody_reads_any_more_though_nothing_comes(state: Path) -> None:
    put(state, entry(1, "first"))
    with following(state) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().endswith("first\n")
        process.stdout.close()
        assert (process.wait(30), process.stderr.read()) == (0, "")
