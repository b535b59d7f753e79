"""An edit of the project's files becomes the running configuration, or changes nothing and says why.

Everything is compiled from scratch; any error, and the snapshot in force stays, whole. Every attempt has a
number and an outcome. What was applied last is kept in the state folder, so that a start on a broken project
can run it. Knows how to read a project and to apply a snapshot; watching and telling are others'.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from openclaw import adapters
from openclaw.clock import Clock
from openclaw.errors import OpenClawError, StateError
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import brief
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import ToolSpec
from openclaw.names import file_name
from openclaw.plan.names import named
from openclaw.signature import ImportProblem

log = logging.getLogger(__name__)

KEPT = 50  # attempts that are remembered
TOLD = 5  # errors of one attempt that the log shows

Outcome = Literal["applied", "unchanged", "refused", "failed"]

_MOST_WATCHED = 1000  # folders below agents/: a link may lead anywhere


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to apply what is on disk. `changes` says in words what became different."""

    number: int
    trigger: str
    at: datetime
    seconds: float
    outcome: Outcome
    changes: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "trigger": self.trigger,
            "at": self.at.isoformat(),
            "seconds": round(self.seconds, 4),
            "outcome": self.outcome,
            "changes": list(self.changes),
            "diagnostics": [asdict(diagnostic) for diagnostic in self.diagnostics],
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """The project as it was on disk at one moment, and what it means. `code` are the files of the modules that were
    asked for, with their digests before they were loaded; None for one that is not there."""

    folder: Folder
    compiled: Compiled
    code: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def contents(self) -> Mapping[str, str]:
        return _contents(self.folder, self.code)


def _contents(folder: Folder, code: Mapping[str, str | None]) -> Mapping[str, str]:
    """A digest for every file that was read, and what could not be."""
    problems = {f"{problem.file} (problem)": problem.message for problem in folder.problems}
    return {**folder.sources, **problems, **{path: digest for path, digest in code.items() if digest is not None}}


def read(root: Path, now: datetime, imports_from: Path | None = None) -> Reading:
    """`imports_from`: where Python tools and .env are, if not in `root`."""
    home, code = imports_from or root, dict[str, str | None]()
    folder, load = Folder.read(root), adapters.importer(home)
    if home != root and (own := Folder.read(home).files.get(".env")) is not None:
        folder = replace(folder, files={**folder.files, ".env": own})  # is never kept, for it holds secrets

    def importer(reference: str) -> Callable[..., Any] | ImportProblem:
        for path in _module_files(home, reference.partition(":")[0]):
            code.setdefault(str(path), _digest(path))
        return load(reference)

    compiled = compile(folder, environment=os.environ, importer=importer, today=now)
    return Reading(folder, compiled, code)


class Reload:
    def __init__(
        self,
        root: Path,
        state: Path,
        clock: Clock,
        current: Callable[[], Snapshot],
        apply: Callable[[Snapshot, Folder], Awaitable[None]],
        read: Callable[[Path, datetime, Path | None], Reading] = read,
    ) -> None:
        self._read = read
        self._root = root
        self._state = state
        self._clock = clock
        self._current = current
        self._apply = apply
        self._files: frozenset[str] = frozenset()  # that the latest try looked for beyond the manifests, found or not
        self._code: frozenset[str] = frozenset()  # and those of Python modules, as absolute paths
        self._seen: Mapping[str, str] = {}  # what the last look found: path -> digest
        self._applied: Mapping[str, str] = {}  # and what is in force was made of
        self._lock = asyncio.Lock()
        self._number = 0
        self.last_good = False  # the project on disk is broken, and what was applied last is running
        self.attempts: deque[Attempt] = deque(maxlen=KEPT)

    def begin(self, reading: Reading, *, last_good: bool = False) -> None:
        """What the running snapshot was made of: the next look compares against it."""
        self.last_good = last_good
        self._note(reading)
        self._applied = self._seen

    def _note(self, reading: Reading) -> None:
        self._files, self._code = frozenset(reading.folder.more), frozenset(reading.code)
        self._seen = reading.contents

    def folders(self) -> list[Path]:
        """What there is to watch: the root, every folder of agents, and those of files that manifests name."""
        below = _below(self._root / "agents")
        named = {(self._root / name).parent for name in (*self._files, *self._code)}
        return list(dict.fromkeys([self._root, *below, *sorted(named)]))

    async def look(self) -> None:
        """What the watch calls: an attempt if any content is different from the last time."""
        if await asyncio.to_thread(self._looked) != self._seen:
            await self.attempt("edit")

    def _looked(self) -> Mapping[str, str]:
        folder = Folder.read(self._root)
        for name in self._files:
            folder.read_file(name)
        return _contents(folder, {path: _digest(Path(path)) for path in self._code})

    async def attempt(self, trigger: str) -> Attempt:
        """Compiles what is on disk and applies it, or leaves everything as it is. Attempts follow one another."""
        async with self._lock:
            self._number += 1
            at, started = self._clock.now(), self._clock.monotonic()
            outcome, changes, compiled, error = await self._try()
            seconds = self._clock.monotonic() - started
            attempt = Attempt(self._number, trigger, at, seconds, outcome, changes, compiled.diagnostics, error)
            self.attempts.append(attempt)
            _log(attempt)
            return attempt

    async def _try(self) -> tuple[Outcome, tuple[str, ...], Compiled, str]:
        reading = await asyncio.to_thread(self._read, self._root, self._clock.now(), None)
        self._note(reading)
        compiled, old, new = reading.compiled, self._current(), reading.compiled.snapshot
        if new is None:
            return "refused", (), compiled, ""
        if self._seen == self._applied:
            self.last_good = False
            return "unchanged", (), compiled, ""
        try:
            await self._apply(new, reading.folder)
        except OpenClawError as error:
            return "failed", (), compiled, str(error)
        changes = differences(old, new, self._stirred(new))
        self._applied, self.last_good = self._seen, False
        try:
            await asyncio.to_thread(keep, self._state, self._root, reading.folder)
        except OpenClawError as error:
            log.error("%s", error)  # it is in force all the same
        return "applied", changes, compiled, ""

    def _stirred(self, snapshot: Snapshot) -> frozenset[str]:
        """The Python tools whose code is different from what was in force."""
        changed = {path for path in self._code if self._seen.get(path) != self._applied.get(path)}
        return frozenset(
            name
            for name, spec in snapshot.tools.items()
            if spec.kind == "python" and changed & set(map(str, _module_files(self._root, _module(spec))))
        )


