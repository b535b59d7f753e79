"""One question to the index of `_search_fts`: which notes hold its words, which of them are the best, what is beside
them. Reads only; knows the tables, and neither files nor who keeps them.

The law: the scope is held apart by the column `scope` of the rows, whatever the words are; the scope's word in the
index only saves time.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from openclaw.tools._search import Query, Remembered

RECENT = 0.25  # how much more what is new may count
HALF = 30 * 86400.0  # seconds in which that becomes half
LARGE = 10_000  # notes that a question may reach before its common words are left aside
CANDIDATES = 200  # best by their words alone, of which the best by all are chosen
COLUMNS = "path, scope, name, text, created, author, agent, untrusted"

Row = Sequence[Any]


def row_of(row: Row) -> Remembered:
    path, scope, name, text, created, *origin = row
    return Remembered(_key(path), scope, name, text, datetime.fromtimestamp(created, UTC), *origin)


@functools.lru_cache(maxsize=4096)
def scope_word(scope: str) -> str:
    """A scope as a word of its own column: digits, so that nothing takes its ending for one of English."""
    return str(int.from_bytes(hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest()[:8]))


def _key(path: bytes) -> str:
    return os.fsdecode(path)[:-3]


class Question:
    """One search, for one answer."""

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

    def answer(self, around: int = 0) -> Sequence[Remembered]:
        """The best first; each followed by as many of its folder as `around` that were made just before it, and after
        it, unless they were given already."""
        rows = self._fitting()
        given = {row[0] for row in rows}
        found: list[Remembered] = []
        for row in rows:
            found.append(row_of(row))
            for other in self._beside(row, around) if around else ():
                if other[0] not in given:
                    given.add(other[0])
                    found.append(replace(row_of(other), beside=_key(row[0])))
        return found

    def _beside(self, row: Row, count: int) -> Iterator[Row]:
        path, scope, _, _, created, *_ = row
        at = (path.rpartition(b"/")[0], scope, created, len(path), path, count)
        sql = f"SELECT {COLUMNS} FROM files WHERE folder = ? AND scope = ? AND (created, length, path) "
        before = self._db.execute(f"{sql} < (?, ?, ?) ORDER BY created DESC, length DESC, path DESC LIMIT ?", at)
        yield from reversed(before.fetchall())
        yield from self._db.execute(f"{sql} > (?, ?, ?) ORDER BY created, length, path LIMIT ?", at).fetchall()

    def _fitting(self) -> Sequence[Row]:
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

    def _best(self, expression: str, common: Sequence[str] = ()) -> Sequence[Row]:
        rows = self._candidates(expression)
        more = self._more(common, [row[0] for row in rows]) if common and rows else {}
        scored = []
        for id, rank, updated, *row in rows:
            age = max(0.0, self._now - updated)
            score = (more.get(id, 0.0) - rank) * (1 + RECENT * 0.5 ** (age / HALF))
            scored.append(((-round(score, 4), -row[4], row[0]), row))
        return [row for _, row in sorted(scored, key=lambda one: one[0])[: self._limit]]

    def _candidates(self, expression: str) -> Sequence[Row]:
        """The best by their words, of this scope alone."""
        if self._scope is None:
            return self._ask(expression)
        if self._largest > LARGE and self._prevails(self._scope, self._largest):
            found = self._ask(expression)
            if len(found) >= self._limit:
                return found
        return self._ask(f'scope : "{scope_word(self._scope)}" AND {{title body}} : ({expression})')

    def _ask(self, expression: str) -> Sequence[Row]:
        where, given = ("", ()) if self._scope is None else ("WHERE files.scope = ?", (self._scope,))
        sql = (
            f"SELECT id, score, updated, {COLUMNS} FROM (SELECT rowid AS found, rank AS score FROM words "
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
