"""Blocking calls beside the event loop, in threads that never hold up the end of the process.

The loop's own executor is joined at exit: a read of a silent standard input would hang it for ever, and the import of a
large library, or the code of a tool, for seconds. A daemon thread is simply left behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(function: Callable[[], T]) -> T:
    """Runs `function` in a daemon thread; cancelling stops the waiting, not the call."""
    return await asyncio.get_running_loop().run_in_executor(_Apart(), function)


class _Apart(Executor):
    """A thread for each call. A loop that has no threads is still asked, and makes the call itself."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # or else whoever cancels the waiting would take its result away

        def run() -> None:
            try:
                found = work(*args, **more)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(found)

        threading.Thread(target=run, daemon=True, name="openclaw-apart").start()
        return future
