"""A project's files as bytes in memory: each read once, only regular ones, never more than a bound.

Names that begin with a dot and editors' leftovers are skipped in silence; what looks like a manifest
and is not read is told. A folder that cannot be read gives diagnostics, never an exception. Files are
read one after another: whether there was a moment when all of them were so, `still` tells. Knows which
file is of which kind, and nothing of their content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from openclaw.manifest import listing
from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.near import near
from openclaw.words import printable, quote_line

MOST_BYTES: Final = (1 << 20) + 1  # one more than a manifest may have, so that too much is noticed
MOST_CODE: Final = 1 << 24  # bytes of a module; compiled ones are large
CODE: Final = (".py", ".so", ".pyd", ".pyc")
MOST_FOLDERS: Final = 16
MOST_ENTRIES: Final = 10_000
MOST_MODULES: Final = 1000
TOP: Final = {f"{kind}.yaml": kind for kind in ("tools", "policies", "channels", "heartbeats", "models")}
_YOUNG: Final = 2 * 10**9  # ns in which a file may be written again without its times showing it
_Identity: TypeAlias = tuple[int, int]  # device and inode
_Stamp: TypeAlias = tuple[int, ...] | None  # `_stamp`
_LEFTOVER = re.compile(r"[.#~]|.*(?:~|#|\.bak|\.orig|\.rej|\.tmp|\.swp|\.swo)$")


def is_leftover(name: str) -> bool:
    """What is hidden, or an editor left."""
    return _LEFTOVER.match(name) is not None


def kind_of(file: str) -> str | None:
    """The manifest kind of a path in the project; None for souls and the rest."""
    if file in TOP:
        return TOP[file]
    if not (file.startswith("agents/") and file.endswith(".yaml")):
        return None
    return "defaults" if file.endswith("/_defaults.yaml") else "agent"


@dataclass(frozen=True, eq=False)
class Folder:
    """`files` maps project paths (with `/`) to bytes; `more` is what was read later, on demand."""

    root: str
    files: Mapping[str, bytes]
    problems: tuple[Diagnostic, ...] = ()
    more: dict[str, bytes | None] = field(default_factory=dict, repr=False)
    on_disk: bool = True
    known: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)  # what was read of it already
    fetched: set[str] = field(default_factory=set, repr=False)  # of `more`: what holds secrets
    begun: int = 0  # ns since 1970, when reading began; 0: it was not read from a disk as a whole
    found: frozenset[str] = frozenset()  # names of `files`, and of those that could not be read
    stamps: dict[str, _Stamp] = field(default_factory=dict, repr=False)  # of what was read, or was not to be had
    listed: dict[tuple[tuple[str, ...], bool], list[str]] = field(default_factory=dict, repr=False)  # modules
    odd: set[str] = field(default_factory=set, repr=False)  # modules that were imported of it in no usual way

    @classmethod
    def read(cls, root: Path) -> Folder:
        files: dict[str, bytes] = {}
        problems: list[Diagnostic] = []
        begun, stamps = time.time_ns(), dict[str, _Stamp]()
        for file, path in _found(root, problems):
            content, stamps[file] = _content(path)
            if isinstance(content, str):
                problems.append(error("file", Span(file), f"{file} cannot be read: {content}"))
            else:
                files[file] = content
        return cls(str(root), files, tuple(problems), begun=begun, found=frozenset(stamps), stamps=stamps)

    @classmethod
    def of(cls, files: Mapping[str, bytes], root: str = "/project") -> Folder:
        """A folder that is only in memory."""
        return cls(root, dict(files), on_disk=False)

    def again(self) -> Folder:
        """The same bytes for whoever asks next: what is asked for now is `more`, and nothing is read twice."""
        return replace(self, more={}, known={**self.known, **self.more}, fetched=set(), odd=set())

    def read_file(self, name: str) -> bytes | None:
        """A file that a manifest names: relative to the project, or absolute. None where it cannot be read."""
        if name in self.files:
            return self.files[name]
        if name not in self.more:
            self.more[name] = self.known[name] if name in self.known else self._content(name)
        return self.more[name]

    def fetch(self, name: str) -> bytes | None:
        """The same of a file whose content is a secret."""
        self.fetched.add(name)
        return self.read_file(name)

    def _content(self, name: str) -> bytes | None:
        if not self.on_disk:
            return None
        content, self.stamps[name] = _content(Path(self.root, name))
        return content if isinstance(content, bytes) else None

    def modules(self, suffixes: tuple[str, ...], *, deep: bool) -> list[str]:
        """The project's files of code: those at its top and the packages there, or all. Not what is hidden or
        installed there; at most as many as are looked at elsewhere."""
        if not self.on_disk:
            return [file for file in self.files if file.endswith(suffixes)]
        if (suffixes, deep) not in self.listed:
            self.listed[suffixes, deep] = self._modules(suffixes, deep)
        return self.listed[suffixes, deep]

    def _modules(self, suffixes: tuple[str, ...], deep: bool) -> list[str]:
        return sorted(islice(listing.modules(self.root, suffixes, deep=deep), MOST_MODULES))

    def still(self) -> bool:
        """Whether all of it is as it was when it was read: then there was a moment when it was so."""
        if not self.begun:
            return True
        return (
            self.found == {file for file, _ in _found(Path(self.root), [])}
            and all(self._as_read(name, stamp) for name, stamp in self.stamps.items())
            and all(self._modules(*asked) == modules for asked, modules in self.listed.items())
        )

    def _as_read(self, name: str, stamp: _Stamp) -> bool:
        """Bytes are compared only where its stamp is another, or too young to tell."""
        path = os.path.join(self.root, name)  # noqa: PTH118 - of every file at every reading
        if stamp == _stamp(path) and (stamp is None or stamp[-1] < self.begun - _YOUNG):
            return True
        content = _content(Path(path))[0]
        read = self.files.get(name, self.more.get(name, self.known.get(name)))
        return (content if isinstance(content, bytes) else None) == read

    def environment(self, real: Mapping[str, str]) -> dict[str, str]:
        """The variables placeholders see: those of .env beneath the real ones."""
        from openclaw.manifest.environment import variables

        return {**variables(self), **real}

    @property
    def sources(self) -> dict[str, str]:
        """Every file that was read, with its SHA-256."""
        read = {**{name: content for name, content in self.more.items() if content is not None}, **self.files}
        return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(read.items())}


@dataclass(slots=True)
class _Walk:
    """What a look through `agents/` found wrong, and how many more entries it may meet: a link can lead anywhere."""

    problems: list[Diagnostic]
    left: int = MOST_ENTRIES


def _found(root: Path, problems: list[Diagnostic]) -> Iterator[tuple[str, Path]]:
    for entry in _entries(root, ".", problems):
        if entry.name in TOP or entry.name == ".env":
            yield entry.name, Path(entry.path)
        elif entry.name == "agents" and _is_folder(entry, "agents", problems):
            yield from _agents(Path(entry.path), "agents", _upward(root), _Walk(problems))
        elif (meant := meant_by(entry.name)) is not None:
            problems.append(
                error(
                    "file-name",
                    Span(entry.name),
                    f"{entry.name} is not read; manifests have fixed names",
                    f"rename it to {meant}",
                )
            )


def meant_by(name: str) -> str | None:
    """The manifest a file at the top was probably meant to be."""
    stem, dot, suffix = name.rpartition(".")
    if not dot or suffix.lower() not in ("yaml", "yml") or stem.startswith("."):
        return None
    close = near(stem, [file.removesuffix(".yaml") for file in TOP])
    return f"{close}.yaml" if close else None


def _agents(folder: Path, name: str, above: tuple[_Identity, ...], walk: _Walk) -> Iterator[tuple[str, Path]]:
    here = _identity(folder)
    if here in above:
        walk.problems.append(error("file", Span(name), f"{name} leads back to a folder above it", "remove the link"))
        return
    if name.count("/") > MOST_FOLDERS:
        walk.problems.append(
            error("file", Span(name), f"{name} is more than {MOST_FOLDERS} folders deep", "move it up")
        )
        return
    for entry in _within(folder, name, walk):
        file = f"{name}/{printable(entry.name)}"
        if is_leftover(entry.name):
            continue
        if entry.name.endswith((".yaml", ".md")) and (problem := no_text(entry.name, file)):
            walk.problems.append(problem)
        elif entry.name.lower().endswith((".yml", ".yaml")) and not entry.name.endswith(".yaml"):
            stem = entry.name.rpartition(".")[0]
            walk.problems.append(
                error(
                    "file-name",
                    Span(file),
                    f"{quote_line(file)} is not read; manifests end in .yaml",
                    f"rename it to {quote_line(printable(stem))}.yaml",
                )
            )
        elif entry.name.endswith((".yaml", ".md")):
            yield file, Path(entry.path)
        elif _is_folder(entry, file, walk.problems):
            yield from _agents(Path(entry.path), file, (*above, here) if here else above, walk)


def _identity(folder: Path) -> _Identity | None:
    try:
        state = folder.stat()
    except OSError:
        return None  # reading it will say why
    return state.st_dev, state.st_ino


def _upward(root: Path) -> tuple[_Identity, ...]:
    """The project's folder and all those that hold it."""
    real = Path(os.path.realpath(root))
    return tuple(found for folder in (real, *real.parents) if (found := _identity(folder)))


