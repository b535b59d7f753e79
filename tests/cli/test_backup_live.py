"""A backup of a runtime that is at work, restored elsewhere: every message that was accepted is answered, once."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.house import Process, Program, project, until
from doubles.messages_server import MessagesServer, Reply

SESSIONS = ("a", "b", "c")


def openclaw(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return warm.run(
        [sys.executable, "-m", "openclaw", "--state", str(state), *arguments],
        text=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1"},
    )


def slowly(body: dict[str, Any]) -> Reply:
    """So that whenever a backup is taken, some answer is on its way."""
    return Reply({"type": "text", "text": "answered"}, delay=0.03)


def rows(state: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(f"{(state / 'runtime.db').as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(question).fetchall()


def said(state: Path) -> Counter[str]:
    """How often each message was said in a transcript, and answered there right behind it."""
    found: Counter[str] = Counter()
    for path in (state / "sessions").glob("*.jsonl"):
        entries = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
        for user, answer in zip(entries[::2], entries[1::2], strict=True):
            assert (user["role"], answer["role"]) == ("user", "assistant")
            found[user["message"]] += 1
    return found


async def post(operator: Program, number: int, *, busy: bool = False) -> str:
    response = await operator.http.post(
        "/api/messages",
        json={"text": f"message {number}", "session": SESSIONS[number % len(SESSIONS)]},
        headers={"Prefer": "respond-async", "Idempotency-Key": f"key-{number}"},
    )
    if busy and response.status_code != 202:
        assert response.json()["code"] == "busy", response.text
        return ""
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


@pytest.mark.slow
def test_a_backup_under_load_starts_elsewhere_and_answers_each_accepted_message_once(tmp_path: Path) -> None:
    state, there, target = tmp_path / "state", tmp_path / "there", tmp_path / "backup.tar.gz"

    async def steps(root: Path) -> list[str]:
        """The ids of the messages that were accepted before the backup was begun."""
        with Process(root, state) as process:
            async with Program(await process.address()) as operator:
                before = [await post(operator, number) for number in range(15)]
                taking = asyncio.create_task(asyncio.to_thread(openclaw, state, "backup", str(target), "--json"))
                number = len(before)
                while not taking.done():
                    await post(operator, number, busy=True)
                    number += 1
                done = await taking
                assert (done.returncode, done.stderr) == (0, "")
                assert json.loads(done.stdout)["files"] >= 2
                refused = await asyncio.to_thread(openclaw, state, "restore", str(target), "--force")
                assert refused.returncode == 1 and f"in use by process {process.process.pid}" in refused.stderr
            process.process.kill()
        return before

    async def again(root: Path) -> None:
        """Everything the backup holds is answered where it was restored; what comes again is known."""
        with Process(root, there) as process:
            async with Program(await process.address()) as operator:
                for number in range(15):
                    await post(operator, number)
                await until(
                    lambda: not rows(there, "SELECT id FROM inbox WHERE settled IS NULL"), "the last answer", 60
                )

    with MessagesServer(otherwise=slowly) as server:
        root = project(tmp_path / "project", server.url)
        before = asyncio.run(steps(root))
        restored = openclaw(there, "restore", str(target))
        assert restored.returncode == 0, restored.stderr
        asyncio.run(again(root))
        assert server.violations == []
    settled = rows(there, "SELECT id, state FROM inbox")
    assert set(before) <= {id for id, _ in settled}
    assert {ended for _, ended in settled} == {"done"}
    times = said(there)
    assert {id for id, _ in settled} <= set(times) and set(times.values()) == {1}
