"""A backup holds everything, is whole or not there, and becomes a state folder where nothing is in the way."""

import asyncio
import gzip
import hashlib
import io
import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tarfile
import zlib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import OpenClawError, StateError, StateLocked, StateTooNew
from openclaw.messages import Address, Message, Reply, Route, Text, UserEntry
from openclaw.stores._backup import MANIFEST, backup, restore
from openclaw.stores._schema import VERSION
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
ANA = Address("telegram", "7")
WAY = Route("main", "s", "hello")


AS_A_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def message(id):
    return Message(id, ANA, (Text("hello"),), NOON)


def user(id):
    return UserEntry(id, NOON, ({"type": "text", "text": "hello"},), "in")


def with_store(folder, steps):
    async def main():
        store = Store(str(folder), ManualClock(NOON))
        await store.open()
        try:
            return await steps(store)
        finally:
            await store.close()

    return asyncio.run(main())


async def lived_in(store):
    await store.inbox.accept(message("1"), WAY)
    queued = await store.inbox.next("s")
    await store.journal.append("s", [user("1")])
    await store.inbox.settle(queued.id, "done", Reply(ANA, "hi", "s", "main"))
    await store.inbox.accept(message("2"), WAY)
    await store.journal.append("old", [user("old")])
    await store.journal.archive("old")
    await store.marks.put("exec-approvals", ["ls"], 0)
    await store.marks.put("mark", 7, 0)
    store.audit.note({"type": "decided"})


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    with_store(folder, lived_in)
    for name, content in {
        "memory/keys.md": "under the mat",
        "workspace/run.sh": "echo",
        "search.db": "an index",
        "http-token": "secret",
        "workspace/deep/er/file": "x",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    (folder / "workspace/run.sh").chmod(0o700)
    (folder / "workspace/empty").mkdir()
    (folder / "workspace/link").symlink_to("deep/er")
    (folder / "workspace/away").symlink_to("/etc")
    return folder


def files_of(folder):
    left_out = ("lock", "reserve", "search.db", "runtime.db", "runtime.db-wal", "runtime.db-shm", "workspace/away")
    return {
        name: (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) if path.is_file() else path.is_symlink()
        for path in folder.rglob("*")
        if (name := path.relative_to(folder).as_posix()) not in left_out and "workspace/link/" not in name
    }


async def is_as_it_was(store):
    assert [entry.id for entry in await store.journal.load("s")] == ["1"]
    assert await store.marks.get("mark") == (7, 1)
    assert (await store.marks.get("exec-approvals"))[0] == ["ls"]
    assert not (await store.inbox.accept(message("1"), WAY)).new
    [outgoing] = await store.outbox.due("telegram")
    assert outgoing.reply.repeated  # it may have been sent since the backup was made
    await store.outbox.retry(outgoing.id, 0)
    assert (await store.outbox.due("telegram"))[0].reply.repeated  # also where it did not arrive at once
    assert (await store.inbox.next("s")).message.id == "2"


def test_what_was_open_in_a_backup_may_have_been_answered_since_and_what_came_later_was_not(state, tmp_path):
    backup(state, tmp_path / "b", NOON)
    restore(tmp_path / "b", tmp_path / "there", NOON)

    async def steps(store):
        later = (await store.inbox.accept(message("3"), WAY)).id
        joins = (await store.inbox.accept(message("4"), WAY)).id
        open_ = await store.inbox.next("s")
        assert open_.message.id == "2"
        for id, joined in ((later, ()), (joins, (open_.id,))):
            await store.inbox.settle(id, "done", Reply(ANA, id, "s", "main"), joined=joined)
        told = {outgoing.reply.text: outgoing.reply.repeated for outgoing in await store.outbox.due("telegram")}
        assert (told[later], told[joins]) == (False, True)

    with_store(tmp_path / "there", steps)


def test_everything_comes_back_elsewhere(state, tmp_path):
    target, there = tmp_path / "b.tar.gz", tmp_path / "elsewhere" / "state"
    told = backup(state, target, NOON)
    assert told.notes == ["workspace/away is a link to somewhere else, and was left out"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert restore(target, there, NOON).files == told.files
    assert files_of(there) == files_of(state)
    assert (there / "workspace/link").readlink() == Path("deep/er")
    assert not (there / "search.db").exists()
    before = (state / "sessions" / "s.jsonl").stat().st_mtime
    assert (there / "sessions" / "s.jsonl").stat().st_mtime == pytest.approx(before)
    with_store(there, is_as_it_was)


def test_a_backup_is_taken_beside_an_open_store_and_leaves_it_alone(state, tmp_path):
    async def steps(store):
        for number in range(5):
            await store.inbox.accept(message(f"n{number}"), WAY)
            backup(state, tmp_path / f"{number}.tar.gz", NOON)
            await store.journal.append("s", [user(f"n{number}")])
        assert await store.inbox.waiting() == 6

    with_store(state, steps)
    for number in range(5):
        there = tmp_path / str(number)
        restore(tmp_path / f"{number}.tar.gz", there, NOON)
        assert with_store(there, lambda store: store.inbox.waiting()) == 2 + number
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_copy_knows_nothing_of_the_commands_that_run_beside_the_original(state, tmp_path):
    (state / "running").mkdir()
    (state / "running" / ("a" * 32)).write_text("{}")
    backup(state, tmp_path / "b", NOON)
    with tarfile.open(tmp_path / "b") as tar:
        rows = tar.extractfile("runtime.db")
        assert rows is not None and not [name for name in tar.getnames() if name.startswith("running")]
        packed(tmp_path / "older", [(member("runtime.db"), rows.read()), (member(f"running/{'a' * 32}"), b"{}")])
    for made in ("b", "older"):
        restore(tmp_path / made, tmp_path / f"of {made}", NOON)
        assert not (tmp_path / f"of {made}" / "running").exists()


def test_a_half_written_last_line_is_left_out(state, tmp_path):
    path = state / "sessions" / "s.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "torn"')
    backup(state, tmp_path / "b", NOON)
    restore(tmp_path / "b", tmp_path / "there", NOON)
    assert (tmp_path / "there" / "sessions" / "s.jsonl").read_bytes() == whole


def test_a_backup_takes_no_other_files_place_and_needs_a_state_folder(state, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OpenClawError, match="exists already"):
        backup(state, tmp_path / "taken", NOON)
    assert (tmp_path / "taken").read_text() == "mine"
    with pytest.raises(OpenClawError, match="no runtime has used"):
        backup(tmp_path / "nowhere", tmp_path / "b", NOON)
    with pytest.raises(OpenClawError, match="no folder"):
        backup(state, tmp_path / "no" / "b", NOON)
    with pytest.raises(OpenClawError, match="state folder itself"):
        backup(state, state / "workspace" / "b", NOON)


def test_a_folder_in_use_or_not_empty_is_refused_and_with_force_set_aside(state, tmp_path):
    target = tmp_path / "b"
    backup(state, target, NOON)
    before = files_of(state)

    async def steps(_):
        for force in (False, True):
            with pytest.raises(StateLocked, match=f"in use by process {os.getpid()}"):
                restore(target, state, NOON, force=force)

    with_store(state, steps)
    with pytest.raises(StateError, match=r"is not empty; .*--force"):
        restore(target, state, NOON)
    assert files_of(state) == before
    (state / "memory" / "keys.md").write_text("changed since")
    told = restore(target, state, NOON, force=True)
    aside = tmp_path / "state.before-20260328T120000Z"
    assert told.notes == [f"the state folder that was there is now {aside}"]
    assert (aside / "memory" / "keys.md").read_text() == "changed since"
    assert (state / "memory" / "keys.md").read_text() == "under the mat"
    with_store(state, is_as_it_was)


def test_a_backup_that_was_cut_off_or_changed_anywhere_restores_nothing_or_what_there_was(state, tmp_path):
    backup(state, tmp_path / "b", NOON)
    whole = (tmp_path / "b").read_bytes()
    spoilt = [whole[:cut] for cut in [*random.sample(range(len(whole)), 10), len(whole) - 8, len(whole) - 1]]
    for place in [*random.sample(range(10, len(whole)), 25), len(whole) - 8]:
        spoilt.append(whole[:place] + bytes([whole[place] ^ 1 << random.randrange(8)]) + whole[place + 1 :])
    for number, content in enumerate([*spoilt, b"", b"no backup"]):
        (tmp_path / "c").write_bytes(content)
        there = tmp_path / f"there{number}"
        if says_the_same(content, whole):  # one of the same bytes was taken from elsewhere
            restore(tmp_path / "c", there, NOON)
            assert files_of(there) == files_of(state)
        else:
            with pytest.raises(OpenClawError, match="nothing was restored"):
                restore(tmp_path / "c", there, NOON)
            assert [path.name for path in there.iterdir()] == ["lock"]
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".restoring")]
    with pytest.raises(OpenClawError, match="there is no backup"):
        restore(tmp_path / "nowhere", tmp_path / "there", NOON)


