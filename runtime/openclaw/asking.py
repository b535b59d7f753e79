"""Where a question for approval is put, the same on every chat channel. Pure.

Law: whoever asked is asked where they wrote, if they may answer it and can be asked there; otherwise every other
approver on the channel is asked in private, and nobody else sees what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclaw.messages import Address, Approval


@dataclass(frozen=True, slots=True)
class Place:
    """A private chat with `person` (the channel's own id), or the group `chat` with its topic."""

    person: str
    chat: str | None = None
    topic: str | None = None


def places(approval: Approval, channel: str) -> tuple[Place, ...]:
    """Where this channel puts the question; none where it is put elsewhere."""
    asker = Address.parse(approval.sender)
    if approval.there and str(asker) in approval.approvers:
        here = asker.channel == channel
        return (Place(asker.id, approval.chat, approval.topic),) if here else ()
    approvers = (Address.parse(approver) for approver in approval.approvers)
    return tuple(Place(one.id) for one in approvers if one.channel == channel and (approval.there or one != asker))
