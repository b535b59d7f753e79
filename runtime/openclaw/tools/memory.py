"""Tools of kind `memory`: what agents remember, one Markdown file each.

The files are the truth and people edit them too; the index is a cache that may be thrown away at any
time. The law: a memory of one scope is never seen from another, and nothing is overwritten unsaid.

    <folder>/**/*.md            shared by all agents (scope "")
    <folder>/agents/<id>/...    one agent's
    <folder>/people/<name>/...  one person's

Knows nothing of sessions; whose scope a call has is decided elsewhere and comes in `Call.memory`.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from openclaw import output
from openclaw.beneath import folder as open_folder
from openclaw.beneath import names_in, read_all, reading, replace
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec
from openclaw.names import file_name
from openclaw.ports import Place
from openclaw.tools import _note as note
from openclaw.tools import _search_fts, _words
from openclaw.tools._index import Closed, Found, Index, Progress
from openclaw.tools._note import Note
from openclaw.tools._read import READ, parts_of
from openclaw.tools._search import Remembered, Search

__all__ = ["Memory", "Remembered", "Tools", "at"]

log = logging.getLogger(__name__)

Answer: TypeAlias = str | tuple[str, str]
"""The text of a result, and whose words are in it where they are a stranger's."""

_PATIENCE = 3.0  # seconds that a question waits while much is read anew, in a runtime
_NO_PATIENCE = 0.2  # and the beginning of a conversation
_DRAFT = re.compile(r"\.[0-9a-f]{16}\.tmp")  # `beneath.replace`
LONGEST = 20_000  # characters of a memory that an agent saves


