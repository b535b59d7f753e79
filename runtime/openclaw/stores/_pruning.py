"""What runtime.db and sessions/archive let go of, and when. Synchronous; in the disk thread.

Law: an idempotency key stays for ever. Of a message that ended long ago its row stays with that key, its session and
how it ended; what was said goes. A reply that ended long ago goes as a whole. What has not ended is never touched, and
in a database that is too large what ended first goes first, but nothing of the last day.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from openclaw.ports import KEPT, KEPT_ARCHIVES, LARGEST_ARCHIVES, LARGEST_ROWS
from openclaw.stores import _codec as codec
from openclaw.stores._files import Files

AT_ONCE = 500  # rows of one transaction, so that nobody waits long behind it
_PAGES = 256  # given back to the disk at once
_LEAST = timedelta(days=1)
_ARCHIVED = re.compile(r".+\.(\d{8}T\d{6}Z)(-\d+)?\.jsonl")


def prune_rows(db: sqlite3.Connection, now: datetime, largest: int = LARGEST_ROWS) -> int:
    """Whoever calls holds the transaction."""
    ended_before = codec.time_json(now - (_LEAST if _size(db) > largest else timedelta(days=KEPT)))
    messages = db.execute(
        "UPDATE inbox SET message = '', reply = NULL, route = json_set(route, '$.text', '') WHERE seq IN"
        " (SELECT seq FROM inbox WHERE settled < ? AND message <> '' ORDER BY settled LIMIT ?)",
        (ended_before, AT_ONCE),
    ).rowcount
    replies = db.execute(
        "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE ended < ? ORDER BY ended LIMIT ?)",
        (ended_before, AT_ONCE),
    ).rowcount
    return messages + replies


def give_back(db: sqlite3.Connection) -> None:
    """Pages that nothing stands on go back to the disk, a few at a time."""
    db.executescript(f"PRAGMA incremental_vacuum({_PAGES})")  # `execute` would give back one page and stop


def prune_archives(folder: Path, now: datetime, files: Files, largest: int = LARGEST_ARCHIVES) -> int:
    """Only what was put there by this runtime: its name says when."""
    gone = list(islice(_to_go(sorted(_archives(folder)), now, largest), AT_ONCE))
    for path in gone:
        files.unlink(path)
    if gone:
        files.sync_folder(folder)
    return len(gone)


def _archives(folder: Path) -> Iterator[tuple[datetime, Path, int]]:
    for path in folder.glob("*.jsonl"):
        if found := _ARCHIVED.fullmatch(path.name):
            yield datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC), path, path.stat().st_size


def _to_go(archives: Sequence[tuple[datetime, Path, int]], now: datetime, largest: int) -> Iterator[Path]:
    total = sum(size for _, _, size in archives)
    for at, path, size in archives:
        old = at < now - timedelta(days=KEPT_ARCHIVES)
        if not old and (total <= largest or at > now - _LEAST):
            return
        total -= size
        yield path


def _size(db: sqlite3.Connection) -> int:
    """Bytes in use."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
