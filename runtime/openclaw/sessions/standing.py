"""How a message that is taken up stands in its session, and what is therefore done with it. Pure.

The law: what nobody answered is never given the answer to something else. A turn is taken up where it was left only
while nothing was said after it; one that came to its answer lacks only that; else its words are said anew. The last
attempt is made without those that it was answered with before, so that no other is blamed for it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from openclaw.ports import Fits, Queued
from openclaw.sessions.line import ATTEMPTS, Line
from openclaw.transcript import Transcript

Standing: TypeAlias = Literal["new", "open", "answered", "passed", "blamed"]
"""Not begun here; begun last; answered; begun, and others after it; begun last, and to be tried without its others."""


def standing(queued: Queued, transcript: Transcript) -> Standing:
    if not transcript.begun(queued.id):
        return "new"
    if transcript.answer(queued.id) is not None:
        return "answered"
    if queued.attempts >= ATTEMPTS and len(transcript.together(queued.id)) > 1:
        return "blamed"
    return "open" if transcript.latest(queued.id) else "passed"


def cut_off(queued: Queued, transcript: Transcript) -> bool:
    """Whether a crash ended its turn. What was taken up and not begun has had no effect, unless it was the check of a
    heartbeat."""
    how = standing(queued, transcript)
    return queued.attempts > 1 and how != "answered" and (how != "new" or queued.message.heartbeat is not None)


def together(queued: Queued, transcript: Transcript, line: Line) -> Fits | None:
    """What is answered with it from the start; None for nothing."""
    match standing(queued, transcript):
        case "new":
            return unbegun(line.beginning(queued, ()), transcript)
        case "blamed":
            return None
        case _:
            return line.beginning(queued, transcript.together(queued.id))


def unbegun(fits: Fits | None, transcript: Transcript) -> Fits | None:
    """What was begun before and waits again, because it was put aside, is answered for itself."""
    return None if fits is None else lambda queued: not transcript.begun(queued.id) and fits(queued)
