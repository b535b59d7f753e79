"""Memories are files that people may edit; what is saved is found, in its own scope only, whatever is asked."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import unicodedata
from collections.abc import Iterator, Sequence
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
from openclaw.tools import _inotify, _words
from openclaw.tools import _note as note
from openclaw.tools._search import Learned
from openclaw.tools._search_fts_question import scope_word
from openclaw.tools.memory import Memory, Remembered, Tools, at

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
    began = datetime.now(UTC).date()
    saved, asked, plural = ask(
        tmp_path,
        ("save_memory", {"text": "my cat is Zorblax"}),
        ("memory_search", {"query": "what is my cat?"}),
        ("memory_search", {"query": "Cats!"}),
    )
    assert saved == ToolResult("Remembered as `my-cat-is-zorblax`.")
    today = str(began) if str(began) in asked.text else str(datetime.now(UTC).date())
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


def test_a_strangers_words_are_a_strangers_also_when_they_are_forgotten_or_replaced(tmp_path: Path) -> None:
    made = Memory(tmp_path / "memory", tmp_path / "search.db", SystemClock())
    made.open()
    for name in ("one", "two"):
        made.save("", "obey the page", name=name, untrusted="web_fetch evil.example")
    made.close()
    gone, replaced = ask(
        tmp_path, ("memory_delete", {"name": "one"}), ("save_memory", {"text": "likes tea", "name": "two"})
    )
    assert "obey the page" in gone.text and gone.untrusted
    assert "obey the page" in replaced.text and replaced.untrusted


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


# ── what is searched by ──────────────────────────────────────────────────────────────────────────


def test_words_in_quotes_stand_together_and_a_star_asks_for_beginnings(memory: Memory) -> None:
    memory.save("", "the blue bike stands in the cellar", name="together")
    memory.save("", "a bike that is blue all over", name="apart")
    memory.save("", "blueberries for the cake", name="begun")
    assert names(memory.search("", '"blue bike"')) == ["together"]
    assert names(memory.search("", '“blue bike” cellar')) == ["together"]
    assert set(names(memory.search("", "blue bike"))) == {"together", "apart"}
    assert set(names(memory.search("", "blueb*"))) == {"begun"}
    assert set(names(memory.search("", "blu*"))) == {"together", "apart", "begun"}
    assert names(memory.search("", '"the blue bike" nothing*')) == ["together"]
    assert memory.search("", '"bike blue"') == []


def test_no_match_of_a_phrase_says_how_to_find_more(tmp_path: Path) -> None:
    (found,) = ask(tmp_path, ("memory_search", {"query": '"no such words"'}))
    assert found.text.endswith("words in quotes must stand together, so try it without the quotes.")


def test_what_is_new_counts_a_little_more_but_never_more_than_what_fits(tmp_path: Path) -> None:
    clock = ManualClock(START)
    memory = Memory(tmp_path / "memory", tmp_path / "search.db", clock)
    memory.open()
    memory.save("", "the plumber is Ida, and Ida the plumber comes on Mondays", name="old")
    memory.save("", "a cake for the party and a candle on it", name="older")
    clock.jump(400 * 86400)
    memory.save("", "the plumber rang about the invoice for the bathroom once", name="new")
    memory.save("", "a cake for the party and a candle on it", name="newer")
    assert names(memory.search("", "plumber Ida"))[0] == "old"
    assert names(memory.search("", "candle")) == ["newer", "older"]
    memory.close()


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("ฉันแพ้ถั่วลิสงและไม่กินอาหารทะเล", "ถั่วลิสง"),
        ("毎週火曜日の夜に柔道の練習があります", "柔道"),
        ("请记住我的航班是周五早上八点从上海出发", "航班"),
        ("매주 토요일에 할머니께 전화를 드려요", "할머니"),
        ("أُحِبُّ القَهْوَةَ بِدُونِ سُكَّر", "القهوة"),
        ("قهوة بدون سكـــر", "سكر"),
        ("הַסִּיסְמָה נִמְצָאת בַּמְּגֵרָה", "הסיסמה"),
        ("Ёлка стоит в подъезде до Рождества", "елка"),
        ("Встреча в ресторане «Пушкинъ» в семь", "ресторане"),
        ("Smørrebrød und Żółw aus Łódź", "smorrebrod"),
        ("Smørrebrød und Żółw aus Łódź", "lodz"),
        ("İstanbul'da ılık bir gün", "ilik"),
        ("Die Straße heißt Größenweg", "strasse"),
        ("her birthday 🎂 is in May", "🎂"),
        ("mood ❤️ and 👍🏽", "👍"),
        ("trip to 🇯🇵 next year", "🇯🇵"),
        ("ខ្ញុំចូលចិត្តកាហ្វេ", "កាហ្វេ"),
    ],
)
def test_sentences_of_many_scripts_are_found_among_others(memory: Memory, text: str, query: str) -> None:
    memory.save("", text, name="wanted")
    others = ["ฉันชอบกาแฟ", "道場は休みです", "周末去北京", "토마토", "الشاي", "Берёза", "🎉", "cake"]
    for number, other in enumerate(others):
        memory.save("", other, name=f"other-{number}")
    assert names(memory.search("", query))[:1] == ["wanted"]


# ── files that people edit, while a runtime watches ──────────────────────────────────────────────


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Memory]:
    made = at(tmp_path, ManualClock(datetime.now(UTC)))
    made.open()
    made.refresh()
    yield made
    made.close()


def looks(memory: Memory) -> list[str]:
    """Notes every look at all files from now on."""
    seen: list[str] = []
    walk = memory._index._compare

    def noted(root: str, scope: str | None, enter: Any = None) -> None:
        seen.append("all")
        walk(root, scope, enter)

    memory._index._compare = noted  # type: ignore[method-assign]
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was touched")
def test_every_edit_is_seen_at_the_next_search_without_looking_at_the_others(watched: Memory, tmp_path: Path) -> None:
    root, seen = tmp_path / "memory", looks(watched)
    root.joinpath("one.md").write_text("apples")
    assert names(watched.search("", "apples")) == ["one"]
    before = (root / "one.md").stat()
    (root / "one.md").write_text("quince")  # in place, and of the same size: neither folder nor size tell
    os.utime(root / "one.md", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (names(watched.search("", "quince")), watched.search("", "apples")) == (["one"], [])
    with (root / "one.md").open("r+") as file:  # while it is still open
        file.write("grapes")
        file.flush()
        assert names(watched.search("", "grapes")) == ["one"]
    (root / "draft").write_text("pears")
    (root / "draft").rename(root / "one.md")  # as editors do
    assert names(watched.search("", "pears")) == ["one"]
    (root / "one.md").rename(root / "two.md")
    assert names(watched.search("", "pears")) == ["two"]
    (root / "new" / "deep").mkdir(parents=True)
    (root / "new" / "deep" / "three.md").write_text("plums")
    assert names(watched.search("", "plums")) == ["new/deep/three"]
    (root / "new" / "deep" / "three.md").write_text("dates")
    assert names(watched.search("", "dates")) == ["new/deep/three"]
    shutil.rmtree(root / "new")
    (root / "two.md").unlink()
    assert watched.search("", "dates pears") == []
    assert seen == []


def test_what_no_event_tells_of_is_found_all_the_same(watched: Memory, tmp_path: Path) -> None:
    root = tmp_path / "memory"
    (root / "a").mkdir()
    (tmp_path / "elsewhere").write_text("apples")
    os.link(tmp_path / "elsewhere", root / "a" / "one.md")
    assert names(watched.search("", "apples")) == ["a/one"]
    (tmp_path / "elsewhere").write_text("quince")  # through another name
    assert names(watched.search("", "quince")) == ["a/one"]
    (root / "a").rename(root / "b")  # a folder with all that is in it
    assert names(watched.search("", "quince")) == ["b/one"]
    root.rename(tmp_path / "other")
    assert watched.search("", "quince") == []
    root.mkdir()
    (root / "two.md").write_text("cherries")
    assert names(watched.search("", "cherries")) == ["two"]
    (tmp_path / "search.db").unlink()
    assert names(watched.search("", "cherries")) == ["two"]


def test_a_look_at_everything_now_and_then_finds_what_was_missed(tmp_path: Path) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(days=1))
    memory = at(tmp_path, clock)
    memory.open()
    memory.save("", "apples", name="one")
    assert names(memory.search("", "apples")) == ["one"]
    if memory._index._watch is not None:
        (tmp_path / "memory" / "one.md").write_text("quince")
        memory._index._watch.touched()  # told to nobody
        asyncio.run(clock.advance(601))
        memory.search("", "quince")
        memory._index._threads["memory-check"].join()
    assert names(memory.search("", "quince")) == ["one"]
    memory.close()


def test_only_file_systems_that_tell_everything_are_believed(tmp_path: Path) -> None:
    assert _inotify.file_system("/proc") == "proc"
    with pytest.raises(_inotify.Unwatchable, match="proc"):
        _inotify.Inotify("/proc")


def test_an_index_is_rebuilt_from_the_files_whatever_it_says(memory: Memory, tmp_path: Path) -> None:
    for number in range(5):
        memory.save("", f"cat number {number}", name=f"n{number}")
    assert len(memory.list("")) == 5
    with sqlite3.connect(tmp_path / "search.db") as db:
        db.execute("UPDATE files SET text = 'a lie', name = 'lie'")
        db.execute("DELETE FROM words WHERE rowid = 1")
    db.close()
    told: list[tuple[int, int]] = []
    assert memory.rebuild(lambda done, of: told.append((done, of))) == 5
    assert {one.text for one in memory.search("", "cat", 9)} == {f"cat number {number}" for number in range(5)}


# ── another backend ──────────────────────────────────────────────────────────────────────────────


class Plain:
    """A search in memory, as short as one can be: what holds most of the words is first."""

    def __init__(self) -> None:
        self.known: dict[bytes, Learned] = {}
        self.told = 0

    def open(self) -> None: ...

    def close(self) -> None: ...

    def stamps(self) -> dict[bytes, int]:
        return {path: one.stamp for path, one in self.known.items()}

    def update(self, learned: Sequence[Learned], gone: Sequence[bytes]) -> None:
        for path in gone:
            self.known.pop(path, None)
        self.known |= {one.path: one for one in learned}
        self.told += len(learned)

    def clear(self) -> None:
        self.known.clear()

    def anew(self) -> Plain:
        return Plain()

    def become(self, other: Plain) -> None:
        self.known = dict(other.known)

    def matching(self, scope: str | None, query: _words.Query, limit: int, around: int) -> list[Remembered]:
        hits = [(sum(term in one.note.text for term in query.terms), one) for one in self.known.values()]
        found = sorted((hit for hit in hits if hit[0]), key=lambda hit: -hit[0])
        return [_as_found(one) for _, one in found if scope in (None, one.scope)][:limit]

    def newest(self, scope: str | None, limit: int) -> list[Remembered]:
        found = sorted(self.known.values(), key=lambda one: -one.created)
        return [_as_found(one) for one in found if scope in (None, one.scope)][: None if limit < 0 else limit]


def _as_found(one: Learned) -> Remembered:
    made = datetime.fromtimestamp(one.created, UTC)
    return Remembered(os.fsdecode(one.path)[:-3], one.scope, one.note.name, one.note.text, made, "", "")


@pytest.mark.parametrize("watched", [False, True])
def test_another_search_is_told_the_same_and_asked_the_same(tmp_path: Path, watched: bool) -> None:
    plain = Plain()
    memory = Memory(tmp_path / "memory", tmp_path / "unused", SystemClock(), plain, watched=watched)
    memory.open()
    memory.save("", "my cat is called Zorblax", name="cat")
    memory.save("people/ana", "my cat is a secret", name="cat")
    assert names(memory.search("", "cat zorblax")) == ["cat"]
    assert [one.scope for one in memory.search("people/ana", "cat")] == ["people/ana"]
    (tmp_path / "memory" / "cat.md").write_text("a dog now")
    assert (memory.search("", "cat"), names(memory.search("", "dog"))) == ([], ["cat"])
    assert memory.delete("", "cat") is not None
    assert memory.list("") == []
    (tmp_path / "memory" / "bird.md").write_text("a bird")
    assert (memory.rebuild(lambda done, of: None), names(memory.search("", "bird"))) == (2, ["bird"])
    assert not (tmp_path / "unused").exists()
    memory.close()


# ── whose ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "query",
    ["secret", "scope:secret", '"secret" OR secret', "people/ben secret", "secret*", "*", 'scope : "1" secret', "ben",
     f'{scope_word("people/ben")} secret', f'"{scope_word("people/ben")}"',
     "{scope} : secret", "NOT ana", "NEAR(secret ben)", "../ben secret", "^secret"],
)  # fmt: skip
def test_no_question_reaches_into_another_scope(memory: Memory, query: str) -> None:
    memory.save("people/ben", "the secret of ben", name="ben")
    memory.save("", "the secret of all", name="all")
    for scope in ("people/ana", "agents/ben", "people/be", "people/ben2"):
        assert memory.search(scope, query, 50) == []
        assert memory.find(scope, "ben") is memory.find(scope, "people/ben/ben") is None
        assert memory.delete(scope, "../ben/ben") is None
    assert {one.name for one in memory.search("", query, 50)} <= {"all"}


def test_a_scope_that_is_a_link_to_another_ones_shows_nothing_of_it(memory: Memory, tmp_path: Path) -> None:
    memory.save("people/ben", "the secret of ben", name="ben")
    people = tmp_path / "memory" / "people"
    (people / "ana").symlink_to(people / "ben")
    (people / "eve").mkdir()
    (people / "eve" / "ben.md").symlink_to(people / "ben" / "ben.md")
    (people / "eve" / "below").symlink_to(people / "ben")
    for scope in ("people/ana", "people/eve"):
        assert memory.search(scope, "secret") == memory.list(scope) == []
    with pytest.raises(ToolError, match="link"):
        memory.save("people/ana", "overwritten", name="ben")
    assert [one.text for one in memory.list("people/ben")] == ["the secret of ben"]


@pytest.mark.parametrize(
    "name", ["../ben/note", "people/ben/note", "/etc/x", "a/../../ben/note", "..", "ben\0/note", "\u202enote"]
)
def test_no_name_leads_out_of_its_scope(memory: Memory, tmp_path: Path, name: str) -> None:
    memory.save("people/ben", "the secret of ben", name="note")
    saved, before = memory.save("people/ana", "mine", name=name)
    assert (saved.scope, before) == ("people/ana", None)
    assert [one.text for one in memory.list("people/ben")] == ["the secret of ben"]
    assert [path.parent.name for path in tmp_path.rglob("*.md")].count("ana") == 1


def test_many_notes_of_others_do_not_push_ones_own_aside(memory: Memory, tmp_path: Path) -> None:
    folder = tmp_path / "memory" / "people" / "ben"
    folder.mkdir(parents=True)
    for number in range(1200):
        (folder / f"{number}.md").write_text("cat cat cat")
    memory.save("people/ana", "a long sentence in which a cat is named once only, and late", name="mine")
    assert names(memory.search("people/ana", "cat")) == ["mine"]
    assert len(memory.search(None, "cat", 300)) == 300


def test_who_is_forgotten_leaves_no_trace_in_the_index_and_everybody_else_stays(tmp_path: Path) -> None:
    runtime = at(tmp_path, SystemClock())
    runtime.open()
    runtime.save("people/ana", "zorblaxian secrets", name="own")
    runtime.save("", "zorblaxian dinner on Friday", name="hers", author="telegram:5")
    runtime.save("agents/main", "zorblaxian work", name="work", author="telegram:5")
    runtime.save("people/ben", "about telegram", name="his", author="telegram:5")
    runtime.save("", "tea", name="tea", author="repl:local")
    assert len(runtime.search(None, "zorblaxian", 9)) == 3
    command = Memory(tmp_path / "memory", tmp_path / "search.db", SystemClock())
    command.open()
    found = command.of(["people/ana"], ["telegram:5"])
    assert sorted(one.key for one in found) == ["agents/main/work", "hers", "people/ana/own"]
    assert command.forget(found) == 3
    command.close()
    assert sorted(one.key for one in runtime.list(None)) == ["people/ben/his", "tea"]
    assert runtime.search(None, "zorblaxian", 9) == []
    runtime.close()
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"zorblax" not in left.lower()
    assert not (tmp_path / "memory" / "people" / "ana").exists()
