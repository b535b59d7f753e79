"""A copy of runtime.db as an older version left it, made before this one changes what it is made of.

Law: the copy is whole or it is not there. It is for a person who wants to go back to the older version, so a disk
without room for it keeps nothing shut: that is said, and all goes on. Only the latest is kept. In the disk thread.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from openclaw.stores._files import Files

MARK = ".schema-"  # between the name of the database and the version of the copy

log = logging.getLogger(__name__)


def keep_aside(db: sqlite3.Connection, path: Path, files: Files) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    kept = path.with_name(f"{path.name}{MARK}{version}")
    beside = kept.with_name(f"{kept.name}.new")
    try:
        with suppress(FileNotFoundError):
            files.unlink(beside)
        os.close(files.open(beside, os.O_RDWR | os.O_CREAT))
        with closing(sqlite3.connect(beside)) as copy:
            db.backup(copy, pages=-1)
        files.rename(beside, kept)
    except (OSError, sqlite3.Error) as error:
        log.warning("%s was not copied before its schema is changed (%s)", path, error)
        with suppress(OSError):
            files.unlink(beside)
        return
    for older in path.parent.glob(f"{path.name}{MARK}*"):
        if older != kept:
            with suppress(OSError):
                files.unlink(older)
