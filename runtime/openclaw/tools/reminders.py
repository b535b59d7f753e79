"""Tools of kind `reminders`: set one up, list them, cancel one.

What a reminder is, when it comes and who sees it is decided elsewhere, by what the place gives for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec
from openclaw.ports import Place, Reminding


class Tools:
    """remind_me, reminder_list and reminder_delete."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        self._reminding = place.reminding

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        if self._reminding is None:
            raise ToolError("reminders are not available here: nothing runs on a schedule")
        match name:
            case "remind_me":
                return ToolResult(await _remind(self._reminding, input, call))
            case "reminder_list":
                return ToolResult(await _list(self._reminding, call))
            case "reminder_delete":
                return ToolResult(await self._reminding.unremind(input["name"], call))
        raise ToolError(f"there is no tool `{name}` among the reminders")


async def _remind(reminding: Reminding, input: Mapping[str, Any], call: Call) -> str:
    at, after, cron = (input.get(key) or None for key in ("at", "in", "cron"))
    return await reminding.remind(input["text"], call, at=at, after=after, cron=cron, act=bool(input.get("act")))


async def _list(reminding: Reminding, call: Call) -> str:
    lines = await reminding.reminders(call)
    if not lines:
        return "No reminder is set."
    return "\n".join([f"{len(lines)} reminder{'s' if len(lines) > 1 else ''}:", *(f"- {line}" for line in lines)])
