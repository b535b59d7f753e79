"""How messages end: settled with their reply, which goes into the outbox in the same transaction, and then told.

The law: what is answered together is settled together, and whoever watches hears of it only after that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Address, Finished, Reply, Route
from openclaw.ports import Inbox, Queued
from openclaw.router import there
from openclaw.sessions.door import Door
from openclaw.sessions.hearing import Hearing
from openclaw.sessions.replies import deliveries
from openclaw.sessions.running import Beats, Bills


class Settling:
    def __init__(
        self,
        inbox: Inbox,
        hearing: Hearing,
        door: Door,
        snapshot: Callable[[], Snapshot],
        beats: Callable[[], Beats | None],
        bills: Callable[[], Bills | None],
    ) -> None:
        self._inbox = inbox
        self._hearing = hearing
        self._door = door
        self._snapshot = snapshot
        self._beats = beats
        self._bills = bills
        self.withheld: Callable[[Address], bool] = lambda to: False

    async def __call__(
        self,
        rows: Sequence[Queued],
        state: Literal["done", "failed", "parked"],
        reply: Reply,
        front: Queued | None = None,
        *,
        silent: bool = False,
    ) -> Sequence[Reply]:
        """All of it ends with this reply, which answers `front`; `silent`: nobody is sent it. What is sent."""
        queued = rows[0]
        deliver = deliveries(rows, front or queued, reply, self._enters)
        beats = self._beating(queued)
        if beats is not None:
            deliver += await beats.ended(queued, reply)
        deliver = [] if silent else [each for each in deliver if not self.withheld(each.to)]
        joined = [row.id for row in rows[1:]]
        bills = self._bills()
        bill = bills.take(queued.route.session) if bills is not None else None
        await self._inbox.settle(queued.id, state, reply, deliver=deliver, joined=joined, bill=bill)
        if bills is not None and bill is not None:
            bills.stored(bill)
        front = front or queued
        for row in sorted(rows, key=lambda row: row is not front):  # where it is shown already, first
            self._hearing.tell(row, Finished(replace(reply, answers=front.id)))
            self._hearing.end(row)
        return deliver

    async def over(self, queued: Queued) -> None:
        """After all have been told: it may wait for room on the disk."""
        beats = self._beating(queued)
        if beats is not None:
            await beats.settled(queued)

    def _beating(self, queued: Queued) -> Beats | None:
        """Where it is a run of a heartbeat, rather than what one said elsewhere."""
        return self._beats() if queued.message.heartbeat is not None and not queued.message.told else None

    def _enters(self, queued: Queued, place: Address, reply: Reply) -> Route | None:
        """Where a heartbeat's reply enters, so that whoever gets it can answer it."""
        beats = self._beats()
        if queued.message.heartbeat is None:
            return None
        beat = beats.named(queued.message.heartbeat) if beats is not None else None
        by = beat.asked_by if beat is not None else None
        group = by is not None and by.channel != "cron" and by != place  # a reminder that was set up in a group
        here = there(place, self._snapshot(), self._door.choice(place), queued.message.topic, group=group)
        return Route(here.agent, here.session, reply.text)
