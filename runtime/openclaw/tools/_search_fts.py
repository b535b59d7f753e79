"""Memories searched with SQLite's FTS5, in a file that may be thrown away at any time.

Ranked by BM25, where a word in a title counts four times; what is new counts a little more: a quarter more on its
first day, half of that a month later. Of equals the newest is first. Where no word fits, beginnings of words do.

In a large collection the words that stand in many notes are left to break ties, as long as rarer ones find enough:
they would cost most of the time and say little.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from openclaw.clock import Clock
from openclaw.tools._search import Learned, Lost, Query, Remembered
from openclaw.tools._words import comparable

RECENT = 0.25  # how much more what is new may count
HALF = 30 * 86400.0  # seconds in which that becomes half
LARGE = 10_000  # notes that a question may reach before its common words are left aside
CANDIDATES = 200  # best by their words alone, of which the best by all are chosen
_VERSION = 4
_WEIGHTS = "bm25(0.0, 4.0, 1.0)"

_SCHEMA = f"""
CREATE TABLE generation AS SELECT abs(random()) AS number;
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, scope TEXT NOT NULL, stamp INTEGER NOT NULL,
    digest BLOB NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    author TEXT NOT NULL, agent TEXT NOT NULL, untrusted TEXT NOT NULL);
CREATE INDEX files_scope ON files (scope, created);
CREATE VIRTUAL TABLE words USING fts5 (scope, title, body,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co Cn So'");
INSERT INTO words (words, rank) VALUES ('rank', '{_WEIGHTS}');
"""  # the text is words and spaces already (comparable), so marks and unknown letters belong to words
_COLUMNS = "path, scope, name, text, created, author, agent, untrusted"
# Trouble that says nothing about what is in the file.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
    }
)  # fmt: skip

T = TypeVar("T")


class Search:
    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._db: sqlite3.Connection | None = None
        self._inode = self._generation = 0
        self._prevailing: dict[str, tuple[int, bool]] = {}

    def open(self) -> None:
        if self._db is not None:
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
                for one in learned:
                    _learn(db, one)

        self._with(write)

    def clear(self) -> None:
        """Zeroes what was there, for whoever reads the file as it is; others find another generation of it."""

        def empty(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA secure_delete = ON")
            with _transaction(db):
                for table in ("words", "files", "generation"):
                    db.execute(f"DROP TABLE {table}")
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
            self._generation = _generation(db)
            for pragma in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                db.execute(pragma).fetchall()

        self._with(empty)

    def newest(self, scope: str | None, limit: int) -> Sequence[Remembered]:
        where, given = ("1", ()) if scope is None else ("scope = ?", (scope,))
        sql = f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY created DESC, path LIMIT ?"
        return self._with(lambda db: [_row(row) for row in db.execute(sql, (*given, limit))])

    def matching(self, scope: str | None, query: Query, limit: int) -> Sequence[Remembered]:
        now = self._clock.now().timestamp()
        return self._with(lambda db: Question(db, scope, query, limit, now, self._prevails).answer())

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
        if self._db is not None and not self._same():
            self.close()
            self.open()
            raise Lost
        self.open()
        assert self._db is not None
        try:
            if (generation := _generation(self._db)) != self._generation:
                self._generation = generation
                raise Lost
            return use(self._db)
        except sqlite3.DatabaseError as error:
            if not _damaged(error):
                raise
            self._discard()
            self.open()
            raise Lost from error

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
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
        db.execute("SELECT count(*) FROM words WHERE words MATCH 'a'").fetchone()
    except BaseException:
        db.close()
        raise
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


def _learn(db: sqlite3.Connection, one: Learned) -> None:
    """Puts one file into the index, unless its content is there already."""
    known = db.execute("SELECT digest FROM files WHERE path = ?", (one.path,)).fetchone()
    if known and known[0] == one.digest:
        db.execute("UPDATE files SET stamp = ? WHERE path = ?", (one.stamp, one.path))
        return
    if known:
        _forget(db, one.path)
    found = one.note
    row = (one.path, one.scope, one.stamp, one.digest, found.name, found.text, one.created, one.updated)
    id = db.execute(
        "INSERT INTO files (path, scope, stamp, digest, name, text, created, updated, author, agent, untrusted) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, found.author, found.agent, found.untrusted),
    ).lastrowid
    title = comparable(f"{found.name}\n{found.title}")
    db.execute(
        "INSERT INTO words (rowid, scope, title, body) VALUES (?, ?, ?, ?)",
        (id, _scope_word(one.scope), title, comparable(found.text)),
    )


def _forget(db: sqlite3.Connection, path: bytes) -> None:
    if row := db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone():
        db.execute("DELETE FROM words WHERE rowid = ?", row)
        db.execute("DELETE FROM files WHERE id = ?", row)


def _row(row: Sequence[Any]) -> Remembered:
    path, scope, name, text, created, *origin = row
    return Remembered(os.fsdecode(path)[:-3], scope, name, text, datetime.fromtimestamp(created, UTC), *origin)


@functools.lru_cache(maxsize=4096)
def _scope_word(scope: str) -> str:
    """A scope as a word of its own column: digits, so that nothing takes its ending for one of English."""
    return str(int.from_bytes(hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest()[:8]))


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


class Question:
    """One search. The scope is held apart by the column `scope` of the rows; the scope's word only saves time."""

    def __init__(
        self,
        db: sqlite3.Connection,
        scope: str | None,
        query: Query,
        limit: int,
        now: float,
        prevails: Callable[[str, int], bool],
    ) -> None:
        self._db = db
        self._prevails = prevails
        self._scope = scope
        self._query = query
        self._limit = limit
        self._most = max(CANDIDATES, 2 * limit)
        self._now = now
        self._counts: Mapping[str, int] = {}
        self._largest = int(db.execute("SELECT coalesce(max(id), 0) FROM files").fetchone()[0])

    def answer(self) -> Sequence[Remembered]:
        query = self._query
        if query.phrases or query.prefixes:
            return self._best(_expression(query))
        for rare, common in (*self._parted(), (query.words, ())):
            found = self._best(_any(rare), common)
            if len(found) >= self._limit or not common:
                break
        return found or self._best(_any(query.words, "*"))

    def _parted(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """The words that tell most, and the others; nothing where all of them together reach few notes."""
        words = self._query.words
        if len(words) < 2 or self._largest <= LARGE:
            return
        counts = self._counts = {word: self._count(word) for word in words}
        rare: list[str] = []
        reached = 0
        for word in sorted(words, key=counts.__getitem__):
            reached += counts[word]
            if reached > LARGE and any(counts[one] for one in rare):
                break
            rare.append(word)
        if len(rare) < len(words):
            yield tuple(rare), tuple(word for word in words if word not in rare)

    def _count(self, term: str) -> int:
        return int(self._db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (_any([term]),)).fetchone()[0])

    def _best(self, expression: str, common: Sequence[str] = ()) -> Sequence[Remembered]:
        rows = self._candidates(expression)
        more = self._more(common, [row[0] for row in rows]) if common and rows else {}
        scored = []
        for id, rank, updated, *row in rows:
            age = max(0.0, self._now - updated)
            score = (more.get(id, 0.0) - rank) * (1 + RECENT * 0.5 ** (age / HALF))
            scored.append(((-round(score, 4), -row[4], row[0]), row))
        return [_row(row) for _, row in sorted(scored, key=lambda one: one[0])[: self._limit]]

    def _candidates(self, expression: str) -> Sequence[Sequence[Any]]:
        """The best by their words, of this scope alone."""
        if self._scope is None:
            return self._ask(expression)
        if self._largest > LARGE and self._prevails(self._scope, self._largest):
            found = self._ask(expression)
            if len(found) >= self._limit:
                return found
        return self._ask(f'scope : "{_scope_word(self._scope)}" AND {{title body}} : ({expression})')

    def _ask(self, expression: str) -> Sequence[Sequence[Any]]:
        where, given = ("", ()) if self._scope is None else ("WHERE files.scope = ?", (self._scope,))
        sql = (
            f"SELECT id, score, updated, {_COLUMNS} FROM (SELECT rowid AS found, rank AS score FROM words "
            f"WHERE words MATCH ? ORDER BY rank LIMIT ?) JOIN files ON files.id = found {where}"
        )
        return self._db.execute(sql, (expression, self._most, *given)).fetchall()

    def _more(self, common: Sequence[str], ids: Sequence[int]) -> Mapping[int, float]:
        """What the common words add to notes that hold them: less than any rare one."""
        total, added = self._largest, dict.fromkeys(ids, 0.0)
        sql = f"SELECT rowid FROM words WHERE words MATCH ? AND rowid IN ({', '.join('?' * len(ids))})"
        for word in common:
            count = self._counts[word]
            weight = math.log((total - count + 0.5) / (count + 0.5)) if count < total / 2 else 0.0
            if weight > 0:
                for (id,) in self._db.execute(sql, (_any([word]), *ids)):
                    added[id] += weight
        return added


def _any(terms: Iterable[str], mark: str = "") -> str:
    """An FTS5 query that asks for any of these. They hold no quotes: they are words and spaces (`_words`)."""
    return " OR ".join(f'"{term}"{mark}' for term in terms)


def _expression(query: Query) -> str:
    """All phrases; where there are none, any word. The words then only say which are the best."""
    loose = " OR ".join(filter(None, [_any(query.words), _any(query.prefixes, "*")]))
    if not query.phrases:
        return loose
    together = " AND ".join(_any([phrase]) for phrase in query.phrases)
    return f"({together}) AND ({_any(query.phrases)} OR {loose})" if loose else together
