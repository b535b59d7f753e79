"""The state folder itself: who may open it, what is refused, and what a full disk does."""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openclaw.clock import ManualClock
from openclaw.errors import OpenClawError, StateError, StateLocked, StateTooNew, StorageFailed, ToolError
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Address, Call, Message, Route, Text
from openclaw.reminders import Reminders
from openclaw.stores import _sqlite
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
SNAPSHOT = Snapshot(
    digest="", root="/p", agents={}, tools={}, policies={}, channels={}, people={}, rooms={}, heartbeats={}, models={}
)


def message(id, text="hello"):
    return Message(id, Address("telegram", "7"), (Text(text),), NOON)


def opened(folder, steps=None):
    async def main():
        store = Store(str(folder), ManualClock(NOON))
        await store.open()
        try:
            return await steps(store) if steps else None
        finally:
            await store.close()

    return asyncio.run(main())


def test_one_store_in_a_folder_at_a_time_also_in_one_process(tmp_path):
    async def steps(_):
        with pytest.raises(StateLocked) as raised:
            await Store(str(tmp_path), ManualClock(NOON)).open()
        assert raised.value.pid == os.getpid()

    opened(tmp_path, steps)
    opened(tmp_path)


def test_a_lock_left_by_a_dead_process_is_taken(tmp_path):
    (tmp_path / "lock").write_text("999999999\n")
    opened(tmp_path)


def test_a_path_that_is_no_folder_is_refused_with_a_cure(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StateError, match=r"cannot be used: .*--state"):
            opened(folder)


def test_a_folder_without_write_permission_is_refused_with_a_cure():
    # Root may write anywhere but where the kernel itself says no.
    with pytest.raises(StateError, match=r"the state folder /proc/openclaw cannot be used: .*--state"):
        opened("/proc/openclaw")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_a_read_only_folder_is_refused_with_a_cure(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StateError, match="permission denied"):
        opened(tmp_path)


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "runtime.db"
    opened(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {_sqlite.VERSION + 1}")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StateTooNew, match=r"runtime\.db was written by a newer version"):
            opened(tmp_path)
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {_sqlite.VERSION}")
    opened(tmp_path)


def test_a_newer_version_still_in_the_write_ahead_log_is_seen_and_left(tmp_path):
    path = tmp_path / "runtime.db"
    opened(tmp_path)
    code = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        f"db.execute('PRAGMA user_version = {_sqlite.VERSION + 1}'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    before = path.read_bytes(), path.with_name("runtime.db-wal").read_bytes()
    assert before[1]
    with pytest.raises(StateTooNew):
        opened(tmp_path)
    assert (path.read_bytes(), path.with_name("runtime.db-wal").read_bytes()) == before


def test_every_older_version_is_migrated(tmp_path):
    for version in range(_sqlite.VERSION):
        folder = tmp_path / str(version)
        folder.mkdir()
        with closing(sqlite3.connect(folder / "runtime.db", isolation_level=None)) as db:
            for statements in _sqlite.MIGRATIONS[:version]:
                for statement in statements:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {version}")
        opened(folder, lambda store: store.inbox.open())
        with closing(sqlite3.connect(folder / "runtime.db")) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (_sqlite.VERSION,)


def test_the_database_is_what_durability_takes(tmp_path):
    opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / "runtime.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    (tmp_path / "runtime.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateError, match=r"runtime\.db cannot be opened .*move it aside"):
        opened(tmp_path)
    assert (tmp_path / "runtime.db").read_bytes().startswith(b"not a database")


def test_a_database_that_cannot_be_opened_at_all_is_refused(tmp_path):
    (tmp_path / "runtime.db").mkdir()
    with pytest.raises(StateError, match=r"runtime\.db cannot be opened"):
        opened(tmp_path)
    (tmp_path / "runtime.db").rmdir()
    opened(tmp_path)


def test_a_store_that_is_not_open_says_so(tmp_path):
    store = Store(str(tmp_path / "state"), ManualClock(NOON))
    with pytest.raises(StateError, match="not open"):
        asyncio.run(store.inbox.open())
    assert not (tmp_path / "state").exists()


# ── exec-approvals.json ──────────────────────────────────────────────────────────────────────────


def test_remembered_approvals_are_a_file_that_people_may_edit(tmp_path):
    path = tmp_path / "exec-approvals.json"

    async def steps(store):
        await store.marks.put("exec-approvals", {"approvals": [{"command": "café"}]}, 0)
        assert path.read_text() == '{\n  "approvals": [\n    {\n      "command": "café"\n    }\n  ]\n}\n'
        _, version = await store.marks.get("exec-approvals")
        path.write_text('{"approvals": []}')
        assert not await store.marks.put("exec-approvals", {}, version)
        document, version = await store.marks.get("exec-approvals")
        assert document == {"approvals": []}
        assert await store.marks.put("exec-approvals", {"approvals": [1]}, version)
        assert json.loads(path.read_text()) == {"approvals": [1]}
        assert {found.name for found in tmp_path.glob("exec*")} == {"exec-approvals.json"}

    opened(tmp_path, steps)


@pytest.mark.parametrize(
    ("content", "place"), [(b'{"a": 1,\n  oops}', "2:3"), (b"", "1:1"), (b'{"a":\n"\xff"}', "2"), (b"[" * 200_000, "1")]
)
def test_a_broken_approvals_file_is_reported_with_its_place_and_never_overwritten(tmp_path, content, place):
    path = tmp_path / "exec-approvals.json"
    path.write_bytes(content)

    async def steps(store):
        for attempt in (
            store.marks.get("exec-approvals"),
            store.marks.put("exec-approvals", {}, 0),
            store.marks.put("exec-approvals", {}, 1),
        ):
            with pytest.raises(StateError, match=rf"exec-approvals\.json:{place}: not JSON"):
                await attempt
        assert await store.marks.put("anything else", 1, 0)

    opened(tmp_path, steps)
    assert path.read_bytes() == content


