"""All that is outside of the runtime, and outlives it: people, services, the effects of tools, and the evidence.

The law: what is noted here happened before the power went; a runtime that is dead changes nothing any more. Every place
where a crash may come asks `moment` or `step` first. What goes wrong is drawn from the seed alone.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from openclaw.messages import Accepted, Answered, Refused, Reply
from simulation.virtual_loop import PowerCut


@dataclass(slots=True)
class Update:
    """What somebody says on a channel, kept by its service until it is acknowledged."""

    tag: str
    sender: str
    text: str
    due: float  # on the loop's clock
    told: int = 0  # times it was acknowledged

    @property
    def plain(self) -> bool:
        return not self.text.startswith("/")


@dataclass(frozen=True, slots=True)
class Arrival:
    place: str
    answers: str | None
    text: str
    repeated: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Effect:
    tool: str
    n: str
    session: str
    call: str


@dataclass(slots=True)
class Evidence:
    """What really happened, for the judge."""

    accepted: dict[str, str] = field(default_factory=dict)  # inbox id of each tag
    answered: Counter[str] = field(default_factory=Counter)  # commands that acted at once
    refused: Counter[str] = field(default_factory=Counter)  # by code
    arrivals: list[Arrival] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    buried: set[tuple[str, str]] = field(default_factory=set)  # place and text that a channel will never take
    troubled: set[str] = field(default_factory=set)  # sessions whose model or tool was made to fail
    invalid: list[str] = field(default_factory=list)  # requests that no model would take
    retried: set[str] = field(default_factory=set)  # tags of what the operator had tried once more
    untold: set[str] = field(default_factory=set)  # effects that a model asked for again, and was told nothing of
    traces: list[str] = field(default_factory=list)  # errors that nobody expected
    faults: Counter[str] = field(default_factory=Counter)


class Outside:
    def __init__(self, seed: int, *, keep_trace: bool = False) -> None:
        self.chance = Random(f"{seed}-outside")
        self.names = Random(f"{seed}-names")
        self.found = Evidence()
        self.lanes: dict[str, list[Update]] = {}
        self.dead = False
        self.calm = False  # nothing goes wrong any more
        self.fuse: int | None = None  # steps until the power goes
        self.steps = 0
        self.asked = 0  # calls of models
        self.now: Callable[[], float] = lambda: 0.0
        self.off: Callable[[], None] = lambda: None
        self.trace: list[str] | None = [] if keep_trace else None
        self._digest = hashlib.sha256()

    # ── the evidence ─────────────────────────────────────────────────────────────────────────────

    def note(self, *what: object) -> None:
        if self.dead:
            return
        line = f"{self.now():.6f} {' '.join(map(str, what))}"
        self._digest.update(line.encode())
        if self.trace is not None:
            self.trace.append(line)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def acknowledged(self, update: Update, taken: Accepted | Answered | Refused) -> bool:
        """Whether the service lets go of it."""
        if self.dead:
            return False
        self.note("acknowledged", update.tag, type(taken).__name__, getattr(taken, "code", ""))
        match taken:
            case Accepted(id=id):
                self.found.accepted[update.tag] = id
            case Answered():
                self.found.answered[update.tag] += 1
            case Refused(code=code):
                self.found.refused[code] += 1
                return False
        update.told += 1
        return True

    def arrived(self, reply: Reply) -> None:
        if not self.dead:
            self.note("arrived", reply.place, reply.answers, reply.repeated, reply.text)
            self.found.arrivals.append(
                Arrival(str(reply.place), reply.answers, reply.text, reply.repeated, reply.failed)
            )

    def happened(self, effect: Effect) -> None:
        if not self.dead:
            self.note("effect", effect.tool, effect.n, effect.session, effect.call)
            self.found.effects.append(effect)

    def asked_for(self, n: str, session: str, told: bool) -> None:
        """A model's call; `told`: whether it can know that it asked for the same before."""
        if self.dead or told:
            return
        if any(effect.n == n and effect.session == session for effect in self.found.effects):
            self.found.untold.add(n)

    def troubles(self, session: str, what: str) -> None:
        if not self.dead:
            self.note("fault", what, session)
            self.found.troubled.add(session)
            self.found.faults[what] += 1

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────

    def draw(self, **odds: float) -> str:
        """One of the faults, or "" for none."""
        drawn = self.chance.random()
        for what, share in odds.items():
            if drawn < share:
                return "" if self.calm else what
            drawn -= share
        return ""

    def step(self, what: str) -> None:
        """May be the last thing that happens."""
        if self.dead:
            raise OSError(5, "Input/output error")
        self.note(what)
        if self._blown():
            raise PowerCut

    async def moment(self, what: str) -> None:
        """The same where nobody must hear of it: whoever waits here waits for ever."""
        self.note(what)
        if self.dead or self._blown():
            await asyncio.get_running_loop().create_future()

    def _blown(self) -> bool:
        self.steps += 1
        if self.fuse is None:
            return False
        self.fuse -= 1
        if self.fuse > 0:
            return False
        self.note("the power goes")
        self.found.faults["crash"] += 1
        self.dead = True
        self.off()
        return True
