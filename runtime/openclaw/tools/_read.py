"""The files of memories: which there are below a folder, and what they hold. Knows no index and keeps nothing.

The law: every folder and file is opened from the folder before it and never through a link, so that a scope that is
swapped for a link to another shows nothing of that one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from openclaw.beneath import folder as open_folder
from openclaw.beneath import read_all
from openclaw.errors import ToolError
from openclaw.tools import _note as note
from openclaw.tools._search import Learned

SCOPED = ("agents", "people")  # folders that hold one scope in each folder below them
READ = 1 << 20  # bytes of a file that are searched
_AT_ONCE = 16 << 20  # bytes that are read before they are told
# O_NONBLOCK: opening a FIFO must not wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Folders that cannot be looked into: gone or swapped since, not ours, or too deep.
_PASSED_BY = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG))


def parts_of(scope: str) -> tuple[str, ...]:
    """The folders of a scope. Anything but the three forms is refused, so that scopes cannot overlap."""
    parts = tuple(scope.split("/")) if scope else ()
    if parts and (len(parts) != 2 or parts[0] not in SCOPED or parts[1] in ("", ".", "..") or "\0" in parts[1]):
        raise ToolError(f"`{scope}` is no scope of memories; there are agents/<id> and people/<name>")
    return parts


def scope_of(path: bytes) -> str:
    """Whose a file is. Another spelling of `people` may be that folder or another one, as the file system likes: what
    lies there is nobody's, and never everybody's."""
    parts = os.fsdecode(path).split("/")
    return "/".join(parts[:2]) if parts[0].casefold() in SCOPED else ""


def visible(path: bytes) -> bool:
    return not path.startswith(b".") and b"/." not in path


def stamp(found: os.stat_result) -> int:
    """A number that is another one when the file was touched; 0 stands for a file that has not settled."""
    return hash((found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)) or 1


def walk(
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
        except OSError as error:
            if error.errno in _PASSED_BY:
                continue
            raise
        with closing(entries):
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.name.startswith(".") or (below == "" and path.casefold() in SCOPED):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.name.lower().endswith(".md") and (found := _regular(entry)):
                    yield os.fsencode(path), found


def _regular(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except (FileNotFoundError, PermissionError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def read(root: str, paths: Sequence[bytes], settled: int) -> tuple[list[bytes], list[tuple[Learned, int]]]:
    """The first of these files, as many as fit in memory well: which were looked at, and what those that are there and
    can be read hold, with how many names they have. A folder's files follow one another, and it is opened once."""
    seen: list[bytes] = []
    found: list[tuple[Learned, int]] = []
    size = 0
    for parent, group in groupby(sorted(paths), lambda path: path.rpartition(b"/")[0]):
        names = list(group)
        try:
            with open_folder(Path(root), os.fsdecode(parent).split("/") if parent else ()) as at:
                for path in names:
                    seen.append(path)
                    if (one := _learned(at, path, settled)) is not None:
                        found.append(one)
                        size += len(one[0].note.text)
                        if size > _AT_ONCE:
                            return seen, found
        except (OSError, ToolError):  # gone or swapped since it was seen
            seen += names
    return seen, found


def _learned(at: int, path: bytes, settled: int) -> tuple[Learned, int] | None:
    if path[-3:].lower() != b".md" or (held := _content(at, path.rpartition(b"/")[2])) is None:
        return None
    content, found = held
    scope = scope_of(path)
    inside = path.decode("utf-8", "replace").removeprefix(f"{scope}/" if scope else "")
    below, _, last = inside.rpartition("/")
    held_note = note.read(content.decode("utf-8", "replace"), last[:-3], below)
    created = held_note.created.timestamp() if held_note.created else found.st_mtime
    learned = Learned(
        path,
        scope.encode("utf-8", "replace").decode(),
        stamp(found) if found.st_ctime_ns < settled else 0,
        hashlib.sha256(content).digest(),
        held_note,
        created,
        held_note.updated.timestamp() if held_note.updated else created,
    )
    return learned, found.st_nlink


def _content(at: int, name: bytes) -> tuple[bytes, os.stat_result] | None:
    """What a regular file holds, and its state before it was read: what changes meanwhile has another stamp."""
    try:
        file = os.open(name, _FILE, dir_fd=at)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            return None
        content = os.read(file, min(found.st_size + 1, READ))
        if len(content) > found.st_size:  # it is growing
            content += read_all(file, READ - len(content))
        return content, found
    except OSError:
        return None
    finally:
        os.close(file)
