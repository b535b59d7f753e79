"""Notices that something in the project's folders changed, and waits until it has become quiet.

Folders are watched, never files: editors replace files, and a watch on a replaced file is silent for ever. An
event is only a hint to look; what changed is found by whoever is called, by content. The watch is armed before
the first look, so that an edit in between is not missed, and armed anew when a folder was replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from openclaw.clock import Clock

log = logging.getLogger(__name__)

QUIET = 0.1  # seconds without an event before anybody looks
LONGEST = 2.0  # seconds: a folder that never becomes quiet is looked at all the same
CHECK = 2.0  # seconds between looks at the folders themselves; with polling, also at the content
_STEP, _DEBOUNCE = 10, 50  # milliseconds, of the library's own batching


class Watch:
    def __init__(self, folders: Callable[[], Iterable[Path]], clock: Clock) -> None:
        """`folders` is asked again after every change: a manifest may name new ones."""
        self._folders = folders
        self._clock = clock
        self._stirred = asyncio.Event()

    async def run(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Awaits `changed` once armed and after every burst of changes, until cancelled."""
        while True:
            armed = _identities(self._folders())
            pump = asyncio.create_task(self._pump(list(armed)))
            try:
                await asyncio.sleep(0)  # the pump arms the watch before it first waits
                self._stirred.set()
                await self._while_armed(armed, changed, pump)
            finally:
                pump.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await pump

    async def _while_armed(
        self, armed: dict[Path, tuple[int, int]], changed: Callable[[], Awaitable[None]], pump: asyncio.Task[None]
    ) -> None:
        while not pump.done():
            if await self._stir():
                await self._quiet()
                await changed()
            if _identities(self._folders()) != armed:
                return
        await self._clock.sleep(CHECK)  # the watch broke off, for example because the project was removed

    async def _stir(self) -> bool:
        """Waits for an event; False where only time has passed."""
        try:
            async with asyncio.timeout(CHECK):
                await self._stirred.wait()
            return True
        except TimeoutError:
            return bool(os.environ.get("WATCHFILES_FORCE_POLLING"))  # polling may miss the second of two quick saves

    async def _quiet(self) -> None:
        started = self._clock.monotonic()
        while self._stirred.is_set() and self._clock.monotonic() - started < LONGEST:
            self._stirred.clear()
            await self._clock.sleep(QUIET)
        self._stirred.clear()

    async def _pump(self, paths: list[Path]) -> None:
        from watchfiles import awatch

        try:
            async for _ in awatch(*paths, watch_filter=None, recursive=False, step=_STEP, debounce=_DEBOUNCE):
                self._stirred.set()
        except (OSError, RuntimeError) as error:
            log.warning("watching the project broke off and begins again: %s", error)


def _identities(folders: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """The folders that exist, with what tells a folder from another one put in its place."""
    found = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            status = folder.stat()
            found[folder] = (status.st_dev, status.st_ino)
    return found
