"""An answer while it is written: the bot seems to type, then a draft stands there that grows.

Law: best effort and never in the way: what cannot be shown is left out, and the durable reply that follows is
complete without it. What a failed attempt of the model streamed is taken back. A draft is changed at most once in
`EDIT`, because a place takes five changes in five seconds from everybody together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from openclaw.asking import places
from openclaw.channels._discord_places import Draft, Places
from openclaw.channels._discord_reading import Spot
from openclaw.channels._discord_words import tail
from openclaw.channels._discord_writing import Writer
from openclaw.clock import Clock
from openclaw.errors import DeliveryError
from openclaw.messages import (
    Approval,
    Asked,
    Finished,
    Progress,
    Reply,
    Retrying,
    Settled,
    TextDelta,
    ToolStarted,
    Waiting,
)

FIRST = 0.4  # seconds from the first word to the first draft, so that a notification shows more than one letter
EDIT = 1.25
TYPE = 8.0  # the service shows it for ten seconds
ENDING = 3.0  # seconds that a change under way may take when the reply comes
WAITING = "Waiting for somebody's approval."


class Stream:
    """One turn in one place. `answers` is the message it answers, quoted in a server."""

    def __init__(self, writer: Writer, places: Places, clock: Clock, channel: str, spot: Spot, answers: int) -> None:
        self._writer, self._places, self._clock = writer, places, clock
        self._channel, self._spot = channel, spot
        self.answers = None if spot.private else answers
        self._text = ""
        self._again = False  # the next words begin anew: what stands there was said before a tool ran
        self._leave = False  # what stands there stays, and what follows gets a draft of its own
        self._shown = ""
        self._draft: Draft | None = None
        self._id = ""
        self._asking = False  # somebody has to agree first; nobody is at work
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._edit_at: float | None = None
        self._type_at = 0.0
        self.place = spot.channel
        self.behind: Stream | None = None  # the answer before it in the same place
        self.arrived = False  # its reply stands there, or never will
        self._finished: Reply | None = None

    def watch(self, event: Progress) -> None:
        match event:
            case TextDelta(text=text):
                self._text = text if self._again else self._text + text
                self._again = False
            case ToolStarted():
                self._again = True
            case Settled():
                self._asking, self._again = False, True
            case Retrying():
                self._text, self._again = "", False
            case Waiting(words=words) if self._again or not self._text:
                self._text, self._again = words, True
            case Asked(approval=approval):
                self._asked(approval)
            case Finished(reply=reply):
                self._over.set()
                self._finished = reply
            case _:
                return
        self._changed.set()

    def _asked(self, approval: Approval) -> None:
        """The question stands below what was said so far, or in private chats of those who may answer."""
        here = [(place.chat, place.topic) for place in places(approval, self._channel)]
        if (self._spot.chat, self._spot.topic) in here:
            self._leave = True
        else:
            self._text = WAITING
        self._asking = self._again = True

    @property
    def delivered(self) -> bool:
        """Whether nothing more of it comes. The reply to another one is that other's: they were answered together. It
        may be told before this one's own id is."""
        together = self._finished is not None and self._finished.answers != self._id
        return self.arrived or (together and self._id != "")

    def begin(self, id: str, spawn: Callable[..., asyncio.Task[None] | None]) -> None:
        """The message was accepted under this id."""
        self._id = id
        self._task = spawn(self._run())

    async def end(self) -> Draft | None:
        """Shows nothing more; the draft that the reply takes the place of."""
        self._over.set()
        self._changed.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=ENDING)
            self._task.cancel()
        return self._draft

    # ── showing ──────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        while not self._over.is_set():
            self._changed.clear()
            try:
                await self._step()
            except DeliveryError as error:
                if error.retry_after is None:
                    return
                self._edit_at = self._type_at = self._clock.monotonic() + error.retry_after
            await self._rest()

    async def _step(self) -> None:
        now = self._clock.monotonic()
        if self._leave:
            await self._let_stand()
        elif self._dirty():
            if self._edit_at is None:
                self._edit_at = now + FIRST
            if now >= self._edit_at:
                if self._has_its_turn():
                    await self._write()
                self._edit_at = self._clock.monotonic() + EDIT
        if now >= self._type_at and not self._asking and not self._over.is_set():
            await self._writer.typing(self._spot.channel)
            self._type_at = self._clock.monotonic() + TYPE

    def _has_its_turn(self) -> bool:
        """Whether all answers before it stand there: a draft would overtake one that is still on its way."""
        if self.behind is not None and self.behind.delivered:
            self.behind = None
        return self._draft is not None or self.behind is None

    def _dirty(self) -> bool:
        return self._text != self._shown and (bool(self._text.strip()) or self._draft is not None)

    async def _rest(self) -> None:
        """Until there is something to show and it may be shown, or the service stops showing that the bot types."""
        now, due, news = self._clock.monotonic(), self._type_at, self._changed
        if self._dirty() and self._edit_at is not None:
            due, news = self._edit_at, self._over
        waiting: list[asyncio.Future[object]] = [asyncio.ensure_future(news.wait())]
        if due > now or not self._asking:
            waiting.append(asyncio.ensure_future(self._clock.sleep(max(due - now, 0.0))))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _write(self) -> None:
        text = self._text
        if self._draft is None:
            message = await self._writer.send(self._spot.channel, tail(text), answers=self.answers)
            self._draft = Draft(self._spot.channel, message)
            self._places.draft(self._id, self._draft)
        else:
            await self._writer.edit(self._draft.channel, self._draft.message, tail(text))
        self._shown = text

    async def _let_stand(self) -> None:
        self._leave = False
        draft, text, self._draft = self._draft, self._text, None
        self._shown = self._text
        self._places.finished(self._id)
        if text.strip():
            shown = tail(text).rstrip("…").rstrip()
            if draft is None:
                await self._writer.send(self._spot.channel, shown, answers=self.answers)
            else:
                await self._writer.edit(draft.channel, draft.message, shown)
