"""Memories are files that people may edit; what is saved is found, in its own scope only, whatever is asked."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult
from openclaw.ports import Place
from openclaw.tools import _note as note
from openclaw.tools import _words
from openclaw.tools.memory import Memory, Tools

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    made = Memory(tmp_path / "memory", tmp_path / "search.db", ManualClock(START))
    made.open()
    yield made
    made.close()


def names(found: Any) -> list[str]:
    return [one.name for one in found]


def ask(state: Path, *calls: tuple[str, dict[str, Any]], scope: str | None = "") -> list[ToolResult]:
    """The answers of the tools of one runtime on this state folder."""

    async def run() -> list[ToolResult]:
        tools = Tools({}, Place(project=str(state), state=str(state)), SystemClock())
        await tools.open()
        call = Call("main", "agent:main:repl:local", "repl:local", state, "call1", memory=scope)
        try:
            return [await tools.run(name, input, call) for name, input in calls]
        finally:
            await tools.close()

    return asyncio.run(run())


def test_what_was_said_about_the_cat_is_found_by_a_question_and_by_its_plural(tmp_path: Path) -> None:
    saved, asked, plural = ask(
        tmp_path,
        ("save_memory", {"text": "my cat is Zorblax"}),
        ("memory_search", {"query": "what is my cat?"}),
        ("memory_search", {"query": "Cats!"}),
    )
    assert saved == ToolResult("Remembered as `my-cat-is-zorblax`.")
    today = datetime.now(UTC).date().isoformat()
    assert asked.text == f"1 memory, best match first:\n\n1. my-cat-is-zorblax ({today})\nmy cat is Zorblax"
    assert plural.text == asked.text


def test_the_file_of_a_memory_is_plain_markdown_private_and_read_by_the_next_runtime(tmp_path: Path) -> None:
    ask(tmp_path, ("save_memory", {"text": "likes tea", "name": "Nader's Tea"}))
    (file,) = (tmp_path / "memory").iterdir()
    assert file.name == "nader%27s-tea.md"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "search.db").stat().st_mode & 0o777 == 0o600
    lines = file.read_text().splitlines()
    assert lines[:2] == ["---", "name: nader's-tea"]
    assert lines[3:] == ["author: repl:local", "agent: main", "---", "", "likes tea"]
    (found,) = ask(tmp_path, ("memory_list", {}))
    assert "nader's-tea" in found.text


def test_memory_that_is_off_and_faulty_inputs_are_error_results(tmp_path: Path) -> None:
    (off,) = ask(tmp_path, ("memory_list", {}), scope=None)
    assert off == ToolResult("this agent has no memory (`memory: off` in its manifest)", is_error=True)
    empty, long, gone = ask(
        tmp_path,
        ("save_memory", {"text": "  "}),
        ("save_memory", {"text": "x" * 20_001}),
        ("memory_delete", {"name": "nothing"}),
    )
    assert empty.is_error and "empty" in empty.text
    assert long.is_error and "20,001" in long.text
    assert gone.is_error and "memory_list shows the names" in gone.text


def test_a_memory_is_forgotten_by_its_name_and_a_near_miss_is_told(tmp_path: Path) -> None:
    _, missed, gone, after = ask(
        tmp_path,
        ("save_memory", {"text": "likes tea", "name": "tea"}),
        ("memory_delete", {"name": "teas"}),
        ("memory_delete", {"name": "TEA.md"}),
        ("memory_search", {"query": "tea"}),
    )
    assert missed == ToolResult("there is no memory `teas`; did you mean `tea`?", is_error=True)
    assert gone.text == "Forgot `tea`. It said:\nlikes tea"
    assert after.text == "No memory matches `tea`."
    assert list((tmp_path / "memory").iterdir()) == []


def test_replacing_a_memory_says_what_it_said_before(tmp_path: Path) -> None:
    first, second, same = ask(
        tmp_path,
        ("save_memory", {"text": "likes tea", "name": "drink"}),
        ("save_memory", {"text": "likes coffee", "name": "drink"}),
        ("save_memory", {"text": "likes coffee", "name": "drink"}),
    )
    assert not first.is_error
    assert second.text == "Updated `drink`. Before, it said:\nlikes tea"
    assert same.text == "This was remembered already, as `drink`."


def test_names_made_from_texts_never_meet(memory: Memory) -> None:
    long = "the same eight words begin both of these "
    for text in (long + "one", long + "two", "!!!", "???", long + "one"):
        memory.save("", text)
    assert sorted(one.text for one in memory.list("")) == sorted([long + "one", long + "two", "!!!", "???"])


def test_people_add_change_and_remove_files_under_any_name(memory: Memory, tmp_path: Path) -> None:
    folder = tmp_path / "memory" / "Küche"
    folder.mkdir()
    file = folder / "My_soup notes.MD"
    file.write_text("# Borscht\nBeetroot and dill.\n")
    (found,) = memory.search("", "borscht")
    assert (found.name, found.key) == ("Küche/My_soup notes", "Küche/My_soup notes")
    assert memory.find("", "küche/my_soup notes") == found

    before = file.stat()
    file.write_text("# Borscht\nBeetroot and leek\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names(memory.search("", "leek")) == ["Küche/My_soup notes"]
    assert memory.search("", "dill") == []

    file.rename(folder / "other.md")
    assert names(memory.search("", "leek")) == ["Küche/other"]
    (folder / "other.md").unlink()
    assert memory.search("", "leek") == []

    (folder / "Third.MD").write_text("carrots")
    assert memory.delete("", "küche/third") is not None
    assert list(folder.iterdir()) == []


def test_front_matter_may_be_partial_foreign_or_broken(memory: Memory, tmp_path: Path) -> None:
    texts = {
        "none": "apples",
        "partial": "---\nauthor: ana\n---\napples",
        "foreign": "---\ntags:\n  - orchard\ncreated: yesterday\n---\napples",
        "open": "---\nauthor: ana\napples",
        "windows": "\ufeff---\r\ncreated: 2020-01-02\r\n---\r\napples\r\n",
        "empty": "",
        "binary": "\x00\x01 apples",
    }
    (tmp_path / "memory").mkdir(exist_ok=True)
    for name, text in texts.items():
        (tmp_path / "memory" / f"{name}.md").write_text(text, newline="")
    (tmp_path / "memory" / "latin.md").write_bytes(b"apples \xe4\xff")
    assert sorted(names(memory.search("", "apple", 50))) == sorted({*texts, "latin"} - {"empty"})
    assert names(memory.search("", "orchards")) == ["foreign"]
    assert {one.name: one.author for one in memory.list("")}["partial"] == "ana"
    assert {one.name: one.created for one in memory.list("")}["windows"] == datetime(2020, 1, 2, tzinfo=UTC)


def test_scopes_are_held_apart_in_every_direction(memory: Memory, tmp_path: Path) -> None:
    scopes = ["", "agents/main", "agents/other", "people/nader", "people/main"]
    for scope in scopes:
        memory.save(scope, f"secret of {scope or 'all'}", name="note")
    (tmp_path / "memory" / "agents" / "loose.md").write_text("secret loose")
    for scope in scopes:
        assert [one.text for one in memory.search(scope, "secret", 50)] == [f"secret of {scope or 'all'}"]
        assert [one.scope for one in memory.list(scope)] == [scope]
    assert len(memory.search(None, "secret", 50)) == len(scopes) + 1
    with pytest.raises(ToolError, match=r"`NOTE` could be `.*` or `.*/note`; write the whole key"):
        memory.delete(None, "NOTE")
    assert memory.find(None, "people/main/note") == memory.find("people/main", "NOTE")
    assert memory.delete("agents/main", "note") is not None
    assert memory.find("agents/main", "note") is None
    assert memory.find("agents/other", "note") is not None


@pytest.mark.parametrize(
    "scope", ["..", "agents", "agents/", "agents/..", "agents/a/b", "/etc", "other/x", "agents/a\0"]
)
def test_a_scope_of_another_form_is_refused(memory: Memory, scope: str) -> None:
    for attempt in (lambda: memory.save(scope, "x"), lambda: memory.search(scope, "x"), lambda: memory.list(scope)):
        with pytest.raises(ToolError, match="no scope"):
            attempt()


def test_links_and_hidden_files_are_no_memories(memory: Memory, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (tmp_path / "memory" / "linked").symlink_to(outside)
    (tmp_path / "memory" / "link.md").symlink_to(outside / "secret.md")
    (tmp_path / "memory" / ".hidden.md").write_text("secret")
    os.mkfifo(tmp_path / "memory" / "pipe.md")
    assert memory.search("", "secret") == []
    with pytest.raises(ToolError, match="link"):
        memory.save("", "overwritten", name="link")
    assert (outside / "secret.md").read_text() == "secret"


@pytest.mark.parametrize("damage", ["missing", "garbage", "truncated", "version", "foreign", "emptied"])
def test_the_index_is_a_cache_that_comes_back(tmp_path: Path, damage: str) -> None:
    index = tmp_path / "search.db"
    ask(tmp_path, *(("save_memory", {"text": f"cat number {n}"}) for n in range(50)))
    sqlite3.connect(index).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    match damage:
        case "missing":
            index.unlink()
        case "garbage":
            index.write_bytes(b"not a database" * 1000)
        case "truncated":
            os.truncate(index, index.stat().st_size // 3)
        case "version":
            with sqlite3.connect(index) as db:
                db.execute("PRAGMA user_version = 99")
            db.close()
        case "foreign":
            index.unlink()
            with sqlite3.connect(index) as db:
                db.execute("CREATE TABLE files (x)")
            db.close()
        case "emptied":
            index.write_bytes(b"")
    (found,) = ask(tmp_path, ("memory_search", {"query": "cat number 7", "limit": 3}))
    assert found.text.startswith("3 memories, best match first:\n\n1. cat-number-7 ")


def test_an_index_that_breaks_while_it_is_open_is_built_anew(memory: Memory, tmp_path: Path) -> None:
    memory.save("", "my cat")
    assert memory.search("", "cat")
    with sqlite3.connect(tmp_path / "search.db") as db:
        db.execute("DROP TABLE words")
    db.close()
    assert names(memory.search("", "cat")) == ["my-cat"]


def test_titles_weigh_more_and_the_newest_wins_a_tie(tmp_path: Path) -> None:
    clock = ManualClock(START)
    memory = Memory(tmp_path / "memory", tmp_path / "search.db", clock)
    memory.open()
    memory.save("", "a long walk past the dentist and the butcher", name="walk")
    memory.save("", "appointment on Friday", name="dentist")
    assert names(memory.search("", "dentist")) == ["dentist", "walk"]
    for day in range(3):
        clock.jump(86400)
        memory.save("", "bought milk", name=f"shop-{day}")
    assert names(memory.search("", "milk")) == ["shop-2", "shop-1", "shop-0"]
    assert memory.list("")[0].created == START + timedelta(days=3)
    memory.close()


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("我的猫叫佐布拉克斯", "猫"),
        ("我的猫叫佐布拉克斯", "我的猫是谁？"),
        ("私の猫の名前はゾルです", "猫の名前"),
        ("우리 고양이는 조르블락스", "고양이"),
        ("แมวของฉันชื่อซอร์บ", "แมว"),
        ("мою кошку зовут Зорб", "КОШКУ"),
        ("η γάτα μου", "γατα"),
        ("قطتي اسمها زورب", "قطتي"),
        ("मेरी बिल्ली का नाम ज़ोर्ब है", "बिल्ली"),
        ("Café crème brûlée", "creme brulee"),
        (unicodedata.normalize("NFD", "Zoë's Geburtstag"), "zoe"),
        ("the C++ and c# notes", "c++"),
        ("server db-01.example.org is slow", "db-01"),
        ("zorblaxian cuisine", "zorbl"),
        ("wi-fi password is on the fridge", "wifi wi-fi"),
        ("is this it", "what is it"),
    ],
)
def test_every_script_and_spelling_is_found(memory: Memory, text: str, query: str) -> None:
    memory.save("", text, name="wanted")
    memory.save("", "無關 entirely unrelated", name="noise")
    assert names(memory.search("", query))[:1] == ["wanted"]


def test_search_stays_exact_where_nothing_matches(memory: Memory) -> None:
    memory.save("", "我的猫")
    assert memory.search("", "的我") == []
    assert memory.search("", "") == []
    assert memory.search("", '?!"*()') == []


WORDS = st.text(st.characters(exclude_categories=()), max_size=80)
FTS = st.lists(
    st.sampled_from(['"', "*", "(", ")", "AND", "OR", "NOT", "NEAR(", ":", "^", "-", "+", "'", "{", "\0", "cat"])
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=WORDS | FTS.map(" ".join) | FTS.map("".join))
def test_no_query_breaks_the_search(memory: Memory, query: str) -> None:
    memory.search("", query)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=WORDS, name=WORDS)
def test_whatever_is_saved_is_found_by_its_name_and_by_its_own_words(memory: Memory, text: str, name: str) -> None:
    if not text.strip():
        return
    saved, _ = memory.save("people/x", text, name=name)
    clean = text.encode("utf-8", "replace").decode()
    try:
        found = memory.find("people/x", saved.name)
        assert found is not None
        assert found.text == clean.replace("\r\n", "\n").strip() or "\r" in clean
        if _words.terms(text):
            assert saved.name in names(memory.search("people/x", text, 200))
    finally:
        memory.delete("people/x", saved.name)


@settings(max_examples=300, deadline=None)
@given(content=st.text(), stem=st.text(min_size=1))
def test_any_file_is_a_note(content: str, stem: str) -> None:
    assert note.read(content, stem).name == stem or note.read(content, stem).name


@settings(max_examples=200, deadline=None)
@given(a=st.text(max_size=200), b=st.text(max_size=200))
def test_different_names_are_different_files(a: str, b: str) -> None:
    from openclaw.names import file_name

    first, second = note.called(a), note.called(b)
    assert (first == second) == (file_name(first) == file_name(second))
    assert note.called(first) == first or not first


def test_two_runtimes_may_share_an_index(tmp_path: Path) -> None:
    one, two = (Memory(tmp_path / "memory", tmp_path / "search.db", SystemClock()) for _ in range(2))
    one.open()
    two.open()
    one.save("", "from one")
    two.save("", "from two")
    assert len(one.search("", "from one two")) == len(two.search("", "from one two")) == 2
    one.close()
    two.close()
