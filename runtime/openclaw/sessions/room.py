"""From an accepted message to its settled reply: `post` takes in, one worker for each session answers in order.

The law: a message is on disk before it is acknowledged, and stays until its reply is in the outbox, in the
same transaction that settles it; what is answered together is settled together. Sessions run side by side, and each
is served once before it stands in line again; within one, first in, first out. A message that
brought the runtime down three times is put aside and said so; the third time is tried alone, so that what merely
ran beside it is not blamed. What a turn is made of stands in `turn.py`, and
the app hands it in; what commands do is handed in too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

from openclaw import commands
from openclaw.clock import Clock
from openclaw.errors import OpenClawError, QueueFull, StorageFailed
from openclaw.manifest.snapshot import QUEUE_LIMIT, Agent, Heartbeat, Snapshot
from openclaw.messages import (
    Accepted,
    Address,
    Answered,
    Entry,
    Finished,
    Message,
    Progress,
    Refused,
    Reply,
    Retrying,
    Route,
    Text,
    Told,
)
from openclaw.names import fresh
from openclaw.ports import Beside, Doorbell, Fits, Queued, Store, Watcher
from openclaw.router import route, there
from openclaw.secrecy import SECRETS
from openclaw.sessions import renewal
from openclaw.sessions.line import MOST, Line, is_command
from openclaw.sessions.replies import deliveries, lead
from openclaw.sessions.warm import Warm
from openclaw.transcript import Log, Transcript

log = logging.getLogger(__name__)

LONGEST = 256 * 1024  # characters of one message
ATTEMPTS = 3  # a message that was taken up this often without an end is put aside
IN_ALL = 10_000  # messages of all sessions that wait

NEW = "Started afresh. The conversation so far is kept in the archive; what was remembered stays remembered."
PARKED = "This message brought the runtime down three times. It was put aside so that others are answered; it is kept."
CUT_OFF = (
    "The answer to this was cut off when the runtime ended unexpectedly, and is not begun again by itself. What it "
    "had begun may have had its effect. Send the message again if it is still wanted."
)
DROPPED = "This message was taken out of the queue by the operator; nobody answers it."
NEWER = "a newer message came"


class Answerer(Protocol):
    """Makes the reply to one message: a turn, or a command that takes its place in the queue."""

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher, beside: Beside) -> Reply: ...

    async def abandon(self, queued: Queued, transcript: Transcript) -> None:
        """After a stop: leaves a transcript that the session can go on from."""


class Beats(Protocol):
    """What is known of heartbeats."""

    def named(self, name: str | None) -> Heartbeat | None: ...

    async def ended(self, queued: Queued, reply: Reply) -> Sequence[Reply]:
        """A run is about to be settled with this reply: what its owner is told of that."""

    async def settled(self, queued: Queued) -> None:
        """That was done."""


@dataclass(slots=True)
class Running:
    """One turn under way. `stopped` tells a person's /stop from the end of the runtime, and `interrupted` that a newer
    message takes it over."""

    rows: list[Queued]  # all that it answers, in their order
    task: asyncio.Task[Reply]
    stopped: bool = False
    interrupted: bool = False
    joining: asyncio.Task[Sequence[Queued]] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # nothing more is written to its session

    @property
    def queued(self) -> Queued:
        return self.rows[0]

    async def joined(self) -> None:
        """Nothing is on its way to it any more: what was taken from the queue is among its rows."""
        if self.joining is not None:
            await asyncio.wait({self.joining})


class Sessions:
    def __init__(
        self,
        store: Store,
        doorbell: Doorbell,
        snapshot: Callable[[], Snapshot],
        answerer: Answerer,
        at_once: Callable[[commands.Line, Message], Awaitable[str]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._doorbell = doorbell
        self._snapshot = snapshot
        self._answerer = answerer
        self._at_once = at_once
        self._clock = clock
        self._warm = Warm(store.journal)
        self._running: dict[str, Running] = {}
        self._watchers: dict[str, list[Watcher]] = {}  # by message
        self._listeners: dict[str, list[Watcher]] = {}  # by channel
        self._choices: dict[str, str] = {}
        self._alone: str | None = None  # the session whose message is tried alone
        self._for_alone: dict[str, None] = {}  # sessions that wait for that
        self._held: set[str] = set()  # sessions that are taken in, and answer nothing until that is done
        self._in_all = 0  # messages that waited when they were last counted, and all since
        self.most = IN_ALL
        self.plain = False  # whether every channel queues, whatever it says
        self.paired: Callable[[Address], bool] = lambda sender: False  # whether a code let this stranger in
        self.stopping = False
        self.beats: Beats | None = None
        self.left: Callable[[str], None] = lambda session: None  # told when a session was put aside
        self.rests: Callable[[Queued, Transcript], None] = lambda queued, transcript: None  # told after a turn
        self.disturbed: Callable[[str], Awaitable[None]] = _nothing  # awaited before anything is written to a session
        self.delivered: Callable[[str], None] = lambda channel: None  # told when a channel's outbox has grown

    # ── taking in ────────────────────────────────────────────────────────────────────────────────

    async def post(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        """Accepts a message for ever, answers a command at once, or refuses; never in between."""
        if refused := self._refusal(message):
            return refused
        snapshot = self._snapshot()
        routed = self.routed(message)
        if isinstance(routed, Refused):
            return routed
        if answered := await self._command(message, routed, snapshot):
            return answered
        try:
            accepted = await self._store.inbox.accept(message, routed, at_most=await self._room(message, snapshot))
        except StorageFailed:
            raise
        except QueueFull as error:
            return Refused("busy", f"{error.waiting} messages wait here already; send it again in a while")
        except OpenClawError as error:
            return Refused("full", str(error))
        if watch is not None and accepted.new:  # one that is there already may have ended; `watch` is for those
            self._watchers.setdefault(accepted.id, []).append(watch)
        self._in_all += accepted.new
        self._doorbell.ring(accepted.session)
        if accepted.new:
            await self._interrupt(Queued(accepted.id, message, routed, 0))
        return accepted

    async def _room(self, message: Message, snapshot: Snapshot) -> int:
        """How many messages may wait before this one in its session."""
        if self._in_all >= self.most:
            self._in_all = await self._store.inbox.waiting()
        channel = snapshot.channels.get(message.sender.channel)
        own = channel.queue_limit if channel else QUEUE_LIMIT
        return own if self._in_all < self.most else 0

    async def _interrupt(self, newer: Queued) -> None:
        """Ends the running turn where the newer message is to be answered together with what it answers, and nothing
        else waits between the two."""
        session, line = newer.route.session, self._line
        running = self._running.get(session)
        if running is None or running.interrupted or line.mode(newer.message) != "interrupt":
            return
        fits = line.joining(running.queued)
        if fits is None or not fits(newer) or await self._store.inbox.waiting(session) != 1:
            return
        if self._running.get(session) is running:
            running.interrupted = True
            running.task.cancel()

    @property
    def _line(self) -> Line:
        return Line(self._snapshot(), self.plain)

    def _refusal(self, message: Message) -> Refused | None:
        if self.stopping:
            return Refused("stopping", "the runtime is stopping; send it again in a moment")
        if _is_empty(message):
            return Refused("empty", "the message is empty")
        if len(message.text) > LONGEST:
            return Refused(
                "too_large",
                f"the message has {len(message.text):,} characters, at most {LONGEST:,} are taken; "
                "save it as a file in the workspace and name the file instead",
            )
        return None

    async def _command(self, message: Message, routed: Route, snapshot: Snapshot) -> Answered | None:
        """Commands that act at once, unknown ones, and a prefix without a text, which shows the agent's help."""
        if message.heartbeat is not None:
            return None
        if not routed.text.strip() and _says_nothing_else(message):
            return Answered(_introduce(snapshot.agents[routed.agent]))
        line = commands.read(routed.text)
        if line is None:
            return None
        if line.name not in commands.NAMES:
            prefixes = [agent.prefix for agent in snapshot.agents.values() if agent.prefix]
            return Answered(commands.unknown(line.name, prefixes))
        return Answered(await self._at_once(line, message)) if commands.named(line.name).at_once else None

    async def choose(self, sender: Address, agent: str | None) -> None:
        """The person's /agent choice, kept over restarts; None goes back to the usual agent."""
        document, version = await self._store.marks.get("agent-choices")
        choices = dict(document or {})
        if agent is None:
            choices.pop(str(sender), None)
        else:
            choices[str(sender)] = agent
        await self._store.marks.put("agent-choices", choices, version)
        self._choices = choices

    def key(self, message: Message) -> str:
        """The session a message would enter."""
        routed = self.routed(message)
        return routed.session if isinstance(routed, Route) else ""

    def routed(self, message: Message) -> Route | Refused:
        """Who would answer a message, and where; nothing is taken in."""
        choice, paired = self._choices.get(str(message.sender)), self.paired(message.sender)
        return route(message, self._snapshot(), choice, paired=paired)

    # ── answering ────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Takes up what an earlier run left open."""
        document, _ = await self._store.marks.get("agent-choices")
        self._choices = dict(document or {})
        self._in_all = await self._store.inbox.waiting()
        for session in await self._store.inbox.open():
            self._doorbell.ring(session)

    async def wake(self, session: str) -> None:
        """Answers the session's oldest message, and what is answered together with it. The doorbell calls it for one
        at a time; what waits behind gets its turn after the other sessions that wait by then."""
        if self.stopping or session in self._held:
            return
        queued = await self._store.inbox.next(session)
        if queued is None:
            return
        await self.disturbed(session)
        if queued.attempts == ATTEMPTS and not self._left_by_crash(queued) and not self._takes_alone(session):
            await self._store.inbox.release(queued.id)  # while it waits for that it does not count, and holds no place
            return
        try:
            await self._serve(queued)
        finally:
            self._leaves_alone(session)
        self._doorbell.ring(session)

    def _takes_alone(self, session: str) -> bool:
        """The last attempt is made when no other message is at its last."""
        if self._alone not in (None, session):
            self._for_alone[session] = None
            return False
        self._alone = session
        return True

    def _leaves_alone(self, session: str) -> None:
        if self._alone == session:
            self._alone = None
            waiting, self._for_alone = self._for_alone, {}
            for other in waiting:
                self._doorbell.ring(other)

    async def _serve(self, queued: Queued) -> None:
        try:
            await self._serve_in(queued)
        except StorageFailed:
            raise
        except OpenClawError as error:  # a session file of a newer version, for example: told, and others go on
            log.error("message %s cannot be answered: %s", queued.id, error)
            reply = _reply(queued, f"This cannot be answered here: {error}", failed=True)
            await self._settle([queued], "failed", reply)

    async def _serve_in(self, queued: Queued) -> None:
        if queued.attempts > ATTEMPTS:
            log.error("message %s was put aside after %d attempts", queued.id, ATTEMPTS)
            await self._settle([queued], "parked", _reply(queued, PARKED, failed=True))
        elif queued.message.told:
            await self._enter(queued)
        elif _asks_for_new(queued):
            await self.reset(queued.route.session)
            await self._settle([queued], "done", _reply(queued, NEW))
        elif self._left_by_crash(queued):
            await self._cut_off(queued)
        else:
            await self._answer(queued, await self._opened(queued))

    async def _answer(self, queued: Queued, transcript: Transcript) -> None:
        """One turn, for this message and those that are answered with it."""
        session, queued, line = queued.route.session, self._rerouted(queued), self._line
        begun = transcript.begun(queued.id)
        known = await self._behind(queued, line.beginning(queued, transcript.together(queued.id) if begun else ()))
        rows = [queued, *known]
        beside = Beside(() if begun else tuple(known), partial(self._steered, session, line.joining(queued)))
        front = lead(rows, transcript)

        def tell(event: Progress) -> None:
            self._show(running, front, event)

        task = asyncio.create_task(self._answerer(queued, transcript, tell, beside))
        running = self._running[session] = Running(rows, task)
        try:
            reply = await self._outcome(running, transcript)
        except asyncio.CancelledError:
            # The runtime is ending: the messages go back as they were and are taken up at the next start.
            await self._store.inbox.release(*(row.id for row in running.rows))
            raise
        finally:
            del self._running[session]
            running.ended.set()
        if reply is not None:
            await self._settle(running.rows, "failed" if reply.failed else "done", reply, front)
            self.rests(queued, transcript)
            return
        self._show(running, front, Retrying(NEWER, 0.0))
        await self._store.inbox.release(*(row.id for row in running.rows))

    async def _behind(self, queued: Queued, fits: Fits | None) -> Sequence[Queued]:
        return () if fits is None else await self._store.inbox.join(queued.route.session, MOST, fits)

    async def _steered(self, session: str, fits: Fits | None) -> Sequence[Queued]:
        """What joins the session's turn under way. Cancelled half way it still ends, so that no message is lost
        between queue and turn."""
        running = self._running.get(session)
        if running is None or fits is None:
            return ()
        running.joining = asyncio.ensure_future(self._join(running, fits))
        return await asyncio.shield(running.joining)

    async def _join(self, running: Running, fits: Fits) -> Sequence[Queued]:
        joined = await self._behind(running.queued, fits)
        running.rows += joined
        return joined

    # ── what a crash left ────────────────────────────────────────────────────────────────────────

    def _left_by_crash(self, queued: Queued) -> bool:
        """Whether it was taken up before without an end, and is not to be taken up again."""
        plain = not queued.message.told and not _is_command(queued)
        return plain and queued.attempts > 1 and self._agent(queued).interrupted != "resume"

    async def _cut_off(self, queued: Queued) -> None:
        """Settles it, and what was answered with it, without running anything."""
        session, silent = queued.route.session, self._agent(queued).interrupted == "drop"
        known = (await self.transcript(session)).together(queued.id)
        rows = [queued, *await self._store.inbox.join(session, len(known) - 1, lambda other: other.id in known)]
        log.warning("message %s was cut off by a crash and is not taken up again", queued.id)
        await self._settle(rows, "failed", _reply(queued, CUT_OFF, failed=True), silent=silent)

    async def _outcome(self, running: Running, transcript: Transcript) -> Reply | None:
        """None where a newer message took the turn over."""
        try:
            await asyncio.wait({running.task})
            await running.joined()
        except asyncio.CancelledError:
            running.task.cancel()
            await asyncio.wait({running.task})
            await running.joined()
            raise
        if running.task.cancelled():
            await self._answerer.abandon(running.queued, transcript)
            over = running.interrupted and not running.stopped
            return None if over else _reply(running.queued, "Stopped.", failed=True)
        error = running.task.exception()
        if error is None:
            return running.task.result()
        if isinstance(error, StorageFailed) or not isinstance(error, Exception):
            raise error
        log.error("answering message %s failed", running.queued.id, exc_info=error)
        await self._answerer.abandon(running.queued, transcript)
        return _reply(running.queued, f"Something went wrong here: {_told(error)}", failed=True)

    async def _enter(self, queued: Queued) -> None:
        """Something was said to this session's person elsewhere: it becomes part of what was said here."""
        message, session = queued.message, queued.route.session
        transcript = await self._renewed(queued, await self.transcript(session))
        if not transcript.begun(queued.id):
            by = f"heartbeat {message.heartbeat}" if message.heartbeat else str(message.sender)
            untrusted = (await self.transcript(f"cron:{message.heartbeat}")).untrusted if message.heartbeat else ""
            told = Told(fresh(), self._clock.now(), by, message.text, queued.id, untrusted)
            await Log(session, self._store.journal, transcript, self._clock).write(told)
        await self._store.inbox.settle(queued.id, "done", None, deliver=())

    async def _settle(
        self,
        rows: Sequence[Queued],
        state: Literal["done", "failed", "parked"],
        reply: Reply,
        front: Queued | None = None,
        *,
        silent: bool = False,
    ) -> None:
        """All of it ends with this reply, which answers `front`; `silent`: nobody is told."""
        queued = rows[0]
        deliver = deliveries(rows, front or queued, reply, self._told)
        beats = self.beats if queued.message.heartbeat is not None and not queued.message.told else None
        if beats is not None:
            deliver += await beats.ended(queued, reply)
        deliver = [] if silent else deliver
        joined = [row.id for row in rows[1:]]
        await self._store.inbox.settle(queued.id, state, reply, deliver=deliver, joined=joined)
        if beats is not None:
            await beats.settled(queued)
        front = front or queued
        for row in sorted(rows, key=lambda row: row is not front):  # where it is shown already, first
            self._tell(row, Finished(replace(reply, answers=front.id)))
            self._watchers.pop(row.id, None)
        for outgoing in deliver:
            self.delivered(outgoing.to.channel)

    def _told(self, queued: Queued, place: Address, reply: Reply) -> Route | None:
        """Where a heartbeat's reply enters, so that whoever gets it can answer it."""
        if queued.message.heartbeat is None:
            return None
        beat = self.beats.named(queued.message.heartbeat) if self.beats is not None else None
        by = beat.asked_by if beat is not None else None
        group = by is not None and by.channel != "cron" and by != place  # a reminder that was set up in a group
        here = there(place, self._snapshot(), self._choices.get(str(place)), queued.message.topic, group=group)
        return Route(here.agent, here.session, reply.text)

    def _rerouted(self, queued: Queued) -> Queued:
        """The agent of a waiting message may be gone by now: then the default one answers, and says so."""
        agent = self._agent(queued).id
        return queued if agent == queued.route.agent else replace(queued, route=replace(queued.route, agent=agent))

    def _agent(self, queued: Queued) -> Agent:
        snapshot = self._snapshot()
        beat = self.beats.named(queued.message.heartbeat) if self.beats is not None else None
        return snapshot.agents.get(beat.agent if beat is not None else queued.route.agent) or snapshot.default_agent

    # ── watching and stopping ────────────────────────────────────────────────────────────────────

    def watch(self, message: str, watcher: Watcher) -> Callable[[], None]:
        return _added(self._watchers.setdefault(message, []), watcher)

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        return _added(self._listeners.setdefault(channel, []), watcher)

    def watched(self, message: str, channel: str) -> bool:
        return bool(self._watchers.get(message) or self._listeners.get(channel))

    def _tell(self, queued: Queued, event: Progress) -> None:
        channel = queued.message.sender.channel
        for watcher in [*(self._watchers.get(queued.id) or self._listeners.get(channel, []))]:
            try:
                watcher(event)
            except Exception:
                log.exception("a watcher of message %s failed", queued.id)

    def _show(self, running: Running, front: Queued, event: Progress) -> None:
        """Shown where the reply will stand, and to every program that waits for it."""
        for row in running.rows:
            if row is front or row.message.fetched:
                self._tell(row, event)

    def running(self) -> list[Queued]:
        return [running.queued for running in self._running.values()]

    def answered(self) -> set[str]:
        """The ids of all that is being answered."""
        return {row.id for running in self._running.values() for row in running.rows}

    def ring(self, session: str) -> None:
        """It has a message again."""
        self._doorbell.ring(session)

    def dropped(self, queued: Queued) -> None:
        """It was taken out of the queue: whoever waits for its answer waits no longer."""
        log.warning("message %s was dropped by the operator", queued.id)
        self._tell(queued, Finished(_reply(queued, DROPPED, failed=True)))
        self._watchers.pop(queued.id, None)

    async def stop(self, session: str) -> bool:
        """Ends the session's running turn; what it began is answered, and the next message is taken up."""
        running = self._running.get(session)
        if running is None:
            return False
        running.stopped = True
        running.task.cancel()
        return True

    # ── transcripts ──────────────────────────────────────────────────────────────────────────────

    async def transcript(self, session: str) -> Transcript:
        """The session in memory, read once and kept while it is in use."""
        return await self._warm.of(session)

    async def _opened(self, queued: Queued) -> Transcript:
        """The message's session; that of a heartbeat is put aside first, unless it asks to be kept, and that of a
        conversation whose time is over."""
        transcript = await self.transcript(queued.route.session)
        if queued.message.heartbeat is None:
            return await self._renewed(queued, transcript)
        heartbeat = self.beats.named(queued.message.heartbeat) if self.beats is not None else None
        keeps = heartbeat is not None and heartbeat.session == "keep"
        if keeps or not transcript.entries or transcript.begun(queued.id):
            return transcript
        await self.reset(queued.route.session)
        return await self.transcript(queued.route.session)

    async def _renewed(self, queued: Queued, transcript: Transcript) -> Transcript:
        """The transcript, or an empty one where another conversation begins with this message."""
        said, agent = transcript.entries, self._agent(queued)
        if not said or transcript.begun(queued.id) or not renewal.over(agent.session, said[-1].at, self._clock.now()):
            return transcript
        await self.reset(queued.route.session)
        return await self.transcript(queued.route.session)

    async def reset(self, session: str) -> str | None:
        """Puts the session aside; the next message finds it empty. A turn that is under way is stopped first: the
        rest of it must not begin the new one."""
        running = self._running.get(session)
        if running is not None:
            await self.stop(session)
            await running.ended.wait()
        await self.disturbed(session)
        self._warm.forget(session)
        self.left(session)
        return await self._store.journal.archive(session)


    async def take_in(self, session: str, entries: Sequence[Entry], *, force: bool = False) -> int | None:
        """Writes a session that comes from elsewhere, and gives how many entries that took: those that are there
        already are not written again. None where another is there, unless it is to be put aside by `force`, or it is
        being answered."""
        if session in self._running or session in self._held:
            return None
        self._held.add(session)
        await self.disturbed(session)
        try:
            kept = (await self.transcript(session)).entries
            more = entries[len(kept) :] if list(entries[: len(kept)]) == kept else None
            if more is None and force:
                await self.reset(session)
                more = entries
            if more:
                self._warm.forget(session)
                await self._store.journal.append(session, more)
        finally:
            self._held.discard(session)
            self._doorbell.ring(session)
        return None if more is None else len(more)


