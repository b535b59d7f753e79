"""What has not come to its end: messages that wait, are answered or were put aside, and replies that were given up.

Reads what the store keeps and says it in words; what is to be tried again is handed back to it. Serves a running
runtime and, without one, the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openclaw.control import words
from openclaw.ports import Outgoing, Queued, Store
from openclaw.secrecy import SECRETS
from openclaw.sessions.words import DROPPED, reply_to

MOST = 1000  # that are listed of what waits, and of each other state


def _nothing() -> Collection[str]:
    return ()


def _nobody(_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Pending:
    store: Store
    answered: Callable[[], Collection[str]] = _nothing  # ids of the messages that are being answered
    ring: Callable[[str], None] = _nobody  # told that a session has a message again
    grown: Callable[[str], None] = _nobody  # told that a channel has a reply again
    dropped: Callable[[Queued], None] = _nobody  # told that nobody will answer it
    delivering: Callable[[], Collection[str]] = _nothing  # channels whose replies go out

    async def listed(self) -> Sequence[Mapping[str, Any]]:
        """Oldest first in each state. What was said is kept as it came: secrets are struck out here."""
        answered = self.answered()
        line = await self.store.inbox.line(MOST)
        queued = [words.queued_json(one, "queued") for one in line if one.id not in answered]
        running = [words.queued_json(one, "running") for one in line if one.id in answered]
        parked = [words.queued_json(one, "parked") for one in await self.store.inbox.parked(MOST)]
        undelivered = [words.reply_json(one, "undelivered") for one in (await self._undelivered())[:MOST]]
        dead = [words.reply_json(one, "dead") for one in await self.store.outbox.dead(MOST)]
        found = [*running, *queued, *parked, *undelivered, *dead]
        return [{**one, "text": SECRETS.mask(one["text"])} for one in found]

    async def figures(self) -> Mapping[str, int]:
        return {
            "queued": await self.store.inbox.waiting(),
            "running": len(self.answered()),
            "parked": await self.store.inbox.aside(),
            "undelivered": sum((await self._gone()).values()),
            "dead": await self.store.outbox.given_up(),
        }

    async def retry(self, id: str) -> bool:
        """A parked message waits again, a reply that was given up is sent again; False where it is neither."""
        if (session := await self.store.inbox.retry(id)) is not None:
            self.ring(session)
            return True
        if (channel := await self.store.outbox.again(id)) is not None:
            self.grown(channel)
            return True
        return False

    async def drop(self, id: str) -> bool:
        """Nothing more comes of it; False where it does not wait, is not parked and was not given up."""
        waiting = await self.store.inbox.one(id)
        reply = reply_to(waiting, DROPPED, failed=True) if waiting is not None else None
        if not await self.store.inbox.drop(id, reply):
            return await self._drop_reply(id)
        if waiting is not None:
            self.dropped(waiting)
        return True

    async def _drop_reply(self, id: str) -> bool:
        if any(one.id == id for one in await self._undelivered()):
            await self.store.outbox.sent(id, dead=True)
        return await self.store.outbox.drop(id)

    async def _undelivered(self) -> list[Outgoing]:
        """Replies of channels that do not run."""
        found = [await self.store.outbox.undelivered(channel) for channel in await self._gone()]
        return [outgoing for each in found for outgoing, _ in each]

    async def _gone(self) -> Mapping[str, int]:
        """How many replies wait for each channel that does not run, or is described no longer."""
        waiting, running = await self.store.outbox.channels(), self.delivering()
        return {channel: count for channel, count in waiting.items() if channel not in running}
