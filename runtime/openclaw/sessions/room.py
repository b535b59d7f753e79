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
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

from openclaw import commands, logbook
from openclaw.clock import Clock
from openclaw.errors import AgentGone, DiskFull, OpenClawError, QueueFull, StorageFailed
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
    TextDelta,
    Told,
)
from openclaw.names import CHANCE
from openclaw.ports import Beside, Doorbell, Fits, Queued, Store, Watcher
from openclaw.sessions.alone import Alone
from openclaw.sessions.conversations import Conversations
from openclaw.sessions.door import Door
from openclaw.sessions.hearing import Hearing
from openclaw.sessions.line import ATTEMPTS, MOST, Line, is_command
from openclaw.sessions.replies import lead
from openclaw.sessions.rerouting import Rerouting
from openclaw.sessions.running import Answerer, Beats, Bills, Running
from openclaw.sessions.settling import Settling
from openclaw.sessions.standing import cut_off, standing, together, unbegun
from openclaw.sessions.taken import Taken
from openclaw.sessions.telling import Telling, place, tell_taken
from openclaw.sessions.words import (
    AWAY,
    CUT_OFF,
    DROPPED,
    NEW,
    NEWER,
    PARKED,
    UNDONE,
    gone,
    notice,
    reply_to,
    wrong,
)
from openclaw.spending import Bill, Place
from openclaw.transcript import Log, Transcript

log = logging.getLogger(__name__)

