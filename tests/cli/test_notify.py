"""What a supervisor is told: by the command itself, at a socket such as systemd's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from doubles.house import project
from openclaw.cli._notify import pause, supervised, tell


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 60.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x²"}, None),
    ],
)
def test_the_pause_is_half_of_what_the_supervisor_waits(given: dict[str, str], seconds: float | None) -> None:
    assert pause(given) == seconds


def test_nobody_who_listens_ends_nothing(tmp_path: Path) -> None:
    for place in ("", "relative", str(tmp_path / "none"), f"@{tmp_path.name}-none", "/" + "x" * 200):
        tell("READY=1", {"NOTIFY_SOCKET": place})


def test_signs_of_life_come_again_and_again_while_the_loop_turns(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.setblocking(False)

        async def life() -> list[bytes]:
            loop = asyncio.get_running_loop()
            async with supervised({"NOTIFY_SOCKET": str(tmp_path / "ear"), "WATCHDOG_USEC": "2000"}):
                return [await asyncio.wait_for(loop.sock_recv(ear, 64), 30) for _ in range(3)]

        assert asyncio.run(life()) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_the_command_tells_when_it_is_open_and_ends_in_good_order(tmp_path: Path) -> None:
    root = project(tmp_path / "p", "http://127.0.0.1:9")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "ear"), "WATCHDOG_USEC": "120000000"}
        command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", str(tmp_path / "s"), "run", "--demo"]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        try:
            assert (ear.recv(64), ear.recv(64)) == (b"READY=1", b"WATCHDOG=1")
            assert (tmp_path / "s" / "runtime.db").exists()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.communicate()
