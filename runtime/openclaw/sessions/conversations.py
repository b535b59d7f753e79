"""The transcripts of sessions, and where one conversation ends and another begins.

The law: a session is in memory once, as `warm` has it; nothing ends in the middle of a turn, so what was begun in a
conversation is answered there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from openclaw.clock import Clock
from openclaw.manifest.snapshot import Agent, Heartbeat
from openclaw.ports import Journal, Queued
from openclaw.sessions import renewal
from openclaw.sessions.warm import Warm
from openclaw.transcript import Transcript


class Conversations:
    def __init__(self, journal: Journal, clock: Clock, end: Callable[[str], Awaitable[object]]) -> None:
        """`end` puts a session aside."""
        self._warm = Warm(journal)
        self._clock = clock
        self._end = end
        self.forget = self._warm.forget

    async def of(self, session: str) -> Transcript:
        """The session in memory, read once and kept while it is in use."""
        return await self._warm.of(session)

    async def opened(self, queued: Queued, agent: Agent, heartbeat: Heartbeat | None) -> Transcript:
        """The message's session, empty where another conversation begins with it."""
        transcript = await self.of(queued.route.session)
        goes_on = not transcript.entries or transcript.begun(queued.id)
        if goes_on or not self._over(queued, transcript, agent, heartbeat):
            return transcript
        await self._end(queued.route.session)
        return await self.of(queued.route.session)

    def _over(self, queued: Queued, transcript: Transcript, agent: Agent, heartbeat: Heartbeat | None) -> bool:
        """Each run of a heartbeat is a conversation of its own, unless it asks to be kept."""
        message = queued.message
        if message.heartbeat is not None and not message.told:
            return heartbeat is None or heartbeat.session != "keep"
        return renewal.over(agent.session, transcript.entries[-1].at, self._clock.now())
