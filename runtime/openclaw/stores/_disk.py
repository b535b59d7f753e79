"""The one thread that touches the disk, and the few file operations that must survive a power cut.

Law: what was asked of `Disk.run` is done, in order, even if the asker was cancelled meanwhile; so a
cancelled `append` was written. After a failed write or fsync nothing on disk can be trusted to be what
the page cache says: `Disk` refuses all further work, and the process must start again from disk.
Knows nothing of messages or transcripts.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from openclaw.errors import StateError, StorageFailed

T = TypeVar("T")
Args = TypeVarTuple("Args")

_ROOM = 1 << 20  # bytes below which a disk counts as full: a database needs tens of KiB merely to be opened


class Disk:
    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._failure: str | None = None

    def start(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._failure = None

    async def run(self, work: Callable[[*Args], T], *args: *Args) -> T:
        if self._thread is None:
            raise StateError("the store is not open")
        # Shielded: cancelling the asker must not drop work that is still waiting for the thread.
        return await asyncio.shield(
            asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work, *args)
        )

    def post(self, work: Callable[[], None]) -> None:
        """The same, and nobody waits for it: a failure is told to whoever asks next. Nothing where it is closed."""
        if self._thread is not None:
            self._thread.submit(partial(self._guarded, work))

    async def finish(self, *last: Callable[[], None]) -> None:
        """Does all that was asked, then `last`, also after a failure; then the thread ends."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop = asyncio.get_running_loop()
        endings = [loop.run_in_executor(thread, work) for work in last]
        outcomes = await asyncio.gather(*endings, return_exceptions=True)
        thread.shutdown(wait=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise StorageFailed(f"the state folder did not close cleanly ({outcome})") from outcome

    def _guarded(self, work: Callable[[*Args], T], *args: *Args) -> T:
        if self._failure is not None:
            raise StorageFailed(self._failure)
        try:
            return work(*args)
        except (OSError, sqlite3.Error) as error:
            self._failure = f"the disk did not take a write ({error}); end the runtime, mend the disk, start again"
            raise StorageFailed(self._failure) from error


def full(folder: Path) -> bool:
    """Whether a failure there may be for want of space, which SQLite often calls an I/O error."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM


def make_folder(path: Path) -> None:
    """The folder and its missing parents, for this user alone. An existing one keeps its mode."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Makes the creation or renaming of a file in this folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_all(file: int, content: bytes) -> None:
    """The kernel may take less than it was given, for example just before the disk is full."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def replace(path: Path, content: bytes) -> None:
    """A reader, and a power cut, sees either the old file or the new one, whole."""
    beside = path.with_name(f"{path.name}.new")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    beside.replace(path)
    sync_folder(path.parent)
