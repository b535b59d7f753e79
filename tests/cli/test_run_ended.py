"""SIGTERM and SIGINT end a runtime in good order, also before it serves, and where both come at once."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from cli.test_run_hung_up import NOBODY, WAITS
from doubles.house import SUMS, Process, project, until


def test_two_signals_of_one_wish_end_it_in_good_order(tmp_path: Path) -> None:
    async def scene(process: Process) -> None:
        await process.address()
        process.process.send_signal(signal.SIGTERM)
        process.process.send_signal(signal.SIGINT)

    with Process(project(tmp_path / "project", NOBODY), tmp_path / "state") as process:
        asyncio.run(asyncio.wait_for(scene(process), 100))
        assert process.process.wait(60) == 0, process.log
    assert not (tmp_path / "state" / "control.sock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_runtime_that_is_ended_while_it_starts_went_not_wrong(tmp_path: Path, number: signal.Signals) -> None:
    root = project(tmp_path / "project", NOBODY, files={"sums.py": SUMS + WAITS})
    with Process(root, tmp_path / "state") as process:
        asyncio.run(until((root / ".starting").exists, "the start", 90))
        process.process.send_signal(number)
        (root / ".go-on").touch()
        assert process.process.wait(60) == 0, process.log
    assert not process.log
