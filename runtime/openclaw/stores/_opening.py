"""runtime.db as it is opened: none of a newer version is touched, and what cannot be opened says so with a cure.

Law: a file that is refused stays as it is. Knows nothing of what is in the tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from openclaw.errors import StateError, StateTooNew
from openclaw.stores._disk import full
from openclaw.stores._schema import GIVES_BACK, VERSION

_LOG = 16 << 20  # bytes of the log that stay after a large transaction


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Whatever goes wrong, as StateError."""
    try:
        yield
    except (OSError, sqlite3.DatabaseError) as error:
        lacks_room = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or full(path.parent)
        cure = (
            "the disk is full, free some space"
            if lacks_room
            else "mend its permissions, put back a copy, or move it aside to start empty"
        )
        raise StateError(f"{path} cannot be opened ({error}); {cure}") from error


def refuse_newer(path: Path) -> None:
    """Raises StateTooNew, with the file untouched."""
    if not path.exists() or path.stat().st_size == 0:
        return
    # Read-only: closing a writing connection would fold the log into a file that is not ours to touch.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        try:
            found = version(db)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            return  # a crash left half a transaction that only a writer may undo; `prepare` looks again after that
    _refuse(found, path)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """A connection just made: how it writes, and that the file is none of a newer version."""
    _refuse(version(db), path)
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file; of another at its next VACUUM
    _write_ahead(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {_LOG}")
    if 0 < version(db) < GIVES_BACK:
        with suppress(sqlite3.OperationalError):  # a full disk has no room for that; it must not keep it shut
            db.execute("VACUUM")


def version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _refuse(found: int, path: Path) -> None:
    if found > VERSION:
        raise StateTooNew(
            f"{path} was written by a newer version (schema {found}, this one knows {VERSION}); "
            "use that version, or choose another state folder with --state"
        )


def _write_ahead(db: sqlite3.Connection) -> None:
    """There are file systems on which this cannot be had, and all goes on without. SQLite says no more than that where
    it was a disk that failed at it; but then it can be had the next time."""
    asked = (db.execute("PRAGMA journal_mode = WAL").fetchone()[0] for _ in range(2))
    if next(asked) != "wal" and next(asked) == "wal":
        raise sqlite3.OperationalError("the disk failed while its log was made")
