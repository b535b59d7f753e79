"""What the faces of the REPL share: a typed text as a message, who can be asked, and which answers were shown."""

from __future__ import annotations

import secrets
import sys
from collections import OrderedDict

from openclaw.clock import Clock
from openclaw.messages import Address, Approval, Message, Reply, Text
from openclaw.ports import ChannelOptions

_REMEMBERED = 1000  # shown answers; a reply is acknowledged within seconds of its turn's end


def person(options: ChannelOptions) -> Address:
    return Address(options.key, "local")


def can_ask() -> bool:
    """Whether a person sits at this process: one who reads what it says and can type an answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def typed(text: str, options: ChannelOptions, clock: Clock, *, can_ask: bool = True) -> Message:
    return Message(
        id=secrets.token_hex(16),
        sender=person(options),
        parts=(Text(text),),
        at=clock.now(),
        agent=options.options.get("agent"),
        session=options.options.get("session"),
        can_ask=can_ask,
    )


def may_answer(approval: Approval, options: ChannelOptions) -> bool:
    return str(person(options)) in approval.approvers


def provenance(reply: Reply) -> str:
    """Why a reply appears that nobody here waits for."""
    if reply.answers is not None:
        notes = ["an answer to an earlier message"]
    elif reply.session.startswith("cron:"):
        notes = [f"heartbeat {reply.session.removeprefix('cron:')}"]
    else:
        notes = ["unasked"]
    if reply.repeated:
        notes.append("may be a repetition")
    return ", ".join(notes)


class Shown:
    """The answers that are on the screen already, by the id of the message they answer."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, id: str | None) -> None:
        if id is not None:
            self._ids[id] = None
            while len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)

    def __contains__(self, id: str | None) -> bool:
        return id in self._ids