def says_the_same(content, whole):
    try:
        return content != b"" and gzip.decompress(content) == gzip.decompress(whole)
    except (OSError, EOFError, zlib.error):
        return False


def test_a_time_that_no_clock_shows_is_refused_as_damage(tmp_path):
    odd = member("runtime.db")
    odd.pax_headers = {"mtime": "1e30"}
    packed(tmp_path / "b", [(odd, b"")])
    with pytest.raises(OpenClawError, match=r"(?s)damaged.*nothing was restored"):
        restore(tmp_path / "b", tmp_path / "there", NOON)


def packed(path, members, manifest=None):
    """An archive that somebody made by hand."""
    files = {}
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            digest = hashlib.sha256(content).hexdigest()
            files[member.name] = {
                tarfile.DIRTYPE: {"type": "folder"},
                tarfile.SYMTYPE: {"type": "link", "to": member.linkname},
            }.get(member.type, {"type": "file", "size": len(content), "sha256": digest})
        text = json.dumps({"format": 1, "version": "9", "files": files, **(manifest or {})}).encode()
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))


def member(name, kind=tarfile.REGTYPE, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def test_nothing_is_ever_written_outside_the_state_folder(tmp_path):
    for number, evil in enumerate(
        [
            [(member("../escaped"), b"x")],
            [(member("/tmp/escaped-by-openclaw"), b"x")],
            [(member("a/../../escaped"), b"x")],
            [(member("link", tarfile.SYMTYPE, "/etc"), b"")],
            [(member("link", tarfile.SYMTYPE, "../.."), b"")],
            [(member("deep/link", tarfile.SYMTYPE, "../../escaped"), b"")],
            [(member("hard", tarfile.LNKTYPE, "/etc/passwd"), b"")],
            [(member("device", tarfile.CHRTYPE), b"")],
            [(member("pipe", tarfile.FIFOTYPE), b"")],
            [(member("twice"), b"x"), (member("twice"), b"y")],
            [(member("link", tarfile.SYMTYPE, "folder"), b""), (member("link/through"), b"x")],
        ]
    ):
        packed(tmp_path / f"evil{number}", evil)
        there = tmp_path / "out" / "there"
        with pytest.raises(OpenClawError):
            restore(tmp_path / f"evil{number}", there, NOON)
        assert [path.name for path in tmp_path.joinpath("out").rglob("*")] == ["there", "lock"]
    assert not (tmp_path / "escaped").exists() and not Path("/tmp/escaped-by-openclaw").exists()


def test_a_link_is_judged_by_where_it_ends_and_not_by_its_name(state, tmp_path):
    backup(state, tmp_path / "b", NOON)
    with tarfile.open(tmp_path / "b") as tar:
        content = tar.extractfile("runtime.db")
        assert content is not None
        rows = (member("runtime.db"), content.read())
    folders = [(member(name, tarfile.DIRTYPE), b"") for name in ("a", "a/b")]
    up = (member("a/b/up", tarfile.SYMTYPE, "../.."), b"")  # the state folder itself
    for number, (evil, why) in enumerate(
        [
            ([up, (member("a/b/up/workspace", tarfile.SYMTYPE, "../../../victim"), b"")], "behind a link"),
            ([(member("a/b/up/workspace", tarfile.SYMTYPE, "../../../victim"), b""), up], "behind a link"),
            ([up, (member("workspace", tarfile.SYMTYPE, "a/b/up/../../victim"), b"")], "leads out"),
        ]
    ):
        packed(tmp_path / f"evil{number}", [rows, *folders, *evil])
        there = tmp_path / "out" / "deep" / "there"
        with pytest.raises(OpenClawError, match=why):
            restore(tmp_path / f"evil{number}", there, NOON)
        assert [path.name for path in tmp_path.joinpath("out").rglob("*")] == ["deep", "there", "lock"]
    (state / "workspace/deep/up").symlink_to("../..")
    (state / "workspace/out").symlink_to("deep/up/../../victim")
    (state / "workspace/loop").symlink_to("loop")
    told = backup(state, tmp_path / "c", NOON)
    assert sorted(note.split()[0] for note in told.notes) == ["workspace/away", "workspace/out"]
    restore(tmp_path / "c", tmp_path / "copy", NOON)
    assert (tmp_path / "copy/workspace/deep/up").readlink() == Path("../..")


def test_a_backup_of_a_newer_version_or_without_rows_is_refused(state, tmp_path):
    packed(tmp_path / "newer", [], {"format": 2})
    with pytest.raises(StateTooNew, match=r"newer version \(9\)"):
        restore(tmp_path / "newer", tmp_path / "there", NOON)
    packed(tmp_path / "empty", [])
    with pytest.raises(OpenClawError, match=r"holds no runtime\.db"):
        restore(tmp_path / "empty", tmp_path / "there", NOON)
    with closing(sqlite3.connect(state / "runtime.db")) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    backup(state, tmp_path / "rows", NOON)
    with pytest.raises(StateTooNew, match=f"schema {VERSION + 1}"):
        restore(tmp_path / "rows", tmp_path / "there", NOON)


def test_a_folder_that_is_a_disk_of_its_own_is_filled_in_place(state, tmp_path):
    backup(state, tmp_path / "b", NOON)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("mounting takes a root that may mount")
    try:
        restore(tmp_path / "b", disk, NOON)
        assert files_of(disk) == files_of(state)
        with_store(disk, is_as_it_was)
        with pytest.raises(StateError, match="not empty; empty it first"):
            restore(tmp_path / "b", disk, NOON, force=True)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_what_cannot_be_read_is_told_and_keeps_nothing_else_out(state, tmp_path):
    (state / "workspace" / "bare").mkdir()
    (state / "workspace" / "bare" / "file").write_text("x")
    (state / "workspace" / "listed").mkdir()
    (state / "workspace" / "listed" / "file").write_text("x")
    (state / "workspace" / "into").symlink_to("bare/file")
    for name in ("workspace/run.sh", "workspace/bare"):
        (state / name).chmod(0)
    (state / "workspace" / "listed").chmod(0o600)  # cannot be entered
    told = subprocess.run(
        [*AS_A_USER, sys.executable, "-m", "openclaw", "--state", str(state), "backup", str(tmp_path / "b")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "setpriv" in told.stderr:
        pytest.skip("only root can give its rights away")
    assert told.returncode == 1
    for name in ("workspace/run.sh", "workspace/bare", "workspace/listed/file"):
        assert f"{name} cannot be read (Permission denied), and was left out" in told.stderr
    restore(tmp_path / "b", tmp_path / "there", NOON)
    assert (tmp_path / "there" / "memory" / "keys.md").read_text() == "under the mat"
    assert not (tmp_path / "there" / "workspace" / "run.sh").exists()


def test_damaged_rows_are_told_by_the_backup_and_refused_by_the_restore(state, tmp_path):
    path = state / "runtime.db"
    pages = path.read_bytes()
    path.write_bytes(
        pages[:4096] + b"".join(b"\xff" * 64 + pages[at + 64 : at + 4096] for at in range(4096, len(pages), 4096))
    )
    told = backup(state, tmp_path / "b", NOON)
    assert not told.whole and any("runtime.db is damaged" in note for note in told.notes)
    packed(tmp_path / "none", [(member("runtime.db"), b"no database" * 100)])
    packed(tmp_path / "bare", [(member("runtime.db"), b"")])
    packed(tmp_path / "maps", [(member("a"), b"")], {"files": {"a": "x"}})
    for archive in ("b", "none", "bare", "maps"):
        with pytest.raises(OpenClawError, match="nothing was restored"):
            restore(tmp_path / archive, tmp_path / "there", NOON)
        assert [path.name for path in (tmp_path / "there").iterdir()] == ["lock"]


def test_a_state_folder_that_is_a_link_stays_one(state, tmp_path):
    backup(state, tmp_path / "b", NOON)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    restore(tmp_path / "b", tmp_path / "link", NOON)
    assert files_of(tmp_path / "real") == files_of(state) and (tmp_path / "link").is_symlink()
    told = restore(tmp_path / "b", tmp_path / "link", NOON, force=True)
    assert (tmp_path / "link").readlink() == Path("real") and "real.before-" in told.notes[0]


def test_the_time_of_a_backup_is_in_it(state, tmp_path):
    backup(state, tmp_path / "b", SystemClock().now())
    with tarfile.open(tmp_path / "b") as tar:
        content = tar.extractfile(MANIFEST)
        assert content is not None
        assert set(json.load(content)) == {"format", "version", "schema", "at", "files"}
