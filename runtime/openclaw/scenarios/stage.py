"""What stands around the runtime of a conversation: its channels, its tools, and a memory of all that happened there.

The law: channels are in the process and only pass on; a tool that would touch the world gives the result that was laid
out for it, and without one it gives an error and leaves a trouble. Tools whose world is the workspace, the memory and
the reminders of the conversation are the real ones, unless a result is laid out for them, too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from openclaw import adapters
from openclaw.clock import Clock
from openclaw.messages import Address, Call, Reply, ToolResult, ToolSpec
from openclaw.ports import ChannelOptions, Operations, Place, Post
from openclaw.tools import memory

REAL: Final = frozenset({"files", "memory", "reminders"})  # kinds of tools that live in the conversation's own folder


@dataclass(frozen=True, slots=True)
class Said:
    """What reached somebody: a reply, or what a command answered at once."""

    text: str
    to: Address
    chat: str | None = None
    agent: str = ""
    failed: bool = False

    @classmethod
    def of(cls, reply: Reply) -> Said:
        return cls(reply.text, reply.to, reply.chat, reply.agent, reply.failed)


@dataclass(frozen=True, slots=True)
class Ran:
    """A tool ran."""

    tool: str
    input: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Stage:
    """`stubs`: by tool, what comes of one call after the other; of a single one, what comes of each."""

    stubs: Mapping[str, Sequence[ToolResult]]
    posts: dict[str, Post] = field(default_factory=dict)  # by channel
    said: deque[Said] = field(default_factory=deque)  # and was not expected yet
    ran: list[Ran] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # what makes the conversation worthless
    _made: dict[str, int] = field(default_factory=dict)  # how often each stub was called

    def kind(self, folder: str, name: str) -> Any:
        """The class of a kind, for a runtime on this stage."""
        match folder:
            case "channels":
                return partial(StageChannel, stage=self)
            case "tools":
                return partial(StageTools, kind=name, stage=self)
        return adapters.kind(folder, name)

    def result(self, tool: str) -> ToolResult | None:
        """What was laid out for the next call; None where nothing was for any."""
        laid_out = self.stubs.get(tool)
        if laid_out is None:
            return None
        made = self._made[tool] = self._made.get(tool, 0) + 1
        if len(laid_out) == 1:
            return laid_out[0]
        if made > len(laid_out):
            self.troubles.append(f"`{tool}` was called {made} times, and {len(laid_out)} results are given")
            return ToolResult("no result was given for this call", is_error=True)
        return laid_out[made - 1]


class StageChannel:
    """A channel of any kind, without its service."""

    def __init__(self, options: ChannelOptions, clock: Clock, stage: Stage) -> None:
        self._key = options.key
        self._stage = stage

    async def open(self) -> None:
        pass

    async def run(self, post: Post, operations: Operations) -> None:
        self._stage.posts[self._key] = post
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stage.posts.pop(self._key, None)

    async def send(self, reply: Reply) -> None:
        self._stage.said.append(Said.of(reply))

    async def close(self) -> None:
        pass


class StageTools:
    """The tools of one kind."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock, kind: str, stage: Stage) -> None:
        self._stage = stage
        self._real = adapters.kind("tools", kind)(specs, place, clock) if kind in REAL else None

    async def open(self) -> None:
        if self._real is None:
            return
        await self._real.open()
        if isinstance(self._real, memory.Tools) and self._real.ready is not None:
            self._real.ready.result()  # so that nothing depends on when another thread gets its turn

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        self._stage.ran.append(Ran(name, input))
        laid_out = self._stage.result(name)
        if laid_out is not None:
            return laid_out
        if self._real is not None:
            result: ToolResult = await self._real.run(name, input, call)
            return result
        self._stage.troubles.append(f"`{name}` would have touched the world: no result is given for it under `tools`")
        return ToolResult(f"`{name}` has no result here", is_error=True)

    async def close(self) -> None:
        if self._real is not None:
            await self._real.close()
