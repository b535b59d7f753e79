"""A turn under way, and what the sessions are handed to make one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import Reply
from openclaw.ports import Beside, Queued, Watcher
from openclaw.spending import Bill
from openclaw.transcript import Transcript


class Answerer(Protocol):
    """Makes the reply to one message: a turn, or a command that takes its place in the queue."""

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher, beside: Beside) -> Reply: ...

    async def abandon(self, queued: Queued, transcript: Transcript) -> None:
        """After a stop: leaves a transcript that the session can go on from."""

    async def count(self, session: str, agent: str, transcript: Transcript) -> None:
        """Counts what a crash left uncounted there, where no turn does."""


class Beats(Protocol):
    """What is known of heartbeats."""

    def named(self, name: str | None) -> Heartbeat | None: ...

    async def ended(self, queued: Queued, reply: Reply) -> Sequence[Reply]:
        """A run is about to be settled with this reply: what its owner is told of that."""

    async def settled(self, queued: Queued) -> None:
        """That was done."""


class Bills(Protocol):
    """What was used of models and is not stored yet."""

    def take(self, session: str) -> Bill | None: ...

    def stored(self, bill: Bill) -> None:
        """It went along with a message of its session that was settled."""


@dataclass(slots=True)
class Running:
    """One turn under way. `stopped` tells a person's /stop from the end of the runtime, and `interrupted` that a newer
    message takes it over."""

    rows: list[Queued]  # all that it answers, in their order
    task: asyncio.Task[Reply]
    stopped: bool = False
    interrupted: bool = False
    away: bool = False  # its agent was taken away before it began
    joining: asyncio.Task[Sequence[Queued]] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # nothing more is written to its session

    @property
    def queued(self) -> Queued:
        return self.rows[0]

    async def joined(self) -> None:
        """Nothing is on its way to it any more: what was taken from the queue is among its rows."""
        if self.joining is not None:
            await asyncio.wait({self.joining})
