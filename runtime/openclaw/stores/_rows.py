"""What rows of runtime.db say, as values, and what all stores have in common: the id of a message, and which reply goes
first.

Knows no transaction: it reads what it is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from openclaw.errors import QueueFull
from openclaw.messages import Address, Message
from openclaw.ports import Outgoing, Queued
from openclaw.stores import _codec as codec

if TYPE_CHECKING:
    import sqlite3


def too_many(waiting: int) -> QueueFull:
    return QueueFull(f"{waiting:,} messages wait here already; let some of them be answered first", waiting)


def inbox_id(message: Message) -> str:
    """The same for the same message, so that an accepted one can be named before it is looked up."""
    unique = json.dumps([message.sender.channel, message.id])
    return hashlib.sha256(unique.encode()).hexdigest()[:24]


def in_order(pending: Sequence[Outgoing], resting: Mapping[str, float]) -> list[tuple[Outgoing, float]]:
    """Each with the seconds until it may go: a reply never overtakes an earlier one to the same place that waits to be
    tried again."""
    held: dict[Address, float] = {}
    for outgoing in pending:
        if seconds := resting.get(outgoing.id):
            held[outgoing.reply.place] = max(seconds, held.get(outgoing.reply.place, 0.0))
    return [(outgoing, held.get(outgoing.reply.place, 0.0)) for outgoing in pending]


def queued_from(id: str, message: str, route: str, attempts: int) -> Queued:
    return Queued(id, codec.message_from(json.loads(message)), codec.route_from(json.loads(route)), attempts)


def outgoing_from(id: str, reply: str, tries: int, handed: int, created: str) -> Outgoing:
    kept = codec.reply_from(json.loads(reply))
    return Outgoing(id, replace(kept, repeated=True) if handed else kept, tries, codec.time_from(created))


def waiting_in(db: sqlite3.Connection, session: str | None) -> int:
    of = "" if session is None else " AND session = ?"
    count = db.execute(
        f"SELECT count(*) FROM inbox WHERE settled IS NULL AND state = 'queued'{of}",
        () if session is None else (codec.column(session),),
    )
    return int(count.fetchone()[0])


def was_restored(db: sqlite3.Connection, ids: Sequence[str]) -> bool:
    """Whether one of them was open in a backup that this was restored from."""
    return any(db.execute("SELECT 1 FROM inbox WHERE id = ? AND restored", (id,)).fetchone() for id in ids)
