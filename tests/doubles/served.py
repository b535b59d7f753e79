"""A small desk on the control socket of a state folder, for commands that ask the runtime that is there."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doubles.desk import Desk
from openclaw.control import serve
from openclaw.messages import Address, Message, Text


class Served:
    """In a thread of its own, from construction to `close`."""

    def __init__(self, state: Path) -> None:
        self.desk = Desk()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self._answering(state))

    async def _answering(self, state: Path) -> None:
        self._serving = asyncio.ensure_future(serve(state / "control.sock", self.desk, self.desk))
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_unix_connection(state / "control.sock")
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def post(self, text: str) -> None:
        message = Message(f"t{text}", Address("repl", "local"), (Text(text),), datetime.now(UTC))
        self._run(self.desk(message))

    def close(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
