"""From what people write on Discord to accepted messages: in order for each channel, nothing missed, nothing twice.

Law: a channel's messages are posted one after the other; its position moves once a message is on disk or refused for
good, so that whatever a crash, a stop or an outage left out is fetched after the next welcome. Live messages wait
behind what is fetched of their channel. Strangers are told something in private only, and no more often than the
runtime says.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from openclaw import logbook
from openclaw.channels._discord_client import Client
from openclaw.channels._discord_files import fetch, missing
from openclaw.channels._discord_library import discord
from openclaw.channels._discord_places import Places
from openclaw.channels._discord_reading import Groups, Heard, Passed, Spot, read, spot
from openclaw.channels._discord_replies import Replies
from openclaw.channels._discord_streams import Stream
from openclaw.channels._discord_words import LONGEST
from openclaw.channels._discord_writing import Writer
from openclaw.channels._split import split, utf16
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, StorageFailed
from openclaw.messages import Accepted, Address, Answered, Message, Part, Refused, Text
from openclaw.ports import Operations, Post

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None]

RECENT = 2000  # messages whose ids are remembered, because the gateway may tell one twice
PAUSES = (2.0, 5.0, 10.0)  # seconds before a channel that is not known is asked for again


@dataclass(frozen=True, slots=True)
class Room:
    """What the intake is joined to while the channel runs."""

    post: Post
    operations: Operations
    client: Callable[[], Client | None]
    spawn: Spawn


class Intake:
    def __init__(
        self, key: str, groups: Groups, places: Places, writer: Writer, replies: Replies, clock: Clock
    ) -> None:
        self._key, self._groups = key, groups
        self._places, self._writer, self._replies = places, writer, replies
        self._clock = clock
        self._lines: dict[int, deque[tuple[Heard, bool]]] = {}  # what waits to be posted, by channel; fetched or live
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._holding: set[int] | None = set()  # channels whose live messages wait; None: all do
        self._held: dict[int, list[Heard]] = {}
        self._aside: dict[int, int] = {}  # the newest message for nobody, of channels whose messages wait
        self._room: Room | None = None

    def join(self, room: Room) -> None:
        self._room = room

    @property
    def room(self) -> Room:
        assert self._room is not None, "the channel does not run"
        return self._room

    # ── live ─────────────────────────────────────────────────────────────────────────────────────

    def hear(self, message: discord.Message, me: int) -> None:
        channel, decided = message.channel.id, read(message, me, self._groups)
        waits = self._holding is None or channel in self._holding
        match decided:
            case Passed(why=why):
                words = "message %s was passed over: %s"
                logbook.debug(log, "message passed over", words, message.id, why, channel=self._key, why=why)
                if waits:
                    self._aside[channel] = max(self._aside.get(channel, 0), message.id)
                else:
                    self._places.passed(channel, message.id)
            case Heard() as heard if waits:
                self._places.owe(channel, heard.id)
                self._held.setdefault(channel, []).append(heard)
            case Heard() as heard:
                self._line_up(heard)

    def hold(self) -> None:
        """A new session begins: what is heard waits until what was missed is fetched."""
        self._holding = None

    def hold_only(self, channels: Iterable[int]) -> None:
        """In all other channels nothing was missed."""
        self._holding = set(channels)
        for channel in (self._held.keys() | self._aside.keys()) - self._holding:
            self.release(channel)

    def release(self, channel: int) -> None:
        """What was missed in this channel is lined up."""
        if self._holding is not None:
            self._holding.discard(channel)
        if (aside := self._aside.pop(channel, None)) is not None:
            self._places.passed(channel, aside)
        for heard in self._held.pop(channel, ()):
            self._line_up(heard)

    def line_up_missed(self, message: discord.Message, me: int) -> None:
        """One that was fetched."""
        match read(message, me, self._groups):
            case Passed():
                self._places.passed(message.channel.id, message.id)
            case Heard() as heard:
                self._line_up(heard, fetched=True)

    def _line_up(self, heard: Heard, *, fetched: bool = False) -> None:
        if not self._first_time(heard.id):
            return
        self._places.owe(heard.channel, heard.id)
        line = self._lines.get(heard.channel)
        if line is None:
            self._lines[heard.channel] = deque([(heard, fetched)])
            self.room.spawn(self._work(heard.channel))
        else:
            line.append((heard, fetched))

    def _first_time(self, id: int) -> bool:
        if id in self._recent:
            return False
        self._recent[id] = None
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        return True

    async def _work(self, channel: int) -> None:
        """Posts what waits in one channel, until nothing does."""
        line = self._lines[channel]
        try:
            while line:
                await self._take(*line.popleft())
        finally:
            del self._lines[channel]

    async def _take(self, heard: Heard, fetched: bool) -> None:
        """What is not taken in stays owed; one that fails also after it was fetched is given up."""
        taken = False
        try:
            taken = await self._handle(heard)
        except StorageFailed:
            raise
        except Exception:
            log.exception("message %s could not be taken in", heard.id)
            if fetched:
                self._places.passed(heard.channel, heard.id)
                self._places.settle(heard.channel, heard.id)
                return
        if not taken:
            self._recent.pop(heard.id, None)

    async def _handle(self, heard: Heard) -> bool:
        """False where the message must be fetched again later."""
        where = heard.spot or await self._find(heard.channel)
        person = heard.sender if where.private else None
        if person is None:
            await self._places.begin(heard.channel, heard.id, person)
        message = await self._message(heard, where)
        stream = Stream(self._writer, self._places, self._clock, self._key, where, heard.id)
        result = await self.room.post(message, stream.watch)
        if isinstance(result, Accepted) and result.new:  # before anything is waited for: its turn may end meanwhile
            self._replies.expect(result.id, stream)
            stream.begin(result.id, self.room.spawn)
        if person is not None and isinstance(result, Refused) and result.code == "sender":
            await self._refuse(result, message, where, heard.id)
            self._places.passed(heard.channel, heard.id)  # a stranger's chat is worth no place that lasts
            self._places.settle(heard.channel, heard.id)
            return True
        await self._places.begin(heard.channel, heard.id, person)
        match result:
            case Answered(text=text):
                await self.tell(where, text, heard.id)
            case Refused(code="stopping"):
                return False
            case Refused() as refused:
                await self._refuse(refused, message, where, heard.id)
        self._places.read(heard.channel, heard.id, person)
        return True

    async def _find(self, channel: int) -> Spot:
        """Of a channel that the library has not heard of: a thread that was opened just now, for example."""
        for pause in (*PAUSES, None):
            try:
                return spot(await self._writer.channel(channel)) or Spot(channel, str(channel))
            except DeliveryError as error:
                if error.final or pause is None:
                    break
                await self._clock.sleep(max(pause, error.retry_after or 0.0))
        return Spot(channel, str(channel))

    async def _message(self, heard: Heard, where: Spot) -> Message:
        words: tuple[Part, ...] = (Text(heard.text),) if heard.text else ()
        plain = message(self._key, str(heard.id), heard.sender, heard.name, where, heard.at, (*heard.quotes, *words))
        if not heard.files:
            return plain
        folder = await self.room.operations.folder(plain)
        if isinstance(folder, Refused) and folder.code == "full":
            lost = [missing(file, "there is no room for it; it may be sent again") for file in heard.files]
            return message(self._key, plain.id, heard.sender, heard.name, where, heard.at, (*plain.parts, *lost))
        if isinstance(folder, Refused):  # told by whoever it is posted to; nothing of a stranger is fetched
            named = [Text(f"[file {file.name}]") for file in heard.files]
            return message(self._key, plain.id, heard.sender, heard.name, where, heard.at, (*plain.parts, *named))
        await self._places.begin(heard.channel, heard.id, heard.sender if where.private else None)
        files = await fetch(self._session, folder, self._key, heard.id, heard.files)
        return message(self._key, plain.id, heard.sender, heard.name, where, heard.at, (*plain.parts, *files))

    def _session(self) -> Any:
        client = self.room.client()
        if client is None:
            raise OSError("there is no connection to Discord")
        return client.session

    # ── telling ──────────────────────────────────────────────────────────────────────────────────

    async def _refuse(self, refused: Refused, message: Message, where: Spot, answers: int) -> None:
        words = await self.refusal(refused, message)
        if words:
            await self.tell(where, words, answers)

    async def refusal(self, refused: Refused, message: Message) -> str | None:
        """What to say; nothing to a stranger in a server."""
        if refused.code != "sender":
            return refused.reason
        if message.chat is not None:
            return None
        return await self.room.operations.knock(message.sender, message.name)

    async def tell(self, where: Spot, text: str, answers: int) -> None:
        """What is in no outbox: as well as it goes."""
        quoted = None if where.private else answers
        for number, piece in enumerate(split(text, LONGEST, utf16)):
            try:
                await self._writer.send(
                    where.channel, piece, nonce=f"{answers}-{number}"[-25:], answers=quoted if number == 0 else None
                )
            except DeliveryError as error:
                log.warning("an answer in channel %s was not delivered: %s", where.channel, error)
                return


def message(key: str, id: str, sender: int, name: str, where: Spot, at: Any, parts: tuple[Part, ...]) -> Message:
    return Message(
        id=id,
        sender=Address(key, str(sender)),
        parts=parts,
        at=at,
        name=name,
        chat=where.chat,
        topic=where.topic,
    )
