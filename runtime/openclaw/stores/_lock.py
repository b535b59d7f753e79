"""One runtime per state folder: a lock that the kernel frees when its holder dies.

The file keeps the holder's process id for whoever comes second. A file that nobody holds means nothing,
so a lock left behind by a crash is taken at once.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from openclaw.errors import DiskFull, StateError, StateLocked
from openclaw.stores._disk import full
from openclaw.stores._files import Files


class Lock:
    """`<folder>/lock`; `take` makes the folder."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        self._files = files
        self._file: int | None = None

    def take(self) -> None:
        """Raises StateLocked naming the holder, or StateError where the folder cannot be used at all."""
        file = self._create()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            pid = _holder(file)
            os.close(file)
            who = f"process {pid}" if pid else "another process"
            raise StateLocked(
                f"the state folder {self._folder} is in use by {who}; stop it first, or choose another with --state",
                pid,
            ) from None
        except OSError as error:
            os.close(file)
            raise _unusable(self._folder, error) from error
        self._file = file

    def release(self) -> None:
        """The file stays: unlinking it would let two holders lock two files of one name."""
        if self._file is not None:
            with suppress(OSError):  # what stands in a file that nobody holds means nothing
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def _create(self) -> int:
        try:
            self._files.make_folder(self._folder)
            return self._files.open(self._folder / "lock", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise _unusable(self._folder, error) from error
        except DiskFull as error:
            raise StateError(f"the state folder {self._folder} cannot be made: {error}") from error


def _holder(file: int) -> int | None:
    text = os.pread(file, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _unusable(folder: Path, error: OSError) -> StateError:
    why = (error.strerror or str(error)).lower()
    cure = "free some space on its disk" if full(folder) else "make it a folder this user can write to"
    return StateError(f"the state folder {folder} cannot be used: {why}; {cure}, or choose another with --state")
