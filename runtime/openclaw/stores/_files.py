"""The calls by which a store changes a disk, in one place, so that a simulation can hand in others that fail.

Law: `DiskFull` means that nothing of what was asked is on disk, and that it may be asked again. Every other failure
stays the operating system's own, and `Disk` calls it the end: after a failed sync the page cache cannot be trusted.
What is appended stands after `append` as a whole or not at all; what is replaced is the old or the new file, also
after a power cut. Knows nothing of messages or transcripts.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openclaw.errors import DiskFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Files:
    # ── the calls themselves ─────────────────────────────────────────────────────────────────────

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags, 0o600)

    def write(self, file: int, content: bytes | memoryview) -> int:
        return os.write(file, content)

    def sync(self, file: int) -> None:
        os.fsync(file)

    def sync_content(self, file: int) -> None:
        os.fdatasync(file)

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def allocate(self, file: int, size: int) -> None:
        os.posix_fallocate(file, 0, size)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)

    def commit(self, db: sqlite3.Connection) -> None:
        db.execute("COMMIT")

    def name(self) -> str:
        """One that no other file or session has."""
        return uuid.uuid4().hex

    # ── what is made of them ─────────────────────────────────────────────────────────────────────

    def append(self, file: int, content: bytes, size: int) -> None:
        """Behind the first `size` bytes, which are all there is; not synced."""
        try:
            self._write_all(file, content)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self.truncate(file, size)
            raise lacking(error) from error

    def replace(self, path: Path, content: bytes) -> None:
        """A reader, and a power cut, sees either the old file or the new one, whole."""
        beside = path.with_name(f"{path.name}.new")
        with self.roomy(beside):
            file = self.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                self._write_all(file, content)
                self.sync(file)  # of a file that nobody knows yet: no space for it then is no worse than before
            finally:
                os.close(file)
            self.rename(beside, path)
        self.sync_folder(path.parent)

    def make_folder(self, path: Path) -> None:
        """The folder and its missing parents, for this user alone. An existing one keeps its mode."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            with self.roomy():
                self.folder(folder)
            self.sync_folder(folder.parent)

    def sync_folder(self, path: Path) -> None:
        """Makes the creation or renaming of a file in this folder durable."""
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def roomy(self, half: Path | None = None) -> Iterator[None]:
        """Where there is no space for what is done here, the file `half` goes again, and DiskFull is raised."""
        try:
            yield
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            if half is not None:
                with suppress(FileNotFoundError):
                    self.unlink(half)
            raise lacking(error) from error

    def _write_all(self, file: int, content: bytes) -> None:
        """The kernel may take less than it was given, for example just before the disk is full."""
        rest = memoryview(content)
        while rest:
            rest = rest[self.write(file, rest) :]


def read(file: Callable[[], bytes]) -> bytes:
    """What a disk fails to read it may give the next time, unlike what it fails to write; so it is asked twice."""
    try:
        return file()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    return file()


def lacking(error: OSError) -> DiskFull:
    what = "the quota on the disk is used up" if error.errno == errno.EDQUOT else "the disk is full"
    return DiskFull(f"{what}; free some space, and it goes on")