class Memory:
    """All memories of a state folder. Blocking, safe to call from several threads.

    A scope is "", "agents/<id>" or "people/<name>"; for `search` and `list`, None means every scope.
    """

    def __init__(
        self, folder: Path, index: Path, clock: Clock, search: Search | None = None, *, watched: bool = False
    ) -> None:
        """`index` is the file of the usual search; another one may be given. `watched`: see `Index`; whoever is not
        watching waits until everything was read."""
        self._patience = _PATIENCE if watched else None
        self._folder = folder
        self._clock = clock
        self._writing = threading.RLock()
        self._index = Index(folder, search or _search_fts.Search(index, clock), clock, watched=watched)

    def open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._index.open()

    def close(self) -> None:
        """Ends also what is being built."""
        self._index.close()

    def refresh(self) -> None:
        """Takes in what changed, ahead of the first search; goes on beside the others where that is much."""
        self._index.refresh(self._patience)

    def rebuild(self, progress: Progress) -> int:
        """Builds the index anew from the files, beside whoever searches; how many memories there are."""
        self.show(progress)
        return self._index.rebuild()

    def show(self, progress: Progress) -> None:
        """From now on `progress` is told how far it is, where many files have to be read."""
        self._index.progress = progress

    def save(
        self, scope: str, text: str, *, name: str = "", author: str = "", agent: str = "", untrusted: str = ""
    ) -> tuple[Remembered, Remembered | None]:
        """Keeps a memory, durably, and gives it with what it replaced.

        A name that is taken replaces that memory; without a name a free one is made, unless the same
        text is remembered under it already.
        """
        parts = parts_of(scope)
        if not text.strip():
            raise ToolError("there is nothing to remember: the text is empty")
        if len(text) > LONGEST:
            raise ToolError(f"a memory holds at most {LONGEST:,} characters, this one has {len(text):,}; use a file")
        text = text.encode("utf-8", "replace").decode()
        with self._writing:
            return self._save(parts, text, name=note.called(name), author=author, agent=agent, untrusted=untrusted)

    def search(self, scope: str | None, query: str, limit: int = 5, around: int = 0) -> Found:
        """The memories that fit (`_words.query`), the best first; of equals, the newest first. With `around`, each is
        followed by as many of its folder that were made just before it, and just after it."""
        asked = _words.query(query)
        return self._index.matching(scope, asked, limit, around, self._patience) if asked else Found()

    def list(self, scope: str | None, limit: int = -1) -> Found:
        """Memories, the newest first; -1 means all."""
        return self._index.newest(scope, limit, self._patience)

    def offered(self, scope: str, limit: int) -> Sequence[Remembered]:
        """The newest, for whoever will not wait: nothing while the index is used or cannot be used."""
        try:
            return [] if self._index.busy(_NO_PATIENCE) else self._index.newest(scope, limit, _NO_PATIENCE)
        except (OSError, sqlite3.Error, Closed) as error:
            log.warning("a conversation begins without memories: %s", error)
            return []

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
        if rows.unread:
            raise ToolError(f"{_being_read(rows)} `{name[:200]}` is not among the others; try again in a moment")
        return None

    def delete(self, scope: str | None, name: str) -> Remembered | None:
        """Removes the file; what it held, or None where there was none of this name."""
        with self._writing:
            if (found := self.find(scope, name)) is None:
                return None
            return found if self._removed(found) else None

    def of(self, scopes: Sequence[str], authors: Sequence[str]) -> Sequence[Remembered]:
        """All that is in these scopes, and what these authors had saved in any other that is not a person's."""
        return [one for one in self.list(None) if one.scope in scopes or (one.author in authors and not _personal(one))]

    def forget(self, found: Sequence[Remembered]) -> int:
        """Removes these files and every trace of them in the index; how many there were.

        The index is emptied first, so that nothing stays in it if this is cut off, and once more for what others took
        in meanwhile. Whoever searches next builds it anew."""
        with self._writing:
            self._index.clear()
            gone = sum(map(self._removed, found))
            for scope in {one.scope for one in found if _personal(one)}:
                _swept(self._folder / scope)
            self._index.clear()
        return gone

    def _removed(self, one: Remembered) -> bool:
        """Whether there still was such a file to remove."""
        *parts, stem = one.key.split("/")
        try:
            with open_folder(self._folder, parts) as at:
                os.unlink(_written(at, stem), dir_fd=at)
                os.fsync(at)
        except FileNotFoundError:
            return False
        return True

    def _save(
        self, parts: Sequence[str], text: str, *, name: str, author: str, agent: str, untrusted: str
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
                untrusted=untrusted,
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


def _personal(one: Remembered) -> bool:
    return one.scope.startswith("people/")


def _swept(folder: Path) -> None:
    """Removes a person's folder, with what a crash left of a memory that was being written; not what else is kept
    there."""
    for here, _, names, at in os.fwalk(folder, topdown=False):
        for name in filter(_DRAFT.fullmatch, names):
            os.unlink(name, dir_fd=at)
        with suppress(OSError):  # somebody keeps other files there
            Path(here).rmdir()


def _present(at: int, name: str) -> Note | None:
    stem = file_name(name)
    try:
        with reading(at, f"{stem}.md", name) as file:
            return note.read(read_all(file, READ).decode("utf-8", "replace"), stem)
    except FileNotFoundError:
        return None


def _written(at: int, stem: str) -> str:
    """The name of a note's file, whose suffix people may have written in capitals."""
    return next((name for name in names_in(at) if name[:-3] == stem and name.lower().endswith(".md")), f"{stem}.md")


def _found(key: str, scope: str, found: Note, now: datetime) -> Remembered:
    origin = found.created or now, found.author, found.agent, found.untrusted
    return Remembered(key, scope, found.name, found.text, *origin)


def at(state: Path, clock: Clock) -> Memory:
    """The memory of a state folder, for a runtime that goes on using it."""
    return Memory(state / "memory", state / "search.db", clock, watched=True)


# ── the tools ────────────────────────────────────────────────────────────────────────────────────


class Tools:
    """save_memory, memory_search, memory_list and memory_delete, on one thread and one connection."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        shared = place.memory if isinstance(place.memory, Memory) else None
        self._memory = shared or at(Path(place.state), clock)
        self._own = shared is None
        self._thread: ThreadPoolExecutor | None = None
        self.ready: Future[None] | None = None  # done once the index is up to date

    async def open(self) -> None:
        """Returns before the index is up to date; who searches meanwhile waits for that."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="memory")
        await asyncio.get_running_loop().run_in_executor(self._thread, self._begin)
        self.ready = self._thread.submit(self._refresh)

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._own:
                await asyncio.to_thread(self._memory.close)
            thread.shutdown(wait=False)

    def _begin(self) -> None:
        try:
            self._memory.open()
        except (OSError, sqlite3.Error) as error:  # a full disk: every question opens it anew, and says why it cannot
            log.warning("the index of memories cannot be opened: %s", error)

    def _refresh(self) -> None:
        try:
            self._memory.refresh()
        except Closed:
            pass
        except (OSError, sqlite3.Error) as error:
            log.warning("the index of memories could not be built: %s", error)

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        if call.memory is None:
            return ToolResult("this agent has no memory (`memory: off` in its manifest)", is_error=True)
        if self._thread is None:
            return ToolResult("the memory is closed", is_error=True)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, name, input, call)

    def _answer(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        try:
            answer = _ANSWERS[name](self._memory, input, call)
            text, untrusted = (answer, "") if isinstance(answer, str) else answer
            return output.result(text, call, untrusted=untrusted)
        except ToolError as error:
            return ToolResult(str(error), is_error=True)
        except Closed:
            return ToolResult("the memory was closed meanwhile", is_error=True)
        except (OSError, sqlite3.Error) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            return ToolResult(f"the memory could not be used: {words or type(error).__name__}", is_error=True)


def _save(memory: Memory, input: Mapping[str, Any], call: Call) -> Answer:
    saved, before = memory.save(
        call.memory or "",
        input["text"],
        name=input.get("name") or "",
        author=call.sender,
        agent=call.agent,
        untrusted=call.untrusted,
    )
    if before is None:
        return f"Remembered as `{saved.name}`."
    if before.text == saved.text:
        return f"This was remembered already, as `{saved.name}`."
    return f"Updated `{saved.name}`. Before, it said:\n{before.text}", _strangers([before])


def _search(memory: Memory, input: Mapping[str, Any], call: Call) -> Answer:
    around = max(0, min(int(input.get("around") or 0), 5))
    found = memory.search(call.memory or "", input["query"], _limit(input, 5), around)
    query = _words.query(input["query"])
    if not found:
        cure = "; words in quotes must stand together, so try it without the quotes" if query.phrases else ""
        return _being_read(found) + f"No memory matches `{input['query'][:200]}`{cure}."
    fits = [one for one in found if not one.beside]
    lines = [f"{n}. {_headline(one)}\n{_told(one, found, query.terms)}" for n, one in enumerate(fits, 1)]
    heading = f"{_being_read(found)}{note.counted(fits)}, best match first:"
    return "\n\n".join([heading, *lines]), _strangers(found)


def _told(one: Remembered, found: Sequence[Remembered], words: Sequence[str]) -> str:
    """What it says, and what stands beside it."""
    beside = (other for other in found if other.beside == one.key)
    lines = [f"   beside it: {_headline(other)}: {_words.excerpt(other.text, words, 200)}" for other in beside]
    return "\n".join([_words.excerpt(one.text, words), *lines])


def _list(memory: Memory, input: Mapping[str, Any], call: Call) -> Answer:
    found = memory.list(call.memory or "", _limit(input, 50))
    if not found:
        return _being_read(found) + "Nothing is remembered yet."
    lines = [f"- {_headline(one)}: {_line(one)}" for one in found]
    return "\n".join([f"{_being_read(found)}{note.counted(found)}, newest first:", *lines]), _strangers(found)


def _delete(memory: Memory, input: Mapping[str, Any], call: Call) -> Answer:
    gone = memory.delete(call.memory or "", input["name"])
    if gone is not None:
        return f"Forgot `{gone.name}`. It said:\n{gone.text}", _strangers([gone])
    names = [one.name for one in memory.list(call.memory or "")]
    near = difflib.get_close_matches(note.called(input["name"]), names, 3, 0.5)
    hint = f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else "; memory_list shows the names"
    raise ToolError(f"there is no memory `{input['name'][:200]}`{hint}")


_ANSWERS: Mapping[str, Callable[[Memory, Mapping[str, Any], Call], Answer]] = {
    "save_memory": _save,
    "memory_search": _search,
    "memory_list": _list,
    "memory_delete": _delete,
}


def _limit(input: Mapping[str, Any], default: int) -> int:
    return max(1, min(int(input.get("limit") or default), 200))


def _strangers(found: Sequence[Remembered]) -> str:
    """What is remembered of strangers' material is that material still, wherever it is read."""
    return "what was remembered of strangers' material" if any(one.untrusted for one in found) else ""


def _being_read(found: Found) -> str:
    """Where the answer is not the whole truth yet, that it is not."""
    if not found.unread:
        return ""
    files = "1 file" if found.unread == 1 else f"{found.unread:,} files"
    return f"({files} of memories are still being read and may hold more or say otherwise.) "


def _headline(one: Remembered) -> str:
    return f"{one.name} ({one.created.date().isoformat()})"


def _line(one: Remembered) -> str:
    first = next((line.strip() for line in one.text.split("\n") if line.strip()), "")
    return first if len(first) <= 120 else f"{first[:117]}..."
