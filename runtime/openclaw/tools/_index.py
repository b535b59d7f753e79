"""Keeps the search of memories true to their files, which people edit as they like.

The law: what a search finds is what the files held when it was asked. Where the system reports every change to
a folder (`_inotify`), a search looks only at the files that were touched; everywhere else it looks at all of them, by
their stamps. A file's content is compared by its hash, so that a touched file costs nothing but its reading.
What no system reports is found by a look at everything now and then, in the background.

Where so much was touched that a question would have to wait, it is answered from what was read so far and says how
many files were not; they are read in the background, and whoever asks meanwhile gets in between.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.tools._inotify import Inotify, Unwatchable
from openclaw.tools._read import parts_of, read, scope_of, stamp, visible, walk
from openclaw.tools._search import Lost, Query, Remembered, Search

log = logging.getLogger(__name__)

BATCH = 1000  # files that are taken in at once
CHECK = 600.0  # seconds after which a watched folder is looked at as a whole all the same
# A file changed this recently may change again without its stamp showing it.
_SETTLES = 2_000_000_000  # ns

Progress = Callable[[int, int], None]
"""Told how many files of how many have been read."""


class Closed(Exception):
    """The index was closed, perhaps while it was being built."""


class Found(list[Remembered]):
    """What a question found, and how many files were not read yet when it was answered."""

    def __init__(self, found: Iterable[Remembered] = (), unread: int = 0) -> None:
        super().__init__(found)
        self.unread = unread


class Turns:
    """A lock for short pieces of work. Who has just had it waits for those who stand before the door already."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._room = threading.Lock()

    @contextmanager
    def __call__(self, seconds: float = -1) -> Iterator[bool]:
        """Whether it was given within so many seconds."""
        if not self._door.acquire(timeout=seconds):
            yield False
            return
        try:
            given = self._room.acquire(timeout=seconds)
        finally:
            self._door.release()
        try:
            yield given
        finally:
            if given:
                self._room.release()


