"""What people said of heartbeats: which are paused, and when which was resumed. One document among the marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from openclaw.clock import Clock
from openclaw.messages import Address
from openclaw.ports import Marks

MARK = "heartbeats-standing"
EVER = datetime.min.replace(tzinfo=UTC)


class Standing:
    def __init__(self, marks: Marks, clock: Clock) -> None:
        self._marks = marks
        self._clock = clock
        self._said: Mapping[str, Mapping[str, Any]] = {}

    async def open(self) -> None:
        document, _ = await self._marks.get(MARK)
        self._said = document if isinstance(document, dict) else {}

    def paused(self, name: str) -> Mapping[str, Any] | None:
        """Since when, and by whom; None where it is not."""
        paused: Mapping[str, Any] | None = self._said.get(name, {}).get("paused")
        return paused

    def resumed(self, name: str) -> datetime:
        return time_of(self._said.get(name, {}).get("resumed"))

    async def pause(self, name: str, by: Address | None, known: Iterable[str]) -> None:
        """On disk when this returns; of those that are not `known` nothing is remembered any more."""
        await self._say(name, {"paused": {"at": self._clock.now().isoformat(), "by": str(by) if by else None}}, known)

    async def resume(self, name: str, known: Iterable[str]) -> None:
        await self._say(name, {"resumed": self._clock.now().isoformat()}, known)

    async def _say(self, name: str, said: Mapping[str, Any], known: Iterable[str]) -> None:
        names = {*known, name}
        while True:
            document, version = await self._marks.get(MARK)
            kept = {each: entry for each, entry in (document or {}).items() if each in names}
            kept[name] = dict(said)
            if await self._marks.put(MARK, kept, version):
                break
        self._said = kept


def time_of(text: str | None) -> datetime:
    """`EVER` where there is none."""
    return datetime.fromisoformat(text) if text else EVER
