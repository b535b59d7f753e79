"""An edit of the project's files becomes the running configuration, or changes nothing and says why.

Everything is compiled from scratch; any error, and the snapshot in force stays, whole. Its law: every attempt has a
number and an outcome, whatever happens in it, and how disk and running differ is known until they do not. Only a disk
that refuses to write ends more than the attempt. Knows how to read a project and to apply a snapshot; watching, and
who is told, are others'.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from openclaw import logbook, shrinking
from openclaw.apart import apart
from openclaw.attempts import ASKED, Attempt, Counts, Outcome, concealed, hidden
from openclaw.clock import Clock
from openclaw.errors import CredentialsError, OpenClawError, StorageFailed
from openclaw.lastgood import keep
from openclaw.manifest.diagnostic import Diagnostic, arrange
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.parts import Reader
from openclaw.plan.lost import Judged, judged, lost
from openclaw.plan.names import lines
from openclaw.reading import Loaded, Reading, Watched, below, contents_of, leading, look, read, stirred, watched
from openclaw.secrecy import SECRETS, ambient
from openclaw.telling import fault, tell

log = logging.getLogger(__name__)

KEPT = 50  # attempts that are remembered
AGAIN = (5.0, 15.0, 60.0)  # seconds until a failed attempt is made again; the last of them again and again
JUDGING = 5.0  # seconds that what an edit means for permissions may take to be found out
LONG = 5.0  # seconds after which it is told that an attempt goes on

Hearer = Callable[[Attempt], None]


@dataclass(frozen=True, slots=True)
class _Tried:
    """What an attempt came to, as far as what is applied goes. `old` and `new`: where one took the other's place."""

    outcome: Outcome
    diagnostics: tuple[Diagnostic, ...] = ()
    changes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    error: str = ""
    cause: str = ""  # of a failure: the same for the same
    final: bool = False  # to try again would come to the same
    in_force: bool = False
    folder: Folder | None = None
    old: Snapshot | None = None
    new: Snapshot | None = None
    stirred: frozenset[str] = frozenset()


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
        self.broken: Callable[[BaseException], None] = lambda _: None  # told of what ends the whole runtime
        self.settled: Callable[[Snapshot, Folder], tuple[str, ...]] = lambda *_: ()  # what waits for the next start
        self.last_good = False  # the project on disk is broken, and what was applied last is running
        self.attempts: deque[Attempt] = deque(maxlen=KEPT)
        self.counts = Counts()
        self._read = read
        self._root = root
        self._state = state
        self._clock = clock
        self._current = current
        self._apply = apply
        self._files: frozenset[str] = frozenset()  # that the latest try looked for beyond the manifests, found or not
        self._watched = Watched()
        self._seen: Mapping[str, str] = {}  # what the last look found: path -> digest
        self._applied: Mapping[str, str] = {}  # and what is in force was made of
        self._in_force = Folder.of({})  # its bytes
        self._lock = asyncio.Lock()
        self._number = 0
        self._since: tuple[datetime, float] | None = None  # when the attempt that goes on began
        self._unwhole: tuple[str, ...] = ()  # why only a start makes whole what is in force
        self._cause = ""  # of the latest attempt, where it failed
        self._faulty = ""  # and how that was told, where it was a fault
        self._failing = asyncio.Event()
        self._retried = 0
        self._going_on: set[asyncio.Task[Attempt]] = set()
        self._hearers: list[Hearer] = []

    def begin(self, reading: Reading, *, last_good: bool = False, exact: bool = True) -> None:
        """What the running snapshot was made of: the next look compares against it. Not `exact`: of more than that."""
        self.last_good = last_good
        self.counts.succeeded = None if last_good else self._clock.now()
        self._note(reading)
        self._applied, self._in_force = self._seen if exact else {}, reading.folder

    async def close(self) -> None:
        """Ends what is going on, and waits for it."""
        tasks = [*self._going_on]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        SECRETS.drop(self)

    @property
    def differs(self) -> str:
        """How what is on disk differs from what runs, in a line for anybody; empty where it does not."""
        said = self._long or (self.attempts[-1].differs if self.attempts else "")
        if self.last_good:
            return f"the project on disk is broken; what was applied last is running{said and f'; {said}'}"
        return said

    @property
    def _long(self) -> str:
        if self._since is None or self._clock.monotonic() - self._since[1] < LONG:
            return ""
        began = f"{self._since[0]:%Y-%m-%d %H:%M:%S} UTC"
        return f"the files on disk may not be what runs: reload {self._number} began at {began} and goes on"

    def hear(self, hearer: Hearer) -> Callable[[], None]:
        """Tells of every attempt from now on; call what is returned to stop."""
        self._hearers.append(hearer)
        return lambda: self._hearers.remove(hearer) if hearer in self._hearers else None

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    def folders(self) -> list[Path]:
        """What there is to watch: the root, every folder of agents, and those of files that manifests name."""
        home = self._home()
        return list(dict.fromkeys([home, *leading(self._root), *below(home / "agents"), *self._watched.folders]))

    def names(self) -> frozenset[str]:
        """Names of what was read: a change of one of these counts, whatever it looks like."""
        return self._watched.names

    async def look(self) -> None:
        """What the watch calls: an attempt if any content is different from the last time."""
        folder, found = await self._settled()
        while found != self._seen and self._lock.locked():
            async with self._lock:
                pass  # what is read there now may be the same
            folder, found = await self._settled()
        if found == self._seen:
            logbook.debug(log, "watch looked", "a look at the project found nothing different in %d files", len(found))
        else:
            await self.attempt("start" if self.last_good and not self._number else "edit", folder)

    def _home(self) -> Path:
        """Where the project is now. A link may lead elsewhere at any time, and a reading is of one folder."""
        return Path(os.path.realpath(self._root))

    async def _settled(self) -> tuple[Folder | None, Mapping[str, str]]:
        """What is on disk, once a file of which only a beginning is left has had the time to be whole again."""
        folder, found = await asyncio.to_thread(self._looked)
        before = self._seen
        for _ in range(shrinking.MOST_SETTLED):
            if found == before or not shrinking.shrunk(self._in_force, folder):
                break
            await self._clock.sleep(shrinking.SETTLE)
            before = found
            folder, found = await asyncio.to_thread(self._looked)
        return folder if folder.on_disk else None, found

    def _looked(self) -> tuple[Folder, Mapping[str, str]]:
        """What cannot even be looked at is a content of its own: what is amiss there, an attempt will tell."""
        try:
            folder = look(self._home(), self._files)
            self._watched = watched(folder)  # links may lead elsewhere, though the same is there
            return folder, contents_of(folder)
        except Exception as error:
            return Folder.of({}), {"(unreadable)": repr(error)}

    def _note(self, reading: Reading) -> None:
        self._files, self._watched = frozenset(reading.folder.more), reading.watched
        self._seen = reading.contents

    # ── attempts ─────────────────────────────────────────────────────────────────────────────────

    async def attempt(self, trigger: str, folder: Folder | None = None) -> Attempt:
        """Compiles what is on disk and applies it, or leaves everything as it is. Attempts follow one another; one that
        was begun goes on to its end though whoever asked for it is gone. `folder`: what was read of the project just
        now. Raises StorageFailed alone."""
        task = asyncio.create_task(self._attempt(trigger, folder), name=f"reload ({trigger})")
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
        return await asyncio.shield(task)

    async def _attempt(self, trigger: str, folder: Folder | None) -> Attempt:
        fresh = None if self._lock.locked() else folder  # whoever waits for others reads what is there afterwards
        async with self._lock:
            self._number += 1
            at, started = self._since = self._clock.now(), self._clock.monotonic()
            try:
                tried = await self._try(trigger, fresh)
            except StorageFailed as error:
                self.broken(error)
                raise
            except Exception as error:
                tried = self._failed(error)
            seconds = self._clock.monotonic() - started
            kept = await self._keep(tried)
            means = await self._judge(tried)
            self._since = None
            attempt = Attempt(
                number=self._number,
                trigger=trigger,
                at=at,
                seconds=seconds,
                outcome=tried.outcome,
                changes=concealed(tried.changes),
                diagnostics=await asyncio.to_thread(hidden, tried.diagnostics),
                error=concealed([tried.error or kept])[0],
                widened=concealed(tried.lost + means.widened),
                tightened=concealed(means.tightened),
                restart=tried.restart,
                in_force=tried.in_force,
            )
            self._conclude(attempt, tried)
            return attempt

    async def _try(self, trigger: str, folder: Folder | None) -> _Tried:
        try:
            home = Path(folder.root) if folder else self._home()
            running = Loaded(self._in_force, self._current())
            reads = partial(self._read, home, self._clock.now(), folder=folder, loaded=running)
            reading = await apart(reads)  # the code of tools runs there
        except Exception:
            _, self._seen = await asyncio.to_thread(self._looked)  # the same once more would come to the same
            raise
        self._note(reading)
        said, old, new = reading.compiled.diagnostics, self._current(), reading.compiled.snapshot
        if new is None:
            SECRETS.hold(self, ambient(reading.folder.environment(os.environ)))
            return _Tried("refused", said)
        held = shrinking.held(self._in_force, old, reading.folder, new) if trigger != ASKED else None
        if held:
            return _Tried("refused", arrange([*said, *held.diagnostics]))
        return await self._put(reading, old, new)

    async def _put(self, reading: Reading, old: Snapshot, new: Snapshot) -> _Tried:
        """In the place of what is in force, unless that is the same."""
        said, restart = reading.compiled.diagnostics, (*self._unwhole, *self.settled(new, reading.folder))
        if self._seen == self._applied:
            self.last_good = False
            return _Tried("needs_restart" if restart else "unchanged", said, restart=restart, in_force=True)
        seen, applied = self._seen, self._applied
        changed = {name for name in seen.keys() | applied.keys() if seen.get(name) != applied.get(name)}
        tools, changes, gone = await asyncio.to_thread(_compared, reading.folder, old, new, changed)
        done = _Tried(
            "needs_restart" if restart else "applied",
            said, changes, gone, restart, in_force=True, folder=reading.folder, old=old, new=new, stirred=tools,
        )  # fmt: skip
        try:
            await self._apply(new, reading.folder)
        except StorageFailed:
            raise
        except Exception as error:
            if self._current() is not new:
                return replace(self._failed(error), diagnostics=said)
            done = self._half(error, done)
        self._applied, self._in_force, self.last_good = self._seen, reading.folder, False
        return done

    def _failed(self, error: Exception) -> _Tried:
        """What is no failure that was thought of has a reference, under which the log tells the rest."""
        if isinstance(error, OpenClawError):
            final = isinstance(error, CredentialsError)  # a service that is asked on and on locks a bot out
            return _Tried("failed", error=str(error), cause=str(error), final=final)
        cause = repr(error)
        if cause != self._cause:
            self._faulty = fault(error, "a reload failed")
        return _Tried("failed", error=self._faulty, cause=cause)

    def _half(self, error: Exception, done: _Tried) -> _Tried:
        """It failed only after the swap: what is in force now must not be told as what was. To apply the same once more
        would find nothing different, so only a start makes it whole."""
        failed = self._failed(error)
        self._unwhole = (f"not all that followed from reload {self._number} was done, for a fault of the runtime",)
        words = f"the manifests are in force, but not all that follows from them: {failed.error}"
        return replace(done, outcome="failed", error=words, restart=self._unwhole, cause=failed.cause)

    async def _keep(self, tried: _Tried) -> str:
        """Puts aside what was applied, and says why it could not: it is in force all the same."""
        if tried.folder is None:
            return ""
        try:
            await asyncio.to_thread(keep, self._state, self._home(), tried.folder)
        except OpenClawError as error:
            return str(error)
        except Exception as error:
            return fault(error, "what was applied could not be kept")
        return ""

    async def _judge(self, tried: _Tried) -> Judged:
        """What it means for permissions, beside the rules that were lost; nobody waits long for it."""
        if tried.old is None or tried.new is None:
            return Judged()
        over = threading.Event()
        judging = asyncio.to_thread(judged, tried.old, tried.new, self._clock.now(), tried.stirred, over.is_set)
        try:
            return await asyncio.wait_for(judging, JUDGING)
        except TimeoutError:
            return Judged((f"perhaps: to judge all calls takes more than {JUDGING:g} s; rules alone were compared",))
        except Exception as error:
            return Judged((f"perhaps: {fault(error, 'a reload could not be judged')}",))
        finally:
            over.set()

    def _conclude(self, attempt: Attempt, tried: _Tried) -> None:
        cause = tried.cause
        again = bool(cause) and cause == self._cause and attempt.trigger == "retry"
        if again and self.attempts[-1].trigger == "retry":
            self.attempts.pop()  # one that fails on and on would push out all that people did
        mended = bool(self.attempts and self.attempts[-1].differs)
        self.attempts.append(attempt.remembered())
        self.counts.add(attempt)
        self._cause = cause
        self._retried = self._retried if attempt.trigger == "retry" else 0
        failing = attempt.outcome == "failed" and not attempt.in_force and not tried.final
        (self._failing.set if failing else self._failing.clear)()
        for hearer in [partial(tell, again=again, mended=mended), *(() if again else self._hearers)]:
            try:
                hearer(attempt)
            except Exception:
                log.exception("somebody who hears of reload %d failed", attempt.number)

    # ── once more ────────────────────────────────────────────────────────────────────────────────

    async def retry(self) -> None:
        """Makes an attempt that failed again, until it does not or another one is made: a port becomes free. Runs
        until cancelled. What is refused is not tried again: manifests do not mend themselves."""
        while True:
            await self._failing.wait()
            number = self._number
            await self._clock.sleep(AGAIN[min(self._retried, len(AGAIN) - 1)])
            if self._failing.is_set() and self._number == number:
                self._retried += 1
                await self.attempt("retry")


def _compared(
    folder: Folder, old: Snapshot, new: Snapshot, changed: Collection[str]
) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """The Python tools whose code is another, all that is different, and the rules that are lost."""
    tools = stirred(folder, new, changed)
    return tools, lines(old, new, tools), lost(old, new)
