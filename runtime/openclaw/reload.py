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
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from openclaw import adapters
from openclaw.clock import Clock
from openclaw.errors import OpenClawError, StateError
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.report import brief
from openclaw.manifest.snapshot import Snapshot
from openclaw.names import file_name

log = logging.getLogger(__name__)

KEPT = 50  # attempts that are remembered
TOLD = 5  # errors of one attempt that the log shows

Outcome = Literal["applied", "unchanged", "refused", "failed"]


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


def read(root: Path, now: datetime, imports_from: Path | None = None) -> tuple[Folder, Compiled]:
    """The project on disk, compiled. `imports_from`: where Python tools live, if not in `root`."""
    folder = Folder.read(root)
    return folder, compile(
        folder, environment=os.environ, importer=adapters.importer(imports_from or root), today=now
    )


class Reload:
    def __init__(
        self,
        root: Path,
        state: Path,
        clock: Clock,
        current: Callable[[], Snapshot],
        apply: Callable[[Snapshot], Awaitable[None]],
    ) -> None:
        self._root = root
        self._state = state
        self._clock = clock
        self._current = current
        self._apply = apply
        self._seen = ""  # fingerprint of the last look
        self._applied = ""  # and of what is in force
        self._lock = asyncio.Lock()
        self._number = 0
        self.attempts: deque[Attempt] = deque(maxlen=KEPT)

    def begin(self, folder: Folder) -> None:
        """What the running snapshot was made of: the next look compares against it."""
        self._seen = self._applied = self._fingerprint(folder)

    def folders(self) -> list[Path]:
        """What there is to watch: the root, every folder of agents, and those of files that manifests name."""
        below = [path for path, _, _ in os.walk(self._root / "agents")]
        named = {(self._root / name).parent for name in self._current().sources}
        code = {path.parent for path in _modules(self._root, self._current())}
        return list(dict.fromkeys([self._root, *map(Path, below), *sorted(named), *sorted(code)]))

    async def look(self) -> None:
        """What the watch calls: an attempt if any content is different from the last time."""
        if self._fingerprint(Folder.read(self._root)) != self._seen:
            await self.attempt("edit")

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
        folder, compiled = await asyncio.to_thread(read, self._root, self._clock.now())
        self._seen = self._fingerprint(folder)
        old, new = self._current(), compiled.snapshot
        if new is None:
            return "refused", (), compiled, ""
        if self._seen == self._applied:
            return "unchanged", (), compiled, ""
        try:
            await self._apply(new)
        except OpenClawError as error:
            return "failed", (), compiled, str(error)
        self._applied = self._seen
        try:
            await asyncio.to_thread(keep, self._state, self._root, folder)
        except OpenClawError as error:
            log.error("%s", error)  # it is in force all the same
        return "applied", differences(old, new), compiled, ""

    def _fingerprint(self, folder: Folder) -> str:
        """A digest of everything a snapshot is made of: manifests, the files they name, the code of Python tools."""
        for name in self._current().sources:
            folder.read_file(name)
        parts = [f"{name} {digest}" for name, digest in folder.sources.items()]
        for path in _modules(self._root, self._current()):
            parts.append(f"{path} {hashlib.sha256(_bytes(path)).hexdigest()}")
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def differences(old: Snapshot, new: Snapshot) -> tuple[str, ...]:
    """What is different, a line each: `agent main changed`, `tool word_count added`."""
    found: list[str] = []
    parts: tuple[tuple[str, Callable[[Snapshot], Mapping[str, Any]]], ...] = (
        ("agent", lambda s: s.agents),
        ("tool", lambda s: s.tools),
        ("policy", lambda s: s.policies),
        ("channel", lambda s: s.channels),
        ("person", lambda s: s.people),
        ("room", lambda s: s.rooms),
        ("heartbeat", lambda s: s.heartbeats),
        ("model", lambda s: s.models),
    )
    for word, part in parts:
        before, after = part(old), part(new)
        found += [f"{word} {name} removed" for name in before if name not in after]
        found += [f"{word} {name} added" for name in after if name not in before]
        found += [f"{word} {name} changed" for name in after if name in before and after[name] != before[name]]
    return tuple(found)


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


def _old(place: Path) -> Path:
    return place.with_name(f"{place.name}.old")


def _keep(place: Path, folder: Folder) -> None:
    fresh, old = place.with_name(f"{place.name}.new"), _old(place)
    shutil.rmtree(fresh, ignore_errors=True)
    for name, content in _files(folder):
        path = fresh / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _files(folder: Folder) -> Iterable[tuple[str, bytes]]:
    named = {name: content for name, content in folder.more.items() if content is not None}
    for name, content in {**named, **folder.files}.items():
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if inside and name != ".env":
            yield name, content


# ── the code of Python tools ─────────────────────────────────────────────────────────────────────


def _modules(root: Path, snapshot: Snapshot) -> list[Path]:
    """Files of the project's own modules that tools come from, and their neighbours in a package."""
    found: set[Path] = set()
    for spec in snapshot.tools.values():
        module = str(spec.options.get("reference", "")).partition(":")[0]
        if spec.kind != "python" or not module:
            continue
        path = root.joinpath(*module.split("."))
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                found |= {candidate} if candidate.parent == root else set(candidate.parent.glob("*.py"))
    return sorted(found)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


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
