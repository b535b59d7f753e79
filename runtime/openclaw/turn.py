"""One turn: model and tools, to and fro, until there is an answer.

The law: every entry is in the journal before anything follows from it; every call of a tool gets exactly one
result, also when the person stops the turn or the power goes. What the model can recover from is a result in
the transcript; what it cannot recover from ends the turn with words for the person. Limits are checked before
money is spent. Knows nothing of permissions, channels, the inbox or delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from openclaw.errors import OverBudget, ProviderError
from openclaw.fallback import LONGEST_WAIT, Heard, Models
from openclaw.manifest.snapshot import Limits
from openclaw.messages import AssistantEntry, Compaction, Draft, ToolCall, ToolResult, Usage, UserEntry
from openclaw.ports import Perform, Request
from openclaw.prompt import Voice
from openclaw.spending import cost_words
from openclaw.transcript import DECLINED, Log, Transcript, calls, text_of

FULL = "model_context_window_exceeded"  # why the model stopped: what it was sent and says fills its window
PARALLEL = 8  # calls of one answer that run at the same time

UNKNOWN = (
    "unknown: the runtime stopped while this ran, so it may have had its effect, in part or whole. "
    "It was not run again. Check before you repeat it."
)
STOPPED = "stopped by the person while this ran; it may have had part of its effect"
NOT_RUN = "not run: the turn ended before this call was begun"
CUT_OFF = "not run: the answer was cut off before this call was complete; make a shorter call"

Steer: TypeAlias = Callable[[], Awaitable[Sequence[UserEntry]]]
"""What people said meanwhile that joins this turn, each entry naming its message in `joined`. Asked for only where the
model is about to be asked again, so that it reads what it gives."""


async def nothing() -> Sequence[UserEntry]:
    """Nobody joins."""
    return ()


Shorten: TypeAlias = Callable[[], Awaitable[bool]]
"""Makes the conversation shorter than the model's window; False where that cannot be done. Raises ProviderError."""


async def no() -> bool:
    """It cannot be made shorter."""
    return False


class TurnFailed(Exception):
    """The turn cannot go on; the text is for the person. Nothing half-said is in the transcript.

    `fault` is the model's, where it was one (`errors.ProviderFault`).
    """

    def __init__(self, message: str, *, fault: str = "") -> None:
        super().__init__(message)
        self.fault = fault


def _asked(transcript: Transcript, message: str) -> list[tuple[str, Usage]]:
    """What the model's answers to this message took so far, also before a crash, each with its setup; with them the
    summary that was made for its sake."""
    asked, begun = [], False
    for entry in reversed(transcript.entries):
        if isinstance(entry, AssistantEntry) and not begun:
            asked.append((entry.setup, entry.usage))
        elif isinstance(entry, Compaction):
            asked.append(("", entry.usage))
        elif isinstance(entry, Draft):
            asked.append((entry.setup, entry.usage))
        elif begun:
            break
        begun = begun or (isinstance(entry, UserEntry) and entry.message == message)
    return asked


def _told(error: ProviderError, now: datetime) -> str:
    """For the person; where the service named a time that is too long to wait for, with that time."""
    if isinstance(error, OverBudget):
        return str(error)
    text = f"I could not get an answer from the model: {error}"
    if error.retry_after is None or error.retry_after <= LONGEST_WAIT:
        return text
    after = timedelta(seconds=min(error.retry_after, 366 * 24 * 3600.0))
    then = (now + after).strftime("%Y-%m-%d %H:%M UTC")
    return f"{text}. It can be asked again at {then}, in {max(1, round(error.retry_after / 60)):,} minutes."


def _declined(said: str = "", why: str = "") -> TurnFailed:
    because, words = f" ({why})" if why else "", f" It said: {said}" if said else ""
    text = f"The model declined to answer this{because}, and is not sent it again.{words}"
    return TurnFailed(text, fault="refused")


async def abandon(log: Log) -> None:
    """Gives every open call its result after a turn was cancelled, so that the session can go on."""
    for call, begun in log.transcript.dangling():
        await log.result(call.id, ToolResult(STOPPED if begun else NOT_RUN, is_error=True))


