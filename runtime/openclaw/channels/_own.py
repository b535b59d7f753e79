"""What is kept of one bot, under a channel's name that other bots may have had before it, or have after it.

Law: one bot's notes are never another's, and two bots at work under one name, while one replaces the other, write into
none of the same. The first bot of a name has the plain ones.
"""

from __future__ import annotations

from typing import Any

from openclaw.ports import Notes

FIRST = "bot"  # the note of whose the plain ones are


class Own:
    def __init__(self, notes: Notes, account: str) -> None:
        self._notes = notes
        self._account = account
        self._plain: bool | None = None

    async def get(self, name: str) -> Any:
        return await self._notes.get(await self._named(name))

    async def put(self, name: str, document: Any) -> None:
        await self._notes.put(await self._named(name), document)

    async def _named(self, name: str) -> str:
        if self._plain is None:
            first = await self._notes.get(FIRST)
            if first is None:
                await self._notes.put(FIRST, self._account)
            self._plain = first in (None, self._account)
        return name if self._plain else f"{name}@{self._account}"
