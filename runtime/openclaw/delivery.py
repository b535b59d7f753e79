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
from typing import TypeAlias

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
    passed: set[Address] = field(default_factory=set)  # had something due while they were busy
    resting: dict[Address, float] = field(default_factory=dict)  # until when, monotonic


class Delivery:
    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock
        self._rounds: dict[str, list[_Round]] = {}
        self._left: dict[str, dict[Address, float]] = {}  # places that rested when a round ended, for the next one
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
                state.resting = self._left.pop(key, {})
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
            self._left[key] = state.resting  # the outbox keeps them back, and does not say when it is time

    def finish(self, key: str, channel: Channel) -> None:
        """What is being handed over to this channel is the last: then `run` returns."""
        for state in self._of(key, channel):
            state.ending = True
            state.grown.set()

    def busy(self, key: str, channel: Channel) -> bool:
        """Whether something is being handed over to this channel, or is about to be tried again."""
        return any(state.busy or state.resting for state in self._of(key, channel))

    async def owes(self, key: str, channel: Channel, mine: Share) -> bool:
        """Whether any of this share is still to be delivered."""
        return any(mine(outgoing) for outgoing in await self._outbox.due(key)) or self.busy(key, channel)

    def _of(self, key: str, channel: Channel) -> list[_Round]:
        return [state for state in self._rounds.get(key, ()) if state.channel is channel]

    async def give_up(self, running: Callable[[], Collection[str]]) -> None:
        """Until cancelled: what waited too long for a channel that does not run, or is gone, is dead."""
        while True:
            for channel in await self._outbox.channels():
                for outgoing in await self._outbox.due(channel) if channel not in running() else ():
                    if self._late(outgoing):
                        await self._too_late(outgoing)
            await self._clock.sleep(EVERY)

    def _late(self, outgoing: Outgoing) -> bool:
        return self._clock.now() - outgoing.since > LONGEST

    async def _too_late(self, outgoing: Outgoing) -> None:
        log.error("the reply %s to %s waited too long and was given up", outgoing.id, outgoing.reply.place)
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
        now = self._clock.monotonic()
        for spot in [spot for spot, until in state.resting.items() if until <= now]:
            del state.resting[spot]
        busy = set(state.busy)  # whoever is now may have sent, by the time the rows are here, what they still hold
        due: dict[Address, list[Outgoing]] = {}
        for outgoing in filter(state.mine, await self._outbox.due(key)):
            due.setdefault(outgoing.reply.place, []).append(outgoing)
        for spot, replies in due.items() if not state.ending else ():
            if spot in state.busy:
                state.passed.add(spot)
            elif spot in busy:
                state.grown.set()
            elif spot not in state.resting:
                state.busy.add(spot)
                state.tasks.create_task(self._to(spot, replies, state))

    async def _to(self, spot: Address, replies: list[Outgoing], state: _Round) -> None:
        """One place's replies, oldest first. Where one fails the place rests: nothing overtakes it."""
        try:
            async with state.limit:
                for outgoing in replies:
                    if state.ending:
                        break
                    pause = await self._one(outgoing, state.channel)
                    if pause is not None:
                        state.resting[spot] = self._clock.monotonic() + pause
                        break
        finally:
            state.busy.discard(spot)
            if spot in state.passed or spot in state.resting:
                state.passed.discard(spot)
                state.grown.set()

    async def _one(self, outgoing: Outgoing, channel: Channel) -> float | None:
        """Hands one reply over. Seconds until it should be tried again, or None where it is done with. What waited
        too long for its channel to come back is given up: nobody wants all of it in a heap."""
        if self._late(outgoing):
            await self._too_late(outgoing)
            return None
        await self._outbox.sending(outgoing.id)
        try:
            await channel.send(outgoing.reply)
        except DeliveryError as error:
            return await self._failed(outgoing, error)
        except Exception as error:  # the channel's own fault must not end all deliveries to it
            log.exception("delivering to %s failed", outgoing.reply.place)
            broken = DeliveryError(type(error).__name__, final=outgoing.tries + 1 >= TRIES, begun=True)
            return await self._failed(outgoing, broken)
        if session := await self._outbox.sent(outgoing.id):
            self.told(session)
        return None

    async def _failed(self, outgoing: Outgoing, error: DeliveryError) -> float | None:
        if error.final or self._late(outgoing):
            log.error("the reply %s to %s could not be delivered: %s", outgoing.id, outgoing.reply.place, error)
            await self._outbox.sent(outgoing.id, dead=True)
            return None
        ladder = PAUSES[min(outgoing.tries, len(PAUSES) - 1)]
        pause = ladder if error.retry_after is None else max(error.retry_after, SHORTEST)
        level = logging.WARNING if error.retry_after is None and outgoing.tries < len(PAUSES) else logging.INFO
        log.log(level, "delivering to %s failed, again in %g s: %s", outgoing.reply.place, pause, error)
        await self._outbox.retry(outgoing.id, pause, begun=error.begun or outgoing.reply.repeated)
        return pause
