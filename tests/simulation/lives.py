"""One schedule: a runtime that lives, dies and lives again, until all that was said to it has come to rest.

The law: everything of a runtime is real but its clock, its disk, its adapters, chance, and how its manifests are read.
A crash is nobody's end: the image of the disk is taken at that very moment, and the dead runtime winds down in its old
folder, where nothing that it does counts. What comes after the last crash goes wrong in no way.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

from openclaw import adapters
from openclaw.app import App
from openclaw.errors import OpenClawError, StorageFailed
from openclaw.names import Chance
from openclaw.parts import Parts
from openclaw.project import Options
from openclaw.stores.files import Store
from simulation.lossy_disk import LossyFiles
from simulation.outside import Outside, Update
from simulation.projects import BROKEN, Shelf
from simulation.simulated import SimulatedChannel, SimulatedProvider, SimulatedTools
from simulation.virtual_loop import Hands, PowerCut, Stuck, VirtualClock, VirtualLoop

NO_SOCKETS = frozenset({"control", "watch", "logs"})
LONGEST = 6 * 3600.0  # seconds of one life, on its own clock
MOST_LIVES = 40

End = Literal["cut", "failed", "refused", "rest", "stuck"]
Spoil = Callable[[Any], Any]
"""Makes a store worse than it is."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """How a runtime is broken on purpose, to see whether that is seen."""

    store: Spoil = lambda store: store
    files: type[LossyFiles] = LossyFiles


WHOLE = Breakage()


@dataclass(slots=True)
class Run:
    """What became of one seed."""

    seed: int
    outside: Outside
    state: Path
    ends: list[End]
    crashes: int
    problems: list[str]


class Schedule:
    def __init__(self, seed: int, folder: Path, breakage: Breakage = WHOLE, *, keep_trace: bool = False) -> None:
        self.seed = seed
        self.chance = Random(f"{seed}-schedule")
        self.outside = Outside(seed, keep_trace=keep_trace)
        self.shelf = Shelf()
        self.breakage = breakage
        self.folder = folder
        self.state = folder / "life-0" / "state"
        self.now = 1000.0
        self.ends: list[End] = []
        self.outside.lanes = _said(self.chance)
        self.crashes = self.chance.choice((0, 1, 1, 2, 2, 3, 4))
        self.left = self.crashes
        self._before: LossyFiles | None = None
        self._opened: Store | None = None
        self._full_until = 0.0
        self._retried = False

    def run(self) -> Run:
        for _ in range(MOST_LIVES):
            end = self._life(len(self.ends))
            self.ends.append(end)
            self.outside.note("life ended:", end)
            if end in ("rest", "stuck") and self.outside.calm:
                break
            self.now += self.chance.choice((0.5, 3.0, 30.0, 600.0)) * self.chance.random()
        problems = [] if self.ends[-1] == "rest" else [f"it never came to rest: {self.ends}"]
        return Run(self.seed, self.outside, self.state, self.ends, self.crashes, problems)

    # ── one life ─────────────────────────────────────────────────────────────────────────────────

    def _life(self, number: int) -> End:
        outside, loop = self.outside, VirtualLoop(self.now, Random(f"{self.seed}-loop-{number}"))
        outside.dead, outside.calm, outside.fuse = False, self.left == 0, None
        outside.now, outside.off = loop.time, loop.stop
        files = self.breakage.files(self.state, outside.step, self._name)
        if self._before is not None:
            files.inherit(self._before)
        self._set_faults(files, loop)
        app = App(Options(self.shelf.root, self.state), clock=VirtualClock(loop), parts=self._parts(loop, files))
        with _alone(loop, outside):
            end = self._lived(loop, app)
            self.now = loop.now
            self._leave(files, end, number)
            _wind_down(loop, outside)
        files.close()
        if self._opened is not None:
            self._opened._rows.close()  # whoever died did not
        return end

    def _name(self) -> str:
        return self.outside.names.randbytes(16).hex()

    def _set_faults(self, files: LossyFiles, loop: VirtualLoop) -> None:
        outside, chance = self.outside, self.chance
        if outside.calm:
            return
        if chance.random() < 0.95:
            outside.fuse = int(10 ** (0.6 + 2.0 * chance.random()))
        if chance.random() < 0.08:
            files.faults.broken_at = chance.randint(5, 400)
        if self._full_until > loop.now:
            self._fill(files, loop, self._full_until - loop.now)
        elif chance.random() < 0.25:
            loop.call_later(60.0 * chance.random(), self._fill, files, loop, 5.0 + 60.0 * chance.random())

    def _fill(self, files: LossyFiles, loop: VirtualLoop, seconds: float) -> None:
        """Somebody else fills the disk for a while."""
        self._full_until = loop.now + seconds
        files.faults.free = self.chance.choice((0, 0, 300, 20_000))
        self.outside.found.faults["disk full"] += 1
        self.outside.note("the disk is full")
        loop.call_later(seconds, self._free, files)

    def _free(self, files: LossyFiles) -> None:
        self.outside.note("there is room")
        files.faults.free = None

    def _parts(self, loop: VirtualLoop, files: LossyFiles) -> Parts:
        outside = self.outside

        def kind(folder: str, name: str) -> Any:
            match folder:
                case "stores":
                    return lambda state, clock: self.breakage.store(self._store(state, clock, files, loop))
                case "channels":
                    return partial(SimulatedChannel, outside=outside)
                case "providers":
                    return partial(SimulatedProvider, outside=outside)
                case "tools":
                    return partial(SimulatedTools, outside=outside)
            return adapters.kind(folder, name)

        chance = Chance(lambda size: outside.names.randbytes(size).hex(), outside.names.random)
        return Parts(kind, self.shelf.read, chance, NO_SOCKETS)

    def _store(self, state: str, clock: VirtualClock, files: LossyFiles, loop: VirtualLoop) -> Store:
        self._opened = Store(state, clock, files, partial(Hands, loop))
        return self._opened

    def _lived(self, loop: VirtualLoop, app: App) -> End:
        """Until the power goes, the disk fails, or there is nothing more to do."""
        task = loop.create_task(self._serve(app, loop))
        task.add_done_callback(lambda _: loop.stop())
        try:
            loop.run_forever()
        except Stuck:
            return "stuck"
        if self.outside.dead or not task.done():
            return "cut"
        return task.result()

    async def _serve(self, app: App, loop: VirtualLoop) -> End:
        try:
            async with app.opened():
                self.shelf.good = self.shelf.good if self.shelf.variant == BROKEN else self.shelf.variant
                running = loop.create_task(app.run())
                others = [loop.create_task(self._edit(app)), loop.create_task(self._ask_to_stop(app))]
                try:
                    return await self._watch(app, running)
                finally:
                    for other in others:
                        other.cancel()
                    app.stopping.set()
                    await asyncio.wait({running})
                    running.exception()  # it is told by what `_watch` found
        except StorageFailed:
            return "failed"
        except OpenClawError as error:
            self.outside.note("it does not start:", type(error).__name__)
            if not any(word in str(error) for word in ("is full", "no space left", "Input/output error")):
                self.outside.found.traces.append(f"it does not start: {error}")
            return "refused"

    async def _watch(self, app: App, running: asyncio.Task[None]) -> End:
        while self.outside.now() < self.now + LONGEST:
            await asyncio.wait({running}, timeout=5.0)
            if running.done():
                return "failed" if app.failure is not None else "rest"
            if not self._all_told() or await app.store.inbox.open() or await app._undelivered():
                continue
            # What was sent in this moment may have to be told to a session.
            if not await app.store.inbox.open() and not (self.outside.calm and await self._tried_again(app)):
                return "rest"
        return "stuck"

    async def _tried_again(self, app: App) -> bool:
        """Whether the operator tries once more what was put aside, as may be wanted at the end."""
        parked = await app.store.inbox.parked()
        if self._retried or not parked or self.chance.random() < 0.5:
            return False
        self._retried = True
        self.outside.found.retried |= {queued.message.id for queued in parked}
        self.outside.note("tried again:", *(queued.message.id for queued in parked))
        return any([await app.desk.retry(queued.id) for queued in parked])

    async def _ask_to_stop(self, app: App) -> None:
        """The operator ends the runtime in good order, whatever it is doing."""
        if not self.outside.calm and self.chance.random() < 0.25:
            await asyncio.sleep(30.0 * self.chance.random())
            self.outside.note("asked to stop")
            self.outside.found.faults["stop"] += 1
            app.stopping.set()

    def _all_told(self) -> bool:
        return all(update.told for lane in self.outside.lanes.values() for update in lane)

    async def _edit(self, app: App) -> None:
        """Edits of the manifests, now and then."""
        if self.outside.calm:
            self.shelf.variant = 0
        while not self.outside.calm:
            await asyncio.sleep(120.0 * self.chance.random())
            self.shelf.variant = self.chance.choice((0, 1, 2, BROKEN))
            attempt = await app.reload.attempt("edit")
            self.outside.note("reload", self.shelf.variant, attempt.outcome)
            if attempt.outcome == "applied":
                self.shelf.good = self.shelf.variant
            if attempt.outcome not in ("applied", "unchanged", "refused"):
                self.outside.found.traces.append(f"reload: {attempt.outcome} {attempt.error}")

    # ── between two lives ────────────────────────────────────────────────────────────────────────

    def _leave(self, files: LossyFiles, end: End, number: int) -> None:
        """The image of the disk for the next life."""
        self.outside.dead = True
        if end in ("rest", "stuck") and self.outside.calm:
            return
        self.left = max(self.left - 1, 0)
        if self.shelf.variant == BROKEN and self.chance.random() < 0.5:
            self.shelf.variant = 0
        power = end == "failed" or (end == "cut" and self.chance.random() < 0.6)
        target = self.folder / f"life-{number + 1}" / "state"
        if files.root.exists():
            files.image(target, self.chance, power=power)
        self._before = None if power else files
        self.state = target


def _said(chance: Random) -> dict[str, list[Update]]:
    """What people will say: to some channels, in bursts, with commands between."""
    lanes: dict[str, list[Update]] = {}
    number = 0
    for key in chance.sample(("queued", "piled", "pushed", "joined", "told", "hushed"), chance.randint(1, 3)):
        lane, due = lanes.setdefault(key, []), 1000.0
        for _ in range(chance.choice((1, 2, 2, 3, 5))):
            due += chance.choice((0.0, 0.2, 2.0, 20.0)) * chance.random()
            tag, sender = f"m{number:03d}", chance.choice(("7", "7", "7", "8"))
            number += 1
            drawn = chance.random()
            if drawn < 0.06:
                text = chance.choice(("/new", "/stop"))
            elif drawn < 0.65:
                text = f"{tag} do {chance.randint(1, 3)}{chance.choice(('', ' at once'))}"
            else:
                text = tag
            lane.append(Update(tag, sender, text, due))
    return lanes


@contextlib.contextmanager
def _alone(loop: VirtualLoop, outside: Outside) -> Iterator[None]:
    """The loop is this thread's, and what nobody expected goes to the evidence."""
    witness = _Witness(outside)
    log = logging.getLogger("openclaw")
    handlers, propagate, level = log.handlers, log.propagate, log.level
    log.handlers, log.propagate = [witness], False
    log.setLevel(logging.ERROR)
    loop.set_exception_handler(lambda _, told: _unexpected(outside, told))
    collects = gc.isenabled()
    gc.disable()  # so that nothing depends on when it would have run
    try:
        yield
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)
        loop.set_exception_handler(lambda _, told: None)  # what is collected later says nothing of the next life
        loop.close()
        if collects:
            gc.enable()


def _unexpected(outside: Outside, told: dict[str, Any]) -> None:
    if not outside.dead:
        outside.found.traces.append(f"{told.get('message')}: {told.get('exception')!r} {told.get('future')!r}")


class _Witness(logging.Handler):
    """Hears of tracebacks that a living runtime logs."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None and not self._outside.dead:
            self._outside.found.traces.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


def _wind_down(loop: VirtualLoop, outside: Outside) -> None:
    """Ends whatever of a dead runtime is left; nothing of it counts."""
    for _ in range(20):
        tasks = asyncio.all_tasks(loop)
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        with contextlib.suppress(Stuck, PowerCut, RuntimeError):
            loop.run_until_complete(asyncio.wait(tasks, timeout=30.0))
    with contextlib.suppress(Stuck, RuntimeError):
        loop.run_until_complete(loop.shutdown_asyncgens())


def workplace() -> Path:
    """A new folder, on a disk in memory where there is one; its own name is always the same."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="openclaw-simulation-", dir=memory if memory.is_dir() else None)) / "place"
    place.mkdir()
    return place


def clear(folder: Path) -> None:
    shutil.rmtree(folder.parent, ignore_errors=True)
