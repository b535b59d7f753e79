"""status, sessions, memory, approvals, version: as processes, beside a runtime and without one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.served import Served
from openclaw.clock import SystemClock
from openclaw.messages import Address, UserEntry
from openclaw.pairing import Pairings
from openclaw.ports import Pairing
from openclaw.stores.files import Store

Done = subprocess.CompletedProcess[str]


def openclaw(state: Path, *arguments: str, input: str | None = None) -> Done:
    return warm.run(
        [sys.executable, "-m", "openclaw", "--state", str(state), *arguments],
        input=input,
        text=True,
        timeout=30,
        env={**os.environ, "NO_COLOR": "1"},
    )


def found(done: Done) -> Any:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.close()


# ── beside a runtime ─────────────────────────────────────────────────────────────────────────────


def test_status_and_sessions_come_from_the_running_runtime(live: Served, tmp_path: Path) -> None:
    live.post("hello")
    assert found(openclaw(tmp_path, "status", "--json")) == {
        "running": True,
        "ready": True,
        "agents": 2,
        "answering": [],
        "inbox": {"queued": 0, "running": 0, "parked": 0, "undelivered": 0, "dead": 0},
        "turns": [],
        "oldest_queued": None,
        "questions": [],
        "coming": [],
        "stopped": [],
    }
    [session] = found(openclaw(tmp_path, "sessions", "list", "--json"))
    assert session["key"] == "agent:main:repl:local"
    shown = openclaw(tmp_path, "sessions", "show", session["key"])
    assert "user        hello" in shown.stdout and "assistant   You said: hello" in shown.stdout
    assert "is archived as" in openclaw(tmp_path, "sessions", "reset", session["key"]).stdout
    assert openclaw(tmp_path, "sessions", "list").stdout == "There are no sessions yet.\n"


def test_approvals_are_listed_answered_and_revoked(live: Served, tmp_path: Path) -> None:
    live.post("ask rm -rf x")
    listed = found(openclaw(tmp_path, "approvals", "list", "--json"))
    [pending] = listed["pending"]
    assert pending["lines"] == ["rm -rf x"] and [one["id"] for one in listed["remembered"]] == ["r1"]
    assert openclaw(tmp_path, "approvals", "answer", pending["id"], "maybe").returncode == 2
    answered = found(openclaw(tmp_path, "approvals", "answer", pending["id"], "allow-once", "--json"))
    assert answered == {"id": pending["id"], "decision": "allow-once"}
    late = openclaw(tmp_path, "approvals", "answer", pending["id"], "deny")
    assert (late.returncode, late.stderr) == (2, f"openclaw: approval {pending['id']} was answered before\n")
    unknown = openclaw(tmp_path, "approvals", "answer", "a0", "deny")
    assert (unknown.returncode, unknown.stderr) == (2, "openclaw: approval a0 is not known\n")
    assert openclaw(tmp_path, "approvals", "revoke", "r1").stdout == "r1 is revoked\n"
    assert openclaw(tmp_path, "approvals", "list").stdout == "Nothing is pending and nothing is remembered.\n"


def test_one_question_is_answered_by_the_running_runtime(live: Served, tmp_path: Path) -> None:
    answer = openclaw(tmp_path, "chat", "break ls")
    assert (answer.returncode, answer.stdout) == (0, "Done.\n")
    assert answer.stderr == "· run_command  ls\n  failed: no such file\n"
    assert openclaw(tmp_path, "chat", "ask rm x").stdout == "Nobody who may agree is reachable.\n"
    assert live.desk.posted[-1].can_ask is False
    failed = openclaw(tmp_path, "chat", "fail")
    assert (failed.returncode, failed.stdout, failed.stderr) == (1, "", "the model did not answer\n")
    assert openclaw(tmp_path, "chat", "keyless").returncode == 4


def test_what_is_tried_anew_and_what_is_waited_for_is_told_beside_a_runtime_too(live: Served, tmp_path: Path) -> None:
    again = openclaw(tmp_path, "chat", "retry")
    assert (again.stdout, again.stderr) == ("A whole answer.\n", "· the stream was cut; trying again in 1 s\n")
    silent = openclaw(tmp_path, "chat", "slow down").stderr
    assert silent == "· smart has said nothing for 10 s; still waiting\n"
    lines = [json.loads(line) for line in openclaw(tmp_path, "chat", "--json", "retry").stdout.splitlines()]
    assert [line["event"] for line in (lines[0], lines[-1])] == ["accepted", "reply"]
    assert [line["restart"] for line in lines[1:-1] if "restart" in line] == [True]
    assert set(lines[-1]) == {"event", "id", "reply", "agent", "session", "usage"}
    [*_, refused] = openclaw(tmp_path, "chat", "--json", "keyless").stdout.splitlines()
    assert json.loads(refused) | {"id": ""} == {
        "event": "error", "id": "", "code": "turn_failed", "detail": "the model refuses the key",
        "fault": "credentials",
    }  # fmt: skip


def test_a_question_that_is_refused_is_wrong_usage_beside_a_runtime_too(live: Served, tmp_path: Path) -> None:
    done = openclaw(tmp_path, "chat", "refuse")
    assert (2, "openclaw: this desk does not know you\n") == (done.returncode, done.stderr)


def test_a_question_beside_a_runtime_that_does_not_serve_yet_says_to_ask_again(tmp_path: Path) -> None:
    async def held() -> Done:
        store = Store(str(tmp_path), SystemClock())
        await store.open()
        try:
            return await asyncio.to_thread(openclaw, tmp_path, "chat", "--demo", "hello")
        finally:
            await store.close()

    done = asyncio.run(held())
    assert done.returncode == 1 and "control socket yet; ask again" in done.stderr and "stop it" not in done.stderr


# ── without a runtime ────────────────────────────────────────────────────────────────────────────


def test_without_a_runtime_commands_say_so_and_make_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = openclaw(state, "status", "--json")
    assert (done.returncode, json.loads(done.stdout)["running"]) == (1, False)
    assert found(openclaw(state, "sessions", "list", "--json")) == []
    assert found(openclaw(state, "memory", "list", "--json")) == []
    assert found(openclaw(state, "approvals", "list", "--json")) == {"pending": [], "remembered": []}
    for command in ("sessions show x", "memory show x", "approvals revoke x", "approvals answer x deny"):
        done = openclaw(state, *command.split())
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("openclaw: ")
    assert not state.exists()


def test_a_stale_socket_is_no_runtime(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "control.sock"))
    done = openclaw(tmp_path, "status")
    assert done.returncode == 1 and "the last one was killed" in " ".join(done.stdout.split())


def test_sessions_are_read_and_reset_from_disk(tmp_path: Path) -> None:
    key = "agent:main:telegram:1"

    async def fill() -> None:
        store = Store(str(tmp_path), SystemClock())
        await store.open()
        content = ({"type": "text", "text": "hällo\x1b[2J"},)
        await store.journal.append(key, [UserEntry("e1", datetime.now(UTC), content, "m1")])
        await store.close()

    asyncio.run(fill())
    assert [one["key"] for one in found(openclaw(tmp_path, "sessions", "list", "--json"))] == [key]
    assert found(openclaw(tmp_path, "sessions", "show", key, "--json"))["entries"][0]["id"] == "e1"
    assert "hällo%1B[2J" in openclaw(tmp_path, "sessions", "show", key).stdout
    assert "did you mean agent:main:telegram:1?" in openclaw(tmp_path, "sessions", "reset", key[:-1]).stderr
    assert openclaw(tmp_path, "sessions", "reset", key).returncode == 0
    assert found(openclaw(tmp_path, "sessions", "list", "--json")) == []


def test_memories_are_listed_searched_shown_and_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    (folder / "people" / "ana").mkdir(parents=True)
    (folder / "cat.md").write_text("My cat is Zorblax.\n")
    (folder / "people" / "ana" / "tea.md").write_text("Ana likes green tea.\n")
    listed = found(openclaw(tmp_path, "memory", "list", "--json"))
    assert sorted(one["key"] for one in listed) == ["cat", "people/ana/tea"]
    assert [one["key"] for one in found(openclaw(tmp_path, "memory", "search", "zorblax", "--json"))] == ["cat"]
    assert found(openclaw(tmp_path, "memory", "search", "cat tea", "--limit", "1", "--json")) != []
    assert openclaw(tmp_path, "memory", "show", "people/ana/tea").stdout == "Ana likes green tea.\n"
    assert found(openclaw(tmp_path, "memory", "delete", "cat", "--json")) == {"key": "cat", "deleted": True}
    assert not (folder / "cat.md").exists()
    assert openclaw(tmp_path, "memory", "search", "x", "--limit", "0").returncode == 2


def test_what_a_file_or_a_person_named_commands_no_terminal(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "a\x1b[2J.md").write_text("Something.\n")
    assert openclaw(tmp_path, "memory", "delete", "a\x1b[2J").stdout == "deleted a%1B[2J\n"
    for command in ("memory", "sessions"):
        assert "\x1b" not in openclaw(tmp_path, command, "show", "b\x1b[2J").stderr


def test_approvals_of_a_newer_version_are_left_as_they_are(tmp_path: Path) -> None:
    assert openclaw(tmp_path, "chat", "--demo", "hello", input="").returncode == 0
    file = tmp_path / "exec-approvals.json"
    file.write_text('{"version": 99, "grants": ["x"]}')
    for command in (("approvals", "list"), ("approvals", "revoke", "x"), ("chat", "--demo", "hello")):
        done = openclaw(tmp_path, *command, input="")
        assert (1, True) == (done.returncode, "was written by a newer version" in done.stderr), done.stderr
    assert file.read_text() == '{"version": 99, "grants": ["x"]}'


def test_version_is_the_packages(tmp_path: Path) -> None:
    import openclaw as package

    assert openclaw(tmp_path, "version").stdout == f"openclaw {package.__version__}\n"
    assert found(openclaw(tmp_path, "version", "--json"))["version"] == package.__version__


# ── strangers ────────────────────────────────────────────────────────────────────────────────────


def test_strangers_are_listed_and_let_in_beside_a_runtime(live: Served, tmp_path: Path) -> None:
    ana = Address("telegram", "12345")
    live.desk.waiting["ABCD2345"] = Pairing(ana, "Ana\x1b[31m", "ABCD2345", datetime.now(UTC), datetime.now(UTC))
    listed = openclaw(tmp_path, "pairing", "list")
    assert "ABCD2345" in listed.stdout and "telegram:12345" in listed.stdout and "\x1b" not in listed.stdout
    approved = openclaw(tmp_path, "pairing", "approve", "ABCD2345")
    assert approved.stdout.startswith("telegram:12345 (Ana") and "may write from now on" in approved.stdout
    assert openclaw(tmp_path, "pairing", "approve", "ABCD2345").returncode == 2
    assert openclaw(tmp_path, "pairing", "revoke", "telegram:12345").returncode == 0
    assert ana in live.desk.strangers


def test_strangers_are_listed_and_let_in_without_a_runtime(tmp_path: Path) -> None:
    assert found(openclaw(tmp_path, "pairing", "list", "--json")) == {"waiting": [], "admitted": []}
    assert openclaw(tmp_path, "pairing", "approve", "ABCD2345").returncode == 2

    async def knock() -> str | None:
        store = Store(str(tmp_path), SystemClock())
        await store.open()
        try:
            return await Pairings(store.marks, SystemClock()).knock(Address("telegram", "7"), "Ben")
        finally:
            await store.close()

    code = asyncio.run(knock())
    assert code is not None
    [waiting] = found(openclaw(tmp_path, "pairing", "list", "--json"))["waiting"]
    assert (waiting["code"], waiting["sender"], waiting["name"]) == (code, "telegram:7", "Ben")
    assert "telegram:7 (Ben)" in openclaw(tmp_path, "pairing", "approve", code.lower()).stdout
    assert "telegram:7" in openclaw(tmp_path, "pairing", "list").stdout
    assert openclaw(tmp_path, "pairing", "revoke", "nobody").returncode == 2
    revoked = found(openclaw(tmp_path, "pairing", "revoke", "telegram:7", "--json"))
    assert revoked == {"sender": "telegram:7", "admitted": False}
    assert openclaw(tmp_path, "pairing", "list").stdout == "Nobody waits and nobody was let in by a code.\n"
