"""The slash commands people type on any channel: their names, their help, how a line is read. Pure words.

`/stop`, `/status` and the others marked `at_once` act when they arrive, also while a turn runs. The
rest take their place in the session's queue. What a command does stands in `sessions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from openclaw.near import near

_LINE = re.compile(r"/([a-z][a-z0-9_-]{0,31})(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    argument: str
    help: str
    at_once: bool = True


COMMANDS: tuple[Command, ...] = (
    Command("help", "", "what you can type"),
    Command("new", "", "start afresh; the conversation so far is archived", at_once=False),
    Command("agents", "", "who can answer here"),
    Command("agent", "NAME", "talk to this agent from now on; without NAME, to the usual one"),
    Command("tools", "", "what the agent may use, and what it asks for first"),
    Command("status", "", "the runtime: model, queue, channels"),
    Command("usage", "", "what this conversation used, and what the agent cost today"),
    Command("compact", "", "summarise the older part of the conversation", at_once=False),
    Command("undo-compact", "", "take the last summary back", at_once=False),
    Command("memory", "QUERY", "search what was remembered; without QUERY, the latest"),
    Command("stop", "", "stop the answer that is being written"),
    Command("quit", "", "leave the terminal"),
)
NAMES = frozenset(command.name for command in COMMANDS)


def named(name: str) -> Command:
    return next(command for command in COMMANDS if command.name == name)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that begins like a command. `name` may be unknown."""

    name: str
    argument: str


def read(text: str) -> Line | None:
    """`/agent scout` -> Line("agent", "scout"). A path such as /etc/hosts is none, nor is what a space precedes."""
    found = _LINE.fullmatch(text.rstrip())
    if found is None:
        return None
    dashed = found[1].replace("_", "-")  # Telegram knows no dash in a command
    return Line(dashed if dashed in NAMES else found[1], (found[2] or "").strip())


def unknown(name: str, prefixes: Iterable[str]) -> str:
    """What to say about a command nobody knows."""
    known = [f"/{command}" for command in NAMES] + list(prefixes)
    others = [each for each in known if each != f"/{name}"]  # a prefix counts for nothing where an agent is named
    close = near(f"/{name}", others)
    hint = f" did you mean {close}?" if close else ""
    return f"there is no command /{name};{hint} /help lists what there is. To send it as text, put a space first."
