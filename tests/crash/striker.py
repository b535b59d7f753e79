"""`python -m crash.striker WISH ARGUMENT...`: a runtime that is struck at one of its calls to the disk.

It forks, traces the child with ptrace(2), and the child becomes `python -m MODULE ARGUMENT...`. Of all calls of the
runtime's threads those are counted that touch one of the wished folders, in one order over all threads, and one of
them is struck as it is entered: the process is killed, or the call fails without having been made. (strace counts each
thread and each call for itself, so that no number names one call of a whole process; and it stops a process at every
call, where this one has the kernel pick those that matter.)

WISH is JSON: `module`; `folders`; `number`, of the call that is struck, 0 for none; `only`, names of the calls that
are counted, [] for all; `file`, the sort of file of which they are counted, as `kind` has it, "" for all; `error`, the
name of what it fails with, "" for a kill; `report`, a file that gets what was counted and struck. The exit status is
that of the runtime, with 128 added to the number of a signal. What the runtime starts lives on after a kill, and this
process with it. Linux on x86-64 only: calls and registers are named by number.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import re
import runpy
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FD, _PATH, _AT = "fd", "path", "at"  # where a call names its file: a descriptor, a path, or a folder and a path
_X86_64_NUMBERS = {
    _FD: {
        **dict(zip((1, 18, 20, 296, 328), ("write", "pwrite64", "writev", "pwritev", "pwritev2"), strict=True)),
        **dict(zip((74, 75, 277, 306), ("fsync", "fdatasync", "sync_file_range", "syncfs"), strict=True)),
        **dict(zip((77, 285, 73, 72), ("ftruncate", "fallocate", "flock", "fcntl"), strict=True)),
    },
    _PATH: {
        **dict(zip((2, 85, 76, 82, 86), ("open", "creat", "truncate", "rename", "link"), strict=True)),
        **dict(zip((87, 83, 84), ("unlink", "mkdir", "rmdir"), strict=True)),
    },
    _AT: {
        **dict(zip((257, 437, 264, 316), ("openat", "openat2", "renameat", "renameat2"), strict=True)),
        **dict(zip((265, 263, 258), ("linkat", "unlinkat", "mkdirat"), strict=True)),
    },
}
CALLS = {number: (name, where) for where, names in _X86_64_NUMBERS.items() for number, name in names.items()}
_LOCKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW and those of open files: what of fcntl counts
_X86_64 = 0xC000003E
_HERE = 0xFFFFFF9C  # AT_FDCWD

_CONT, _GETREGS, _SETREGS, _SEIZE, _LISTEN, _SYSCALL_INFO = 7, 12, 13, 0x4206, 0x4208, 0x420E
_FOLLOWED = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 7 | 1 << 20  # fork, vfork, clone, seccomp; all end with this process
_EVENT_SECCOMP, _EVENT_STOP = 7, 128
_WALL = 0x40000000
_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_INFO = struct.Struct("=B3xIQQQ6Q")
_REGISTERS = 27 * 8
_RAX, _ORIG_RAX = 10 * 8, 15 * 8

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]


def possible() -> str:
    """Why nothing can be struck here; "" where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "calls are known by their numbers on Linux on x86-64 only"
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return "ptrace is switched off here" if scope.exists() and scope.read_text().strip() == "3" else ""


@dataclass(slots=True)
class Striker:
    """Follows the threads of one process, and of what it starts."""

    wish: dict[str, Any]
    process: int
    seen: list[tuple[int, str, str]] = field(default_factory=list)  # thread, call, file; of every call that counted
    struck: tuple[int, str, str] | None = None
    _processes: dict[int, int] = field(default_factory=dict)  # thread -> its process

    def follow(self) -> int:
        """Until all has ended; the runtime's exit status."""
        status = 0
        while True:
            try:
                thread, state = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return status
            if os.WIFSTOPPED(state):
                self._stopped(thread, state)
            else:
                self._processes.pop(thread, None)
                if thread == self.process:
                    status = os.waitstatus_to_exitcode(state)
                    self._report(status)

    def _stopped(self, thread: int, state: int) -> None:
        event, number = state >> 16, os.WSTOPSIG(state)
        if event == _EVENT_STOP and number in _STOPS:
            _ptrace(_LISTEN, thread)
            return
        if event == _EVENT_SECCOMP and self._of(thread) == self.process:
            self._entered(thread)
        _ptrace(_CONT, thread, 0 if event else number)

    def _of(self, thread: int) -> int:
        if thread not in self._processes:
            try:
                status = Path(f"/proc/{thread}/status").read_text()
            except OSError:  # it was killed meanwhile
                return 0
            self._processes[thread] = int(status.partition("Tgid:")[2].split(None, 1)[0])
        return self._processes[thread]

    def _entered(self, thread: int) -> None:
        buffer = ctypes.create_string_buffer(_INFO.size)
        if _ptrace(_SYSCALL_INFO, thread, _INFO.size, ctypes.addressof(buffer)) < 0:
            return
        _, arch, _, _, number, *arguments = _INFO.unpack(buffer.raw)
        name, where = CALLS[number]
        if arch != _X86_64 or (self.wish["only"] and name not in self.wish["only"]):
            return
        if name == "fcntl" and arguments[1] not in _LOCKS:
            return
        path = _file(thread, where, arguments)
        if path is None or not any(path == one or path.startswith(f"{one}/") for one in self.wish["folders"]):
            return
        if self.wish["file"] not in ("", kind(path)):
            return
        self.seen.append((thread - self.process, name, path))
        if len(self.seen) == self.wish["number"]:
            self.struck = self.seen[-1]
            self._strike(thread)

    def _strike(self, thread: int) -> None:
        if not self.wish["error"]:
            os.kill(self.process, signal.SIGKILL)
            return
        registers = ctypes.create_string_buffer(_REGISTERS)
        _ptrace(_GETREGS, thread, 0, ctypes.addressof(registers))
        struct.pack_into("=q", registers, _ORIG_RAX, -1)  # no call is made
        struct.pack_into("=q", registers, _RAX, -getattr(errno, self.wish["error"]))
        _ptrace(_SETREGS, thread, 0, ctypes.addressof(registers))

    def _report(self, status: int) -> None:
        told = {"status": status, "struck": self.struck, "seen": self.seen}
        Path(self.wish["report"]).write_text(json.dumps(told), "utf-8")


