"""Which of the messages that wait in one session are answered together. Pure.

The law: only plain messages of one sender in the same mode go together, in their order, up to the first that does not
fit: nobody may cut another's answer short or speak in it, and what is done, remembered and asked for in a turn is so
for one person. A message that was tried before goes with none but those it was tried with, so that no other is blamed
for it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from openclaw import commands
from openclaw.manifest.people import person
from openclaw.manifest.snapshot import Queue, Snapshot
from openclaw.messages import Message
from openclaw.ports import Fits, Queued

MOST = 50  # messages that are answered together
ATTEMPTS = 3  # a message that was taken up this often without an end is put aside; the last time it goes alone
LONGEST = 256 * 1024  # characters of all of them


@dataclass(frozen=True, slots=True)
class Line:
    """`plain` says that every channel queues, as where a command asks one question and leaves."""

    snapshot: Snapshot
    plain: bool = False

    def mode(self, message: Message) -> Queue:
        channel = self.snapshot.channels.get(message.sender.channel)
        return "queue" if self.plain or channel is None or message.heartbeat is not None else channel.queue

    def same(self, one: Message, other: Message) -> bool:
        """Whether one sender said both; in private, one person on whatever channels."""
        if one.sender == other.sender:
            return one.chat == other.chat
        known = person(one.sender, self.snapshot)
        return one.chat is other.chat is None and known is not None and known == person(other.sender, self.snapshot)

    def beginning(self, first: Queued, known: Collection[str]) -> Fits | None:
        """What is answered with `first` from the start: where its turn was begun before, the `known` ones that it was
        begun with. None where that is nothing."""
        if known:
            return (lambda queued: queued.id in known) if len(known) > 1 else None
        mode = self.mode(first.message)
        together = mode in ("collect", "interrupt") and first.attempts == 1 and _is_plain(first)
        return self._behind(first, mode) if together else None

    def joining(self, first: Queued) -> Fits | None:
        """What joins the answer to `first` while it is written; None for nothing."""
        mode = self.mode(first.message)
        joins = mode in ("steer", "interrupt") and first.attempts < ATTEMPTS and _is_plain(first)
        return self._behind(first, mode) if joins else None

    def _behind(self, first: Queued, mode: Queue) -> Fits:
        left = LONGEST - len(first.route.text)

        def fits(queued: Queued) -> bool:
            nonlocal left
            left -= len(queued.route.text)
            plain = queued.attempts == 0 and left >= 0 and _is_plain(queued)
            alike = self.mode(queued.message) == mode and queued.route.agent == first.route.agent
            return plain and alike and self.same(first.message, queued.message)

        return fits


def is_command(text: str) -> bool:
    line = commands.read(text)
    return line is not None and line.name in commands.NAMES


def _is_plain(queued: Queued) -> bool:
    """Whether it is something said, and no command, heartbeat or what was told elsewhere."""
    message = queued.message
    return not (is_command(queued.route.text) or message.told or message.heartbeat is not None or message.deliver)
