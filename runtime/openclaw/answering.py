"""Puts one turn together from its parts and runs it: what `sessions` calls for every message it takes up.

Here the rooms of a turn meet: the leased snapshot and its adapters, the prompt, the calls with their
permissions, compaction before it grows too long, and the time limit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from openclaw import billing, commands, compaction, logbook, prompt
from openclaw.approvals import Approvals
from openclaw.calls import Bench, Calls, Scene
from openclaw.clock import Clock, Waits
from openclaw.counting import Counting
from openclaw.errors import AgentGone
from openclaw.fallback import Cooling, Models
from openclaw.heartbeats import Heartbeats
from openclaw.heartbeats.checks import Verdict
from openclaw.house import House
from openclaw.manifest.people import Sender, hears_of_costs, room, sender
from openclaw.manifest.snapshot import Agent, Heartbeat, Snapshot, in_order
from openclaw.messages import (
    SILENT,
    Account,
    Address,
    Quote,
    Reply,
    ToolCall,
    ToolSpec,
    Usage,
    UserEntry,
)
from openclaw.names import CHANCE, Chance
from openclaw.permissions.facts import Facts
from openclaw.ports import ALONE, Audit, Beside, Journal, Queued, Watcher
from openclaw.secrecy import SECRETS
from openclaw.sessions.words import reply_to
from openclaw.shortening import IDLE, Failures, Shortening, notes
from openclaw.space import waited_for
from openclaw.supervisor import Generation, Supervisor
from openclaw.tally import Tally
from openclaw.tighter import Both
from openclaw.tools.memory import Memory
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn, TurnFailed, abandon

log = logging.getLogger(__name__)

_OF_THE_CONVERSATION = ("compact", "undo-compact")  # commands that shorten it, and are no turn of it
_LISTING = ToolCall("list", "memory_list", {})
_SEARCH = ToolCall("search", "memory_search", {"query": "everything"})  # which shows as much, where nothing lists


@dataclass(frozen=True, slots=True)
class Job:
    """One message to be answered, and all it is answered with."""

    queued: Queued
    log: Log
    agent: Agent
    models: Models
    generation: Generation
    tell: Watcher
    beat: Heartbeat | None
    beside: Beside
    waits: Waits  # what the turn's limit does not count

    @property
    def who(self) -> Sender:
        """Whoever a reminder was set up by counts as the sender when it runs: it may do no more than they may."""
        by, snapshot = self.beat.asked_by if self.beat else None, self.generation.snapshot
        return sender(by if by is not None and by.channel != "cron" else self.queued.message.sender, snapshot)

    def others(self) -> tuple[Sender, ...]:
        """Whoever else is answered together with them by now, also from another place of theirs: what one of them may
        not, is not done."""
        rows = [row for row in self.beside.rows() if row.id != self.queued.id]
        found = [sender(row.message.sender, self.generation.snapshot) for row in rows]
        return tuple(dict.fromkeys(one for one in found if one != self.who))

    @property
    def begins(self) -> bool:
        """Whether its words enter the conversation now: nothing there is to be taken up."""
        return self.beside.anew or not self.log.transcript.latest(self.queued.id)

    def room(self, snapshot: Snapshot) -> str | None:
        """Where it was said, or where the reminder was set up, as this snapshot calls it."""
        message = self.queued.message
        if self.beat is not None and self.beat.asked_by is not None:
            return next((room.name for room in snapshot.rooms.values() if room.id in self.beat.deliver), None)
        here = room(message, snapshot)
        return here.name if here else None

    @property
    def heartbeat(self) -> str | None:
        """The heartbeat that rules see: of a reminder that one set up, that one."""
        by = self.beat.asked_by if self.beat else None
        return by.id if by is not None and by.channel == "cron" else self.queued.message.heartbeat


@dataclass(frozen=True, slots=True)
class Answering:
    house: House
    supervisor: Supervisor
    journal: Journal
    audit: Audit
    approvals: Approvals
    facts: Facts
    clock: Clock
    reachable: Callable[[Queued, tuple[str, ...]], bool]
    tally: Tally
    beats: Heartbeats
    cooling: Cooling
    failures: Failures
    memory: Memory | None = None
    chance: Chance = CHANCE
    paired: Callable[[Address], bool] = lambda sender: False  # whether a code let this stranger in
    left: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by session and call: of commands, by the start

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher, beside: Beside = ALONE) -> Reply:
        async with self.supervisor.lease() as generation:
            job = self._job(queued, transcript, generation, tell, beside)
            spent, before, started = transcript.turn(queued.id), len(transcript.entries), self.clock.monotonic()
            verdict, text, failed, fault = None, "", False, ""
            await self._counting(job).look_up()
            try:
                verdict, text = await self._in_time(job)
            except TurnFailed as error:
                await abandon(job.log)  # a turn cut off in the middle of a call leaves none without a result
                text, failed, fault = SECRETS.mask(str(error)), True, error.fault
            except BaseExceptionGroup as group:  # of the calls that ran side by side; the first says it all
                raise group.exceptions[0] from None
            finally:
                self._counting(job).count()
            new, seconds = transcript.entries[before:], self.clock.monotonic() - started
            asked = [*billing.asked(spent, job.models, before=True), *billing.asked(new, job.models)]
            account = self._account(job, asked, seconds, verdict)
            if account.model and _command(queued) not in _OF_THE_CONVERSATION:
                self.tally.turn(job.log.session, job.agent.id, account.model, account.seconds, failed=failed)
        return replace(
            reply_to(queued, text, failed=failed),
            fault=fault,
            account=account,
            untrusted=transcript.untrusted if queued.message.heartbeat is not None else "",
        )

    async def abandon(self, queued: Queued, transcript: Transcript) -> None:
        await abandon(self._log(queued, transcript))

    def wants_rest(self, queued: Queued, transcript: Transcript) -> bool:
        """Whether there is something to do in this session while nothing is going on there."""
        agent = self.supervisor.current.snapshot.agents.get(queued.route.agent)
        return (
            agent is not None
            and queued.message.heartbeat is None
            and compaction.due(self._log(queued, transcript), agent.compaction, share=IDLE)
        )

    async def rest(self, queued: Queued, transcript: Transcript) -> None:
        async with self.supervisor.lease() as generation:
            if queued.route.agent not in generation.snapshot.agents:
                return
            job = self._job(queued, transcript, generation, lambda event: None, ALONE)
            await self._counting(job).look_up()
            try:
                await Shortening(job.log, job.models, job.agent.compaction, self.failures).while_idle()
            finally:
                self._counting(job).count()
            await self.tally.write(job.log.session)

    async def count(self, session: str, agent: str, transcript: Transcript) -> None:
        """What a crash left uncounted there. Where the agent is gone it is known by the ids of the models alone."""
        async with self.supervisor.lease() as generation:
            own = generation.snapshot.agents.get(agent, generation.snapshot.default_agent)
            models = Models(speak(own, generation), self.cooling, lambda event: None)
            await Counting(session, agent, transcript, models, generation.models, self.tally).look_up()
        await self.tally.write(session)

    def _job(
        self, queued: Queued, transcript: Transcript, generation: Generation, tell: Watcher, beside: Beside
    ) -> Job:
        beat = self.beats.of(queued.message)
        agent = generation.snapshot.agents.get(queued.route.agent)
        if agent is None:
            raise AgentGone(f"there is no agent {queued.route.agent} any more")
        agent = _as_asked(agent, beat, generation.snapshot)
        models = Models(speak(agent, generation), self.cooling, tell, lambda: self._mind_the_budget(job))
        waits = Waits(self.clock)
        log = replace(self._log(queued, transcript), journal=waited_for(self.journal, waits))
        job = Job(queued, log, agent, models, generation, tell, beat, beside, waits)
        return job  # which the models ask for, each time before they ask anything

    def _log(self, queued: Queued, transcript: Transcript) -> Log:
        return Log(queued.route.session, self.journal, transcript, self.clock, self.chance)

    def _counting(self, job: Job) -> Counting:
        session, transcript, known = job.log.session, job.log.transcript, job.generation.models
        return Counting(session, job.agent.id, transcript, job.models, known, self.tally)

    def _mind_the_budget(self, job: Job) -> None:
        """Before each call of the model. Raises OverBudget."""
        limit = Both(job.agent, job.generation.snapshot, self.supervisor.current.snapshot).usd_per_day
        if limit is not None:
            self._counting(job).count()
            self.tally.mind(job.agent.id, limit, figures=self._hear_of_costs(job))

    def _hear_of_costs(self, job: Job) -> bool:
        """Whether whoever gets the reply may know what the agent costs, and nobody else reads along."""
        message = job.queued.message
        told = job.beat.notify if job.beat is not None else message.deliver or (message.sender,)
        snapshot, agent = self.supervisor.current.snapshot, job.agent.id
        alone = message.chat is None
        return alone and all(hears_of_costs(one, agent, snapshot, paired=self.paired(one)) for one in told)

    def _account(self, job: Job, asked: Sequence[billing.Asked], seconds: float, verdict: Verdict | None) -> Account:
        models = job.generation.models
        woken = verdict is None or verdict.wake
        own = job.models.own.model if woken and not _says(job) else ""
        return Account(
            model=asked[-1][0] if asked else own,
            usage=sum((usage for _, usage, _ in asked), Usage()),
            cost=billing.cost(asked, models[job.agent.model], models.values()),
            seconds=seconds,
            check=verdict.line if verdict else "",
            woken=woken,
        )

    async def _outcome(self, job: Job, calls: Calls) -> tuple[Verdict | None, str]:
        """What its check found, where it is a heartbeat with one, and the reply."""
        if job.beat is None and job.queued.message.heartbeat is not None:  # deleted or paused before this was taken up
            await abandon(job.log)
            return None, SILENT
        if job.beat is None:
            return None, await self._text(job, calls)
        if job.beat.says:
            return None, job.beat.prompt
        verdict = await self._verdict(job, job.beat)
        if verdict is None:
            return None, await self._text(job, calls)
        if not verdict.wake:
            logbook.debug(log, "heartbeat quiet", "the check of heartbeat %s wakes no model", job.beat.name)
            return verdict, SILENT
        message = job.queued.message
        found = Quote(verdict.found, author=f"check {job.beat.check.tool if job.beat.check else ''}", forwarded=True)
        woken = replace(job.queued, message=replace(message, parts=(*message.parts, found)))
        return verdict, await self._text(replace(job, queued=woken), calls)

    async def _verdict(self, job: Job, beat: Heartbeat) -> Verdict | None:
        """Runs the heartbeat's check; None where it has none."""
        check = beat.check
        if check is None:
            return None
        spec = job.generation.snapshot.tools[check.tool]
        calls = self._calls(job, (spec,), listed=False)
        call = ToolCall(f"check-{job.queued.id}", check.tool, check.input)
        return await self.beats.checks.judge(beat, job.queued.id, lambda: calls.check(call, check.secrets), job.waits)

    async def _text(self, job: Job, calls: Calls) -> str:
        agent, log, models, queued = job.agent, job.log, job.models, job.queued
        shortening = Shortening(log, models, agent.compaction, self.failures, agent.limits.cost)
        if (command := _command(queued)) == "compact":
            with job.waits.waiting():
                return await shortening.asked(queued.id)
        if command == "undo-compact":
            return await shortening.taken_back(queued.id)
        if job.begins and log.transcript.answer(queued.id) is None:
            with job.waits.waiting():
                await shortening.before_turn()

        async def steer() -> Sequence[UserEntry]:
            with job.waits.waiting():
                said = await job.beside.steer()
            return [self._joining(job, queued) for queued in said]

        async def shorten() -> bool:
            with job.waits.waiting():
                return await shortening.at_window()

        turn = Turn(models, log, calls.perform, agent.limits, steer, shorten)
        turn.by_now = lambda voice: self._by_now(job, voice)
        turn.figures = lambda: self._hear_of_costs(job)
        turn.left = {call: words for (session, call), words in self.left.items() if session == log.session}
        text = await turn.run(self._said(job, await self._remembered(job, calls)), anew=job.beside.anew)
        told = notes(log.transcript, queued.id)
        return text if text.strip() == SILENT else "\n\n".join([text, *(f"({note})" for note in told)])

    def _by_now(self, job: Job, voice: prompt.Voice) -> prompt.Voice:
        """Thinking was given for these tools: with others it is left out, as where the tools are edited."""
        both = Both(job.agent, job.generation.snapshot, self.supervisor.current.snapshot)
        tools = tuple(map(both.looked_at, voice.tools))
        return voice if tools == voice.tools else replace(voice, tools=tools, setup=f"{voice.setup} looked at")

    async def _remembered(self, job: Job, calls: Calls) -> prompt.Remembered | None:
        """What a conversation begins with: only what the agent might list for this sender without anybody's leave,
        and in a group, whose members all read along, nothing of a person's own."""
        scope = self.house.memory(job.agent, job.who)
        new = not any(isinstance(entry, UserEntry) for entry in job.log.transcript.entries)
        if not new or job.beat is not None or scope is None or self.memory is None:
            return None
        heard = job.queued.message.chat is not None and scope.startswith("people/")
        if heard or not calls.free(_LISTING if calls.has(_LISTING.name) else _SEARCH):
            return None
        found = await asyncio.to_thread(self.memory.offered, scope, prompt.OFFERED + 1)
        return prompt.Remembered(
            tuple(
                (one.name, one.text, "" if one.author == str(job.queued.message.sender) else one.author)
                for one in found
                if not one.untrusted
            ),
            strangers=sum(bool(one.untrusted) for one in found),
            more=len(found) > prompt.OFFERED,
        )

    def _said(self, job: Job, remembered: prompt.Remembered | None) -> UserEntry:
        """The message, and what is read together with it."""
        now = self.clock.now()
        who = job.who if job.beat is None else replace(job.who, timezone=job.beat.timezone)
        said = job.queued.message.at if job.beside.with_it else None
        again = job.log.transcript.begun(job.queued.id)
        facts = prompt.Facts(now, who, self.house.workspace(job.agent), said, remembered, again)
        content = prompt.user_content(job.queued.message, job.queued.route.text, facts)
        others = [self._joining(job, queued) for queued in job.beside.with_it]
        content += tuple(block for other in others for block in other.content)
        untrusted = [prompt.untrusted(job.queued.message), *(other.untrusted for other in others)]
        strangers = ", ".join(dict.fromkeys(filter(None, untrusted)))
        joined = tuple(other.message for other in others)
        return UserEntry(self.chance.fresh(), now, tuple(SECRETS.mask_all(content)), job.queued.id, strangers, joined)

    def _joining(self, job: Job, queued: Queued) -> UserEntry:
        """Another message that is answered with this one."""
        now, message = self.clock.now(), queued.message
        who = sender(message.sender, job.generation.snapshot)
        facts = prompt.Facts(now, who, self.house.workspace(job.agent), message.at)
        said = SECRETS.mask_all(prompt.user_content(message, queued.route.text, facts))
        id, strangers = self.chance.fresh(), prompt.untrusted(message)
        return UserEntry(id, now, tuple(said), queued.id, strangers, (job.queued.id,))

    def _calls(self, job: Job, specs: tuple[ToolSpec, ...], *, listed: bool = True) -> Calls:
        snapshot = job.generation.snapshot
        scene = Scene(
            agent=job.agent,
            session=job.queued.route.session,
            message=job.queued.message,
            sender=job.who,
            room=job.room(snapshot),
            workspace=self.house.workspace(job.agent),
            memory=self.house.memory(job.agent, job.who),
            protected=self.house.protected,
            heartbeat=job.heartbeat,
            transcript=job.log.transcript,
            others=job.others,
            rooms=job.room,
        )
        bench = Bench(
            snapshot=snapshot,
            tools=job.generation.tool,
            current=lambda: self.supervisor.current.snapshot,
            approvals=self.approvals,
            facts=self.facts,
            clock=self.clock,
            reachable=lambda approvers: self.reachable(job.queued, approvers),
            audit=self.audit,
        )
        return Calls(scene, bench, specs, job.tell, job.waits, listed=listed)

    async def _in_time(self, job: Job) -> tuple[Verdict | None, str]:
        """The outcome, cut off when the turn took longer than it may; waiting for people or the disk does not count."""
        calls, limit = self._calls(job, job.models.own.tools), job.agent.limits.turn
        run = self._outcome(job, calls)
        task, started = asyncio.ensure_future(run), self.clock.monotonic()
        try:
            while not task.done():
                left = limit - (self.clock.monotonic() - started - job.waits.seconds())
                if left <= 0:
                    key = "limits.turn" if job.beat is None else "timeout"
                    raise TurnFailed(f"I stopped: this took longer than {limit:g} seconds ({key}).")
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


