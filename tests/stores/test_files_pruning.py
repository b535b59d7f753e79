"""What the state folder lets go of: the space comes back, the keys stay, and what is not its own is left alone."""

import asyncio
import json
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

from openclaw.clock import ManualClock
from openclaw.messages import Address, Message, Reply, Route, Text, UserEntry
from openclaw.pending import Pending
from openclaw.ports import KEPT, KEPT_ARCHIVES
from openclaw.stores import _pruning, _sqlite
from openclaw.stores._files import Files
from openclaw.stores._jsonl import Transcripts
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=KEPT + 1)
ANA = Address("telegram", "7")
WAY = Route("main", "s", "hello")


def message(id, text="hello"):
    return Message(id, ANA, (Text(text),), NOON)


def with_store(folder, steps):
    async def main():
        store = Store(str(folder), ManualClock(NOON))
        await store.open()
        try:
            return await steps(store)
        finally:
            await store.close()

    return asyncio.run(main())


async def filled(store, count, size):
    for number in range(count):
        taken = await store.inbox.accept(message(str(number), "x" * size), WAY)
        await store.inbox.settle(taken.id, "done", Reply(ANA, "y" * size, "s", "main"))
    for outgoing in await store.outbox.due("telegram"):
        await store.outbox.sent(outgoing.id)


def test_a_pruned_database_is_small_again_and_knows_every_message(tmp_path):
    path = tmp_path / "runtime.db"

    async def steps(store):
        await filled(store, 150, 20_000)
        await store.close()
        assert path.stat().st_size > 6_000_000
        await store.open()
        while await store.prune(LATER):
            pass
        while await store.shrink():
            pass
        await store.close()
        assert path.stat().st_size < 1_500_000  # the last pages are kept
        await store.open()
        assert not any([(await store.inbox.accept(message(str(number)), WAY)).new for number in range(150)])

    with_store(tmp_path, steps)


def test_pruning_takes_a_bounded_bite(tmp_path):
    async def steps(store):
        def many():
            with store._rows._transaction() as db:
                for number in range(_pruning.AT_ONCE + 1):
                    store._rows._insert(db, message(str(number)), WAY)
                db.execute("UPDATE inbox SET settled = accepted, state = 'done'")

        await store._disk.run(many)
        assert [await store.prune(LATER) for _ in range(3)] == [_pruning.AT_ONCE, 1, 0]

    with_store(tmp_path, steps)


def test_a_database_that_is_too_large_lets_go_earlier_but_of_nothing_of_the_last_day(tmp_path):
    async def steps(store):
        await filled(store, 3, 1000)
        await store.inbox.accept(message("open"), WAY)
        aside = await store.inbox.accept(message("aside"), Route("main", "another", "hello"))
        await store.inbox.settle(aside.id, "parked", None)
        lost = await store.outbox.put(Reply(ANA, "lost", "s", "main"))
        await store.outbox.sent(lost, dead=True)

        def gone(now):
            with store._rows._transaction() as db:
                return _pruning.prune_rows(db, now, largest=1)

        assert await store._disk.run(gone, NOON + timedelta(hours=23)) == 0
        assert await store._disk.run(gone, NOON + timedelta(hours=25)) == 6
        assert (await store.inbox.next("s")).message.id == "open"
        assert await store.inbox.retry(aside.id) == "another" and await store.outbox.again(lost) == "telegram"

    with_store(tmp_path, steps)


def test_archives_that_are_too_large_lose_their_oldest_and_other_peoples_files_stay(tmp_path):
    def archive(days, size=1000):
        at = NOON + timedelta(days=days)
        path = tmp_path / f"agent_main_x.{at.strftime('%Y%m%dT%H%M%SZ')}.jsonl"
        path.write_bytes(b"x" * size)
        return path

    old, middle, late = archive(0), archive(2), archive(4)
    own = [tmp_path / name for name in ("notes.jsonl", "a.20260101T000000Z.txt", "a.20260101T000000Z-x.jsonl")]
    for path in own:
        path.write_text("mine")
        os.utime(path, (0, 0))

    def prune(folder, now, files, **more):
        return _pruning.let_go(_pruning.outdated(folder, now, **more), files)

    assert prune(tmp_path, NOON + timedelta(days=5), Files(), largest=5000) == 0
    assert prune(tmp_path, NOON + timedelta(days=5), Files(), largest=2500) == 1
    assert not old.exists() and middle.exists()
    assert prune(tmp_path, NOON + timedelta(days=4), Files(), largest=1) == 1
    assert late.exists(), "it is of the last day"
    assert prune(tmp_path, NOON + timedelta(days=KEPT_ARCHIVES + 5), Files()) == 1
    assert sorted(tmp_path.iterdir()) == sorted(own)


