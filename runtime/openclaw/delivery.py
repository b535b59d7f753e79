"""Replies on their way out: from the outbox to the channel they belong to, until it took them.

The law: a reply is lost never, and sent twice only with a mark. Before a channel is called the outbox knows
that it will be; what a crash leaves in that state goes out again as `repeated`. One slow or failing channel
holds up no other, and no slow place on a channel the others there. Where two of one key deliver, each has its own
share of the replies. Knows no channel kind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from openclaw import logbook
from openclaw.clock import Clock
from openclaw.errors import DeliveryError
from openclaw.messages import Address
from openclaw.ports import Channel, Outbox, Outgoing

log = logging.getLogger(__name__)

LONGEST = timedelta(days=3)  # a reply that is older and cannot be handed over is dead, and said so
EVERY = 3600.0  # seconds between looks at what waits for channels that do not run
TRIES = 12  # the same for one on which the channel itself breaks: about ten minutes with the pauses below
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds after the first, second, ... failure, where the channel names none


SHORTEST = 0.2  # seconds
SIDE_BY_SIDE = 16  # places of one channel that are written to at the same time

Share: TypeAlias = Callable[[Outgoing], bool]
"""Whether a reply is delivered here: looked at each time, and no reply may be two channels' at once."""


def everything(outgoing: Outgoing) -> bool:
    return True


@dataclass(slots=True)
class _Round:
    """What one channel's deliveries are at: places that are written to, that must rest, and that wait for more."""

    channel: Channel
    mine: Share
    tasks: asyncio.TaskGroup
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    ending: bool = False  # nothing more is begun
    limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SIDE_BY_SIDE))
    busy: set[Address] = field(default_factory=set)
    passed: set[Address] = field(default_factory=set)  # have to be looked at again once they are free
    resting: dict[Address, float] = field(default_factory=dict)  # until when, monotonic; as the outbox said last


