"""Slash commands used on Discord, and their registration where the table has changed.

Law: a command is the message that it stands for, and is posted as such. What acts at once is answered where only who
asked sees it; what takes its place in the queue is answered for all, by the reply itself. The service gives three
seconds to say that an answer comes; where that was missed the answer comes as a message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from openclaw.channels._discord_client import Client
from openclaw.channels._discord_commands import answers_at_once, digest, table
from openclaw.channels._discord_intake import Intake
from openclaw.channels._discord_reading import Spot
from openclaw.channels._discord_replies import Promise, Replies, kept
from openclaw.channels._discord_words import LONGEST
from openclaw.channels._discord_writing import Slip, Writer, faults
from openclaw.channels._split import split, utf16
from openclaw.errors import DeliveryError
from openclaw.messages import Accepted, Answered, Message, Refused
from openclaw.ports import Notes, Operations

log = logging.getLogger(__name__)

DOCUMENT = "commands"


class Slash:
    def __init__(self, channel: str, intake: Intake, replies: Replies, writer: Writer, notes: Notes) -> None:
        self._channel = channel
        self._intake, self._replies, self._writer, self._notes = intake, replies, writer, notes
        self._registered: str | None = None

    async def register(self, client: Client, operations: Operations) -> None:
        """Tells the service of the commands there are, where they are not those it was told last."""
        if client.application_id is None:
            return
        rows = table(operations.commands(self._channel))
        wanted = digest(client.application_id, rows)
        if self._registered is None:
            self._registered = str(await self._notes.get(DOCUMENT))
        if wanted == self._registered:
            return
        try:
            with faults():
                await client.http.bulk_upsert_global_commands(client.application_id, rows)
        except DeliveryError as error:
            log.warning("the slash commands could not be registered: %s", error)
            return
        await self._notes.put(DOCUMENT, wanted)
        self._registered = wanted

    async def use(self, slip: Slip, chosen: Mapping[str, Any], said: Message, where: Spot) -> None:
        if answers_at_once(chosen):
            await self._at_once(slip, said, where)
        else:
            await self._queued(slip, said)

    async def refuse(self, slip: Slip, why: str) -> None:
        await self._try(lambda: self._writer.respond(slip, why), "a slash command could not be answered")

    async def _at_once(self, slip: Slip, said: Message, where: Spot) -> None:
        live = await self._try(
            lambda: self._writer.acknowledge(slip, hidden=True), "a slash command could not be acknowledged"
        )
        result = await self._intake.room.post(said)
        words = await self._words(result, said)
        if isinstance(result, Accepted) and live:
            self._replies.promise(result.id, kept(slip))
        elif not words:
            return
        elif live:
            await self._try(lambda: self._say(slip, words), "a slash command could not be answered")
        else:
            await self._intake.tell(where, words, int(said.id))

    async def _say(self, slip: Slip, words: str) -> None:
        first, *rest = split(words, LONGEST, utf16)
        await self._writer.answer(slip, first)
        for piece in rest:
            await self._writer.add(slip, piece, hidden=True)

    async def _queued(self, slip: Slip, said: Message) -> None:
        """Posted first, which takes milliseconds: whether all may see the answer is known only then."""
        result = await self._intake.room.post(said)
        if isinstance(result, Accepted):
            promise = Promise(slip)
            self._replies.promise(result.id, promise)
            try:
                promise.kept = await self._try(
                    lambda: self._writer.acknowledge(slip), "a slash command could not be acknowledged"
                )
            finally:
                promise.settled.set()
        elif words := await self._words(result, said):
            first, *rest = split(words, LONGEST, utf16)
            if await self._try(lambda: self._writer.respond(slip, first), "a slash command could not be answered"):
                for piece in rest:
                    await self._writer.add(slip, piece, hidden=True)

    async def _words(self, result: Accepted | Answered | Refused, said: Message) -> str:
        match result:
            case Answered(text=text):
                return text
            case Refused() as refused:
                return await self._intake.refusal(refused, said) or refused.reason
        return ""

    async def _try(self, work: Callable[[], Any], failed: str) -> bool:
        try:
            await work()
        except DeliveryError as error:
            log.warning("%s: %s", failed, error)
            return False
        return True
