"""The history of schedules on disk: databases of earlier versions, rows that are gone, and a great many of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from openclaw.clock import ManualClock
from openclaw.errors import StorageFailed
from openclaw.messages import Address, Message, Reply, Route, Text
from openclaw.ports import Delivered, Run
from openclaw.stores import _sqlite
from openclaw.stores._files import Files
from openclaw.stores._room import Room
from openclaw.stores._rows import inbox_id
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
ANA = Address("telegram", "7")
T = TypeVar("T")


def opened(folder: Path, steps: Callable[[Store], Awaitable[T]]) -> T:
    async def main() -> T:
        store = Store(str(folder), ManualClock(NOON))
        await store.open()
        try:
            return await steps(store)
        finally:
            await store.close()

    return asyncio.run(main())


def beat(id: str) -> Message:
    return Message(id, Address("cron", "h"), (Text("go"),), NOON, heartbeat="h")


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


# ── a database of version 1 ──────────────────────────────────────────────────────────────────────

# As that version made it, word for word.
FIRST = (
    """CREATE TABLE inbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        message_id TEXT NOT NULL,
        session TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'queued',
        attempts INTEGER NOT NULL DEFAULT 0,
        accepted TEXT NOT NULL,
        settled TEXT,
        message TEXT NOT NULL,
        route TEXT NOT NULL,
        reply TEXT,
        UNIQUE (channel, message_id)
    )""",
    "CREATE INDEX inbox_open ON inbox (session, seq) WHERE settled IS NULL",
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'due',
        handed INTEGER NOT NULL DEFAULT 0,
        tries INTEGER NOT NULL DEFAULT 0,
        created TEXT NOT NULL,
        ended TEXT,
        reply TEXT NOT NULL
    )""",
    "CREATE INDEX outbox_due ON outbox (channel, seq) WHERE state = 'due'",
    "CREATE TABLE marks (name TEXT PRIMARY KEY, version INTEGER NOT NULL, document TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE fires (
        schedule TEXT NOT NULL,
        instant TEXT NOT NULL,
        at TEXT NOT NULL,
        message TEXT,
        skipped TEXT,
        PRIMARY KEY (schedule, instant)
    ) WITHOUT ROWID""",
    "PRAGMA user_version = 1",
)
THEN = "2026-03-28T12:00:00.000000Z"
ROUTE = json.dumps({"agent": "main", "session": "cron:h", "text": "go"})


def message_1(id: str) -> str:
    nothing = dict.fromkeys(("chat", "topic", "agent", "session", "agents"))
    sender, parts = {"channel": "cron", "id": "h"}, [{"type": "text", "text": "go"}]
    said = {"id": id, "sender": sender, "parts": parts, "at": THEN, "name": "", "heartbeat": "h", "fetched": False}
    return json.dumps(said | nothing)


def reply_1(text: str) -> str:
    nothing = dict.fromkeys(("answers", "chat", "topic"))
    to = {"channel": "telegram", "id": "7"}
    said = {"to": to, "text": text, "session": "cron:h", "agent": "main", "failed": False, "fault": ""}
    return json.dumps(said | nothing | {"repeated": False})


def id_of(number: int) -> str:
    return inbox_id(beat(f"h@{number}"))


def first(folder: Path) -> None:
    """A state folder in the middle of its work: messages, replies and instants in every state."""
    inbox: list[tuple[Any, ...]] = [
        (id_of(1), "h@1", "done", 1, THEN, reply_1("Ready.")),
        (id_of(2), "h@2", "running", 1, None, None),
        (id_of(3), "h@3", "queued", 0, None, None),
    ]
    outbox = [
        ("r1", "sent", 1, 1, THEN, "Ready."),
        ("r2", "due", 1, 2, None, "handed"),
        ("r3", "due", 0, 0, None, "new"),
    ]
    skipped = {
        10: "the run before it had not ended",
        11: "missed: nothing ran then",
        12: "missed: nothing ran then; 17 in a row, the first at 2026-03-28T11:00:00+00:00",
    }
    times = {number: THEN.replace("12:00", f"12:{number:02}") for number in (1, 2, 3, *skipped)}
    with closing(sqlite3.connect(folder / "runtime.db", isolation_level=None)) as db:
        for statement in FIRST:
            db.execute(statement)
        for id, name, state, attempts, settled, reply in inbox:
            db.execute(
                "INSERT INTO inbox (id, channel, message_id, session, state, attempts, accepted, settled, message,"
                " route, reply) VALUES (?, 'cron', ?, 'cron:h', ?, ?, ?, ?, ?, ?, ?)",
                (id, name, state, attempts, THEN, settled, message_1(name), ROUTE, reply),
            )
        for id, state, handed, tries, ended, text in outbox:
            db.execute(
                "INSERT INTO outbox (id, channel, state, handed, tries, created, ended, reply)"
                " VALUES (?, 'telegram', ?, ?, ?, ?, ?, ?)",
                (id, state, handed, tries, THEN, ended, reply_1(text)),
            )
        for number in (1, 2, 3):
            db.execute("INSERT INTO fires VALUES ('h', ?, ?, ?, NULL)", (times[number], THEN, id_of(number)))
        for number, why in skipped.items():
            db.execute("INSERT INTO fires VALUES ('h', ?, ?, NULL, ?)", (times[number], THEN, why))
        db.execute("INSERT INTO marks VALUES ('heartbeats', 4, '{\"h\": 1}')")


def test_the_first_step_is_what_it_was_when_it_was_released() -> None:
    def plain(statements: tuple[str, ...]) -> list[str]:
        return [" ".join(statement.split()) for statement in statements]

    assert plain(_sqlite.MIGRATIONS[0]) == plain(FIRST[:-1])


def test_a_database_of_version_1_keeps_its_messages_and_replies(tmp_path: Path) -> None:
    first(tmp_path)

    async def steps(store: Store) -> None:
        found = await store.inbox.find(id_of(1))
        assert found is not None and found.state == "done"
        assert found.reply == Reply(ANA, "Ready.", "cron:h", "main")
        queued = await store.inbox.next("cron:h")
        assert queued is not None
        assert (queued.id, queued.attempts, queued.message) == (id_of(2), 2, beat("h@2"))
        await store.inbox.settle(id_of(2), "done", Reply(ANA, "again", "cron:h", "main"))
        assert not (await store.inbox.accept(beat("h@1"), Route("main", "cron:h", "go"))).new
        due = await store.outbox.due("telegram")
        assert [(out.id, out.reply.text, out.reply.repeated, out.tries) for out in due] == [
            ("r2", "handed", True, 2),
            ("r3", "new", False, 0),
            ("r4", "again", False, 0),
        ]
        for out in due:
            assert await store.outbox.sent(out.id) is None
        assert await store.marks.get("heartbeats") == ({"h": 1}, 4)

    opened(tmp_path, steps)


def test_a_database_of_version_1_keeps_the_history_of_its_schedules(tmp_path: Path) -> None:
    first(tmp_path)

    async def steps(store: Store) -> None:
        assert await store.marks.lasts() == {"h": minute(12)}
        why, ready = "missed: nothing ran then", Reply(ANA, "Ready.", "cron:h", "main")
        assert await store.marks.runs("h", 9) == [
            Run("h", minute(12), NOON, "missed", why=f"{why}; 17 in a row, the first at 2026-03-28T11:00:00+00:00",
                number=17),
            Run("h", minute(11), NOON, "missed", why=why),
            Run("h", minute(10), NOON, "skipped", why="the run before it had not ended"),
            Run("h", minute(3), NOON, "queued", message=id_of(3)),
            Run("h", minute(2), NOON, "queued", message=id_of(2)),
            Run("h", minute(1), NOON, "done", message=id_of(1), ended=NOON, reply=ready),
        ]  # fmt: skip
        way = Route("main", "cron:h", "go")
        assert not await store.marks.fire("h", minute(1), beat("h@1"), way)
        assert not await store.marks.fire("h", minute(10), beat("h@10"), way)
        assert await store.marks.fire("h", minute(11), beat("h@11"), way)

    opened(tmp_path, steps)


def test_a_migration_that_a_crash_cut_off_begins_again(tmp_path: Path) -> None:
    first(tmp_path)
    with closing(sqlite3.connect(tmp_path / "runtime.db", isolation_level=None)) as db:
        db.execute("BEGIN")
        for statement in _sqlite.MIGRATIONS[1]:
            db.execute(statement)
        # closed without a commit, as by the end of the process

    async def steps(store: Store) -> None:
        assert [run.number for run in await store.marks.runs("h", 2)] == [17, 1]

    opened(tmp_path, steps)
    opened(tmp_path, steps)


# ── one transaction ──────────────────────────────────────────────────────────────────────────────


def test_a_mark_or_an_end_without_its_message_is_not_written_at_all(tmp_path: Path) -> None:
    told = Reply(ANA, "Ready.", "cron:h", "main", told=Route("main", "agent:main:telegram:7", "Ready."))

    async def fill(store: Store) -> None:
        await store.outbox.put(told)
        await store.marks.skip("h", minute(2), "", missed=True)

    async def fire(store: Store) -> None:
        with pytest.raises(StorageFailed):
            await store.marks.fire("h", minute(1), beat("h@1"), Route("main", "cron:h", "go"))

    async def take_over(store: Store) -> None:
        with pytest.raises(StorageFailed):
            await store.marks.fire("h", minute(2), beat("h@2"), Route("main", "cron:h", "go"))

    async def end(store: Store) -> None:
        with pytest.raises(StorageFailed):
            await store.outbox.sent("r1")

    async def look(store: Store) -> None:
        assert [run.state for run in await store.marks.runs("h", 9)] == ["missed"]
        assert [out.reply for out in await store.outbox.due("telegram")] == [told]
        assert await store.outbox.sent("r1") == "agent:main:telegram:7"

    opened(tmp_path, fill)
    with closing(sqlite3.connect(tmp_path / "runtime.db", isolation_level=None)) as db:
        db.execute("CREATE TRIGGER broken BEFORE INSERT ON inbox BEGIN SELECT RAISE(ABORT, 'no'); END")
    for broken in (fire, take_over, end):
        opened(tmp_path, broken)
    with closing(sqlite3.connect(tmp_path / "runtime.db", isolation_level=None)) as db:
        db.execute("DROP TRIGGER broken")
    opened(tmp_path, look)


# ── rows that are gone ───────────────────────────────────────────────────────────────────────────


def test_history_outlives_the_messages_and_replies_it_speaks_of(tmp_path: Path) -> None:
    async def fill(store: Store) -> None:
        for number in (1, 2):
            assert await store.marks.fire("h", minute(number), beat(f"h@{number}"), Route("main", "cron:h", "go"))
            queued = await store.inbox.next("cron:h")
            assert queued is not None
            await store.inbox.settle(queued.id, "done", Reply(ANA, "Ready.", "cron:h", "main"))

    opened(tmp_path, fill)
    with closing(sqlite3.connect(tmp_path / "runtime.db", isolation_level=None)) as db:
        db.execute("DELETE FROM inbox WHERE message_id = 'h@1'")
        db.execute("DELETE FROM outbox WHERE id = 'r2'")

    async def look(store: Store) -> None:
        late, early = await store.marks.runs("h", 9, ran=True)
        assert (late.state, late.ended, late.deliveries) == ("done", NOON, ())
        assert (early.state, early.ended, early.reply) == ("done", None, None)
        assert early.deliveries == (Delivered(ANA, "due", 0, None),)

    opened(tmp_path, look)


# ── a great many ─────────────────────────────────────────────────────────────────────────────────


def test_no_question_about_history_walks_through_all_of_it(tmp_path: Path) -> None:
    """Read from SQLite's own plans: it searches by an index and sorts nothing."""
    rows = _sqlite.Rows(tmp_path / "runtime.db", ManualClock(NOON), Files(), Room(tmp_path, Files()))
    rows.open()
    asked: list[str] = []
    db = rows._db
    db.set_trace_callback(asked.append)
    for schedule in ("h", None):
        for since in (None, NOON):
            for until in (None, NOON):
                for ran in (True, False):
                    rows.runs(schedule, 6, since, until, ran)
    assert rows.fire("h", NOON, beat("h@0"), Route("main", "cron:h", "go"), "schedule")
    rows.runs("h", 6, None, None, True)
    rows.last("h")
    rows.lasts()
    db.set_trace_callback(None)
    questions = [text for text in asked if text.startswith(("SELECT", "WITH", "DELETE", "UPDATE"))]
    assert len(questions) > 10
    for question in questions:
        for *_, step in db.execute(f"EXPLAIN QUERY PLAN {question}"):
            assert "TEMP B-TREE" not in step, question
            assert not step.startswith("SCAN") or step in ("SCAN fires USING INDEX fires_when", "SCAN names"), question
    [plan] = [text for text in questions if "INDEXED BY fires_ran" in text and "h" in text][:1]
    steps = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {plan}")]
    assert "SEARCH fires USING INDEX fires_ran (schedule=?)" in steps
    rows.close()
