"""What has been read in each channel of Discord, and which answers stand there half written, across restarts.

The gateway is not told what was taken in and sends nothing twice to a new session; these positions are how what was
missed is found again. Law: a position moves only past messages that are on disk or were decided on, all of them: it
stays before the first that is still owed. It reaches the disk at most once in `PAUSE`; a crash in between only means
that some messages are fetched twice, and the inbox takes each once. Knows ids, and nothing of the library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from openclaw.clock import Clock
from openclaw.ports import Notes

T = TypeVar("T")

DOCUMENT = "places"
PAUSE = 1.0  # seconds between two writes
MOST = 2000  # channels that are remembered; those where nothing was said for longest give way
DRAFTS = 200


@dataclass(slots=True)
class Place:
    """`last` is the newest message before which nothing needs fetching; `person` whose private chat it is, None in a
    server; `newest` the newest that was decided on, whatever is owed before it."""

    last: int
    person: int | None = None
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A message of ours that shows an answer as far as it is written."""

    channel: int
    message: int


class Places:
    def __init__(self, notes: Notes, clock: Clock) -> None:
        self._notes = notes
        self._clock = clock
        self._places: dict[int, Place] = {}
        self._owed: dict[int, set[int]] = {}  # messages that were heard and are not taken in, by channel
        self._alive = 0
        self._drafts: dict[str, Draft] = {}  # by the inbox id of what is answered
        self._changed = asyncio.Event()

    async def open(self) -> None:
        """Reads what an earlier run left; a document that cannot be read counts as none."""
        document = await self._notes.get(DOCUMENT)
        found = document if isinstance(document, dict) else {}
        self._places = dict(_rows(found.get("channels"), _place))
        self._drafts = dict(_rows(found.get("drafts"), _draft))
        alive = found.get("alive")
        self._alive = int(alive) if isinstance(alive, str) and alive.isdecimal() else 0

    @property
    def alive(self) -> int:
        """What earlier runs were told of, in all channels: nothing up to this id needs fetching in one that nobody
        remembers. 0 where there was no earlier run."""
        return self._alive

    def known(self) -> list[tuple[int, Place]]:
        return list(self._places.items())

    def last(self, channel: int) -> int | None:
        place = self._places.get(channel)
        return place.last if place else None

    def direct(self, person: int) -> int | None:
        """The private channel with this person, where they wrote before."""
        return next((channel for channel, place in self._places.items() if place.person == person), None)

    async def begin(self, channel: int, message: int, person: int | None) -> None:
        """Remembers a channel whose first message this is; on disk when this returns. The welcome names no private
        chats: one that nobody remembers could not be looked at after a crash."""
        if channel not in self._places:
            self.read(channel, message - 1, person)
            await self.flush()

    def owe(self, channel: int, message: int) -> None:
        """It was heard, or must be fetched: the position stays before it until it is settled."""
        self._owed.setdefault(channel, set()).add(message)
        self._move(channel)

    def settle(self, channel: int, message: int) -> None:
        """It is owed no more."""
        owed = self._owed.get(channel, set())
        owed.discard(message)
        if not owed:
            self._owed.pop(channel, None)
        self._move(channel)

    def read(self, channel: int, message: int, person: int | None = None) -> None:
        """This message was taken in, or needs no answer, and so does what came before it, but for what is owed."""
        place = self._places.pop(channel, None) or Place(message, person)
        place.newest, place.person = max(place.newest, place.last, message), person or place.person
        self._places[channel] = place  # at the end: said something last
        while len(self._places) > MOST:
            del self._places[next(iter(self._places))]
        self.settle(channel, message)
        self._changed.set()

    def passed(self, channel: int, message: int) -> None:
        """A message that was not for us; not worth a write of its own."""
        if (place := self._places.get(channel)) is not None:
            place.newest = max(place.newest, place.last, message)
            self._move(channel)

    def _move(self, channel: int) -> None:
        if (place := self._places.get(channel)) is not None:
            owed = min(self._owed.get(channel, ()), default=None)
            newest = max(place.newest, place.last)
            place.newest, place.last = newest, newest if owed is None else min(newest, owed - 1)

    def forget(self, channel: int) -> None:
        if self._places.pop(channel, None) is not None:
            self._changed.set()

    def draft(self, answers: str, draft: Draft) -> None:
        self._drafts[answers] = draft
        while len(self._drafts) > DRAFTS:
            del self._drafts[next(iter(self._drafts))]
        self._changed.set()

    def drafted(self, answers: str) -> Draft | None:
        return self._drafts.get(answers)

    def finished(self, answers: str) -> None:
        if self._drafts.pop(answers, None) is not None:
            self._changed.set()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Writes what has changed, until cancelled."""
        while True:
            await self._changed.wait()
            await self._clock.sleep(PAUSE)
            await self.flush()

    async def flush(self) -> None:
        if self._changed.is_set():
            self._changed.clear()
            await self._notes.put(DOCUMENT, self._document())

    def _document(self) -> dict[str, Any]:
        newest = max((place.newest for place in self._places.values()), default=0)
        owed = [id - 1 for ids in self._owed.values() for id in ids]
        self._alive = max(self._alive, min([newest, *owed]))
        return {
            "alive": str(self._alive),
            "channels": {str(id): [str(one.last), one.person and str(one.person)] for id, one in self._places.items()},
            "drafts": {id: [str(one.channel), str(one.message)] for id, one in self._drafts.items()},
        }


def _rows(rows: Any, read: Callable[[str, Any], T | None]) -> list[T]:
    found = [read(key, row) for key, row in rows.items()] if isinstance(rows, dict) else []
    return [row for row in found if row is not None]


def _place(key: str, row: Any) -> tuple[int, Place] | None:
    try:
        return int(key), Place(int(row[0]), int(row[1]) if row[1] else None)
    except (IndexError, TypeError, ValueError):
        return None


def _draft(key: str, row: Any) -> tuple[str, Draft] | None:
    try:
        return key, Draft(int(row[0]), int(row[1]))
    except (IndexError, TypeError, ValueError):
        return None
