"""A reply on its way into a chat: what it is sent as, and how far that has come.

The law: a reply arrives whole or is tried again from where it stopped, as long as the channel runs. What may have
arrived already, because Telegram did not confirm it or an earlier run ended, is marked when it is sent again. Knows no
update.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeAlias

from openclaw.channels import _telegram_words as words
from openclaw.channels._telegram_outlet import Outlet, Unsure
from openclaw.channels._telegram_reading import Spot
from openclaw.channels._telegram_words import Piece
from openclaw.errors import DeliveryError
from openclaw.messages import Reply
from openclaw.ports import Notes

REPEATED = "(repeated after a restart)"
PERHAPS = "(perhaps a second time; the first was not confirmed)"
EMPTY = "(no text)"
DOCUMENT = "reply.md"
MOST = 1_000  # replies whose progress is remembered
LONG = 8_000  # characters; to format more takes a while, and others must not wait for it
LONGEST = 3 * words.MOST_PIECES * words.ROOM  # characters; no formatting shrinks more to ten pieces


@dataclass(frozen=True, slots=True)
class Document:
    content: bytes
    caption: str


Step: TypeAlias = Piece | Document


@dataclass(frozen=True, slots=True)
class Begun:
    """What there is of a reply before it is sent: `message` is what was shown of it in a group, which its first piece
    takes over; `answers` is the person's message."""

    message: int | None = None
    answers: int | None = None


@dataclass(slots=True)
class Progress:
    """`done`: steps that arrived. `unsure`: whether the next one may have. `message`: what the next one takes over.
    `repeated`: an earlier run may have sent it."""

    message: int | None
    repeated: bool
    done: int = 0
    unsure: bool = False


class Shown:
    """Messages in groups that show a part of a reply, by what the reply answers: also those of an earlier run."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._messages: OrderedDict[str, int] = OrderedDict()

    async def open(self) -> None:
        kept = await self._notes.get("shown")
        if isinstance(kept, dict):
            self._messages = OrderedDict((str(id), message) for id, message in kept.items() if type(message) is int)

    def of(self, answers: str | None) -> int | None:
        return self._messages.get(answers or "")

    async def add(self, answers: str, message: int) -> None:
        self._messages[answers] = message
        while len(self._messages) > MOST:
            self._messages.popitem(last=False)
        await self._notes.put("shown", dict(self._messages))

    async def drop(self, answers: str | None) -> None:
        if self._messages.pop(answers or "", None) is not None:
            await self._notes.put("shown", dict(self._messages))


class Sending:
    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._progress: OrderedDict[Reply, Progress] = OrderedDict()  # whether it is `repeated` makes no other of it

    async def send(self, reply: Reply, spot: Spot, begun: Begun) -> None:
        """Raises DeliveryError; the same reply again then goes on where this ended."""
        same = replace(reply, repeated=False)
        progress = self._progress.setdefault(same, Progress(begun.message, reply.repeated))
        while len(self._progress) > MOST:
            self._progress.popitem(last=False)
        reply = replace(reply, repeated=progress.repeated)
        long = len(reply.text) > LONG
        whole = await asyncio.to_thread(steps, reply) if long else steps(reply)
        answers = None if spot.private else begun.answers
        try:
            for step in whole[progress.done :]:
                await self._step(spot, step, progress, answers if progress.done == 0 else None)
                progress.done += 1
                progress.unsure = False
        except DeliveryError as error:
            progress.unsure = progress.unsure or isinstance(error, Unsure)
            error.begun = progress.done > 0 or progress.unsure
            if error.final:
                self._progress.pop(same, None)
            raise
        self._progress.pop(same, None)

    async def _step(self, spot: Spot, step: Step, progress: Progress, answers: int | None) -> None:
        if isinstance(step, Document):
            caption = f"{PERHAPS}\n{step.caption}" if progress.unsure else step.caption
            await self._outlet.upload(spot, step.content, DOCUMENT, caption)
            return
        if progress.message is not None:
            if await self._over(spot, step, progress.message):
                progress.message = None
                return
            progress.message = None
        piece = words.marked(step, PERHAPS) if progress.unsure else step
        await self._outlet.write(spot, piece, answers=answers)

    async def _over(self, spot: Spot, piece: Piece, message: int) -> bool:
        """Puts the text in place of what was shown of it; doing that twice is doing it once."""
        try:
            return await self._outlet.change(spot, message, piece)
        except Unsure as error:
            raise DeliveryError(str(error)) from None


def steps(reply: Reply) -> list[Step]:
    """The messages of a reply. One that is very long is its beginning, and a file with all of it."""
    text = reply.text if reply.text.strip() else EMPTY
    text = f"{REPEATED}\n\n{text}" if reply.repeated else text
    if reply.failed:
        return [*words.plain(f"\N{WARNING SIGN} {text}")]
    pieces = words.pieces(text if len(text) <= LONGEST else text[: words.ROOM])
    if len(pieces) <= words.MOST_PIECES and len(text) <= LONGEST:
        return [*pieces]
    caption = f"The answer has {len(reply.text):,} characters; all of it is in this file."
    return [pieces[0], Document(text.encode("utf-8", "replace"), caption)]
