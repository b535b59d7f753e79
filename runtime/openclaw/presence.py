"""What a channel finds in the house: whether it takes part at all, and what it keeps across restarts.

Knows no channel but the terminal's.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from typing import Any

from openclaw.ports import ChannelOptions, Marks


class Notes:
    """What a channel keeps: documents among the marks, under the channel's own name."""

    def __init__(self, marks: Marks, key: str) -> None:
        self._marks = marks
        self._key = key

    async def get(self, name: str) -> Any:
        return (await self._marks.get(self._name(name)))[0]

    async def put(self, name: str, document: Any) -> None:
        while True:  # the channel is the only writer; what else there was is older
            _, version = await self._marks.get(self._name(name))
            if await self._marks.put(self._name(name), document, version):
                return

    def _name(self, name: str) -> str:
        return f"channel:{self._key}:{name}"


def sits_out(options: ChannelOptions, *, demo: bool, attended: Callable[[], bool] | None) -> str | None:
    """Why a channel takes no part, though nothing is wrong with it. `attended`: whether somebody sits at the terminal;
    None: looks whether one can."""
    if demo and not for_the_demo(options):
        return "the demo model only answers here and on loopback HTTP"
    if options.kind == "repl" and not (attended or _has_input)():
        return "the input is not a terminal"
    return None


def for_the_demo(options: ChannelOptions) -> bool:
    """Nobody but whoever tries it should meet an assistant that only plays at being one."""
    local = ("localhost", "127.0.0.1", "::1")
    return options.kind == "repl" or (options.kind == "http" and options.options["host"] in local)


def _has_input() -> bool:
    """Whether the terminal channel can take part: a terminal, or lines piped in. /dev/null is neither."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    if sys.stdin.isatty():
        return True
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
