"""`openclaw status`: how the runtime here is at a glance, as JSON, and again and again; and that none runs."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import openclaw
from doubles.house import TOOLS, lived, project
from openclaw import cli
from openclaw.cli import status
from openclaw.cli._columns import room
from openclaw.cli._status_parts import Part, ago, moment, parts, span
from openclaw.clock import ManualClock
from openclaw.lasterror import LONGEST, LastError
from openclaw.secrecy import SECRETS
from openclaw.words import time_json

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


def at(**ago: float) -> str:
    return time_json(NOW - timedelta(**ago))


WELL: Mapping[str, Any] = {
    "running": True,
    "version": openclaw.__version__,
    "pid": 7,
    "ready": True,
    "uptime_seconds": 12_000.0,
    "project": "/srv/home",
    "snapshot": {"digest": "0123456789ab", "generation": 3},
    "models": {"main": "claude-sonnet-5-5"},
    "channels": {
        "http": {"condition": "serving", "restarts": 0, "address": "http://127.0.0.1:5000"},
        "telegram": {"condition": "receiving", "restarts": 0, "seconds_ago": 3.2, "received": 9, "reconnects": 0},
    },
    "inbox": {"queued": 0, "running": 0, "parked": 0, "undelivered": 0, "dead": 0},
    "disk": {"full": False},
    "differs": "",
    "last_success": at(minutes=5),
    "reloads": {"applied": 1},
    "last_reload": None,
}


def told(**more: Any) -> dict[str, Part]:
    return {part.label: part for part in parts({**WELL, **more}, NOW)}


def lines(part: Part) -> list[tuple[str, str]]:
    return [(" | ".join(line.cells), line.mood) for line in part.lines]


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


def test_of_a_runtime_that_is_well_nothing_wants_a_look() -> None:
    found = told()
    assert list(found) == ["runtime", "project", "edits", "agents", "channels", "queue", "disk"]
    assert {line.mood for part in found.values() for line in part.lines} == {"", "well"}
    assert lines(found["runtime"]) == [
        (f"openclaw {openclaw.__version__}, process 7, up 3 h 20 min, since 08:40:00", "well")
    ]
    assert lines(found["channels"]) == [
        ("http | serving | http://127.0.0.1:5000", "well"),
        ("telegram | receiving | last received 3 s ago", "well"),
    ]
    assert lines(found["queue"]) == [("0 queued; 0 being answered", "")]
    assert lines(found["edits"]) == [("what is on disk is what runs, as of 11:55:00", "well")]


@pytest.mark.parametrize(
    ("part", "more", "line"),
    [
        ("runtime", {"ready": False}, ("it is starting or stopping: messages wait", "look")),
        ("project", {"demo": True}, ("the built-in demo model answers, and no other", "look")),
        ("project", {"other_project": "/b"}, ("not /b, which is the project here", "look")),
        ("edits", {"differs": "reload 2 refused"}, ("reload 2 refused", "amiss")),
        (
            "edits",
            {"last_reload": {"words": "reload 2 applied", "at": at(seconds=9), "outcome": "applied"}},
            ("reload 2 applied (9 s ago)", ""),
        ),
        ("edits", {"reloads": {"applied": 1200, "refused": 2, "failed": 0}}, ("in all: 1,200 applied, 2 refused", "")),
        ("channels", {"channels": {}}, ("none: nobody can write to it", "look")),
        (
            "channels",
            {
                "channels": {"discord": {"condition": "failed", "why": "the token is refused", "restarts": 1}},
            },
            ("discord | failed | the token is refused; started anew once", "amiss"),
        ),
        (
            "channels",
            {
                "channels": {
                    "telegram": {"condition": "silent", "restarts": 0, "seconds_ago": 700, "trouble": "no route"}
                },
            },
            ("telegram | silent | last received 11 min ago; no route", "amiss"),
        ),
        (
            "queue",
            {
                "inbox": {"queued": 2, "running": 1, "parked": 0, "undelivered": 0, "dead": 0},
                "oldest_queued": at(seconds=12),
            },
            ("2 queued, the oldest for 12 s; 1 being answered", ""),
        ),
        (
            "queue",
            {"inbox": {"queued": 0, "running": 0, "parked": 1, "undelivered": 2, "dead": 3}},
            ("1 put aside after crashes, 2 replies undelivered, 3 replies given up: openclaw inbox list", "look"),
        ),
        (
            "answering",
            {"turns": [{"session": "s", "agent": "main", "sender": "telegram:4", "since": at(minutes=3)}]},
            ("s | for 3 min | main answers telegram:4", ""),
        ),
        (
            "approvals",
            {
                "questions": [
                    {"id": "a1", "tool": "run", "agent": "main", "sender": "http:x", "expires": at(minutes=-9)}
                ]
            },
            ("a1 | run | main for http:x, 9 min left", "look"),
        ),
        (
            "next",
            {"coming": [{"heartbeat": "news", "at": at(hours=-20)}]},
            ("news | Tue 2026-05-05 08:00:00 | in 20 h 0 min", ""),
        ),
        (
            "next",
            {"stopped": [{"heartbeat": "news", "why": "it failed"}]},
            ("news is stopped: it failed; openclaw heartbeats resume news", "amiss"),
        ),
        (
            "disk",
            {"disk": {"full": True, "since": at(minutes=1)}},
            ("full since 11:59:00; nothing new is taken in: make room", "amiss"),
        ),
        ("last error", {"last_error": {"at": at(hours=5), "words": "it broke"}}, ("it broke (5 h 0 min ago)", "look")),
    ],
)
def test_what_is_otherwise_is_told_in_its_part(part: str, more: dict[str, Any], line: tuple[str, str]) -> None:
    assert line in lines(told(**more)[part])


def test_of_many_sessions_some_are_told_and_the_rest_are_counted() -> None:
    turns = [{"session": f"s{n}", "agent": "main", "sender": "http:x", "since": at(seconds=n)} for n in range(20)]
    found = lines(told(turns=turns)["answering"])
    assert len(found) == 9 and found[-1][0] == "and 12 more: openclaw inbox list"


def test_what_an_older_runtime_does_not_tell_is_left_out() -> None:
    assert [part.label for part in parts({"running": True, "ready": True}, NOW)] == ["runtime"]


def test_times_are_told_as_people_say_them() -> None:
    assert [span(each) for each in (0.4, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s", "119 s", "2 min", "119 min", "2 h 0 min", "47 h 59 min", "2 days",
    ]  # fmt: skip
    assert (ago(at(seconds=-3), NOW), moment(at(days=1), NOW)) == ("0 s ago", "Sun 2026-05-03 12:00:00")


@pytest.mark.parametrize("columns", [80, 140])
def test_lines_fit_the_terminal_with_letters_of_every_width_and_nothing_is_obeyed(columns: int) -> None:
    models = {"日本語の助手": "claude-sonnet-5-5", "main": "a\x1b[2Jb", "long": "word " * 40}
    shown = list(status._shown(list(told(models=models, differs="x " * 100).values()), columns, False))
    assert max(map(room, shown)) <= columns and "\x1b" not in "".join(shown) and "a%1B[2Jb" in "".join(shown)
    first, second = (next(line for line in shown if word in line) for word in ("claude-sonnet-5-5", "a%1B"))
    assert room(first.partition("claude")[0]) == room(second.partition("a%1B")[0])


def test_an_agent_that_asked_nothing_yet_is_told_beside_one_that_cost_something() -> None:
    today = {"cost_usd": 0.5, "cost_complete": True, "limit_usd": None}
    agents = told(models={"main": "m", "idle": "other"}, spent_today={"main": today})["agents"]
    assert [*status._shown([agents], 80, False)] == ["agents  main  m      $0.5000 today", "        idle  other"]


def test_a_budget_that_cannot_be_kept_for_want_of_figures_wants_a_look() -> None:
    today = {"cost_usd": None, "cost_complete": False, "limit_usd": 5.0}
    assert lines(told(spent_today={"main": today})["agents"]) == [("main | claude-sonnet-5-5 | - of $5 today", "look")]


def test_color_is_for_terminals_and_marks_whole_lines() -> None:
    shown = "\n".join(status._shown(list(told(differs="reload 2 refused").values()), 80, True))
    assert "\x1b[31mreload 2 refused\x1b[0m" in shown and "\x1b[1medits\x1b[0m" in shown
    assert "\x1b" not in "\n".join(status._shown(list(told().values()), 80, False))


# ── of a runtime ─────────────────────────────────────────────────────────────────────────────────


def test_a_runtime_is_told_with_its_last_edit_and_its_last_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, state = project(tmp_path / "project", NOBODY), tmp_path / "state"
    beats = "heartbeats:\n  news: {agent: main, cron: '0 7 * * *', prompt: News?}\n"
    (root / "heartbeats.yaml").write_text(beats)

    def asked(*more: str) -> tuple[int, str]:
        code = cli.main(["-C", str(root), "--state", str(state), "status", *more])
        return code, capsys.readouterr().out

    async def scene() -> None:
        async with lived(root, state) as (app, _):
            async with asyncio.timeout(60):
                while (await asyncio.to_thread(asked))[0] != 0:
                    pass  # nothing listens for commands yet
            code, text = await asyncio.to_thread(asked)
            assert code == 0 and "what is on disk is what runs" in text and "\nlast error" not in text
            assert "\nnext      news  " in text and "has room: " in text and f"process {os.getpid()}" in text
            (root / "tools.yaml").write_text(TOOLS + "polices: {}\n")
            assert (await app.reload.attempt("request")).outcome == "refused"
            code, text = await asyncio.to_thread(asked)
            assert code == 0 and "are not what runs: reload" in text and "\nlast error  reload " in text
            found = json.loads((await asyncio.to_thread(asked, "--json"))[1])
            assert found["running"] is True and found["last_error"]["words"].startswith("reload ")
            assert [one["heartbeat"] for one in found["coming"]] == ["news"]
            other = project(tmp_path / "other", NOBODY)
            elsewhere = ["-C", str(other), "--state", str(state), "status"]
            assert await asyncio.to_thread(cli.main, elsewhere) == 0
            assert f"not {other}, which is" in unwrapped(capsys.readouterr().out)

    asyncio.run(scene())
    assert asked()[0] == 1


def test_the_last_error_is_one_line_without_secrets() -> None:
    erred, log = LastError(ManualClock(NOW)), logging.getLogger("openclaw.test")
    SECRETS.hold(erred, frozenset({"zorblax-4711"}))
    try:
        with erred.heard():
            log.warning("only a warning")
            assert erred.told() is None
            log.error("refused with zorblax-4711:\nand more\x1b[2J")
            found = erred.told()
            assert found is not None and found["at"] == time_json(NOW)
            assert "zorblax" not in found["words"] and found["words"].startswith("refused with ")
            assert "\n" not in found["words"] and not found["words"].endswith(":")
            log.error("x" * 999)
            long = erred.told()
            assert long is not None and len(long["words"]) == LONGEST
        log.error("nobody hears this")
        assert erred.told() == long
    finally:
        SECRETS.drop(erred)


# ── where none runs ──────────────────────────────────────────────────────────────────────────────


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def none(capsys: pytest.CaptureFixture[str], root: Path, state: Path) -> str:
    assert cli.main(["-C", str(root), "--state", str(state), "status"]) == 1
    return capsys.readouterr().out


def test_where_none_runs_it_says_how_to_have_one_and_what_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, state = tmp_path / "project", tmp_path / "state"
    found = none(capsys, root, state)
    assert f"openclaw init {root}" in unwrapped(found) and "the folder is made at the first start" in found
    assert not state.exists()
    project(root, NOBODY)
    (state / "sessions").mkdir(parents=True)
    (state / "sessions" / "one.jsonl").touch()
    found = none(capsys, root, state)
    assert f"openclaw -C {root} --state {state} run" in unwrapped(found) and "1 session and 0 memories" in found


def test_a_folder_that_is_held_though_nobody_answers_is_told_with_who_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock"
    lock.write_text("4711\n")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = none(capsys, tmp_path, tmp_path)
    assert f"none answers: process 4711 holds {tmp_path}, and starts, ends or hangs" in unwrapped(found)
    assert "\nstart " not in found


# ── again and again ──────────────────────────────────────────────────────────────────────────────


def test_watching_is_for_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in (["-w"], ["--watch", "--json"]):
        assert cli.main(["--state", str(tmp_path), "status", *more]) == 2
        assert "is for a terminal" in capsys.readouterr().err


def test_watching_shows_it_until_it_is_interrupted(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "openclaw", "--state", str(tmp_path / "state"), "status", "--watch"]
    child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "NO_COLOR": "1"})
    os.close(slave)
    try:
        seen = b""
        while seen.count(b"none runs on") < 2:
            seen += os.read(master, 4096)
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 1
    finally:
        child.kill()
        child.wait()
        os.close(master)
    assert b"\x1b[2J" in seen and seen.count(b"\x1b[H") >= 2
