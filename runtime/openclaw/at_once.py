"""The slash commands that act when they arrive, also while a turn runs: what each answers with.

Reads what the desk tells and says it in words; the rest of a conversation is none of its business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openclaw import prompt
from openclaw.commands import COMMANDS, Line
from openclaw.desk import Desk
from openclaw.manifest.people import hears_of_costs, person, sender
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Address, Message, Route
from openclaw.near import near
from openclaw.permissions.decide import Effect, standing
from openclaw.router import askable
from openclaw.sessions import Sessions
from openclaw.spending import cost_words

_NOBODY = "Nobody answers here."
ELSEWHERE = "What it cost is told in private, where nobody else reads along."


class AtOnce:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def _snapshot(self) -> Snapshot:
        return self._desk.supervisor.current.snapshot

    @property
    def _sessions(self) -> Sessions:
        return self._desk.sessions_room

    async def __call__(self, line: Line, message: Message) -> str:
        """The text a command answers with."""
        match line.name:
            case "help":
                return self._help(message)
            case "agents":
                return self._agents(message)
            case "agent":
                return await self._choose(line.argument, message)
            case "tools":
                return self._tools(self._agent(message))
            case "status":
                return await self._status()
            case "usage":
                return await self._usage(message)
            case "memory":
                return await asyncio.to_thread(self._recall, line.argument, message)
            case "stop":
                return await self._stop(message)
        return "Type /quit in the terminal, or press Ctrl-D."

    def _agent(self, message: Message) -> Agent:
        """Who would answer this sender."""
        return self._answering(message) or self._snapshot.default_agent

    def _answering(self, message: Message) -> Agent | None:
        """The same; None where nobody would."""
        routed = self._sessions.routed(message)
        return self._snapshot.agents.get(routed.agent) if isinstance(routed, Route) else None

    def _help(self, message: Message) -> str:
        rows = [(f"/{c.name} {c.argument}".strip(), c.help) for c in COMMANDS]
        here = askable(message, self._snapshot).values()
        rows += [(f"{a.prefix} TEXT", f"asks {a.name}: {a.description}") for a in here if a.prefix]
        width = max(len(left) for left, _ in rows)
        return "\n".join(f"{left.ljust(width)}  {right}" for left, right in rows)

    def _agents(self, message: Message) -> str:
        rows, answering = [], self._answering(message)
        for agent in askable(message, self._snapshot).values():
            mark = "*" if agent is answering else " "
            way = f", ask with {agent.prefix}" if agent.prefix else ""
            rows.append(f"{mark} {agent.id} ({agent.name}): {agent.description}{way}")
        return "\n".join(rows) or _NOBODY

    async def _choose(self, name: str, message: Message) -> str:
        agents = askable(message, self._snapshot)
        if not name:
            await self._sessions.choose(message.sender, None)
            usual = self._answering(replace(message, agent=None, parts=()))
            none = f"Nobody answers here until one of them is chosen: {', '.join(agents)}." if agents else _NOBODY
            return f"{usual.name} answers again." if usual else none
        if name not in agents:
            close = near(name, agents)
            what = "does not answer here" if name in self._snapshot.agents else "is not there"
            others = f"there are: {', '.join(agents)}" if agents else "nobody answers here"
            hint = f"did you mean {close}?" if close else others
            return f"Agent {name} {what}; {hint}"
        await self._sessions.choose(message.sender, name)
        return f"{agents[name].name} answers from now on; /agent alone goes back to the usual one."

    def _tools(self, agent: Agent) -> str:
        snapshot = self._snapshot
        policy = snapshot.policies[agent.policy]
        words = {Effect.ALLOW: "runs at once", Effect.ASK: "asks first", Effect.DENY: "never"}
        shown = {spec.name for spec in prompt.tools(agent, snapshot)}
        rows = []
        for name in agent.tools:
            how = "runs or asks, by its arguments" if (found := standing(policy, name)) is None else words[found]
            what = snapshot.tools[name].description.splitlines()[0].split(". ")[0].rstrip(".")
            rows.append(f"{name}: {how if name in shown else 'never'}. {what}.")
        return "\n".join(rows) or f"{agent.name} has no tools."

    async def _status(self) -> str:
        status, pending = self._desk.status(), await self._desk.figures()
        model = "the built-in demo model" if self._desk.demo else ", ".join(sorted(set(status["models"].values())))
        running = len(status["running"])
        answers = f"{running} answer{'' if running == 1 else 's'} being written"
        return "\n".join(
            [
                f"openclaw {status['version']}, up {status['uptime_seconds']:.0f} s, process {status['pid']}",
                f"project {status['project']}, snapshot {status['snapshot']['digest']}",
                f"model: {model}; agents: {', '.join(status['agents'])}",
                f"channels: {', '.join(_channels(status)) or 'none'}",
                f"{answers}, {status['approvals']} waiting for approval",
                f"messages: {pending['queued']} queued, {pending['parked']} put aside; "
                f"replies undelivered: {pending['undelivered']}, given up: {pending['dead']}",
                *(["THE DISK IS FULL: nothing new is taken in"] if status["disk"]["full"] else []),
                *([f"edits: {status['differs']}"] if status["differs"] else []),
            ]
        )

    async def _usage(self, message: Message) -> str:
        transcript = await self._sessions.transcript(self._sessions.key(message))
        usage = transcript.usage
        cached = f", {usage.cache_read:,} of them from the cache" if usage.cache_read else ""
        total = usage.input + usage.cache_read + usage.cache_write
        few = "" if usage.searches == 1 else "es"
        searched = f", with {usage.searches:,} search{few} of the web" if usage.searches else ""
        told = (
            f"This conversation used {total:,} input tokens{cached} and {usage.output:,} output tokens{searched}. "
            f"The next request carries about {transcript.context_tokens:,}."
        )
        agent, paired = self._agent(message), self._desk.books.pairings.admits(message.sender)
        if not hears_of_costs(message.sender, agent.id, self._snapshot, paired=paired):
            return told
        return f"{told} {self._today(agent) if message.chat is None else ELSEWHERE}"

    def _today(self, agent: Agent) -> str:
        """What the agent cost whoever runs it, in all conversations."""
        row, limit = self._desk.books.tally.of_today(agent.id), agent.limits.usd_per_day
        if not row.calls:
            cost = "has used nothing today"
        elif row.cost_usd is None:
            cost = "asked models today whose prices are not known"
        else:
            cost = f"cost {cost_words(row.cost_usd, not row.unpriced)} today"
        return f"In all, {agent.name} {cost}{'' if limit is None else f'; ${limit:g} a day is allowed'}."

    def _recall(self, query: str, message: Message) -> str:
        agent = self._agent(message)
        scope = self._desk.house.memory(agent, sender(message.sender, self._snapshot))
        if scope is None:
            return f"{agent.name} keeps no memory."
        found = self._desk.books.memory.search(scope, query) if query else self._desk.books.memory.list(scope, 10)
        rows = [f"{item.name} ({item.created:%Y-%m-%d}): {item.text.strip()}" for item in found]
        if found.unread:
            rows.append(f"({found.unread:,} files are still being read and may hold more.)")
        return "\n".join(rows) or ("Nothing remembered fits that." if query else "Nothing is remembered yet.")

    async def _stop(self, message: Message) -> str:
        """Ends every running answer to this sender, whichever agent writes it."""
        mine = [
            queued.route.session
            for queued in self._sessions.running()
            if queued.message.chat == message.chat and self._same(queued.message.sender, message)
        ]
        stopped = [await self._desk.stop(session) for session in mine]
        return "Stopping." if any(stopped) else "Nothing is running."

    def _same(self, asker: Address, message: Message) -> bool:
        """Whether both are one sender, or in private one person, on whatever channel."""
        if asker == message.sender:
            return True
        known = person(asker, self._snapshot)
        return message.chat is None and known is not None and known == person(message.sender, self._snapshot)


def _channels(status: Mapping[str, Any]) -> list[str]:
    """Each with what it is doing, and why where it does nothing."""
    told = [(f"{key} {one['condition']}", one.get("why")) for key, one in status["channels"].items()]
    return [f"{words}: {why}" if why else words for words, why in told]