class Delivery:
    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._rounds: dict[str, list[_Round]] = {}
        self.told: Callable[[str], None] = lambda session: None  # what was delivered has entered this session's inbox

    def grown(self, channel: str) -> None:
        """The channel's outbox has a new reply."""
        for state in self._rounds.get(channel, ()):
            state.grown.set()

    async def run(self, key: str, channel: Channel, mine: Share = everything) -> None:
        """Delivers one channel's replies until cancelled, or until it is told to `finish`: to each place in order, to
        several places at once."""
        rounds = self._rounds.setdefault(key, [])
        try:
            async with asyncio.TaskGroup() as tasks:
                rounds.append(state := _Round(channel, mine, tasks))
                try:
                    while not state.ending:
                        state.grown.clear()
                        await self._begin(key, state)
                        await self._wait(state.grown, min(state.resting.values(), default=None))
                finally:
                    state.ending = True
        except BaseExceptionGroup as group:  # a disk that refused to write; the first says it all
            raise group.exceptions[0] from None
        finally:
            rounds.remove(state)

    def finish(self, key: str, channel: Channel) -> bool:
        """What is being handed over to this channel is the last: then `run` returns. False where it has not begun."""
        for state in (found := self._of(key, channel)):
            state.ending = True
            state.grown.set()
        return bool(found)

    def busy(self, key: str, channel: Channel) -> bool:
        """Whether something is being handed over to this channel."""
        return any(state.busy for state in self._of(key, channel))

    async def owes(self, key: str, channel: Channel, mine: Share) -> bool:
        """Whether any of this share is still to be delivered, now or later."""
        waiting = await self._outbox.undelivered(key)
        return any(mine(outgoing) for outgoing, _ in waiting) or self.busy(key, channel)

    def _of(self, key: str, channel: Channel) -> list[_Round]:
        return [state for state in self._rounds.get(key, ()) if state.channel is channel]

    async def give_up(self, running: Callable[[], Collection[str]]) -> None:
        """Until cancelled: what waited too long for a channel that does not run, or is gone, is dead; so is what waited
        for a bot that has its key no more."""
        while True:
            for channel in await self._outbox.channels():
                for outgoing in await self._outbox.due(channel):
                    if self._late(outgoing) and (channel not in running() or self._is_nobodys(channel, outgoing)):
                        await self._too_late(outgoing)
            await self._clock.sleep(EVERY)

    async def is_due(self, channels: Collection[str]) -> bool:
        """Whether there is anything that one who delivers would hand over now."""
        due = [(channel, outgoing) for channel in channels for outgoing in await self._outbox.due(channel)]
        return any(self._is_whose(channel, outgoing) for channel, outgoing in due)

    def _is_whose(self, channel: str, outgoing: Outgoing) -> bool:
        """Whether one of those who deliver now takes it as its own."""
        return any(state.mine(outgoing) for state in self._rounds.get(channel, ()))

    def _is_nobodys(self, channel: str, outgoing: Outgoing) -> bool:
        """Whether those who deliver leave it to a bot that is not at work."""
        return bool(self._rounds.get(channel)) and not self._is_whose(channel, outgoing)

    def _late(self, outgoing: Outgoing) -> bool:
        return self._clock.now() - outgoing.since > LONGEST

    async def _too_late(self, outgoing: Outgoing) -> None:
        told = self._told("delivery failed", outgoing)
        log.error("the reply %s to %s waited too long and was given up", outgoing.id, outgoing.reply.place, extra=told)
        await self._outbox.sent(outgoing.id, dead=True)

    async def _wait(self, grown: asyncio.Event, until: float | None) -> None:
        """Until there is a new reply, or one that failed is due again."""
        if until is None:
            await grown.wait()
            return
        new = asyncio.ensure_future(grown.wait())
        rested = asyncio.ensure_future(self._clock.sleep(max(until - self._clock.monotonic(), 0.0)))
        try:
            await asyncio.wait({new, rested}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            new.cancel()
            rested.cancel()

    async def _begin(self, key: str, state: _Round) -> None:
        """Starts on everything that is due at places that are free."""
        busy = set(state.busy)  # whoever is now may have sent, by the time the rows are here, what they still hold
        waiting = await self._outbox.undelivered(key)
        now = self._clock.monotonic()
        state.resting = {outgoing.reply.place: now + seconds for outgoing, seconds in waiting if seconds > 0}
        due: dict[Address, list[Outgoing]] = {}
        for outgoing in (outgoing for outgoing, seconds in waiting if seconds == 0 and state.mine(outgoing)):
            due.setdefault(outgoing.reply.place, []).append(outgoing)
        for spot, replies in due.items() if not state.ending else ():
            if spot in state.busy:
                state.passed.add(spot)
            elif spot in busy:
                state.grown.set()
            else:
                state.busy.add(spot)
                state.tasks.create_task(self._to(spot, replies, state))

    async def _to(self, spot: Address, replies: list[Outgoing], state: _Round) -> None:
        """One place's replies, oldest first. Where one fails the place rests: nothing overtakes it."""
        try:
            async with state.limit:
                for outgoing in replies:
                    if state.ending:
                        break
                    if await self._one(outgoing, state.channel) is not None:
                        state.passed.add(spot)  # when it may go on, the outbox knows
                        break
        finally:
            state.busy.discard(spot)
            if spot in state.passed:
                state.passed.discard(spot)
                state.grown.set()

    async def _one(self, outgoing: Outgoing, channel: Channel) -> float | None:
        """Hands one reply over. Seconds until it should be tried again, or None where it is done with. What waited
        too long for its channel to come back is given up: nobody wants all of it in a heap."""
        if self._late(outgoing):
            await self._too_late(outgoing)
            return None
        await self._outbox.sending(outgoing.id)
        self._follow("delivery begun", "the reply %s is handed over to %s", outgoing)
        try:
            await channel.send(outgoing.reply)
        except DeliveryError as error:
            return await self._failed(outgoing, error)
        except Exception as error:  # the channel's own fault must not end all deliveries to it
            log.exception("delivering to %s failed", outgoing.reply.place)
            broken = DeliveryError(type(error).__name__, final=outgoing.tries + 1 >= TRIES, begun=True)
            return await self._failed(outgoing, broken)
        self._follow("delivered", "the reply %s was delivered to %s", outgoing)
        if session := await self._outbox.sent(outgoing.id):
            self.told(session)
        return None

    def _follow(self, event: str, words: str, outgoing: Outgoing) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug(words, outgoing.id, outgoing.reply.place, extra=self._told(event, outgoing))

    @staticmethod
    def _told(event: str, outgoing: Outgoing, **facts: float) -> dict[str, Any]:
        reply = outgoing.reply
        where = {"agent": reply.agent, "session": reply.session, "channel": reply.to.channel}
        return logbook.event(event, reply=outgoing.id, tries=outgoing.tries, **where, **facts)

    async def _failed(self, outgoing: Outgoing, error: DeliveryError) -> float | None:
        if error.final or self._late(outgoing):
            told = self._told("delivery failed", outgoing)
            place = outgoing.reply.place
            log.error("the reply %s to %s could not be delivered: %s", outgoing.id, place, error, extra=told)
            await self._outbox.sent(outgoing.id, dead=True)
            return None
        ladder = PAUSES[min(outgoing.tries, len(PAUSES) - 1)]
        pause = ladder if error.retry_after is None else max(error.retry_after, SHORTEST)
        level = logging.WARNING if error.retry_after is None and outgoing.tries < len(PAUSES) else logging.INFO
        told = self._told("delivery retried", outgoing, seconds=pause)
        log.log(level, "delivering to %s failed, again in %g s: %s", outgoing.reply.place, pause, error, extra=told)
        await self._outbox.retry(outgoing.id, pause, begun=error.begun or outgoing.reply.repeated)
        return pause
