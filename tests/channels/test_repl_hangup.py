"""A terminal that is closed ends the runtime that talked there, and gives its state folder free."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


# The first terminal that the leader of a session opens becomes its own: only then is its end a hang-up.
TAKE_THE_TERMINAL = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.executable, sys.argv[1:])"
)


@pytest.mark.slow
def test_closing_the_terminal_ends_the_runtime(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "openclaw", "-C", str(ROOT), "--state", str(tmp_path)]
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", TAKE_THE_TERMINAL, *command, "run", "--demo"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(slave)
    try:
        _until(master, "/help lists")
        os.close(master)
        assert 0 == child.wait(timeout=60)
    finally:
        child.kill()
        child.wait()
    status = subprocess.run([*command, "status"], capture_output=True, text=True, timeout=30)
    assert status.returncode == 1 and "none runs on" in status.stdout


def _until(master: int, text: str) -> None:
    seen, deadline = b"", time.monotonic() + 60
    while text.encode() not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65536)
