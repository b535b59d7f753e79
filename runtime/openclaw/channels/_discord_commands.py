"""Slash commands on Discord: the one table as the service wants it, and a used command as the line it stands for.

Pure. `/agent scout` typed and the command `agent` with the argument `scout` are the same to us.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from openclaw import commands
from openclaw.words import cut_to

TERMINAL_ONLY = ("quit",)
MOST = 100  # commands that the service takes
LONGEST = 100  # characters of a description
_NAME = re.compile(r"/([a-z][a-z0-9_]{0,31})")
_SERVER, _PRIVATE = 0, 1  # contexts: in servers, and in private with the bot


def table(known: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """What `Operations.commands` says, as application commands. Prefixes that are no slash commands are left out;
    they work when typed."""
    rows = []
    for shown, help in known:
        found = _NAME.fullmatch(shown)
        if found is not None and found[1] not in TERMINAL_ONLY:
            rows.append(_command(found[1], help))
    return rows[:MOST]


def _command(name: str, help: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": _short(help) or name,
        "type": 1,
        "contexts": [_SERVER, _PRIVATE],
        "options": _options(name),
    }


def _options(name: str) -> list[dict[str, Any]]:
    """A prefix of an agent takes a text, and means nothing without one."""
    if name not in commands.NAMES:
        return [{"type": 3, "name": "text", "description": "what to say", "required": True}]
    argument = commands.named(name).argument.lower()
    if not argument:
        return []
    return [{"type": 3, "name": argument, "description": f"the {argument}; may be left out", "required": False}]


def _short(help: str) -> str:
    return cut_to(" ".join(help.split()), LONGEST)


def digest(application: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """Tells whether this application's commands were registered as they are now."""
    return hashlib.sha256(json.dumps([application, rows], sort_keys=True).encode()).hexdigest()


def line(chosen: Mapping[str, Any]) -> str:
    """What was chosen, as it would be typed."""
    given = [str(option.get("value", "")) for option in chosen.get("options") or ()]
    return " ".join([f"/{chosen.get('name', '')}", *given]).strip()


def answers_at_once(chosen: Mapping[str, Any]) -> bool:
    name = str(chosen.get("name", ""))
    return name in commands.NAMES and commands.named(name).at_once
