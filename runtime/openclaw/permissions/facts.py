"""What a decision has to know of the machine: which file a program is, and where a path really leads.

The one place of this room that looks at a disk, behind a Protocol so that decisions stay functions of
values. Programs are sought in fixed folders, never through an inherited PATH and never in the current
folder. Knows no rules.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from openclaw.words import Mechanism

TRUSTED_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Program:
    """`path` is the real file. `trusted`: nobody but root, or for a path written out this user, can exchange it."""

    name: str
    path: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class Walls:
    """What holds programs back here. `masks`: protected paths inside an allowed folder can be hidden and kept from
    being made. `network`: programs can be kept off every network, not only off some of it."""

    mechanism: Mechanism = "none"
    masks: bool = False
    network: bool = False

    @property
    def works(self) -> bool:
        return self.mechanism != "none"

    @property
    def whole(self) -> bool:
        """Whether nothing of what a decision may count on is missing."""
        return self.works and self.masks and self.network


BUBBLEWRAP = Walls("bubblewrap", masks=True, network=True)
LANDLOCK = Walls("landlock")
NO_WALLS = Walls()


class Facts(Protocol):
    def walls(self) -> Walls:
        """What holds back the commands that are run here."""

    def unsearched(self, workspace: Path, roots: tuple[Path, ...]) -> str:
        """Why not everything that is protected in a workspace, or lies in these, can be hidden; empty where it can."""

    def trusts(self, folder: Path, roots: tuple[Path, ...]) -> bool:
        """Whether the repository that git would follow in this folder is one of these, and what it seems to be."""

    def find_program(self, name: str) -> Program | None:
        """The program of a bare name, or of an absolute path; None where it is not installed."""

    def resolve(self, path: str, cwd: Path) -> Path | None:
        """The canonical absolute path, links followed as far as it exists; None where that cannot be told."""


class Disk:
    """This machine as it is."""

    def __init__(
        self,
        path: tuple[str, ...] = TRUSTED_PATH,
        walls: Callable[[], Walls] = Walls,
        unsearched: Callable[[Path, tuple[Path, ...]], str] = lambda workspace, roots: "",
    ) -> None:
        """`walls` is asked for every command, and answers from memory; `unsearched` where a decision needs it."""
        self._path = path
        self._walls = walls
        self._unsearched = unsearched
        self._programs: dict[str, tuple[int, Program | None]] = {}

    def still(self) -> Disk:
        """This machine, taken to stand still from now on."""
        return Still(self._path, self._walls, self._unsearched)

    def walls(self) -> Walls:
        return self._walls()

    def unsearched(self, workspace: Path, roots: tuple[Path, ...]) -> str:
        return self._unsearched(workspace, roots)

    def trusts(self, folder: Path, roots: tuple[Path, ...]) -> bool:
        for place in (folder, *folder.parents) if roots else ():
            kept = _mode(place / ".git")
            if kept is None and not _looks_bare(place):
                if place in roots:
                    return True  # there is none here, and the sandbox holds nothing above
                continue
            plain = kept is not None and stat.S_ISDIR(kept) and _mode(place / ".git" / "commondir") is None
            return place in roots and plain and not _looks_bare(place)
        return False

    def find_program(self, name: str) -> Program | None:
        age = self._age()
        known = self._programs.get(name)
        if known is None or known[0] != age:
            known = (age, self._find(name))
            if len(self._programs) > 1024:
                self._programs.clear()
            self._programs[name] = known
        return known[1]

    def _age(self) -> int:
        """Changes when anything is put into, or taken out of, a folder of programs."""
        age = 0
        for folder in self._path:
            try:
                age = hash((age, os.stat(folder).st_mtime_ns))  # noqa: PTH116 - asked for every program of every command
            except OSError:
                age = hash((age, 0))
        return age

    def _find(self, name: str) -> Program | None:
        if "/" in name:
            return _program(name, name, {0, os.getuid()}) if name.startswith("/") else None
        found = (_program(name, f"{folder}/{name}", {0}) for folder in self._path)
        return next((program for program in found if program is not None), None)

    def resolve(self, path: str, cwd: Path) -> Path | None:
        joined = os.path.join(cwd, path)  # noqa: PTH118 - `..` must stay for the links before it
        try:
            return Path(os.path.realpath(joined, strict=True))
        except (FileNotFoundError, NotADirectoryError):
            return _to_be(joined)
        except (OSError, ValueError):
            return None


def _to_be(joined: str) -> Path | None:
    """What does not exist yet is judged where it would come to be."""
    try:
        return Path(os.path.realpath(joined))
    except (OSError, ValueError):  # an end that no path can have
        return None


class Still(Disk):
    """This machine, taken to stand still: each answer is found once. For questions that are asked together and run
    nothing; whoever runs something looks anew, or a link made meanwhile would lead elsewhere than was judged."""

    def __init__(
        self,
        path: tuple[str, ...] = TRUSTED_PATH,
        walls: Callable[[], Walls] = Walls,
        unsearched: Callable[[Path, tuple[Path, ...]], str] = lambda workspace, roots: "",
    ) -> None:
        super().__init__(path, cache(walls), cache(unsearched))
        self._led: dict[tuple[str, Path], Path | None] = {}
        self._folders: dict[str, str] = {}
        self._trusted: dict[tuple[Path, tuple[Path, ...]], bool] = {}

    def trusts(self, folder: Path, roots: tuple[Path, ...]) -> bool:
        known = self._trusted.get((folder, roots))
        if known is None:
            known = self._trusted[folder, roots] = super().trusts(folder, roots)
        return known

    def _age(self) -> int:
        return 0

    def resolve(self, path: str, cwd: Path) -> Path | None:
        key = (path, cwd)
        if key not in self._led:
            self._led[key] = self._follow(path, cwd)
        return self._led[key]

    def _follow(self, path: str, cwd: Path) -> Path | None:
        """As a disk does, but that the links on the way to the last name are followed once for each folder."""
        joined = path if path.startswith("/") else f"{cwd}/{path}"
        folder, _, name = joined.rpartition("/")
        try:
            if name in ("", ".", ".."):
                return self._end(joined)
            real = self._folder(folder or "/")
            place = f"{real.rstrip('/')}/{name}"
            return self._end(joined) if _is_link(place) else Path(place)
        except (OSError, ValueError):
            return super().resolve(path, cwd)

    def _end(self, joined: str) -> Path:
        return Path(self._folder(joined))

    def _folder(self, joined: str) -> str:
        """Where a folder is, or would come to be. Raises OSError and ValueError where that cannot be told."""
        real = self._folders.get(joined)
        if real is None:
            try:
                real = os.path.realpath(joined, strict=True)
            except (FileNotFoundError, NotADirectoryError):
                real = os.path.realpath(joined)
            self._folders[joined] = real
        return real


def _is_link(place: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(place).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _mode(path: Path) -> int | None:
    try:
        return path.lstat().st_mode
    except OSError:
        return None


def _looks_bare(folder: Path) -> bool:
    """Whether git would take the folder itself for a repository: anybody who may write in it can make it so."""
    return all(_mode(folder / name) is not None for name in ("HEAD", "objects", "refs"))


def _program(name: str, place: str, owners: set[int]) -> Program | None:
    try:
        os.stat(place)  # noqa: PTH116 - most places where a program is sought do not have it
        real = os.path.realpath(place, strict=True)
        status = Path(real).stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or not os.access(real, os.X_OK):
        return None
    return Program(name, real, _kept(status, owners) and all(_kept_folder(p, owners) for p in Path(real).parents))


def _kept(status: os.stat_result, owners: set[int]) -> bool:
    return status.st_uid in owners and not status.st_mode & _OTHERS_WRITE


def _kept_folder(folder: Path, owners: set[int]) -> bool:
    try:
        return _kept(folder.stat(), owners)
    except OSError:
        return False


class Assumed:
    """A machine on which every program is installed, no path is a link and the sandbox works; for scenarios and
    load-time tests."""

    def walls(self) -> Walls:
        return BUBBLEWRAP

    def unsearched(self, workspace: Path, roots: tuple[Path, ...]) -> str:
        return ""

    def trusts(self, folder: Path, roots: tuple[Path, ...]) -> bool:
        return any(folder.is_relative_to(root) for root in roots)

    def find_program(self, name: str) -> Program | None:
        if "/" in name:
            return Program(name, os.path.normpath(name), True) if name.startswith("/") else None
        return Program(name, f"/usr/bin/{name}", True)

    def resolve(self, path: str, cwd: Path) -> Path | None:
        if "\0" in path:
            return None
        return Path(os.path.normpath(Path(cwd, path)))


class Bare(Assumed):
    """A machine on which no program is installed, so that each is judged by its profile, and no path is a link."""

    def find_program(self, name: str) -> Program | None:
        return None
