"""What channels, the control socket and slash commands may ask of a running runtime: the `Operations` port.

Reads what is there and passes on; decides nothing. The one place that says how the runtime describes itself.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import openclaw
from openclaw import prompt
from openclaw.answering import House
from openclaw.approvals import Approvals
from openclaw.clock import Clock
from openclaw.commands import COMMANDS, Line
from openclaw.manifest.people import sender
from openclaw.manifest.snapshot import Agent, Heartbeat
from openclaw.messages import Address, Answer, Approval, Entry, Message
from openclaw.permissions.decide import Effect, standing
from openclaw.ports import SessionSummary, Settlement, Store, Watcher
from openclaw.reload import Reload
from openclaw.schedule import Cron, parse
from openclaw.sessions import Sessions
from openclaw.supervisor import Supervisor
from openclaw.tools.memory import Memory


@dataclass(slots=True)
class Desk:
    house: House
    store: Store
    supervisor: Supervisor
    approvals_book: Approvals
    memory: Memory
    clock: Clock
    demo: bool
    channels: Mapping[str, str]  # key -> what it is doing
    started: float = 0.0  # monotonic
    reloading: Reload | None = None
    _sessions: Sessions | None = None

    @property
    def sessions_room(self) -> Sessions:
        assert self._sessions is not None
        return self._sessions

    def attach(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # ── what there is ────────────────────────────────────────────────────────────────────────────

    def status(self) -> Mapping[str, Any]:
        generation = self.supervisor.current
        return {
            "version": openclaw.__version__,
            "pid": os.getpid(),
            "project": str(self.house.project),
            "state": str(self.house.state),
            "demo": self.demo,
            "uptime_seconds": round(self.clock.monotonic() - self.started, 1),
            "snapshot": {"digest": generation.snapshot.digest[:12], "generation": generation.number},
            "agents": list(generation.snapshot.agents),
            "models": {agent.id: generation.models[agent.model].id for agent in generation.snapshot.agents.values()},
            "channels": dict(self.channels),
            "running": [queued.route.session for queued in self.sessions_room.running()],
            "approvals": len(self.approvals()),
            "last_reload": self.reloads()[-1] if self.reloads() else None,
            "last_good": self.last_good,
            "ready": self.readiness()["status"] == "ready",
        }

    @property
    def last_good(self) -> bool:
        """Whether the project on disk is broken, and what was applied last is running."""
        return self.reloading is not None and self.reloading.last_good

    def readiness(self) -> Mapping[str, Any]:
        """Ready once every channel that takes part has opened, or has failed to: nothing more is to come."""
        starting = sorted(key for key, state in self.channels.items() if state == "starting")
        failed = sorted(key for key, state in self.channels.items() if state.startswith("failed"))
        found: dict[str, Any] = {"status": "ready", "last_good": self.last_good}
        if self.sessions_room.stopping:
            return {**found, "status": "stopping"}
        if starting or not self.started:
            return {**found, "status": "starting", "detail": f"waiting for: {', '.join(starting) or 'the sessions'}"}
        amiss = ["the project on disk is broken; what was applied last is running"] if self.last_good else []
        amiss += [f"channel {key} failed" for key in failed]
        return {**found, "detail": "; ".join(amiss)} if amiss else found

    def agents(self, asker: Address | None = None) -> Sequence[Mapping[str, Any]]:
        snapshot = self.supervisor.current.snapshot
        return [
            {
                "id": agent.id,
                "name": agent.name,
                "description": agent.description,
                "prefix": agent.prefix,
                "default": agent is snapshot.default_agent,
                "model": agent.model,
                "tools": list(agent.tools),
                "policy": agent.policy,
            }
            for agent in snapshot.agents.values()
        ]

    def tools(self) -> Sequence[Mapping[str, Any]]:
        snapshot = self.supervisor.current.snapshot
        return [
            {
                "name": spec.name,
                "kind": spec.kind,
                "description": spec.description,
                "input_schema": dict(spec.input_schema),
                "agents": [agent.id for agent in snapshot.agents.values() if spec.name in agent.tools],
            }
            for spec in snapshot.tools.values()
        ]

    async def heartbeats(self) -> Sequence[Mapping[str, Any]]:
        return [await self._heartbeat(one) for one in self.supervisor.current.snapshot.heartbeats.values()]

    async def _heartbeat(self, heartbeat: Heartbeat) -> Mapping[str, Any]:
        last, now, zone = await self.store.marks.last(heartbeat.name), self.clock.now(), ZoneInfo(heartbeat.timezone)
        crons = [cron for text in heartbeat.cron if isinstance(cron := parse(text), Cron)]
        coming = [at for cron in crons if heartbeat.enabled and (at := cron.next(now, zone)) is not None]
        return {
            "name": heartbeat.name,
            "agent": heartbeat.agent,
            "cron": list(heartbeat.cron),
            "timezone": heartbeat.timezone,
            "enabled": heartbeat.enabled,
            "deliver": [str(address) for address in heartbeat.deliver],
            "missed": heartbeat.missed,
            "next": min(coming).isoformat() if coming else None,
            "last": last.isoformat() if last else None,
        }

    def commands(self) -> Sequence[tuple[str, str]]:
        own = [(f"/{command.name}", command.help) for command in COMMANDS]
        snapshot = self.supervisor.current.snapshot
        return own + [(agent.prefix, agent.description) for agent in snapshot.agents.values() if agent.prefix]

    # ── approvals ────────────────────────────────────────────────────────────────────────────────

    def approvals(self) -> Sequence[Approval]:
        return self.approvals_book.pending()

    async def answer(self, approval: str, answer: Answer, by: Address) -> None:
        await self.approvals_book.answer(approval, answer, by)

    async def remembered(self) -> Sequence[Mapping[str, Any]]:
        return await self.approvals_book.remembered()

    async def revoke(self, id: str) -> None:
        await self.approvals_book.revoke(id)

    # ── sessions and messages ────────────────────────────────────────────────────────────────────

    async def stop(self, session: str) -> bool:
        return await self.sessions_room.stop(session)

    async def sessions(self) -> Sequence[SessionSummary]:
        return await self.store.journal.list()

    async def transcript(self, session: str) -> Sequence[Entry]:
        return (await self.sessions_room.transcript(session)).entries

    async def reset(self, session: str) -> str | None:
        return await self.sessions_room.reset(session)

    async def find(self, message: str) -> Settlement | None:
        return await self.store.inbox.find(message)

    def watch(self, message: str, watcher: Watcher) -> Callable[[], None]:
        return self.sessions_room.watch(message, watcher)

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        return self.sessions_room.listen(channel, watcher)

    # ── reloads ──────────────────────────────────────────────────────────────────────────────────

    def reloads(self) -> Sequence[Mapping[str, Any]]:
        return [attempt.as_json() for attempt in self.reloading.attempts] if self.reloading else []

    async def reload(self) -> Mapping[str, Any]:
        assert self.reloading is not None
        return (await self.reloading.attempt("request")).as_json()

    # ── slash commands that act at once ──────────────────────────────────────────────────────────

    async def at_once(self, line: Line, message: Message) -> str:
        """The text a command answers with."""
        match line.name:
            case "help":
                return self._help()
            case "agents":
                return self._agents(self._agent(message))
            case "agent":
                return await self._choose(line.argument, message)
            case "tools":
                return self._tools(self._agent(message))
            case "status":
                return self._status()
            case "usage":
                return await self._usage(message)
            case "memory":
                return self._recall(line.argument, message)
            case "stop":
                return await self._stop(message)
        return "Type /quit in the terminal, or press Ctrl-D."

    def _agent(self, message: Message) -> Agent:
        """Who would answer this sender."""
        parts = self.sessions_room.key(message).split(":")
        snapshot = self.supervisor.current.snapshot
        return snapshot.agents.get(parts[1] if len(parts) > 1 else "") or snapshot.default_agent

    def _help(self) -> str:
        rows = [(f"/{c.name} {c.argument}".strip(), c.help) for c in COMMANDS]
        snapshot = self.supervisor.current.snapshot
        rows += [(f"{a.prefix} TEXT", f"asks {a.name}: {a.description}") for a in snapshot.agents.values() if a.prefix]
        width = max(len(left) for left, _ in rows)
        return "\n".join(f"{left.ljust(width)}  {right}" for left, right in rows)

    def _agents(self, here: Agent) -> str:
        rows = []
        for agent in self.supervisor.current.snapshot.agents.values():
            mark = "*" if agent.id == here.id else " "
            way = f", ask with {agent.prefix}" if agent.prefix else ""
            rows.append(f"{mark} {agent.id} ({agent.name}): {agent.description}{way}")
        return "\n".join(rows)

    async def _choose(self, name: str, message: Message) -> str:
        snapshot = self.supervisor.current.snapshot
        if not name:
            await self.sessions_room.choose(message.sender, None)
            return f"{snapshot.default_agent.name} answers again."
        if name not in snapshot.agents:
            near = difflib.get_close_matches(name, snapshot.agents, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(snapshot.agents)}"
            return f"There is no agent {name}; {hint}"
        await self.sessions_room.choose(message.sender, name)
        return f"{snapshot.agents[name].name} answers from now on; /agent alone goes back to the usual one."

    def _tools(self, agent: Agent) -> str:
        snapshot = self.supervisor.current.snapshot
        policy = snapshot.policies[agent.policy]
        words = {Effect.ALLOW: "runs at once", Effect.ASK: "asks first", Effect.DENY: "never"}
        shown = {spec.name for spec in prompt.tools(agent, snapshot)}
        rows = []
        for name in agent.tools:
            how = "runs or asks, by its arguments" if (found := standing(policy, name)) is None else words[found]
            what = snapshot.tools[name].description.splitlines()[0].split(". ")[0].rstrip(".")
            rows.append(f"{name}: {how if name in shown else 'never'}. {what}.")
        return "\n".join(rows) or f"{agent.name} has no tools."

    def _status(self) -> str:
        status = self.status()
        model = "the built-in demo model" if self.demo else ", ".join(sorted(set(status["models"].values())))
        running = len(status["running"])
        answers = f"{running} answer{'' if running == 1 else 's'} being written"
        return "\n".join(
            [
                f"openclaw {status['version']}, up {status['uptime_seconds']:.0f} s, process {status['pid']}",
                f"project {status['project']}, snapshot {status['snapshot']['digest']}",
                f"model: {model}; agents: {', '.join(status['agents'])}",
                f"channels: {', '.join(f'{key} {state}' for key, state in status['channels'].items()) or 'none'}",
                f"{answers}, {status['approvals']} waiting for approval",
            ]
        )

    async def _usage(self, message: Message) -> str:
        transcript = await self.sessions_room.transcript(self.sessions_room.key(message))
        usage = transcript.usage
        cached = f", {usage.cache_read:,} of them from the cache" if usage.cache_read else ""
        total = usage.input + usage.cache_read + usage.cache_write
        return (
            f"This conversation used {total:,} input tokens{cached} and {usage.output:,} output tokens. "
            f"The next request carries about {transcript.context_tokens:,}."
        )

    def _recall(self, query: str, message: Message) -> str:
        agent = self._agent(message)
        scope = self.house.memory(agent, sender(message.sender, self.supervisor.current.snapshot))
        if scope is None:
            return f"{agent.name} keeps no memory."
        found = self.memory.search(scope, query) if query else self.memory.list(scope, 10)
        rows = [f"{item.name} ({item.created:%Y-%m-%d}): {item.text.strip()}" for item in found]
        return "\n".join(rows) or ("Nothing remembered fits that." if query else "Nothing is remembered yet.")

    async def _stop(self, message: Message) -> str:
        """Ends every running answer to this sender, whichever agent writes it."""
        mine = [
            queued.route.session
            for queued in self.sessions_room.running()
            if queued.message.sender == message.sender and queued.message.chat == message.chat
        ]
        stopped = [await self.stop(session) for session in mine]
        return "Stopping." if any(stopped) else "Nothing is running."
