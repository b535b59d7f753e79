"""From an accepted message to its settled reply: `post` takes in, one worker for each session answers in order.

The law: a message is on disk before it is acknowledged, and stays until its reply is in the outbox, in the
same transaction that settles it. Sessions run side by side; within one, first in, first out. A message that
brought the runtime down three times is put aside and said so; the third time is tried alone, so that what merely
ran beside it is not blamed. What a turn is made of stands in `turn.py`, and
the app hands it in; what commands do is handed in too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from openclaw import commands
from openclaw.clock import Clock
from openclaw.errors import OpenClawError, StorageFailed
from openclaw.manifest.snapshot import Agent, Heartbeat, Snapshot
from openclaw.messages import (
    SILENT,
    Accepted,
    Address,
    Answered,
    Finished,
    Message,
    Progress,
    Refused,
    Reply,
    Route,
    Text,
    Told,
)
from openclaw.names import fresh
from openclaw.ports import Doorbell, Queued, Store, Watcher
from openclaw.router import route, there
from openclaw.secrecy import SECRETS
from openclaw.transcript import Log, Transcript

log = logging.getLogger(__name__)

LONGEST = 256 * 1024  # characters of one message
ATTEMPTS = 3  # a message that was taken up this often without an end is put aside
WARM = 256  # transcripts kept in memory

NEW = "Started afresh. The conversation so far is kept in the archive; what was remembered stays remembered."
PARKED = "This message brought the runtime down three times. It was put aside so that others are answered; it is kept."


class Answerer(Protocol):
    """Makes the reply to one message: a turn, or a command that takes its place in the queue."""

    async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher) -> Reply: ...

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
    """One turn under way. `stopped` tells a person's /stop from the end of the runtime."""

    queued: Queued
    task: asyncio.Task[Reply]
    stopped: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # nothing more is written to its session


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
        self._warm: OrderedDict[str, Transcript] = OrderedDict()
        self._running: dict[str, Running] = {}
        self._watchers: dict[str, list[Watcher]] = {}  # by message
        self._listeners: dict[str, list[Watcher]] = {}  # by channel
        self._choices: dict[str, str] = {}
        self._last_attempt = asyncio.Lock()
        self.paired: Callable[[Address], bool] = lambda sender: False  # whether a code let this stranger in
        self.stopping = False
        self.beats: Beats | None = None
        self.left: Callable[[str], None] = lambda session: None  # told when a session was put aside
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
            accepted = await self._store.inbox.accept(message, routed)
        except StorageFailed:
            raise
        except OpenClawError as error:
            return Refused("full", str(error))
        if watch is not None and accepted.new:  # one that is there already may have ended; `watch` is for those
            self._watchers.setdefault(accepted.id, []).append(watch)
        self._doorbell.ring(accepted.session)
        return accepted

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
        for session in await self._store.inbox.open():
            self._doorbell.ring(session)

    async def wake(self, session: str) -> None:
        """Answers everything the session has waiting, oldest first. The doorbell calls it for one at a time."""
        while not self.stopping and (queued := await self._store.inbox.next(session)):
            if queued.attempts == ATTEMPTS:
                await self._serve_alone(queued)
            else:
                await self._serve(queued)

    async def _serve_alone(self, queued: Queued) -> None:
        """The last attempt, when no other message is at its last: while it waits for that it does not count."""
        await self._store.inbox.release(queued.id)
        async with self._last_attempt:
            again = None if self.stopping else await self._store.inbox.next(queued.route.session)
            if again is not None:
                await self._serve(again)

    async def _serve(self, queued: Queued) -> None:
        try:
            await self._serve_in(queued)
        except StorageFailed:
            raise
        except OpenClawError as error:  # a session file of a newer version, for example: told, and others go on
            log.error("message %s cannot be answered: %s", queued.id, error)
            await self._settle(queued, "failed", _reply(queued, f"This cannot be answered here: {error}", failed=True))

    async def _serve_in(self, queued: Queued) -> None:
        if queued.attempts > ATTEMPTS:
            log.error("message %s was put aside after %d attempts", queued.id, ATTEMPTS)
            await self._settle(queued, "parked", _reply(queued, PARKED, failed=True))
            return
        if queued.message.told:
            await self._enter(queued)
            return
        if _asks_for_new(queued):
            await self.reset(queued.route.session)
            await self._settle(queued, "done", _reply(queued, NEW))
            return
        transcript = await self._opened(queued)
        queued = self._rerouted(queued)
        task = asyncio.create_task(self._answerer(queued, transcript, lambda event: self._tell(queued, event)))
        running = self._running[queued.route.session] = Running(queued, task)
        try:
            reply = await self._outcome(running, transcript)
        except asyncio.CancelledError:
            # The runtime is ending: the message goes back as it was and is taken up at the next start.
            await self._store.inbox.release(queued.id)
            raise
        finally:
            del self._running[queued.route.session]
            running.ended.set()
        await self._settle(queued, "failed" if reply.failed else "done", reply)

    async def _outcome(self, running: Running, transcript: Transcript) -> Reply:
        try:
            await asyncio.wait({running.task})
        except asyncio.CancelledError:
            running.task.cancel()
            await asyncio.wait({running.task})
            raise
        if running.task.cancelled():
            await self._answerer.abandon(running.queued, transcript)
            return _reply(running.queued, "Stopped.", failed=True)
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
        transcript = await self.transcript(session)
        if not transcript.begun(queued.id):
            by = f"heartbeat {message.heartbeat}" if message.heartbeat else str(message.sender)
            untrusted = (await self.transcript(f"cron:{message.heartbeat}")).untrusted if message.heartbeat else ""
            told = Told(fresh(), self._clock.now(), by, message.text, queued.id, untrusted)
            await Log(session, self._store.journal, transcript, self._clock).write(told)
        await self._store.inbox.settle(queued.id, "done", None, deliver=())

    async def _settle(self, queued: Queued, state: Literal["done", "failed", "parked"], reply: Reply) -> None:
        deliver = self._deliveries(queued, reply)
        beats = self.beats if queued.message.heartbeat is not None and not queued.message.told else None
        if beats is not None:
            deliver += await beats.ended(queued, reply)
        await self._store.inbox.settle(queued.id, state, reply, deliver=deliver)
        if beats is not None:
            await beats.settled(queued)
        self._tell(queued, Finished(reply))
        self._watchers.pop(queued.id, None)
        for outgoing in deliver:
            self.delivered(outgoing.to.channel)

    def _deliveries(self, queued: Queued, reply: Reply) -> list[Reply]:
        """What is sent: nothing where the reply is fetched; a heartbeat's to whom it is for, unless it is silent or
        failed, which its owner is told instead."""
        message, plain = queued.message, replace(reply, account=None)
        if not message.deliver:
            return [] if message.fetched or message.heartbeat is not None else [plain]
        if reply.text.strip() == SILENT or (message.heartbeat is not None and reply.failed):
            return []
        told: dict[str, Route] = {}  # one person may be reached at several places
        replies = []
        for place in message.deliver:
            here = self._told(queued, place, reply)
            new = here is not None and here.session not in told
            replies.append(replace(plain, to=place, answers=None, told=here if new else None))
            told |= {here.session: here} if here is not None else {}
        return replies

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
        snapshot = self._snapshot()
        beat = self.beats.named(queued.message.heartbeat) if self.beats is not None else None
        agent = beat.agent if beat is not None else queued.route.agent
        agent = agent if agent in snapshot.agents else snapshot.default_agent.id
        return queued if agent == queued.route.agent else replace(queued, route=replace(queued.route, agent=agent))

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

    def running(self) -> list[Queued]:
        return [running.queued for running in self._running.values()]

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
        found = self._warm.get(session)
        if found is None:
            found = self._warm[session] = Transcript(await self._store.journal.load(session))
        self._warm.move_to_end(session)
        while len(self._warm) > WARM:
            oldest = next(key for key in self._warm if key not in self._running)
            del self._warm[oldest]
        return found

    async def _opened(self, queued: Queued) -> Transcript:
        """The message's session; that of a heartbeat is put aside first, unless it asks to be kept."""
        transcript = await self.transcript(queued.route.session)
        heartbeat = self.beats.named(queued.message.heartbeat) if self.beats is not None else None
        keeps = queued.message.heartbeat is None or (heartbeat is not None and heartbeat.session == "keep")
        if keeps or not transcript.entries or transcript.begun(queued.id):
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
        self._warm.pop(session, None)
        self.left(session)
        return await self._store.journal.archive(session)


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


def _asks_for_new(queued: Queued) -> bool:
    line = commands.read(queued.route.text) if queued.message.heartbeat is None else None
    return line is not None and line.name == "new"


def _introduce(agent: Agent) -> str:
    return f"{agent.name}: {agent.description}\nType {agent.prefix} and your question." if agent.prefix else agent.name