def speak(agent: Agent, generation: Generation) -> tuple[prompt.Voice, ...]:
    """What the model of this agent is told under this snapshot; behind it those that answer where it does not."""
    tools = prompt.tools(agent, generation.snapshot)
    system = prompt.system(agent, tools)
    voices = []
    for alias in in_order(agent.model, generation.models):
        model, provider = generation.models[alias], generation.provider(alias)
        where = f"{alias} {model.options.get('base_url') or ''}"  # one model may be had of two services
        setup = prompt.setup(model.id, system, tools, where)
        voices.append(prompt.Voice(provider, model.id, system, tools, setup, agent.effort, model.costs, alias))
    return tuple(voices)


def _as_asked(agent: Agent, beat: Heartbeat | None, snapshot: Snapshot) -> Agent:
    """The agent with the model and the limits of a heartbeat, where it is one that asks."""
    if beat is None:
        return agent
    model = beat.model if beat.model is not None and beat.model in snapshot.models else agent.model
    return replace(agent, model=model, limits=replace(agent.limits, turn=beat.timeout, cost=beat.max_cost))


def _says(job: Job) -> bool:
    return job.beat is not None and job.beat.says


def _command(queued: Queued) -> str:
    """The command that takes its place in the queue; "" where it is a message."""
    line = commands.read(queued.route.text) if queued.message.heartbeat is None else None
    return line.name if line is not None else ""
