"""Commands that start warm: a process that has imported the runtime forks one for each command.

`Popen` and `run` are those of `subprocess` for commands of the form `python -m MODULE ARGUMENT...`. What they start is
a process of its own, with its own streams, folder, environment, signals and end; all it is spared is the start of the
interpreter and the imports, which are most of what a short command costs. So this does not tell how a start looks from
outside (what is imported when, `PYTHON...` variables, the locale): such a test starts Python itself.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

LENGTH = struct.Struct("!I")
TOLD = struct.Struct("!ii")  # process id and wait status; no status while it lives
ALIVE = -1
_NURSERY = Path(__file__).with_name("nursery.py")
_lock = threading.Lock()
_nursery: tuple[subprocess.Popen[bytes], socket.socket] | None = None


class Popen(subprocess.Popen[Any]):
    """A forked command. It takes what `subprocess.Popen` takes, as far as tests use it."""

    _close_pipe_fds: Callable[..., None]
    _handle_exitstatus: Callable[[int], None]
    _waitpid_lock: threading.Lock

    def _execute_child(self, args: list[str], *more: Any) -> None:
        """In place of fork and exec; the pipes are made, and kept or closed, by the class above."""
        _, _, _, _, cwd, env, _, _, shell, *pipes = more[:15]
        start_new_session, process_group = more[-2:]
        assert args[:2] == [sys.executable, "-m"] and not shell, args
        child_in, _, _, child_out, _, child_err = pipes
        streams = [own if given == -1 else given for own, given in enumerate((child_in, child_out, child_err))]
        report, told = os.pipe()
        self._report = io.FileIO(report)
        try:
            _ask(
                {
                    "module": args[2],
                    "arguments": [os.fspath(word) for word in args[3:]],
                    "cwd": os.fspath(cwd or Path.cwd()),
                    "environment": dict(os.environ if env is None else env),
                    "session": start_new_session,
                    "group": process_group,
                },
                [*streams, told],
            )
        finally:
            os.close(told)
            self._close_pipe_fds(*pipes)
        self.pid, status = TOLD.unpack(self._report.read(TOLD.size))
        assert status == ALIVE, f"{args} could not be started: status {status}"
        self._child_created = True

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid == self.pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _try_wait(self, flags: int) -> tuple[int, int]:
        """As `os.waitpid`, which knows one's own children only."""
        if self.returncode is not None:
            return self.pid, 0
        if flags == os.WNOHANG:
            ready = select.poll()  # unlike `select`, it takes any descriptor
            ready.register(self._report, select.POLLIN)
            if not ready.poll(0):
                return 0, 0
        pid, status = TOLD.unpack(self._report.read(TOLD.size))
        self._report.close()
        return pid, status


def run(
    args: list[str], *, input: str | bytes | None = None, timeout: float | None = None, check: bool = False, **more: Any
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`, with the output always captured."""
    source: dict[str, Any] = {} if input is None else {"stdin": subprocess.PIPE}
    with Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **{**more, **source}) as process:
        try:
            out, errors = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(args, process.returncode, out, errors)
    if check:
        done.check_returncode()
    return done


def _ask(wish: dict[str, Any], descriptors: list[int]) -> None:
    body = json.dumps(wish).encode()
    with _lock:
        wire = _opened()
        socket.send_fds(wire, [LENGTH.pack(len(body))], descriptors)
        wire.sendall(body)


def _opened() -> socket.socket:
    """The way to this test process's own nursery, which is opened by the first command."""
    global _nursery
    if _nursery is None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, str(_NURSERY), str(theirs.fileno())]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd="/"
            )
        _nursery = process, ours
    return _nursery[1]


def close() -> None:
    """Ends the nursery, if there is one. What it started goes on."""
    global _nursery
    if _nursery is not None:
        process, wire = _nursery
        wire.close()
        _nursery = None
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
