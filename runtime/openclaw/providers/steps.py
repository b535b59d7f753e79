"""A model that says what it is given, one answer after another: for conversations that are asserted step by step.

The law: every request is answered by exactly one given answer, in the order in which they were asked. One that nothing
was given for waits, and `Steps.waiting` tells of it, so that whoever gives the answers can say which of them is missing
and where; nothing is ever made up. Answers may be laid out `ahead` of their requests. Knows no script and no scenario.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw.clock import Clock
from openclaw.errors import ProviderError, ProviderFault
from openclaw.messages import Block, TextDelta, Usage
from openclaw.ports import Completed, ProviderEvent, Request


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, and the tools that it asks for with it; or how the service fails."""

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    fault: ProviderFault | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A request that waits for its answer."""

    request: Request
    answer: asyncio.Future[Answer]


@dataclass(slots=True, eq=False)
class Steps:
    """The answers of all models of one conversation, across the lives of its runtime."""

    waiting: deque[Asked] = field(default_factory=deque)
    ahead: deque[Answer] = field(default_factory=deque)
    asked: list[Request] = field(default_factory=list)  # every request so far
    _calls: int = 0  # made so far: each has an id of its own

    def give(self, answer: Answer) -> bool:
        """Answers the oldest request; False where none waits."""
        while self.waiting:
            asked = self.waiting.popleft()
            if not asked.answer.done():
                asked.answer.set_result(answer)
                return True
        return False

    async def take(self, request: Request) -> Answer:
        self.asked.append(request)
        if self.ahead:
            return self.ahead.popleft()
        asked = Asked(request, asyncio.get_running_loop().create_future())
        self.waiting.append(asked)
        try:
            return await asked.answer
        finally:
            if asked in self.waiting:  # whoever asked has given it up
                self.waiting.remove(asked)

    def content(self, answer: Answer) -> tuple[Block, ...]:
        said: list[Block] = [{"type": "text", "text": answer.text}] if answer.text else []
        for name, input in answer.calls:
            self._calls += 1
            said.append({"type": "tool_use", "id": f"toolu_step_{self._calls}", "name": name, "input": dict(input)})
        return tuple(said)


class Provider:
    def __init__(self, options: Mapping[str, Any], clock: Clock) -> None:
        """`steps` is the `Steps` that it answers from."""
        self._steps: Steps = options["steps"]

    async def open(self) -> None:
        pass

    async def stream(self, request: Request) -> AsyncIterator[ProviderEvent]:
        answer = await self._steps.take(request)
        if answer.fault is not None:
            raise ProviderError(answer.fault, f"the step says: {answer.fault}")
        content = self._steps.content(answer)
        if answer.text:
            yield TextDelta(answer.text)
        yield Completed(content, "tool_use" if answer.calls else "end_turn", _usage(request, content), request.model)

    async def close(self) -> None:
        pass


def _usage(request: Request, content: tuple[Block, ...]) -> Usage:
    """Four characters a token, as a stand-in that grows as the real figure does."""
    asked = len(request.system) + sum(len(str(message["content"])) for message in request.messages)
    return Usage(input=asked // 4 + 1, output=len(str(content)) // 4 + 1)
