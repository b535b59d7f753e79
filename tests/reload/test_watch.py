"""What the watch hears of a project's folders: every way to save, once it is quiet, wherever the project lies."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from openclaw.clock import SystemClock
from openclaw.watch import CHECK, Watch


class Looks:
    """How often somebody was told to look, and what stood in the file then."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seen: list[str] = []

    async def look(self) -> None:
        self.seen.append(self.file.read_text() if self.file.exists() else "gone")

    async def until(self, there: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 30
        while not there():
            assert time.monotonic() < end, f"{what}: {self.seen[-5:]}"
            await asyncio.sleep(0.01)


class Unquiet(SystemClock):
    """A clock whose time passes by sleeps alone, and each of them lasts until something new was heard."""

    def __init__(self) -> None:
        self.time = 0.0
        self.stir: Callable[[], object] = lambda: None
        self.watch = Watch(list, self)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if seconds == CHECK:  # there is always something to hear before
            await asyncio.Event().wait()
        self.time += seconds
        self.stir()
        await asyncio.wait_for(self.watch._stirred.wait(), 30)


def watched(root: Path, scene: Callable[[Looks], Awaitable[None]]) -> list[str]:
    """Runs the scene once the watch is armed and has looked for the first time."""

    def folders() -> Iterable[Path]:
        return [root, *(Path(path) for path, _, _ in os.walk(root / "agents"))]

    async def whole() -> list[str]:
        looks = Looks(root / "agents" / "main.md")
        watching = asyncio.create_task(Watch(folders, SystemClock()).run(looks.look))
        try:
            await looks.until(lambda: bool(looks.seen), "the first look")
            await asyncio.wait_for(scene(looks), 100)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return looks.seen

    return asyncio.run(whole())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Below names that a watcher may be tempted to leave out."""
    root = tmp_path / "node_modules" / ".git" / "project"
    (root / "agents").mkdir(parents=True)
    (root / "agents" / "main.md").write_text("0")
    return root


def test_a_burst_is_one_look_and_what_is_saved_during_a_look_is_seen_by_the_next(root: Path) -> None:
    async def scene(looks: Looks) -> None:
        for number in range(50):
            (root / "agents" / f"a{number}.md").write_text("x")
        looks.file.write_text("last")
        await looks.until(lambda: looks.seen[-1] == "last", "the burst")

    assert len(watched(root, scene)) < 10


def test_a_folder_that_is_never_quiet_is_looked_at_all_the_same_and_not_all_the_time(root: Path) -> None:
    clock, times, enough = Unquiet(), [0.0], asyncio.Event()
    clock.stir = lambda: (root / "agents" / "busy.md").write_text(str(clock.time))
    clock.watch = Watch(lambda: [root, root / "agents"], clock)

    async def look() -> None:
        times.append(clock.time)
        clock.stir()
        if len(times) == 3:
            enough.set()

    async def scene() -> None:
        watching = asyncio.create_task(clock.watch.run(look))
        await enough.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scene(), 100))
    assert [round(later - earlier) for earlier, later in itertools.pairwise(times)] == [2, 2]


def test_folders_that_are_replaced_removed_and_made_again_are_watched_again(root: Path) -> None:
    async def scene(looks: Looks) -> None:
        fresh = root / "fresh"
        fresh.mkdir()
        (fresh / "main.md").write_text("swapped")
        (root / "agents").rename(root / "old")
        fresh.rename(root / "agents")
        await looks.until(lambda: looks.seen[-1] == "swapped", "the swap")
        shutil.rmtree(root / "agents")
        await looks.until(lambda: looks.seen[-1] == "gone", "the removal")
        (root / "agents" / "deep").mkdir(parents=True)
        looks.file.write_text("again")
        await looks.until(lambda: looks.seen[-1] == "again", "the new folder")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit in the new folder")

    watched(root, scene)


def test_a_link_that_is_pointed_elsewhere_is_seen_each_time(root: Path) -> None:
    """As mounted configuration changes: `..data` is swapped, and the names beside it are links through it."""
    looks = root / "agents" / "main.md"
    looks.unlink()
    for version in ("v1", "v2", "v3"):
        (root / "agents" / f"..{version}").mkdir()
        (root / "agents" / f"..{version}" / "main.md").write_text(version)
    (root / "agents" / "..data").symlink_to("..v1")
    looks.symlink_to("..data/main.md")

    async def scene(looks: Looks) -> None:
        for version in ("v2", "v3"):
            (root / "agents" / "..tmp").symlink_to(f"..{version}")
            (root / "agents" / "..tmp").replace(root / "agents" / "..data")
            await looks.until(lambda wanted=version: looks.seen[-1] == wanted, version)  # type: ignore[misc]

    watched(root, scene)


def test_the_whole_project_may_go_and_come_back(root: Path) -> None:
    async def scene(looks: Looks) -> None:
        aside = root.with_name("aside")
        root.rename(aside)
        await looks.until(lambda: looks.seen[-1] == "gone", "the project is gone")
        aside.rename(root)
        await looks.until(lambda: looks.seen[-1] == "0", "the project is back")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit after it")

    watched(root, scene)
