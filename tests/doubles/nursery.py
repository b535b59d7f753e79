"""The process from which warm commands are forked: `python nursery.py DESCRIPTOR`, started by `doubles.warm`.

It imports what most commands need, and then forks a child for each request that comes on the socket DESCRIPTOR; it
tells each child's process id and, when it ended, its status. Its law: it never has a second thread, so that
forking is safe, and its children share nothing with it or each other but memory that nobody writes.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

NEEDED = (
    *("openclaw.app", "openclaw.at_once", "openclaw.control.listening", "openclaw.doorbells.local"),
    *("openclaw.channels.http", "openclaw.channels.repl", "openclaw.channels._pipes", "openclaw.channels._terminal"),
    *("openclaw.providers.anthropic", "openclaw.providers.scripted", "openclaw.stores.files"),
    *("openclaw.tools.files", "openclaw.tools.python", "openclaw.tools.shell", "openclaw.tools.web"),
    *("openclaw.tools.reminders", "jsonschema", "anyio._backends._asyncio", "uvicorn.lifespan.off"),
    "openclaw.tools._sandbox_trial",
    *("openclaw.cli.approvals", "openclaw.cli.chat", "openclaw.cli.memory", "openclaw.cli.pairing"),
    *("openclaw.cli.run", "openclaw.cli.sessions", "openclaw.cli.status", "openclaw.cli.validate", "openclaw.cli.why"),
    *("prompt_toolkit.application", "rich.console", "rich.markdown", "uvicorn", "docstring_parser"),
    "encodings.utf_8_sig",
)
LENGTH = struct.Struct("!I")
TOLD = struct.Struct("!ii")
ALIVE = -1
STREAMS = 3
_PROJECT = Path(__file__).parents[2]


def serve(wire: socket.socket) -> None:
    """Forks for whoever asks, until the other end of `wire` is closed."""
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end their commands
    reports: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([wire.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            _tell_ends(reports)
        if wire.fileno() in readable:
            head, given, _, _ = socket.recv_fds(wire, LENGTH.size, STREAMS + 1)
            if not head:
                return
            wish = json.loads(_exactly(wire, LENGTH.unpack(head + _exactly(wire, LENGTH.size - len(head)))[0]))
            pid = os.fork()
            if pid == 0:
                _live(wish, given)
            reports[pid] = given.pop()
            for descriptor in given:
                os.close(descriptor)


def _find_out_once() -> None:
    """What each process would find out anew, and find to be the same: the profiles, and which walls hold here.

    And it compiles a project, so that whatever is made at its first use (patterns, above all) is made."""
    importlib.import_module("openclaw.permissions.profiles").names()
    folder = importlib.import_module("openclaw.manifest.folder").Folder.read(_PROJECT)
    importlib.import_module("openclaw.manifest.build").compile(
        folder, environment=None, importer=None, today=datetime.now(UTC)
    )
    sandbox = importlib.import_module("openclaw.tools._sandbox").shared()
    walls = sandbox.walls()
    sandbox.close()  # the folder it prepared; a child that runs a command has its own
    sandbox._walls = walls
    tempfile.tempdir = None  # as a child's environment has it


def _exactly(wire: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += wire.recv(count - len(got))
    return got


def _tell_ends(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = reports.pop(pid)
        try:
            os.write(report, TOLD.pack(pid, status))
        except BrokenPipeError:
            pass  # whoever started it has forgotten it
        os.close(report)


# ── a child ──────────────────────────────────────────────────────────────────────────────────────


def _live(wish: dict[str, Any], given: list[int]) -> None:
    """Becomes the command; never returns."""
    try:
        _settle(wish, given)
        sys.argv = [wish["module"], *wish["arguments"]]
        sys.path.insert(0, wish["cwd"])  # as `python -m` does
        runpy.run_module(wish["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(_ended(code))


def _settle(wish: dict[str, Any], given: list[int]) -> None:
    """Takes the streams, folder, environment, session and signals that were asked for, and says that it lives."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in range(STREAMS):
        os.dup2(given[number], number)
    os.dup2(given[STREAMS], STREAMS)
    os.closerange(STREAMS + 1, 256)
    if wish["session"]:
        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if wish["group"] >= 0:
        os.setpgid(0, wish["group"])
    os.chdir(wish["cwd"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    time.tzset()
    _renew_streams()
    os.write(STREAMS, TOLD.pack(os.getpid(), ALIVE))
    os.close(STREAMS)


def _renew_streams() -> None:
    """Those of a Python that starts with these descriptors."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        old = getattr(sys, name)
        lines = number == 2 or (number == 1 and os.isatty(1))
        buffering = 1 if lines else -1
        new = open(number, mode, buffering, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _ended(code: int) -> int:
    """What an interpreter does at its end, but for taking every module apart."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        code = 120  # as Python has it
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    return code


if __name__ == "__main__":
    sys.path.pop(0)  # this folder's names are no modules for a command
    for name in NEEDED:
        importlib.import_module(name)
    _find_out_once()
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
