"""What holds commands back on this machine: chosen by trying it out, and put around every program.

The law: a mechanism counts only after a program that it held tried to get out and could not: it is started exactly
as commands are. First bubblewrap, then Landlock, then nothing; what that means is for decisions to say. Asked once
and then remembered. Knows no rules and no tools.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import logging
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from openclaw.errors import ToolError
from openclaw.permissions.facts import BUBBLEWRAP, LANDLOCK, NO_WALLS, TRUSTED_PATH, Disk, Walls
from openclaw.tools import _sandbox_bubblewrap, _sandbox_landlock, _sandbox_seatbelt
from openclaw.tools._sandbox_bubblewrap import Bubblewrap
from openclaw.tools._sandbox_masks import Guards, Masks
from openclaw.words import Confinement, Step

log = logging.getLogger(__name__)

PROCESSES = 512  # of one command line
MEMORY = 4 * 2**30  # bytes of one program's own memory
FILE = 4 * 2**30  # bytes of one file it writes
OPEN = 4096  # files it holds open

_PREFIX = "openclaw-sandbox-"
_MEMORY = "/dev/shm"  # a disk of memory, where hundreds of links are made in a hundredth of a second
_ROOM = 16 * 2**20  # bytes that must be free there: what is copied is a tenth of it
_YOUNG = 60  # seconds in which a folder may not have its lock yet
_LAUNCHER = Path(_sandbox_landlock.__file__)
# Of /proc not the processes: this mechanism does not keep their environment from who may see them.
_PROC = ("self", "cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys", "uptime", "version")
_WRITABLE_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


@dataclass(frozen=True, slots=True)
class Launch:
    """How one program is really started."""

    argv: tuple[str, ...]
    program: str
    environment: Mapping[str, str]
    shelled: bool = False  # it ends as in a shell: 128 and the signal


@dataclass(slots=True)
class Box:
    """What was put together for one command line; `close` takes all of it away again."""

    sandbox: Sandbox
    confinement: Confinement
    masks: Masks = field(default_factory=Masks)
    tmp: Private | None = None
    made: tuple[Path, ...] = ()  # what is protected and came to be meanwhile; known when it was closed

    def launch(self, step: Step, cwd: Path, environment: Mapping[str, str], seconds: float) -> Launch:
        argv, program = step.argv, step.program
        tmp = None if self.tmp is None else self.tmp.folder
        match "none" if step in self.confinement.around else self.confinement.mechanism:
            case "bubblewrap":
                bwrap = self.sandbox.bubblewrap(seconds)
                line = bwrap.argv(self.confinement, self.masks, cwd, argv, program, tmp)
                return Launch(tuple(line), bwrap.program, environment, shelled=True)
            case "landlock":
                assert tmp is not None
                line = _landlocked(self.confinement, tmp, step, seconds)
                return Launch(tuple(line), line[0], {**environment, "TMPDIR": str(tmp)})
            case "seatbelt":
                assert tmp is not None
                line = _sandbox_seatbelt.argv(self.confinement, tmp, program, argv)
                return Launch(tuple(line), line[0], {**environment, "TMPDIR": str(tmp)})
            case _:
                return Launch(argv, program, environment)

    def close(self) -> None:
        self.sandbox.guards.release(self.masks)
        if self.tmp is not None:
            self.tmp.close()
        if self.confinement.mechanism == "bubblewrap":
            self.made = self.sandbox.guards.made(self.confinement, self.masks)
        if self.made:
            log.info("protected files came to be while a command ran: %r", [*map(str, self.made)])


@dataclass(frozen=True, slots=True)
class Private:
    """A folder of this process. Its lock tells others that somebody lives who uses it, and ends with the process."""

    folder: Path
    descriptor: int

    @classmethod
    def made(cls, *, small: bool = False) -> Private:
        """`small`: it will hold little, so it lies in memory where there is a disk of that. Raises OSError."""
        folder = (_in_memory() if small else None) or Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # a disk without locks keeps what is left behind
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        return cls(folder, descriptor)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.descriptor)


class Sandbox:
    """The mechanism of this machine, found out when it is first asked for; `begin` asks ahead of that."""

    def __init__(self, find: Callable[[str], str | None] | None = None) -> None:
        """`find` names the file of a program, or None where it is not installed."""
        self._find = find or _installed
        self._lock = threading.RLock()
        self._walls: Walls | None = None
        self._folder: Private | None = None
        self.guards = Guards()

    def begin(self) -> None:
        """Finds out in the background."""
        threading.Thread(target=self.walls, name="sandbox", daemon=True).start()

    def walls(self) -> Walls:
        """Waits for the answer where it is not known yet: some hundredths of a second, once."""
        known = self._walls
        if known is not None:
            return known
        with self._lock:
            if self._walls is None:
                self._walls = self._chosen()
            return self._walls

    def unsearched(self, workspace: Path, roots: tuple[Path, ...]) -> str:
        """Why not everything that is protected in a workspace can be hidden; empty where it can."""
        return self.guards.missed(workspace, roots) if self.walls().mechanism == "bubblewrap" else ""

    def close(self) -> None:
        """Takes away what was prepared; what is asked afterwards prepares it anew."""
        with self._lock:
            if self._folder is not None:
                self._folder.close()
            self._folder, self._walls = None, None

    def _chosen(self) -> Walls:
        from openclaw.tools._sandbox_trial import holds

        sweep()
        for walls in candidates(self._find):
            if holds(self, walls):
                return walls
        if not threading.main_thread().is_alive():  # the process ends in the middle of it, which proves nothing
            return NO_WALLS
        log.warning("no sandbox works here, so only vetted commands that read run unasked; `openclaw doctor` says more")
        return NO_WALLS

    def box(self, confinement: Confinement, *, several: bool) -> Box:
        """Raises ToolError where the walls that were decided on cannot be put up. `several` programs share a /tmp."""
        box = Box(self, confinement)
        try:
            if confinement.mechanism == "bubblewrap":
                box.masks = self.guards.masks(confinement)
                box.tmp = Private.made() if several else None
            elif confinement.mechanism != "none":
                box.tmp = Private.made()
        except OSError as error:
            box.close()
            raise ToolError(f"the sandbox could not be put up: {error.strerror}; nothing was run") from error
        return box

    def bubblewrap(self, seconds: float) -> Bubblewrap:
        program = self._find("bwrap")
        if program is None:
            raise ToolError("bubblewrap is not installed any more; nothing was run")
        wanted = {"core": 0, "cpu": _cpu(seconds), "fsize": FILE, "nofile": OPEN, "data": MEMORY, "nproc": PROCESSES}
        limits = _sandbox_bubblewrap.limits({"prlimit": self._find("prlimit")}, wanted.items())
        return Bubblewrap(program, self._prepared(), limits)

    def _prepared(self) -> Path:
        with self._lock:
            if self._folder is None or not (self._folder.folder / "empty").exists():
                self._folder, old = Private.made(small=True), self._folder
                if old is not None:
                    old.close()
                _sandbox_bubblewrap.prepare(self._folder.folder)
            return self._folder.folder


def candidates(find: Callable[[str], str | None] | None = None) -> list[Walls]:
    """What could work here, the strongest first; each has yet to be tried."""
    find = find or _installed
    found = []
    if sys.platform.startswith("linux"):
        if find("bwrap") is not None:
            found.append(BUBBLEWRAP)
        if _sandbox_landlock.version() >= 1:
            found.append(LANDLOCK)
    elif sys.platform == "darwin" and os.access(_sandbox_seatbelt.PROGRAM, os.X_OK):
        found.append(Walls("seatbelt", masks=True, network=True))
    return found


def _installed(name: str) -> str | None:
    """Sought where commands are sought, and taken only if nobody but root can exchange it."""
    found = Disk(TRUSTED_PATH).find_program(name)
    return found.path if found is not None and found.trusted else None


def _landlocked(confinement: Confinement, tmp: Path, step: Step, seconds: float) -> list[str]:
    workspace = str(confinement.workspace)
    etc = [f"/etc/{name}" for name in _sandbox_bubblewrap.ETC]
    proc = [f"/proc/{name}" for name in _PROC]
    shown = [str(path) for path in confinement.shown if len(path.parts) > 1]
    limits = {"CORE": 0, "CPU": _cpu(seconds), "FSIZE": FILE, "NOFILE": OPEN, "DATA": MEMORY}
    read = [*_sandbox_bubblewrap.SYSTEM, *etc, *proc, "/dev", "/sys", step.program, workspace, *shown]
    write = [*_WRITABLE_DEVICES, str(tmp), *([workspace] if confinement.writable else [])]
    wanted = [
        *(f"read={path}" for path in read),
        *(f"write={path}" for path in write),
        f"network={int(confinement.network)}",
        f"processes={PROCESSES}",
        *(f"{name}={value}" for name, value in limits.items()),
    ]
    python = os.path.realpath(sys.executable)
    return [python, "-I", "-S", str(_LAUNCHER), *wanted, "--", step.program, *step.argv]


def _cpu(seconds: float) -> int:
    return math.ceil(seconds) + 5


def _in_memory() -> Path | None:
    """A new folder there, where there is room."""
    with suppress(OSError):
        disk = os.statvfs(_MEMORY)
        if disk.f_bavail * disk.f_frsize >= _ROOM:
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_MEMORY))
    return None


def sweep(young: float = _YOUNG) -> None:
    """Takes away what processes of ours that were killed have left: what nobody holds the lock of any more."""
    for place in dict.fromkeys((tempfile.gettempdir(), _MEMORY)):
        for folder in Path(place).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                _sweep_away(folder, young)


def _sweep_away(folder: Path, young: float) -> None:
    status = folder.lstat()
    if status.st_uid != os.getuid() or time.time() - status.st_ctime < young:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


@functools.cache
def shared() -> Sandbox:
    """The one of this process: what holds on a machine holds for everything that runs on it."""
    sandbox = Sandbox()
    atexit.register(sandbox.close)
    return sandbox