def kind(path: str) -> str:
    """A file of a site by what it is, whatever it is called: below the state folder, or where tools write."""
    found = re.sub(r"^.*?/(?=(state|project/effects)(/|$))", "", path).removeprefix("state/")
    found = re.sub(r"\.\d{8}T\d{6}Z(-\d+)?", ".*", re.sub(r"[0-9a-f]{16,}", "*", found))
    return re.sub(r"%2f[^/]*", "*", re.sub(r"(agent|cron)_\w+", "*", found))


def _ptrace(request: int, thread: int, address: int = 0, value: int = 0) -> int:
    """Below zero where the thread was killed meanwhile. For a plain request the signal is given as `address`."""
    if request == _CONT:
        address, value = 0, address
    result = int(_libc.ptrace(request, thread, address, value))
    if result < 0 and ctypes.get_errno() != errno.ESRCH:
        raise OSError(ctypes.get_errno(), f"ptrace request {request:#x}")
    return result


def _file(thread: int, where: str, arguments: Sequence[int]) -> str | None:
    """What the call is about, as an absolute path; None for what is no file or gone."""
    try:
        if where == _FD:
            return str(Path(f"/proc/{thread}/fd/{arguments[0] & 0xFFFFFFFF}").readlink()).removesuffix(" (deleted)")
        folder = arguments[0] & 0xFFFFFFFF if where == _AT else _HERE
        base = Path(f"/proc/{thread}/{'cwd' if folder == _HERE else f'fd/{folder}'}").readlink()
        return os.path.normpath(base / _text(thread, arguments[1] if where == _AT else arguments[0]))
    except OSError:
        return None


def _text(thread: int, address: int) -> str:
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.fsdecode(os.pread(memory, 4096, address).partition(b"\0")[0])
    finally:
        os.close(memory)


# ── the runtime ──────────────────────────────────────────────────────────────────────────────────


def _filtered() -> None:
    """From now on the kernel stops this process, and all it starts, at the calls that may count, and at no others."""
    load, equal, answer = 0x20, 0x15, 0x06
    numbers = sorted(CALLS)
    allow, trace = len(numbers) + 3, len(numbers) + 4
    lines = [(load, 0, 0, 4), (equal, 0, allow - 2, _X86_64), (load, 0, 0, 0)]
    lines += [(equal, trace - at - 1, 0, number) for at, number in enumerate(numbers, 3)]
    lines += [(answer, 0, 0, 0x7FFF0000), (answer, 0, 0, 0x7FF00000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    fprog = ctypes.create_string_buffer(struct.pack("=H6xQ", len(lines), ctypes.addressof(program)))
    if _libc.prctl(38, 1, None, 0, 0) or _libc.prctl(22, 2, ctypes.addressof(fprog), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter for calls can be set here")


def _live(module: str, go: int) -> None:
    """Becomes the runtime, once it is traced."""
    assert os.read(go, 1)
    os.close(go)
    _filtered()
    sys.argv = [module, *sys.argv[2:]]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _asked_to_end(process: int) -> None:
    with suppress(ProcessLookupError):  # the strike may have ended it in this moment
        os.kill(process, signal.SIGTERM)


def main() -> int:
    wish = json.loads(sys.argv[1])
    go, gone = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(gone)
        _live(wish["module"], go)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: _asked_to_end(process))
    if _ptrace(_SEIZE, process, 0, _FOLLOWED) < 0:
        raise OSError("the runtime ended before it could be traced")
    os.write(gone, b"!")
    status = Striker(wish, process).follow()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    raise SystemExit(main())
