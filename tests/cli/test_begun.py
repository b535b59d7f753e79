"""What a start tells and leaves behind: a notice where it runs as root, and folders for its own user alone."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw.app import App
from openclaw.cli.run import banner
from openclaw.project import Options

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Options]:
    """A small project with an agent in a folder of its own, where the umask hides nothing."""
    agents = tmp_path / "project/agents/team"
    agents.mkdir(parents=True)
    (agents / "one.yaml").write_text("name: One\ndescription: Talks\ntools: []\npolicy: careful\n")
    shutil.copy(ROOT / "tools.yaml", tmp_path / "project/tools.yaml")
    shutil.copy(ROOT / "desk_tools.py", tmp_path / "project/desk_tools.py")
    before = os.umask(0)
    yield Options(tmp_path / "project", tmp_path / "state", demo=True)
    os.umask(before)


def begun(options: Options) -> str:
    async def begin() -> str:
        async with App(options).opened() as app:
            return banner(app)

    return asyncio.run(begin())


def test_a_start_as_root_says_so_and_no_other_does(options: Options) -> None:
    assert ("note: running as root" in begun(options)) == (os.geteuid() == 0)


def test_all_that_a_start_makes_is_for_its_own_user_alone(options: Options) -> None:
    begun(options)
    made = [options.state, *options.state.rglob("*")]
    assert any(path.match("last-good/*/agents/team") for path in made)
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in made if path.stat().st_mode & 0o077} == {}
