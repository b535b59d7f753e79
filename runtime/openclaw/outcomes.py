"""What each call of a tool leaves for the operator: a line of the log behind it, and a span around it.

Law: its name, what was decided, how it ended and how long that took, whoever was asked included; none of what it was
given or gave. A name that a model made up is told as `UNKNOWN`. Decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw import logbook, tracing
from openclaw.clock import Clock
from openclaw.messages import ToolResult

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
_KINDS = {"": "not_run", "cut off": "timeout"}  # of errors, where the conventions have a word of their own


@dataclass(slots=True)
class _Became:
    decision: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of the calls of one turn, by their ids. A call is known while it is made."""

    agent: str
    session: str
    clock: Clock
    _calls: dict[str, _Became] = field(default_factory=dict)

    def decided(self, id: str, decision: str, answer: str = "") -> None:
        """`answer`: what a person said, where it rests on that."""
        if id in self._calls:
            self._calls[id].decision = f"{decision} ({answer})" if answer else decision

    def ran(self, id: str, outcome: str) -> None:
        if id in self._calls:
            self._calls[id].outcome = outcome

    def judged(self, tool: str, id: str, decision: str, rules: Sequence[str]) -> None:
        """`rules`: where those stand that decided."""
        words, by = "call %s of tool %s: %s by %s", "; ".join(rules) or "no rule"
        facts = {"tool": tool, "call": id, "decision": decision, "rules": by}
        logbook.debug(log, "call judged", words, id, tool, decision, by, **facts)

    def unmade(self, tool: str, id: str) -> None:
        words = "call %s of tool %s is none: there is no such tool, or its arguments do not fit"
        logbook.debug(log, "call unfit", words, id, tool, tool=tool, call=id)

    async def told(self, tool: str, id: str, made: Coroutine[Any, Any, ToolResult]) -> ToolResult:
        """The call's result."""
        began, became = self.clock.monotonic(), self._calls.setdefault(id, _Became())
        with tracing.span(
            f"execute_tool {tool}",
            gen_ai__operation__name="execute_tool",
            gen_ai__tool__name=tool,
            gen_ai__tool__call__id=id,
            gen_ai__tool__type="function",
            gen_ai__agent__id=self.agent,
            gen_ai__conversation__id=self.session,
        ) as span:
            try:
                result = await made
                if result.is_error:
                    span.failed(_KINDS.get(became.outcome, became.outcome))
            finally:
                span.note(openclaw__decision=became.decision)
                self._calls.pop(id, None)
                _log(tool, id, became, self.clock.monotonic() - began)
        return result


def _log(tool: str, id: str, became: _Became, seconds: float) -> None:
    decision, outcome = became.decision or "not decided", became.outcome or "not run"
    figures = {"decision": decision, "outcome": outcome, "seconds": round(seconds, 3)}
    facts = logbook.event("tool called", tool=tool, call=id, **figures)
    log.info("tool %s: %s, %s after %.2f s", tool, decision, outcome, seconds, extra=facts)
