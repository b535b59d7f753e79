"""What people are told when no model speaks: that it was stopped, put aside, cut off, or went wrong."""

from __future__ import annotations

from collections.abc import Sequence

from openclaw.errors import OpenClawError
from openclaw.messages import Reply
from openclaw.ports import Queued
from openclaw.secrecy import SECRETS

NEW = "Started afresh. The conversation so far is kept in the archive; what was remembered stays remembered."
PARKED = "This message brought the runtime down three times. It was put aside so that others are answered; it is kept."
CUT_OFF = (
    "The answer to this was cut off when the runtime ended unexpectedly, and is not begun again by itself. What it "
    "had begun may have had its effect. Send the message again if it is still wanted."
)
DROPPED = "This message was taken out of the queue by the operator; nobody answers it."
NEWER = "a newer message came"
AWAY = "its agent was taken away"
UNDONE = "so this was not done: "  # and what it was


def gone(agent: str, why: str) -> str:
    """Of a message whose agent is gone, and that nobody answers."""
    return f"{agent} is no longer here, {why}"


def notice(rows: Sequence[Queued]) -> str:
    """Who answers instead of whom, in front of the reply; "" where it is whoever was asked."""
    gone = dict.fromkeys(row.route.instead for row in rows if row.route.instead)
    are = "are" if len(gone) > 1 else "is"
    return f"({' and '.join(gone)} {are} no longer here; {rows[0].route.agent} answers this.)\n\n" if gone else ""


def reply_to(queued: Queued, text: str, *, failed: bool = False) -> Reply:
    message = queued.message
    return Reply(
        to=message.sender,
        text=text,
        session=queued.route.session,
        agent=queued.route.agent,
        answers=queued.id,
        chat=message.chat,
        topic=message.topic,
        failed=failed,
    )


def wrong(error: Exception) -> str:
    """Of an error that nobody foresaw no more than its name is told."""
    known = SECRETS.mask(str(error)) if isinstance(error, OpenClawError) else ""
    return f"Something went wrong here: {known or f'{type(error).__name__}; the log has the details'}"
