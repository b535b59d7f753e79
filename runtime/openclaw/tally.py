"""What was used since the start, by agent and model: turns, tokens, seconds. In memory; transcripts keep the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw.messages import Usage


@dataclass(slots=True)
class Spent:
    turns: int = 0
    failed: int = 0
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True)
class Tally:
    spent: dict[tuple[str, str], Spent] = field(default_factory=dict)  # (agent, model id)

    def turn(self, agent: str, model: str, seconds: float, *, failed: bool) -> None:
        """Of the model that answered in the end."""
        spent = self.spent.setdefault((agent, model), Spent())
        spent.turns += 1
        spent.failed += failed
        spent.seconds += seconds

    def used(self, agent: str, model: str, usage: Usage) -> None:
        """Of one call of a model."""
        self.spent.setdefault((agent, model), Spent()).usage += usage

    def rows(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "agent": agent,
                "model": model,
                "turns": spent.turns,
                "failed": spent.failed,
                "seconds": round(spent.seconds, 3),
                "input_tokens": spent.usage.input,
                "output_tokens": spent.usage.output,
                "cache_read_tokens": spent.usage.cache_read,
                "cache_write_tokens": spent.usage.cache_write,
            }
            for (agent, model), spent in sorted(self.spent.items())
        ]
