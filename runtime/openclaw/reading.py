"""A project as it was on disk at one moment: its manifests, what they mean, and where to watch for edits of it.

Reads and compiles; applies nothing. Its law: what is compared and what is compiled are the same bytes, and the code of
Python tools is among them, whether it is imported now or was before; and there was a moment at which all of them were
on disk, so that of two versions that follow one another it is one or the other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw import adapters
from openclaw.errors import ProjectUnsettled
from openclaw.manifest import modules
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.folder import MOST_CODE, Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.signature import Found

_MOST_WATCHED = 1000  # folders below agents/: a link may lead anywhere
_MOST_LINKS = 40  # one after another, as the kernel has it
_PAUSES = (0.02, 0.1, 0.2, 0.4)  # seconds until what became another while it was read is read again


@dataclass(frozen=True, slots=True)
class Watched:
    """Where edits of a project show, beside its root and agents/: `folders` of files that manifests name and of those
    that links lead to, and the `names` of all that was read, which count whatever they look like."""

    folders: tuple[Path, ...] = ()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """The project as it was on disk at one moment, and what it means."""

    folder: Folder
    compiled: Compiled
    watched: Watched = Watched()

    @property
    def contents(self) -> Mapping[str, str]:
        return contents_of(self.folder)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The Python tools that run, and the folder that their code was read of."""

    folder: Folder
    snapshot: Snapshot

    def of(self, folder: Folder, references: Collection[str]) -> Mapping[str, Callable[..., Any]] | None:
        """The functions of these names, where importing them from `folder` would run the very same code: no file that
        takes part in it, or would if it were there, is another. Else None, and all of them are imported anew, for
        they share their modules."""
        options = [spec.options for spec in self.snapshot.tools.values() if spec.kind == "python"]
        functions = {str(each["reference"]): each["function"] for each in options}
        return functions if functions.keys() == set(references) and modules.same(self.folder, folder) else None


def contents_of(folder: Folder) -> Mapping[str, str]:
    """A digest for every file that was read, and what could not be."""
    return {**folder.sources, **{f"{problem.file} (problem)": problem.message for problem in folder.problems}}


def read(
    root: Path,
    now: datetime,
    imports_from: Path | None = None,
    *,
    env_from: Path | None = None,
    folder: Folder | None = None,
    loaded: Loaded | None = None,
) -> Reading:
    """`imports_from`: where Python tools are, if not in `root`; `env_from`: where .env is, if not there either.
    `folder`: what was read of `root` just now, which is then not read again; the code of tools is what it holds, also
    where they are imported from elsewhere. `loaded`: what runs, which is not imported once more while its code is the
    same. Raises ProjectUnsettled."""
    given = folder is not None
    reading = _once(root, now, imports_from, env_from, folder, loaded)
    for pause in _PAUSES:
        if reading.folder.still():
            return reading
        time.sleep(pause)
        reading = _once(root, now, imports_from, env_from, Folder.read(root) if given else None, loaded)
    if reading.folder.still():
        return reading
    raise ProjectUnsettled(f"the files of {root} change while they are read, {1 + len(_PAUSES)} times in a row")


def _once(
    root: Path,
    now: datetime,
    imports_from: Path | None,
    env_from: Path | None,
    folder: Folder | None,
    loaded: Loaded | None,
) -> Reading:
    home = imports_from or root
    given = folder is not None
    folder = folder.again() if folder else Folder.read(root)
    place = env_from or home
    if place != root and (own := Folder(str(place), {}).read_file(".env")) is not None:
        folder = replace(folder, files={**folder.files, ".env": own})  # is never kept, for it holds secrets
    code = folder if home == root or given else Folder(str(home), {})

    def seen(name: str, usual: bool) -> None:
        modules.asked(code, name) if usual else code.odd.add(name)

    only = code is folder and home != root
    anew = adapters.importer(home, lambda name: _whole(code.read_file(name)), only=only, seen=seen)

    def importer(references: Collection[str]) -> Mapping[str, Found]:
        return (loaded and home == root and loaded.of(folder, references)) or anew(references)

    compiled = compile(folder, environment=os.environ, importer=importer, today=now)
    return Reading(folder, compiled, watched(folder))


def _whole(content: bytes | None) -> bytes | None:
    return content if content is not None and len(content) < MOST_CODE else None


def look(root: Path, before: Collection[str]) -> Folder:
    """The bytes that would be compiled now. `before`: what was read beyond the manifests last time, found or not."""
    folder = Folder.read(root)
    modules.again(folder, before)
    return folder


# ── where to watch ───────────────────────────────────────────────────────────────────────────────


def watched(folder: Folder) -> Watched:
    root = Path(folder.root)
    named = {(root / name).parent for name in folder.more}
    found = (*folder.files, *folder.more)
    linked = [each for name in found for each in _links(name if name[:1] == "/" else f"{folder.root}/{name}")]
    told = (problem.file for problem in folder.problems)
    names = {part for name in (*found, *linked, *told) for part in name.split("/")}
    folders = dict.fromkeys([*sorted(named), *(Path(each).parent for each in linked)])
    return Watched(tuple(folders), frozenset(names))


def _links(path: str) -> Iterator[str]:
    """Where a link leads, and where that one does; nothing, if it is none."""
    for _ in range(_MOST_LINKS):
        try:
            target = os.readlink(path)  # noqa: PTH115 - of every file at every look
        except (OSError, ValueError):
            return
        path = target if target[:1] == "/" else f"{path.rpartition('/')[0]}/{target}"
        yield path


def leading(path: Path) -> list[Path]:
    """The folders to watch for a link to lead elsewhere, and the one it leads to; none, where it is no link."""
    chain = [str(path), *_links(str(path))]
    return [Path(each).parent for each in chain[:-1]]


def below(folder: Path) -> list[Path]:
    """A folder and all below it, each once: links are followed, as when manifests are read, and may go in a circle."""
    found: dict[tuple[int, int], Path] = {}
    for path, names, _ in os.walk(folder, followlinks=True):
        try:
            state = Path(path).stat()
        except OSError:
            continue  # gone meanwhile: the next look will tell
        here = state.st_dev, state.st_ino
        if here in found or len(found) >= _MOST_WATCHED:
            names.clear()
        else:
            found[here] = Path(path)
    return list(found.values())


# ── the code of Python tools ─────────────────────────────────────────────────────────────────────


def stirred(folder: Folder, snapshot: Snapshot, changed: Collection[str]) -> frozenset[str]:
    """The Python tools that these changed files are part of: all of them, where that cannot be told of a file."""
    code = frozenset(filter(modules.is_module, changed))
    tools = {name: spec for name, spec in snapshot.tools.items() if spec.kind == "python"} if code else {}
    made = {
        name: modules.made_of(folder, str(spec.options.get("reference", "")).partition(":")[0])
        for name, spec in tools.items()
    }
    if code - frozenset().union(*made.values()):
        return frozenset(tools)
    return frozenset(name for name, files in made.items() if files & code)