def differences(old: Snapshot, new: Snapshot, stirred: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """What is different, a line each: `agent main changed`, `tool word_count added`. `stirred`: Python tools whose
    code changed; their functions are loaded anew each time and cannot be compared."""
    return tuple(f"{each.kind} {each.name} {each.what}" for each in named(old, new, stirred))


# ── last good ────────────────────────────────────────────────────────────────────────────────────


def last_good(state: Path, root: Path) -> Path:
    """Where the manifests of this project that were applied last are kept."""
    place = state / "last-good" / file_name(str(root))
    old = _old(place)
    return old if old.exists() and not place.exists() else place  # a crash came between the two renames of `keep`


def keep(state: Path, root: Path, folder: Folder) -> None:
    """Puts the applied files aside, whole: new beside old, then swapped. .env is not copied: it holds secrets."""
    place = state / "last-good" / file_name(str(root))
    try:
        _keep(place, folder)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StateError(f"what was applied cannot be kept in {place}: {why}; mend it, or move it aside") from error


def _below(folder: Path) -> list[Path]:
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


def _old(place: Path) -> Path:
    return place.with_name(f"{place.name}.old")


def _keep(place: Path, folder: Folder) -> None:
    fresh, old = place.with_name(f"{place.name}.new"), _old(place)
    shutil.rmtree(fresh, ignore_errors=True)
    for name, content in _files(folder):
        path = fresh / name
        _make(path.parent)
        path.write_bytes(content)
        path.chmod(0o600)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _make(folder: Path) -> None:
    """The folder and what is missing above it, each for this user alone."""
    for each in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)


def _files(folder: Folder) -> Iterable[tuple[str, bytes]]:
    named = {name: content for name, content in folder.more.items() if content is not None}
    for name, content in {**named, **folder.files}.items():
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if inside and name != ".env":
            yield name, content


# ── the code of Python tools ─────────────────────────────────────────────────────────────────────


def _module(spec: ToolSpec) -> str:
    return str(spec.options.get("reference", "")).partition(":")[0]


def _module_files(root: Path, module: str) -> set[Path]:
    """Where one of the project's own modules is, or would be; in a package, its neighbours too."""
    path = root.joinpath(*module.split("."))
    found = {place for place in (path.with_suffix(".py"), path / "__init__.py") if place.is_file()}
    neighbours = {each for place in found if place.parent != root for each in place.parent.glob("*.py")}
    return found | neighbours or {path.with_suffix(".py")}


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _log(attempt: Attempt) -> None:
    match attempt.outcome:
        case "applied":
            log.warning("reload %d applied: %s", attempt.number, ", ".join(attempt.changes) or "no visible change")
        case "refused":
            errors = [d for d in attempt.diagnostics if d.severity == "error"]
            more = f"\nand {len(errors) - TOLD} more" if len(errors) > TOLD else ""
            log.error("reload %d refused, nothing changed:\n%s%s", attempt.number, brief(errors[:TOLD]), more)
        case "failed":
            log.error("reload %d failed, nothing changed: %s", attempt.number, attempt.error)
        case "unchanged":
            log.info("reload %d: nothing is different", attempt.number)
