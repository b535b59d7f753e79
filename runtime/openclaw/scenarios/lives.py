"""The runtime of a conversation, which lives, ends or crashes, and lives again on the same state.

The law: everything of it is real but its clock, its model, its channels, the world of its tools, and its disk: inbox,
outbox, journal and marks are kept in memory, all else in a folder that is removed. What a crash leaves is what was kept
at that very moment; nothing that the dead runtime does after it counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import logging
import os
import sys
import tempfile
from collections import deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from openclaw.app import App
from openclaw.errors import OpenClawError
from openclaw.names import Chance
from openclaw.parts import Parts
from openclaw.permissions.facts import Assumed
from openclaw.project import Options
from openclaw.scenarios.files import Files
from openclaw.scenarios.stage import Stage
from openclaw.scenarios.standstill import StandstillClock, StandstillLoop
from openclaw.stores.volatile import Store

T = TypeVar("T")

WITHOUT: Final = frozenset({"control", "watch", "watchdog", "logs"})  # what there is none of
FACTS: Final = Assumed()
LONGEST_STEP: Final = 86_400.0  # seconds between two looks at the clock, which never jumps here


class Ended(Exception):
    """The runtime is not there: it did not start, or ended by itself. `str()` says why."""


@dataclass(slots=True, eq=False)
class Life:
    """A runtime that runs; `closing` takes it down."""

    app: App
    running: asyncio.Task[None]
    closing: contextlib.AsyncExitStack


class Lives:
    """One after the other, of one conversation. Used inside its loop."""

    def __init__(self, files: Files, stage: Stage, loop: StandstillLoop, start: datetime, folder: Path) -> None:
        self._files = files
        self._stage = stage
        self._loop = loop
        self._folder = folder
        self._drawn = 0
        self._life: Life | None = None
        self.clock = StandstillClock(loop, start)
        self.store = Store("", self.clock)

    @property
    def app(self) -> App:
        if self._life is None or self._life.running.done():
            raise Ended("the runtime has ended")
        return self._life.app

    async def begin(self) -> None:
        """Raises Ended where it does not start."""
        closing = contextlib.AsyncExitStack()
        options = Options(self._files.root, self._folder / "state")
        options.state.mkdir(mode=0o700, exist_ok=True)
        try:
            app = await closing.enter_async_context(App(options, clock=self.clock, parts=self._parts()).opened())
        except OpenClawError as error:
            raise Ended(f"the runtime does not start: {error}") from error
        app.heartbeats.step = LONGEST_STEP
        self._life = Life(app, asyncio.create_task(app.run()), closing)
        await self.rest()

    async def rest(self, seconds: float = 0.0) -> None:
        """Time passes, and everything has happened that comes of it. Raises Ended where the runtime did."""
        await self._loop.passing(seconds)
        if self._life is not None and self._life.running.done():
            error = self._life.running.exception()
            raise Ended(f"the runtime ended by itself: {error or 'nobody knows why'}")

    async def end(self) -> None:
        """In good order, if it is there."""
        life, self._life = self._life, None
        if life is None:
            return
        life.app.stopping.set()
        await asyncio.wait({life.running})
        await life.closing.aclose()

    async def crash(self) -> None:
        """What is kept stays as it is now; whatever the runtime still does, it does to nobody."""
        life, self._life = self._life, None
        assert life is not None
        self.store, said = copy.deepcopy(self.store), list(self._stage.said)
        await self.store.close()
        life.running.cancel()
        await asyncio.wait({life.running})
        await life.closing.aclose()
        self._stage.said = deque(said)

    def _parts(self) -> Parts:
        chance = Chance(self._hex, lambda: 0.5)
        return Parts(self._kind, self._files.read, chance, WITHOUT, FACTS, lambda: True)

    def _kind(self, folder: str, name: str) -> Any:
        if folder == "stores":
            return lambda state, clock: self.store
        return self._stage.kind(folder, name)

    def _hex(self, size: int) -> str:
        """The same in each run."""
        self._drawn += 1
        return hashlib.sha256(str(self._drawn).encode()).hexdigest()[: 2 * size]


class _Complaints(logging.Handler):
    """Hears of tracebacks that the runtime logs; nothing of its log is shown."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            self._heard.append(f"{record.getMessage()}: {type(record.exc_info[1]).__name__}: {record.exc_info[1]}")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Where a conversation keeps files, on a disk in memory where there is one; gone afterwards."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="openclaw-test-", dir=place, ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextlib.contextmanager
def _quiet(complaints: list[str]) -> Iterator[None]:
    log, interval = logging.getLogger("openclaw"), sys.getswitchinterval()
    before = log.handlers, log.propagate, log.level
    log.handlers, log.propagate = [_Complaints(complaints)], False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.handlers, log.propagate = before[:2]
        log.setLevel(before[2])
        sys.setswitchinterval(interval)


def run(loop: StandstillLoop, work: Coroutine[Any, Any, T], complaints: list[str]) -> T:
    """The work and all that it left behind, to the end. Raises Stuck."""
    loop.set_exception_handler(lambda _, told: complaints.append(f"{told.get('message')}: {told.get('exception')!r}"))
    with _quiet(complaints):
        try:
            return loop.run_until_complete(work)
        finally:
            _wind_down(loop)


def _wind_down(loop: StandstillLoop) -> None:
    loop.set_exception_handler(lambda _, told: None)
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(Exception):
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=60.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
