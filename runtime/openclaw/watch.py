"""Notices that something in the project's folders changed, and waits until it has become quiet.

Folders are watched, never files: editors replace files, and a watch on a replaced file is silent for ever. An
event is only a hint to look; what changed is found by whoever is called, by content. The law: there is a look once the
watch is armed, whatever became of arming it, and no mistake in a look ends the watch. Where the system tells nothing of
its folders, they are polled and looked at again and again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path

from openclaw import logbook
from openclaw.clock import Clock
from openclaw.errors import StorageFailed
from openclaw.manifest.folder import CODE, is_leftover

log = logging.getLogger(__name__)

QUIET = 0.1  # seconds without an event before anybody looks
LONGEST = 2.0  # seconds: a folder that never becomes quiet is looked at all the same
CHECK = 2.0  # seconds between looks at the folders themselves; with polling, also at the content
AGAIN = 60.0  # seconds until it is tried again to be told of changes, and the longest between looks that fail
_STEP, _DEBOUNCE = 10, 50  # milliseconds, of the library's own batching
_MOST_GONE = 3  # times that a folder may be gone between finding and watching it
_READ = (".yaml", ".yml", ".md", *CODE)
_NOISE = frozenset({"__pycache__", "node_modules", "4913"})  # the last is how vim tries a folder out
_COUNTS = frozenset({".env", "..data"})

_Identity = tuple[int, int]  # device and inode
Matters = Callable[[str], bool]
Events = Callable[[Collection[Path], bool, Matters], AsyncIterator[object]]
"""Tells of each burst of changes in some folders, with or without polling, of paths that matter."""


async def events(folders: Collection[Path], polling: bool, matters: Matters) -> AsyncIterator[object]:
    """Raises OSError or RuntimeError where the system has no more watches to give, and UnicodeError once something
    became of a file whose name is no text."""
    from watchfiles import awatch

    try:
        async for changes in awatch(
            *folders,
            watch_filter=lambda _, path: matters(path),
            recursive=False,
            step=_STEP,
            debounce=_DEBOUNCE,
            force_polling=polling,
            ignore_permission_denied=False,  # else nothing is said of folders for which there are no more watches
        ):
            yield changes
    except ExceptionGroup as group:  # of the library's own task
        raise _told(group) from None


def _told(error: Exception) -> Exception:
    """What is really amiss."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return UnicodeError(str(error)) if "decode path" in str(error) else error


