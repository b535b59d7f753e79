"""The writer of logs/audit.jsonl: a few lines at a time, appended, sealed, and divided by size. Synchronous.

Law: what was noted is written in its order, before whatever the disk thread was asked for after it: so a decision is in
the file before the intent that follows from it, and with it before the effect. It is not forced out to the disk: a
process that is killed loses nothing that was handed over, a machine that loses power perhaps the last lines. After
the lines, the anchor of the last of them goes to a file outside of the folder. Where that does not fit what is there
when the writer begins, because lines are lost or were changed, or it cannot be read, a line of its own says so.
On a full disk a bunch is written as a whole or not at all, and is brought again.
Runs in the disk thread alone; the form of a line is `openclaw.audit`'s.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from openclaw import audit
from openclaw.errors import DiskFull
from openclaw.stores._files import NO_SPACE, Files, lacking

LARGEST = 16 << 20  # bytes of one part
_TAIL = 1 << 20  # bytes in which the last line is sought first


class Trail:
    def __init__(
        self, folder: Path, largest: int = LARGEST, *, head: Path | None = None, files: Files | None = None
    ) -> None:
        self._folder = folder
        self._files = files or Files()
        self._head_path = head
        self._head: int | None = None
        self._largest = largest
        self._file: int | None = None
        self._size = 0
        self._next = 1
        self._before = audit.GENESIS

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        if self._file is None:
            try:
                self._open()
            except DiskFull:
                self._drop()
                raise
        if self._size >= self._largest:
            self._divide()
        self._write(records)

    def close(self) -> None:
        if self._file is not None:
            self._files.sync(self._file)
            self._drop()

    def _drop(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._head is not None:
            os.close(self._head)
            self._head = None

    def _write(self, records: Sequence[Mapping[str, Any]], *, after: bytes = b"") -> None:
        """All of them, or none where the disk is full: then they are to be brought again."""
        assert self._file is not None
        number, before, lines = self._next, self._before, after
        for record in records:
            line = audit.sealed(record, number, before)
            number, before, lines = number + 1, audit.seal(line), lines + line + b"\n"
        self._files.append(self._file, lines, self._size)
        self._size += len(lines)
        self._next, self._before = number, before
        if self._head is not None:
            self._anchor(self._head)

    def _anchor(self, head: int) -> None:
        """In one write of always the same length: a process that is killed leaves the old one or the new one."""
        with suppress(DiskFull), self._files.roomy():  # then it tells of less than there is, which fits too
            os.ftruncate(head, os.pwrite(head, f"{audit.anchor(self._next - 1, self._before)}\n".encode(), 0))

    def _open(self) -> None:
        """Goes on where the last run ended. A line that it left unfinished gets its end, and a line that says so."""
        self._files.make_folder(self._folder)
        last, torn = self._last()
        ended = audit.parsed(torn) is None  # else the line is whole, and only its end is missing
        last = last if ended else torn
        with self._files.roomy():
            self._file = self._files.open(self._folder / audit.NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._size = os.fstat(self._file).st_size
        if last:
            # Whatever somebody made of it, the chain goes on; `verify` tells where it was broken.
            self._next = (audit.number(audit.parsed(last) or {}) or 0) + 1
            self._before = audit.seal(last)
        lost = self._lost(begun=bool(last or torn)) if self._head_path is not None else None
        if self._head_path is not None:
            with self._files.roomy():
                self._head = self._files.open(self._head_path, os.O_RDWR | os.O_CREAT)
        note: dict[str, Any] = {"type": audit.TORN}
        if torn and ended:
            self._before = audit.over(self._before, torn)
            note["bytes"] = len(torn)
        if lost is not None:
            self._next += lost
            note |= {"type": audit.LOST, "lines": lost}
        # In one write with the end of a torn line; and an anchor is there before the first line.
        self._write([note] if len(note) > 1 else [], after=b"\n" if torn else b"")
        if self._head is not None:
            self._files.sync(self._head)

    def _lost(self, *, begun: bool) -> int | None:
        """How many lines the anchor knows that are not there; 0 where it fits nothing, None where all is well."""
        assert self._head_path is not None
        try:
            known = audit.head(self._head_path)
        except ValueError as error:
            _raise_failure(error)
            return 0
        if known is None:
            return 0 if begun else None
        number, seal = known
        if number >= self._next:
            return number - self._next + 1
        return None if number == 0 or seal == self._seal(number) else 0

    def _seal(self, number: int) -> str:
        """That of a line near the end; "" where it is not there."""
        for path in reversed(audit.files(self._folder)):
            for line in reversed(_end(path).split(b"\n")):
                found = audit.number(audit.parsed(line) or {})
                if found is not None and found <= number:
                    return audit.seal(line) if found == number else ""
        return ""

    def _last(self) -> tuple[bytes, bytes]:
        """The last whole line, of whichever part, and what of a line stands after it."""
        torn = b""
        for path in reversed(audit.files(self._folder)):
            *lines, rest = _end(path).split(b"\n")
            torn = torn or rest
            whole = next((line for line in reversed(lines) if audit.parsed(line) is not None), None)
            if whole is not None:
                return whole, torn
        return b"", torn

    def _divide(self) -> None:
        """The part is full: it gets a number, and the chain goes on in a new one."""
        assert self._file is not None
        self._files.sync(self._file)
        os.close(self._file)
        self._file = None
        numbers = [audit.part_number(path.name) or 0 for path in audit.files(self._folder)]
        with self._files.roomy():
            self._files.rename(self._folder / audit.NAME, self._folder / audit.part(max(numbers, default=0) + 1))
        self._files.sync_folder(self._folder)
        with self._files.roomy():
            self._file = self._files.open(self._folder / audit.NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._size = 0


def _raise_failure(error: ValueError) -> None:
    """Where it is the disk that could not be read, nothing is known of what stands there."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in NO_SPACE:
        raise lacking(cause) from error
    if isinstance(cause, OSError) and cause.errno == errno.EIO:
        raise cause


def _end(path: Path) -> bytes:
    """The end of a file, from a line's beginning on: all of a small one, and of any as much as holds a whole line."""
    size, take = path.stat().st_size, _TAIL
    with path.open("rb") as file:
        while True:
            file.seek(max(size - take, 0))
            end = file.read()
            if take >= size or end.count(b"\n") > 1:
                return end if take >= size else end.partition(b"\n")[2]
            take *= 4
