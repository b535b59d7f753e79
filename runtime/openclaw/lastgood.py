"""What was applied last, kept in the state folder, so that a start on a broken project can run it.

Manifests, souls and the code of Python tools lie there as in the project, beside a list of them with their digests.
Its law: at every moment what is kept is whole, the old or the new, whatever ends the process; what is not as the list
says is not used; no secret is among it: .env and what `${file:...}` reads are read from the project again. What is new
waits in a folder beside until all of it is on the disk, with a list of its own; from then on that list counts, wherever
a file is by then. Knows nothing of what is done with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import openclaw
from openclaw.errors import ProjectInvalid, StateError
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import MOST_BYTES, Folder
from openclaw.manifest.modules import is_module
from openclaw.manifest.snapshot import Model, Snapshot
from openclaw.names import file_name
from openclaw.parts import Reader
from openclaw.reading import Reading, read

LIST: Final = ".kept"  # what is kept, by name
NEXT: Final = ".next"  # a folder: what is to be kept from now on, as far as it is new
_FORM: Final = 1  # of the list
_MANY: Final = 16  # files: to have the whole disk write takes less time than each by itself

Step = Callable[[], object]
"""Called before each thing that is done to the disk: a test ends there."""


@dataclass(frozen=True, slots=True)
class _List:
    """What is kept: digests of what was read with the manifests, and of what they named. `elsewhere` is not kept, but
    read where it is. `moves`: where in `NEXT` the new ones waited, or still do."""

    files: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    moves: Mapping[str, str] = field(default_factory=dict)
    version: str = openclaw.__version__

    @property
    def all(self) -> Mapping[str, str]:
        return {**self.more, **self.files}


def last_good(state: Path, root: Path) -> Path:
    """Where what was applied last of this project is kept."""
    place = state / "last-good" / file_name(str(root))
    old = place.with_name(f"{place.name}.old")  # as an earlier version left it when it was ended between two renames
    return old if old.exists() and not place.exists() else place


# ── keeping ──────────────────────────────────────────────────────────────────────────────────────


def keep(state: Path, root: Path, folder: Folder, *, verify: bool = False, step: Step = lambda: None) -> None:
    """Puts aside what was applied: all of it, or what was kept stays. Only what is different is written; `verify`: what
    is there is looked at, too. Raises StateError."""
    place = state / "last-good" / file_name(str(root))
    try:
        _keep(place, folder, verify, step)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StateError(f"what was applied cannot be kept in {place}: {why}; mend it, or move it aside") from error


def _keep(place: Path, folder: Folder, verify: bool, step: Step) -> None:
    _go_on(place, step)
    kept = _listed(place / LIST)
    files, more, elsewhere = _parted(folder)
    digests = {name: _digest(content) for name, content in {**more, **files}.items()}
    there = _there(place, kept, verify)
    for name in there.keys() - kept.all.keys() if kept else ():
        _remove(place, name, step)  # nobody knows whose it is
    moves = {name: str(at) for at, name in enumerate(n for n, digest in digests.items() if there.get(n) != digest)}
    listed = _List({name: digests[name] for name in files}, {name: digests[name] for name in more}, elsewhere, moves)
    step()
    shutil.rmtree(place / NEXT, ignore_errors=True)
    if not moves and kept is not None and replace(kept, moves={}) == listed:
        return
    _make(place / NEXT, step)
    contents = {**more, **files}
    for name, at in moves.items():
        _write(place / NEXT / at, contents[name], step, sync=len(moves) <= _MANY)
    if len(moves) > _MANY:
        step()
        os.sync()
    _write(place / NEXT / "list", _json(listed), step)
    step()
    (place / NEXT / "list").rename(place / NEXT / LIST)  # from here on, this is what is kept
    _sync(place / NEXT, step)
    _go_on(place, step)
    for beside in (place.with_name(f"{place.name}.old"), place.with_name(f"{place.name}.new")):
        shutil.rmtree(beside, ignore_errors=True)  # of an earlier version


def _go_on(place: Path, step: Step) -> None:
    """Brings what waits in `NEXT` to its place: also where that was begun and the process ended."""
    if (listed := _listed(place / NEXT / LIST)) is None:
        return
    before = _listed(place / LIST)
    for name in set(before.all if before else _names(place)) - listed.all.keys():
        _remove(place, name, step)
    folders = {place}
    for name, at in listed.moves.items():
        if (place / NEXT / at).exists():
            _make((place / name).parent, step)
            step()
            (place / NEXT / at).replace(place / name)
            folders.add((place / name).parent)
    for each in folders:
        _sync(each, step)
    step()
    (place / NEXT / LIST).replace(place / LIST)
    step()
    shutil.rmtree(place / NEXT, ignore_errors=True)


def _remove(place: Path, name: str, step: Step) -> None:
    """With the folders that it leaves empty: a file may come where one was."""
    path = place / name
    step()
    path.unlink(missing_ok=True)
    for above in path.parents:
        if above == place or any(above.iterdir()):
            return
        step()
        above.rmdir()


def _write(path: Path, content: bytes, step: Step, *, sync: bool = True) -> None:
    step()
    path.unlink(missing_ok=True)
    step()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if sync:
            step()
            os.fsync(descriptor)


def _make(folder: Path, step: Step) -> None:
    """The folder and what is missing above it, each for this user alone."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        step()
        each.mkdir(mode=0o700, exist_ok=True)


