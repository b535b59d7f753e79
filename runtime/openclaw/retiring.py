"""Channels on their way out: nothing more is taken in by them, and what they owe goes out before they let go.

Law: no reply goes out twice, and none is lost. A channel that is taken away answers what it took in; one that another
bot replaces does so too, beside its successors, and each delivers the answers to what came in by its own account.
One whose successor is the same bot hands over at once: then nothing of it is at work any more. What is not delivered
in time stays in the outbox until that bot is back, also over a restart. Knows no channel kind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from openclaw.clock import Clock
from openclaw.delivery import Delivery, Share
from openclaw.ports import Channel, Inbox, Probing, Renewable
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
    longest: float = 0.0  # seconds that what it owes may take
    finishing: bool = False  # it delivers itself what answers the messages that it took in
    apart: asyncio.Event = field(default_factory=asyncio.Event)  # it hands nothing over any more but its own share
    enough: asyncio.Event = field(default_factory=asyncio.Event)  # it is waited for no longer
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # nothing of it is at work any more


class Retiring:
    """`running` gives the channel that has a key now."""

    def __init__(
        self,
        delivery: Delivery,
        inbox: Inbox,
        clock: Clock,
        runners: Runners,
        running: Callable[[str], Channel | None],
    ) -> None:
        self._delivery = delivery
        self._inbox = inbox
        self._clock = clock
        self._runners = runners
        self._running = running
        self._leaving: dict[str, list[Leaving]] = {}  # by key, oldest first

    def leaving(self) -> list[str]:
        """Keys of channels that finish what they took in."""
        return [key for key, leaving in self._leaving.items() if any(one.finishing for one in leaving)]

    def at_work(self, key: str) -> list[Channel]:
        """All that are on their way out, oldest first."""
        return [one.channel for one in self._of(key)]

    def hand_over(self, leaving: Leaving) -> None:
        """It ends as soon as it can: its successor, which takes over all that it owes, begins when it is `gone`."""
        leaving.enough.set()
        self._begin(leaving)

    def let_finish(self, leaving: Leaving, longest: float) -> None:
        """It takes nothing more in, and delivers what it owes for at most `longest` seconds. One that never began,
        because another of the same bot had to end first, leaves this to that one."""
        same = [one for one in self._of(leaving.key) if _are_one(one.channel, leaving.channel)]
        before = same[-1] if same and account(leaving.channel) else None
        if before is not None and not before.apart.is_set():
            before.longest, before.finishing = longest, True
            before.enough.clear()
            self.hand_over(leaving)
            return
        leaving.longest, leaving.finishing = longest, True
        self._begin(leaving)

    def make_room(self, key: str, channel: Channel) -> tuple[list[asyncio.Event], list[asyncio.Event]]:
        """What must have happened before this one takes messages in, and what else before it delivers: the same bot is
        never at work twice, so that one which still finishes leaves the rest to it; another bot goes on beside it."""
        leaving = self._of(key)
        same = [one for one in leaving if _are_one(one.channel, channel)]
        for one in same:
            one.finishing = False
            one.enough.set()
        return [one.gone for one in same], [one.apart for one in leaving]

    def share(self, key: str, channel: Channel) -> Share:
        """What this channel delivers: what answers a message goes out by the bot that was written to, and waits where
        that is not at work."""
        return lambda outgoing: self._owner(key, outgoing.reply.bot) is channel

    def _owner(self, key: str, bot: str) -> Channel | None:
        running, leaving = self._running(key), reversed(self._of(key))
        able = [*([running] if running is not None else []), *(one.channel for one in leaving if one.finishing)]
        return next((one for one in able if not bot or account(one) in ("", bot)), None)

    def _of(self, key: str) -> list[Leaving]:
        return self._leaving.get(key, [])

    def _begin(self, leaving: Leaving) -> None:
        self._leaving.setdefault(leaving.key, []).append(leaving)
        task = asyncio.create_task(self._leave(leaving), name=f"retiring {leaving.key}")
        self._runners.keep(f"retiring {id(leaving)}", task)

    async def _leave(self, leaving: Leaving) -> None:
        try:
            if isinstance(leaving.channel, Renewable) and not leaving.enough.is_set():
                leaving.channel.retire()
                await self._answered(leaving, leaving.longest)
            for _ in range(TOLD):
                await asyncio.sleep(0)
            await _ended(leaving.running, leaving.key)
            if not self._delivery.finish(leaving.key, leaving.channel) and leaving.delivering is not None:
                leaving.delivering.cancel()  # it waits for others still
            await _over(leaving.delivering)
            leaving.apart.set()
            if not leaving.enough.is_set():
                await self._deliver(leaving)
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

    async def _deliver(self, leaving: Leaving) -> None:
        key, channel, until = leaving.key, leaving.channel, self._clock.monotonic() + leaving.longest
        run = partial(self._delivery.run, key, channel, self.share(key, channel))
        delivering = asyncio.create_task(self._runners.guarded(f"last deliveries to {key}", run))
        try:
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
        key, channel = leaving.key, leaving.channel
        for row in await self._inbox.line(MOST):
            message = row.message
            if message.sender.channel == key and not message.fetched and self._owner(key, message.bot) is channel:
                return True
        return await self._delivery.owes(key, channel, self.share(key, channel))

    async def _let_go(self, leaving: Leaving) -> None:
        for task in (leaving.running, leaving.delivering):
            if task is not None:
                task.cancel()
        try:
            await leaving.channel.close()
        except Exception:
            log.exception("closing channel %s failed", leaving.key)
        finally:
            self._leaving[leaving.key].remove(leaving)
            leaving.apart.set()
            leaving.gone.set()
            self._delivery.grown(leaving.key)  # what it left may be its successor's


def account(channel: Channel) -> str:
    """By which its service knows the bot; "" where it has none."""
    return channel.account if isinstance(channel, Probing) else ""


def _are_one(one: Channel, other: Channel) -> bool:
    """Whether the two must not be at work at the same time."""
    return account(one) == account(other) or not (account(one) and account(other))


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
