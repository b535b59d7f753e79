"""The tasks of a runtime by name, each inside a boundary of its own: one that breaks takes no other with it.

Only a disk that refuses to write ends the whole, because then nothing can be promised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from openclaw.errors import OpenClawError, StorageFailed

log = logging.getLogger(__name__)

Runner = Callable[[], Coroutine[Any, Any, None]]
"""Begun only when its task runs: one that is cancelled before has nothing to clean up."""


class Runners:
    def __init__(self, fail: Callable[[BaseException], None]) -> None:
        """`fail` is told what ends the whole runtime."""
        self.fail = fail
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over = False

    def start(self, name: str, runner: Runner) -> None:
        """Begins nothing once the end has come."""
        if not self._over:
            self._tasks[name] = asyncio.create_task(self.guarded(name, runner), name=name)

    def keep(self, name: str, task: asyncio.Task[None]) -> None:
        """Waits for this one too at the end, unless it has ended by then."""
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        if self._over:
            task.cancel()

    def take(self, name: str) -> asyncio.Task[None] | None:
        """Hands a task over to whoever ends it; None where there is none."""
        return self._tasks.pop(name, None)

    async def end(self) -> None:
        """Everything at once, and waits for it."""
        self._over = True
        while self._tasks:  # one that ends may leave something to be waited for
            tasks, self._tasks = list(self._tasks.values()), {}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def guarded(self, name: str, runner: Runner) -> None:
        """Runs it inside a boundary: what it fails of is told, and goes no further."""
        try:
            await runner()
        except StorageFailed as error:
            self.fail(error)
        except OpenClawError as error:
            log.error("%s ended: %s", name, error)
        except Exception:
            log.exception("%s failed", name)
