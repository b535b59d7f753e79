"""Replies on their way out: from the outbox to the channel they belong to, until it took them.

The law: a reply is lost never, and sent twice only with a mark. Before a channel is called the outbox knows
that it will be; what a crash leaves in that state goes out again as `repeated`. One slow or failing channel
holds up no other. Knows no channel kind.
"""

from __future__ import annotations

import asyncio
import logging

from openclaw.clock import Clock
from openclaw.errors import DeliveryError
from openclaw.ports import Channel, Outbox, Outgoing

log = logging.getLogger(__name__)

TRIES = 12  # then the reply is dead and said so; with the pauses below about four hours
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0)  # seconds after the first, second, ... failure


class Delivery:
    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._grown: dict[str, asyncio.Event] = {}

    def grown(self, channel: str) -> None:
        """The channel's outbox has a new reply."""
        self._grown.setdefault(channel, asyncio.Event()).set()

    async def run(self, key: str, channel: Channel) -> None:
        """Delivers one channel's replies, oldest first, until cancelled."""
        grown = self._grown.setdefault(key, asyncio.Event())
        while True:
            grown.clear()
            pause = await self._round(key, channel)
            try:
                async with asyncio.timeout(pause):
                    await grown.wait()
            except TimeoutError:
                pass

    async def _round(self, key: str, channel: Channel) -> float | None:
        """Everything that is due, once. Seconds until the next try, or None where nothing waits."""
        pauses = [await self._one(outgoing, channel) for outgoing in await self._outbox.due(key)]
        return min((pause for pause in pauses if pause is not None), default=None)

    async def _one(self, outgoing: Outgoing, channel: Channel) -> float | None:
        await self._outbox.sending(outgoing.id)
        try:
            await channel.send(outgoing.reply)
        except DeliveryError as error:
            return await self._failed(outgoing, error)
        await self._outbox.sent(outgoing.id)
        return None

    async def _failed(self, outgoing: Outgoing, error: DeliveryError) -> float | None:
        if error.final or outgoing.tries + 1 >= TRIES:
            log.error("the reply %s to %s could not be delivered: %s", outgoing.id, outgoing.reply.to, error)
            await self._outbox.sent(outgoing.id, dead=True)
            return None
        pause = max(PAUSES[min(outgoing.tries, len(PAUSES) - 1)], error.retry_after or 0.0)
        log.warning("delivering to %s failed, again in %g s: %s", outgoing.reply.to, pause, error)
        await self._outbox.retry(outgoing.id, pause)
        return pause