async def _nothing(session: str) -> None:
    """Nobody else writes there."""


def _added(watchers: list[Watcher], watcher: Watcher) -> Callable[[], None]:
    watchers.append(watcher)
    return lambda: watchers.remove(watcher) if watcher in watchers else None


def _reply(queued: Queued, text: str, *, failed: bool = False) -> Reply:
    message = queued.message
    return Reply(
        to=message.sender,
        text=text,
        session=queued.route.session,
        agent=queued.route.agent,
        answers=queued.id,
        chat=message.chat,
        topic=message.topic,
        failed=failed,
    )


def _told(error: Exception) -> str:
    if isinstance(error, OpenClawError):
        return SECRETS.mask(str(error))
    return f"{type(error).__name__}; the log has the details"


def _is_empty(message: Message) -> bool:
    return not message.text.strip() and _says_nothing_else(message)


def _says_nothing_else(message: Message) -> bool:
    """Whether there is only text: no file, no image, nothing quoted or passed on."""
    return all(isinstance(part, Text) for part in message.parts)


def _is_command(queued: Queued) -> bool:
    return queued.message.heartbeat is None and is_command(queued.route.text)


def _asks_for_new(queued: Queued) -> bool:
    line = commands.read(queued.route.text) if queued.message.heartbeat is None else None
    return line is not None and line.name == "new"


def _introduce(agent: Agent) -> str:
    return f"{agent.name}: {agent.description}\nType {agent.prefix} and your question." if agent.prefix else agent.name

