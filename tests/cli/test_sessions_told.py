"""What a heartbeat told the person of a session, as `sessions show` has it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.cli import main
from openclaw.clock import SystemClock
from openclaw.messages import Told
from openclaw.stores.files import Store

KEY = "agent:main:telegram:1"


def test_what_a_heartbeat_told_is_shown_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 5, 1, 7, 30, tzinfo=UTC)

    async def fill() -> None:
        store = Store(str(tmp_path), SystemClock())
        await store.open()
        await store.journal.append(KEY, [
            Told("t1", at, "heartbeat morning", "Ready.\nNot\x1b[2J", "m1"),
            Told("t2", at, "heartbeat evening", "", "m2"),
        ])  # fmt: skip
        await store.close()

    asyncio.run(fill())
    assert main(["--state", str(tmp_path), "sessions", "show", KEY]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2026-05-01 07:30:00  told        heartbeat morning: Ready.",
        "2026-05-01 07:30:00  told        Not%1B[2J",
        "2026-05-01 07:30:00  told        heartbeat evening: ",
    ]
    assert main(["--state", str(tmp_path), "sessions", "show", KEY, "--json"]) == 0
    first, _ = json.loads(capsys.readouterr().out)["entries"]
    assert first == {
        "id": "t1",
        "at": "2026-05-01T07:30:00.000Z",
        "type": "told",
        "by": "heartbeat morning",
        "text": "Ready.\nNot\x1b[2J",
        "message": "m1",
    }
