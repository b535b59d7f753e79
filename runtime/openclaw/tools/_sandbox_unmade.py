"""Empty folders in the place of what must not be made in a workspace, while a command runs that may write there.

The law: they are real, because bubblewrap can only mount over what is there, so everybody sees them meanwhile. They
are marked from their first moment. Whoever needs one holds a lock on it, which ends with the process, however that
ends; without such a lock nobody needs it, and the next who comes by takes it away. What holds anything is not ours
any more. Nobody is waited for, but for those who are just taking one away.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from openclaw.words import Confinement

_OURS = 0o1700  # the mode of an empty folder that was put there by us; nobody else makes one like it
_TIME = 981_173_106_070_900_500  # its time, in ns, which tells it where the disk knows no modes
_PATIENCE = 0.05  # seconds
_UNMADE = (
    ".git", ".gitattributes", ".gitmodules", ".gitconfig", ".env", ".envrc", ".mcp.json", ".vscode", ".husky",
    ".claude", ".cursor", ".codex", ".gemini", ".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".ssh",
)  # fmt: skip
_NEVER = (".git", ".env", ".ssh")  # not even where settings may change
_GIT_UNMADE = ("hooks", "config.worktree")


@dataclass(slots=True)
class _Held:
    descriptor: int
    users: int = 0


@dataclass(slots=True)
class Placed:
    """Used by several threads."""

    _held: dict[Path, _Held] = field(default_factory=dict)
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def place(self, confinement: Confinement) -> tuple[Path, ...]:
        """What cannot be made from now on, until it is given to `release`. Raises OSError."""
        if is_home(confinement.workspace):  # whose owner lives in it, and would find `.bashrc` and `.ssh` to be folders
            return ()
        placed: list[Path] = []
        with self._turn:
            try:
                placed += filter(self._hold, _missing(confinement))
            except OSError:
                self.release(placed)
                raise
        return tuple(placed)

    def release(self, placed: Iterable[Path]) -> None:
        with self._turn:
            for path in placed:
                held = self._held[path]
                held.users -= 1
                if not held.users:
                    del self._held[path]
                    _let_go(path, held.descriptor)

    def sweep(self, workspace: Path) -> None:
        """Takes away what a runtime that was killed has left."""
        with self._turn:
            for path in _every(workspace):
                if path not in self._held and is_ours(path):
                    with suppress(OSError):
                        _let_go(path, _opened(path), surely=True)

    def _hold(self, path: Path) -> bool:
        """Whether an empty folder of ours is there now; not where somebody else has just made something."""
        held = self._held.get(path)
        if held is None or not _lies_at(path, held.descriptor):
            descriptor = _made(path)
            if descriptor is None:
                return False
            if held is not None:
                os.close(held.descriptor)
            held = self._held[path] = _Held(descriptor, 0 if held is None else held.users)
        held.users += 1
        return True


def is_vacant(path: Path) -> bool:
    """Whether nothing of anybody's is there: nothing at all, or an empty folder that was put there by us."""
    try:
        status = path.lstat()
        marked = stat.S_IMODE(status.st_mode) & 0o1777 == _OURS or status.st_mtime_ns == _TIME
        return stat.S_ISDIR(status.st_mode) and marked and not any(path.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def is_ours(path: Path) -> bool:
    """Whether it is an empty folder that was put there while a command ran."""
    return is_folder(path) and is_vacant(path)


def is_home(workspace: Path) -> bool:
    home = os.path.expanduser("~")  # noqa: PTH111 - stays as it is for a user who has none, where Path refuses
    return home != "~" and str(workspace) == os.path.realpath(home)


def is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _made(path: Path) -> int | None:
    """The descriptor of an empty folder of ours, locked; None where something else is. Raises OSError."""
    late = time.monotonic() + _PATIENCE
    while True:
        with suppress(FileExistsError, FileNotFoundError):
            path.mkdir(mode=_OURS)
            os.utime(path, ns=(_TIME, _TIME), follow_symlinks=False)
        if not is_vacant(path):
            return None
        try:
            descriptor = _opened(path)
        except FileNotFoundError:  # somebody has just taken it away
            if time.monotonic() > late:
                raise
            continue
        free = _locked(descriptor, fcntl.LOCK_SH) is not False
        if _lies_at(path, descriptor) and (free or time.monotonic() > late):
            return descriptor  # whose lock by others keeps it too
        os.close(descriptor)
        time.sleep(0.001)


def _let_go(path: Path, descriptor: int, *, surely: bool = False) -> None:
    """Takes it away if it is still ours, unless another runtime needs it; closes the descriptor. `surely`: only where
    there are locks to tell that."""
    free = _locked(descriptor, fcntl.LOCK_EX)
    if (free or (free is None and not surely)) and _lies_at(path, descriptor) and is_ours(path):
        with suppress(OSError):
            path.rmdir()
    os.close(descriptor)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _locked(descriptor: int, kind: int) -> bool | None:
    """Whether it could be; None on a disk without locks, where the last of this runtime clears up."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _lies_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def _every(workspace: Path) -> Iterator[Path]:
    if is_folder(workspace / ".git"):
        yield from (workspace / ".git" / name for name in _GIT_UNMADE)
    yield from (workspace / name for name in _UNMADE)


def _missing(confinement: Confinement) -> Iterator[Path]:
    workspace = confinement.workspace
    for name in _UNMADE:
        path = workspace / name
        if name == ".git" and confinement.repository:
            if is_folder(path) and not is_vacant(path):
                inner = (path / each for each in _GIT_UNMADE if each not in confinement.opened)
                yield from filter(is_vacant, inner)
        elif confinement.settings and name not in _NEVER:
            continue
        elif is_vacant(path) and not any(shown.is_relative_to(path) for shown in confinement.shown):
            yield path
