"""The index of memories: a SQLite file that may be thrown away at any time, for the files are the truth.

Every look first compares the files of its scope with the index by stat, and reads those that differ; an
index that is missing, damaged or another version's is built anew. Changes nothing but its own file.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from openclaw.beneath import folder as open_folder
from openclaw.beneath import read_all, reading
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.tools import _note as note

SCOPED = ("agents", "people")  # folders that hold one scope in each folder below them
READ = 1 << 20  # bytes of a file that are searched
_VERSION = 2
# A file changed this recently may change again without its time stamp showing it.
_SETTLES = 2_000_000_000  # ns

_SCHEMA = """
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, scope TEXT NOT NULL, stamp TEXT NOT NULL, digest BLOB NOT NULL,
    name TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL, author TEXT NOT NULL, agent TEXT NOT NULL,
    untrusted TEXT NOT NULL);
CREATE INDEX files_scope ON files (scope, created);
CREATE VIRTUAL TABLE words USING fts5 (title, body,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co Cn'");
"""  # the text is words and spaces already (note.comparable), so marks and unknown letters belong to words
_COLUMNS = "path, scope, name, text, created, author, agent, untrusted"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory as found. `key` is its path in the memory folder without `.md`, unique over all scopes."""

    key: str
    scope: str
    name: str
    text: str
    created: datetime
    author: str
    agent: str
    untrusted: str = ""  # the strangers' material that was before whoever saved it


class Index:
    """One connection, to be used from one thread at a time or under `lock`."""

    def __init__(self, folder: Path, file: Path, clock: Clock) -> None:
        self._folder = folder
        self._file = file
        self._clock = clock
        self.lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._stamps: dict[bytes, str] = {}

    def open(self) -> None:
        with self.lock:
            self._connect()

    def close(self) -> None:
        with self.lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def newest(self, scope: str | None, limit: int) -> Sequence[Remembered]:
        """-1 means all."""
        where, given = _within(scope)
        sql = f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY created DESC, path LIMIT ?"
        return self._look(scope, lambda db: [_row(row) for row in db.execute(sql, (*given, limit))])

    def matching(self, scope: str | None, words: Sequence[str], limit: int) -> Sequence[Remembered]:
        """Those that hold one of the words; where none does, those with a word that begins like one."""
        where, given = _within(scope)
        sql = (
            f"SELECT {_COLUMNS} FROM words JOIN files ON files.id = words.rowid WHERE words MATCH ? AND {where} "
            "ORDER BY round(bm25(words, 4.0, 1.0), 3), created DESC, path LIMIT ?"
        )

        def ask(db: sqlite3.Connection) -> Sequence[Remembered]:
            for prefixes in (False, True):
                asked = note.expression(words, prefixes=prefixes)
                if found := [_row(row) for row in db.execute(sql, (asked, *given, limit))]:
                    return found
            return []

        return self._look(scope, ask)

    def _look(self, scope: str | None, question: Callable[[sqlite3.Connection], T]) -> T:
        """Brings the index up to date and asks it; a damaged one is thrown away and built anew, once."""
        with self.lock:
            try:
                return self._asked(scope, question)
            except sqlite3.DatabaseError:
                self._discard()
                return self._asked(scope, question)

    def _asked(self, scope: str | None, question: Callable[[sqlite3.Connection], T]) -> T:
        db = self._db or self._connect()
        self._refresh(db, scope)
        return question(db)

    def _connect(self) -> sqlite3.Connection:
        try:
            db = self._prepared()
        except sqlite3.DatabaseError:
            self._discard()
            db = self._prepared()
        self._db = db
        self._stamps = {bytes(path): stamp for path, stamp in db.execute("SELECT path, stamp FROM files")}
        return db

    def _prepared(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            self._file.chmod(0o600)
            # Losing the cache in a crash costs a rebuild, so nothing waits for the disk.
            db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError("another version's index")
            if version == 0:
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            db.execute("SELECT count(*) FROM words WHERE words MATCH 'a'").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    def _discard(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)

    def _refresh(self, db: sqlite3.Connection, scope: str | None) -> None:
        root = os.path.realpath(self._folder)
        now = int(self._clock.now().timestamp() * 1e9)
        seen: set[bytes] = set()
        changed: list[tuple[bytes, str]] = []
        for path, found in _walk(root, scope):
            seen.add(path)
            stamp = f"{found.st_mtime_ns} {found.st_ctime_ns} {found.st_size} {found.st_ino}"
            if self._stamps.get(path) != stamp:
                settled = found.st_ctime_ns < now - _SETTLES
                changed.append((path, stamp if settled else ""))
        gone = [path for path in self._stamps if path not in seen and scope in (None, _scope_of(path))]
        if changed or gone:
            self._apply(db, root, changed, gone)

    def _apply(
        self, db: sqlite3.Connection, root: str, changed: Sequence[tuple[bytes, str]], gone: Sequence[bytes]
    ) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            for path in gone:
                _forget(db, path)
            for path, stamp in changed:
                _learn(db, root, path, stamp)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        for path in gone:
            del self._stamps[path]
        self._stamps.update(changed)


def parts_of(scope: str) -> tuple[str, ...]:
    """The folders of a scope. Anything but the three forms is refused, so that scopes cannot overlap."""
    parts = tuple(scope.split("/")) if scope else ()
    if parts and (len(parts) != 2 or parts[0] not in SCOPED or parts[1] in ("", ".", "..") or "\0" in parts[1]):
        raise ToolError(f"`{scope}` is no scope of memories; there are agents/<id> and people/<name>")
    return parts


def _within(scope: str | None) -> tuple[str, tuple[str, ...]]:
    if scope is None:
        return "1", ()
    parts_of(scope)
    return "scope = ?", (scope,)


def _scope_of(path: bytes) -> str:
    parts = os.fsdecode(path).split("/")
    return "/".join(parts[:2]) if parts[0] in SCOPED else ""


def _walk(root: str, scope: str | None) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every note of a scope: regular files named *.md, without hidden ones and links."""
    pending = [scope or ""]
    while pending:
        below = pending.pop()
        try:
            entries = os.scandir(f"{root}/{below}" if below else root)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        with closing(entries):
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.name.startswith(".") or (scope == "" and path in SCOPED):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.name.lower().endswith(".md") and (found := _regular(entry)):
                    yield os.fsencode(path), found


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _learn(db: sqlite3.Connection, root: str, path: bytes, stamp: str) -> None:
    """Puts one file into the index, unless its content is there already."""
    name = os.fsdecode(path)
    try:
        with open_folder(Path(root), name.split("/")[:-1]) as at, reading(at, name.rpartition("/")[2], name) as file:
            content, changed = read_all(file, READ), os.fstat(file).st_mtime
    except (OSError, ToolError):  # gone or swapped since it was seen: the next look will tell
        _forget(db, path)
        return
    digest = hashlib.sha256(content).digest()
    known = db.execute("SELECT digest FROM files WHERE path = ?", (path,)).fetchone()
    if known and known[0] == digest:
        db.execute("UPDATE files SET stamp = ? WHERE path = ?", (stamp, path))
        return
    _forget(db, path)
    _insert(db, path, stamp, digest, content.decode("utf-8", "replace"), changed)


def _insert(db: sqlite3.Connection, path: bytes, stamp: str, digest: bytes, content: str, changed: float) -> None:
    scope = _scope_of(path)
    inside = os.fsencode(path).decode("utf-8", "replace").removeprefix(f"{scope}/" if scope else "")
    below, _, last = inside.rpartition("/")
    found = note.read(content, last[:-3], below)
    created = found.created.timestamp() if found.created else changed
    row = (path, scope.encode("utf-8", "replace").decode(), stamp, digest, found.name, found.text, created)
    places = ", ".join("?" * 10)
    id = db.execute(
        f"INSERT INTO files (path, scope, stamp, digest, name, text, created, author, agent, untrusted) "
        f"VALUES ({places})",
        (*row, found.author, found.agent, found.untrusted),
    ).lastrowid
    title = note.comparable(f"{found.name}\n{found.title}")
    db.execute("INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)", (id, title, note.comparable(found.text)))


def _forget(db: sqlite3.Connection, path: bytes) -> None:
    if row := db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone():
        db.execute("DELETE FROM words WHERE rowid = ?", row)
        db.execute("DELETE FROM files WHERE id = ?", row)


def _row(row: Sequence[Any]) -> Remembered:
    path, scope, name, text, created, *origin = row
    return Remembered(os.fsdecode(path)[:-3], scope, name, text, datetime.fromtimestamp(created, UTC), *origin)
