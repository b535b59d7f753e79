"""A disk that takes no more: nothing is half-written, what was begun is ended, and all goes on when there is room."""

import asyncio
import errno
import os
import sqlite3
import subprocess
from collections import Counter
from datetime import UTC, datetime

import pytest

from openclaw.clock import ManualClock
from openclaw.errors import DiskFull, StateError, StorageFailed
from openclaw.messages import Address, Message, Reply, Route, Text, UserEntry
from openclaw.stores._files import Files, read
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
ANA = Address("telegram", "7")
WAY = Route("main", "s", "hello")
REPLY = Reply(ANA, "hi", "s", "main")


def message(id, text="hello"):
    return Message(id, ANA, (Text(text),), NOON)


def user(id, text="hello"):
    return UserEntry(id, NOON, ({"type": "text", "text": text},), "in")


def with_store(folder, steps, files=None):
    async def main():
        store = Store(str(folder), ManualClock(NOON), files)
        await store.open()
        try:
            return await steps(store)
        finally:
            await store.close()

    return asyncio.run(main())


# ── a real one ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request, tmp_path):
    """A file system of a few megabytes, and a file that fills it."""
    folder, image = tmp_path / "small", tmp_path / "image"
    folder.mkdir()
    if request.param == "tmpfs":
        mounted = [["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]]
    else:
        with image.open("wb") as file:
            file.truncate(8 << 20)
        mounted = [["mkfs.ext4", "-q", "-F", "-m0", str(image)], ["mount", "-o", "loop", str(image), str(folder)]]
    try:
        if any(subprocess.run(command, capture_output=True, check=False).returncode for command in mounted):
            pytest.skip(f"mounting a small {request.param} takes a root that may mount")
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """To the last byte, whoever is writing there."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
        os.fsync(file.fileno())
    return filler


def test_what_was_begun_ends_on_a_full_disk_and_nothing_new_begins(small_disk):
    state = small_disk / "state"

    async def steps(store):
        for number in range(2):
            await store.inbox.accept(message(str(number)), WAY)
        queued = await store.inbox.next("s")
        filler = fill(small_disk)
        await store.journal.append("s", [user("1", "x" * 20_000)])
        await store.inbox.settle(queued.id, "done", REPLY)
        [outgoing] = await store.outbox.due("telegram")
        await store.outbox.sending(outgoing.id)
        await store.outbox.sent(outgoing.id)
        fill(small_disk)
        for new in (store.inbox.accept(message("new", "x" * 200_000), WAY), store.inbox.next("s")):
            with pytest.raises(DiskFull, match=r"full.*free some space"):
                await new
        assert not await store.room()
        filler.unlink()
        assert await store.room()
        assert (state / "reserve").stat().st_size > 0
        assert (await store.inbox.accept(message("new", "x" * 200_000), WAY)).new
        assert (await store.inbox.next("s")).message.id == "1"

    with_store(state, steps)

    async def after(store):
        assert [entry.id for entry in await store.journal.load("s")] == ["1"]
        assert store.damage == []
        assert await store.outbox.due("telegram") == []

    with_store(state, after)


def test_a_transcript_on_a_full_disk_holds_whole_lines_and_goes_on(small_disk):
    state = small_disk / "state"

    async def steps(store):
        await store.journal.append("s", [user("0")])
        fill(small_disk)
        kept = ["0"]
        with pytest.raises(DiskFull):
            for number in range(1, 1000):
                await store.journal.append("s", [user(str(number), "x" * 50_000)])
                kept.append(str(number))
        path = state / "sessions" / "s.jsonl"
        assert path.read_bytes().endswith(b"\n")
        assert [entry.id for entry in await store.journal.load("s")] == kept
        for attempt in (
            store.journal.append("new", [user("1", "x" * 100_000)]),
            store.marks.put("exec-approvals", ["x" * 100_000], 0),
        ):
            with pytest.raises(DiskFull):
                await attempt
        assert not (state / "exec-approvals.json").exists() and not list(state.rglob("*.new"))
        (small_disk / "filler").unlink()
        await store.journal.append("s", [user("last")])
        assert [entry.id for entry in await store.journal.load("s")] == [*kept, "last"]
        assert await store.marks.put("exec-approvals", ["now"], 0)
        assert store.damage == []

    with_store(state, steps)


def test_what_was_decided_is_in_the_audit_log_before_what_follows_from_it_also_on_a_full_disk(small_disk):
    state = small_disk / "state"

    async def steps(store):
        store.audit.note({"type": "first"})
        await store.journal.append("s", [user("0")])
        fill(small_disk)
        with pytest.raises(DiskFull):
            for number in range(1, 1000):
                store.audit.note({"type": "decided", "number": number, "why": "y" * 30_000})
                await store.journal.append("s", [user(str(number))])
        (small_disk / "filler").unlink()
        await store.journal.append("s", [user("last")])
        log = (state / "logs" / "audit.jsonl").read_bytes()
        assert log.endswith(b"\n") and log.count(b'"decided"') >= number
        assert [entry.id for entry in await store.journal.load("s")] == [*map(str, range(number)), "last"]

    with_store(state, steps)


def test_a_full_disk_can_be_opened_once_there_is_room(small_disk):
    state = small_disk / "state"
    filler = fill(small_disk)
    with pytest.raises(StateError, match="free some space"):
        with_store(state, lambda store: store.room())
    filler.unlink()
    assert with_store(state, lambda store: store.room())


# ── every call of it ─────────────────────────────────────────────────────────────────────────────


class Failing(Files):
    """Fails at the call of one number, once."""

    def __init__(self, at, code):
        self.at, self.code, self.count, self.failed = at, code, 0, ""
        self.calls = Counter()

    def _step(self, name):
        self.count += 1
        self.calls[name] += 1
        if self.count == self.at:
            self.failed = name
            raise OSError(self.code, os.strerror(self.code))


def _failing(name):
    def call(self, *args):
        self._step(name)
        return getattr(Files, name)(self, *args)

    return call


CALLS = ("open", "write", "sync", "sync_content", "truncate", "allocate", "rename", "unlink", "folder", "commit")
for _name in CALLS:
    setattr(Failing, _name, _failing(_name))


async def worked(store, done, attempts):
    """A day in the life of a store; a step that found the disk full is done again."""

    async def step(name, work):
        for _ in range(2):
            attempts.append(name)
            try:
                result = await work()
            except DiskFull:
                continue
            done.append(name)
            return result
        raise AssertionError(f"{name} found the disk full twice")

    queued = None
    await step("accept", lambda: store.inbox.accept(message("1"), WAY))
    queued = await step("next", lambda: store.inbox.next("s"))
    store.audit.note({"type": "decided"})
    await step("begin", lambda: store.journal.append("s", [user("begin")]))
    await step("end", lambda: store.journal.append("s", [user("end")]))
    await step("settle", lambda: store.inbox.settle(queued.id, "done", REPLY))
    [outgoing] = await store.outbox.due("telegram")
    await step("sending", lambda: store.outbox.sending(outgoing.id))
    await step("sent", lambda: store.outbox.sent(outgoing.id))
    await step("approvals", lambda: store.marks.put("exec-approvals", ["a"], 0))
    await step("mark", lambda: store.marks.put("mark", ["m"], 0))
    await step("old", lambda: store.journal.append("old", [user("old")]))
    await step("archive", lambda: store.journal.archive("old"))


async def found(store):
    """Which of those steps left what they should."""
    [accepted] = [await store.inbox.accept(message("1"), WAY)]
    settlement = await store.inbox.find(accepted.id)
    entries = [entry.id for entry in await store.journal.load("s")]
    old = [entry.id for entry in await store.journal.load("old")]
    assert len(entries) == len(set(entries)) and old in ([], ["old"]) and not store.damage
    due = [(one.tries, one.reply.repeated) for one in await store.outbox.due("telegram")]
    held = {
        "accept": not accepted.new,
        "next": not accepted.new,
        "begin": "begin" in entries,
        "end": "end" in entries,
        "settle": settlement.state == "done",
        "sending": due in ([], [(1, True)]),
        "sent": due == [],
        "approvals": await store.marks.get("exec-approvals") != (None, 0),
        "mark": (await store.marks.get("mark"))[0] == ["m"],
        "old": True,
        "archive": old == [],
    }
    return {name for name, is_there in held.items() if is_there}


def swept(tmp_path, code):
    """Every call fails once. What failed where, and how it ended, counted."""
    table = Counter()
    for at in range(1, 1000):
        folder = tmp_path / f"{code}-{at}"
        files, done, attempts, ended = Failing(at, code), [], [], "went on"
        try:
            with_store(folder, lambda store, done=done, attempts=attempts: worked(store, done, attempts), files)
        except (StorageFailed, StateError) as error:
            ended = type(error).__name__
        if not files.failed:
            return table
        assert set(done) <= with_store(folder, found), (at, files.failed)
        table[files.failed, ended] += 1
    raise AssertionError("it never ended")


@pytest.mark.slow
def test_every_call_that_finds_the_disk_full_is_done_again_or_ends_the_store_and_nothing_is_half_done(tmp_path):
    table = swept(tmp_path, errno.ENOSPC)
    assert sum(table.values()) >= 40
    # A sync that fails says nothing about what is on the disk, whatever it is called.
    ending = {name for name, ended in table if ended == "StorageFailed"}
    assert ending <= {"sync", "sync_content"}
    assert {name for name, ended in table if ended == "went on"} >= {"write", "open", "rename", "commit", "allocate"}
    # Only at the start, before anything was taken in, does a full disk refuse the folder.
    assert {name for name, ended in table if ended == "StateError"} <= {"open", "folder", "sync", "write", "commit"}


@pytest.mark.slow
def test_every_call_that_fails_for_another_reason_ends_the_store(tmp_path):
    table = swept(tmp_path, errno.EIO)
    assert {ended for _, ended in table} <= {"StorageFailed", "StateError"}
    assert {name for name, _ in table} >= {"open", "write", "sync", "sync_content", "rename", "commit"}


def test_a_message_that_was_taken_in_before_is_known_also_on_a_full_disk(tmp_path):
    class Filled(Files):
        full = False

        def commit(self, db):
            if self.full:
                raise OSError(errno.ENOSPC, "no space left on device")
            super().commit(db)

    files = Filled()

    async def steps(store):
        accepted = await store.inbox.accept(message("1"), WAY)
        files.full = True
        again = await store.inbox.accept(message("1", "another text"), Route("other", "elsewhere", "x"))
        assert (accepted.new, again.new) == (True, False)
        assert (again.id, again.agent, again.session) == (accepted.id, "main", "s")
        with pytest.raises(DiskFull):
            await store.inbox.accept(message("2"), WAY)

    with_store(tmp_path, steps, files)


@pytest.mark.parametrize(("fails", "asked"), [([], 1), ([errno.EIO], 2), ([errno.EIO] * 2, 2), ([errno.EACCES], 1)])
def test_what_a_disk_fails_to_read_is_asked_for_twice(fails, asked):
    times = []

    def file():
        times.append(1)
        if len(times) <= len(fails):
            raise OSError(fails[len(times) - 1], "it failed")
        return b"content"

    if asked > len(fails):
        assert read(file) == b"content"
    else:
        with pytest.raises(OSError, match="it failed"):
            read(file)
    assert len(times) == asked


def test_a_write_cut_short_is_taken_back_at_once(tmp_path):
    class Short(Files):
        """Half of a write is taken, then nothing."""

        room = None

        def write(self, file, content):
            if self.room is None:
                return super().write(file, content)
            taken, self.room = content[: self.room], 0
            if not taken:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            return super().write(file, taken)

    files = Short()
    path = tmp_path / "sessions" / "s.jsonl"

    async def steps(store):
        await store.journal.append("s", [user("1")])
        whole = path.read_bytes()
        for room in (1, 10, 50):
            files.room = room
            with pytest.raises(DiskFull, match="quota"):
                await store.journal.append("s", [user("2"), user("3")])
            assert path.read_bytes() == whole
        files.room = None
        await store.journal.append("s", [user("2")])
        assert [entry.id for entry in await store.journal.load("s")] == ["1", "2"]

    with_store(tmp_path, steps, files)


def test_a_lie_about_what_was_synced_is_told_to_everybody_after_it(tmp_path):
    files = Failing(0, errno.EIO)

    async def main():
        store = Store(str(tmp_path), ManualClock(NOON), files)
        await store.open()
        await store.journal.append("s", [user("0")])
        files.at = files.count + 2
        with pytest.raises(StorageFailed, match="mend the disk, start again"):
            await store.journal.append("s", [user("1")])
        assert files.failed == "sync_content"
        for later in (store.journal.append("s", [user("2")]), store.inbox.open(), store.room()):
            with pytest.raises(StorageFailed):
                await later
        await store.close()

    asyncio.run(main())


def test_sqlite_without_room_for_its_log_is_a_full_disk_and_without_a_sync_it_is_not(tmp_path):
    class Filled(Files):
        """Says what SQLite says when its log cannot grow, and whether a small file still fits."""

        code, fits = 0, True

        def commit(self, db):
            if self.code:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = self.code
                raise error
            super().commit(db)

        def allocate(self, file, size):
            if not self.fits:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
            super().allocate(file, size)

    files = Filled()

    async def steps(store):
        files.code, files.fits = sqlite3.SQLITE_IOERR_WRITE, False
        with pytest.raises(DiskFull, match="the message was not taken"):
            await store.inbox.accept(message("1"), WAY)
        assert not await store.room()
        files.code, files.fits = 0, True
        assert await store.room()
        assert (await store.inbox.accept(message("1"), WAY)).new
        files.code, files.fits = sqlite3.SQLITE_IOERR_FSYNC, False
        with pytest.raises(StorageFailed):
            await store.inbox.accept(message("2"), WAY)

    with_store(tmp_path, steps, files)
