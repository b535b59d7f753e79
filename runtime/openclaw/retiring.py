"""Channels on their way out: nothing more is taken in by them, and what they owe goes out before they let go.

Law: no reply goes out twice, and none is lost. A channel that is taken away answers what it took in; one that another
bot replaces does so too, beside its successor, and each of the two delivers the answers to what it took in itself.
One whose successor is the same bot hands over at once: then nothing of it is at work any more. What is not delivered
in time stays in the outbox. Knows no channel kind.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial

from openclaw.clock import Clock
from openclaw.delivery import Delivery
from openclaw.ports import Channel, Inbox, Outgoing, Renewable
from openclaw.runners import Runners

log = logging.getLogger(__name__)

ENDING = 10.0  # seconds that what takes messages in gets to end, and then what is being handed over
TOLD = 10  # turns of the loop until it has heard which of its questions were withdrawn for its leaving
LOOK = 0.25  # seconds between looks at whether everything was delivered
MOST = 10_000  # messages that wait, of which those of a channel are picked


@dataclass(slots=True, eq=False)
class Leaving:
    """A channel on its way out. `running` takes messages in, `delivering` hands replies over; either may be over."""

    key: str
    channel: Channel
    running: asyncio.Task[None] | None
    delivering: asyncio.Task[None] | None
    succeeded: bool = False  # another one has its key
    taken: set[str] = field(default_factory=set)  # inbox ids of what came through its successor
    apart: asyncio.Event = field(default_factory=asyncio.Event)  # the successor may deliver its share
    enough: asyncio.Event = field(default_factory=asyncio.Event)  # it is waited for no longer
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # nothing of it is at work any more

    def owns(self, outgoing: Outgoing) -> bool:
        answers = outgoing.reply.answers
        return not self.succeeded or (answers is not None and answers not in self.taken)


class Retiring:
    def __init__(self, delivery: Delivery, inbox: Inbox, clock: Clock, runners: Runners) -> None:
        self._delivery = delivery
        self._inbox = inbox
        self._clock = clock
        self._runners = runners
        self._leaving: dict[str, Leaving] = {}  # by key: those that finish what they took in; one a key

    def leaving(self) -> list[str]:
        """Keys of channels that may still deliver."""
        return list(self._leaving)

    def hand_over(self, leaving: Leaving, after: asyncio.Event | None = None) -> None:
        """It ends as soon as it can: its successor, which takes over all that it owes, begins when it is `gone`."""
        leaving.enough.set()
        self._begin(leaving, 0.0, after)

    def let_finish(self, leaving: Leaving, longest: float, *, succeeded: bool) -> None:
        """It takes nothing more in, and delivers what it owes for at most `longest` seconds. `succeeded`: by another
        bot, which delivers what it takes in itself."""
        leaving.succeeded = succeeded
        before = self.hurry(leaving.key)
        self._leaving[leaving.key] = leaving
        self._begin(leaving, longest, before)

    def is_beside(self, key: str, account: str) -> bool:
        """Whether another bot finishes under this key what it took in, and need not end for this one."""
        leaving = self._leaving.get(key)
        return leaving is not None and leaving.succeeded and getattr(leaving.channel, "account", "") != account

    def hurry(self, key: str) -> asyncio.Event | None:
        """Whoever is on its way out under this key is waited for no longer; set once it is gone."""
        leaving = self._leaving.get(key)
        if leaving is not None:
            leaving.enough.set()
        return leaving.gone if leaving is not None else None

    def took(self, key: str, id: str) -> None:
        """A message came in through the channel that has the key now."""
        if (leaving := self._leaving.get(key)) is not None:
            leaving.taken.add(id)

    def owns(self, key: str, outgoing: Outgoing) -> bool:
        """Whether the channel that has the key now delivers this: the share of its successor's."""
        leaving = self._leaving.get(key)
        return leaving is None or not leaving.owns(outgoing)

    def _begin(self, leaving: Leaving, longest: float, before: asyncio.Event | None) -> None:
        task = asyncio.create_task(self._leave(leaving, longest, before), name=f"retiring {leaving.key}")
        self._runners.keep(f"retiring {id(leaving)}", task)

    async def _leave(self, leaving: Leaving, longest: float, before: asyncio.Event | None) -> None:
        try:
            if isinstance(leaving.channel, Renewable) and not leaving.enough.is_set():
                leaving.channel.retire()
                await self._answered(leaving, longest)
            for _ in range(TOLD):
                await asyncio.sleep(0)
            await _ended(leaving.running, leaving.key)
            self._delivery.finish(leaving.key, leaving.channel)
            await _over(leaving.delivering)
            if before is not None:
                await before.wait()
            leaving.apart.set()
            if not leaving.enough.is_set():
                await self._deliver(leaving, longest)
        finally:
            await self._let_go(leaving)

    async def _answered(self, leaving: Leaving, longest: float) -> None:
        """Until the last request that is open has been answered."""
        if leaving.running is not None:
            waiting = asyncio.ensure_future(self._clock.sleep(longest))
            enough = asyncio.ensure_future(leaving.enough.wait())
            try:
                await asyncio.wait({leaving.running, waiting, enough}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                enough.cancel()

    async def _deliver(self, leaving: Leaving, longest: float) -> None:
        key, channel, until = leaving.key, leaving.channel, self._clock.monotonic() + longest
        run = partial(self._delivery.run, key, channel, leaving.owns)
        delivering = asyncio.create_task(self._runners.guarded(f"last deliveries to {key}", run))
        try:
            await asyncio.sleep(0)  # it knows what it waits to try again only once it has begun
            while not leaving.enough.is_set() and await self._owes(leaving):
                if self._clock.monotonic() >= until:
                    log.warning("channel %s ended with replies undelivered; they wait until it comes back", key)
                    break
                await self._clock.sleep(LOOK)
            self._delivery.finish(key, channel)
            await _over(delivering)
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)

    async def _owes(self, leaving: Leaving) -> bool:
        for row in await self._inbox.line(MOST):
            if row.message.sender.channel == leaving.key and row.id not in leaving.taken and not row.message.fetched:
                return True
        return await self._delivery.owes(leaving.key, leaving.channel, leaving.owns)

    async def _let_go(self, leaving: Leaving) -> None:
        for task in (leaving.running, leaving.delivering):
            if task is not None:
                task.cancel()
        try:
            await leaving.channel.close()
        except Exception:
            log.exception("closing channel %s failed", leaving.key)
        finally:
            if self._leaving.get(leaving.key) is leaving:
                del self._leaving[leaving.key]
            leaving.apart.set()
            leaving.gone.set()
            self._delivery.grown(leaving.key)  # what it left is its successor's


async def _ended(task: asyncio.Task[None] | None, key: str) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait({task}, timeout=ENDING)
        if not task.done():
            log.warning("channel %s does not end; it is left behind", key)


async def _over(task: asyncio.Task[None] | None) -> None:
    """Waits for it a while, then ends it."""
    if task is not None:
        await asyncio.wait({task}, timeout=ENDING)
        task.cancel()
        await asyncio.wait({task}, timeout=ENDING)
