"""Builds every object and owns their lifetimes: one runtime on one state folder, from open to close.

The law: constructors do nothing; what was opened is closed in the opposite order, also when opening fails half
way; one TaskGroup at the top, and each runner ends at its own boundary, so that one channel that breaks takes
no other with it. Only a disk that refuses to write ends the whole, because then nothing can be promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from openclaw import adapters
from openclaw.answering import Answering, House
from openclaw.approvals import Approvals
from openclaw.clock import Clock, SystemClock
from openclaw.delivery import Delivery
from openclaw.desk import Desk
from openclaw.errors import OpenClawError, StorageFailed
from openclaw.heartbeats import Heartbeats
from openclaw.manifest import snapshot as manifest
from openclaw.manifest.folder import Folder
from openclaw.manifest.people import TERMINAL
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Address, quote_line
from openclaw.permissions.facts import Disk
from openclaw.ports import (
    Channel,
    ChannelOptions,
    Doorbell,
    Gate,
    Operations,
    Place,
    Post,
    Queued,
    Renewable,
    Store,
)
from openclaw.project import Options, Project, asked_models, load
from openclaw.reload import Attempt, Reload, keep
from openclaw.sessions import Sessions
from openclaw.supervisor import Supervisor
from openclaw.tools.memory import Memory
from openclaw.watch import Watch

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 64  # sessions answered at the same time
GRACE = 5.0  # seconds that running answers get to end when the runtime stops
SWITCH = 0.001  # seconds: the thread that writes gets its turn while the loop is busy; a third more turns a second
STEP = 0.02  # seconds between looks at whether they have
LISTENING = ("http",)  # channel kinds that can be opened beside the one they replace
LONGEST_END = 9.0  # seconds after which a stop leaves whatever will not end; services are killed after ten

Runner = Callable[[], Coroutine[Any, Any, None]]
"""Begun only when its task runs: one that is cancelled before has nothing to clean up."""


class App:
    """One runtime. `channels` replaces those of the manifests: a one-shot question brings its own."""

    def __init__(
        self,
        options: Options,
        *,
        channels: Mapping[str, Channel] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.clock = clock or SystemClock()
        self.house = House(options.project.resolve(), options.state)
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self.notices: list[str] = []
        self.can_ask = True  # whether a person can be asked for approval here; a one-shot question in a pipe says no
        self._given = channels
        self._channels: dict[str, Channel] = {}
        self._states: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        """Everything open and wired, nothing running yet."""
        project = load(self.options, self.clock)
        async with contextlib.AsyncExitStack() as stack:
            await self._open(project, stack)
            yield self

    async def _open(self, project: Project, stack: contextlib.AsyncExitStack) -> None:
        self.demo = project.demo
        if os.geteuid() == 0:
            self.notices.append("running as root: what a tool may do, it may do to the whole machine")
        self.store: Store = adapters.kind("stores", "files")(str(self.options.state), self.clock)
        stack.push_async_callback(self.store.close)
        await self.store.open()
        place = Place(str(self.house.project), str(self.house.state))
        self.supervisor = Supervisor(place, self.clock, project.model)
        stack.push_async_callback(self.supervisor.close)
        await self.supervisor.apply(project.snapshot)
        self.approvals = Approvals(self.store.marks, self.clock)
        await self.approvals.open()
        memory = Memory(self.house.state / "memory", self.house.state / "search.db", self.clock)
        stack.callback(memory.close)
        self.desk = Desk(
            self.house, self.store, self.supervisor, self.approvals, memory, self.clock, self.demo, self._states
        )
        self.doorbell: Doorbell = adapters.kind("doorbells", "local")()
        self.delivery = Delivery(self.store.outbox, self.clock)
        self.sessions = self._sessions()
        self.heartbeats = Heartbeats(self.store, self.clock, self._snapshot, self.doorbell.ring)
        self._prepare_reload(project)
        self._choose_channels(project.snapshot)

    def _prepare_reload(self, project: Project) -> None:
        self.reload = Reload(self.house.project, self.house.state, self.clock, self._snapshot, self._apply)
        self.reload.begin(project.reading, last_good=bool(project.broken))
        self.desk.reloading = self.reload
        if project.broken:
            first = project.broken[0]
            self.notices.append(
                f"THE PROJECT ON DISK IS BROKEN; running what was applied last. "
                f"{quote_line(first.file)}:{first.line}:{first.column}: {first.message}"
            )
        else:
            keep(self.house.state, self.house.project, project.reading.folder)

    def _snapshot(self) -> Snapshot:
        return self.supervisor.current.snapshot

    def _sessions(self) -> Sessions:
        answering = Answering(
            self.house,
            self.supervisor,
            self.store.journal,
            self.approvals,
            Disk(),
            self.clock,
            self._reachable,
        )
        sessions = Sessions(
            self.store, self.doorbell, self._snapshot, answering, self.desk.at_once, self.clock
        )
        sessions.delivered = self.delivery.grown
        self.desk.attach(sessions)
        return sessions

    def _reachable(self, queued: Queued, approvers: tuple[str, ...]) -> bool:
        """Whether anybody who may agree can see the question: whoever watches this turn, or a channel of theirs."""
        if not self.can_ask:
            return False
        message = queued.message
        if message.can_ask and (self.sessions.watched(queued.id, message.sender.channel) or message.fetched):
            return True
        others = approvers if message.can_ask else [one for one in approvers if one != str(message.sender)]
        channels = {Address.parse(approver).channel for approver in others}
        return any(self._states.get(channel) == "running" for channel in channels)

    # ── channels ─────────────────────────────────────────────────────────────────────────────────

    def _choose_channels(self, snapshot: Snapshot) -> None:
        """Makes the channels that take part; each is opened when it runs."""
        if self._given is not None:
            self._channels = dict(self._given)
            self._states.update(dict.fromkeys(self._given, "starting"))
            return
        for key, channel in snapshot.channels.items():
            self._choose(key, channel)

    def _choose(self, key: str, channel: manifest.Channel, made: Channel | None = None) -> None:
        if why := channel.skipped or self._sits_out(channel.options):
            self._states[key] = f"off: {why}"
            self.notices.append(f"channel {key} is off: {why}")
            return
        options = self._options(channel)
        self._channels[key] = made or adapters.kind("channels", options.kind)(options, self.clock)
        self._states[key] = "starting"

    def _options(self, channel: manifest.Channel) -> ChannelOptions:
        return replace(channel.options, options={**channel.options.options, **self._extras(channel.options.kind)})

    def _extras(self, kind: str) -> dict[str, Any]:
        """What a kind needs of the house beside what the manifest says."""
        if kind == "repl":
            return {"history": str(self.house.state / "history")}
        if kind == "http":
            return {"serve": self._serve_http, "token_file": str(self.house.state / "http-token")}
        return {}

    async def _serve_http(self, listener: socket.socket, post: Post, operations: Operations, gate: Gate) -> None:
        from openclaw.control import serve_at

        await serve_at(listener, post, operations, gate, self.clock)

    async def addresses(self) -> list[str]:
        """Where programs reach this runtime. Opens what listens; what cannot is told when it runs."""
        for channel in self._channels.values():
            if isinstance(channel, Renewable):
                with contextlib.suppress(OpenClawError):
                    await channel.open()
        return [c.address for c in self._channels.values() if isinstance(c, Renewable) and c.address]

    @property
    def serves_person(self) -> bool:
        """Whether somebody at this terminal takes part."""
        return TERMINAL.channel in self._channels

    def _sits_out(self, options: ChannelOptions) -> str | None:
        if self.demo and not _for_the_demo(options):
            return "the demo model only answers here and on loopback HTTP"
        if options.kind == "repl" and not _has_input():
            return "the input is not a terminal"
        return None

    # ── running ──────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until `stopping` is set or the person at the terminal leaves; then ends in good order."""
        sys.setswitchinterval(SWITCH)
        self.desk.started = self.clock.monotonic()
        await self.sessions.open()
        for name, runner in self._runners().items():
            self._start(name, runner)
        for key in self._channels:
            self._start_channel(key)
        try:
            await self.stopping.wait()
            await self._wind_down()
        finally:
            await asyncio.gather(*[self._end(name) for name in self._tasks])
            for channel in self._channels.values():
                await channel.close()
        if self.failure is not None:
            raise self.failure

    def _runners(self) -> dict[str, Runner]:
        runners: dict[str, Runner] = {
            "doorbell": lambda: self.doorbell.serve(self._wake, SIDE_BY_SIDE),
            "control": self._control,
            "heartbeats": self.heartbeats.run,
        }
        if self._given is None:  # a one-shot question does not live long enough to see an edit
            runners["watch"] = lambda: Watch(self.reload.folders, self.clock).run(self.reload.look)
        return runners

    def _start(self, name: str, runner: Runner) -> None:
        self._tasks[name] = asyncio.create_task(self._guarded(name, runner), name=name)

    async def _end(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _guarded(self, name: str, runner: Runner) -> None:
        """One runner's own boundary: its failure is said and ends nobody else, but for a disk that refuses."""
        try:
            await runner()
        except StorageFailed as error:
            self._fail(error)
        except OpenClawError as error:
            log.error("%s ended: %s", name, error)
        except Exception:
            log.exception("%s failed", name)

    async def _wind_down(self) -> None:
        """Takes nothing more in, and gives what is being written and sent a moment; the rest waits on disk."""
        self.sessions.stopping = True
        waited = 0.0
        while self.failure is None and waited < GRACE and (self.sessions.running() or await self._undelivered()):
            await self.clock.sleep(STEP)
            waited += STEP

    async def _undelivered(self) -> bool:
        keys = [key for key in self._channels if self._states[key] in ("running", "ended")]
        return any([await self.store.outbox.due(key) for key in keys])

    async def _wake(self, session: str) -> None:
        try:
            await self.sessions.wake(session)
        except StorageFailed as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.stopping.set()

    def _start_channel(self, key: str, after: asyncio.Task[None] | None = None) -> None:
        """`after`: its predecessor, where the two cannot be at work at the same time."""
        channel = self._channels[key]
        self._start(f"channel {key}", lambda: self._channel(key, channel, after))
        self._start(f"delivery to {key}", lambda: self.delivery.run(key, channel))

    async def _channel(self, key: str, channel: Channel, after: asyncio.Task[None] | None) -> None:
        """One channel. Its end is its own, but for the terminal's: the person left. A command that brought its own
        channel waits for nothing else, so it ends with it, also where it fails."""
        try:
            if after is not None:
                await asyncio.wait({after})
            await channel.open()
            self._states[key] = "running"
            await channel.run(self.sessions.post, self.desk)
            self._states[key] = "ended"
            described = self._snapshot().channels.get(key)
            if self._given is not None or (described and described.options.kind == "repl"):
                self.stopping.set()
        except OpenClawError as error:
            self._states[key] = f"failed: {error}"
            if isinstance(error, StorageFailed) or self._given is not None:
                self._fail(error)
            else:
                log.error("channel %s: %s", key, error)
        except Exception as error:
            self._states[key] = f"failed: {type(error).__name__}"
            if self._given is None:
                raise
            self._fail(error)

    # ── edits ────────────────────────────────────────────────────────────────────────────────────

    async def _apply(self, snapshot: Snapshot, folder: Folder) -> None:
        """Puts a new snapshot in force, or raises OpenClawError with everything as it was. Channels that are
        described as before keep running as they are; what can be had before the old one gives way is had first."""
        old = self._snapshot().channels
        changed = [key for key in {**old, **snapshot.channels} if not _same(old.get(key), snapshot.channels.get(key))]
        fresh: dict[str, Channel | None] = {}  # by key; None where the running one took the change
        try:
            for key in changed if self._given is None else ():
                await self._ahead(key, snapshot.channels.get(key), fresh)
            await self.supervisor.apply(snapshot, asked_models(folder, self.demo))
        except BaseException:
            await self._undo(fresh, old)
            raise
        self.heartbeats.replan()
        for key in changed if self._given is None else ():
            if key not in fresh or fresh[key] is not None:
                self._replace_channel(key, snapshot.channels.get(key), fresh.get(key))

    async def _ahead(self, key: str, channel: manifest.Channel | None, fresh: dict[str, Channel | None]) -> None:
        """Lets the running channel take its new description, or opens its successor beside it."""
        if channel is None or channel.skipped or channel.options.kind not in LISTENING:
            return
        options, running = self._options(channel), self._channels.get(key)
        if isinstance(running, Renewable) and running.renew(options):
            fresh[key] = None
            return
        made: Channel = adapters.kind("channels", options.kind)(options, self.clock)
        fresh[key] = made
        await made.open()

    async def _undo(self, fresh: Mapping[str, Channel | None], old: Mapping[str, manifest.Channel]) -> None:
        for key, made in fresh.items():
            running = self._channels.get(key)
            if made is not None:
                await made.close()
            elif isinstance(running, Renewable):
                running.renew(self._options(old[key]))

    def _replace_channel(self, key: str, channel: manifest.Channel | None, made: Channel | None) -> None:
        """Swaps the channel. The old one is not waited for: a request that it serves may be what asked for this."""
        old = [task for name in (f"channel {key}", f"delivery to {key}") if (task := self._tasks.pop(name, None))]
        for task in old:
            task.cancel()
        gone = asyncio.create_task(_retired(old, self._channels.pop(key, None)))
        self._tasks[f"retiring {id(gone)}"] = gone
        gone.add_done_callback(lambda _: self._tasks.pop(f"retiring {id(gone)}", None))
        self._states.pop(key, None)
        if channel is not None:
            self._choose(key, channel, made)
            if key in self._channels:
                self._start_channel(key, after=None if made else gone)

    async def _control(self) -> None:
        from openclaw.control import serve

        await serve(self.house.state / "control.sock", self.sessions.post, self.desk)


async def _retired(tasks: Sequence[asyncio.Task[None]], channel: Channel | None) -> None:
    """Waits for the end of what was cancelled, then lets go of the channel."""
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        if channel is not None:
            await channel.close()


def _same(one: manifest.Channel | None, other: manifest.Channel | None) -> bool:
    """Whether the running adapter serves both; who may be answered there is read from the snapshot each time."""
    if one is None or other is None:
        return False
    return one.options == other.options and one.skipped == other.skipped


def _for_the_demo(options: ChannelOptions) -> bool:
    """Nobody but whoever tries it should meet an assistant that only plays at being one."""
    local = ("localhost", "127.0.0.1", "::1")
    return options.kind == "repl" or (options.kind == "http" and options.options["host"] in local)


def _has_input() -> bool:
    """Whether the terminal channel can take part: a terminal, or lines piped in. /dev/null is neither."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    if sys.stdin.isatty():
        return True
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def stop_on_signals(app: App) -> None:
    """SIGTERM and SIGINT end the runtime in good order; the second one ends it at once.

    A tool that will not be cancelled does not hold it up for ever: all that counts is on disk already.
    """
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if app.stopping.is_set():
            os._exit(128 + number)
        app.stopping.set()
        loop.call_later(LONGEST_END, leave)

    def leave() -> None:
        log.error("something did not end when it was asked to, and was left; what was not answered is kept")
        os._exit(1 if app.failure else 0)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    again: set[asyncio.Task[Attempt]] = set()

    def reload() -> None:
        task = loop.create_task(app.reload.attempt("SIGHUP"))
        again.add(task)
        task.add_done_callback(again.discard)

    at_terminal = _is_terminal()

    def hung_up() -> None:
        """SIGHUP asks for a reload, but from a terminal that is closing it says that the person left."""
        if at_terminal and not _is_terminal():
            stop(signal.SIGHUP)
        else:
            reload()

    loop.add_signal_handler(signal.SIGHUP, hung_up)


def _is_terminal() -> bool:
    """Whether standard input is a terminal that is still there."""
    return os.isatty(0)


