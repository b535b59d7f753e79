"""What was written on Discord while there was no session: fetched after the welcome, oldest first, up to a bound.

Law: only a new session needs this; one that is resumed is told what it missed. Every channel that was written in
before is looked at, private ones always, because the welcome does not name them; of servers also those that nobody
remembers. Some channels are fetched side by side, and each goes on as soon as its own turn was had; one that fails,
or a message that cannot be read, costs no other anything. What is cut is said.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from openclaw.channels._discord_client import Client
from openclaw.channels._discord_intake import Intake
from openclaw.channels._discord_places import Place, Places
from openclaw.channels._discord_reading import Groups, Spot
from openclaw.channels._discord_writing import faults
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, StorageFailed

log = logging.getLogger(__name__)

MISSED = 200  # messages that are fetched of one channel
SEEDED = 1000  # channels of servers whose position is taken at the first welcome
PAGE = 100  # messages in one answer of the service
SIDE_BY_SIDE = 8  # channels
PAUSES = (2.0, 5.0, 10.0)  # seconds before fetching is tried again
CUT = f"I was away for long: of what was written here meanwhile I read the first {MISSED} messages."


class Missed:
    def __init__(self, groups: Groups, places: Places, intake: Intake, clock: Clock) -> None:
        self._groups, self._places, self._intake, self._clock = groups, places, intake, clock
        self._marks: dict[int, int] = {}  # what keeps the position of a channel that was not fetched so far

    async def catch_up(self, client: Client) -> None:
        """Lines up what was missed, and lets each channel's live messages through behind it."""
        self._discover(client)
        missed = [(id, place) for id, place in self._places.known() if self._may_have_missed(client, id, place)]
        self._intake.hold_only(id for id, _ in missed)
        free = asyncio.Semaphore(SIDE_BY_SIDE)
        try:
            async with asyncio.TaskGroup() as tasks:
                for channel, place in missed:
                    tasks.create_task(self._one(client, channel, place, free))
        except ExceptionGroup as group:  # a disk that refused to write; the first says it all
            raise group.exceptions[0] from None
        self._seed(client)

    async def _one(self, client: Client, channel: int, place: Place, free: asyncio.Semaphore) -> None:
        async with free:
            mark = self._marks.setdefault(channel, place.last + 1)
            self._places.owe(channel, mark)
            try:
                if await self._insist(client, channel, place):
                    self._places.settle(channel, self._marks.pop(channel))
            except StorageFailed:
                raise
            except Exception:
                log.exception("fetching what was missed in channel %s failed", channel)
            self._intake.release(channel)

    def _may_have_missed(self, client: Client, channel: int, place: Place) -> bool:
        if place.person is not None:
            return True
        newest = getattr(client.get_channel(channel), "last_message_id", None)
        return self._groups != "off" and (newest is None or newest > place.last)

    async def _insist(self, client: Client, channel: int, place: Place) -> bool:
        """False where it must be fetched after a later welcome."""
        for pause in (*PAUSES, None):
            try:
                await self._fetch(client, channel, place)
                return True
            except DeliveryError as error:
                if error.final:
                    log.warning("channel %s cannot be read any more: %s", channel, error)
                    self._places.forget(channel)
                    return True
                if pause is None:
                    log.error("what was missed in channel %s could not be fetched: %s", channel, error)
                    break
                await self._clock.sleep(max(pause, error.retry_after or 0.0))
        return False

    async def _fetch(self, client: Client, channel: int, place: Place) -> None:
        assert client.user is not None, "there is a session"
        with faults():
            source = await self._source(client, channel, place)
            rows = await self._rows(client, channel, place.last)
        if len(rows) > MISSED:
            log.warning("more than %d messages were missed in channel %s; the rest is not read", MISSED, channel)
            if place.person is not None:
                await self._intake.tell(Spot(channel), CUT, int(rows[MISSED]["id"]))
        for row in rows[:MISSED]:
            try:
                message = client.read_message(source, row)
            except Exception as error:  # whatever the library makes of a message that is not as it should be
                log.warning("a malformed message in channel %s was passed over: %s", channel, type(error).__name__)
                continue
            self._intake.line_up_missed(message, client.user.id)
        if len(rows) > MISSED:
            self._places.read(channel, int(rows[-1]["id"]))
        elif rows:
            self._places.passed(channel, int(rows[-1]["id"]))

    async def _source(self, client: Client, channel: int, place: Place) -> Any:
        source: Any = client.get_channel(channel)
        if source is None and place.person is None:
            source = await client.fetch_channel(channel)
        return source or client.get_partial_messageable(channel)

    async def _rows(self, client: Client, channel: int, after: int) -> list[dict[str, Any]]:
        """As the service tells them, oldest first: at most one more than are read."""
        found: list[dict[str, Any]] = []
        while len(found) <= MISSED:
            page: list[Any] = await client.http.logs_from(channel, min(PAGE, MISSED + 1 - len(found)), after=after)
            rows = sorted((row for row in page if _has_id(row)), key=lambda row: int(row["id"]))
            found += rows
            if len(page) < PAGE or not rows:
                break
            after = int(rows[-1]["id"])
        return found

    def _discover(self, client: Client) -> None:
        """Remembers channels of servers that are new, and were written in since the last sign of life."""
        for one in self._listed(client) if self._places.alive else ():
            if one.last_message_id > self._places.alive:
                self._places.read(one.id, self._places.alive)

    def _seed(self, client: Client) -> None:
        """Takes the positions of channels where nobody wrote to the bot so far, so that the next absence has none."""
        for one in self._listed(client):
            self._places.read(one.id, one.last_message_id)

    def _listed(self, client: Client) -> list[Any]:
        """Channels and threads of servers that nobody remembers and that were ever written in."""
        if self._groups == "off":
            return []
        channels: list[Any] = [one for guild in client.guilds for one in (*guild.text_channels, *guild.threads)]
        unknown = [one for one in channels if self._places.last(one.id) is None]
        return [one for one in unknown if one.last_message_id is not None][:SEEDED]


def _has_id(row: Any) -> bool:
    return isinstance(row, dict) and str(row.get("id", "")).isdecimal()