class Index:
    """May be asked from several threads."""

    def __init__(self, folder: Path, search: Search, clock: Clock, *, watched: bool = False) -> None:
        """`watched`: worth it where many questions follow; for one alone, looking at everything is cheaper."""
        self._folder = folder
        self._search = search
        self._clock = clock
        self._watched = watched
        self._watch: Inotify | None = None
        self._unread: dict[bytes, None] = {}  # files to be looked into, in this order
        self._most = 0  # how many those were
        self._restless: set[bytes] = set()  # files that a watch does not tell all of: they have other names, too
        self._begun = 0  # how often everything was begun anew
        self._checked = 0.0
        self._threads: dict[str, threading.Thread] = {}
        self._closing = threading.Event()
        self._turns = Turns()
        self.progress: Progress = lambda done, of: None

    def open(self) -> None:
        with self._turns():
            self._closing.clear()
            self._search.open()

    def close(self) -> None:
        self._closing.set()
        for thread in list(self._threads.values()):
            thread.join()
        with self._turns():
            self._unwatch()
            self._search.close()

    def newest(self, scope: str | None, limit: int, patience: float | None = None) -> Found:
        """-1 means all."""
        return self._look(scope, lambda: self._search.newest(scope, limit), patience)

    def matching(
        self, scope: str | None, query: Query, limit: int, around: int = 0, patience: float | None = None
    ) -> Found:
        return self._look(scope, lambda: self._search.matching(scope, query, limit, around), patience)

    def refresh(self, patience: float | None = None) -> None:
        """Brings everything up to date ahead of the first question."""
        self._look(None, tuple, patience)

    def busy(self, seconds: float) -> bool:
        """Whether somebody else is at it for longer than this."""
        with self._turns(seconds) as given:
            return not given

    def rebuild(self) -> int:
        """Reads every file anew, whatever is known of it; how many there are. Others search in what was known until
        all is read. Where the index is emptied meanwhile, what was read may hold what was to be forgotten, and all is
        read once more."""
        for _ in range(3):
            begun = self._known_as()
            fresh = self._search.anew()
            try:
                fresh.open()
                count = self._read_all(fresh)
                with suppress(Lost), self._turn():
                    if begun == self._begun:
                        self._start_over()
                        self._search.become(fresh)
                        return count
            finally:
                fresh.close()
        raise ToolError("the index of memories was damaged or emptied again and again while it was built; try it later")

    def _known_as(self) -> int:
        """Which beginning of the index this is, as of now."""
        with suppress(Lost), self._turn():
            self._search.stamps()
        return self._begun

    def _read_all(self, fresh: Search) -> int:
        root = os.path.realpath(self._folder)
        found = sorted(((at.st_mtime_ns, path) for path, at in walk(root, None)), reverse=True)
        left, count = dict.fromkeys(path for _, path in found), 0
        while left:
            taken, held = read(root, list(islice(left, BATCH)), self._settled())
            fresh.update([one for one, _ in held], ())
            count += len(held)
            for path in taken:
                left.pop(path, None)
            self._told(len(found) - len(left), len(found))
        return count

    def clear(self) -> None:
        """Leaves nothing of what was known on the disk: what was forgotten is gone from here, too."""
        with self._turn():
            self._start_over()
            for _ in range(2):
                with suppress(Lost):
                    self._search.clear()
                    return
        raise ToolError("the index of memories was damaged again while it was emptied; run this once more")

    def _look(self, scope: str | None, question: Callable[[], Sequence[Remembered]], patience: float | None) -> Found:
        """Brings the index up to date, within this many seconds, and asks it; one that was damaged, from the start."""
        if scope is not None:
            parts_of(scope)
        until = None if patience is None else self._clock.monotonic() + patience
        for _ in range(3):
            try:
                return self._answer(scope, question, until)
            except Lost:
                continue
        raise ToolError("the index of memories is emptied again and again by somebody else; try it later")

    def _answer(self, scope: str | None, question: Callable[[], Sequence[Remembered]], until: float | None) -> Found:
        seen = -1  # the index that was compared with the files: somebody else may begin anew between two turns
        while True:
            with self._turn():
                if seen != self._begun:
                    self._detect(scope)
                    seen = self._begun
                    late = False
                else:
                    late = until is not None and self._clock.monotonic() >= until
                left = len(self._unread) if late else self._read_some()
                if left == 0 or late:
                    self._go_on()
                    return Found(question(), left)

    # ── what was touched ─────────────────────────────────────────────────────────────────────────

    def _detect(self, scope: str | None) -> None:
        root = os.path.realpath(self._folder)
        if not self._watched:
            self._compare(root, scope)
            return
        touched = self._watch.touched() if self._watch is not None else None
        if touched is None or touched.lost:
            self._arm(root)
            return
        paths = {path for path in touched.files | self._restless if visible(path)}
        for below in filter(visible, touched.folders):
            paths |= {path for path, _ in walk(root, os.fsdecode(below), self._add)}
        self._unread |= dict.fromkeys(sorted(paths))
        self._check_now_and_then(root)

    def _arm(self, root: str) -> None:
        """Begins to watch, and then looks at everything, so that nothing is missed between the two."""
        self._unwatch()
        try:
            self._watch = Inotify(root)
            self._compare(root, None, self._add)
        except Unwatchable as reason:
            log.info("every search looks at all memories: %s", reason)
            self._unwatch()
            self._watched = False
            self._compare(root, None)
        except FileNotFoundError:  # no folder, no memories
            self._unwatch()
            self._compare(root, None)
        except BaseException:  # a watch that did not see the beginning would vouch for too much
            self._unwatch()
            raise
        self._checked = self._clock.monotonic()

    def _add(self, folder: str) -> None:
        if self._watch is not None:
            self._watch.add(folder)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One piece of work on the index. What is lost is begun anew before anybody else has his turn.
        Raises Closed: whoever comes late must not open it once more, for nobody would close it."""
        with self._turns():
            if self._closing.is_set():
                raise Closed
            try:
                yield
            except Lost:
                log.warning("the index of memories was damaged, replaced or emptied; all files are looked at")
                self._start_over()
                raise

    def _start_over(self) -> None:
        self._begun += 1
        self._unwatch()
        self._unread.clear()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._restless.clear()

    def _compare(self, root: str, scope: str | None, enter: Callable[[str], None] | None = None) -> None:
        """Looks at every file of the scope; those that differ from what is known of them are to be read, the newest
        first."""
        known = dict(self._search.stamps())
        changed: list[tuple[int, bytes]] = []
        for path, found in walk(root, scope, enter):
            if known.pop(path, None) != stamp(found):
                changed.append((found.st_mtime_ns, path))
            if found.st_nlink > 1:
                self._restless.add(path)
        changed.sort(reverse=True)
        self._unread |= dict.fromkeys(path for path in known if scope in (None, scope_of(path)))  # gone
        self._unread |= dict.fromkeys(path for _, path in changed)

    def _check_now_and_then(self, root: str) -> None:
        """Looks at everything beside those who search; what it suspects, the next search looks at again."""
        if self._clock.monotonic() - self._checked >= CHECK:
            self._checked = self._clock.monotonic()
            self._beside("memory-check", lambda: self._check(root))

    def _check(self, root: str) -> None:
        with self._turn():
            known = dict(self._search.stamps())
        suspects = []
        for path, found in walk(root, None):
            if self._closing.is_set():
                return
            if known.pop(path, None) != stamp(found):
                suspects.append(path)
        with self._turn():
            self._unread |= dict.fromkeys([*suspects, *known])

    # ── what they hold ───────────────────────────────────────────────────────────────────────────

    def _read_some(self) -> int:
        """Reads the next of the files and tells the search of them; how many are left. What fails is left, too."""
        if not self._unread:
            return 0
        if self._closing.is_set():
            raise Closed
        self._most = max(self._most, len(self._unread))
        taken, held = read(os.path.realpath(self._folder), list(islice(self._unread, BATCH)), self._settled())
        here = {one.path for one, _ in held}
        self._search.update([one for one, _ in held], [path for path in taken if path not in here])
        for path in taken:
            self._unread.pop(path, None)
        self._restless.difference_update(taken)
        self._restless.update(one.path for one, named in held if named > 1)
        self._told(self._most - len(self._unread), self._most)
        if not self._unread:
            self._most = 0
        return len(self._unread)

    def _settled(self) -> int:
        return int(self._clock.now().timestamp() * 1e9) - _SETTLES

    def _told(self, done: int, of: int) -> None:
        if of > BATCH:
            self.progress(done, of)

    def _go_on(self) -> None:
        """Reads what is left beside those who ask."""
        if self._unread:
            self._beside("memory-build", self._build)

    def _build(self) -> None:
        left = 1
        while left:
            with self._turn():
                left = self._read_some()

    def _beside(self, name: str, work: Callable[[], None]) -> None:
        """In a thread of this name, unless there is one at work already."""
        running = self._threads.get(name)
        if running is None or not running.is_alive():
            self._threads[name] = threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            self._threads[name].start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (Closed, Lost):  # the next question sees to it
            pass
        except (OSError, sqlite3.Error) as error:  # what was not read is left for the next question
            log.warning("the index of memories could not be brought up to date: %s", error)
