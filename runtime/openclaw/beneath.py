"""Opening and replacing files beneath a folder that somebody else may write to at the same time.

The law: every component of a path is opened from the folder before it and never through a link, so
that what was asked for is what is touched, whatever is swapped meanwhile. Only regular files are
read; a file is replaced whole, by a rename, and never written in place.

Knows nothing of agents or tools; blocking, so callers run it in a thread. Every refusal is a
`ToolError` whose text is fit for a model to read.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from openclaw.errors import ToolError

LONGEST_PART = 255  # bytes; what Linux file systems take
LONGEST_PATH = 4096
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO must not wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def parts_of(path: str, root: Path) -> tuple[str, ...]:
    """The components of `path` below `root`; () is the root itself. Absolute paths must lie below it.

    Links are never followed later, so `..` may be taken away as text.
    """
    if len(path) > LONGEST_PATH:
        raise ToolError(f"the path is {len(path)} characters long; at most {LONGEST_PATH} are possible")
    for char in path:
        if char == "\\" or char in _BIDI or unicodedata.category(char) in _REFUSED_CATEGORIES:
            raise ToolError(f"the path {path!a} holds a backslash or a character that does not print")
    absolute = os.path.normpath(os.path.join(root, path))  # noqa: PTH118 - text only, nothing is looked up
    for base in dict.fromkeys((os.path.normpath(root), os.path.realpath(root))):
        if absolute == base:
            return ()
        if absolute.startswith(base.rstrip("/") + "/"):
            return _checked(tuple(absolute[len(base.rstrip("/")) + 1 :].split("/")), path)
    raise ToolError(f"`{path}` is outside the workspace; use a path inside it, such as notes/today.md")


def _checked(parts: tuple[str, ...], path: str) -> tuple[str, ...]:
    for part in parts:
        if len(part.encode()) > LONGEST_PART:
            raise ToolError(f"a part of the path is longer than {LONGEST_PART} bytes: `{part[:40]}...`")
        if part[-1] in ". ":
            raise ToolError(f"`{path}`: a name may not end in a dot or a space")
    return parts


@contextmanager
def folder(root: Path, parts: Sequence[str] = (), *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder `parts` below `root`. The root itself is trusted and may be a link.

    With `make`, missing folders are made (0700). FileNotFoundError where one is missing otherwise.
    """
    current = os.open(os.path.realpath(root), _FOLDER)
    try:
        for depth, part in enumerate(parts):
            deeper = _enter(current, part, "/".join(parts[: depth + 1]), make)
            os.close(current)
            current = deeper
        yield current
    finally:
        os.close(current)


def _enter(at: int, part: str, shown: str, make: bool) -> int:
    if make:
        try:
            os.mkdir(part, 0o700, dir_fd=at)
            os.fsync(at)
        except FileExistsError:
            pass
    try:
        return os.open(part, _FOLDER, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _not_plain(at, part, shown, "folder") from None
        raise


def names_in(at: int) -> list[str]:
    return sorted(os.listdir(at))


@contextmanager
def reading(at: int, name: str, shown: str) -> Iterator[int]:
    """A descriptor of the regular file `name` in the folder `at`; FileNotFoundError where there is none."""
    try:
        file = os.open(name, _FILE, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _not_plain(at, name, shown, "file") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _not_plain(at, name, shown, "file")
        yield file
    finally:
        os.close(file)


def read_all(file: int, limit: int) -> bytes:
    """At most `limit` bytes from the start of a file that may be growing."""
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(file, min(limit, 1 << 20))):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def replace(at: int, name: str, content: bytes, shown: str) -> bool:
    """Makes `name` in the folder `at` hold `content`, whole or not at all; True where it is new.

    The mode of a file that was there is kept; a new one gets 0600. A link, a file with a second name
    elsewhere, or anything but a regular file is refused: writing would reach somewhere else.
    """
    mode = _mode_to_keep(at, name, shown)
    draft = f".{secrets.token_hex(8)}.tmp"
    file = os.open(draft, _NEW, 0o600, dir_fd=at)
    try:
        try:
            _write(file, content)
            os.fchmod(file, mode if mode is not None else 0o600)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(draft, name, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        os.unlink(draft, dir_fd=at)
        raise
    os.fsync(at)
    return mode is None


def _mode_to_keep(at: int, name: str, shown: str) -> int | None:
    try:
        there = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(there.st_mode):
        raise _not_plain(at, name, shown, "file")
    if there.st_nlink > 1:
        raise ToolError(f"`{shown}` has {there.st_nlink} names (hard links); writing would change them all")
    return there.st_mode & 0o777


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _not_plain(at: int, name: str, shown: str, wanted: str) -> ToolError:
    """What stands there instead of a plain file or folder, in words; links show where they lead."""
    try:
        mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            target = ascii(os.readlink(name, dir_fd=at))
            return ToolError(f"`{shown}` is a link to {target}; links are not followed, use the real path")
    except OSError:
        return ToolError(f"`{shown}` changed while it was opened")
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISREG, "a file"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    found = next((words for test, words in kinds if test(mode)), "a device")
    return ToolError(f"`{shown}` is {found}, not a {wanted}")
