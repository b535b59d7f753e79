"""Empty folders in the place of what must not be made in a workspace, while a command runs that may write there.

The law: they are real, because bubblewrap can only mount over what is there, so everybody sees them meanwhile. Whoever
has placed some holds a lock on the workspace, which ends with the process, however that ends; without such a lock
nobody needs them, and the next who comes by takes them away. What holds anything, or was touched, is not ours any more.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from openclaw.messages import Confinement

OURS = 1_000_000_000  # the time, in ns, that marks an empty folder as put there by us
_UNMADE = (
    ".git", ".gitattributes", ".gitmodules", ".gitconfig", ".env", ".envrc", ".mcp.json", ".vscode", ".husky",
    ".claude", ".cursor", ".codex", ".gemini", ".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".ssh",
)  # fmt: skip
_NEVER = (".git", ".env", ".ssh")  # not even where settings may change
_GIT_UNMADE = ("hooks", "config.worktree")


@dataclass(slots=True)
class _Lock:
    descriptor: int
    users: int = 0


@dataclass(slots=True)
class Placed:
    """Used by several threads."""

    _locks: dict[Path, _Lock] = field(default_factory=dict)
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def place(self, confinement: Confinement) -> tuple[Path, ...]:
        """What cannot be made from now on, until `release` was called as often. Raises OSError."""
        workspace = confinement.workspace
        if is_home(workspace):  # whose owner lives in it, and would find `.bashrc` and `.ssh` to be folders
            return ()
        with self._turn:
            lock = self._locks.get(workspace) or _Lock(_locked(workspace, fcntl.LOCK_SH))
            lock.users += 1
            self._locks[workspace] = lock
            try:
                return tuple(_made(_missing(confinement)))
            except OSError:
                self.release(workspace)
                raise

    def release(self, workspace: Path) -> None:
        with self._turn:
            lock = self._locks.get(workspace)
            if lock is None:
                return
            lock.users -= 1
            if lock.users <= 0:
                del self._locks[workspace]
                _clear(workspace, lock.descriptor)

    def sweep(self, workspace: Path) -> None:
        """Takes away what a runtime that was killed has left."""
        with self._turn, suppress(OSError):
            if workspace not in self._locks and any(map(is_ours, _every(workspace))):
                _clear(workspace, os.open(workspace, os.O_RDONLY | os.O_DIRECTORY))


def is_ours(path: Path) -> bool:
    """Whether it is an empty folder that was put there while a command ran."""
    try:
        status = path.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_mtime_ns == OURS and not any(path.iterdir())
    except OSError:
        return False


def is_home(workspace: Path) -> bool:
    return str(workspace) == os.path.realpath(Path("~").expanduser())


def is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _locked(workspace: Path, kind: int) -> int:
    descriptor = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)
    with suppress(OSError):  # a disk without locks: then the last of this runtime clears up
        fcntl.flock(descriptor, kind)
    return descriptor


def _clear(workspace: Path, descriptor: int) -> None:
    """Takes away all that is ours, unless another runtime needs it; closes the descriptor."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return
    except OSError:
        pass
    for path in filter(is_ours, _every(workspace)):
        with suppress(OSError):
            path.rmdir()
    os.close(descriptor)


def _every(workspace: Path) -> Iterator[Path]:
    if is_folder(workspace / ".git"):
        yield from (workspace / ".git" / name for name in _GIT_UNMADE)
    yield from (workspace / name for name in _UNMADE)


def _made(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            os.utime(path, ns=(OURS, OURS))
        yield path


def _missing(confinement: Confinement) -> Iterator[Path]:
    workspace = confinement.workspace
    for name in _UNMADE:
        path = workspace / name
        if name == ".git" and confinement.repository:
            if is_folder(path):
                inner = (path / each for each in _GIT_UNMADE if each not in confinement.opened)
                yield from filter(_is_missing, inner)
        elif confinement.settings and name not in _NEVER:
            continue
        elif _is_missing(path) and not any(shown.is_relative_to(path) for shown in confinement.shown):
            yield path


def _is_missing(path: Path) -> bool:
    return not os.path.lexists(path) or is_ours(path)
