"""Everything that is written to chats: one message at a time, each chat within its own limits.

The law: a chat that must rest holds up no other one, and what is only shown while a turn runs (typing, drafts,
edits) is dropped then, never queued. Formatting that the service refuses costs the formatting, not the text. A
group that moved is followed. Link previews are off: the service would fetch an address that a model made up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from telegram import InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters

from openclaw.channels import _telegram_client as client
from openclaw.channels._telegram_reading import Spot
from openclaw.channels._telegram_words import Piece
from openclaw.clock import Clock
from openclaw.errors import DeliveryError
from openclaw.ports import Notes

log = logging.getLogger(__name__)

BURST = 10  # messages to one chat at once; then one a second, in groups one in three
PRIVATE, GROUP = 1.0, 3.0
SHOWN = client.SIDE_BY_SIDE // 2  # calls at the same time for what is only shown
TYPING = 4.5  # seconds; the service shows it for five
MOST_CHATS = 10_000  # whose pace is remembered
REVOKED = 900.0  # seconds after which a refused token is worth another try
MOST_TOLD = 20  # answers to commands that wait in one chat
TELLING = 6  # times that words of our own are tried
Got = TypeVar("Got")
_QUIET = LinkPreviewOptions(is_disabled=True)


class Unsure(DeliveryError):
    """Neither yes nor no came back: what was sent may have arrived."""


@dataclass(slots=True)
class Pace:
    """What a chat may still take. `until`: it rests, because the service asked for it. `typed`: when typing was shown
    there last, whichever of its turns it was for."""

    left: float
    at: float
    until: float = 0.0
    typed: float = float("-inf")


class Outlet:
    def __init__(self, key: str, line: client.Line, clock: Clock, notes: Notes) -> None:
        self._key = key
        self._line = line
        self._clock = clock
        self._notes = notes
        self._paces: OrderedDict[int, Pace] = OrderedDict()
        self._moved: dict[int, int] = {}
        self._order: dict[int, asyncio.Lock] = {}
        self._telling: Counter[int] = Counter()  # what waits to be told, by chat
        self._lines = asyncio.Semaphore(client.SIDE_BY_SIDE)
        self._shown = 0  # calls under way for what is only shown
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        kept = await self._notes.get("moved")
        if isinstance(kept, dict):
            self._moved = {int(old): int(new) for old, new in kept.items()}

    async def move(self, old: int, new: int) -> None:
        """A group has another number now: what is meant for the old one goes there."""
        if old == new or self._moved.get(old) == new:
            return
        log.warning("channel %s: group %d became %d; name the new number in `rooms`", self._key, old, new)
        self._moved[old] = new
        await self._notes.put("moved", {str(was): now for was, now in self._moved.items()})

    def now_at(self, chat: int) -> int:
        """Where a chat is by now."""
        for _ in range(len(self._moved)):
            if chat not in self._moved:
                break
            chat = self._moved[chat]
        return chat

    # ── what must arrive ─────────────────────────────────────────────────────────────────────────

    async def write(
        self, spot: Spot, piece: Piece, *, keys: InlineKeyboardMarkup | None = None, answers: int | None = None
    ) -> int:
        """A new message; its number. Raises DeliveryError, with the seconds to wait where they are known."""
        self._spend(spot)
        try:
            return await self._write(spot, piece, keys, answers)
        except client.BadRequest as error:
            if "thread not found" in str(error).lower() and spot.topic is not None:
                return await self.write(Spot(spot.chat, spot.private), piece, keys=keys, answers=answers)
            if not piece.entities:
                raise self._refused(error) from None
            log.warning("channel %s: Telegram refused the formatting: %s", self._key, self._line.words(error))
        return await self.write(spot, Piece(piece.text), keys=keys, answers=answers)

    async def _write(
        self, spot: Spot, piece: Piece, keys: InlineKeyboardMarkup | None, answers: int | None
    ) -> int:  # fmt: skip
        def act(chat: int) -> Awaitable[int]:
            return self._send(chat, spot.topic, piece, keys, answers)

        return await self._call(spot.chat, act)

    async def _send(
        self, chat: int, topic: int | None, piece: Piece, keys: InlineKeyboardMarkup | None, answers: int | None
    ) -> int:
        answered = ReplyParameters(answers, allow_sending_without_reply=True) if answers is not None else None
        sent = await self._line.bot.send_message(
            chat,
            piece.text,
            entities=piece.entities or None,
            message_thread_id=topic,
            reply_markup=keys,
            reply_parameters=answered,
            link_preview_options=_QUIET,
        )
        return sent.message_id

    async def upload(self, spot: Spot, content: bytes, name: str, caption: str) -> None:
        """A file. Raises DeliveryError."""
        self._spend(spot)

        async def act(chat: int) -> None:
            bot = self._line.bot
            await bot.send_document(chat, content, caption, filename=name, message_thread_id=spot.topic)

        try:
            await self._call(spot.chat, act)
        except client.BadRequest as error:
            raise self._refused(error) from None

    async def change(
        self, spot: Spot, message: int, piece: Piece, keys: InlineKeyboardMarkup | None = None
    ) -> bool:  # fmt: skip
        """Another text for a message of ours; False where it is gone. Raises DeliveryError."""

        async def act(chat: int) -> None:
            bot, entities = self._line.bot, piece.entities or None
            await bot.edit_message_text(
                piece.text, chat, message, entities=entities, reply_markup=keys, link_preview_options=_QUIET
            )

        try:
            await self._call(spot.chat, act)
        except client.BadRequest as error:
            if "not modified" in str(error).lower():
                return True
            if piece.entities and "entit" in str(error).lower():
                return await self.change(spot, message, Piece(piece.text), keys)
            return False
        return True

    async def bare(self, spot: Spot, message: int) -> None:
        """Takes the buttons off a message of ours, if they are still there."""

        async def act(chat: int) -> None:
            await self._line.bot.edit_message_reply_markup(chat, message)

        await self._perhaps(spot, act)

    async def tell(self, spot: Spot, pieces: list[Piece]) -> None:
        """Words of our own, in order for each chat, tried a few times and then left: nothing depends on them. One who
        asks faster than a chat may be answered is answered less."""
        if self._telling[spot.chat] >= MOST_TOLD:
            return
        self._telling[spot.chat] += 1
        try:
            async with self._order.setdefault(spot.chat, asyncio.Lock()):
                for piece in pieces:
                    await self._tell(spot, piece)
        finally:
            self._telling[spot.chat] -= 1
            if not self._telling[spot.chat]:
                del self._telling[spot.chat], self._order[spot.chat]

    async def _tell(self, spot: Spot, piece: Piece) -> None:
        for failures in range(1, TELLING + 1):
            try:
                await self.write(spot, piece)
                return
            except DeliveryError as error:
                if error.final:
                    log.warning("channel %s: chat %d could not be told: %s", self._key, spot.chat, error)
                    return
                await self._clock.sleep(max(client.backoff(failures), error.retry_after or 0.0))

    # ── what is shown meanwhile ──────────────────────────────────────────────────────────────────

    async def typing(self, spot: Spot) -> None:
        """Shown by the service for five seconds; several turns that wait in one chat show it once."""
        pace, now = self._pace(spot.chat), self._clock.monotonic()
        if now - pace.typed < TYPING - 0.1:
            return
        before, pace.typed = pace.typed, now

        async def act(chat: int) -> None:
            await self._line.bot.send_chat_action(chat, "typing", message_thread_id=spot.topic)

        if not await self._perhaps(spot, act):
            pace.typed = before

    async def draft(self, spot: Spot, number: int, piece: Piece) -> bool:
        """What there is of an answer; in private chats only, and gone by itself. False where it was dropped."""

        async def act(chat: int) -> None:
            bot, entities = self._line.bot, piece.entities or None
            await bot.send_message_draft(chat, number, piece.text, spot.topic, entities=entities)

        return await self._perhaps(spot, act)

    async def _perhaps(self, spot: Spot, act: Callable[[int], Awaitable[None]]) -> bool:
        """Does it, or does without it: replies must never wait for what is only shown."""
        if self.rests(spot.chat) or self._shown >= SHOWN:
            return False
        self._shown += 1
        try:
            await self._call(spot.chat, act)
        except (DeliveryError, client.BadRequest) as error:
            log.debug("channel %s: not shown: %s", self._key, self._line.words(error))
            return False
        finally:
            self._shown -= 1
        return True

    def rests(self, chat: int) -> float:
        """Seconds that a chat must still be left alone."""
        pace = self._paces.get(self.now_at(chat))
        return max(pace.until - self._clock.monotonic(), 0.0) if pace is not None else 0.0

    # ── limits and errors ────────────────────────────────────────────────────────────────────────

    def _spend(self, spot: Spot) -> None:
        """One message of what the chat may take now."""
        pace, now = self._pace(spot.chat), self._clock.monotonic()
        each = PRIVATE if spot.private else GROUP
        pace.left, pace.at = min(float(BURST), pace.left + (now - pace.at) / each), now
        if pace.left < 1.0:
            wait = (1.0 - pace.left) * each
            raise DeliveryError(f"chat {spot.chat} has had its share; more in {wait:.1f} s", retry_after=wait)
        pace.left -= 1.0

    def _pace(self, chat: int) -> Pace:
        chat = self.now_at(chat)
        pace = self._paces.setdefault(chat, Pace(float(BURST), self._clock.monotonic()))
        self._paces.move_to_end(chat)
        while len(self._paces) > MOST_CHATS:
            self._paces.popitem(last=False)
        return pace

    async def _call(self, chat: int, act: Callable[[int], Awaitable[Got]]) -> Got:
        """One call about a chat. Raises DeliveryError for everything but BadRequest, which its caller reads."""
        if (rest := self.rests(chat)) > 0:
            raise DeliveryError(f"chat {chat} is left alone for {rest:.0f} s more", retry_after=rest)
        for _ in range(2):
            try:
                async with self._lines:
                    return await self._watched(act(self.now_at(chat)))
            except client.ChatMigrated as error:
                await self.move(self.now_at(chat), error.new_chat_id)
            except client.BadRequest:
                raise
            except client.TelegramError as error:
                raise self._failed(chat, error) from None
        raise DeliveryError(f"group {chat} moved twice at once")

    async def _watched(self, call: Awaitable[Got]) -> Got:
        self._under_way += 1
        self._idle.clear()
        try:
            return await call
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def idle(self) -> None:
        """Until no call is under way."""
        await self._idle.wait()

    def _failed(self, chat: int, error: client.TelegramError) -> DeliveryError:
        words = self._line.words(error)
        match error:
            case client.RetryAfter():
                wait = client.wait_of(error)
                self._pace(chat).until = self._clock.monotonic() + wait
                return DeliveryError(f"Telegram wants chat {chat} left alone for {wait:g} s", retry_after=wait)
            case client.Forbidden():
                return DeliveryError(f"chat {chat} does not take messages of the bot: {words}", final=True)
            case client.InvalidToken():
                return DeliveryError("Telegram refused the bot's token", retry_after=REVOKED)
        if client.is_unsure(error):
            return Unsure(f"Telegram did not confirm it: {words}")
        return DeliveryError(f"Telegram could not be reached: {words}")

    def _refused(self, error: client.BadRequest) -> DeliveryError:
        return DeliveryError(f"Telegram refused the message: {self._line.words(error)}", final=True)