IN_ALL = 10_000  # messages of all sessions that wait


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
        self._clock = clock
        self._conversations = Conversations(store.journal, clock, lambda session: self.reset(session))
        self._running: dict[str, Running] = {}
        self._taken: dict[str, Taken] = {}  # by session: what its wake has in hand
        self._hearing = Hearing()
        self._door = Door(store.marks, snapshot, at_once, lambda sender: self.paired(sender))
        self._settling = Settling(
            store.inbox, self._hearing, self._door, snapshot, lambda: self.beats, lambda: self.bills
        )
        self._settling.withheld = lambda to: self.withheld(to)
        self._alone = Alone(doorbell.ring)
        self._held: set[str] = set()  # sessions that are taken in, and answer nothing until that is done
        self._in_all = 0  # messages that waited when they were last counted, and all since
        self.most = IN_ALL
        self.plain = False  # whether every channel queues, whatever it says
        self.paired: Callable[[Address], bool] = lambda sender: False  # whether a code let this stranger in
        self.withheld: Callable[[Address], bool] = lambda to: False  # whether nothing may be sent there, also later
        self.stopping = False
        self.chance = CHANCE
        self.beats: Beats | None = None
        self.bills: Bills | None = None
        self.left: Callable[[str], None] = lambda session: None  # told when a session was put aside
        self.rests: Callable[[Queued, Transcript], None] = lambda queued, transcript: None  # told after a turn
        self.disturbed: Callable[[str], Awaitable[None]] = _nothing  # awaited before anything is written to a session
        self.failed: Callable[[StorageFailed], None] = lambda error: None  # told of a disk that takes nothing in
        self.delivered: Callable[[str], None] = lambda channel: None  # told when a channel's outbox has grown

    # ── taking in ────────────────────────────────────────────────────────────────────────────────

    async def post(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        """Accepts a message for ever, answers a command at once, or refuses; never in between."""
        came = await self._post(message, watch)
        tell_taken(message, came)
        return came

    async def _post(self, message: Message, watch: Watcher | None) -> Accepted | Answered | Refused:
        if self.stopping:
            return Refused("stopping", "the runtime is stopping; send it again in a moment")
        if refused := self._door.refusal(message):
            return refused
        routed = self.routed(message)
        if found := await self._command(message, routed):
            return found
        return routed if isinstance(routed, Refused) else await self._accept(message, routed, watch)

    async def _command(self, message: Message, routed: Route | Refused) -> Answered | Refused | None:
        """What comes of a command that acts at once; None where it is none."""
        try:
            return await self._door.command(message, routed)
        except StorageFailed:
            raise
        except DiskFull as error:
            return Refused("full", str(error))
        except OpenClawError as error:  # of a session that cannot be read, for example
            return Answered(f"This cannot be done here: {error}")

    async def _accept(self, message: Message, routed: Route, watch: Watcher | None) -> Accepted | Refused:
        room = await self._room(message)
        accepting = asyncio.ensure_future(self._store.inbox.accept(message, routed, at_most=room))
        accepting.add_done_callback(self._accepted)
        try:
            accepted = await asyncio.shield(accepting)
        except StorageFailed:
            raise
        except QueueFull as error:
            waiting = f"{error.waiting} messages wait here" if room else f"{self._in_all:,} messages wait in all"
            return Refused("busy", f"{waiting} already; send it again in a while")
        except OpenClawError as error:
            return Refused("full", str(error))
        if watch is not None and accepted.new:  # one that is there already may have ended; `watch` is for those
            self._hearing.watch(accepted.id, watch)
        if accepted.new:
            await self._interrupt(Queued(accepted.id, message, routed, 0))
        return accepted

    def _accepted(self, accepting: asyncio.Task[Accepted]) -> None:
        """What was taken in is answered, also where whoever brought it was cancelled meanwhile; nor is a broken disk
        left untold then."""
        if accepting.cancelled():
            return
        error = accepting.exception()
        if isinstance(error, StorageFailed):
            self.failed(error)
        elif error is None:
            self._in_all += accepting.result().new
            self._doorbell.ring(accepting.result().session)

    async def _room(self, message: Message) -> int:
        """How many messages may wait before this one in its session."""
        if self._in_all >= self.most:
            self._in_all = await self._store.inbox.waiting()
        channel = self._snapshot().channels.get(message.sender.channel)
        own = channel.queue_limit if channel else QUEUE_LIMIT
        return own if self._in_all < self.most else 0

    async def _interrupt(self, newer: Queued) -> None:
        """Ends the running turn where the newer message is to be answered together with what it answers, and nothing
        else waits between the two."""
        session, line = newer.route.session, self._line
        running, mode = self._running.get(session), line.mode(newer.message)
        if running is None or running.interrupted or mode != "interrupt":
            if running is not None:
                _tell("message waits", newer, "message %s waits: an answer is being written there (%s)", newer.id, mode)
            return
        fits = line.joining(running.queued)
        if fits is None or not fits(newer) or await self._store.inbox.waiting(session) != 1:
            return
        if self._running.get(session) is running:
            running.interrupted = True
            running.task.cancel()
            _tell("turn interrupted", newer, "message %s stops the answer that is being written there", newer.id)

    @property
    def _line(self) -> Line:
        return Line(self._snapshot(), self.plain)

    async def choose(self, sender: Address, agent: str | None) -> None:
        """The person's /agent choice, kept over restarts; None goes back to the usual agent."""
        await self._door.choose(sender, agent)

    def key(self, message: Message) -> str:
        """The session a message would enter."""
        return self._door.key(message)

    def routed(self, message: Message) -> Route | Refused:
        """Who would answer a message, and where; nothing is taken in."""
        return self._door.routed(message)

    # ── answering ────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Takes up what an earlier run left open."""
        await self._door.open()
        self._in_all = await self._store.inbox.waiting()
        for session in await self._store.inbox.open():
            self._doorbell.ring(session)

    async def wake(self, session: str) -> None:
        """Answers the session's oldest message, and what is answered together with it. The doorbell calls it for one
        at a time; what waits behind gets its turn after the other sessions that wait by then."""
        if self.stopping or session in self._held:
            why = "the runtime is stopping" if self.stopping else "it is being taken in from elsewhere"
            logbook.debug(log, "session held", "nothing is taken up in %s: %s", session, why, session=session)
            return
        taken = self._taken[session] = Taken(self._store.inbox, session)
        try:
            await self._serve_next(session, taken)
        except (asyncio.CancelledError, DiskFull):
            # The runtime is ending: what is not settled goes back as it was and is taken up at the next start.
            with suppress(DiskFull):
                await taken.give_back()
            raise
        finally:
            del self._taken[session]

    async def _serve_next(self, session: str, taken: Taken) -> None:
        queued = await taken.next()
        if queued is None:
            return
        if session in self._held:
            await taken.give_back()  # it was held while the store was asked
            return
        if queued.attempts == ATTEMPTS and not self._alone.takes(session):
            await taken.give_back()  # while it waits for that it does not count, and holds no place
            _tell("message waits", queued, "message %s waits until it can be answered alone", queued.id)
            return
        try:
            with logbook.about(**place(queued)):
                await self._serve(queued)
        finally:
            self._alone.leaves(session)
        self._doorbell.ring(session)

    async def _serve(self, queued: Queued) -> None:
        """Whatever goes wrong, the message comes to an end, and whoever sent it hears of that."""
        try:
            await self.disturbed(queued.route.session)
            await self._serve_in(queued)
        except (StorageFailed, DiskFull):  # it was waited for as long as the runtime lived: the next start takes it up
            raise
        except OpenClawError as error:  # a session file of a newer version, for example: told, and others go on
            log.error("message %s cannot be answered: %s", queued.id, error)
            reply = reply_to(queued, f"This cannot be answered here: {error}", failed=True)
            await self._settle([queued], "failed", reply)
        except Exception as error:
            log.exception("message %s could not be taken up", queued.id)
            await self._settle([queued], "failed", reply_to(queued, wrong(error), failed=True))

    async def _serve_in(self, queued: Queued) -> None:
        if queued.attempts > ATTEMPTS:
            log.error("message %s was put aside after %d attempts", queued.id, ATTEMPTS)
            await self._settle([queued], "parked", reply_to(queued, PARKED, failed=True))
            await self._count(queued.route.session, queued.route.agent)  # then: its session may be what ends runtimes
            return
        if queued.attempts > 1:
            await self._count(queued.route.session, queued.route.agent)
        if queued.message.told:
            await self._enter(queued)
        elif self._is_orphaned(queued):
            log.warning("the run of heartbeat %s is dropped: agent %s is gone", queued.message.name, queued.route.agent)
            await self._settle(
                [queued], "failed", reply_to(queued, gone(queued.route.agent, UNDONE + queued.route.text))
            )
        elif await self._went_elsewhere(queued):
            pass
        elif _asks_for_new(queued):
            await self.reset(queued.route.session)
            await self._settle([queued], "done", reply_to(queued, NEW))
        elif await self._is_cut_off(queued):
            await self._cut_off(queued)
        else:
            await self._answer(queued, await self._opened(queued))

    def _is_orphaned(self, queued: Queued) -> bool:
        """Whether it is a run of a heartbeat or reminder that went with its agent; whom it is for hears of that."""
        of_heartbeat = queued.message.heartbeat is not None and self._beat(queued) is None
        return of_heartbeat and queued.route.agent not in self._snapshot().agents

    async def _went_elsewhere(self, queued: Queued) -> bool:
        """Whether its agent is gone, or is back, and it waits elsewhere by now, or nobody answers it."""
        rerouting = Rerouting(self._snapshot().agents.__contains__, self._door.routed, self._door.instead)
        if not rerouting.concerns(queued):
            return False
        session, way = queued.route.session, rerouting.way(queued, await self.transcript(queued.route.session))
        if isinstance(way, str):
            log.warning("message %s is not answered: %s", queued.id, way)
            await self._settle([queued], "failed", reply_to(queued, way, failed=True))
        elif way is not None:
            log.warning("message %s goes from agent %s to %s", queued.id, queued.route.agent, way.agent)
            await self._taken[session].move(queued, way)
            self._doorbell.ring(way.session)
        return way is not None

    async def _answer(self, queued: Queued, transcript: Transcript) -> None:
        """One turn, for this message and those that are answered with it."""
        session, queued, line = queued.route.session, self._rerouted(queued), self._line
        how = standing(queued, transcript)
        known = await self._behind(session, together(queued, transcript, line))
        rows = [queued, *known]
        joining = unbegun(line.joining(queued), transcript)
        said = () if how in ("open", "answered") else tuple(known)
        steered, anew = partial(self._steered, session, joining), how in ("passed", "blamed")
        beside = Beside(said, steered, anew, lambda: running.rows)
        front = lead(rows, transcript)
        more, mode = len(known), line.mode(queued.message)
        _tell("message taken up", queued, "message %s is taken up, with %d others (%s)", queued.id, more, mode)

        def tell(event: Progress) -> None:
            self._show(running, front, event)

        with Telling(queued, self._agent(queued), self._snapshot(), self._clock) as telling:
            task = asyncio.create_task(self._answerer(queued, transcript, tell, beside))
            running = self._running[session] = Running(rows, task)
            if said_first := notice(rows):
                tell(TextDelta(said_first))
            try:
                reply = telling.reply = await self._outcome(running, transcript)
            finally:
                telling.stopped = running.stopped
                del self._running[session]
                running.ended.set()
        if reply is not None:
            reply = replace(reply, text=notice(running.rows) + reply.text)
            await self._settle(running.rows, "failed" if reply.failed else "done", reply, front)
            self.rests(queued, transcript)
            return
        self._show(running, front, Retrying(AWAY if running.away else NEWER, 0.0))
        await self._store.inbox.release(*(row.id for row in running.rows))

    async def _behind(self, session: str, fits: Fits | None) -> Sequence[Queued]:
        return () if fits is None else await self._taken[session].join(MOST, fits)

    async def _steered(self, session: str, fits: Fits | None) -> Sequence[Queued]:
        """What joins the session's turn under way. Cancelled half way it still ends, so that no message is lost
        between queue and turn."""
        running = self._running.get(session)
        if running is None or fits is None:
            return ()
        running.joining = asyncio.ensure_future(self._join(running, fits))
        return await asyncio.shield(running.joining)

    async def _join(self, running: Running, fits: Fits) -> Sequence[Queued]:
        joined = await self._behind(running.queued.route.session, fits)
        running.rows += joined
        for row in joined:
            _tell("message joined", row, "message %s joins the answer that is being written there", row.id)
        return joined

    # ── what a crash left ────────────────────────────────────────────────────────────────────────

    async def _is_cut_off(self, queued: Queued) -> bool:
        """Whether a crash ended its turn, and its agent takes no turn up again."""
        if queued.attempts == 1 or _is_command(queued) or self._agent(queued).interrupted == "resume":
            return False
        return cut_off(queued, await self.transcript(queued.route.session))

    async def _cut_off(self, queued: Queued) -> None:
        """Settles it, and what was answered with it, without running anything."""
        session, silent = queued.route.session, self._agent(queued).interrupted == "drop"
        known = (await self.transcript(session)).together(queued.id)
        rows = [queued, *await self._taken[session].join(len(known) - 1, lambda other: other.id in known)]
        log.warning("message %s was cut off by a crash and is not taken up again", queued.id)
        await self._settle(rows, "failed", reply_to(queued, CUT_OFF, failed=True), silent=silent)

    async def _count(self, session: str, agent: str) -> None:
        """What a crash left uncounted, before nobody looks there any more."""
        try:
            await self._answerer.count(session, agent, await self.transcript(session))
        except StorageFailed:
            raise
        except OpenClawError as error:  # of a session that cannot be read, for example
            log.warning("what session %s used is not counted: %s", session, error)

    async def _outcome(self, running: Running, transcript: Transcript) -> Reply | None:
        """None where a newer message took the turn over, or its agent is gone before it began."""
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
            return None if over else reply_to(running.queued, "Stopped.", failed=True)
        error = running.task.exception()
        if error is None:
            return running.task.result()
        if isinstance(error, AgentGone):
            running.away = True
            return None
        if isinstance(error, StorageFailed | DiskFull) or not isinstance(error, Exception):
            raise error
        log.error("answering message %s failed", running.queued.id, exc_info=error)
        await self._answerer.abandon(running.queued, transcript)
        return reply_to(running.queued, wrong(error), failed=True)

    async def _enter(self, queued: Queued) -> None:
        """Something was said to this session's person elsewhere: it becomes part of what was said here."""
        message, session = queued.message, queued.route.session
        transcript = await self._opened(queued)
        if not transcript.begun(queued.id):
            by = f"heartbeat {message.heartbeat}" if message.heartbeat else str(message.sender)
            told = Told(self.chance.fresh(), self._clock.now(), by, message.text, queued.id, message.untrusted)
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
        for outgoing in await self._settling(rows, state, reply, front, silent=silent):
            self.delivered(outgoing.to.channel)
        await self._settling.over(rows[0])

    def _rerouted(self, queued: Queued) -> Queued:
        """A heartbeat may have been given to another agent by now; and what a gone agent had answered is only told."""
        agent = self._agent(queued).id
        return queued if agent == queued.route.agent else replace(queued, route=replace(queued.route, agent=agent))

    def _agent(self, queued: Queued) -> Agent:
        snapshot = self._snapshot()
        beat = self._beat(queued)
        return snapshot.agents.get(beat.agent if beat is not None else queued.route.agent) or snapshot.default_agent

    def _beat(self, queued: Queued) -> Heartbeat | None:
        return self.beats.named(queued.message.heartbeat) if self.beats is not None else None

    # ── watching and stopping ────────────────────────────────────────────────────────────────────

    def watch(self, message: str, watcher: Watcher) -> Callable[[], None]:
        return self._hearing.watch(message, watcher)

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        return self._hearing.listen(channel, watcher)

    def watched(self, message: str, channel: str) -> bool:
        return self._hearing.watched(message, channel)

    def _show(self, running: Running, front: Queued, event: Progress) -> None:
        """Shown where the reply will stand, and to every program that waits for it."""
        for row in running.rows:
            if row is front or row.message.fetched:
                self._hearing.tell(row, event)

    @property
    def busy(self) -> bool:
        """Whether a message is on its way from the queue to its reply."""
        return bool(self._taken)

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
        self._hearing.tell(queued, Finished(reply_to(queued, DROPPED, failed=True)))
        self._hearing.end(queued)

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
        return await self._conversations.of(session)

    async def _opened(self, queued: Queued) -> Transcript:
        return await self._conversations.opened(queued, self._agent(queued), self._beat(queued))

    async def reset(self, session: str) -> str | None:
        """Puts the session aside; the next message finds it empty. A turn that is under way is stopped first: the
        rest of it must not begin the new one."""
        running = self._running.get(session)
        if running is not None:
            await self.stop(session)
            await running.ended.wait()
        await self.disturbed(session)
        if session.startswith("agent:"):  # runs of heartbeats are counted when they are taken up, all of them
            await self._count(session, session.split(":")[1])
        self._conversations.forget(session)
        self.left(session)
        return await self._store.journal.archive(session)

    async def take_in(self, session: str, entries: Sequence[Entry], *, force: bool = False) -> int | None:
        """Writes a session that comes from elsewhere, and gives how many entries that took: those that are there
        already are not written again. None where another is there, unless it is to be put aside by `force`, or it is
        being answered."""
        taken = self._taken.get(session)
        if (taken is not None and taken.any) or session in self._held:
            return None
        self._held.add(session)
        try:
            await self.disturbed(session)
            kept = (await self.transcript(session)).entries
            more = entries[len(kept) :] if list(entries[: len(kept)]) == kept else None
            if more is None and force:
                await self.reset(session)
                more = entries
            if more:
                self._conversations.forget(session)
                await self._store.journal.append(session, more)
                await self._store.spending.add(Bill(session, (), Place(more[-1].id, more[-1].at)))  # paid elsewhere
        finally:
            self._held.discard(session)
            self._doorbell.ring(session)
        return None if more is None else len(more)


async def _nothing(session: str) -> None:
    """Nobody else writes there."""


def _tell(event: str, queued: Queued, words: str, *args: object) -> None:
    if log.isEnabledFor(logging.DEBUG):
        logbook.debug(log, event, words, *args, **place(queued))


def _is_command(queued: Queued) -> bool:
    return queued.message.heartbeat is None and is_command(queued.route.text)


def _asks_for_new(queued: Queued) -> bool:
    line = commands.read(queued.route.text) if queued.message.heartbeat is None else None
    return line is not None and line.name == "new"
