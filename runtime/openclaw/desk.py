"""What channels, the control socket and slash commands may ask of a running runtime: the `Operations` port.

Reads what is there and passes on; decides nothing. The one place that says how the runtime describes itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import openclaw
from openclaw.approvals import Approvals
from openclaw.attempts import Counts
from openclaw.clock import Clock
from openclaw.commands import COMMANDS
from openclaw.errors import DiskFull, UsageError
from openclaw.health import Roll
from openclaw.heartbeats import Heartbeats
from openclaw.house import House
from openclaw.lasterror import LastError
from openclaw.manifest.snapshot import Agent
from openclaw.messages import Accepted, Address, Answer, Approval, Entry, Message, Refused
from openclaw.names import INCOMING
from openclaw.pairing import Pairings
from openclaw.pending import Pending
from openclaw.ports import Letter, Pairing, SessionSummary, Settlement, Store, Watcher
from openclaw.reload import Reload
from openclaw.router import EVER, askable, pairs, there
from openclaw.sessions import Sessions
from openclaw.space import Space
from openclaw.spending import asked, row_json, told
from openclaw.stores._portable import continued, parsed
from openclaw.supervisor import Supervisor
from openclaw.tally import Tally
from openclaw.tools.memory import Memory
from openclaw.words import printable, time_json

log = logging.getLogger(__name__)

FULL, LOOKS = 5.0, 6  # seconds between two looks whether there is room for a workspace, and how many


@dataclass(frozen=True, slots=True)
class Books:
    """What the runtime keeps beside sessions."""

    approvals: Approvals
    pairings: Pairings
    memory: Memory
    tally: Tally


@dataclass(slots=True)
class Desk:
    house: House
    store: Store
    supervisor: Supervisor
    books: Books
    clock: Clock
    demo: bool
    roll: Roll
    started: float = 0.0  # monotonic
    reloading: Reload | None = None
    beating: Heartbeats | None = None
    space: Space | None = None
    erred: LastError | None = None
    letters: dict[str, Letter] = field(default_factory=dict)  # by channel
    _sessions: Sessions | None = None

    @property
    def sessions_room(self) -> Sessions:
        assert self._sessions is not None
        return self._sessions

    @property
    def beats(self) -> Heartbeats:
        assert self.beating is not None
        return self.beating

    def attach(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # ── what there is ────────────────────────────────────────────────────────────────────────────

    def status(self) -> Mapping[str, Any]:
        generation = self.supervisor.current
        return {
            "version": openclaw.__version__,
            "pid": os.getpid(),
            "project": printable(str(self.house.project)),
            "state": printable(str(self.house.state)),
            "demo": self.demo,
            "uptime_seconds": round(self.clock.monotonic() - self.started, 1),
            "snapshot": {"digest": generation.snapshot.digest[:12], "generation": generation.number},
            "agents": list(generation.snapshot.agents),
            "models": {agent.id: generation.models[agent.model].id for agent in generation.snapshot.agents.values()},
            "channels": self.roll.told(),
            "running": [queued.route.session for queued in self.sessions_room.running()],
            "approvals": len(self.approvals()),
            "spent_today": self.spent_today(),
            "disk": self.space.told() if self.space else {"full": False},
            "last_reload": self.reloading.attempts[-1].in_short()
            if self.reloading and self.reloading.attempts
            else None,
            "on_last_good": self.on_last_good,
            "last_error": self.erred.told() if self.erred else None,
            **self._reloaded(),
            "ready": self.readiness()["status"] == "ready",
        }

    def _reloaded(self) -> Mapping[str, Any]:
        counts = self.reloading.counts if self.reloading else Counts()
        succeeded = time_json(counts.succeeded) if counts.succeeded else None
        differs = self.reloading.differs if self.reloading else ""
        return {"differs": differs, "reloads": counts.as_json(), "last_success": succeeded}

    @property
    def on_last_good(self) -> bool:
        """Whether the project on disk is broken, and what was applied last is running."""
        return self.reloading is not None and self.reloading.last_good

    def readiness(self) -> Mapping[str, Any]:
        """Ready once every channel that takes part has opened, or has failed to: nothing more is to come."""
        conditions = {key: self.roll.condition(key) for key in self.roll.states}
        starting = sorted(key for key, condition in conditions.items() if condition == "starting")
        found: dict[str, Any] = {"status": "ready", "on_last_good": self.on_last_good, "channels": conditions}
        if self.sessions_room.stopping:
            return {**found, "status": "stopping"}
        if starting or not self.started:
            return {**found, "status": "starting", "detail": f"waiting for: {', '.join(starting) or 'the sessions'}"}
        amiss = ["the disk is full; nothing new is taken in"] if self.space and self.space.since else []
        resting = len(self.space.resting) if self.space and not self.space.since else 0
        amiss += [f"{resting} sessions wait for room where they work"] if resting else []
        amiss += [self.reloading.differs] if self.reloading and self.reloading.differs else []
        amiss += [f"channel {key} failed" for key in sorted(conditions) if conditions[key] == "failed"]
        amiss += [f"channel {key} does not receive" for key in sorted(conditions) if conditions[key] == "silent"]
        return {**found, "detail": "; ".join(amiss)} if amiss else found

    def agents(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> Sequence[Mapping[str, Any]]:
        snapshot = self.supervisor.current.snapshot
        usual = snapshot.default_agent.id if channel is None else there(Address(channel, "-"), snapshot).agent
        return [
            {
                "id": agent.id,
                "name": agent.name,
                "description": agent.description,
                "prefix": agent.prefix,
                "default": agent.id == usual,
                "model": agent.model,
                "tools": list(agent.tools),
                "policy": agent.policy,
            }
            for agent in self._agents(channel, among)
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

    # ── heartbeats ───────────────────────────────────────────────────────────────────────────────

    async def heartbeats(self) -> Sequence[Mapping[str, Any]]:
        return await self.beats.told()

    async def history(
        self, heartbeat: str | None, limit: int, since: datetime | None = None
    ) -> Sequence[Mapping[str, Any]]:
        return await self.beats.history(heartbeat, limit, since)

    async def coming(self, until: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
        return await self.beats.coming(until, limit)

    async def run_heartbeat(self, name: str) -> Accepted | Refused:
        return await self.beats.run_now(name)

    async def pause_heartbeat(self, name: str, by: Address | None = None) -> bool:
        return await self.beats.pause(name, by)

    async def resume_heartbeat(self, name: str) -> bool:
        return await self.beats.resume(name)

    async def forget_heartbeat(self, name: str) -> bool:
        return await self.beats.forget(name)

    def commands(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> Sequence[tuple[str, str]]:
        own = [(f"/{command.name}", command.help) for command in COMMANDS]
        return own + [(agent.prefix, agent.description) for agent in self._agents(channel, among) if agent.prefix]

    def _agents(self, channel: str | None, among: tuple[str, ...] | None) -> Collection[Agent]:
        """Those whom anybody there may ask, by a program that reaches only those `among`."""
        snapshot = self.supervisor.current.snapshot
        if channel is None:
            return snapshot.agents.values()
        return askable(Message("", Address(channel, "-"), (), EVER, agents=among), snapshot).values()

    # ── approvals ────────────────────────────────────────────────────────────────────────────────

    def approvals(self) -> Sequence[Approval]:
        return self.books.approvals.pending()

    async def answer(self, approval: str, answer: Answer, by: Address) -> None:
        await self.books.approvals.answer(approval, answer, by)

    async def remembered(self) -> Sequence[Mapping[str, Any]]:
        return await self.books.approvals.remembered()

    async def revoke(self, id: str) -> None:
        await self.books.approvals.revoke(id)

    def questions(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        return self.books.approvals.listen(channel, watcher)

    # ── strangers ────────────────────────────────────────────────────────────────────────────────

    async def knock(self, sender: Address, name: str) -> str | None:
        channel = self.supervisor.current.snapshot.channels.get(sender.channel)
        if channel is None or not pairs(channel):
            return None
        code = await self.books.pairings.knock(sender, name)
        if code is None:
            return None
        return (
            f"I do not know you yet. Give the owner of this assistant the code {code}; it is good for an hour. "
            f"They let you in with: openclaw pairing approve {code}"
        )

    def pairings(self) -> tuple[Sequence[Pairing], Sequence[Pairing]]:
        return self.books.pairings.waiting(), self.books.pairings.admitted()

    async def pair(self, code: str) -> Pairing:
        paired = await self.books.pairings.pair(code)
        self._replan()
        return paired

    async def unpair(self, sender: Address) -> None:
        await self.books.pairings.unpair(sender)
        self._replan()

    def _replan(self) -> None:
        """Reminders rest while whoever asked for them is not let in."""
        if self.beating is not None:
            self.beating.replan()

    # ── letters ──────────────────────────────────────────────────────────────────────────────────

    def receive(self, channel: str, letter: Letter) -> Callable[[], None]:
        self.letters[channel] = letter

        def stop() -> None:
            if self.letters.get(channel) is letter:
                del self.letters[channel]

        return stop

    def letter(self, channel: str) -> Letter | None:
        return self.letters.get(channel)

    # ── memory and usage ─────────────────────────────────────────────────────────────────────────

    async def memories(self, query: str, limit: int) -> Sequence[Mapping[str, Any]]:
        memory = self.books.memory
        found = await asyncio.to_thread(
            lambda: list(memory.search(None, query, limit) if query.strip() else memory.list(None, limit))
        )
        return [one.as_json() for one in found]

    async def forget(self, memory: str) -> bool:
        return await asyncio.to_thread(self.books.memory.delete, None, memory) is not None

    def usage(self) -> Sequence[Mapping[str, Any]]:
        return [row_json(row) for _, row in sorted(self.books.tally.started.items())]

    async def spending(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        tally = self.books.tally
        wanted = asked(query, tally.today)
        if isinstance(wanted, str):
            raise UsageError(wanted)
        by, first, last = wanted
        return told(await tally.rows(first, last), by, first, last, self.supervisor.current.snapshot.timezone)

    def spent_today(self) -> Mapping[str, Mapping[str, Any]]:
        """By agent: those that cost something today, or that may not cost more than so much."""
        agents = self.supervisor.current.snapshot.agents.values()
        rows = [(agent, self.books.tally.of_today(agent.id)) for agent in agents]
        return {
            agent.id: {
                "cost_usd": row.cost_usd,
                "cost_complete": not row.unpriced,
                "limit_usd": agent.limits.usd_per_day,
            }
            for agent, row in rows
            if row.calls or agent.limits.usd_per_day is not None
        }

    # ── sessions and messages ────────────────────────────────────────────────────────────────────

    async def stop(self, session: str) -> bool:
        return await self.sessions_room.stop(session)

    async def sessions(self) -> Sequence[SessionSummary]:
        return await self.store.journal.list()

    async def transcript(self, session: str) -> Sequence[Entry]:
        return (await self.sessions_room.transcript(session)).entries

    async def reset(self, session: str) -> str | None:
        return await self.sessions_room.reset(session)

    async def import_session(self, session: str, text: str, *, force: bool) -> int | None:
        _, entries = await asyncio.to_thread(parsed, text.encode(), "the import")  # there may be very many
        kept = await self.store.journal.load(session)
        return await self.sessions_room.take_in(session, continued(kept, entries), force=force)

    async def folder(self, message: Message) -> Path | Refused:
        full = ""
        for _ in range(LOOKS):
            routed = self.sessions_room.routed(message)
            if isinstance(routed, Refused):
                return routed
            try:
                return self.house.workspace(self.supervisor.current.snapshot.agents[routed.agent]) / INCOMING
            except DiskFull as error:
                if not full:
                    log.warning("message %s of %s waits: %s", message.id, message.sender, error)
                full = str(error)
            await self.clock.sleep(FULL)
        return Refused("full", full)

    async def find(self, message: str) -> Settlement | None:
        return await self.store.inbox.find(message)

    @property
    def _pending(self) -> Pending:
        room = self.sessions_room
        return Pending(self.store, room.answered, room.ring, room.delivered, room.dropped, self.roll.delivering)

    async def inbox(self) -> Sequence[Mapping[str, Any]]:
        return await self._pending.listed()

    async def figures(self) -> Mapping[str, int]:
        return await self._pending.figures()

    async def retry(self, id: str) -> bool:
        return await self._pending.retry(id)

    async def drop(self, id: str) -> bool:
        return await self._pending.drop(id)

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

    def hear_reloads(self, told: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        assert self.reloading is not None
        return self.reloading.hear(lambda attempt: told(attempt.in_short()))
