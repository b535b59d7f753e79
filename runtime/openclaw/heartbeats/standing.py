"""What people said of heartbeats: which are paused, and when which was resumed. One document among the marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from openclaw.clock import Clock
from openclaw.messages import Address
from openclaw.ports import KEPT, Marks
from openclaw.words import time_json

MARK = "heartbeats-standing"
EVER = datetime.min.replace(tzinfo=UTC)


class Standing:
    def __init__(self, marks: Marks, clock: Clock) -> None:
        self._marks = marks
        self._clock = clock
        self._said: Mapping[str, Mapping[str, Any]] = {}

    async def open(self) -> None:
        document, _ = await self._marks.get(MARK)
        said = document if isinstance(document, dict) else {}
        self._said = {name: one for name, one in said.items() if isinstance(one, dict)}

    def paused(self, name: str) -> Mapping[str, Any] | None:
        """Since when, and by whom; None where it is not."""
        paused = self._said.get(name, {}).get("paused")
        return paused if isinstance(paused, dict) else None

    def resumed(self, name: str) -> datetime:
        return time_of(self._said.get(name, {}).get("resumed"))

    async def pause(self, name: str, by: Address | None, known: Iterable[str]) -> None:
        """On disk when this returns. Of those that are not `known` it is remembered for a time: they may come back."""
        await self._say(name, {"paused": {"at": time_json(self._clock.now()), "by": str(by) if by else None}}, known)

    async def resume(self, name: str, known: Iterable[str]) -> None:
        await self._say(name, {"resumed": time_json(self._clock.now())}, known)

    async def _say(self, name: str, said: Mapping[str, Any], known: Iterable[str]) -> None:
        names, oldest = {*known, name}, self._clock.now() - timedelta(days=KEPT)
        while True:
            document, version = await self._marks.get(MARK)
            before = document if isinstance(document, dict) else {}
            readable = {each: one for each, one in before.items() if isinstance(one, dict)}
            kept = {each: one for each, one in readable.items() if each in names or _when(one) > oldest}
            kept[name] = dict(said)
            if await self._marks.put(MARK, kept, version):
                break
        self._said = kept


def _when(said: Mapping[str, Any]) -> datetime:
    paused = said.get("paused")
    return time_of((paused.get("at") if isinstance(paused, dict) else None) or said.get("resumed"))


def time_of(text: Any) -> datetime:
    """`EVER` where there is none that can be read."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return EVER
    return found if found.tzinfo is not None else EVER
