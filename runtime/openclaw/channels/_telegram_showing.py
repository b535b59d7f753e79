"""One turn as it is shown on Telegram while it runs: typing, and the answer as far as it is written.

The law: what is shown here may be lost, the reply that follows may not. In private chats it is a draft, renewed at
most once a second; in groups a message that is edited at most every three, and that the reply then takes over.
Frames that come too early or cannot be sent are dropped. Knows no update and no approval.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from openclaw.channels import _telegram_words as words
from openclaw.channels._telegram_outlet import TYPING, Outlet
from openclaw.channels._telegram_reading import Spot
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, StorageFailed
from openclaw.messages import (
    Asked,
    Finished,
    Progress,
    Retrying,
    Settled,
    TextDelta,
    ToolFinished,
    ToolStarted,
    Waiting,
)

log = logging.getLogger(__name__)

PRIVATE, GROUP = 1.0, 3.0  # seconds between two frames
FRESH = 20.0  # seconds after which a draft is sent again, before the service forgets it at thirty
ENDING = 2.0  # seconds that a frame under way is waited for


class Showing:
    def __init__(self, outlet: Outlet, clock: Clock, spot: Spot, number: int, answers: int) -> None:
        """`number`: of the draft, not zero. `answers`: the person's message."""
        self._outlet = outlet
        self._clock = clock
        self.spot = spot
        self._number = number
        self.answers = answers
        self._text: list[str] = []
        self._doing = ""
        self._superseded = False  # the next text replaces what there is: a tool ran since
        self._asking = False
        self._changed = False
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._typed = self._framed = float("-inf")
        self.task: asyncio.Task[None] | None = None
        self.message: int | None = None  # in groups: what the reply takes over
        self.put_up: Callable[[int], Awaitable[None]] | None = None  # told of it

    def watch(self, progress: Progress) -> None:
        match progress:
            case TextDelta(text=text):
                self._text = [text] if self._superseded else [*self._text, text]
                self._superseded, self._doing = False, ""
            case ToolStarted(line=line):
                self._superseded, self._doing = True, line
            case ToolFinished():
                self._doing = ""
            case Retrying(reason=reason, seconds=seconds):
                self._text, self._superseded = [], False
                self._doing = f"{reason}; trying again in {seconds:.0f} s"
            case Waiting(words=words):
                self._doing = words
            case Asked():
                self._asking, self._doing = True, "waiting for an approval"
            case Settled():
                self._asking, self._doing = False, ""
            case Finished():
                self._over.set()
            case _:
                return
        self._changed = True
        self._news.set()

    async def run(self) -> None:
        """Shows the turn until it ends."""
        try:
            while not self._over.is_set():
                self._news.clear()
                await self._show()
                await self._wait()
        except StorageFailed:
            raise
        except Exception:  # what is only shown must not end anything else
            log.exception("showing a turn failed")

    def over(self) -> None:
        """No more frames."""
        self._over.set()
        self._news.set()

    async def end(self) -> None:
        """No more frames; one that is under way has arrived, or will not."""
        self.over()
        if self.task is not None and not self.task.done():
            await asyncio.wait({self.task}, timeout=ENDING)
            self.task.cancel()

    async def _show(self) -> None:
        now = self._clock.monotonic()
        if not self._asking and now - self._typed >= TYPING:
            self._typed = now
            await self._outlet.typing(self.spot)
        stale = self.spot.private and bool(self._text) and now - self._framed >= FRESH
        if (self._changed or stale) and not self._early() and not self._over.is_set():
            self._changed, self._framed = False, now
            await self._frame()

    def _early(self) -> bool:
        return self._clock.monotonic() - self._framed < (PRIVATE if self.spot.private else GROUP)

    async def _frame(self) -> None:
        piece = words.frame("".join(self._text), self._doing)
        if not piece.text or self._outlet.rests(self.spot.chat):
            return
        if self.spot.private:
            self._changed = not await self._outlet.draft(self.spot, self._number, piece) or self._changed
            return
        try:
            if self.message is not None:
                await self._outlet.change(self.spot, self.message, piece)
            elif self._text:
                self.message = await self._outlet.write(self.spot, piece, answers=self.answers)
                if self.put_up is not None:
                    await self.put_up(self.message)
        except DeliveryError as error:
            log.debug("not shown: %s", error)

    async def _wait(self) -> None:
        """Until there is something new to show and its time has come, or typing is due again."""
        now = self._clock.monotonic()
        typing = self._typed + TYPING - now
        if self._changed:
            await self._first(self._over, self._framed + (PRIVATE if self.spot.private else GROUP) - now)
        else:
            await self._first(self._news, typing if not self._asking else FRESH)

    async def _first(self, event: asyncio.Event, seconds: float) -> None:
        waiting: list[asyncio.Future[object]] = [
            asyncio.ensure_future(event.wait()),
            asyncio.ensure_future(self._clock.sleep(max(seconds, 0.05))),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
