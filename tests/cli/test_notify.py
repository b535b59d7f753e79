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
from openclaw.cli.run import answers


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 30.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x²"}, None),
    ],
)
def test_the_pause_is_a_quarter_of_what_the_supervisor_waits(given: dict[str, str], seconds: float | None) -> None:
    assert pause(given) == seconds


def test_nobody_who_listens_ends_nothing(tmp_path: Path) -> None:
    for place in ("", "relative", str(tmp_path / "none"), f"@{tmp_path.name}-none", "/" + "x" * 200):
        assert tell("READY=1", {"NOTIFY_SOCKET": place}) is not place.startswith(("/", "@"))


async def at_once() -> None:
    """It is ready."""


def test_signs_of_life_come_again_and_again_while_the_loop_turns(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.setblocking(False)

        async def life() -> list[bytes]:
            loop = asyncio.get_running_loop()
            async with supervised(at_once, {"NOTIFY_SOCKET": str(tmp_path / "ear"), "WATCHDOG_USEC": "4000"}):
                return [await asyncio.wait_for(loop.sock_recv(ear, 64), 30) for _ in range(3)]

        assert asyncio.run(life()) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_what_a_busy_supervisor_did_not_take_is_told_again(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "ear")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "ear"))
        ear.setblocking(False)
        before = 0
        while tell("BEFORE=1", environment):
            before += 1

        async def life() -> set[bytes]:
            loop, tried = asyncio.get_running_loop(), asyncio.Event()

            async def ready() -> None:
                loop.call_later(0.01, tried.set)  # when the first word was lost

            async with supervised(ready, environment, again=0.02):
                await tried.wait()
                return {await asyncio.wait_for(loop.sock_recv(ear, 64), 30) for _ in range(before + 1)}

        assert before and asyncio.run(life()) == {b"BEFORE=1", b"READY=1"}


def test_it_is_ready_once_commands_are_answered_and_not_before(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.bind(str(tmp_path / "control.sock"))

        async def scene() -> None:
            waiting = asyncio.create_task(answers(tmp_path))
            await answers(tmp_path, 0.2)  # nobody listens yet; one whose socket cannot be made is not waited for long
            assert not waiting.done()
            control.listen(4)
            await asyncio.wait_for(waiting, 30)

        asyncio.run(scene())


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
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
                control.connect(str(tmp_path / "s" / "control.sock"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.communicate()
