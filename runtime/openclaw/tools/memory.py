"""Tools of kind `memory`: what agents remember, one Markdown file each.

The files are the truth and people edit them too; the index is a cache that may be thrown away at any
time. The law: a memory of one scope is never seen from another, and nothing is overwritten unsaid.

    <folder>/**/*.md            shared by all agents (scope "")
    <folder>/agents/<id>/...    one agent's
    <folder>/people/<name>/...  one person's

Every look first compares the files of its scope with the index by stat, and reads those that differ.
Knows nothing of sessions; whose scope a call has is decided elsewhere and comes in `Call.memory`.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from openclaw import output
from openclaw.beneath import folder as open_folder
from openclaw.beneath import read_all, reading, replace
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec
from openclaw.names import file_name
from openclaw.ports import Place
from openclaw.tools import _note as note
from openclaw.tools._note import Note

SCOPED = ("agents", "people")  # folders that hold one scope in each folder below them
LONGEST = 20_000  # characters of a memory that an agent saves
_READ = 1 << 20  # bytes of a file that are searched
_VERSION = 1
# A file changed this recently may change again without its time stamp showing it.
_SETTLES = 2_000_000_000  # ns

_SCHEMA = """
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, scope TEXT NOT NULL, stamp TEXT NOT NULL, digest BLOB NOT NULL,
    name TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL, author TEXT NOT NULL, agent TEXT NOT NULL);
