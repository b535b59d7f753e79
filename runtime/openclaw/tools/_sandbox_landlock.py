"""Landlock, as a program: restricts itself and then becomes the program it is told to run. Imports nothing of ours.

    python -I -S _sandbox_landlock.py [read=PATH | write=PATH | network=1 | processes=N | CPU=N]... -- PROGRAM ARGV...

The law: what cannot be restricted is not run. It ends when its parent does. Knows nothing of masks: a folder that may
be read may be read whole. UDP and sockets that are files stay open to it, which is why nothing that counts on them runs
unasked. It imports as little as it can, because every command waits for that.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_EVERYTHING = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FROM_FIVE = (1 << 16) - 1
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | (1 << 14) | (1 << 15)
_TCP = 3  # bind and connect
_SCOPES = 3  # abstract sockets and signals
_SIGKILL = 9
_NO_NEW_PRIVILEGES, _END_WITH_PARENT, _ADOPT = 38, 1, 36


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def version() -> int:
    """The version of the interface that this kernel speaks; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_library().syscall(_CREATE, None, 0, 1)))


def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def restrict(read: Sequence[str], write: Sequence[str], network: bool) -> None:
    """Holds this thread, and all it becomes and starts, to these paths. Raises OSError where that cannot be done."""
    spoken = version()
    if spoken < 1:
        raise OSError("this kernel has no Landlock")
    library = _library()
    everything = _EVERYTHING.get(spoken, _FROM_FIVE)
    rules = _Ruleset(everything, _TCP if spoken >= 4 and not network else 0, _SCOPES if spoken >= 6 else 0)
    size = {True: 8, spoken >= 4: 16, spoken >= 6: 24}[True]
    ruleset = _checked(library.syscall(_CREATE, ctypes.byref(rules), size, 0))
    for path in read:
        _allow(library, ruleset, path, everything & (_EXECUTE | _READ_FILE | _READ_DIR))
    for path in write:
        _allow(library, ruleset, path, everything)
    _checked(library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(library.syscall(_RESTRICT, ruleset, 0))
    os.close(ruleset)


def _allow(library: Any, ruleset: int, path: str, allowed: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - nothing is imported that is not needed
            allowed &= _ON_FILES
        rule = _Beneath(allowed, folder)
        _checked(library.syscall(_ADD, ruleset, 1, ctypes.byref(rule), 0))
    finally:
        os.close(folder)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def _processes(user: int) -> int:
    """How many threads this user has by now: the kernel counts all of them, not only ours. Root is not counted."""
    threads = 0
    for name in os.listdir("/proc"):  # noqa: PTH208 - nothing is imported that is not needed
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:  # noqa: PTH116
                threads += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
        except OSError:
            continue
    return threads


def main(wanted: Sequence[str], program: str, argv: Sequence[str]) -> None:
    parent = os.getppid()
    _library().prctl(_END_WITH_PARENT, _SIGKILL, 0, 0, 0)
    _library().prctl(_ADOPT, 1, 0, 0, 0)  # what its children leave behind stays with it, where it can be found
    if os.getppid() != parent:
        os._exit(1)  # it ended before it could be watched
    processes = _processes(os.getuid())
    told = [(name, value) for name, _, value in (each.partition("=") for each in wanted)]
    network = ("network", "1") in told
    restrict([v for name, v in told if name == "read"], [v for name, v in told if name == "write"], network)
    for name, text in told:
        if not name.isupper() and name != "processes":
            continue
        name, value = ("NPROC", processes + int(text)) if name == "processes" else (name, int(text))
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (least, least))
    os.execv(program, list(argv))


if __name__ == "__main__":
    given = sys.argv.index("--")
    try:
        main(sys.argv[1:given], sys.argv[given + 1], sys.argv[given + 2 :])
    except OSError as problem:
        print(f"{sys.argv[given + 2]}: could not be started: {problem.strerror or problem}", file=sys.stderr)
        sys.exit(126)
