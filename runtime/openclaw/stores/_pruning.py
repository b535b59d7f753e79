"""What runtime.db and sessions/archive let go of, and when. Synchronous; what writes, in the disk thread.

Law: an idempotency key stays for ever. Of a message that ended long ago its row stays with that key, its session and
how it ended; what was said goes. A reply that ended long ago goes as a whole. What has not come to its end is
never touched, also what was put aside or given up: somebody may try it again. In a database that is too large what
ended first goes first, but nothing of the last day.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from openclaw.ports import KEPT, KEPT_ARCHIVES, LARGEST_ARCHIVES, LARGEST_ROWS
from openclaw.stores import _codec as codec
from openclaw.stores._files import Files

AT_ONCE = 500  # rows of one transaction, so that nobody waits long behind it
FEW = 25  # archives that are removed before others get at the disk
_PAGES = 256  # given back to the disk at once
_SHARE = 20  # of the pages of a database: so many may stand empty
_LEAST = timedelta(days=1)
_ARCHIVED = re.compile(r".+\.(\d{8}T\d{6}Z)(-\d+)?\.jsonl")

log = logging.getLogger(__name__)


def prune_rows(db: sqlite3.Connection, now: datetime, largest: int = LARGEST_ROWS) -> int:
    """Whoever calls holds the transaction."""
    ended_before = codec.time_text(now - (_LEAST if _size(db) > largest else timedelta(days=KEPT)))
    messages = db.execute(
        "UPDATE inbox SET message = '', reply = NULL, route = json_set(route, '$.text', '') WHERE seq IN"
        " (SELECT seq FROM inbox WHERE settled < ? AND message <> '' AND state <> 'parked' ORDER BY settled LIMIT ?)",
        (ended_before, AT_ONCE),
    ).rowcount
    replies = db.execute(
        "DELETE FROM outbox WHERE seq IN"
        " (SELECT seq FROM outbox WHERE ended < ? AND state <> 'dead' ORDER BY ended LIMIT ?)",
        (ended_before, AT_ONCE),
    ).rowcount
    return messages + replies


def give_back(db: sqlite3.Connection) -> bool:
    """Pages that nothing stands on go back to the disk, a few at a time. Whether there are many more: the last ones
    stay, for they are needed again."""
    before = _pragma(db, "freelist_count")
    db.executescript(f"PRAGMA incremental_vacuum({_PAGES})")  # `execute` would give back one page and stop
    free = _pragma(db, "freelist_count")
    return free < before and free > max(_PAGES, _pragma(db, "page_count") // _SHARE)


def outdated(folder: Path, now: datetime, largest: int = LARGEST_ARCHIVES) -> list[Path]:
    """Archives that go next, the oldest first. Only what was put there by this runtime, whose name says when, and is a
    file still: people tidy up there, too. Only reads, and may take long."""
    found = sorted(_archives(folder))
    total = sum(size for _, _, size in found)
    old, fresh = _stamp(now - timedelta(days=KEPT_ARCHIVES)), _stamp(now - _LEAST)
    going = []
    for at, name, size in found[:AT_ONCE]:
        if at >= old and (total <= largest or at > fresh):
            break
        going.append(folder / name)
        total -= size
    return going


def _archives(folder: Path) -> Iterator[tuple[str, str, int]]:
    """When each was put there, as its name says it, which sorts as time does; its name, and its size."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if (found := _ARCHIVED.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        yield found[1], entry.name, entry.stat(follow_symlinks=False).st_size
    except OSError as error:
        log.warning("no archive is let go of: %s cannot be read (%s)", folder, error)


def let_go(archives: Sequence[Path], files: Files) -> int:
    """How many went. In the disk thread: a few at a time."""
    gone = sum(_let_go(path, files) for path in archives)
    if gone:
        files.sync_folder(archives[0].parent)
    return gone


def _let_go(path: Path, files: Files) -> bool:
    """What somebody else took away, or will not let us take, is no failure of the disk."""
    try:
        files.unlink(path)
    except FileNotFoundError:
        return False
    except PermissionError as error:
        log.warning("%s cannot be let go of (%s)", path, error)
        return False
    return True


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _size(db: sqlite3.Connection) -> int:
    """Bytes in use."""
    return (_pragma(db, "page_count") - _pragma(db, "freelist_count")) * _pragma(db, "page_size")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
