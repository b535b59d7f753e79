"""An edit of the project's files becomes the running configuration, or changes nothing and says why.

Everything is compiled from scratch; any error, and the snapshot in force stays, whole. Every attempt has a
number and an outcome. What was applied last is kept in the state folder, so that a start on a broken project
can run it. Knows how to read a project and to apply a snapshot; watching and telling are others'.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from openclaw.clock import Clock
from openclaw.errors import OpenClawError
from openclaw.lastgood import keep
from openclaw.manifest.build import Compiled
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import brief
from openclaw.manifest.snapshot import Snapshot
from openclaw.parts import Reader
from openclaw.plan.names import named
from openclaw.reading import Reading, below, contents_of, digest, module_files, module_of, read

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


class Reload:
    def __init__(
        self,
        root: Path,
        state: Path,
        clock: Clock,
        current: Callable[[], Snapshot],
        apply: Callable[[Snapshot, Folder], Awaitable[None]],
        read: Reader = read,
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
        agents = below(self._root / "agents")
        named = {(self._root / name).parent for name in (*self._files, *self._code)}
        return list(dict.fromkeys([self._root, *agents, *sorted(named)]))

    async def look(self) -> None:
        """What the watch calls: an attempt if any content is different from the last time."""
        if await asyncio.to_thread(self._looked) != self._seen:
            await self.attempt("edit")

    def _looked(self) -> Mapping[str, str]:
        folder = Folder.read(self._root)
        for name in self._files:
            folder.read_file(name)
        return contents_of(folder, {path: digest(Path(path)) for path in self._code})

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
            if spec.kind == "python" and changed & set(map(str, module_files(self._root, module_of(spec))))
        )


def differences(old: Snapshot, new: Snapshot, stirred: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """What is different, a line each: `agent main changed`, `tool word_count added`. `stirred`: Python tools whose
    code changed; their functions are loaded anew each time and cannot be compared."""
    return tuple(f"{each.kind} {each.name} {each.what}" for each in named(old, new, stirred))


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