# ── a disk that takes no more ────────────────────────────────────────────────────────────────────

FULL = """
import asyncio, resource, signal, sys
sys.path.insert(0, sys.argv[2])
from test_files_folder import *
from openclaw.errors import OpenClawError
from openclaw.messages import UserEntry

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main(folder, what):
    store = Store(folder, ManualClock(NOON))
    await store.open()
    await store.inbox.accept(message("before"), Route("main", "s", "hello"))
    await store.journal.append("s", [UserEntry("before", NOON, (), "in")])
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
    big = "x" * 200_000
    if what == "append":
        attempt = lambda: store.journal.append("s", [UserEntry("big", NOON, ({"type": "text", "text": big},), "in")])
    else:
        attempt = lambda: store.inbox.accept(message("big", big), Route("main", "s", "hello"))
    for _ in range(2):
        try:
            await attempt()
            print("taken")
        except OpenClawError as error:
            print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        await store.inbox.accept(message("after"), Route("main", "s", "hello"))
        print("taken")
    except OpenClawError as error:
        print(type(error).__name__)
    await store.close()

asyncio.run(main(sys.argv[1], sys.argv[3]))
"""


def limited(folder, what):
    """Runs in a process whose files may not grow beyond 64 kB: the kernel cuts a write short, then refuses it."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), str(Path(__file__).parent), what],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout.split(), done.stderr


def test_a_write_cut_short_is_fatal_and_leaves_a_transcript_that_mends(tmp_path):
    said, errors = limited(tmp_path, "append")
    assert said == ["StorageFailed", "StorageFailed", "StorageFailed"], errors

    async def steps(store):
        assert [entry.id for entry in await store.journal.load("s")] == ["before"]
        assert len(store.damage) == 1
        assert (await store.inbox.next("s")).message.id == "before"

    opened(tmp_path, steps)


def small_disk(tmp_path):
    """A file system of 1 MB, for root on Linux."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    return mounted.returncode == 0


@pytest.fixture
def full_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if not small_disk(folder):
        pytest.skip("mounting a small file system takes a root that may mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_not_taken_for_missing_permissions(full_disk):
    with (full_disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    (full_disk / "runtime.db").touch()
    (full_disk / "sessions").mkdir()
    with pytest.raises(StateError, match="free some space"):
        opened(full_disk)


def test_a_full_disk_refuses_a_message_and_takes_the_next_when_there_is_room(full_disk):
    async def steps(store):
        way = Route("main", "s", "hello")
        await store.inbox.accept(message("before"), way)
        filler = full_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
        with pytest.raises(Exception, match=r"is full.*the message was not taken") as raised:
            for number in range(100):
                await store.inbox.accept(message(f"big{number}", "x" * 20_000), way)
        assert not isinstance(raised.value, StorageFailed)
        filler.unlink()
        assert (await store.inbox.accept(message("after"), way)).new
        assert (await store.inbox.next("s")).message.id == "before"

    opened(full_disk, steps)


def to_the_brim(store):
    """What the disk thread does so that the database has no page left to grow into; no mount is needed for it."""

    def fill():
        db = store._rows._db
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        for size in (1000, 10):
            with contextlib.suppress(sqlite3.OperationalError):
                while True:
                    db.execute("INSERT INTO marks VALUES (hex(randomblob(8)), 1, hex(randomblob(?)))", (size,))
        with contextlib.suppress(sqlite3.OperationalError):
            while True:
                row = "INSERT INTO fires (schedule, instant, at) VALUES (hex(randomblob(20)), ?, 'x')"
                db.execute(row, ("y" * 90,))

    return fill


def test_a_full_disk_refuses_a_mark_and_takes_it_when_there_is_room(tmp_path):
    async def steps(store):
        await store._disk.run(to_the_brim(store))
        with pytest.raises(OpenClawError, match=r"is full.*heartbeat h was not recorded") as skipped:
            for number in range(1000):
                await store.marks.skip("h", NOON + timedelta(minutes=number), "x" * 500)
        with pytest.raises(OpenClawError, match=r"is full.*nothing was changed in `standing`") as put:
            await store.marks.put("standing", ["x" * 20_000], 0)
        assert not isinstance(skipped.value, StorageFailed) and not isinstance(put.value, StorageFailed)
        assert await store.marks.get("standing") == (None, 0)
        await store._disk.run(lambda: store._rows._db.execute("PRAGMA max_page_count = 1000000"))
        assert await store.marks.put("standing", ["x" * 20_000], 0)
        assert await store.marks.skip("h", NOON + timedelta(days=9), "full")

    opened(tmp_path, steps)


def test_a_full_disk_tells_the_agent_that_no_reminder_was_set(tmp_path):
    async def steps(store):
        reminders = Reminders(store.marks, ManualClock(NOON), lambda: SNAPSHOT)
        await reminders.open()
        await store._disk.run(to_the_brim(store))
        with pytest.raises(ToolError, match=r"is full.*free some space"):
            for _ in range(40):
                await reminders.remind("x" * 2000, Call("main", "s", "telegram:7", tmp_path, "c"), after="1h")

    opened(tmp_path, steps)