CREATE INDEX files_scope ON files (scope, created);
CREATE VIRTUAL TABLE words USING fts5 (title, body,
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* M* Co Cn'");
"""  # the text is words and spaces already (note.comparable), so marks and unknown letters belong to words
_COLUMNS = "path, scope, name, text, created, author, agent"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory as found. `key` is its path in the memory folder without `.md`, unique over all scopes."""

    key: str
    scope: str
    name: str
    text: str
    created: datetime
    author: str
    agent: str


class Memory:
    """All memories of a state folder. Blocking, safe to call from several threads.

    A scope is "", "agents/<id>" or "people/<name>"; for `search` and `list`, None means every scope.
    """

    def __init__(self, folder: Path, index: Path, clock: Clock) -> None:
        self._folder = folder
        self._index = index
        self._clock = clock
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._stamps: dict[bytes, str] = {}

    def open(self) -> None:
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connect()

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def save(
        self, scope: str, text: str, *, name: str = "", author: str = "", agent: str = ""
    ) -> tuple[Remembered, Remembered | None]:
        """Keeps a memory, durably, and gives it with what it replaced.

        A name that is taken replaces that memory; without a name a free one is made, unless the same
        text is remembered under it already.
        """
        parts = _parts(scope)
        if not text.strip():
            raise ToolError("there is nothing to remember: the text is empty")
        if len(text) > LONGEST:
            raise ToolError(f"a memory holds at most {LONGEST:,} characters, this one has {len(text):,}; use a file")
        text = text.encode("utf-8", "replace").decode()
        with self._lock:
            return self._save(parts, text, name=note.called(name), author=author, agent=agent)

    def search(self, scope: str | None, query: str, limit: int = 5) -> Sequence[Remembered]:
        """The memories that share a word with the query, the best first; of equals, the newest first."""
        words = note.terms(query)
        if not words:
            return []
        return self._look(scope, lambda db: self._matches(db, scope, words, limit))

    def list(self, scope: str | None, limit: int = -1) -> Sequence[Remembered]:
        """Memories, the newest first; -1 means all."""
        where, given = _within(scope)
        sql = f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY created DESC, path LIMIT ?"
        return self._look(scope, lambda db: [_row(row) for row in db.execute(sql, (*given, limit))])

    def find(self, scope: str | None, name: str) -> Remembered | None:
        """The memory of this key or name, in any case and spelling of spaces; ToolError where it could be two."""
        wanted = note.called(name)
        rows = self.list(scope)
        for fits in (
            [row for row in rows if row.key == name],
            [row for row in rows if row.name == name],
            [row for row in rows if wanted and wanted in (note.called(row.name), note.called(row.key))],
        ):
            if len(fits) > 1:
                raise ToolError(
                    f"`{name}` could be {' or '.join(f'`{row.key}`' for row in fits[:5])}; write the whole key"
                )
            if fits:
                return fits[0]
        return None

    def delete(self, scope: str | None, name: str) -> Remembered | None:
        """Removes the file; what it held, or None where there was none of this name."""
        with self._lock:
            if (found := self.find(scope, name)) is None:
                return None
            parts = found.key.split("/")
            with open_folder(self._folder, parts[:-1]) as at:
                os.unlink(f"{parts[-1]}.md", dir_fd=at)
                os.fsync(at)
            return found

    # ── files ────────────────────────────────────────────────────────────────────────────────────

    def _save(
        self, parts: Sequence[str], text: str, *, name: str, author: str, agent: str
    ) -> tuple[Remembered, Remembered | None]:
        with open_folder(self._folder, parts, make=True) as at:
            name, before = self._place(at, name, text)
            now = self._clock.now()
            content = note.write(
                name,
                text,
                created=before.created or now if before else now,
                updated=now if before else None,
                author=author,
                agent=agent,
            )
            stem = file_name(name)
            if before is None or before.text != text.strip():
                replace(at, f"{stem}.md", content.encode(), name)
        scope = "/".join(parts)
        kept = note.read(content, stem)
        key = "/".join((*parts, stem))
        return _found(key, scope, kept, now), _found(key, scope, before, now) if before else None

    def _place(self, at: int, name: str, text: str) -> tuple[str, Note | None]:
        """The name to save under and the note that stands there now."""
        if name:
            return name, _present(at, name)
        first = note.name_for(text)
        count = 1
        while True:
            name = first if count == 1 else f"{first}-{count}"
            before = _present(at, name)
            if before is None or before.text == text.strip():
                return name, before
            count += 1

    # ── the index ────────────────────────────────────────────────────────────────────────────────

    def _look(self, scope: str | None, question: Callable[[sqlite3.Connection], T]) -> T:
        """Brings the index up to date and asks it; a damaged one is thrown away and built anew, once."""
        _within(scope)
        with self._lock:
            try:
                return self._asked(scope, question)
            except sqlite3.DatabaseError:
                self._discard()
                return self._asked(scope, question)

    def _asked(self, scope: str | None, question: Callable[[sqlite3.Connection], T]) -> T:
        db = self._db or self._connect()
        self._refresh(db, scope)
        return question(db)

    def _connect(self) -> sqlite3.Connection:
        try:
            db = self._prepared()
        except sqlite3.DatabaseError:
            self._discard()
            db = self._prepared()
        self._db = db
        self._stamps = {bytes(path): stamp for path, stamp in db.execute("SELECT path, stamp FROM files")}
        return db

    def _prepared(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._index, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            self._index.chmod(0o600)
            # Losing the cache in a crash costs a rebuild, so nothing waits for the disk.
            db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError("another version's index")
            if version == 0:
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            db.execute("SELECT count(*) FROM words WHERE words MATCH 'a'").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    def _discard(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{self._index}{suffix}").unlink(missing_ok=True)

    def _refresh(self, db: sqlite3.Connection, scope: str | None) -> None:
        root = os.path.realpath(self._folder)
        now = int(self._clock.now().timestamp() * 1e9)
        seen: set[bytes] = set()
        changed: list[tuple[bytes, str]] = []
        for path, found in _walk(root, scope):
            seen.add(path)
            stamp = f"{found.st_mtime_ns} {found.st_ctime_ns} {found.st_size} {found.st_ino}"
            if self._stamps.get(path) != stamp:
                settled = found.st_ctime_ns < now - _SETTLES
                changed.append((path, stamp if settled else ""))
        gone = [path for path in self._stamps if path not in seen and scope in (None, _scope_of(path))]
        if changed or gone:
            self._apply(db, root, changed, gone)

    def _apply(
        self, db: sqlite3.Connection, root: str, changed: Sequence[tuple[bytes, str]], gone: Sequence[bytes]
    ) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            for path in gone:
                _forget(db, path)
            for path, stamp in changed:
                _learn(db, root, path, stamp)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        for path in gone:
            del self._stamps[path]
        self._stamps.update(changed)

    def _matches(
        self, db: sqlite3.Connection, scope: str | None, words: Sequence[str], limit: int
    ) -> Sequence[Remembered]:
        where, given = _within(scope)
        sql = (
            f"SELECT {_COLUMNS} FROM words JOIN files ON files.id = words.rowid WHERE words MATCH ? AND {where} "
            "ORDER BY round(bm25(words, 4.0, 1.0), 3), created DESC, path LIMIT ?"
        )
        for prefixes in (False, True):
            asked = note.expression(words, prefixes=prefixes)
            if found := [_row(row) for row in db.execute(sql, (asked, *given, limit))]:
                return found
        return []


def _parts(scope: str) -> tuple[str, ...]:
    """The folders of a scope. Anything but the three forms is refused, so that scopes cannot overlap."""
    parts = tuple(scope.split("/")) if scope else ()
    if parts and (len(parts) != 2 or parts[0] not in SCOPED or parts[1] in ("", ".", "..") or "\0" in parts[1]):
        raise ToolError(f"`{scope}` is no scope of memories; there are agents/<id> and people/<name>")
    return parts


def _within(scope: str | None) -> tuple[str, tuple[str, ...]]:
    if scope is None:
        return "1", ()
    _parts(scope)
    return "scope = ?", (scope,)


def _scope_of(path: bytes) -> str:
    parts = os.fsdecode(path).split("/")
    return "/".join(parts[:2]) if parts[0] in SCOPED else ""


def _walk(root: str, scope: str | None) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every note of a scope: regular files named *.md, without hidden ones and links."""
    pending = [scope or ""]
    while pending:
        below = pending.pop()
        try:
            entries = os.scandir(f"{root}/{below}" if below else root)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        with closing(entries):
            for entry in entries:
                path = f"{below}/{entry.name}" if below else entry.name
                if entry.name.startswith(".") or (scope == "" and path in SCOPED):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.name.lower().endswith(".md") and (found := _regular(entry)):
                    yield os.fsencode(path), found


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _learn(db: sqlite3.Connection, root: str, path: bytes, stamp: str) -> None:
    """Puts one file into the index, unless its content is there already."""
    name = os.fsdecode(path)
    try:
        with open_folder(Path(root), name.split("/")[:-1]) as at, reading(at, name.rpartition("/")[2], name) as file:
            content, changed = read_all(file, _READ), os.fstat(file).st_mtime
    except (OSError, ToolError):  # gone or swapped since it was seen: the next look will tell
        _forget(db, path)
        return
    digest = hashlib.sha256(content).digest()
    known = db.execute("SELECT digest FROM files WHERE path = ?", (path,)).fetchone()
    if known and known[0] == digest:
        db.execute("UPDATE files SET stamp = ? WHERE path = ?", (stamp, path))
        return
    _forget(db, path)
    _insert(db, path, stamp, digest, content.decode("utf-8", "replace"), changed)


def _insert(db: sqlite3.Connection, path: bytes, stamp: str, digest: bytes, content: str, changed: float) -> None:
    scope = _scope_of(path)
    inside = os.fsencode(path).decode("utf-8", "replace").removeprefix(f"{scope}/" if scope else "")
    below, _, last = inside.rpartition("/")
    found = note.read(content, last[:-3], below)
    created = found.created.timestamp() if found.created else changed
    row = (path, scope.encode("utf-8", "replace").decode(), stamp, digest, found.name, found.text, created)
    places = ", ".join("?" * 9)
    id = db.execute(
        f"INSERT INTO files (path, scope, stamp, digest, name, text, created, author, agent) VALUES ({places})",
        (*row, found.author, found.agent),
    ).lastrowid
    title = note.comparable(f"{found.name}\n{found.title}")
    db.execute("INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)", (id, title, note.comparable(found.text)))


def _forget(db: sqlite3.Connection, path: bytes) -> None:
    if row := db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone():
        db.execute("DELETE FROM words WHERE rowid = ?", row)
        db.execute("DELETE FROM files WHERE id = ?", row)


def _present(at: int, name: str) -> Note | None:
    stem = file_name(name)
    try:
        with reading(at, f"{stem}.md", name) as file:
            return note.read(read_all(file, _READ).decode("utf-8", "replace"), stem)
    except FileNotFoundError:
        return None


def _row(row: Sequence[Any]) -> Remembered:
    path, scope, name, text, created, author, agent = row
    return Remembered(os.fsdecode(path)[:-3], scope, name, text, datetime.fromtimestamp(created, UTC), author, agent)


def _found(key: str, scope: str, found: Note, now: datetime) -> Remembered:
    return Remembered(key, scope, found.name, found.text, found.created or now, found.author, found.agent)


# ── the tools ────────────────────────────────────────────────────────────────────────────────────


class Tools:
    """save_memory, memory_search, memory_list and memory_delete, on one thread and one connection."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        self._memory = Memory(Path(place.state) / "memory", Path(place.state) / "search.db", clock)
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="memory")
        await asyncio.get_running_loop().run_in_executor(self._thread, self._memory.open)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._memory.close)
            thread.shutdown(wait=False)

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        if call.memory is None:
            return ToolResult("this agent has no memory (`memory: off` in its manifest)", is_error=True)
        if self._thread is None:
            return ToolResult("the memory is closed", is_error=True)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, name, input, call)

    def _answer(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        try:
            return ToolResult(output.fit(_ANSWERS[name](self._memory, input, call), call))
        except ToolError as error:
            return ToolResult(str(error), is_error=True)
        except (OSError, sqlite3.Error) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            return ToolResult(f"the memory could not be used: {words or type(error).__name__}", is_error=True)


def _save(memory: Memory, input: Mapping[str, Any], call: Call) -> str:
    saved, before = memory.save(
        call.memory or "", input["text"], name=input.get("name") or "", author=call.sender, agent=call.agent
    )
    if before is None:
        return f"Remembered as `{saved.name}`."
    if before.text == saved.text:
        return f"This was remembered already, as `{saved.name}`."
    return f"Updated `{saved.name}`. Before, it said:\n{before.text}"


def _search(memory: Memory, input: Mapping[str, Any], call: Call) -> str:
    found = memory.search(call.memory or "", input["query"], _limit(input, 5))
    if not found:
        return f"No memory matches `{input['query'][:200]}`."
    words = note.terms(input["query"])
    lines = [f"{n}. {_headline(one)}\n{note.excerpt(one.text, words)}" for n, one in enumerate(found, 1)]
    return "\n\n".join([f"{note.counted(found)}, best match first:", *lines])


def _list(memory: Memory, input: Mapping[str, Any], call: Call) -> str:
    found = memory.list(call.memory or "", _limit(input, 50))
    if not found:
        return "Nothing is remembered yet."
    return "\n".join([f"{note.counted(found)}, newest first:", *(f"- {_headline(one)}: {_line(one)}" for one in found)])


def _delete(memory: Memory, input: Mapping[str, Any], call: Call) -> str:
    gone = memory.delete(call.memory or "", input["name"])
    if gone is not None:
        return f"Forgot `{gone.name}`. It said:\n{gone.text}"
    names = [one.name for one in memory.list(call.memory or "")]
    near = difflib.get_close_matches(note.called(input["name"]), names, 3, 0.5)
    hint = f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else "; memory_list shows the names"
    raise ToolError(f"there is no memory `{input['name'][:200]}`{hint}")


_ANSWERS: Mapping[str, Callable[[Memory, Mapping[str, Any], Call], str]] = {
    "save_memory": _save,
    "memory_search": _search,
    "memory_list": _list,
    "memory_delete": _delete,
}


def _limit(input: Mapping[str, Any], default: int) -> int:
    return max(1, min(int(input.get("limit") or default), 200))


def _headline(one: Remembered) -> str:
    return f"{one.name} ({one.created.date().isoformat()})"


def _line(one: Remembered) -> str:
    first = next((line.strip() for line in one.text.split("\n") if line.strip()), "")
    return first if len(first) <= 120 else f"{first[:117]}..."
