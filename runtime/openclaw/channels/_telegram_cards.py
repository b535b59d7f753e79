"""Questions for approval on Telegram: cards with buttons, and what a press of one means.

The law: a card shows the whole call. A button carries an opaque token; that it was pressed in the chat and on the
message where it stands, by somebody who may answer, is checked at every press, and a question is answered once. The
outcome is written into the card. A card outlives a restart and serves the same question again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from openclaw.asking import Place, places
from openclaw.channels import _telegram_client as client
from openclaw.channels import _telegram_words as words
from openclaw.channels._cards import Card, Cards, new_token
from openclaw.channels._telegram_outlet import Outlet
from openclaw.channels._telegram_reading import Pressed, Spot
from openclaw.clock import Clock
from openclaw.errors import ApprovalError, DeliveryError, DiskFull, StorageFailed
from openclaw.messages import Address, Answer, Approval, Asked, Progress, Settled
from openclaw.ports import Notes, Operations

log = logging.getLogger(__name__)

LABELS: dict[Answer, str] = {"allow-once": "Allow once", "allow-always": "Always allow", "deny": "Deny"}
DONE = {
    "allow-once": "allowed once",
    "allow-always": "allowed, from now on",
    "deny": "denied",
    "expired": "not answered in time",
    "cancelled": "withdrawn",
}
PATIENCE = 10.0  # seconds that a press waits for its question to be asked again after a restart
LOOK = 0.25  # seconds between two looks whether it was
ALERT = 200  # characters that an alert may have
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None]


class Questions:
    """`spawn` begins a task that ends with the channel."""

    def __init__(
        self, key: str, line: client.Line, outlet: Outlet, notes: Notes, clock: Clock, spawn: Spawn
    ) -> None:  # fmt: skip
        self._key = key
        self._line = line
        self._outlet = outlet
        self._clock = clock
        self._spawn = spawn
        self._cards = Cards(notes, clock)
        self._settled: dict[str, asyncio.Future[Settled]] = {}  # by approval
        self._following: dict[str, asyncio.Task[None]] = {}  # what puts it up and closes it, by approval
        self._pressers: dict[str, str] = {}  # who answered, by approval
        self._operations: Operations | None = None

    async def open(self) -> None:
        await self._cards.open()

    def listen(self, operations: Operations) -> Callable[[], None]:
        """Puts up every question from now on; call what is returned to stop."""
        self._operations = operations
        return operations.questions(self._key, self._watch)

    async def close(self, within: float) -> None:
        """What has been settled by now is written into its cards, if that takes no longer than `within` seconds."""
        ending = [task for id, task in self._following.items() if id in self._settled and self._settled[id].done()]
        if ending:
            await asyncio.wait(ending, timeout=within)

    def _watch(self, event: Progress) -> None:
        match event:
            case Asked(approval=approval) if approval.id not in self._settled:
                self._settled[approval.id] = asyncio.get_running_loop().create_future()
                if (task := self._spawn(self._follow(approval))) is not None:
                    self._following[approval.id] = task
            case Settled(approval=id) if id in self._settled and not self._settled[id].done():
                self._settled[id].set_result(event)

    async def _follow(self, approval: Approval) -> None:
        """One question, from its cards to its outcome on them."""
        settled = self._settled[approval.id]
        try:
            await asyncio.gather(*[self._put_up(approval, place) for place in places(approval, self._key)])
            await self._close(approval, await settled)
        finally:
            self._settled.pop(approval.id, None)
            self._following.pop(approval.id, None)
            self._pressers.pop(approval.id, None)

    # ── putting up ───────────────────────────────────────────────────────────────────────────────

    async def _put_up(self, approval: Approval, place: Place) -> None:
        if await self._stands(approval, place):
            return
        token = new_token()
        for failures in range(1, 100):
            try:
                message = await self._write(approval, place, token)
                await self._cards.add(approval, place, token, str(_spot(place).chat), str(message))
                return
            except DeliveryError as error:
                if error.final:
                    log.warning("channel %s: approval %s cannot be asked there: %s", self._key, approval.id, error)
                    return
                await self._clock.sleep(max(client.backoff(failures), error.retry_after or 0.0))
            if self._settled[approval.id].done():
                return

    async def _stands(self, approval: Approval, place: Place) -> bool:
        """Whether a card of an earlier run asks just this, and is still there."""
        card = self._cards.rebind(approval, place)
        if card is None:
            return False
        last = words.card(approval)[-1]
        try:
            there = await self._outlet.change(_spot(place), int(card.message), last, _keys(approval, card.token))
        except DeliveryError:  # the network is away: it will most likely be there
            return True
        if not there:
            await self._cards.drop([card])
        return there

    async def _write(self, approval: Approval, place: Place, token: str) -> int:
        spot, (*before, last) = _spot(place), words.card(approval)
        for piece in before:
            await self._outlet.write(spot, piece)
        return await self._outlet.write(spot, last, keys=_keys(approval, token))

    async def _close(self, approval: Approval, settled: Settled) -> None:
        """Writes the outcome into the cards. Those that a stop leaves open wait for the question to be asked again."""
        if settled.answer == "cancelled" and self._desk().readiness().get("status") == "stopping":
            return
        cards = self._cards.of(approval.id)
        by = self._pressers.get(approval.id, "")
        outcome = f"{DONE[settled.answer]}{f' by {by}' if by else ''}{f': {settled.why}' if settled.why else ''}"
        told = words.card(approval, outcome)[-1]
        await self._cards.drop(cards)
        for card in cards:
            await self._finish(card, told)

    async def _finish(self, card: Card, told: words.Piece) -> None:
        for failures in range(1, 6):
            try:
                await self._outlet.change(_spot(card.place), int(card.message), told)
                return
            except DeliveryError as error:
                if error.final:
                    return
                await self._clock.sleep(max(client.backoff(failures), error.retry_after or 0.0))

    # ── pressing ─────────────────────────────────────────────────────────────────────────────────

    async def press(self, pressed: Pressed) -> None:
        """Whatever comes of it, the person is told and the button stops spinning."""
        try:
            told, alert = await self._pressed(pressed)
        except StorageFailed:
            raise
        except Exception:
            log.exception("channel %s: a press could not be taken", self._key)
            told, alert = "Something went wrong here; the log has the details.", True
        try:
            await self._line.bot.answer_callback_query(pressed.query, told[:ALERT], show_alert=alert)
        except client.TelegramError as error:
            log.debug("channel %s: a press was not answered: %s", self._key, self._line.words(error))

    async def _pressed(self, pressed: Pressed) -> tuple[str, bool]:
        """What to tell the person, and whether they must see it."""
        token, _, number = pressed.data.partition(".")
        card = self._cards.find(token)
        if card is None:
            return "This question is gone.", True
        if (str(pressed.chat), str(pressed.message)) != (self._chat(card), card.message):
            log.warning("channel %s: %d pressed a button that does not stand there", self._key, pressed.presser)
            return "This button belongs to another message.", True
        if not card.approval and not self._cards.lapsed:
            card = await self._asked_again(card)
        if card.approval:
            return await self._answer(card, number, pressed)
        if not self._cards.lapsed:  # who may answer is known only when it is asked
            return "The runtime was restarted, and has not asked this again yet; try again soon.", True
        self._spawn(self._remove(card))
        return "This question is not open any more.", True

    async def _remove(self, card: Card) -> None:
        await self._cards.drop([card])
        await self._outlet.bare(_spot(card.place), int(card.message))

    async def _answer(self, card: Card, number: str, pressed: Pressed) -> tuple[str, bool]:
        answers = {str(n): answer for n, answer in enumerate(card.offers)}
        if number not in answers:
            return "This button means nothing.", True
        by = Address(self._key, str(pressed.presser))
        found = next((one for one in self._desk().approvals() if one.id == card.approval), None)
        if found is not None and str(by) not in found.approvers:
            log.warning("channel %s: %s may not answer approval %s and tried to", self._key, by, card.approval)
            return "This is not yours to answer.", True
        if card.approval in self._pressers:
            return "This was answered a moment ago.", True
        self._pressers[card.approval] = pressed.name
        try:
            await self._desk().answer(card.approval, answers[number], by)
        except BaseException as error:  # it may be open still
            self._pressers.pop(card.approval, None)
            match error:
                case ApprovalError():
                    return f"This cannot be answered any more: {error}", True
                case DiskFull():
                    return f"This is still open: {error}", True
            raise
        return f"{DONE[answers[number]].capitalize()}.", False

    async def _asked_again(self, card: Card) -> Card:
        """Waits a little for the question that a restart interrupted."""
        waited = 0.0
        while not card.approval and waited < PATIENCE:
            await self._clock.sleep(LOOK)
            waited += LOOK
            card = self._cards.find(card.token) or card
        return card

    def _chat(self, card: Card) -> str:
        return str(self._outlet.now_at(int(card.chat)))

    def _desk(self) -> Operations:
        assert self._operations is not None, "nothing is asked before the channel runs"
        return self._operations


def _spot(place: Place) -> Spot:
    chat = int(place.chat if place.chat is not None else place.person)
    return Spot(chat, chat > 0, int(place.topic) if place.topic is not None else None)


def _keys(approval: Approval, token: str) -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(LABELS[a], callback_data=f"{token}.{n}")] for n, a in enumerate(approval.offers)]
    return InlineKeyboardMarkup(rows)