class Watch:
    def __init__(
        self,
        folders: Callable[[], Iterable[Path]],
        clock: Clock,
        names: Callable[[], Collection[str]] = frozenset,
        events: Events = events,
    ) -> None:
        """`folders` is asked again after every change: a manifest may name new ones. `names` are those of files that
        are read, whatever they look like."""
        self._folders = folders
        self._clock = clock
        self._names = names
        self._events = events
        self._stirred = asyncio.Event()
        self._polling = is_polled(os.environ)  # as whoever started this wants it, or the system must have it
        self._again: float | None = None  # where the system refused to tell of changes: when it is asked again
        self._unheard = False  # whether there is a folder that cannot be watched because of its name
        self._gone = 0
        self._failed = 0  # looks, one after another
        self._next = 0.0  # when to look again after those

    async def run(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Awaits `changed` once armed and after every burst of changes, until cancelled. Raises StorageFailed."""
        while True:
            try:
                await self._armed(changed)
            except StorageFailed:
                raise
            except Exception:
                log.exception("watching the project failed; it begins again")
                await self._clock.sleep(CHECK)

    async def _armed(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Until a folder was replaced, the watch broke off, or another way to watch is due."""
        armed = self._there()
        polling = self._polling or not self._is_due()
        pump = asyncio.create_task(self._pump(armed, polling))
        try:
            await asyncio.sleep(0)  # the pump arms the watch before it first waits
            if self._again is not None and not polling and not pump.done():
                self._again = None
                log.warning("the system tells of changes in the project's folders again")
            self._stirred.set()
            await self._while_armed(armed, polling, changed, pump)
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)  # it has said what was amiss

    async def _while_armed(
        self,
        armed: Mapping[Path, _Identity],
        polling: bool,
        changed: Callable[[], Awaitable[None]],
        pump: asyncio.Task[None],
    ) -> None:
        while True:
            if await self._stir(polling):
                await self._quiet()
                await self._look(changed)
            if pump.done():
                await self._clock.sleep(CHECK if polling else 0)
                return
            if self._there() != armed or (polling and not self._polling and self._is_due()):
                return

    def _there(self) -> dict[Path, _Identity]:
        folders = list(self._folders())
        self._unheard = not all(map(_is_text, folders))
        return _identities(folders)

    def _is_due(self) -> bool:
        return self._again is None or self._clock.monotonic() >= self._again

    async def _look(self, changed: Callable[[], Awaitable[None]]) -> None:
        try:
            await changed()
            self._failed = 0
        except StorageFailed:
            raise
        except Exception:
            self._failed += 1
            self._next = self._clock.monotonic() + min(CHECK * 2.0**self._failed, AGAIN)
            log.exception("a look at the project failed; the next change, or in a while this one, is looked at again")

    async def _stir(self, polling: bool) -> bool:
        """Waits for an event; False where only time has passed."""
        waiting = asyncio.create_task(self._stirred.wait())
        timer = asyncio.create_task(self._clock.sleep(CHECK))
        try:
            await asyncio.wait([waiting, timer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            timer.cancel()
        late = self._failed > 0 and self._clock.monotonic() >= self._next
        # polling may miss the second of two quick saves
        return self._stirred.is_set() or polling or self._unheard or late

    async def _quiet(self) -> None:
        started = self._clock.monotonic()
        while self._stirred.is_set() and self._clock.monotonic() - started < LONGEST:
            self._stirred.clear()
            await self._clock.sleep(QUIET)
        self._stirred.clear()

    async def _pump(self, armed: Mapping[Path, _Identity], polling: bool) -> None:
        own = frozenset(map(str, armed))
        try:
            async for _ in self._events(list(armed), polling, lambda path: path in own or matters(path, self._names())):
                self._gone = 0
                self._stirred.set()
                logbook.debug(log, "watch stirred", "something changed in the project's folders")
        except UnicodeError:
            pass  # what else was told with it is lost: it begins again, with a look
        except FileNotFoundError as error:  # between finding it and watching it
            self._gone += 1
            if self._gone > _MOST_GONE:
                self._poll(error, polling)
        except Exception as error:
            self._poll(error, polling)

    def _poll(self, error: Exception, polling: bool) -> None:
        """Says once that changes are seen later from now on."""
        if polling:
            log.warning("watching the project broke off and begins again: %s", error)
            return
        if self._again is None:
            log.warning(
                "the system does not tell of changes in the project's folders (%s): they are looked at every %g s, and "
                "the system is asked again every %g s; more inotify watches and instances (sysctl fs.inotify) may help",
                error,
                CHECK,
                AGAIN,
                exc_info=None if isinstance(error, OSError | RuntimeError) else error,
            )
        self._again = self._clock.monotonic() + AGAIN


def is_polled(environment: Mapping[str, str]) -> bool:
    """Whether folders are to be polled: because the environment says so, else where the system is known not to tell of
    changes, as watchfiles has it."""
    said = environment.get("WATCHFILES_FORCE_POLLING")
    if said:
        return said.lower() not in ("false", "disable", "disabled")
    return "microsoft-standard" in os.uname().release.lower()


def matters(path: str, names: Collection[str]) -> bool:
    """Whether a change of this path can be one of the project: not what editors leave, programs put down beside it, or
    version control and environments are made of."""
    name = os.fspath(path).rpartition("/")[2]
    if name in names or name in _COUNTS:
        return True
    if name.startswith(".#") or name in _NOISE:  # the first is how emacs locks a file, with a link
        return False
    where = Path(path)
    if is_leftover(name):
        return where.is_symlink()
    return name.lower().endswith(_READ) or where.is_symlink() or where.is_dir()


def _identities(folders: Iterable[Path]) -> dict[Path, _Identity]:
    """The folders that exist, with what tells a folder from another one put in its place. One that may not be read, or
    that nothing can be asked about because of its name, is not watched: if it failed, no other would be."""
    found = {}
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):  # the latter of a name that no folder can have
            status = folder.stat()
            if _is_text(folder) and os.access(folder, os.R_OK):
                found[folder] = (status.st_dev, status.st_ino)
    return found


def _is_text(folder: Path) -> bool:
    return str(folder).isascii() or os.fsencode(folder).decode("utf-8", "replace") == str(folder)
