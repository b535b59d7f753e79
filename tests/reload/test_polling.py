"""Where folders are polled, what polling cannot see is found by looking: because somebody wants it, or because the
system has no more watches to give."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doubles.house import Hasty, lived, project, until
from openclaw.app import App
from openclaw.watch import is_polled

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
FORCED = "WATCHFILES_FORCE_POLLING"


@pytest.mark.parametrize("said", ["1", "true", "yes"])
def test_the_environment_may_ask_for_polling(said: str) -> None:
    assert is_polled({FORCED: said})


@pytest.mark.parametrize("said", ["false", "Disable", "disabled"])
def test_and_against_it(said: str) -> None:
    assert not is_polled({FORCED: said})


def test_left_to_itself_it_is_decided_as_the_library_does() -> None:
    from watchfiles.main import _default_force_polling

    assert is_polled({}) is is_polled({FORCED: ""}) is _default_force_polling(None)


def test_the_second_of_two_quick_saves_is_applied_though_polling_cannot_tell_it_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems whose times are coarse: the second save leaves size and time as they were."""
    monkeypatch.setenv(FORCED, "1")
    root = project(tmp_path / "project", NOBODY)
    soul = root / "agents/main.md"
    status = soul.stat()

    def in_force(app: App) -> str:
        return app.supervisor.current.snapshot.agents["main"].soul

    async def scene() -> None:
        async with lived(root, tmp_path / "state", clock=Hasty()) as (app, _):
            for number in (1, 2):
                with soul.open("r+") as opened:  # as long as before, so that it is never seen half
                    opened.write(f"You are the soul no. {number}.\n")
                    opened.flush()
                    os.utime(soul, ns=(status.st_atime_ns, status.st_mtime_ns))
                await until(lambda number=number: in_force(app) == f"You are the soul no. {number}.", "the save")  # type: ignore[misc]

    asyncio.run(scene())


SCRIPT = """\
import asyncio, pathlib, sys
from openclaw.clock import SystemClock
from openclaw.watch import Watch

folders = [pathlib.Path(sys.argv[1], str(number)) for number in range(8)]
file = folders[-1] / "main.md"

async def main():
    edited, looked = asyncio.Event(), asyncio.Event()

    async def look():
        looked.set()
        if file.read_text() == "edited":
            edited.set()

    watching = asyncio.create_task(Watch(lambda: folders, SystemClock()).run(look))
    await asyncio.wait_for(looked.wait(), 60)
    file.write_text("edited")
    await asyncio.wait_for(edited.wait(), 60)
    watching.cancel()

asyncio.run(main())
print("seen")
"""


def limited(limit: str, *command: str) -> list[str]:
    """The command as its own administrator, who has but few watches."""
    return ["unshare", "-r", "sh", "-c", f'echo 3 > /proc/sys/user/{limit} && exec "$@"', "sh", *command]


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_where_the_system_has_no_more_watches_edits_are_seen_all_the_same(tmp_path: Path, limit: str) -> None:
    if shutil.which("unshare") is None or subprocess.run(limited(limit, "true"), capture_output=True).returncode:
        pytest.skip("nobody may limit himself here")
    for number in range(8):
        (tmp_path / str(number)).mkdir()
    (tmp_path / "7/main.md").write_text("first")
    command = limited(limit, sys.executable, "-c", SCRIPT, str(tmp_path))
    if limit == "max_inotify_instances":
        command[4] = command[4].replace("echo 3", "echo 0")
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert (done.returncode, done.stdout) == (0, "seen\n"), done.stderr
    assert done.stderr.count("the system does not tell of changes") == 1 and "Traceback" not in done.stderr