def _sync(folder: Path, step: Step) -> None:
    step()
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parted(folder: Folder) -> tuple[dict[str, bytes], dict[str, bytes], tuple[str, ...]]:
    """Manifests, what they name, and what of that is not kept: secrets, and what is not in the project."""
    named = {name: content for name, content in folder.more.items() if content is not None}
    kept = {name: content for name, content in named.items() if _is_kept(folder, name, content)}
    files = {name: content for name, content in folder.files.items() if name != ".env" and name not in folder.fetched}
    elsewhere = {*named, *folder.files} - {*kept, *files, ".env"}
    return files, kept, tuple(sorted(elsewhere))


def _is_kept(folder: Folder, name: str, content: bytes) -> bool:
    """Of what is longer than a manifest may be only the beginning is known."""
    path = Path(name)
    inside = not path.is_absolute() and ".." not in path.parts and not name.startswith(".")
    return inside and name not in folder.fetched and len(content) < MOST_BYTES


def _there(place: Path, kept: _List | None, verify: bool) -> Mapping[str, str]:
    """Digests of the files that lie there: as listed, or as they are."""
    if kept is not None and not verify:
        return kept.all
    return {name: _digest((place / name).read_bytes()) for name in _names(place)}


def _names(place: Path) -> Iterator[str]:
    for path, folders, files in os.walk(place):
        here = os.path.relpath(path, place)
        if here == ".":
            folders[:] = [name for name in folders if name != NEXT]
            files = [name for name in files if name != LIST]
        yield from (name if here == "." else f"{here}/{name}" for name in files)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


def _json(listed: _List) -> bytes:
    told = {
        "form": _FORM,
        "version": listed.version,
        "files": listed.files,
        "more": listed.more,
        "elsewhere": listed.elsewhere,
        "moves": listed.moves,
    }
    return json.dumps(told, sort_keys=True).encode()


def _listed(path: Path) -> _List | None:
    """None where there is none, or none that can be read."""
    try:
        told: Any = json.loads(path.read_bytes())
        if told["form"] != _FORM:
            return None
        texts = {name: {str(k): str(v) for k, v in told[name].items()} for name in ("files", "more", "moves")}
        return _List(elsewhere=tuple(map(str, told["elsewhere"])), version=str(told["version"]), **texts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


# ── running it again ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was applied last, compiled anew, Python tools and all. `code`: the project's own have other code by now."""

    reading: Reading
    snapshot: Snapshot
    code: bool = False


def recalled(state: Path, root: Path, now: datetime, read: Reader = read) -> Recalled | None:
    """None where nothing was kept. Raises ProjectInvalid where it cannot be used, with the reason."""
    place = last_good(state, root)
    if next(_names(place), None) is None and _listed(place / NEXT / LIST) is None:
        return None
    folder, version = _folder(place, root)
    there = {name: _disk(root / name) for name in folder.known or _names(place) if is_module(name)}
    found = read(place, now, root, folder=folder) if None not in there.values() else None  # with their files at hand
    whole = found is not None and found.compiled.snapshot is not None
    if found is None or not whole:
        found = read(place, now, place, env_from=root, folder=folder)
    code = not whole or any(content != folder.read_file(name) for name, content in there.items())
    snapshot = found.compiled.snapshot
    if snapshot is None:
        raise ProjectInvalid(_unusable(place, found.compiled.diagnostics, version), found.compiled.diagnostics)
    snapshot = replace(snapshot, models=_with_scripts(snapshot, folder, place, root))
    return Recalled(replace(found, compiled=replace(found.compiled, snapshot=snapshot)), snapshot, code)


def _disk(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def bytes_of(state: Path, root: Path) -> Folder | None:
    """What was kept, not compiled; None where there is nothing that can be used."""
    try:
        return _folder(last_good(state, root), root)[0]
    except ProjectInvalid:
        return None


def _folder(place: Path, root: Path) -> tuple[Folder, str]:
    """The bytes that were kept, each as listed, and the version of the program that kept them."""
    waiting = _listed(place / NEXT / LIST)
    listed = waiting or _listed(place / LIST)
    if listed is None:
        if (place / LIST).exists():
            raise _damaged(place, f"its list {LIST} cannot be read")
        return Folder.read(place), "an earlier version"
    known = {name: _content(place, name, listed) for name in listed.all}
    home = Folder(str(root), {})
    elsewhere = {name: home.read_file(name) for name in listed.elsewhere}
    files = {name: known[name] for name in listed.files}
    return Folder(str(place), files, known={**known, **elsewhere}), f"version {listed.version}"


def _content(place: Path, name: str, listed: _List) -> bytes:
    waits = [place / NEXT / listed.moves[name]] if name in listed.moves else []
    for path in [*waits, place / name]:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if _digest(content) == listed.all[name]:
            return content
    raise _damaged(place, f"{name} is not what was put there")


def _damaged(place: Path, why: str) -> ProjectInvalid:
    return ProjectInvalid(f"what was applied last, kept in {place}, is damaged: {why}; mend the project")


def _unusable(place: Path, found: tuple[Diagnostic, ...], version: str) -> str:
    first = next(each for each in found if each.severity == "error")
    where = f"{first.file}:{first.line}:{first.column}: {first.message}"
    own = "" if version == f"version {openclaw.__version__}" else f", which {version} kept,"
    return f"what was applied last{own} cannot run either ({place / where})"


def _with_scripts(snapshot: Snapshot, folder: Folder, place: Path, root: Path) -> Mapping[str, Model]:
    """Scripts of models that are not in the project are read where they are."""
    outside = {str(place / name): str(root / name) for name in folder.known if ".." in Path(name).parts}
    return {
        alias: replace(model, options={**model.options, "script": outside[model.options["script"]]})
        if model.options.get("script") in outside
        else model
        for alias, model in snapshot.models.items()
    }
