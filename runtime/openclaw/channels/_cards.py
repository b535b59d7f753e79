"""Questions for approval as they stand in chats: what their buttons mean, also after a restart.

Law: a button carries an opaque token and nothing else. A card is bound to one question; when that question is asked
again after a restart, in the same session and about exactly the same call (`digest`), the card that stands there
serves on. Kept in the channel's notes. Knows no service: chats and messages are ids in text.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openclaw.asking import Place
from openclaw.clock import Clock
from openclaw.messages import Answer, Approval
from openclaw.ports import Notes, Operations

DOCUMENT = "cards"
MOST = 200  # cards that are kept; the oldest give way
AGAIN = 300.0  # seconds after the start in which a question that is asked again finds its card; later it gets a new one
ENDING = 5.0  # seconds that outcomes get at the end of a channel: nobody would write them into their cards later
STOPPING = 0.5  # and at a stop of the runtime, which is to be short


@dataclass(frozen=True, slots=True)
class Card:
    """`chat` and `message` are the service's own ids of where the buttons stand. `approval` is the id of the question
    in this process, "" until it is asked again."""

    token: str
    place: Place
    chat: str
    message: str
    session: str
    digest: str
    offers: tuple[Answer, ...]
    approval: str = ""


class Cards:
    def __init__(self, notes: Notes, clock: Clock) -> None:
        self._notes = notes
        self._clock = clock
        self._opened = clock.monotonic()
        self._cards: dict[str, Card] = {}  # by token

    async def open(self) -> None:
        """Reads what an earlier run left; those cards answer nothing until their question is asked again."""
        document = await self._notes.get(DOCUMENT)
        rows = document if isinstance(document, list) else []
        self._cards = {card.token: card for row in rows if (card := _card(row)) is not None}
        self._opened = self._clock.monotonic()

    def find(self, token: str) -> Card | None:
        return self._cards.get(token)

    def of(self, approval: str) -> list[Card]:
        """Every card of a question of this process."""
        return [card for card in self._cards.values() if card.approval == approval]

    def left(self) -> list[Card]:
        """Cards of an earlier run whose question was not asked again so far."""
        return [card for card in self._cards.values() if not card.approval]

    @property
    def lapsed(self) -> bool:
        """Whether those that are left will serve no question any more."""
        return self._clock.monotonic() - self._opened > AGAIN

    def rebind(self, approval: Approval, place: Place) -> Card | None:
        """The card that an earlier run put up for the same question at the same place, now bound to this one. Only
        shortly after the start: an old card far up in a chat would be seen by nobody."""
        if self.lapsed:
            return None
        for card in self.left():
            if (card.session, card.digest, card.place) == (approval.session, approval.digest, place):
                bound = replace(card, approval=approval.id, offers=approval.offers)
                self._cards[card.token] = bound
                return bound
        return None

    async def add(self, approval: Approval, place: Place, token: str, chat: str, message: str) -> Card:
        """Remembers a card that was put up; durable on return."""
        card = Card(token, place, chat, message, approval.session, approval.digest, approval.offers, approval.id)
        self._cards[token] = card
        while len(self._cards) > MOST:
            del self._cards[next(iter(self._cards))]
        await self._write()
        return card

    async def drop(self, cards: Iterable[Card]) -> None:
        """They are settled: their buttons mean nothing any more."""
        for card in cards:
            self._cards.pop(card.token, None)
        await self._write()

    async def _write(self) -> None:
        await self._notes.put(DOCUMENT, [_as_json(card) for card in self._cards.values()])


def new_token() -> str:
    """22 characters: short enough for every service's buttons, too many to guess."""
    return secrets.token_urlsafe(16)


def patience(operations: Operations) -> float:
    """Seconds that a channel which ends waits for the outcomes that are being written into its cards."""
    return STOPPING if operations.readiness().get("status") == "stopping" else ENDING


def _as_json(card: Card) -> Mapping[str, Any]:
    place = {"person": card.place.person, "chat": card.place.chat, "topic": card.place.topic}
    named = {name: getattr(card, name) for name in ("token", "chat", "message", "session", "digest")}
    return {**named, "place": place, "offers": list(card.offers)}


def _card(row: Any) -> Card | None:
    try:
        place = Place(row["place"]["person"], row["place"]["chat"], row["place"]["topic"])
        token, chat, message = (str(row[name]) for name in ("token", "chat", "message"))
        return Card(token, place, chat, message, str(row["session"]), str(row["digest"]), tuple(row["offers"]))
    except (KeyError, TypeError):
        return None
