"""Keeps the search of memories true to their files, which people edit as they like.

The law: what a search finds is what the files held when it was asked. Where the system reports every change to
a folder (`_inotify`), a search looks only at the files that were touched; everywhere else it looks at all of them, by
their stamps. A file's content is compared by its hash, so that a touched file costs nothing but its reading.
What no system reports is found by a look at everything now and then, in the background.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from openclaw.beneath import folder as open_folder
from openclaw.beneath import read_all, reading
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.tools import _note as note
from openclaw.tools._inotify import Inotify, Unwatchable
from openclaw.tools._search import Learned, Lost, Query, Remembered, Search

log = logging.getLogger(__name__)

SCOPED = ("agents", "people")  # folders that hold one scope in each folder below them
READ = 1 << 20  # bytes of a file that are searched
BATCH = 1000  # files that are taken in at once
CHECK = 600.0  # seconds after which a watched folder is looked at as a whole all the same
# A file changed this recently may change again without its stamp showing it.
_SETTLES = 2_000_000_000  # ns

Progress = Callable[[int, int], None]
"""Told how many files of how many have been read."""

T = TypeVar("T")


class Closed(Exception):
    """The index was closed while it was being built."""


class Index:
    """May be asked from several threads."""

    def __init__(self, folder: Path, search: Search, clock: Clock, *, watched: bool = False) -> None:
        """`watched`: worth it where many questions follow; for one alone, looking at everything is cheaper."""
        self._folder = folder
        self._search = search
        self._clock = clock
        self._watched = watched
        self._watch: Inotify | None = None
        self._restless: set[bytes] = set()  # files that a watch does not tell all of: they have other names, too
        self._suspects: set[bytes] = set()
        self._checked = 0.0
        self._checking: threading.Thread | None = None
        self._closing = threading.Event()
        self._lock = threading.RLock()
        self.progress: Progress = lambda done, of: None

    def open(self) -> None:
        with self._lock:
            self._closing.clear()
            self._search.open()

    def close(self) -> None:
        self._closing.set()
        checking = self._checking
        if checking is not None:
            checking.join()
        with self._lock:
            self._unwatch()
            self._search.close()

    def newest(self, scope: str | None, limit: int) -> Sequence[Remembered]:
        """-1 means all."""
        return self._look(scope, lambda: self._search.newest(scope, limit))

    def matching(self, scope: str | None, query: Query, limit: int) -> Sequence[Remembered]:
        return self._look(scope, lambda: self._search.matching(scope, query, limit))

    def refresh(self) -> None:
        """Brings everything up to date ahead of the first question."""
        self._look(None, lambda: None)

    def rebuild(self) -> int:
        """Reads every file anew, whatever is known of it; how many there are. Others may search meanwhile."""
        with self._lock:
            for _ in range(2):
                with suppress(Lost):
                    root = os.path.realpath(self._folder)
                    found = sorted((at.st_mtime_ns, path) for path, at in _walk(root, None))
                    here = {path for _, path in found}
                    self._search.update((), [path for path in self._search.stamps() if path not in here])
                    self._take_in(root, [path for _, path in found], anew=True)
                    return len(found)
            raise ToolError("the index of memories was damaged again while it was built")

    def renew(self) -> None:
        """Begins anew and leaves nothing of what was known on the disk: what was forgotten is gone from here, too."""
        with self._lock:
            self._unwatch()
            with suppress(Lost):
                self._search.clear()
        self.refresh()

    def busy(self, seconds: float) -> bool:
        """Whether a question would have to wait longer than this, because the index is being built."""
        if not self._lock.acquire(timeout=seconds):
            return True
        self._lock.release()
        return False

    def _look(self, scope: str | None, question: Callable[[], T]) -> T:
        """Brings the index up to date and asks it; one that was damaged is built anew, once."""
        if scope is not None:
            parts_of(scope)
        with self._lock:
            try:
                self._refresh(scope)
                return question()
            except Lost:
                log.warning("the index of memories was damaged or replaced and is built anew")
                self._unwatch()
                self._refresh(scope)
                return question()

    # ── what was touched ─────────────────────────────────────────────────────────────────────────

    def _refresh(self, scope: str | None) -> None:
        root = os.path.realpath(self._folder)
        if not self._watched:
            self._compare(root, scope)
            return
        touched = self._watch.touched() if self._watch is not None else None
        if touched is None or touched.lost:
            self._arm(root)
            return
        paths = {path for path in touched.files | self._restless | self._suspects if _visible(path)}
        for below in filter(_visible, touched.folders):
            paths |= {path for path, _ in _walk(root, os.fsdecode(below), self._add)}
        self._suspects.clear()
        if paths:
            self._take_in(root, sorted(paths))
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
        self._checked = self._clock.monotonic()

    def _add(self, folder: str) -> None:
        if self._watch is not None:
            self._watch.add(folder)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._restless.clear()
        self._suspects.clear()

    def _compare(self, root: str, scope: str | None, enter: Callable[[str], None] | None = None) -> None:
        """Looks at every file of the scope and takes in those that differ from what is known of them."""
        known = self._search.stamps()
        seen: set[bytes] = set()
        changed: list[tuple[int, bytes]] = []
        for path, found in _walk(root, scope, enter):
            seen.add(path)
            if known.get(path) != _stamp(found):
                changed.append((found.st_mtime_ns, path))
            if found.st_nlink > 1:
                self._restless.add(path)
        if gone := [path for path in known if path not in seen and scope in (None, _scope_of(path))]:
            self._search.update((), gone)
        self._take_in(root, [path for _, path in sorted(changed)])  # the oldest first

    def _check_now_and_then(self, root: str) -> None:
        """Looks at everything beside those who search; what it suspects, the next search looks at again."""
        running = self._checking is not None and self._checking.is_alive()
        if running or self._clock.monotonic() - self._checked < CHECK:
            return
        self._checked = self._clock.monotonic()
        self._checking = threading.Thread(target=self._check, args=(root,), name="memory-check", daemon=True)
        self._checking.start()

    def _check(self, root: str) -> None:
        with suppress(Lost, Closed):
            with self._lock:
                known = dict(self._search.stamps())
            suspects = set()
            for path, found in _walk(root, None):
                if self._closing.is_set():
                    return
                if known.pop(path, None) != _stamp(found):
                    suspects.add(path)
            with self._lock:
                self._suspects |= suspects | set(known)

    # ── what they hold ───────────────────────────────────────────────────────────────────────────

    def _take_in(self, root: str, paths: Sequence[bytes], *, anew: bool = False) -> None:
        """Reads these files and tells the search of them, batch by batch: others may write in between."""
        settled = int(self._clock.now().timestamp() * 1e9) - _SETTLES
        for start in range(0, len(paths), BATCH):
            if self._closing.is_set():
                raise Closed
            batch = paths[start : start + BATCH]
            read = list(_read(root, sorted(batch), settled))
            here = {one.path: one for one, _ in read}
            gone = [path for path in batch if path not in here]
            self._search.update([here[path] for path in batch if path in here], batch if anew else gone)
            self._restless.difference_update(batch)
            self._restless.update(one.path for one, named in read if named > 1)
            if len(paths) > BATCH:
                self.progress(start + len(batch), len(paths))


def parts_of(scope: str) -> tuple[str, ...]:
    """The folders of a scope. Anything but the three forms is refused, so that scopes cannot overlap."""
    parts = tuple(scope.split("/")) if scope else ()
    if parts and (len(parts) != 2 or parts[0] not in SCOPED or parts[1] in ("", ".", "..") or "\0" in parts[1]):
        raise ToolError(f"`{scope}` is no scope of memories; there are agents/<id> and people/<name>")
    return parts


def _scope_of(path: bytes) -> str:
    parts = os.fsdecode(path).split("/")
    return "/".join(parts[:2]) if parts[0] in SCOPED else ""


def _visible(path: bytes) -> bool:
    return not path.startswith(b".") and b"/." not in path


def _stamp(found: os.stat_result) -> int:
    """A number that is another one when the file was touched; 0 stands for a file that has not settled."""
    return hash((found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)) or 1


def _walk(
    root: str, below: str | None, enter: Callable[[str], None] | None = None
) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every note of a scope or folder: regular files named *.md, without hidden ones and links. `enter` is told of
    each folder before it is looked into."""
    pending = [below or ""]
    while pending:
        here = pending.pop()
        if enter is not None:
            enter(here)
        try:
            entries = os.scandir(f"{root}/{here}" if here else root)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        with closing(entries):
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.name.startswith(".") or (below == "" and path in SCOPED):
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


