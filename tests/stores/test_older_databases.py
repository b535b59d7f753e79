"""A database of an older version: it becomes one of today's with all that was in it, and stands aside as it was."""

from __future__ import annotations

import asyncio
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from openclaw.clock import ManualClock
from openclaw.stores._backup import backup
from openclaw.stores._schema import MIGRATIONS, VERSION
from openclaw.stores.files import Store

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
OLD = 4  # knew nothing of what was used


def old(state: Path) -> None:
    state.mkdir()
    with closing(sqlite3.connect(state / "runtime.db", isolation_level=None)) as db:
        for statement in (one for step in MIGRATIONS[:OLD] for one in step):
            db.execute(statement)
        db.execute("INSERT INTO marks (name, version, document) VALUES ('choices', 1, '[7]')")
        db.execute(f"PRAGMA user_version = {OLD}")


def opened(state: Path) -> tuple[object, datetime | None]:
    async def look() -> tuple[object, datetime | None]:
        store = Store(str(state), ManualClock(NOON))
        await store.open()
        try:
            return (await store.marks.get("choices"))[0], await store.spending.begun()
        finally:
            await store.close()

    return asyncio.run(look())


def test_an_older_database_is_copied_and_counts_what_comes_from_now_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    old(state)
    assert opened(state) == ([7], NOON)
    kept = state / f"runtime.db.schema-{OLD}"
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (OLD,)
        assert db.execute("SELECT document FROM marks").fetchall() == [("[7]",)]
    before = kept.read_bytes()
    assert opened(state) == ([7], NOON) and kept.read_bytes() == before  # once
    backup(state, tmp_path / "backup", NOON)
    with tarfile.open(tmp_path / "backup") as tar:
        names = tar.getnames()
    assert "runtime.db" in names and kept.name not in names


def test_where_the_copy_finds_no_place_all_goes_on_without(tmp_path: Path) -> None:
    state = tmp_path / "state"
    old(state)
    (state / f"runtime.db.schema-{OLD}").mkdir()
    assert opened(state) == ([7], NOON)
    assert not list(state.glob("*.new"))
    with closing(sqlite3.connect(state / "runtime.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_new_database_has_counted_since_ever_and_nothing_stands_aside(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    assert opened(tmp_path / "state") == (None, None)
    assert not list((tmp_path / "state").glob("*.schema-*"))
