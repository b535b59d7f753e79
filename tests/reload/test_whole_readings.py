"""A project that becomes another one while it is read is in force as the one or as the other, never as some of each."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.house import AGENT, SUMS, lived, project
from openclaw import cli
from openclaw.app import App
from openclaw.errors import ProjectUnsettled
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.reading import read

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


def writing(root: Path, what: str) -> Path:
    """A project whose code writes while the project is read: all manifests are read by then, and code is not."""
    lines = ["from pathlib import Path", f"root = Path({str(root)!r})", *what.splitlines()]
    (root / "sums.py").write_text("\n".join(lines) + "\n" + SUMS)
    return root


ANOTHER = """\
for name in ("main.yaml", "main.md"):
    path = root / "agents" / name
    path.write_text(path.read_text().replace("Main", "Odd").replace("first", "odd"))
"""
ADDED = "(root / 'agents/side.yaml').write_text((root / 'agents/main.yaml').read_text().replace('default: true', ''))"
RESTLESS = "with (root / 'agents/main.yaml').open('a') as end: end.write('# more\\n')"


def test_what_became_another_while_it_was_read_is_read_again(tmp_path: Path) -> None:
    root = writing(project(tmp_path, "http://127.0.0.1:1"), ANOTHER)
    reading = read(root, datetime.now(UTC))
    assert reading.compiled.snapshot is not None
    main = reading.compiled.snapshot.agents["main"]
    assert (main.name, main.soul) == ("Odd", "You are the odd soul.")
    assert reading.folder.still()


def test_a_file_that_came_while_the_others_were_read_is_read_as_well(tmp_path: Path) -> None:
    root = writing(project(tmp_path, "http://127.0.0.1:1"), ADDED)
    assert "agents/side.yaml" in read(root, datetime.now(UTC)).folder.files


def test_a_project_that_never_keeps_still_is_not_applied_and_is_tried_again(tmp_path: Path) -> None:
    root = project(tmp_path / "project", "http://127.0.0.1:1")

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, _):
            before = app.supervisor.current
            writing(root, RESTLESS)
            tried = await app.reload.attempt("SIGHUP")
            assert (tried.outcome, tried.in_force) == ("failed", False)
            assert f"the files of {root} change while they are read, 5 times in a row; nothing changed" in tried.words
            assert app.supervisor.current is before
            (root / "sums.py").write_text(SUMS)
            assert (await app.reload.attempt("SIGHUP")).outcome in ("applied", "unchanged")

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_start_on_a_project_that_never_keeps_still_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = writing(project(tmp_path / "project", "http://127.0.0.1:1"), RESTLESS)
    assert cli.main(["-C", str(root), "--state", str(tmp_path / "state"), "run", "--demo"]) == 1
    assert "change while they are read, 5 times in a row" in capsys.readouterr().err
    with pytest.raises(ProjectUnsettled):
        read(root, datetime.now(UTC))


def test_only_another_content_counts_as_another(tmp_path: Path) -> None:
    """Whatever times and inodes say: some disks make new ones up."""
    root = project(tmp_path, "http://127.0.0.1:1")
    folder = Folder.read(root)
    manifest, soul = root / "agents/main.yaml", root / "agents/main.md"
    manifest.write_bytes(manifest.read_bytes())
    soul.rename(root / "before")
    soul.write_bytes((root / "before").read_bytes())
    assert folder.still()
    state = soul.stat()
    soul.write_bytes(soul.read_bytes().replace(b"first", b"other"))
    os.utime(soul, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert not folder.still()
