"""The transcripts in memory: each read once, and kept while it is in use and there is room for it.

The law: a session is in memory once. Whoever holds a transcript and whoever asks for it meanwhile have the same one,
also where it was let go of for want of room; and two who ask at the same time wait for one reading.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from openclaw.messages import AssistantEntry, Compaction, Draft, Entry, Intent, Result, Told, Undone, UserEntry
from openclaw.ports import Journal
from openclaw.transcript import Transcript

MOST = 256  # transcripts
LARGEST = 128 << 20  # characters of all of them, about
_ENTRY = 1000  # what an entry takes beside its words


@dataclass(slots=True)
class _Kept:
    transcript: Transcript
    counted: int = 0  # entries
    size: int = 0  # characters, about


class Warm:
    def __init__(self, journal: Journal, *, most: int = MOST, largest: int = LARGEST) -> None:
        self._journal = journal
        self._most = most
        self._largest = largest
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._held: WeakValueDictionary[str, Transcript] = WeakValueDictionary()  # by whoever there is
        self._reading: dict[str, asyncio.Task[Transcript]] = {}
        self._size = 0

    async def of(self, session: str) -> Transcript:
        found = self._held.get(session)
        if found is None:
            found = await self._read(session)
        self._keep(session, found)
        return found

    def forget(self, session: str) -> None:
        """The session was put aside, or is another one on disk now: whoever asks next reads it."""
        self._held.pop(session, None)
        self._reading.pop(session, None)
        if (kept := self._kept.pop(session, None)) is not None:
            self._size -= kept.size

    async def _read(self, session: str) -> Transcript:
        reading = self._reading.get(session)
        if reading is None:
            reading = self._reading[session] = asyncio.ensure_future(self._load(session))
        try:
            return await asyncio.shield(reading)
        finally:
            if reading.done() and self._reading.get(session) is reading:
                del self._reading[session]

    async def _load(self, session: str) -> Transcript:
        transcript = Transcript(await self._journal.load(session))
        if self._reading.get(session) is asyncio.current_task():
            self._held[session] = transcript
        return transcript

    def _keep(self, session: str, transcript: Transcript) -> None:
        if self._held.get(session) is not transcript:
            return  # forgotten while it was read
        kept = self._kept.setdefault(session, _Kept(transcript))
        self._kept.move_to_end(session)
        grown = sum(map(_size, transcript.entries[kept.counted :]))
        kept.counted, kept.size, self._size = len(transcript.entries), kept.size + grown, self._size + grown
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._size > self._largest):
            self._size -= self._kept.popitem(last=False)[1].size


def _size(entry: Entry) -> int:
    match entry:
        case UserEntry(content=content) | AssistantEntry(content=content):
            return _ENTRY + _long(content)
        case Intent(input=input):
            return _ENTRY + _long(input)
        case Undone():
            return _ENTRY
        case Result(content=text) | Compaction(summary=text) | Draft(summary=text) | Told(text=text):
            return _ENTRY + len(text)


def _long(value: Any) -> int:
    """The characters in whatever JSON holds."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(len, value)) + sum(map(_long, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_long, value))
    return 8
