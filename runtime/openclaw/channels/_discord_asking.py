"""Questions for approval as cards with buttons, and what comes of a press.

Law: who presses is judged by their number alone, never by what they can see or are called; the button must stand in
the message and channel it was put in; an answer counts once. Whoever may not answer is told so, unseen by others,
and the card stays. A card shows the whole call. Cards outlive the process: see `_cards.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any

from openclaw.asking import Place, places
from openclaw.channels._cards import Card, Cards, new_token
from openclaw.channels._discord_places import Places
from openclaw.channels._discord_words import LONGEST
from openclaw.channels._discord_writing import Button, Slip, Style, Writer
from openclaw.channels._split import split, utf16
from openclaw.clock import Clock
from openclaw.errors import ApprovalError, DeliveryError, DiskFull, StorageFailed
from openclaw.messages import Address, Answer, Approval, Asked, Progress, Settled
from openclaw.ports import Operations

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None]

ROOM = 200  # characters kept free for how it ended
AGAIN, LOOK = 10.0, 0.25  # seconds that a press on a card of an earlier run waits for its question, and between looks
PAUSES = (1.0, 5.0, 15.0)  # seconds before a card that could not be put up is tried again; the last again and again

BUTTONS: dict[Answer, tuple[str, Style]] = {
    "allow-once": ("Allow once", "success"),
    "allow-always": ("Always allow", "primary"),
    "deny": ("Deny", "danger"),
}
OUTCOMES = {
    "allow-once": "Allowed once",
    "allow-always": "Allowed, now and later",
    "deny": "Denied",
    "expired": "Nobody answered in time, so it was denied",
    "cancelled": "Not asked any more",
}
_FENCE = re.compile("`{3,}")

GONE = "This question is not open any more."
NOT_YOURS = "This is not yours to answer."
ELSEWHERE = "This button belongs to another message."


class Asking:
    def __init__(self, key: str, cards: Cards, known: Places, writer: Writer, clock: Clock) -> None:
        self._key, self._cards, self._known = key, cards, known
        self._writer, self._clock = writer, clock
        self._open: dict[str, Approval] = {}
        self._locks: dict[str, asyncio.Lock] = {}  # what happens to one question happens in order
        self._over: set[str] = set()  # settled, and what that means for the cards is still to be done
        self._closing: set[asyncio.Task[None]] = set()  # writes how it ended
        self._answerers: dict[str, str] = {}  # how whoever pressed is called, by question

    def listen(self, operations: Operations, spawn: Spawn) -> Callable[[], None]:
        """Begins to put up cards; call what is returned to stop."""

        def hear(event: Progress) -> None:
            match event:
                case Asked(approval=approval):
                    self._open[approval.id] = approval
                    spawn(self._in_turn(approval.id, lambda: self._put_up(approval)))
                case Settled(answer="cancelled") if operations.readiness().get("status") == "stopping":
                    pass  # it is asked again at the next start, on the card that stands there
                case Settled(approval=id, answer=answer, why=why):
                    self._over.add(id)
                    if (task := spawn(self._in_turn(id, lambda: self._settle(id, answer, why)))) is not None:
                        self._closing.add(task)
                        task.add_done_callback(self._closing.discard)

        return operations.questions(self._key, hear)

    async def close(self, within: float) -> None:
        """What has been settled by now is written into its cards, if that takes no longer than `within` seconds."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=within)

    async def _in_turn(self, id: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with self._locks.setdefault(id, asyncio.Lock()):
            try:
                await work()
            except StorageFailed:
                raise
            except Exception:
                log.exception("the card of question %s failed", id)

    # ── cards ────────────────────────────────────────────────────────────────────────────────────

    async def _put_up(self, approval: Approval) -> None:
        found = [(place, self._cards.rebind(approval, place)) for place in places(approval, self._key)]
        for place, card in found:
            await self._insist(approval, place, card)

    async def _insist(self, approval: Approval, place: Place, card: Card | None) -> None:
        """Tries until the card stands there, or nobody needs it any more. `card` is one of an earlier run."""
        for pause in itertools.chain(PAUSES, itertools.repeat(PAUSES[-1])):
            if approval.id in self._over:
                return
            try:
                if card is None or not await self._stands(card, approval):
                    card = None
                    await self._put(approval, place)
                return
            except DeliveryError as error:
                log.warning("question %s was not put to %s:%s: %s", approval.id, self._key, place.person, error)
                if error.final:
                    return
                await self._clock.sleep(max(pause, error.retry_after or 0.0))

    async def _stands(self, card: Card, approval: Approval) -> bool:
        """False where somebody deleted the card, or it cannot be changed: another one is needed."""
        text, buttons = (await self._pieces(approval))[-1], _buttons(card.token, approval)
        try:
            await self._writer.edit(int(card.chat), int(card.message), text, buttons=buttons)
        except DeliveryError as error:
            if not error.final:
                raise
            await self._cards.drop([card])
            return False
        return True

    async def _pieces(self, approval: Approval) -> list[str]:
        """A call may be long, and is cut beside the loop."""
        return await asyncio.to_thread(pieces, approval)

    async def _put(self, approval: Approval, place: Place) -> None:
        channel, token = await self._channel(place), new_token()
        *before, last = await self._pieces(approval)
        for number, text in enumerate(before):
            await self._writer.send(channel, text, nonce=f"{approval.id}-{number}"[-25:])
        message = await self._writer.send(channel, last, buttons=_buttons(token, approval))
        await self._cards.add(approval, place, token, str(channel), str(message))

    async def _channel(self, place: Place) -> int:
        if where := place.topic or place.chat:
            return int(where)
        person = int(place.person)
        return self._known.direct(person) or await self._writer.direct(person)

    async def _settle(self, id: str, answer: str, why: str) -> None:
        self._locks.pop(id, None)
        self._over.discard(id)
        approval, who = self._open.pop(id, None), self._answerers.pop(id, "")
        cards = self._cards.of(id)
        ending = f"**{OUTCOMES[answer]}**" + (f" by {who}" if who else "") + (f": {why}." if why else ".")
        text = f"{(await self._pieces(approval))[-1]}\n{ending}" if approval else ending
        for card in cards:
            await self._end(card, text)
        await self._cards.drop(cards)

    async def _end(self, card: Card, text: str) -> None:
        try:
            await self._writer.edit(int(card.chat), int(card.message), text, bare=True)
        except DeliveryError as error:
            log.warning("the card in %s could not be changed: %s", card.chat, error)

    # ── presses ──────────────────────────────────────────────────────────────────────────────────

    async def pressed(
        self, slip: Slip, id: str, by: tuple[int, str], at: tuple[int | None, int | None], operations: Operations
    ) -> None:
        """`id` is the button's, `by` who pressed and how they are called, `at` the channel and the message."""
        live = await self._acknowledged(slip)
        why = await self._judge(id, by, at, operations)
        if why and live:
            try:
                await self._writer.add(slip, why, hidden=True)
            except DeliveryError as error:
                log.warning("a press could not be answered: %s", error)

    async def _acknowledged(self, slip: Slip) -> bool:
        """False where the service has given up waiting; the press counts all the same."""
        try:
            await self._writer.acknowledge(slip, update=True)
        except DeliveryError as error:
            log.warning("a press could not be acknowledged: %s", error)
            return False
        return True

    async def _judge(
        self, id: str, by: tuple[int, str], at: tuple[int | None, int | None], operations: Operations
    ) -> str:
        """Why the press does not count; "" where it does."""
        token, _, number = id.partition(":")
        card = self._cards.find(token)
        if card is None or not number.isdecimal() or int(number) >= len(card.offers):
            return GONE
        if at != (int(card.chat), int(card.message)):
            return ELSEWHERE
        card = await self._asked_again(card)
        if card is None:
            return GONE
        who = Address(self._key, str(by[0]))
        if (approval := self._open.get(card.approval)) is not None and str(who) not in approval.approvers:
            return NOT_YOURS
        self._answerers[card.approval] = by[1]
        try:
            await operations.answer(card.approval, card.offers[int(number)], who)
        except (ApprovalError, DiskFull) as error:
            self._answerers.pop(card.approval, None)
            return str(error)
        return ""

    async def _asked_again(self, card: Card) -> Card | None:
        """The card, once its question is open in this process; None where that does not come."""
        found: Card | None = card
        until = self._clock.monotonic() + AGAIN
        while found is not None and not found.approval:
            if self._clock.monotonic() >= until:
                await self._end(found, f"**{OUTCOMES['cancelled']}**.")
                await self._cards.drop([found])
                return None
            await self._clock.sleep(LOOK)
            found = self._cards.find(card.token)
        return found


def pieces(approval: Approval) -> list[str]:
    """The question as messages; buttons stand under the last one. The call is whole, however long."""
    call = _FENCE.sub(lambda found: "\\`" * len(found[0]), "\n".join(approval.lines))  # cannot end its block
    told = f"**{approval.agent}** asks to run `{approval.tool}` ({approval.reason}):\n```\n{call}\n```"
    where = f"in `{approval.cwd}`" if approval.cwd else ""
    return split("\n".join(part for part in (told, where) if part), LONGEST - ROOM, utf16)


def _buttons(token: str, approval: Approval) -> list[Button]:
    return [Button(*BUTTONS[offer], f"{token}:{number}") for number, offer in enumerate(approval.offers)]
