"""What becomes of a message that waits while its agent is taken away, and comes back perhaps. Pure.

The law: it is answered once, by the agent it was for or by whoever answers what its sender says there next, in the
session of whoever answers. What was begun and may have had its effect is not begun again elsewhere; that is told.
Runs of heartbeats are not rerouted: their own manifest says who runs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openclaw import commands
from openclaw.messages import Intent, Message, Refused, Route
from openclaw.ports import Queued
from openclaw.sessions.standing import standing
from openclaw.sessions.words import gone
from openclaw.transcript import Transcript

NOTHING = "so there is nothing left to do this with"
BEGUN = (
    "and its answer to this was cut off. What it had begun may have had its effect, so nobody begins it again. "
    "Send the message again if it is still wanted."
)
NOBODY = "and nobody else answers this here"


@dataclass(frozen=True, slots=True)
class Rerouting:
    """`known` tells the agents there are; `routed` who answers a message as it came, and `instead` who does where its
    agent is gone."""

    known: Callable[[str], bool]
    routed: Callable[[Message], Route | Refused]
    instead: Callable[[Queued], Route | Refused]

    def concerns(self, queued: Queued) -> bool:
        """Whether its transcript has to be looked at."""
        message, route = queued.message, queued.route
        if message.heartbeat is not None or message.told:
            return False
        return not self.known(route.agent) or (bool(route.instead) and self.known(route.instead))

    def way(self, queued: Queued, transcript: Transcript) -> Route | str | None:
        """The way it goes from here, or why it is not answered; None where it is answered here."""
        return self._back(queued, transcript) if self.known(queued.route.agent) else self._away(queued, transcript)

    def _back(self, queued: Queued, transcript: Transcript) -> Route | None:
        """Its own agent came back before another had begun to answer."""
        routed = self.routed(queued.message)
        back = isinstance(routed, Route) and routed.agent == queued.route.instead
        return routed if back and isinstance(routed, Route) and not transcript.begun(queued.id) else None

    def _away(self, queued: Queued, transcript: Transcript) -> Route | str | None:
        agent, line = queued.route.agent, commands.read(queued.route.text)
        if line is not None and line.name in commands.NAMES:
            return None if line.name == "new" else gone(agent, NOTHING) + "."
        how = standing(queued, transcript)
        if how == "answered":
            return None  # only that it is told is lacking
        if how != "new" and _has_acted(queued, transcript):
            return gone(agent, BEGUN)
        routed = self.instead(queued)
        return gone(agent, f"{NOBODY}: {routed.reason}") if isinstance(routed, Refused) else routed


def _has_acted(queued: Queued, transcript: Transcript) -> bool:
    return any(isinstance(entry, Intent) for entry in transcript.turn(queued.id))
