"""Space on the disk: a little of it is set aside, so that what was begun can be ended when the disk is full.

Law: only `essential` work gets the reserve: what ends a turn, settles a message or tells of a delivery. As long as it
is spent nothing new is taken in, and it is set aside again as soon as there is room. Who fills the disk is often
somebody else, so even essential work may find no room: then it is `DiskFull`, with nothing written.
Runs in the disk thread alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from openclaw.errors import DiskFull
from openclaw.stores._files import NO_SPACE, Files

RESERVE = 1 << 20  # bytes, of a disk that has eight times as much left
_SHARE = 8
_PROBE = 128 << 10  # bytes that must fit before a full disk counts as one that has room again

P = ParamSpec("P")
T = TypeVar("T")


class Room:
    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        self._path = folder / "reserve"
        self._files = files
        self._size = 0  # of the reserve; 0 on a disk that is too small for one
        self.spent = False
        self._full = False  # since something did not fit

    def open(self) -> None:
        """On a disk that is full already there is no reserve until there is room."""
        self._size = self._share()
        self.spent = not self._set_aside()

    def there(self) -> bool:
        """Whether something new fits. Asks the disk itself where it was full last: a quota is seen by nothing else."""
        if self._full or self.spent:
            self._full = self.lacking()
            self._size = self._size or self._share()
            self.spent = self._full or not self._set_aside()
        return not self.spent

    def lacking(self) -> bool:
        """Whether nothing fits at present, whatever a failure was called."""
        return not self._fits("probe", _PROBE, keep=False)

    def _share(self) -> int:
        disk = os.statvfs(self._folder)
        had = self._path.stat().st_blocks * 512 if self._path.exists() else 0
        return min(RESERVE, (disk.f_bavail * disk.f_frsize + had) // _SHARE)

    def new(self, work: Callable[P, T]) -> Callable[P, T]:
        """Work that begins something: not while the reserve is spent, which is not there for it."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            if self.spent and not self.there():
                raise DiskFull("the disk is full; free some space, and it goes on")
            return self._tried(work, *args, **kwargs)

        return guarded

    def essential(self, work: Callable[P, T]) -> Callable[P, T]:
        """Work that ends something: where it does not fit, the reserve is given up for it."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return self._tried(work, *args, **kwargs)
            except DiskFull:
                if not self._give_up():
                    raise
            return self._tried(work, *args, **kwargs)

        return guarded

    def _tried(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except DiskFull:
            self._full = True
            raise

    def _give_up(self) -> bool:
        if self.spent or not self._path.exists():
            return False
        self.spent = True
        self._files.unlink(self._path)
        return True

    def _set_aside(self) -> bool:
        if self._size == 0 or (self._path.exists() and self._path.stat().st_size >= self._size):
            return True
        return self._fits(self._path.name, self._size, keep=True)

    def _fits(self, name: str, size: int, *, keep: bool) -> bool:
        path, fits = self._folder / name, False
        try:
            file = self._files.open(path, os.O_WRONLY | os.O_CREAT)
            try:
                self._files.allocate(file, size)
                fits = True
            finally:
                os.close(file)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
        if not (fits and keep):
            with suppress(FileNotFoundError):
                self._files.unlink(path)
        return fits
