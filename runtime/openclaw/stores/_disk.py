"""The one thread that writes to the disk, and one for those who only read much of it.

Law: what was asked of `Disk.run` is done, in order, even if the asker was cancelled meanwhile; so a
cancelled `append` was written. After a failed write or fsync nothing on disk can be trusted to be what
the page cache says: `Disk` refuses all further work, and the process must start again from disk. A disk that is
merely full (`DiskFull`) took nothing, and goes on. Knows nothing of messages or transcripts.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from openclaw.errors import StateError, StorageFailed

T = TypeVar("T")
Args = TypeVarTuple("Args")

_ROOM = 1 << 20  # bytes below which a disk counts as full: a database needs tens of KiB merely to be opened


def thread() -> Executor:
    return ThreadPoolExecutor(1, thread_name_prefix="disk")


class Disk:
    """`executor` makes what does the work: one thing after another, all of it in one thread."""

    def __init__(self, executor: Callable[[], Executor] = thread) -> None:
        self._executor = executor
        self._thread: Executor | None = None
        self._reader: Executor | None = None
        self._failure: str | None = None

    def start(self) -> None:
        self._thread, self._reader = self._executor(), self._executor()
        self._failure = None

    async def run(self, work: Callable[[*Args], T], *args: *Args) -> T:
        if self._thread is None:
            raise StateError("the store is not open")
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work, *args)
        done.add_done_callback(_heard)
        # Shielded: cancelling the asker must not drop work that is still waiting for the thread.
        return await asyncio.shield(done)

    async def read(self, work: Callable[[*Args], T], *args: *Args) -> T:
        """Beside all else, and only for what waits for nothing and changes nothing: nobody's commit waits for it."""
        if self._reader is None:
            raise StateError("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._reader, work, *args)

    def post(self, work: Callable[[], None]) -> None:
        """The same, and nobody waits for it: a failure is told to whoever asks next. Nothing where it is closed."""
        if self._thread is not None:
            self._thread.submit(partial(self._guarded, work))

    async def finish(self, *last: Callable[[], None]) -> None:
        """Does all that was asked, then `last`, also after a failure; then the thread ends."""
        thread, self._thread = self._thread, None
        reader, self._reader = self._reader, None
        if thread is None or reader is None:
            return
        loop = asyncio.get_running_loop()
        endings = [loop.run_in_executor(thread, work) for work in last]
        outcomes = await asyncio.gather(*endings, return_exceptions=True)
        thread.shutdown(wait=True)
        reader.shutdown(wait=True)
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


def _heard(done: asyncio.Future[Any]) -> None:
    """An asker who was cancelled is not told of a failure; asked for, so that nobody complains of it later."""
    if not done.cancelled():
        done.exception()


def full(folder: Path) -> bool:
    """Whether a failure there may be for want of space, which SQLite often calls an I/O error."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _ROOM