class Turn:
    def __init__(
        self,
        models: Models,
        log: Log,
        perform: Perform,
        limits: Limits,
        steer: Steer = nothing,
        shorten: Shorten = no,
    ) -> None:
        self._models = models
        self._log = log
        self._perform = perform
        self._limits = limits
        self._steer = steer
        self._shorten = shorten
        self._shortened = False
        self.by_now: Callable[[Voice], Voice] = lambda voice: (
            voice
        )  # as an edit leaves it to be asked, before each call
        self.left: Mapping[str, str] = {}  # by the call's id, what was found of it when the runtime started again
        self.figures: Callable[[], bool] = lambda: False  # whether whoever is told of a limit may know what it cost

    async def run(self, said: UserEntry, *, anew: bool = False) -> str:
        """The reply to `said`, whose turn is taken up where a crash left it, unless it is to be said `anew`. Raises
        TurnFailed."""
        if answer := self._log.transcript.answer(said.message):
            return self._words(answer)
        joining = await self._take_up(said, anew)
        for _ in range(self._limits.iterations):
            self._mind_the_cost(said.message)
            if joining and (more := await self._steer()):
                await self._log.write(*more)
            answer = await self._listen()
            if wanted := calls(answer.content):
                await self._answer(wanted, run=answer.stop_reason == "tool_use")
            if answer.stop_reason == FULL:
                return self._words(answer)
            if not wanted and answer.stop_reason != "pause_turn":
                return self._words(answer)
            joining = bool(wanted)
        raise TurnFailed(
            f"I stopped after {self._limits.iterations} steps without coming to an answer. "
            "Say `go on` to continue, or raise limits.iterations of this agent."
        )

    def _mind_the_cost(self, message: str) -> None:
        """Checked before each call of the model, so that the last one may go beyond it."""
        limit = self._limits.cost
        if limit is None:
            return
        cost, complete = self._models.cost(_asked(self._log.transcript, message))
        if cost < limit:
            return
        if not self.figures():
            raise TurnFailed("I stopped: this has reached what one run may cost (max_cost_usd).")
        told = cost_words(cost, complete)
        raise TurnFailed(f"I stopped: this has cost {told}; at most ${limit:g} is allowed (max_cost_usd).")

    # ── the person's side ────────────────────────────────────────────────────────────────────────

    async def _take_up(self, said: UserEntry, anew: bool) -> bool:
        """Writes the person's entry, or finds that its turn was begun before a crash, with nothing after it, and closes
        what that left open. Whether it was begun: then there may be what took the turn over."""
        log, resumed = self._log, self._log.transcript.latest(said.message) and not anew
        safe = {spec.name for spec in self._models.own.tools if spec.repeat == "safe"}
        for call, begun in log.transcript.dangling():
            if not resumed or (begun and call.name not in safe):
                await log.result(call.id, ToolResult(self._unknown(call) if begun else NOT_RUN, is_error=True))
        if not resumed:
            await log.write(said)
        elif left := [call for call, _ in log.transcript.dangling()]:
            await self._answer(left, run=self._may_run(log.transcript))
        return resumed

    def _unknown(self, call: ToolCall) -> str:
        return " ".join(filter(None, (UNKNOWN, self.left.get(call.id))))

    @staticmethod
    def _may_run(transcript: Transcript) -> bool:
        last = next(entry for entry in reversed(transcript.entries) if isinstance(entry, AssistantEntry))
        return last.stop_reason == "tool_use"

    def _words(self, answer: AssistantEntry) -> str:
        if answer.stop_reason == DECLINED:
            raise _declined()
        text = text_of(answer.content) or "(no text)"
        if answer.stop_reason == "max_tokens":
            text += f"\n\n(cut off: an answer has at most {self._limits.output_tokens} tokens; say `go on`)"
        if answer.stop_reason == FULL:
            text += "\n\n(cut off: the conversation is as long as the model can read; /new starts afresh)"
        return text

    # ── the model's side ─────────────────────────────────────────────────────────────────────────

    async def _listen(self) -> AssistantEntry:
        """One complete answer, in the journal. A failed attempt leaves nothing behind."""
        heard = await self._heard()
        done, declined = heard.done, heard.done.stop_reason == DECLINED
        id, now = self._log.chance.fresh(), self._log.clock.now()
        content = () if declined else done.content
        entry = AssistantEntry(id, now, content, done.model, done.stop_reason, done.usage, heard.voice.setup)
        await self._log.write(entry)
        if declined:
            raise _declined(text_of(done.content), done.why)
        return entry

    async def _heard(self) -> Heard:
        try:
            heard = await self._models.ask(self._request)
            if heard.done.stop_reason != FULL or not await self._made_shorter():
                return heard
            await self._drop(heard)
            return await self._models.ask(self._request)
        except ProviderError as error:
            if error.fault == "context_window" and await self._made_shorter():
                return await self._heard()
            raise TurnFailed(_told(error, self._log.clock.now()), fault=error.fault) from error

    async def _drop(self, heard: Heard) -> None:
        """It is no part of the conversation, and paid."""
        id, now = self._log.chance.fresh(), self._log.clock.now()
        await self._log.write(Draft(id, now, usage=heard.done.usage, setup=heard.voice.setup))

    async def _made_shorter(self) -> bool:
        """Once in a turn."""
        if self._shortened:
            return False
        self._shortened = True
        try:
            return await self._shorten()
        except ProviderError as error:
            raise TurnFailed(_told(error, self._log.clock.now()), fault=error.fault) from error

    def _request(self, voice: Voice) -> Request:
        voice = self.by_now(voice)
        return Request(
            model=voice.model,
            system=voice.system,
            tools=voice.tools,
            messages=self._log.transcript.messages(voice.setup),
            max_tokens=self._limits.output_tokens,
            effort=voice.effort,
            session=self._log.session,
        )

    # ── the tools' side ──────────────────────────────────────────────────────────────────────────

    async def _answer(self, wanted: Sequence[ToolCall], *, run: bool) -> None:
        """Gives each call its result."""
        if run:
            await self._run(wanted)
        else:
            for call in wanted:
                await self._log.result(call.id, ToolResult(CUT_OFF, is_error=True))

    async def _run(self, wanted: Sequence[ToolCall]) -> None:
        """Side by side; the model reads the results in the answer's order."""
        places = asyncio.Semaphore(PARALLEL)

        async def one(call: ToolCall) -> None:
            async with places:
                result = await self._perform(call, lambda: self._log.intent(call))
                await self._log.result(call.id, result)

        async with asyncio.TaskGroup() as group:
            for call in wanted:
                group.create_task(one(call))
