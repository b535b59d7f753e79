"""The person at this machine: a prompt on a terminal, plain lines through pipes.

Law: nothing is shown twice and nothing is lost. What a turn streams is shown as it comes; the durable
reply that follows is only acknowledged if it was shown to its end, and printed otherwise. Commands other
than /quit are not read here: every line is posted. Knows only `Post` and `Operations`.

Options: `history` (file of typed lines), `agent` and `session` (sent with every message).
"""

from __future__ import annotations

import os
import sys
from typing import Protocol

from openclaw.clock import Clock
from openclaw.messages import Reply
from openclaw.ports import ChannelOptions, Operations, Post


class _Front(Protocol):
    async def run(self, post: Post, operations: Operations) -> None: ...

    async def send(self, reply: Reply) -> None: ...


class Channel:
    """`run` returns when the person leaves: /quit, Ctrl-D, Ctrl-C twice, or the end of the piped input."""

    keeps = False

    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._front: _Front | None = None

    async def open(self) -> None:
        self._front = _front(self._options, self._clock)

    async def run(self, post: Post, operations: Operations) -> None:
        await self._opened().run(post, operations)

    async def send(self, reply: Reply) -> None:
        await self._opened().send(reply)

    async def close(self) -> None:
        self._front = None

    def _opened(self) -> _Front:
        if self._front is None:
            self._front = _front(self._options, self._clock)
        return self._front


def on_terminal() -> bool:
    """Whether a person sits at both ends, at a terminal that can move its cursor."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def _front(options: ChannelOptions, clock: Clock) -> _Front:
    if on_terminal():
        from openclaw.channels._terminal import Terminal  # prompt_toolkit and rich cost 200 ms; pipes need neither

        return Terminal(options, clock)
    from openclaw.channels._pipes import Pipes

    return Pipes(options, clock)
