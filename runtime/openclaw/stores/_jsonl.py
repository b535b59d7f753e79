"""sessions/<key>.jsonl: one append-only file a session, that people can read. Synchronous.

Law: a line is never changed. `append` returns when its lines are on disk, with one fdatasync. The first
line names key and version: another key is refused, a newer version is refused and left as it is. What a
crash tore off the end, or a disk damaged in the middle, is kept beside in `<name>.damaged` and reported;
every whole line is still served. Runs in the disk thread alone; knows nothing of what entries mean.
"""

from __future__ import annotations

import gc
import logging
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from openclaw.clock import Clock
from openclaw.errors import OpenClawError, StateError, StateTooNew
from openclaw.messages import Entry
from openclaw.names import file_name
from openclaw.stores import _codec as codec
from openclaw.stores._files import NO_SPACE, Files, lacking, read
from openclaw.stores._pruning import let_go, outdated

VERSION = 1
OPEN_FILES = 64
_BAD_LINE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)

log = logging.getLogger("openclaw.stores")


@dataclass(frozen=True, slots=True)
class Header:
    key: str
    version: int


@dataclass(slots=True)
class _Hot:
    """A file kept open. As long as it is the same file with the same size, nobody else has written to it."""

    descriptor: int
    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a transcript that could not be read. `line` is 1-based; the bytes are kept in `kept`."""

    file: str
    line: int
    size: int  # bytes
    kept: str


class Transcripts:
    def __init__(self, folder: Path, clock: Clock, damage: list[Damage], files: Files) -> None:
        self._folder = folder
        self._clock = clock
        self._files = files
        self._damage = damage
        self._hot: OrderedDict[str, _Hot] = OrderedDict()  # by session, least recently used first

    def open(self) -> None:
        self._files.make_folder(self._folder / "archive")

    def close(self) -> None:
        while self._hot:
            os.close(self._hot.popitem()[1].descriptor)

    def append(self, session: str, entries: Sequence[Entry]) -> None:
        # Made before the file is touched: what cannot be written must not leave half a batch.
        lines = b"".join(codec.dumps(codec.entry_json(entry)) + b"\n" for entry in entries)
        if not lines:
            return
        file = self._file(session)
        self._files.append(file.descriptor, lines, file.size)
        self._files.sync_content(file.descriptor)
        file.size += len(lines)

    def load(self, session: str) -> Sequence[Entry]:
        path = self._path(session)
        if not path.exists():
            return []
        self._mend(path, session)
        content = _read(path)
        found = _all_whole(content)
        if found is None:
            _, *lines, _ = content.split(b"\n")
            found = list(self._entries(path, lines))
        return found

    def archive(self, session: str) -> str | None:
        path = self._path(session)
        self._forget(session)
        if not path.exists():
            return None
        self._mend(path, session)
        target = self._archived(path.stem)
        with self._files.roomy():
            self._files.rename(path, target)
        self._files.sync_folder(target.parent)
        self._files.sync_folder(self._folder)
        return target.name

    def outdated(self, now: datetime) -> list[Path]:
        """Archives to be let go of. There may be very many to look at: not for the thread that writes."""
        return outdated(self._folder / "archive", now)

    def let_go(self, archives: Sequence[Path]) -> int:
        return let_go(archives, self._files)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    def _path(self, session: str) -> Path:
        return self._folder / f"{file_name(session)}.jsonl"

    def _file(self, session: str) -> _Hot:
        """Kept open for the sessions in use: opening and checking a file costs more than writing a line."""
        path = self._path(session)
        hot = self._hot.get(session)
        if hot is not None and _unchanged(hot, path):
            self._hot.move_to_end(session)
            return hot
        self._forget(session)
        if path.exists():
            self._mend(path, session)
        else:
            self._files.replace(path, self._header(session))
        return self._open(path, session)

    def _open(self, path: Path, session: str) -> _Hot:
        with self._files.roomy():
            descriptor = self._files.open(path, os.O_WRONLY | os.O_APPEND)
        about = os.fstat(descriptor)
        hot = self._hot[session] = _Hot(descriptor, about.st_ino, about.st_size)
        if len(self._hot) > OPEN_FILES:
            os.close(self._hot.popitem(last=False)[1].descriptor)
        return hot

    def _forget(self, session: str) -> None:
        hot = self._hot.pop(session, None)
        if hot is not None:
            os.close(hot.descriptor)

    def _header(self, session: str) -> bytes:
        at = codec.time_text(self._clock.now())
        line = {"id": self._files.name(), "at": at, "type": "session", "key": session, "version": VERSION}
        return codec.dumps(line) + b"\n"

    def _mend(self, path: Path, session: str) -> None:
        """Checks whose file this is, then leaves it whole: a first line, and a newline at the end."""
        first = first_line(path)
        header = header_from(first)
        if header is not None:
            _check(header, path, session)
        if not _ends_whole(path):
            self._cut_tail(path)
        if header is None:
            self._renew_header(path, session, first)

    def _cut_tail(self, path: Path) -> None:
        """What follows the last newline is half an append that nobody was told had worked. A last line that
        lacks only its newline is whole, because no proper beginning of a JSON object is JSON."""
        content = _read(path)
        whole = content.rfind(b"\n") + 1
        tail = content[whole:]
        if _parsed(tail) is not None:
            content += b"\n"
        else:
            self._keep_aside(path, content.count(b"\n") + 1, tail)
            content = content[:whole]
        self._files.replace(path, content)

    def _renew_header(self, path: Path, session: str, first: bytes) -> None:
        content = _read(path)
        if content:
            self._keep_aside(path, 1, first)
        self._files.replace(path, self._header(session) + content[content.find(b"\n") + 1 :])

    def _entries(self, path: Path, lines: Sequence[bytes]) -> Iterator[Entry]:
        for number, line in enumerate(lines, start=2):
            try:
                yield codec.entry_from(codec.loads(line))
            except _BAD_LINE:
                self._keep_aside(path, number, line)

    def _keep_aside(self, path: Path, line: int, damaged: bytes) -> None:
        """Once only, however often the file is read."""
        aside = path.with_suffix(".damaged")
        if not (aside.exists() and damaged + b"\n" in aside.read_bytes()):
            with self._files.roomy():
                file = self._files.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            try:
                self._files.append(file, damaged + b"\n", os.fstat(file).st_size)
                self._files.sync(file)
            finally:
                os.close(file)
            self._files.sync_folder(self._folder)
        found = Damage(str(path), line, len(damaged), str(aside))
        if found not in self._damage:
            self._damage.append(found)
            log.warning("%s:%d: %d damaged bytes skipped; kept in %s", path, line, len(damaged), aside)

    def _archived(self, name: str) -> Path:
        """Two archives in one second get two names."""
        stamp = self._clock.now().strftime("%Y%m%dT%H%M%SZ")
        target, number = self._folder / "archive" / f"{name}.{stamp}.jsonl", 1
        while target.exists():
            number += 1
            target = target.with_name(f"{name}.{stamp}-{number}.jsonl")
        return target


def _all_whole(content: bytes) -> list[Entry] | None:
    """The entries behind the first line; None where any of it is damaged, so that somebody has to look closely."""
    _, *lines, rest = content.split(b"\n")
    if rest:
        return None
    try:
        with _uncollected():
            return [codec.entry_from(codec.loads(line)) for line in lines]
    except _BAD_LINE:
        return None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector, which would look through all of the many new objects again and again, and find none that
    is gone: that takes as long as making them. Frozen and thawed they count as old, and no young ones are left to look
    through."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if before:
            gc.enable()


def _parsed(line: bytes) -> dict[str, object] | None:
    try:
        value = codec.loads(line)
    except _BAD_LINE:
        return None
    return value if isinstance(value, dict) else None


def header_from(line: bytes) -> Header | None:
    value = _parsed(line) or {}
    key, version = value.get("key"), value.get("version")
    if value.get("type") != "session" or not isinstance(key, str) or not isinstance(version, int):
        return None
    return Header(key, version)


def _check(header: Header, path: Path, session: str) -> None:
    if header.version > VERSION:
        raise StateTooNew(
            f"{path} was written by a newer version (format {header.version}, this one knows {VERSION}); "
            "use that version, or move the file aside to start the session afresh"
        )
    if header.key != session:
        raise StateError(
            f"{path} holds the session `{header.key}` and not `{session}`; give it back its name, or move it aside"
        )


def _unchanged(hot: _Hot, path: Path) -> bool:
    try:
        about = path.stat()
    except FileNotFoundError:
        return False
    return about.st_ino == hot.inode and about.st_size == hot.size


def first_line(path: Path) -> bytes:
    def first() -> bytes:
        with path.open("rb") as file:
            return file.readline().removesuffix(b"\n")

    try:
        return read(first)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read(path: Path) -> bytes:
    try:
        return read(path.read_bytes)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> OpenClawError:
    if error.errno in NO_SPACE:  # some file systems need room even to open what is there
        return lacking(error)
    return StateError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}); mend it, or move it aside")
