"""sessions export and import: a session comes back exactly, once, and over no other one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.test_state_commands import Done, openclaw
from doubles.house import CHANNELS, lived, project
from doubles.messages_server import MessagesServer
from openclaw.clock import SystemClock
from openclaw.errors import OpenClawError
from openclaw.messages import AssistantEntry, Draft, Entry, Intent, Result, Usage, UserEntry
from openclaw.stores._portable import continued, parsed, rest
from openclaw.stores.files import Store
from openclaw.transcript import Transcript

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
KEY = "agent:main:http:ana"
ENTRIES: tuple[Entry, ...] = (
    UserEntry("1", NOON, ({"type": "text", "text": "h\u00e4llo \x1b[31m"},), "m1", "a quoted message", ("m2",)),
    AssistantEntry(
        "2", NOON, ({"type": "tool_use", "id": "c", "name": "add", "input": {}},), "x", "tool_use", Usage(1, 2), "s"
    ),
    Intent("3", NOON, "c", "add", {}),
    Result("4", NOON, "c", "42", False),
    AssistantEntry("5", NOON, ({"type": "text", "text": "It is 42."},), "x", "end_turn", Usage(3, 4), "s"),
)


FOREIGN = (replace(ENTRIES[0], message="imported:m1", joined=("imported:m2",)), *ENTRIES[1:])  # type: ignore[call-arg]


def write(state: Path, key: str, *entries: Entry) -> None:
    async def main() -> None:
        store = Store(str(state), SystemClock())
        await store.open()
        await store.journal.append(key, entries)
        await store.close()

    asyncio.run(main())


def read(state: Path, key: str = KEY) -> list[Entry]:
    async def main() -> list[Entry]:
        store = Store(str(state), SystemClock())
        await store.open()
        try:
            return list(await store.journal.load(key))
        finally:
            await store.close()

    return asyncio.run(main())


def exported(state: Path, file: Path) -> str:
    done = openclaw(state, "sessions", "export", KEY)
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text(done.stdout, "utf-8")
    return done.stdout


def taken(done: Done) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_session_goes_elsewhere_whole_and_a_repeated_import_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "here", KEY, *ENTRIES)
    file, there = tmp_path / "session.jsonl", tmp_path / "there"
    exported(tmp_path / "here", file)
    assert taken(openclaw(there, "sessions", "import", str(file))) == f"{KEY}: 5 of 5 entries were new\n"
    assert read(there) == list(FOREIGN)
    assert "0 of 5" in taken(openclaw(tmp_path / "here", "sessions", "import", str(file)))
    assert "0 of 5" in taken(openclaw(there, "sessions", "import", str(file)))
    assert "5 of 5" in taken(openclaw(there, "sessions", "import", "-", "--as", "other:key", input=file.read_text()))
    assert (read(there), read(there, "other:key")) == (list(FOREIGN), list(FOREIGN))
    shown = taken(openclaw(there, "sessions", "export", KEY, "--format", "md"))
    assert shown.startswith(f"# {KEY}\n") and "It is 42." in shown and "\x1b" not in shown


def test_another_session_is_not_written_over_and_is_archived_by_force(tmp_path: Path) -> None:
    write(tmp_path / "here", KEY, *ENTRIES)
    file, there = tmp_path / "session.jsonl", tmp_path / "there"
    exported(tmp_path / "here", file)
    other = UserEntry("9", NOON, ({"type": "text", "text": "mine"},), "m9")
    write(there, KEY, other)
    refused = openclaw(there, "sessions", "import", str(file))
    assert refused.returncode == 1 and "--force archives it first" in refused.stderr
    assert read(there) == [other]
    imported = json.loads(taken(openclaw(there, "sessions", "import", str(file), "--force", "--json")))
    assert imported == {"key": KEY, "entries": 5}
    assert read(there) == list(FOREIGN) and len(list((there / "sessions/archive").iterdir())) == 1


def changed(lines: list[str], what: str) -> list[str]:
    match what:
        case "newer":
            return [lines[0].replace('"version":1', '"version":2'), *lines[1:]]
        case "no header":
            return lines[1:]
        case "cut":
            return [*lines[:-1], lines[-1][:20]]
        case "twice":
            return [*lines, lines[1]]
        case _:
            return [lines[0], *lines[3:]]  # a result without its call


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("newer", "written by a newer version"),
        ("no header", ":1: this is no exported session"),
        ("cut", ":6: this line is no entry"),
        ("twice", ":7: the id `1` is there twice"),
        ("no call", ":2: there is no call `c`"),
    ],
)
def test_what_is_not_whole_is_refused_with_its_place_and_nothing_of_it_is_taken(
    tmp_path: Path, what: str, said: str
) -> None:
    write(tmp_path / "here", KEY, *ENTRIES)
    file, there = tmp_path / "session.jsonl", tmp_path / "there"
    lines = exported(tmp_path / "here", file).splitlines()
    file.write_text("\n".join(changed(lines, what)), "utf-8")
    refused = openclaw(there, "sessions", "import", str(file))
    assert refused.returncode == 1 and said in refused.stderr
    assert not there.exists()


def test_a_damaged_line_keeps_the_others_from_nobody(tmp_path: Path) -> None:
    write(tmp_path, KEY, *ENTRIES)
    [path] = (tmp_path / "sessions").glob("*.jsonl")
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*whole[:5], b"@@\n", *whole[5:]]))
    for form, shown in (("jsonl", b"".join(whole).decode()), ("md", f"# {KEY}\n")):
        done = openclaw(tmp_path, "sessions", "export", KEY, "--format", form)
        assert done.returncode == 0 and done.stdout.startswith(shown) and "It is 42." in done.stdout
        assert "line 6 is damaged, and was left out" in done.stderr


HEAD = {"id": "h", "at": "2026-11-01T00:00:00Z", "type": "session", "key": "k", "version": 1}
TEXT = {"type": "text", "text": "hi"}
USAGE = {"input": 1, "output": 1, "cache_read": 0, "cache_write": 0}
START = {"id": "1", "at": HEAD["at"], "type": "message"}
SAID = {**START, "role": "user", "message": "m", "content": [TEXT]}
ANSWERED = {**START, "id": "2", "role": "assistant", "model": "m", "stop_reason": "x", "setup": "s", "usage": USAGE}
SUMMED = {**START, "type": "compaction", "summary": "x", "keep_from": None, "usage": USAGE}


def answered(**block: object) -> list[dict[str, object]]:
    return [SAID, {**ANSWERED, "content": [block]}]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{**SAID, "content": []}], ":2: a message without a word"),
        ([{**SAID, "content": [{"type": "text", "text": ""}]}], ":2: a message without a word"),
        ([{**SAID, "content": [{"type": "thinking"}]}], ":2: a message holds no block of the type `thinking`"),
        (answered(type="text", text="x")[1:], ":2: nobody said anything before this line"),
        ([SUMMED], ":2: nobody said anything before this line"),
        (answered(type="tool_use"), ":3: this line is no entry"),
        (answered(type="tool_use", id="c", name="n", input=[]), ":3: a block of the type `tool_use` whose `input`"),
        (answered(type="text", text={"a": 1}), ":3: a block of the type `text` whose `text` is missing or wrong"),
        (answered(type="thinking", thinking="x"), ":3: a block of the type `thinking` whose `signature`"),
        (answered(text="x"), ":3: a block without a `type`"),
    ],
)
def test_a_transcript_that_no_model_would_read_is_refused(lines: list[dict[str, object]], said: str) -> None:
    text = "\n".join(map(json.dumps, [HEAD, *lines])) + "\n"
    with pytest.raises(OpenClawError) as refused:
        parsed(text.encode(), "file")
    assert str(refused.value).startswith(f"file{said}")


def test_a_transcript_from_elsewhere_answers_nobody_and_is_a_strangers() -> None:
    told = {**START, "id": "3", "type": "told", "by": "b", "text": "t", "message": "n"}
    summary = {**SUMMED, "id": "4", "keep_from": "3", "message": "o"}
    undone = {**START, "id": "5", "type": "undone", "compaction": "4", "message": "p"}
    lines = [HEAD, SAID, {**ANSWERED, "content": [TEXT]}, told, summary, undone]
    _, entries = parsed("\n".join(map(json.dumps, lines)).encode(), "file")
    transcript = Transcript(entries)
    assert [id for id in "mnop" if transcript.begun(id)] == []
    assert all(getattr(entry, "message", "imported:").startswith("imported:") for entry in entries)
    assert transcript.untrusted == "an import"
    assert list(continued(entries[:1], entries)) == entries and rest(entries, entries) == []
    assert rest([replace(entries[0], at=NOON)], entries) is None


def test_what_was_begun_of_a_summary_elsewhere_is_no_beginning_of_one_here() -> None:
    draft = {"summary": "All agreed.", "length": 8, "digest": "0" * 32, "usage": {**USAGE, "input": 7}, "setup": "s"}
    lines = [HEAD, {**START, "type": "draft", **draft}]
    _, (kept,) = parsed("\n".join(map(json.dumps, lines)).encode(), "file")
    assert isinstance(kept, Draft) and (kept.summary, kept.length, kept.digest, kept.usage.input) == ("", 0, "", 7)


def test_what_a_model_may_answer_with_one_day_is_taken() -> None:
    lines = [HEAD, SAID, {**ANSWERED, "content": [{"type": "of tomorrow"}, TEXT]}]
    assert len(parsed("\n".join(map(json.dumps, lines)).encode(), "file")[1]) == 2


def test_a_running_runtime_gives_out_and_takes_in_sessions(tmp_path: Path) -> None:
    write(tmp_path / "here", KEY, *ENTRIES)
    text = exported(tmp_path / "here", tmp_path / "session.jsonl")

    async def scene(model: MessagesServer) -> None:
        small = CHANNELS.replace("}", ", limits: {body: 1024}}")
        root = project(tmp_path / "project", model.url, files={"channels.yaml": small})
        async with lived(root, tmp_path / "state") as (_, operator):
            assert len(text) > 1024 and (await operator.say(text)).status_code == 413
            place = f"/api/sessions/{KEY}/import"
            taken = [(await operator.http.post(place, json={"text": text})).json()["entries"] for _ in range(2)]
            assert taken == [5, 0]
            assert [entry["id"] for entry in await operator.entries(KEY)] == ["1", "2", "3", "4", "5"]
            bad = await operator.http.post(place, json={"text": json.dumps({"type": "x"})})
            assert (bad.status_code, bad.json()["code"]) == (422, "bad_session")
            other = text.replace("It is 42.", "It is 43.")
            assert (await operator.http.post(place, json={"text": other})).json()["code"] == "session_exists"
            assert (await operator.http.post(place, json={"text": other, "force": True})).json()["entries"] == 5
            done = await asyncio.to_thread(openclaw, tmp_path / "state", "sessions", "export", KEY)
            assert done.returncode == 0 and "It is 43." in done.stdout

    with MessagesServer() as model:
        asyncio.run(asyncio.wait_for(scene(model), 60))
