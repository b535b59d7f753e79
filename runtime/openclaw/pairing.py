"""Strangers who write in private: a code for each, and the operator who lets them in.

The law: a code is shown to the stranger alone and approved on the operator's side; it works for an hour, once.
At most three wait on a channel, and nobody is told twice within the hour, so that a flood of strangers costs
nothing. Being let in admits a sender in private chats: to no group, and to no approval. Knows no channel kind.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from openclaw.clock import Clock
from openclaw.errors import PairingError
from openclaw.messages import Address
from openclaw.ports import Marks, Pairing

DOCUMENT = "pairings"
LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that looks like another
LENGTH = 8
WITHIN = timedelta(hours=1)
MOST_WAITING = 3  # on one channel


class Pairings:
    def __init__(self, marks: Marks, clock: Clock) -> None:
        self._marks = marks
        self._clock = clock
        self._waiting: dict[Address, Pairing] = {}
        self._admitted: dict[Address, Pairing] = {}
        self._turn = asyncio.Lock()  # between looking and writing nobody else does either

    async def open(self) -> None:
        """Reads who waits and who was let in; an entry that cannot be read admits nobody."""
        document, _ = await self._marks.get(DOCUMENT)
        self._take(document)

    def admits(self, sender: Address) -> bool:
        return sender in self._admitted

    def waiting(self) -> list[Pairing]:
        now = self._clock.now()
        return [one for one in self._waiting.values() if one.expires is None or one.expires > now]

    def admitted(self) -> list[Pairing]:
        return list(self._admitted.values())

    async def knock(self, sender: Address, name: str) -> str | None:
        """A code for this stranger; None where they have one already or too many wait."""
        async with self._turn:
            return await self._knock(sender, name)

    async def _knock(self, sender: Address, name: str) -> str | None:
        waiting = self.waiting()
        here = [one for one in waiting if one.sender.channel == sender.channel]
        if sender in self._admitted or len(here) >= MOST_WAITING or any(one.sender == sender for one in here):
            return None
        now, code = self._clock.now(), "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        pairing = Pairing(sender, name[:100], code, now, now + WITHIN)
        await self._change(lambda: self._waiting.__setitem__(sender, pairing))
        return code

    async def pair(self, code: str) -> Pairing:
        async with self._turn:
            return await self._pair(code)

    async def _pair(self, code: str) -> Pairing:
        wanted = code.strip().upper().replace("-", "")
        waiting = self.waiting()
        found = next((one for one in waiting if secrets.compare_digest(one.code.encode(), wanted.encode())), None)
        if found is None:
            raise PairingError(f"nobody waits with the code {code}: it was used, or its hour is over")
        admitted = Pairing(found.sender, found.name, "", self._clock.now())

        def admit() -> None:
            self._waiting.pop(found.sender, None)
            self._admitted[found.sender] = admitted

        await self._change(admit)
        return admitted

    async def unpair(self, sender: Address) -> None:
        if sender not in self._admitted:
            raise PairingError(f"{sender} was not let in by a code; channels.yaml names the others who may write")
        async with self._turn:
            await self._change(lambda: self._admitted.pop(sender, None))

    async def _change(self, change: Callable[[], Any]) -> None:
        """Changes what is known, on disk too; what was not written is not so."""
        while True:
            document, version = await self._marks.get(DOCUMENT)
            self._take(document)
            change()
            waiting = [_as_json(one) for one in self.waiting()]
            written = {"waiting": waiting, "admitted": [_as_json(one) for one in self._admitted.values()]}
            if await self._marks.put(DOCUMENT, written, version):
                return

    def _take(self, document: Any) -> None:
        self._waiting = {one.sender: one for one in _pairings(document, "waiting")}
        self._admitted = {one.sender: one for one in _pairings(document, "admitted")}


def _as_json(pairing: Pairing) -> dict[str, Any]:
    return {
        "sender": str(pairing.sender),
        "name": pairing.name,
        "code": pairing.code,
        "at": pairing.at.isoformat(),
        "expires": pairing.expires.isoformat() if pairing.expires else None,
    }


def _pairings(document: Any, part: str) -> list[Pairing]:
    rows = document.get(part) if isinstance(document, dict) else None
    found = [_pairing(row) for row in rows] if isinstance(rows, list) else []
    return [one for one in found if one is not None]


def _pairing(row: Any) -> Pairing | None:
    try:
        expires = datetime.fromisoformat(row["expires"]) if row["expires"] else None
        at = datetime.fromisoformat(row["at"])
        return Pairing(Address.parse(row["sender"]), str(row["name"]), str(row["code"]), at, expires)
    except (KeyError, TypeError, ValueError):
        return None
