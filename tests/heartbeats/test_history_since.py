"""Whoever goes on from the last run that they were told of is told of later ones, and not of that one again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from doubles.house import lived, project

BEAT = """\
heartbeats:
  night: {cron: "0 3 * * *", agent: main, prompt: "Look around."}
"""


def test_a_run_by_hand_is_not_later_than_itself(tmp_path: Path) -> None:
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={"heartbeats.yaml": BEAT})

    async def scene() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):

            async def history(**since: str) -> list[str]:
                told = await operator.http.get("/api/heartbeats/history", params=since)
                return [run["scheduled"] for run in told.json()["runs"]]

            for _ in range(3):
                assert (await operator.http.post("/api/heartbeats/night/run")).status_code < 300
            runs = await history()
            assert len(set(runs)) == 3 and sorted(runs, reverse=True) == runs
            assert [await history(since=run) for run in runs] == [[], runs[:1], runs[:2]]

    asyncio.run(scene())