def test_what_people_do_to_archives_ends_no_runtime(tmp_path):
    class Tidied(Files):
        """Somebody else takes each file away just before."""

        def unlink(self, path):
            path.unlink()
            super().unlink(path)

    async def steps(store):
        folder = tmp_path / "sessions" / "archive"
        (folder / "a.20250101T000000Z.jsonl").symlink_to("/nowhere/a.jsonl")
        (folder / "b.20250101T000000Z.jsonl").mkdir()
        (folder / "c.20261399T000000Z.jsonl").write_text("no date")
        (folder / "d.20250101T000000Z.jsonl").write_text("old")
        assert [await store.prune(LATER) for _ in range(2)] == [1, 0]
        assert sorted(path.name[0] for path in folder.iterdir()) == ["a", "b", "c"]
        (folder / "d.20250101T000000Z.jsonl").write_text("old")
        assert _pruning.let_go(_pruning.outdated(folder, LATER), Tidied()) == 0
        folder.rename(tmp_path / "elsewhere")
        assert await store.prune(LATER) == 0
        assert (await store.inbox.accept(message("1"), WAY)).new

    with_store(tmp_path, steps)


def test_nobody_waits_while_very_many_archives_are_looked_at(tmp_path):
    class Busy(Transcripts):
        """Whoever looks at the archives waits until somebody else has been at the disk."""

        looked = threading.Event()

        def outdated(self, now):
            assert self.looked.wait(30)
            return super().outdated(now)

    async def steps(store):
        store._transcripts = Busy(tmp_path / "sessions", ManualClock(NOON), [], Files())
        folder = tmp_path / "sessions" / "archive"
        for number in range(_pruning.FEW * 2 + 1):
            (folder / f"a.20250101T000000Z-{number}.jsonl").touch()
        pruning = asyncio.create_task(store.prune(LATER))
        assert (await store.inbox.accept(message("1"), WAY)).new
        Busy.looked.set()
        assert await pruning == _pruning.FEW * 2 + 1 and not any(folder.iterdir())

    with_store(tmp_path, steps)


def test_history_outlives_what_was_said(tmp_path):
    async def steps(store):
        await store.marks.fire("h", NOON, message("m"), Route("main", "cron:h", "go"))
        queued = await store.inbox.next("cron:h")
        await store.inbox.settle(queued.id, "failed", Reply(ANA, "no", "cron:h", "main"))
        while await store.prune(LATER):
            pass
        [run] = await store.marks.runs("h", 10)
        assert (run.state, run.reply, run.deliveries[0].state) == ("failed", None, "due")

    with_store(tmp_path, steps)


def test_pruning_searches_by_an_index(tmp_path):
    async def steps(store):
        def plans():
            seen = []
            db = store._rows._db
            db.set_trace_callback(seen.append)
            store._rows.prune(LATER)
            db.set_trace_callback(None)
            pruning = [sql for sql in seen if sql.startswith(("UPDATE inbox", "DELETE FROM outbox"))]
            return [row[3] for sql in pruning for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]

        found = await store._disk.run(plans)
        assert found and not [step for step in found if step.startswith("SCAN") or "TEMP B-TREE" in step]

    with_store(tmp_path, steps)


def test_a_database_of_an_earlier_version_gives_its_space_back_too(tmp_path):
    with closing(sqlite3.connect(tmp_path / "runtime.db", isolation_level=None)) as db:
        for statements in _sqlite.MIGRATIONS[:2]:
            for statement in statements:
                db.execute(statement)
        row = ("i", "telegram", "m", "s", "done", "2026", "2026", json.dumps({}), json.dumps({}))
        columns = "id, channel, message_id, session, state, accepted, settled, message, route"
        db.execute(f"INSERT INTO inbox ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("PRAGMA user_version = 2")
    with_store(tmp_path, lambda store: store.inbox.open())
    with closing(sqlite3.connect(tmp_path / "runtime.db")) as db:
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert db.execute("SELECT id FROM inbox").fetchall() == [("i",)]


def test_a_conversation_is_put_aside_under_a_name_that_pruning_knows(tmp_path):
    async def steps(store):
        for _ in range(2):  # the second of one second gets a number
            await store.journal.append("s", [UserEntry("1", NOON, (), "in")])
            await store.journal.archive("s")
        assert await store.prune(NOON + timedelta(days=KEPT_ARCHIVES + 1)) == 2

    with_store(tmp_path, steps)


def test_whoever_counts_what_waits_reads_none_of_it(tmp_path):
    async def steps(store):
        seen = []
        await store.outbox.put(Reply(Address("gone", "1"), "of a channel that does not run", "s", "main"))
        await store._disk.run(store._rows._db.set_trace_callback, seen.append)
        assert (await Pending(store).figures())["undelivered"] == 1
        await store._disk.run(store._rows._db.set_trace_callback, None)
        assert len(seen) == 4 and all("count(*)" in sql.partition(" FROM ")[0] for sql in seen), seen

    with_store(tmp_path, steps)
