"""`openclaw status` beside a runtime that listens and does not answer: who it is, and no long wait with it."""

from __future__ import annotations

import argparse
import fcntl
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openclaw.cli import status
from openclaw.control_socket import SOCKET
from openclaw.errors import OpenClawError

PATIENCE = 0.2  # seconds


@contextmanager
def hanging(state: Path) -> Iterator[argparse.Namespace]:
    """The kernel takes connections for it, as for a process that was stopped."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ear:
        ear.bind(str(state / SOCKET))
        ear.listen(8)
        yield argparse.Namespace(state=state, project=state)


def test_one_that_hangs_is_told_as_the_process_that_holds_the_folder(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4711\n")
    with hanging(tmp_path) as args, (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = status._look(args, PATIENCE)
        told = " ".join(" ".join(status._lines(found, args)).split())
    assert (found["running"], found["held_by"]) == (False, 4711)
    assert f"none answers: process 4711 holds {tmp_path}, and starts, ends or hangs" in told


def test_what_hangs_there_and_holds_nothing_is_told_as_what_it_is(tmp_path: Path) -> None:
    with hanging(tmp_path) as args, pytest.raises(OpenClawError, match="the runtime does not answer"):
        status._look(args, PATIENCE)
