"""A heartbeat's run as a message like any other, in a session of the heartbeat's own. Pure."""

from __future__ import annotations

from datetime import datetime

from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import Address, Message, Route, Text, escape

_BY_HAND = "-by-hand"


def message(heartbeat: Heartbeat, at: datetime, *, by_hand: bool = False) -> Message:
    """One id for one instant."""
    return Message(
        id=f"{heartbeat.name}@{at.isoformat()}{_BY_HAND if by_hand else ''}",
        sender=Address("cron", heartbeat.name),
        parts=(Text(heartbeat.prompt),),
        at=at,
        name=heartbeat.name,
        topic=heartbeat.topic,
        heartbeat=heartbeat.name,
        deliver=heartbeat.deliver,
    )


def by_hand(message: Message) -> bool:
    return message.id.endswith(_BY_HAND)


def route(heartbeat: Heartbeat) -> Route:
    return Route(heartbeat.agent, session(heartbeat), heartbeat.prompt)


def session(heartbeat: Heartbeat) -> str:
    return f"cron:{escape(heartbeat.name)}"
