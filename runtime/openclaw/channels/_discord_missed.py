"""What was written on Discord while there was no session: fetched after the welcome, oldest first, up to a bound.

Law: only a new session needs this; one that is resumed is told what it missed. Every channel that was written in
before is looked at, private ones always, because the welcome does not name them. What is cut is said.
"""

from __future__ import annotations

import logging
from typing import Any

from openclaw.channels._discord_client import Client
from openclaw.channels._discord_intake import Intake
from openclaw.channels._discord_library import discord
from openclaw.channels._discord_places import Place, Places
from openclaw.channels._discord_reading import Groups, Spot
from openclaw.channels._discord_writing import faults
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, StorageFailed

log = logging.getLogger(__name__)

MISSED = 200  # messages that are fetched of one channel
SEEDED = 1000  # channels of servers whose position is taken at the first welcome
PAUSES = (2.0, 5.0, 10.0)  # seconds before fetching is tried again
CUT = f"I was away for long: of what was written here meanwhile I read the first {MISSED} messages."


class Missed:
    def __init__(self, groups: Groups, places: Places, intake: Intake, clock: Clock) -> None:
        self._groups, self._places, self._intake, self._clock = groups, places, intake, clock

    async def catch_up(self, client: Client) -> None:
        """Takes in what was missed, then lets live messages through."""
        try:
            for channel, place in self._places.known():
                if self._may_have_missed(client, channel, place):
                    await self._insist(client, channel, place)
            self._seed(client)
        except StorageFailed:
            raise
        except Exception:
            log.exception("fetching what was missed failed")
        self._intake.release()

    def _may_have_missed(self, client: Client, channel: int, place: Place) -> bool:
        if place.person is not None:
            return True
        newest = getattr(client.get_channel(channel), "last_message_id", None)
        return self._groups != "off" and (newest is None or newest > place.last)

    async def _insist(self, client: Client, channel: int, place: Place) -> None:
        for pause in (*PAUSES, None):
            try:
                await self._fetch(client, channel, place)
                return
            except DeliveryError as error:
                if error.final:
                    log.warning("channel %s cannot be read any more: %s", channel, error)
                    self._places.forget(channel)
                    return
                if pause is None:
                    log.error("what was missed in channel %s could not be fetched: %s", channel, error)
                    return
                await self._clock.sleep(max(pause, error.retry_after or 0.0))

    async def _fetch(self, client: Client, channel: int, place: Place) -> None:
        assert client.user is not None, "there is a session"
        with faults():
            found = await self._history(client, channel, place)
        if len(found) > MISSED:
            log.warning("more than %d messages were missed in channel %s; the rest is not read", MISSED, channel)
            if place.person is not None:
                await self._intake.tell(Spot(channel), CUT, found[MISSED].id)
        for message in found[:MISSED]:
            await self._intake.take_missed(message, client.user.id)
        if len(found) > MISSED:
            self._places.read(channel, found[MISSED].id)

    async def _history(self, client: Client, channel: int, place: Place) -> list[discord.Message]:
        source: Any = client.get_channel(channel)
        if source is None and place.person is None:
            source = await client.fetch_channel(channel)
        source = source or client.get_partial_messageable(channel)
        after = discord.Object(place.last)
        return [one async for one in source.history(after=after, limit=MISSED + 1, oldest_first=True)]

    def _seed(self, client: Client) -> None:
        """Takes the positions of channels where nobody wrote to the bot so far, so that the next absence has none."""
        if self._groups == "off":
            return
        channels: list[Any] = [one for guild in client.guilds for one in (*guild.text_channels, *guild.threads)]
        for one in channels[:SEEDED]:
            if one.last_message_id is not None and self._places.last(one.id) is None:
                self._places.read(one.id, one.last_message_id)
