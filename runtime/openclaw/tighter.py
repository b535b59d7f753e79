"""What a call is held to once the manifests were edited beneath its turn: of what the turn began with and what is in
force, the tighter. Pure.

Its law: an edit takes away at once and gives at the next turn. A tool that the agent has no longer is not called; each
call is judged by the policy it began under and by the one in force, there with the sender, the room and the tool's own
permissions as they are now; a command is held back by all that either of them would hold it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from openclaw.manifest.builtins import FLOOR
from openclaw.manifest.people import sender
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Address, CommandLine, Confinement, ToolSpec
from openclaw.permissions.decide import standing
from openclaw.permissions.policy import Attempt, Decision, Effect, Policy

AWAY = "taken away while this ran"
UNASKED = "unasked"  # the mark of a tool that the model's service may use by itself


@dataclass(frozen=True, slots=True)
class Both:
    """The agent as its turn began, the snapshot it began with, and the one in force."""

    agent: Agent
    began: Snapshot
    now: Snapshot

    @property
    def gone(self) -> str:
        """Why nobody is asked for this agent any more; "" where it is there."""
        return "" if self.agent.id in self.now.agents else f"agent `{self.agent.id}` was {AWAY}"

    @property
    def usd_per_day(self) -> float | None:
        """What the agent may cost on one day: the less of the two."""
        now = self.now.agents.get(self.agent.id, self.agent).limits.usd_per_day
        return min((one for one in (self.agent.limits.usd_per_day, now) if one is not None), default=None)

    def away(self, tool: ToolSpec, *, listed: bool = True) -> str:
        """Why this tool is not called any more; "" where it is. A heartbeat's check needs not be `listed`."""
        if self.now is self.began:
            return ""
        if tool.name not in self.now.tools:
            return f"{AWAY}: there is no tool `{tool.name}` any more"
        agent = self.now.agents.get(self.agent.id)
        if agent is None:
            return ""
        if listed and tool.name not in agent.tools:
            return f"{AWAY}: agent `{agent.id}` no longer has `{tool.name}`"
        if tool.kind == "memory" and agent.memory != self.agent.memory:
            return f"{AWAY}: the memory of agent `{agent.id}` is another one now"
        return ""

    def narrowed(self, tool: ToolSpec) -> ToolSpec | None:
        """What of the input is described otherwise now, as a tool that asks for nothing else; None where nothing is.
        What was added, dropped or renamed is for the next turn."""
        now = self.now.tools.get(tool.name)
        if now is None or now.input_schema == tool.input_schema:
            return None
        before, after = (one.input_schema.get("properties", {}) for one in (tool, now))
        changed = {name: after[name] for name in before if name in after and after[name] != before[name]}
        return replace(now, input_schema={"type": "object", "properties": changed}) if changed else None

    def looked_at(self, tool: ToolSpec) -> ToolSpec:
        """As the model is given it from now on: its service makes no call by itself that we have to look at now."""
        if self.now is self.began or not tool.options.get(UNASKED):
            return tool
        if not self.away(tool) and standing(self.policy, tool.name) is Effect.ALLOW:
            return tool
        return replace(tool, options={key: value for key, value in tool.options.items() if key != UNASKED})

    @property
    def policy(self) -> Policy:
        """The one in force. Where neither the agent nor a policy of that name is there any more, the floor in force
        joins the one that the turn began under."""
        agent = self.now.agents.get(self.agent.id, self.agent)
        policy = self.now.policies.get(agent.policy)
        if policy is not None:
            return policy
        began, floor = self.began.policies[self.agent.policy], self.now.policies.get(FLOOR)
        return replace(began, rules=(*began.rules, *floor.rules)) if floor is not None else began

    def judged(self, attempt: Attempt, room: Callable[[Snapshot], str | None]) -> Iterator[tuple[Attempt, Policy]]:
        """What is to be decided, the one in force first: of equals that holds."""
        if self.now is not self.began:
            yield self._by_now(attempt, room(self.now)), self.policy
        yield attempt, self.began.policies[self.agent.policy]

    def _by_now(self, attempt: Attempt, room: str | None) -> Attempt:
        who, tool = sender(Address.parse(attempt.sender), self.now), self.now.tools.get(attempt.tool.name)
        if tool is not None:  # what is a path or an address by now is judged as one
            known = attempt.tool.input_schema.get("properties", {})
            judged = {name: kind for name, kind in tool.judged.items() if name in known}
            attempt = replace(attempt, tool=replace(attempt.tool, judged={**judged, **attempt.tool.judged}))
        writes = attempt.tool.options.get("writes")
        if writes and tool is not None and tool.options.get("writes") != writes:
            tool = replace(attempt.tool, options={**attempt.tool.options, "writes": tool.options.get("writes")})
            attempt = replace(attempt, tool=tool)
        return replace(attempt, person=who.person, groups=who.groups, room=room)


def tightest(decisions: Sequence[Decision]) -> Decision:
    """The strictest of these about one call, the first of equals, held back as every one of them would."""
    worst = max(decisions, key=lambda decision: decision.effect)
    held = [one.command.confinement for one in decisions if one.command is not None]
    if worst.command is None or worst.command.confinement is None or None in held:
        return worst
    alike = [one.command.confinement for one in decisions if one.command and one.effect is worst.effect]
    confinement = _together(worst.command.confinement, _there(held), _there(alike))
    return replace(worst, command=CommandLine(worst.command.steps, confinement))


def _there(confinements: Sequence[Confinement | None]) -> list[Confinement]:
    return [one for one in confinements if one is not None]


def _together(first: Confinement, held: Sequence[Confinement], alike: Sequence[Confinement]) -> Confinement:
    """`alike` are those that were decided likewise: what a person agrees to may do more than what runs unasked."""
    if len(held) == 1:
        return first
    return replace(
        first,
        mechanism=next((one.mechanism for one in held if one.mechanism != "none"), "none"),
        network=all(one.network for one in held),
        around=tuple(step for step in first.around if all(step in one.around for one in held)),
        hidden=tuple(dict.fromkeys(path for one in held for path in one.hidden)),
        writable=all(one.writable for one in alike),
        shown=tuple(path for path in first.shown if all(path in one.shown for one in alike)),
        opened=tuple(name for name in first.opened if all(name in one.opened for one in alike)),
        settings=all(one.settings for one in alike),
        lenient=all(one.lenient for one in alike),
    )
