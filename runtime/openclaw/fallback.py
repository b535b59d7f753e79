"""Gets one whole answer from the first model that gives one: the agent's own, or else those that stand in for it.

The law: an attempt that failed leaves nothing behind; each model is asked again with growing pauses, less patiently
where another one can be asked; a model that stayed away rests for a while before it is asked first again. Whoever
waits is told so. All retries are made here: nothing below retries by itself. What is asked and what becomes of the
answer is the caller's.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw import logbook
from openclaw.clock import Clock
from openclaw.errors import ProviderError
from openclaw.messages import Retrying, TextDelta, ThinkingDelta, Usage, Waiting
from openclaw.metering import chat
from openclaw.ports import Alive, Completed, Provider, Request, Watcher
from openclaw.prompt import Voice

log = logging.getLogger(__name__)

BACKOFF = (1.0, 4.0, 15.0)  # seconds between attempts
HASTE = (1.0, 4.0)  # the same where another model can be asked
LONGEST_WAIT = 60.0  # seconds: a server that wants to be left alone for longer is not asked again now
SHORT_WAIT = 10.0  # the same where another model can be asked
PATIENCE = 60.0  # seconds of attempts after which another model is asked, where there is one
SILENCE = 90.0  # seconds without a sign of life after which another model is asked, where there is one
MARKS = (10.0, 30.0, 60.0)  # seconds without a word after which whoever waits is told, and after each further minute
REST = 60.0  # seconds of a model that stayed away; twice as long each time in a row
LONGEST_REST = 900.0  # unless the server itself named a longer time
LONGEST_NAMED = 3600.0
JITTER = 0.25  # a pause is longer by up to this share, so that many who failed together do not come back together


@dataclass(slots=True)
class _Resting:
    model: tuple[Provider, str]  # as it was asked: another one under the same alias, after a reload, does not rest
    until: float  # monotonic
    times: int


@dataclass(slots=True)
class Cooling:
    """Which models stayed away lately; in memory, for all sessions. `chance` gives numbers from 0 up to 1."""

    clock: Clock
    chance: Callable[[], float] = random.random
    _resting: dict[str, _Resting] = field(default_factory=dict)

    def order(self, voices: Sequence[Voice]) -> list[Voice]:
        """Those that do not rest as they come, then the others, the most rested first: in need they are asked too."""
        return sorted(voices, key=self.left)

    def left(self, voice: Voice) -> float:
        """Seconds that a model still rests."""
        resting = self._of(voice)
        return max(0.0, resting.until - self.clock.monotonic()) if resting else 0.0

    def _of(self, voice: Voice) -> _Resting | None:
        resting = self._resting.get(voice.alias)
        if resting is None or resting.model[0] is not voice.provider or resting.model[1] != voice.model:
            return None
        return resting

    def failed(self, voice: Voice, error: ProviderError) -> None:
        before = self._of(voice)
        times = before.times + 1 if before else 1
        named = min(error.retry_after or 0.0, LONGEST_NAMED)
        rest = max(min(REST * 2 ** min(times - 1, 10), LONGEST_REST), named)
        self._resting[voice.alias] = _Resting((voice.provider, voice.model), self.clock.monotonic() + rest, times)

    def answered(self, voice: Voice) -> None:
        self._resting.pop(voice.alias, None)

    def jittered(self, seconds: float) -> float:
        return seconds * (1.0 + JITTER * self.chance())


@dataclass(frozen=True, slots=True)
class Heard:
    done: Completed
    voice: Voice


@dataclass(slots=True)
class _Hearing:
    alive: float  # monotonic: the last sign of life
    said: float  # the last word that a person may be shown wherever they are
    doing: str = ""  # what the last sign of life was


class Models:
    """The models one session may be answered by, the agent's own first. `before` each attempt is called, and may raise
    OverBudget: then nothing is asked."""

    def __init__(
        self, voices: Sequence[Voice], cooling: Cooling, tell: Watcher, before: Callable[[], None] = lambda: None
    ) -> None:
        self.voices = tuple(voices)
        self._cooling = cooling
        self._clock = cooling.clock
        self._tell = tell
        self._before = before

    @property
    def own(self) -> Voice:
        return self.voices[0]

    def voice(self, setup: str) -> Voice | None:
        """Who answered with this setup."""
        return next((voice for voice in self.voices if voice.setup == setup), None)

    def cost(self, asked: Sequence[tuple[str, Usage]]) -> tuple[float, bool]:
        """US dollars of answers, each with its setup, as far as they are known, and whether that is all: what is not
        known of another model, at the price of the own."""
        prices = [((self.voice(setup) or self.own).price or self.own.price, usage) for setup, usage in asked]
        known = [(price, usage) for price, usage in prices if price is not None]
        complete = len(known) == len(prices) and all(price.covers(usage) for price, usage in known)
        return sum((price.of(usage) for price, usage in known), 0.0), complete

    def aside(self) -> Models:
        """The same for a request whose words are nobody's to see."""
        tell = self._tell
        shown = (Retrying, Waiting)
        return Models(
            self.voices, self._cooling, lambda event: tell(event) if isinstance(event, shown) else None, self._before
        )

    def alone(self) -> Models:
        """Without those that stand in."""
        return Models(self.voices[:1], self._cooling, self._tell, self._before)

    async def ask(self, request: Callable[[Voice], Request]) -> Heard:
        """Raises ProviderError where none of them answers: that of the agent's own model, if it was asked."""
        order, fault = self._cooling.order(self.voices), None
        for at, voice in enumerate(order):
            others = order[at + 1 :]
            try:
                done = await self._insist(voice, request(voice), hasty=bool(others))
            except ProviderError as error:
                if (voice is self.own and not error.retryable) or error.fault == "budget":
                    raise
                if error.retryable:
                    self._cooling.failed(voice, error)
                fault = error if fault is None or voice is self.own else fault
                if others:
                    log.info("model %s: %s; %s is asked instead", voice.alias, error, others[0].alias)
                    self._tell(Retrying(f"{error}; asking `{others[0].alias}` instead", 0.0))
            else:
                self._cooling.answered(voice)
                return Heard(done, voice)
        assert fault is not None
        raise fault

    async def _insist(self, voice: Voice, request: Request, *, hasty: bool) -> Completed:
        began, longest = self._clock.monotonic(), SHORT_WAIT if hasty else LONGEST_WAIT
        for pause in (*(HASTE if hasty else BACKOFF), None):
            try:
                self._before()
                return await self._told(voice, self._attempt(voice, request, SILENCE if hasty else None))
            except ProviderError as error:
                wait = max(pause or 0.0, error.retry_after or 0.0)
                if pause is None or not error.retryable or wait > longest:
                    raise
                if hasty and self._clock.monotonic() - began > PATIENCE:
                    raise
                wait = self._cooling.jittered(wait)
                log.info("model %s: %s; it is asked again in %.1f s", voice.alias, error, wait)
                self._tell(Retrying(str(error), wait))
            await self._clock.sleep(wait)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _told(self, voice: Voice, attempt: Coroutine[Any, Any, Completed]) -> Completed:
        """What is to be known of an attempt by whoever looks for a fault."""
        began, alias = self._clock.monotonic(), voice.alias
        logbook.debug(log, "model asked", "model %s is asked", alias, model=voice.model, alias=alias)
        try:
            done = await attempt
        except ProviderError as error:
            seconds = round(self._clock.monotonic() - began, 3)
            words = "model %s gave no answer after %.1f s: %s"
            facts: dict[str, Any] = {"model": voice.model, "alias": alias, "fault": error.fault, "seconds": seconds}
            logbook.debug(log, "model failed", words, alias, seconds, error.fault, **facts)
            raise
        seconds, usage = round(self._clock.monotonic() - began, 3), done.usage
        logbook.debug(
            log,
            "model answered",
            "model %s answered after %.1f s: %d tokens read, %d written",
            alias,
            seconds,
            usage.input + usage.cache_read + usage.cache_write,
            usage.output,
            model=voice.model,
            alias=alias,
            seconds=seconds,
            stop=done.stop_reason,
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
        )
        return done

    async def _attempt(self, voice: Voice, request: Request, silence: float | None) -> Completed:
        """One answer. While no words come whoever waits is told, and after `silence` seconds without a sign of life
        it is given up: a model that thinks or writes a call is at work, and only seems to be silent."""
        now = self._clock.monotonic()
        heard = _Hearing(now, now)
        answer = self._hear(voice, request, heard)
        hearing, told = asyncio.ensure_future(chat(voice.provider, request, answer, self._clock)), 0.0
        try:
            while True:
                now = self._clock.monotonic()
                quiet, lifeless = now - heard.said, now - heard.alive
                told = told if quiet >= told else 0.0
                mark = next((mark for mark in MARKS if mark > told), told + MARKS[-1])
                if silence is not None and lifeless >= silence:
                    raise ProviderError("unreachable", f"`{voice.alias}` has said nothing for {lifeless:.0f} s")
                if quiet >= mark:
                    told = mark
                    self._tell(Waiting(mark, voice.alias, heard.doing if lifeless < MARKS[0] else ""))
                    continue
                left = mark - quiet if silence is None else min(mark - quiet, silence - lifeless)
                timer = asyncio.ensure_future(self._clock.sleep(left))
                await asyncio.wait({hearing, timer}, return_when=asyncio.FIRST_COMPLETED)
                timer.cancel()
                if hearing.done():
                    return hearing.result()
        finally:
            if not hearing.done():
                hearing.cancel()
                await asyncio.wait({hearing})
            if not hearing.cancelled():
                hearing.exception()  # whoever was cancelled is not told; asked for, so that nobody complains later

    async def _hear(self, voice: Voice, request: Request, heard: _Hearing) -> Completed:
        async for event in voice.provider.stream(request):
            if isinstance(event, Completed):
                return event
            heard.alive = self._clock.monotonic()
            match event:
                case TextDelta():
                    heard.said, heard.doing = heard.alive, ""
                case ThinkingDelta():
                    heard.doing = "thinking"
                case Alive(doing=doing):
                    heard.doing = doing
                    continue
            self._tell(event)
        raise ProviderError("truncated", "its answer ended without an end")
