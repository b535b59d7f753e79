"""A project that becomes another one while it is read is in force as the one or as the other, never as some of each."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest

from doubles.house import AGENT, lived, project
from openclaw.app import App
from openclaw.manifest.snapshot import Snapshot

AGENTS, ATTEMPTS = 30, 40


class Swapping:
    """Two whole versions beside each other, and a thread that puts now one and now the other in the project's place."""

    def __init__(self, root: Path) -> None:
        self.root, self._end = root, threading.Event()
        for word in ("even", "odd"):
            for n in range(AGENTS):
                manifest = AGENT.replace("Main", word).replace(
                    "default: true", f"prefix: /a{n}" if n else "default: true"
                )
                place = root / f"..{word}/agents"
                place.mkdir(parents=True, exist_ok=True)
                (place / f"a{n}.yaml").write_text(manifest.replace("main.md", f"a{n}.md"))
                (place / f"a{n}.md").write_text(f"You are {word}.\n")
        for name in ("agents/main.yaml", "agents/main.md"):
            (root / name).unlink()
        (root / "agents").rmdir()
        self._swap("even")
        (root / "agents").symlink_to("..data/agents")

    def _swap(self, word: str) -> None:
        (self.root / "..next").symlink_to(f"..{word}")
        (self.root / "..next").replace(self.root / "..data")

    def run(self) -> None:
        while not self._end.wait(0.13):
            self._swap("odd")
            self._end.wait(0.11)
            self._swap("even")

    def stop(self) -> None:
        self._end.set()


def words(snapshot: Snapshot) -> set[str]:
    souls = [found for agent in snapshot.agents.values() for found in re.findall(r"You are (\w+)\.", agent.soul)]
    assert len(souls) == AGENTS
    return {*souls, *(agent.name for agent in snapshot.agents.values())}


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="nothing looks again between reading and the swap")
def test_a_project_that_is_swapped_while_it_is_read_is_never_in_force_in_part(tmp_path: Path) -> None:
    swapping = Swapping(project(tmp_path / "project", "http://127.0.0.1:1"))
    thread = threading.Thread(target=swapping.run)

    async def scene(app: App) -> None:
        seen = set()
        for _ in range(ATTEMPTS):
            await app.reload.attempt("POST")
            seen.add(frozenset(words(app.supervisor.current.snapshot)))
        assert all(len(each) == 1 for each in seen), seen
        swapping.stop()
        await asyncio.to_thread(thread.join)
        assert (await app.reload.attempt("POST")).outcome in ("applied", "unchanged")
        assert words(app.supervisor.current.snapshot) == {"even"}

    async def whole() -> None:
        async with lived(swapping.root, tmp_path / "state") as (app, _):
            thread.start()
            await asyncio.wait_for(scene(app), 120)

    try:
        asyncio.run(whole())
    finally:
        swapping.stop()
