"""When a session is made short, and what the person is told of it: before a turn, when the model's window is full, on
command, and while nothing is going on.

Its law: a failure leaves the session as it is and is never raised, but counted: after three in a row, or where the turn
could not go on, the older part is left out without a summary, and whoever talks there is told. How a summary is made
stands in `compaction`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from openclaw import compaction
from openclaw.errors import ProviderError
from openclaw.fallback import Models
from openclaw.manifest.snapshot import CompactionLimits
from openclaw.transcript import Log

FAILURES = 3  # in a row, before the older part is left out without a summary
IDLE = 0.7  # of `at_tokens`: what is worth summing up while nothing is going on

TRIMMED = (
    "The older part of this conversation could not be summarised and was left out; /undo-compact brings it back, and "
    "/compact tries again."
)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Failures:
    """By session, in a row and in memory."""

    counted: dict[str, int] = field(default_factory=dict)

    def another(self, session: str) -> int:
        self.counted[session] = self.counted.get(session, 0) + 1
        return self.counted[session]

    def over(self, session: str) -> None:
        self.counted.pop(session, None)


class Shortening:
    """Of one session in one turn. `notes` are for the person."""

    def __init__(self, log: Log, models: Models, limits: CompactionLimits, failures: Failures) -> None:
        self._log = log
        self._models = models
        self._limits = limits
        self._failures = failures
        self.notes: list[str] = []

    async def before_turn(self) -> None:
        if not compaction.due(self._log, self._limits):
            return
        try:
            await self._shorten(self._limits.keep_tokens)
        except ProviderError as error:
            if self._failures.another(self._log.session) >= FAILURES:
                await self._trim(self._limits.keep_tokens, error)

    async def at_window(self) -> bool:
        """The model can be sent no more: whether it is less now."""
        keep = min(self._limits.keep_tokens, compaction.tokens(self._log) // 3)
        try:
            return await self._shorten(keep)
        except ProviderError as error:
            return await self._trim(keep, error)

    async def while_idle(self) -> None:
        """May be cancelled at any time: then nothing was written, or all of it."""
        if compaction.due(self._log, self._limits, share=IDLE):
            try:
                await self._shorten(self._limits.keep_tokens)
            except ProviderError as error:
                log.info("the summary of %s failed: %s", self._log.session, error)

    async def asked(self) -> str:
        before = compaction.tokens(self._log)
        try:
            done = await self._shorten(self._limits.keep_tokens)
        except ProviderError as error:
            return f"The conversation was left as it is: {error}"
        if not done:
            return "There is nothing to shorten yet: the newest part is kept as it is."
        return (
            f"Shortened from about {before:,} to {compaction.tokens(self._log):,} tokens. The full text stays on disk."
        )

    async def taken_back(self) -> str:
        if not await compaction.undo(self._log):
            return "There is no summary to take back."
        now = compaction.tokens(self._log)
        return f"The summary was taken back: the conversation has about {now:,} tokens again."

    async def _shorten(self, keep_tokens: int) -> bool:
        try:
            done = await compaction.compact(self._log, self._models, keep_tokens, self._limits.mode)
        except ProviderError as error:
            log.warning("the summary of %s failed: %s", self._log.session, error)
            raise
        self._failures.over(self._log.session)
        return done is not None

    async def _trim(self, keep_tokens: int, error: ProviderError) -> bool:
        self._failures.over(self._log.session)
        if await compaction.trim(self._log, keep_tokens, str(error)) is None:
            return False
        self.notes.append(TRIMMED)
        return True