def _within(folder: Path, name: str, walk: _Walk) -> list[os.DirEntry[str]]:
    """A folder's entries; none of them, and a diagnostic the first time, where they are too many."""
    if walk.left < 0:
        return []
    entries = _entries(folder, name, walk.problems, walk.left + 1)
    walk.left -= len(entries)
    if walk.left >= 0:
        return entries
    many = f"agents/ holds more than {MOST_ENTRIES:,} files and folders, the last of them in {name}"
    walk.problems.append(error("file", Span(name), many, "remove the link that leads there, or what is no manifest"))
    return []


def _entries(folder: Path, name: str, problems: list[Diagnostic], most: int | None = None) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, most), key=lambda entry: entry.name)
    except OSError as failure:
        problems.append(error("file", Span(name), f"the folder cannot be read: {_reason(failure)}"))
        return []


def _is_folder(entry: os.DirEntry[str], file: str, problems: list[Diagnostic]) -> bool:
    try:
        return entry.is_dir()
    except OSError as failure:
        problems.append(error("file", Span(file), f"{file} cannot be read: {_reason(failure)}"))
        return False


def no_text(name: str, file: str) -> Diagnostic | None:
    """Names that are no text would look the same as others; `file` is how such a one is shown."""
    if printable(name) == name:
        return None
    return error("file-name", Span(file), f"{quote_line(file)} is not read: its name is no UTF-8 text", "rename it")


