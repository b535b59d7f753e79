"""Where a reply goes: back to whoever asked, or to whom a heartbeat is for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from openclaw.messages import SILENT, Address, Reply, Route
from openclaw.ports import Queued
from openclaw.transcript import Transcript

Enters = Callable[[Queued, Address, Reply], Route | None]
"""Where what is said at a place enters, so that whoever gets it can answer it."""


def lead(rows: Sequence[Queued], transcript: Transcript) -> Queued:
    """The one whose answer is shown while it is written: the first where it is being shown already, else the last."""
    return rows[0] if transcript.begun(rows[0].id) else rows[-1]


def deliveries(rows: Sequence[Queued], front: Queued, reply: Reply, enters: Enters) -> list[Reply]:
    """What is sent. A heartbeat's goes to whom it is for, unless it is silent or failed, which its owner is told
    instead."""
    queued = rows[0]
    if queued.message.deliver:
        return _told(queued, replace(reply, account=None), enters)
    return [] if queued.message.heartbeat is not None else _back(rows, front, replace(reply, account=None))


def _back(rows: Sequence[Queued], front: Queued, reply: Reply) -> list[Reply]:
    """Once to each place where it was asked, however many asked there, by the bot that was asked; nothing where it is
    fetched."""
    there: dict[tuple[Address, str | None, str], Reply] = {}
    for row in (front, *reversed(rows)):
        message = row.message
        if not message.fetched:
            to, chat, topic, bot = message.sender, message.chat, message.topic, message.bot
            own = replace(reply, to=to, chat=chat, topic=topic, answers=row.id, bot=bot)
            there.setdefault((own.place, topic, bot), own)
    return list(there.values())


def _told(queued: Queued, reply: Reply, enters: Enters) -> list[Reply]:
    if reply.text.strip() == SILENT or (queued.message.heartbeat is not None and reply.failed):
        return []
    told: dict[str, Route] = {}  # one person may be reached at several places
    replies = []
    for place in queued.message.deliver:
        here = enters(queued, place, reply)
        new = here is not None and here.session not in told
        replies.append(replace(reply, to=place, answers=None, told=here if new else None))
        told |= {here.session: here} if here is not None else {}
    return replies
