"""Transcripts that a crash, a disk or a person has damaged: whole lines are served, the rest is kept and told."""

import asyncio
import json
import logging
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.clock import ManualClock
from openclaw.errors import StateError, StateTooNew
from openclaw.messages import UserEntry
from openclaw.stores import _codec as codec
from openclaw.stores import _jsonl
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
KEY = "agent:main:repl:local"


def user(id, text="hello"):
    return UserEntry(id, NOON, ({"type": "text", "text": text},), "in")


def with_store(folder, steps):
    async def main():
        store = Store(str(folder), ManualClock(NOON))
        await store.open()
        try:
            return await steps(store)
        finally:
            await store.close()

    return asyncio.run(main())


def written(folder, *entries):
    async def steps(store):
        await store.journal.append(KEY, entries)

    with_store(folder, steps)
    return folder / "sessions" / "agent_main_repl_local.jsonl"


def loaded(folder):
    async def steps(store):
        return [entry.id for entry in await store.journal.load(KEY)], list(store.damage)

    return with_store(folder, steps)


def test_the_file_is_as_documented(tmp_path):
    path = written(tmp_path, user("1", "día"))
    first, second = path.read_bytes().splitlines()
    header = json.loads(first)
    assert (header["type"], header["key"], header["version"]) == ("session", KEY, 1)
    assert header["id"] and header["at"] == "2026-03-28T12:00:00.000000Z"
    assert list(json.loads(second)) == ["id", "at", "type", "role", "content", "message"]
    assert json.loads(second)["type"] == "message" and json.loads(second)["role"] == "user"
    assert "día".encode() in second


def test_files_are_for_their_owner_alone(tmp_path):
    async def steps(store):
        await store.journal.append(KEY, [user("1")])
        await store.journal.append("damaged", [user("1")])
        await store.journal.archive(KEY)
        await store.marks.put("exec-approvals", [], 0)
        with (state / "sessions" / "damaged.jsonl").open("ab") as file:
            file.write(b"{torn")
        await store.journal.load("damaged")
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [state, *state.rglob("*")]}
        assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
        assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
        assert len(modes) >= 9

    state = tmp_path / "deep" / "state"
    with_store(state, steps)


def test_a_last_line_torn_at_any_byte_loses_nothing_else(tmp_path):
    path = written(tmp_path, user("1"), user("2"), user("3", "día"))
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, len(whole) - 1) + 1

    async def steps(store):
        for cut in range(start, len(whole)):
            path.write_bytes(whole[:cut])
            ids = [entry.id for entry in await store.journal.load(KEY)]
            # Only the newline is missing in the last round: the entry is whole, and is kept.
            assert ids == (["1", "2"] if cut < len(whole) - 1 else ["1", "2", "3"])
            assert path.read_bytes().endswith(b"\n")
            await store.journal.append(KEY, [user("next")])
            assert [entry.id for entry in await store.journal.load(KEY)] == [*ids, "next"]
        aside = path.with_suffix(".damaged").read_bytes()
        assert all(whole[start:cut] in aside for cut in range(start, len(whole) - 1))

    with_store(tmp_path, steps)


def test_a_first_line_torn_at_any_byte_is_written_anew(tmp_path):
    path = written(tmp_path, user("1"))
    header = path.read_bytes().split(b"\n")[0]

    async def steps(store):
        for cut in range(len(header) + 1):
            path.write_bytes(header[:cut])
            await store.journal.append(KEY, [user("a")])
            assert [entry.id for entry in await store.journal.load(KEY)] == ["a"]
            assert [summary.key for summary in await store.journal.list()] == [KEY]

    with_store(tmp_path, steps)


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"garbage", b"\x00" * 50, b"[1]", b"null", b'{"type":"message"}', b"\xff\xfe"]
)
def test_a_damaged_line_in_the_middle_is_skipped_reported_and_kept_once(tmp_path, bad, caplog):
    path = written(tmp_path, user("1"), user("2"), user("3"))
    lines = path.read_bytes().splitlines()
    lines[2] = bad
    path.write_bytes(b"\n".join(lines) + b"\n")
    with caplog.at_level(logging.WARNING, "openclaw.stores"):
        ids, damage = loaded(tmp_path)
    assert ids == ["1", "3"]
    assert [(Path(found.file), found.line, found.size) for found in damage] == [(path, 3, len(bad))]
    assert [record.getMessage().split(": ")[0] for record in caplog.records] == [f"{path}:3"]
    loaded(tmp_path)
    assert path.with_suffix(".damaged").read_bytes() == bad + b"\n"
    assert path.read_bytes().splitlines() == lines


def test_a_damaged_first_line_costs_only_itself(tmp_path):
    path = written(tmp_path, user("1"), user("2"))
    path.write_bytes(b"#" + path.read_bytes())
    ids, damage = loaded(tmp_path)
    assert ids == ["1", "2"] and [found.line for found in damage] == [1]
    assert json.loads(path.read_bytes().split(b"\n")[0])["key"] == KEY
    assert loaded(tmp_path) == (["1", "2"], [])


def test_a_flipped_bit_anywhere_harms_one_line_or_one_session_and_never_the_others(tmp_path):
    path = written(tmp_path, user("1"), user("2"), user("3"))
    whole = path.read_bytes()

    async def steps(store):
        await store.journal.append("other", [user("o")])
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
            try:
                entries = await store.journal.load(KEY)
                assert len(entries) >= 1  # a flipped newline glues two lines together
            except StateError as error:
                assert str(path) in str(error)
            assert [entry.id for entry in await store.journal.load("other")] == ["o"]

    with_store(tmp_path, steps)


