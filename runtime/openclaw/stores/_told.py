"""How a delivered reply of a heartbeat enters the session of whoever got it. Pure; the same in every store."""

from __future__ import annotations

from datetime import datetime

from openclaw.messages import Address, Message, Reply, Route, Text, unescape


def telling(id: str, reply: Reply, now: datetime) -> tuple[Message, Route] | None:
    """The message, which the reply's own id makes unique, and its way; None where nothing is to be told.

    The heartbeat's name is the last part of the key of its own session.
    """
    if reply.told is None:
        return None
    name = unescape(reply.session.removeprefix("cron:"))
    message = Message(
        id=f"told-{id}",
        sender=Address("cron", name),
        parts=(Text(reply.told.text),),
        at=now,
        name=name,
        heartbeat=name,
        told=True,
        untrusted=reply.untrusted,
    )
    return message, reply.told
