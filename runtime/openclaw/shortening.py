"""When a session is made short, and what the person is told of it: before a turn, when the model's window is full, on
command, and while nothing is going on.

Its law: what it takes is not the turn's time, but has a bound of its own; what was summed up by then is kept, and gone
on with the next time. A failure leaves the session as it is. Those of the summary itself are counted: after three in a
row, or where the turn could not go on, the rest is left out without a summary, and whoever talks there is told, with
the first reply that reaches them. Where the model cannot be asked at all nothing is counted and nothing left out, for
the turn fails as well and can be tried again. How a summary is made stands in `compaction`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from openclaw import compaction
from openclaw.errors import ProviderError
from openclaw.fallback import Models
from openclaw.manifest.snapshot import CompactionLimits
from openclaw.messages import SILENT, AssistantEntry, Compaction, Draft, Undone
from openclaw.summing import Unfinished
from openclaw.transcript import DECLINED, Log, Transcript, calls, paid, text_of

FAILURES = 3  # in a row, before the older part is left out without a summary
REMEMBERED = 1000  # sessions whose failures are counted
IDLE = 0.7  # of `at_tokens`: what is worth summing up while nothing is going on
PATIENCE = 240.0  # seconds before a turn, after which no other piece is asked for
ITS_OWN = ("truncated", "rejected", "context_window", "refused")  # faults of a summary; others are the turn's as well
LONGEST = 600.0  # the same where the model can be sent no more

TRIMMED = (
    "The older part of this conversation could not be summarised and was left out; /undo-compact brings it back, and "
    "/compact tries again."
)
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Failures:
    """By session, in a row and in memory."""

    counted: dict[str, int] = field(default_factory=dict)

    def another(self, session: str) -> int:
        times = self.counted.pop(session, 0) + 1
        self.counted[session] = times
        if len(self.counted) > REMEMBERED:
            del self.counted[next(iter(self.counted))]
        return times

    def given_up(self, session: str) -> bool:
        return self.counted.get(session, 0) >= FAILURES

    def over(self, session: str) -> None:
        self.counted.pop(session, None)


class Shortening:
    """Of one session in one turn."""

    def __init__(
        self, log: Log, models: Models, limits: CompactionLimits, failures: Failures, cost: float | None = None
    ) -> None:
        """`cost`: what all that is asked from now on may cost, in US dollars."""
        self._log = log
        self._models = models
        self._limits = limits
        self._failures = failures
        self._cost = cost
        self._begun = len(log.transcript.entries)

    async def before_turn(self) -> None:
        if not compaction.due(self._log, self._limits):
            return
        try:
            await self._shorten(self._keep, self._for(PATIENCE), 2 * PATIENCE)
        except Unfinished:
            log.info("the summary of %s is gone on with before the next turn", self._log.session)
        except ProviderError as error:
            if error.fault in ITS_OWN and self._failures.another(self._log.session) >= FAILURES:
                await self._trim(self._keep, str(error))

    async def at_window(self) -> bool:
        """The model can be sent no more: whether it is less now. Raises ProviderError where it cannot be asked."""
        keep = min(self._limits.keep_tokens, compaction.tokens(self._log) // 3)
        try:
            return await self._shorten(keep, self._for(LONGEST))
        except Unfinished:
            return not self._dear() and await self._trim(keep, "it took too long")
        except ProviderError as error:
            if error.fault not in ITS_OWN:
                raise
            return await self._trim(keep, str(error))

    async def while_idle(self) -> None:
        """May be cancelled at any time: then no part of a summary was written, or all of it. After as many failures as
        before a turn it is left to that."""
        if self._failures.given_up(self._log.session) or not compaction.due(self._log, self._limits, share=IDLE):
            return
        try:
            await self._shorten(self._keep, self._affordable)
        except Unfinished:
            pass
        except ProviderError as error:
            if error.fault in ITS_OWN:
                self._failures.another(self._log.session)

    async def asked(self, message: str) -> str:
        """The command `message` wants it; done once, also where a crash came between."""
        before = compaction.tokens(self._log)
        if self._log.transcript.begun(message):
            return f"Shortened to about {before:,} tokens. The full text stays on disk."
        try:
            done = await self._shorten(self._keep, self._affordable, message=message)
        except Unfinished:
            return "The conversation was left as it is: a summary costs more than is allowed. /compact goes on with it."
        except ProviderError as error:
            return f"The conversation was left as it is: {error}"
        if not done:
            return "There is nothing to shorten yet: the newest part is kept as it is."
        return (
            f"Shortened from about {before:,} to {compaction.tokens(self._log):,} tokens. The full text stays on disk."
        )

    async def taken_back(self, message: str) -> str:
        """As `asked`."""
        if not self._log.transcript.begun(message) and not await compaction.undo(self._log, message):
            return "There is no summary to take back."
        now = compaction.tokens(self._log)
        return f"The summary was taken back: the conversation has about {now:,} tokens again."

    @property
    def _keep(self) -> int:
        return compaction.kept_tokens(self._log, self._limits)

    def _for(self, seconds: float) -> Callable[[], bool]:
        """Whether another piece may be asked for: so much time has not passed since now, nor is the limit reached."""
        clock = self._log.clock
        until = clock.monotonic() + seconds
        return lambda: clock.monotonic() < until and self._affordable()

    def _affordable(self) -> bool:
        return not self._dear()

    def _dear(self) -> bool:
        """Whether what was asked for up to now has cost what it may."""
        if self._cost is None:
            return False
        asked = filter(None, map(paid, self._log.transcript.entries[self._begun :]))
        cost, _ = self._models.cost(list(asked))
        return cost >= self._cost

    async def _shorten(
        self, keep_tokens: int, may: Callable[[], bool], longest: float = 2 * LONGEST, message: str = ""
    ) -> bool:
        """What is asked for is given up after `longest` seconds, and has failed then."""
        entries = self._log.transcript.entries
        begun = len(entries)
        mode = self._limits.mode
        try:
            done = await self._within(
                longest, compaction.compact(self._log, self._models, keep_tokens, mode, may, message)
            )
        except ProviderError as error:
            if any(isinstance(entry, Compaction) for entry in entries[begun:]):  # it was written all the same
                self._failures.over(self._log.session)
                return True
            log.warning("the summary of %s failed: %s", self._log.session, error)
            if any(isinstance(entry, Draft) and entry.summary for entry in entries[begun:]):
                self._failures.over(self._log.session)  # it came further than the last time
            raise
        self._failures.over(self._log.session)
        return done is not None

    async def _within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        timer = asyncio.ensure_future(self._log.clock.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ProviderError("truncated", f"the summary was not done after {seconds:g} seconds")
            return task.result()
        finally:
            timer.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _trim(self, keep_tokens: int, why: str) -> bool:
        self._failures.over(self._log.session)
        return await compaction.trim(self._log, keep_tokens, why) is not None


def notes(transcript: Transcript, message: str) -> list[str]:
    """What the person has still to be told with the reply to this message: no reply before it can have told them."""
    begun, back = transcript.place(message), set[str]()
    for at in range(len(transcript.entries) - 1, -1, -1):
        match transcript.entries[at]:
            case Undone(compaction=id):
                back.add(id)
            case Compaction(trimmed=True, id=id) if id not in back:
                return [TRIMMED]
            case AssistantEntry() as answer if at < begun and _reached(answer):
                break
    return []


def _reached(answer: AssistantEntry) -> bool:
    """Whether the person was sent it."""
    ends = answer.stop_reason not in ("pause_turn", DECLINED) and not calls(answer.content)
    return ends and text_of(answer.content).strip() != SILENT
