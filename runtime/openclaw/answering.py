"""Puts one turn together from its parts and runs it: what `sessions` calls for every message it takes up.

Here the rooms of a turn meet: the leased snapshot and its adapters, the prompt, the calls with their
permissions, compaction before it grows too long, and the time limit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw import commands, compaction, prompt
from openclaw.approvals import Approvals
from openclaw.calls import Bench, Calls, Scene
from openclaw.clock import Clock
from openclaw.errors import ProviderError
from openclaw.manifest.people import Sender, room, sender
from openclaw.manifest.snapshot import Agent
from openclaw.messages import Reply, UserEntry
from openclaw.names import file_name, fresh
from openclaw.permissions.facts import Facts
from openclaw.ports import Journal, Queued, Watcher
from openclaw.supervisor import Generation, Supervisor
from openclaw.tally import Tally
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn, TurnFailed, abandon


@dataclass(frozen=True, slots=True)
class House:
    """Where the runtime lives, as absolute paths."""

    project: Path
    state: Path

    def workspace(self, agent: Agent) -> Path:
        """The agent's working folder, made if it is not there."""
        if agent.workspace == "shared":
            folder = self.state / "workspace"
        elif agent.workspace == "own":
            folder = self.state / "workspaces" / agent.id
        else:
            folder = Path(agent.workspace).expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder.resolve()

    def memory(self, agent: Agent, who: Sender) -> str | None:
        """The folder beneath memory/ that the agent reads and writes for this sender."""
        match agent.memory:
            case "off":
                return None
            case "shared":
                return ""
            case "agent":
                return f"agents/{agent.id}"
            case "person":
                return f"people/{file_name(who.person or str(who.address))}"


@dataclass(frozen=True, slots=True)
class Answering:
    house: House
    supervisor: Supervisor
    journal: Journal
    approvals: Approvals
    facts: Facts
    clock: Clock
    reachable: Callable[[Queued, tuple[str, ...]], bool]
    tally: Tally

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher) -> Reply:
        async with self.supervisor.lease() as generation:
            agent = generation.snapshot.agents[queued.route.agent]
            voice = speak(agent, generation)
            log = self._log(queued, transcript)
            before, started = transcript.usage, self.clock.monotonic()
            try:
                text, failed, fault = await self._text(queued, log, voice, generation, tell), False, ""
            except TurnFailed as error:
                await abandon(log)  # a turn cut off in the middle of a call leaves none without a result
                text, failed, fault = str(error), True, error.fault
            except BaseExceptionGroup as group:  # of the calls that ran side by side; the first says it all
                raise group.exceptions[0] from None
            seconds = self.clock.monotonic() - started
            self.tally.turn(agent.id, voice.model, transcript.usage - before, seconds, failed=failed)
        message = queued.message
        return Reply(
            to=message.sender,
            text=text,
            session=queued.route.session,
            agent=agent.id,
            answers=queued.id,
            chat=message.chat,
            topic=message.topic,
            failed=failed,
            fault=fault,
        )

    async def abandon(self, queued: Queued, transcript: Transcript) -> None:
        await abandon(self._log(queued, transcript))

    def _log(self, queued: Queued, transcript: Transcript) -> Log:
        return Log(queued.route.session, self.journal, transcript, self.clock)

    async def _text(
        self, queued: Queued, log: Log, voice: prompt.Voice, generation: Generation, tell: Watcher
    ) -> str:
        agent = generation.snapshot.agents[queued.route.agent]
        if _asks_to_compact(queued):
            return await _compacted(log, voice, agent)
        if compaction.due(log, agent.compaction) and not log.transcript.begun(queued.id):
            await _compacted(log, voice, agent)
        calls = self._calls(queued, agent, voice, generation, tell)
        turn = Turn(voice, log, calls.perform, tell, agent.limits)
        return await self._in_time(turn.run(self._said(queued, agent, generation)), agent.limits.turn, calls)

    def _said(self, queued: Queued, agent: Agent, generation: Generation) -> UserEntry:
        who = sender(queued.message.sender, generation.snapshot)
        facts = prompt.Facts(self.clock.now(), who, self.house.workspace(agent))
        content = prompt.user_content(queued.message, queued.route.text, facts)
        return UserEntry(fresh(), self.clock.now(), content, queued.id)

    def _calls(
        self, queued: Queued, agent: Agent, voice: prompt.Voice, generation: Generation, tell: Watcher
    ) -> Calls:
        who = sender(queued.message.sender, generation.snapshot)
        here = room(queued.message, generation.snapshot)
        scene = Scene(
            agent=agent,
            session=queued.route.session,
            message=queued.message,
            sender=who,
            room=here.name if here else None,
            workspace=self.house.workspace(agent),
            memory=self.house.memory(agent, who),
            protected=(self.house.project, self.house.state),
        )
        bench = Bench(
            snapshot=generation.snapshot,
            tools=generation.tool,
            current=lambda: self.supervisor.current.snapshot,
            approvals=self.approvals,
            facts=self.facts,
            clock=self.clock,
            reachable=lambda approvers: self.reachable(queued, approvers),
        )
        return Calls(scene, bench, voice.tools, tell)

    async def _in_time(self, run: Coroutine[Any, Any, str], limit: float, calls: Calls) -> str:
        """The turn, cut off when it took `limit` seconds; waiting for people does not count."""
        task, started = asyncio.ensure_future(run), self.clock.monotonic()
        try:
            while not task.done():
                left = limit - (self.clock.monotonic() - started - calls.waiting())
                if left <= 0:
                    raise TurnFailed(f"I stopped: this took longer than {limit:g} seconds (limits.turn).")
                timer = asyncio.ensure_future(self.clock.sleep(left))
                await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
                timer.cancel()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # whoever cancelled us is not told; asked for, so that nobody complains of it later


def speak(agent: Agent, generation: Generation) -> prompt.Voice:
    """What the model of this agent is told under this snapshot."""
    model = generation.models[agent.model]
    tools = prompt.tools(agent, generation.snapshot)
    system = prompt.system(agent, tools)
    provider = generation.provider(agent.model)
    return prompt.Voice(provider, model.id, system, tools, prompt.setup(model.id, system, tools), agent.effort)


def _asks_to_compact(queued: Queued) -> bool:
    line = commands.read(queued.route.text) if queued.message.heartbeat is None else None
    return line is not None and line.name == "compact"


async def _compacted(log: Log, voice: prompt.Voice, agent: Agent) -> str:
    """Shortens the session; a failure leaves it as it is and is said, never raised."""
    before = compaction.tokens(log)
    try:
        done = await compaction.compact(log, voice, agent.compaction)
    except ProviderError as error:
        logging.getLogger(__name__).warning("the summary of %s failed: %s", log.session, error)
        return f"The conversation was left as it is: {error}"
    if done is None:
        return "There is nothing to shorten yet: the newest part is kept as it is."
    return f"Shortened from about {before:,} to {compaction.tokens(log):,} tokens. The full text stays on disk."
