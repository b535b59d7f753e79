"""What comes in before it is kept: who would answer it, what is refused, and the commands that act at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from openclaw import commands
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Address, Answered, Message, Refused, Route
from openclaw.ports import Marks, Queued
from openclaw.router import is_text, route, route_instead, unfit

_CHOICES = "agent-choices"
_ALONE = frozenset({"help", "agents", "agent", "status", "stop", "quit"})  # commands that ask nothing of an agent


class Door:
    def __init__(
        self,
        marks: Marks,
        snapshot: Callable[[], Snapshot],
        at_once: Callable[[commands.Line, Message], Awaitable[str]],
        paired: Callable[[Address], bool],
    ) -> None:
        """`paired`: whether a code let this stranger in."""
        self._marks = marks
        self._snapshot = snapshot
        self._at_once = at_once
        self._paired = paired
        self._choices: dict[str, str] = {}

    async def open(self) -> None:
        document, _ = await self._marks.get(_CHOICES)
        self._choices = dict(document or {})

    def refusal(self, message: Message) -> Refused | None:
        return unfit(message)

    async def command(self, message: Message, routed: Route | Refused) -> Answered | Refused | None:
        """Commands that act at once, unknown ones, and a prefix without a text, which shows the agent's help."""
        if message.heartbeat is not None:
            return None
        if isinstance(routed, Refused):
            return await self._alone(message, routed)
        snapshot = self._snapshot()
        if not routed.text.strip() and is_text(message):
            return Answered(_introduce(snapshot.agents[routed.agent]))
        line = commands.read(routed.text)
        if line is None:
            return None
        if line.name not in commands.NAMES:
            prefixes = [agent.prefix for agent in snapshot.agents.values() if agent.prefix]
            return Answered(commands.unknown(line.name, prefixes))
        return Answered(await self._at_once(line, message)) if commands.named(line.name).at_once else None

    async def _alone(self, message: Message, refused: Refused) -> Answered | Refused:
        """Commands that need no agent, where the one who would answer does not answer here: whoever chose that one
        can choose another, also after an edit took it away."""
        if refused.code != "agent" or message.agent is not None:
            return refused
        line = commands.read(message.text)
        if line is not None and line.name in _ALONE:
            return Answered(await self._at_once(line, message))
        return replace(refused, reason=f"{refused.reason}; /agents tells who does")

    async def choose(self, sender: Address, agent: str | None) -> None:
        """The person's /agent choice, kept over restarts; None goes back to the usual agent."""
        document, version = await self._marks.get(_CHOICES)
        choices = dict(document or {})
        if agent is None:
            choices.pop(str(sender), None)
        else:
            choices[str(sender)] = agent
        await self._marks.put(_CHOICES, choices, version)
        self._choices = choices

    def choice(self, sender: Address) -> str | None:
        return self._choices.get(str(sender))

    def key(self, message: Message) -> str:
        """The session a message would enter."""
        routed = self.routed(message)
        return routed.session if isinstance(routed, Route) else ""

    def routed(self, message: Message) -> Route | Refused:
        """Who would answer a message, and where; nothing is taken in."""
        choice, paired = self._choices.get(str(message.sender)), self._paired(message.sender)
        return route(message, self._snapshot(), choice, paired=paired)

    def instead(self, queued: Queued) -> Route | Refused:
        """Who would answer a message whose agent is gone."""
        message, choice = queued.message, self._choices.get(str(queued.message.sender))
        paired = self._paired(message.sender)
        return route_instead(message, queued.route, self._snapshot(), choice, paired=paired)


def _introduce(agent: Agent) -> str:
    return f"{agent.name}: {agent.description}\nType {agent.prefix} and your question." if agent.prefix else agent.name