def _read(root: str, paths: Iterable[bytes], settled: int) -> Iterator[tuple[Learned, int]]:
    """Those of the files that are there and can be read, with how many names they have; a folder's follow one another,
    and it is opened once."""
    for parent, group in groupby(map(os.fsdecode, paths), lambda name: name.rpartition("/")[0]):
        try:
            with open_folder(Path(root), parent.split("/") if parent else ()) as at:
                yield from filter(None, (_learned(at, name, settled) for name in group))
        except (OSError, ToolError):  # gone or swapped since it was seen
            continue


def _learned(at: int, path: str, settled: int) -> tuple[Learned, int] | None:
    name = path.rpartition("/")[2]
    if not name.lower().endswith(".md"):
        return None
    try:
        with reading(at, name, path) as file:
            found = os.fstat(file)  # before the reading: what changes meanwhile has another stamp
            content = read_all(file, READ)
    except (OSError, ToolError):
        return None
    scope = _scope_of(os.fsencode(path))
    inside = os.fsencode(path).decode("utf-8", "replace").removeprefix(f"{scope}/" if scope else "")
    below, _, last = inside.rpartition("/")
    read = note.read(content.decode("utf-8", "replace"), last[:-3], below)
    created = read.created.timestamp() if read.created else found.st_mtime
    learned = Learned(
        os.fsencode(path),
        scope.encode("utf-8", "replace").decode(),
        _stamp(found) if found.st_ctime_ns < settled else 0,
        hashlib.sha256(content).digest(),
        read,
        created,
        read.updated.timestamp() if read.updated else created,
    )
    return learned, found.st_nlink
