"""SIGHUP asks a runtime for a reload, and one that is still starting does not end of it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from doubles.house import SUMS, Process, Program, project, until

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
WAITS = '''\

def _wait() -> None:
    """The start is half way, and stays there until somebody says so."""
    import pathlib
    import time

    here = pathlib.Path(__file__).parent
    (here / ".starting").touch()
    while not (here / ".go-on").exists():
        time.sleep(0.01)


_wait()
'''


def test_whoever_asks_for_a_reload_while_it_starts_does_not_end_it(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY, files={"sums.py": SUMS + WAITS})

    async def scene(process: Process) -> None:
        await until((root / ".starting").exists, "the start")
        process.process.send_signal(signal.SIGHUP)
        (root / ".go-on").touch()
        async with Program(await process.address()) as operator:
            assert (await operator.http.get("/readyz")).json()["status"] == "ready"

    with Process(root, tmp_path / "state") as process:
        asyncio.run(asyncio.wait_for(scene(process), 100))
