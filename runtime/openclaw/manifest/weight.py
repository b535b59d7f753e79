"""What each agent's requests weigh before anybody has said a word: the bytes of its prompt and of its tools.

Pure. Counted is what the manifests put there: soul and instructions, and of each tool the name, the description and the
inputs, as JSON. The few lines that the runtime adds are the same for every agent, and the model counts in tokens: about
four bytes each. Judges nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.words import ToolSpec

BYTES_PER_TOKEN: Final = 4  # of English text, roughly


@dataclass(frozen=True, slots=True)
class Weight:
    """Of one agent. `tools` are those that its model is shown."""

    agent: str
    prompt_bytes: int
    tool_bytes: int
    tools: int

    @property
    def tokens(self) -> int:
        """Roughly, of both together."""
        return (self.prompt_bytes + self.tool_bytes) // BYTES_PER_TOKEN


def weigh(snapshot: Snapshot) -> tuple[Weight, ...]:
    """Every agent, by its id."""
    return tuple(_weight(snapshot.agents[id], snapshot) for id in sorted(snapshot.agents))


def _weight(agent: Agent, snapshot: Snapshot) -> Weight:
    shown = _shown(agent, snapshot)
    prompt = "\n\n".join(part.strip() for part in (agent.soul, agent.instructions) if part.strip())
    return Weight(agent.id, len(prompt.encode()), sum(map(_bytes, shown)), len(shown))


def _shown(agent: Agent, snapshot: Snapshot) -> list[ToolSpec]:
    """As prompts are made: what the policy denies whatever the call is not shown, nor is a memory that is off."""
    from openclaw.permissions.decide import hidden  # brings all of the judgement along

    policy = snapshot.policies[agent.policy]
    specs = (snapshot.tools[name] for name in agent.tools if not hidden(policy, name))
    return [spec for spec in specs if agent.memory != "off" or spec.kind != "memory"]


def _bytes(spec: ToolSpec) -> int:
    told = {"name": spec.name, "description": spec.description, "input_schema": dict(spec.input_schema)}
    return len(json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=str).encode())