def _content(path: Path) -> tuple[bytes | str, _Stamp]:
    """The bytes of a regular file, at most the bound, or a reason where there are none to be had; and its stamp from
    before they were read."""
    stamp = None
    try:
        most = MOST_CODE if path.name.endswith(CODE) else MOST_BYTES
        for _ in range(3):
            state = path.stat()
            stamp = _stamped(state)
            content, whole = _once(path, state, most)
            if whole:
                break
        return content, stamp
    except OSError as failure:
        return _reason(failure), stamp
    except ValueError:
        return "its name holds a character no file name can have", None


def _once(path: Path, state: os.stat_result, most: int) -> tuple[bytes, bool]:
    """One reading, and whether the file stood still meanwhile."""
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        content = _all(descriptor, before.st_size, most)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return content, (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


def _stamp(path: str) -> _Stamp:
    """What is another where a file became another; None where there is no file."""
    try:
        return _stamped(os.stat(path))  # noqa: PTH116 - of every file at every reading
    except (OSError, ValueError):
        return None


def _stamped(state: os.stat_result) -> _Stamp:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _all(descriptor: int, size: int, most: int) -> bytes:
    """To the end or the bound, in pieces about as large as the file: making room for the bound takes longest."""
    content = b""
    while left := most - len(content):
        piece = os.read(descriptor, min(left, max(size + 1, 4096)))
        if not piece:
            break
        content += piece
    return content


def _reason(failure: OSError) -> str:
    match failure.errno:
        case errno.ELOOP:
            return "its symbolic links lead in a circle"
        case errno.EACCES | errno.EPERM:
            return "no permission"
        case errno.ENOENT:
            linked = failure.filename is not None and Path(failure.filename).is_symlink()
            return "its symbolic link leads nowhere" if linked else "it is not there any more"
        case _:
            return (failure.strerror or "unknown reason").lower()
