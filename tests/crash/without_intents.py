"""A runtime that forgets to write down what it is about to do. Its sweep must find effects that ran twice:
that is how the other sweeps are known to be able to see.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from openclaw.app import App, stop_on_signals
from openclaw.messages import Entry, Intent
from openclaw.ports import Journal, SessionSummary
from openclaw.project import Options
from openclaw.sessions import Sessions


class Forgetful:
    """A journal like the one it is given, but no intent reaches the disk."""

    def __init__(self, kept: Journal) -> None:
        self._kept = kept

    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        await self._kept.append(session, [entry for entry in entries if not isinstance(entry, Intent)])

    async def load(self, session: str) -> Sequence[Entry]:
        return await self._kept.load(session)

    async def archive(self, session: str) -> str | None:
        return await self._kept.archive(session)

    async def list(self) -> Sequence[SessionSummary]:
        return await self._kept.list()


class Careless(App):
    def _sessions(self) -> Sessions:
        self.store.journal = Forgetful(self.store.journal)
        return super()._sessions()


async def main(project: str, state: str) -> None:
    app = Careless(Options(Path(project), Path(state)))
    async with app.opened():
        stop_on_signals(app)
        for address in await app.addresses():
            print(f"HTTP at {address}", file=sys.stderr, flush=True)
        await app.run()


if __name__ == "__main__":  # -C PROJECT --state STATE run
    asyncio.run(main(sys.argv[2], sys.argv[4]))