def test_another_sessions_file_under_this_name_is_refused(tmp_path):
    path = written(tmp_path, user("1"))
    path.rename(path.with_name("other.jsonl"))
    before = path.with_name("other.jsonl").read_bytes()

    async def steps(store):
        for attempt in (store.journal.load("other"), store.journal.append("other", [user("2")])):
            with pytest.raises(StateError, match=f"other.jsonl holds the session `{KEY}` and not `other`"):
                await attempt
        await store.journal.append("fine", [user("1")])

    with_store(tmp_path, steps)
    assert path.with_name("other.jsonl").read_bytes() == before


def test_a_newer_transcript_is_refused_and_left_as_it_is(tmp_path):
    path = written(tmp_path, user("1"))
    newer = path.read_bytes().replace(b'"version":1', b'"version":2') + b'{"torn'
    path.write_bytes(newer)

    async def steps(store):
        for attempt in (
            store.journal.load(KEY),
            store.journal.append(KEY, [user("2")]),
            store.journal.archive(KEY),
        ):
            with pytest.raises(StateTooNew, match=r"agent_main_repl_local\.jsonl was written by a newer version"):
                await attempt

    with_store(tmp_path, steps)
    assert path.read_bytes() == newer


def test_a_file_that_a_person_saves_while_it_is_in_use_is_written_to_and_not_its_ghost(tmp_path):
    path = tmp_path / "sessions" / "agent_main_repl_local.jsonl"

    async def steps(store):
        await store.journal.append(KEY, [user("1"), user("2")])
        edited = path.read_bytes().splitlines()[:2]
        saved = path.with_name("editor")
        saved.write_bytes(b"\n".join(edited))  # and without the last newline, as some editors do
        saved.rename(path)
        await store.journal.append(KEY, [user("3")])
        assert [entry.id for entry in await store.journal.load(KEY)] == ["1", "3"]
        path.unlink()
        await store.journal.append(KEY, [user("4")])
        assert [entry.id for entry in await store.journal.load(KEY)] == ["4"]

    with_store(tmp_path, steps)


def test_more_sessions_than_open_files(tmp_path):
    async def steps(store):
        for _ in range(2):
            for number in range(200):
                await store.journal.append(f"s{number}", [user(str(number))])
        for number in range(200):
            assert [entry.id for entry in await store.journal.load(f"s{number}")] == [str(number)] * 2

    with_store(tmp_path, steps)


def test_an_archive_keeps_every_byte_and_takes_no_name_twice(tmp_path):
    async def steps(store):
        await store.journal.append(KEY, [user("1")])
        before = (tmp_path / "sessions" / "agent_main_repl_local.jsonl").read_bytes()
        first = await store.journal.archive(KEY)
        assert first == "agent_main_repl_local.20260328T120000Z.jsonl"
        await store.journal.append(KEY, [user("2")])
        second = await store.journal.archive(KEY)
        assert second == "agent_main_repl_local.20260328T120000Z-2.jsonl"
        assert (tmp_path / "sessions" / "archive" / first).read_bytes() == before

    with_store(tmp_path, steps)


def test_reading_all_lines_at_once_gives_what_reading_each_by_itself_gives_or_leaves_it_to_that(tmp_path):
    whole = written(tmp_path, user("1"), user("2", "día"), user("3")).read_bytes()
    assert _jsonl._all_whole(whole) == [user("1"), user("2", "día"), user("3")]
    first, *lines = whole.split(b"\n")[:-1]
    glued = [[lines[0] + b"," + lines[1]], [lines[0][:40], lines[0][40:]], [b" " + lines[0]], [lines[0] + b" "], [b""]]
    spoilt = [b"\n".join([first, *some, b""]) for some in glued]
    for place in range(len(first) + 1, len(whole)):
        for bit in (0x01, 0x10, 0x80):
            spoilt.append(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
    for content in spoilt:
        found = _jsonl._all_whole(content)
        if found is not None:
            assert found == [codec.entry_from(json.loads(line)) for line in content.split(b"\n")[1:-1]]


def test_what_cannot_be_read_hides_no_other_session(tmp_path, caplog):
    async def steps(store):
        await store.journal.append(KEY, [user("1")])
        (tmp_path / "sessions" / "folder.jsonl").mkdir()
        (tmp_path / "sessions" / "circle.jsonl").symlink_to("circle.jsonl")
        assert [one.key for one in await store.journal.list()] == [KEY]
        assert caplog.text.count("is not listed") == 2

    with_store(tmp_path, steps)


def test_the_list_counts_what_was_added_and_what_was_replaced(tmp_path):
    path = tmp_path / "sessions" / "agent_main_repl_local.jsonl"

    async def counted(store):
        return [(one.key, one.entries, one.size) for one in await store.journal.list()]

    async def steps(store):
        assert await counted(store) == []
        await store.journal.append(KEY, [user("1")])
        await store.journal.append("other", [user("1")])
        for number in range(2, 5):
            await store.journal.append(KEY, [user(str(number))])
            assert (await counted(store))[0] == (KEY, number, path.stat().st_size)
        saved = path.with_name("editor")
        saved.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]) + b"x" * 5000 + b"\n")
        saved.rename(path)
        assert (await counted(store))[0][1] == 2
        path.unlink()
        assert [one[0] for one in await counted(store)] == ["other"]

    with_store(tmp_path, steps)
