"""A runtime that kills itself at a chosen moment, as if the power had gone just then: `DIES_AT` names it.

    joined      messages were taken out of the queue to be answered together; no transcript says so yet
    written     the transcript says so; nothing was answered yet
    answered    the answer is in the transcript; its messages are not settled

Everything else is the runtime as it is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openclaw.app import App, stop_on_signals
from openclaw.messages import Entry, UserEntry
from openclaw.project import Options
from openclaw.sessions import Sessions

MOMENTS = ("joined", "written", "answered")


class Through:
    """Another object; what a class below names goes its own way."""

    def __init__(self, kept: Any, moment: str) -> None:
        self._kept = kept
        self._moment = moment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def _die(self, moment: str) -> None:
        if self._moment == moment:
            os.kill(os.getpid(), signal.SIGKILL)


class Inbox(Through):
    async def join(self, *given: Any) -> Any:
        joined = await self._kept.join(*given)
        if joined:
            self._die("joined")
        return joined

    async def settle(self, *given: Any, joined: Sequence[str] = (), **more: Any) -> None:
        if joined:
            self._die("answered")
        await self._kept.settle(*given, joined=joined, **more)


class Journal(Through):
    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        await self._kept.append(session, entries)
        if any(isinstance(entry, UserEntry) and entry.joined for entry in entries):
            self._die("written")


class Mortal(App):
    def _sessions(self) -> Sessions:
        moment = os.environ["DIES_AT"]
        self.store.inbox = Inbox(self.store.inbox, moment)
        self.store.journal = Journal(self.store.journal, moment)
        return super()._sessions()


async def main(project: str, state: str) -> None:
    app = Mortal(Options(Path(project), Path(state)))
    async with app.opened():
        stop_on_signals(app)
        await app.run()


if __name__ == "__main__":  # -C PROJECT --state STATE run
    asyncio.run(main(sys.argv[2], sys.argv[4]))
