"""Memories searched with SQLite's FTS5, in a file that may be thrown away at any time.

Ranked by BM25, where a word in a title counts four times; what is new counts a little more: a quarter more on its
first day, half of that a month later. Of equals the newest is first. Where no word fits, beginnings of words do.

In a large collection the words that stand in many notes are left to break ties, as long as rarer ones find enough:
they would cost most of the time and say little.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from openclaw.clock import Clock
from openclaw.tools._search import Learned, Lost, Query, Remembered
from openclaw.tools._search_fts_question import COLUMNS, Question, row_of, scope_word
from openclaw.tools._words import comparable

_VERSION = 6
_MOST = 1000  # files in one statement
_WEIGHTS = "bm25(0.0, 4.0, 1.0)"

_SCHEMA = f"""
CREATE TABLE generation AS SELECT abs(random()) AS number;
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, scope TEXT NOT NULL, stamp INTEGER NOT NULL,
    digest BLOB NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    author TEXT NOT NULL, agent TEXT NOT NULL, untrusted TEXT NOT NULL,
    folder BLOB NOT NULL, length INTEGER AS (length(path)) VIRTUAL,
    whose TEXT NOT NULL, title TEXT NOT NULL, body TEXT);
CREATE VIEW indexed AS SELECT id, whose AS scope, title, coalesce(body, text) AS body FROM files;
CREATE INDEX files_scope ON files (scope, created);
CREATE INDEX files_order ON files (folder, created, length, path);
CREATE VIRTUAL TABLE words USING fts5 (scope, title, body, content = 'indexed', content_rowid = 'id',
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co Cn So'");
INSERT INTO words (words, rank) VALUES ('rank', '{_WEIGHTS}');
INSERT INTO words (words, rank) VALUES ('hashsize', {32 << 20});
"""
# `hashsize`: bytes of new words that are held until they are written. `body` holds a text that is not ASCII as words
# and spaces (`comparable`), so that marks and letters unknown here belong to words; ASCII is searched as it is.
_FILE = (
    "id, path, scope, stamp, digest, name, text, created, updated, author, agent, untrusted, folder, whose, title, body"
)
_FILE_MARKS = ", ".join("?" * (_FILE.count(",") + 1))
# Trouble that says nothing about what is in the file.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
    }
)  # fmt: skip

T = TypeVar("T")


class Search:
    def __init__(self, file: Path, clock: Clock, *, beside: bool = False) -> None:
        """`beside`: not in this file but in one of the same folder that has no name, gone when it is closed."""
        self._file = file
        self._beside = beside
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._inode = self._generation = 0
        self._prevailing: dict[str, tuple[int, bool]] = {}

    def open(self) -> None:
        if self._db is not None:
            return
        if self._beside:
            self._db = _nameless(self._file.parent)
            return
        try:
            self._db = _prepared(self._file)
        except sqlite3.DatabaseError as error:
            if not _damaged(error):
                raise
            self._discard()
            self._db = _prepared(self._file)
        self._inode, self._generation = self._file.stat().st_ino, _generation(self._db)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def stamps(self) -> Mapping[bytes, int]:
        return self._with(lambda db: dict(db.execute("SELECT path, stamp FROM files")))

    def update(self, learned: Sequence[Learned], gone: Sequence[bytes]) -> None:
        def write(db: sqlite3.Connection) -> None:
            with _transaction(db):
                for path in gone:
                    _forget(db, path)
                for start in range(0, len(learned), _MOST):
                    _learn(db, learned[start : start + _MOST])

        self._with(write)

    def clear(self) -> None:
        """Zeroes what was there, for whoever reads the file as it is; others find another generation of it."""

        def empty(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA secure_delete = ON")
            with _transaction(db):
                for table in ("TABLE words", "VIEW indexed", "TABLE files", "TABLE generation"):
                    db.execute(f"DROP {table}")
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
            self._generation = _generation(db)
            for pragma in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                db.execute(pragma).fetchall()

        self._with(empty)

    def anew(self) -> Self:
        return type(self)(self._file, self._clock, beside=True)

    def become(self, other: Self) -> None:
        """Copies the other file into this one as one change: no name is moved, so that nobody finds the two mixed."""
        assert other._db is not None
        fresh = other._db

        def copy(db: sqlite3.Connection) -> None:
            fresh.backup(db)
            self._generation = _generation(db)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        self._with(copy)

    def newest(self, scope: str | None, limit: int) -> Sequence[Remembered]:
        where, given = ("1", ()) if scope is None else ("scope = ?", (scope,))
        sql = f"SELECT {COLUMNS} FROM files WHERE {where} ORDER BY created DESC, path LIMIT ?"
        return self._with(lambda db: [row_of(row) for row in db.execute(sql, (*given, limit))])

    def matching(self, scope: str | None, query: Query, limit: int, around: int) -> Sequence[Remembered]:
        now = self._clock.now().timestamp()
        return self._with(lambda db: Question(db, scope, query, limit, now, self._prevails).answer(around))

    def _prevails(self, scope: str, largest: int) -> bool:
        """Whether most notes are of this scope, so that looking for its word costs more than leaving others out.
        That costs time and no truth where it is answered wrongly, so it is found out anew only now and then."""
        known, answer = self._prevailing.get(scope, (0, False))
        if not 0.95 * largest <= known <= largest and self._db is not None:
            sql = "SELECT count(*) FROM (SELECT 1 FROM files WHERE scope = ? LIMIT ?)"
            half = largest // 2
            answer = bool(self._db.execute(sql, (scope, half)).fetchone()[0] >= half)
            self._prevailing[scope] = largest, answer
        return answer

    # ── the file ─────────────────────────────────────────────────────────────────────────────────

    def _with(self, use: Callable[[sqlite3.Connection], T]) -> T:
        if self._db is not None and self._beside:
            return use(self._db)
        if self._db is not None and not self._same():
            self.close()
            self.open()
            raise Lost
        self.open()
        assert self._db is not None
        try:
            self._compare(self._db)
            found = use(self._db)
            self._compare(self._db)  # another process may have begun anew between the two
            return found
        except sqlite3.DatabaseError as error:
            if not _damaged(error):
                raise
            self._discard()
            self.open()
            raise Lost from error

    def _compare(self, db: sqlite3.Connection) -> None:
        if (generation := _generation(db)) != self._generation:
            self._generation = generation
            raise Lost

    def _same(self) -> bool:
        """Whether the file under this name is still the one that is open: another process may have begun anew."""
        try:
            return self._file.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _discard(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)


def _prepared(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        file.chmod(0o600)
        # Losing the cache in a crash costs a rebuild, so nothing waits for the disk.
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("another version's index")
        if version == 0:
            _make(db)
        db.execute("SELECT count(*) FROM words WHERE words MATCH 'a'").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection) -> None:
    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")


def _nameless(folder: Path) -> sqlite3.Connection:
    with tempfile.NamedTemporaryFile(prefix="search.", suffix=".new", dir=folder) as file:
        db = sqlite3.connect(file.name, isolation_level=None, check_same_thread=False)
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;")
        _make(db)
    return db


def _generation(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT number FROM generation").fetchone()[0])


def _damaged(error: sqlite3.DatabaseError) -> bool:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF not in _PASSING


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _learn(db: sqlite3.Connection, learned: Sequence[Learned]) -> None:
    """Puts files into the index, unless their content is there already."""
    marks = ", ".join("?" * len(learned))
    held = db.execute(f"SELECT path, digest FROM files WHERE path IN ({marks})", [one.path for one in learned])
    known = dict(held.fetchall())
    same = [one for one in learned if known.get(one.path) == one.digest]
    db.executemany("UPDATE files SET stamp = ? WHERE path = ?", ((one.stamp, one.path) for one in same))
    new = [one for one in learned if known.get(one.path) != one.digest]
    for one in new:
        if one.path in known:
            _forget(db, one.path)
    first = int(db.execute("SELECT coalesce(max(id), 0) + 1 FROM files").fetchone()[0])
    db.executemany(
        f"INSERT INTO files ({_FILE}) VALUES ({_FILE_MARKS})", (_file(id, one) for id, one in enumerate(new, first))
    )
    db.execute(
        "INSERT INTO words (rowid, scope, title, body) SELECT id, scope, title, body FROM indexed WHERE id >= ?",
        (first,),
    )


def _file(id: int, one: Learned) -> Sequence[Any]:
    note = one.note
    row = (id, one.path, one.scope, one.stamp, one.digest, note.name, note.text, one.created, one.updated)
    title = comparable(f"{note.name}\n{note.title}") if note.title else comparable(note.name)
    body = None if note.text.isascii() and "\0" not in note.text else comparable(note.text)
    words = scope_word(one.scope), title, body
    return *row, note.author, note.agent, note.untrusted, one.path.rpartition(b"/")[0], *words


def _forget(db: sqlite3.Connection, path: bytes) -> None:
    if row := db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone():
        db.execute("DELETE FROM words WHERE rowid = ?", row)
        db.execute("DELETE FROM files WHERE id = ?", row)
