"""A reply on its way into a chat: what it is sent as, and how far that has come.

The law: a reply arrives whole or is tried again from where it stopped. What may have arrived already, because the
connection was lost or the runtime was, is marked when it is sent again. Knows no update.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from openclaw.channels import _telegram_words as words
from openclaw.channels._telegram_outlet import Outlet, Unsure
from openclaw.channels._telegram_reading import Spot
from openclaw.channels._telegram_showing import Showing
from openclaw.channels._telegram_words import Piece
from openclaw.errors import DeliveryError
from openclaw.messages import Reply

REPEATED = "(repeated after a restart)"
PERHAPS = "(perhaps a second time; the connection was lost)"
EMPTY = "(no text)"
DOCUMENT = "reply.md"
MOST = 1_000  # replies whose progress is remembered


@dataclass(frozen=True, slots=True)
class Document:
    content: bytes
    caption: str


Step: TypeAlias = Piece | Document


@dataclass(slots=True)
class Progress:
    """`done`: steps that arrived. `unsure`: whether the next one may have. `message`: what the first one takes over."""

    message: int | None = None
    answers: int | None = None
    done: int = 0
    unsure: bool = False


class Sending:
    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._progress: OrderedDict[Reply, Progress] = OrderedDict()

    async def send(self, reply: Reply, spot: Spot, view: Showing | None) -> None:
        """Raises DeliveryError; the same reply again then goes on where this ended."""
        progress = self._progress.setdefault(reply, _begun(spot, view))
        while len(self._progress) > MOST:
            self._progress.popitem(last=False)
        try:
            for step in steps(reply)[progress.done :]:
                await self._step(spot, step, progress)
                progress.done += 1
                progress.unsure = False
        except DeliveryError as error:
            progress.unsure = progress.unsure or isinstance(error, Unsure)
            if error.final:
                self._progress.pop(reply, None)
            raise
        self._progress.pop(reply, None)

    async def _step(self, spot: Spot, step: Step, progress: Progress) -> None:
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
        answers = progress.answers if progress.done == 0 else None
        await self._outlet.write(spot, piece, answers=answers)

    async def _over(self, spot: Spot, piece: Piece, message: int) -> bool:
        """Puts the text in place of what was shown of it; doing that twice is doing it once."""
        try:
            return await self._outlet.change(spot, message, piece)
        except Unsure as error:
            raise DeliveryError(str(error)) from None


def _begun(spot: Spot, view: Showing | None) -> Progress:
    if view is None or spot.private:
        return Progress()
    return Progress(message=view.message, answers=view.answers)


def steps(reply: Reply) -> list[Step]:
    """The messages of a reply. One that is very long is its beginning, and a file with all of it."""
    text = reply.text if reply.text.strip() else EMPTY
    text = f"{REPEATED}\n\n{text}" if reply.repeated else text
    if reply.failed:
        return [*words.plain(f"\N{WARNING SIGN} {text}")]
    pieces = words.pieces(text)
    if len(pieces) <= words.MOST_PIECES:
        return [*pieces]
    caption = f"The answer has {len(reply.text):,} characters; all of it is in this file."
    return [pieces[0], Document(text.encode("utf-8", "replace"), caption)]
