"""How memories are searched: what every backend of the search offers, and the words it is spoken to in.

Another backend is one file with a class that does this, handed to `Memory`. The files are the truth: a backend is a
cache that holds what it was told of them and may lose it at any time, saying so with `Lost`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from openclaw.tools._note import Note
from openclaw.tools._words import Query
from openclaw.words import time_json

__all__ = ["Learned", "Lost", "Query", "Remembered", "Search"]


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory as found. `key` is its path in the memory folder without `.md`, unique over all scopes."""

    key: str
    scope: str
    name: str
    text: str
    created: datetime
    author: str
    agent: str
    untrusted: str = ""  # the strangers' material that was before whoever saved it
    beside: str = ""  # the key of the one that fits, where this one does not and only stands beside it

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "scope": self.scope,
            "name": self.name,
            "text": self.text,
            "created": time_json(self.created),
            "author": self.author,
            "agent": self.agent,
            **({"beside": self.beside} if self.beside else {}),
        }


@dataclass(frozen=True, slots=True)
class Learned:
    """A file as it was read. `path` is relative to the memory folder; `stamp` tells whether it was touched since."""

    path: bytes
    scope: str
    stamp: int
    digest: bytes  # of the content: what is known already under it need not be looked at again
    note: Note
    created: float  # seconds since 1970
    updated: float


class Lost(Exception):
    """What the backend held was damaged, replaced or of another version: it is empty now and wants to be told anew."""


class Search(Protocol):
    """Blocking; used by one thread at a time. Any method may raise `Lost`, and works when it is tried again."""

    def open(self) -> None: ...

    def close(self) -> None:
        """Harmless when closed."""

    def stamps(self) -> Mapping[bytes, int]:
        """The stamp of every file it was told of."""

    def update(self, learned: Sequence[Learned], gone: Sequence[bytes]) -> None:
        """Forgets files, and takes in those that are new or changed; all of it or nothing."""

    def clear(self) -> None:
        """Forgets everything, also for others that have it open, and leaves nothing of it on the disk."""

    def matching(self, scope: str | None, query: Query, limit: int, around: int) -> Sequence[Remembered]:
        """What fits, the best first, each followed by as many as `around` of its folder that were made just before it,
        and just after it, in that order. None is every scope; a scope never gives what is of another."""

    def anew(self) -> Self:
        """An empty one that nobody else sees."""

    def become(self, other: Self) -> None:
        """Holds from now on what that one holds, in one step, also for others that have this one open."""

    def newest(self, scope: str | None, limit: int) -> Sequence[Remembered]:
        """-1 means all."""
