"""One turn: model and tools, to and fro, until there is an answer.

The law: every entry is in the journal before anything follows from it; every call of a tool gets exactly one
result, also when the person stops the turn or the power goes. What the model can recover from is a result in
the transcript; what it cannot recover from ends the turn with words for the person. Limits are checked before
money is spent. Knows nothing of permissions, channels, the inbox or delivery.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from openclaw.errors import ProviderError
from openclaw.manifest.snapshot import Limits
from openclaw.messages import (
    AssistantEntry,
    Retrying,
    ToolCall,
    ToolResult,
    Usage,
    UserEntry,
)
from openclaw.names import fresh
from openclaw.ports import Completed, Perform, Request, Watcher
from openclaw.prompt import Voice
from openclaw.transcript import Log, Transcript, calls, text_of

BACKOFF = (1.0, 4.0, 15.0)  # seconds between attempts of one model call, beyond the provider's own retries
PARALLEL = 8  # calls of one answer that run at the same time

UNKNOWN = (
    "unknown: the runtime stopped while this ran, so it may have had its effect, in part or whole. "
    "It was not run again. Check before you repeat it."
)
STOPPED = "stopped by the person while this ran; it may have had part of its effect"
NOT_RUN = "not run: the turn ended before this call was begun"
CUT_OFF = "not run: the answer was cut off before this call was complete; make a shorter call"

Steer: TypeAlias = Callable[[], Awaitable[Sequence[UserEntry]]]
"""What people said meanwhile that joins this turn, each entry naming its message in `joined`. Asked for whenever the
results of an answer's calls are written, and what it gives is answered with the turn."""


async def nothing() -> Sequence[UserEntry]:
    """Nobody joins."""
    return ()


class TurnFailed(Exception):
    """The turn cannot go on; the text is for the person. Nothing half-said is in the transcript.

    `fault` is the model's, where it was one (`errors.ProviderFault`).
    """

    def __init__(self, message: str, *, fault: str = "") -> None:
        super().__init__(message)
        self.fault = fault


def _spent(transcript: Transcript, message: str) -> Usage:
    """What the model's answers to this message took so far, also before a crash."""
    spent = Usage()
    for entry in reversed(transcript.entries):
        if isinstance(entry, AssistantEntry):
            spent += entry.usage
        elif isinstance(entry, UserEntry) and entry.message == message:
            break
    return spent


async def abandon(log: Log) -> None:
    """Gives every open call its result after a turn was cancelled, so that the session can go on."""
    for call, begun in log.transcript.dangling():
        await log.result(call.id, ToolResult(STOPPED if begun else NOT_RUN, is_error=True))


class Turn:
    def __init__(
        self,
        voice: Voice,
        log: Log,
        perform: Perform,
        tell: Watcher,
        limits: Limits,
        steer: Steer = nothing,
    ) -> None:
        self._voice = voice
        self._log = log
        self._perform = perform
        self._tell = tell
        self._limits = limits
        self._steer = steer

    async def run(self, said: UserEntry) -> str:
        """The reply to `said`, whose turn is taken up where a crash left it. Raises TurnFailed."""
        if await self._take_up(said) and (answer := self._log.transcript.final_answer()):
            return self._words(answer)
        for _ in range(self._limits.iterations):
            self._mind_the_cost(said.message)
            answer = await self._listen()
            if wanted := calls(answer.content):
                await self._answer(wanted, run=answer.stop_reason == "tool_use")
            elif answer.stop_reason != "pause_turn":
                return self._words(answer)
        raise TurnFailed(
            f"I stopped after {self._limits.iterations} steps without coming to an answer. "
            "Say `go on` to continue, or raise limits.iterations of this agent."
        )

    def _mind_the_cost(self, message: str) -> None:
        """Checked before each call of the model, so that the last one may go beyond it."""
        limit, price = self._limits.cost, self._voice.price
        if limit is None or price is None:
            return
        cost = price.of(_spent(self._log.transcript, message))
        if cost >= limit:
            raise TurnFailed(f"I stopped: this has cost ${cost:.4f}; at most ${limit:g} is allowed (max_cost_usd).")

    # ── the person's side ────────────────────────────────────────────────────────────────────────

    async def _take_up(self, said: UserEntry) -> bool:
        """Writes the person's entry, or finds it written before a crash and closes what that left open."""
        log, resumed = self._log, self._log.transcript.begun(said.message)
        for call, begun in log.transcript.dangling():
            if begun or not resumed:
                await log.result(call.id, ToolResult(UNKNOWN if begun else NOT_RUN, is_error=True))
        if not resumed:
            await log.write(said)
        elif left := [call for call, _ in log.transcript.dangling()]:
            await self._answer(left, run=self._may_run(log.transcript))
        return resumed

    @staticmethod
    def _may_run(transcript: Transcript) -> bool:
        last = next(entry for entry in reversed(transcript.entries) if isinstance(entry, AssistantEntry))
        return last.stop_reason == "tool_use"

    def _words(self, answer: AssistantEntry) -> str:
        text = text_of(answer.content) or "(no text)"
        if answer.stop_reason == "max_tokens":
            text += f"\n\n(cut off: an answer has at most {self._limits.output_tokens} tokens; say `go on`)"
        return text

    # ── the model's side ─────────────────────────────────────────────────────────────────────────

    async def _listen(self) -> AssistantEntry:
        """One complete answer, in the journal. A failed attempt leaves nothing behind."""
        done = await self._complete()
        if done.stop_reason == "refusal":
            said = text_of(done.content)
            raise TurnFailed(f"The model declined to answer this.{f' It said: {said}' if said else ''}")
        entry = AssistantEntry(
            fresh(), self._log.clock.now(), done.content, done.model, done.stop_reason, done.usage, self._voice.setup
        )
        await self._log.write(entry)
        return entry

    async def _complete(self) -> Completed:
        for pause in (*BACKOFF, None):
            try:
                return await self._attempt()
            except ProviderError as error:
                if pause is None or not error.retryable:
                    text = f"I could not get an answer from the model: {error}"
                    raise TurnFailed(text, fault=error.fault) from error
                wait = max(pause, error.retry_after or 0.0)
                self._tell(Retrying(str(error), wait))
            await self._log.clock.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self) -> Completed:
        voice = self._voice
        request = Request(
            model=voice.model,
            system=voice.system,
            tools=voice.tools,
            messages=self._log.transcript.messages(voice.setup),
            max_tokens=self._limits.output_tokens,
            effort=voice.effort,
            session=self._log.session,
        )
        async for event in voice.provider.stream(request):
            if isinstance(event, Completed):
                return event
            self._tell(event)
        raise ProviderError("truncated", "its answer ended without an end")

    # ── the tools' side ──────────────────────────────────────────────────────────────────────────

    async def _answer(self, wanted: Sequence[ToolCall], *, run: bool) -> None:
        """Gives each call its result, and takes in what people said meanwhile: the model reads both together."""
        if run:
            await self._run(wanted)
        else:
            for call in wanted:
                await self._log.result(call.id, ToolResult(CUT_OFF, is_error=True))
        if said := await self._steer():
            await self._log.write(*said)

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
