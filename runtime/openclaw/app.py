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
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw import adapters
from openclaw.answering import Answering, House
from openclaw.approvals import Approvals
from openclaw.clock import Clock, SystemClock
from openclaw.delivery import Delivery
from openclaw.desk import Desk
from openclaw.errors import CredentialsError, OpenClawError, ProjectInvalid, StorageFailed, UsageError
from openclaw.heartbeats import Heartbeats
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.people import TERMINAL
from openclaw.manifest.snapshot import Model, Snapshot
from openclaw.messages import Address
from openclaw.permissions.facts import Disk
from openclaw.ports import Channel, ChannelOptions, Doorbell, Place, Queued, Store
from openclaw.sessions import Sessions
from openclaw.supervisor import Supervisor
from openclaw.tools.memory import Memory

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 64  # sessions answered at the same time
GRACE = 5.0  # seconds that running answers get to end when the runtime stops

NO_KEY = """\
no credentials for the model. Two ways on:
  openclaw run --demo               try everything with the built-in demo model
  export ANTHROPIC_API_KEY=...      a key of your own (or put it into .env beside agents/), then start again"""


@dataclass(frozen=True, slots=True)
class Options:
    """`demo`: the scripted model instead of every model; `demo_if_no_key`: only where no credential is found at all."""

    project: Path
    state: Path
    demo: bool = False
    demo_if_no_key: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A valid project folder, and whether the demo model stands in for its models."""

    snapshot: Snapshot
    demo: bool
    model: Callable[[Model], Model]


def load(options: Options, clock: Clock) -> Project:
    """Compiles the project. Raises UsageError, ProjectInvalid or CredentialsError, each with the way on."""
    if not options.project.is_dir():
        raise UsageError(f"there is no project folder {options.project}; `openclaw init DIR` makes one")
    folder = Folder.read(options.project)
    compiled = compile(
        folder, environment=os.environ, importer=adapters.importer(options.project), today=clock.now()
    )
    if compiled.snapshot is None:
        count = sum(d.severity == "error" for d in compiled.diagnostics)
        raise ProjectInvalid(
            f"the project {options.project} has {count} error{'s'[: count != 1]}; `openclaw validate` explains them",
            compiled.diagnostics,
        )
    key = _ambient_key(folder.environment(os.environ))
    keyless = [alias for alias in _used(compiled.snapshot) if _needs_key(compiled.snapshot.models[alias])]
    demo = options.demo or (options.demo_if_no_key and bool(keyless) and key is None)
    if keyless and not demo and key is None:
        raise CredentialsError(NO_KEY)
    return Project(compiled.snapshot, demo, _demo_model if demo else _with_key(folder.environment({})))


def _used(snapshot: Snapshot) -> set[str]:
    return {agent.model for agent in snapshot.agents.values()}


def _needs_key(model: Model) -> bool:
    return model.kind == "anthropic" and not (model.options.get("api_key") or model.options.get("base_url"))


def _ambient_key(environment: Mapping[str, str]) -> str | None:
    from openclaw.providers.anthropic import credentials  # does not import the SDK

    return credentials(environment)


def _demo_model(model: Model) -> Model:
    return Model(model.alias, "demo", "scripted", {})


def _with_key(own: Mapping[str, str]) -> Callable[[Model], Model]:
    """Hands a key from the project's .env to the models that need one; the real environment comes first."""
    real = {name for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN") if os.environ.get(name)}
    found = {
        option: own[name]
        for name, option in (("ANTHROPIC_API_KEY", "api_key"), ("ANTHROPIC_AUTH_TOKEN", "auth_token"))
        if own.get(name) and not real
    }
    return lambda model: replace(model, options={**model.options, **found}) if found and _needs_key(model) else model


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
        self._given = channels
        self._channels: dict[str, Channel] = {}
        self._states: dict[str, str] = {}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        """Everything open and wired, nothing running yet."""
        project = load(self.options, self.clock)
        async with contextlib.AsyncExitStack() as stack:
            await self._open(project, stack)
            yield self

    async def _open(self, project: Project, stack: contextlib.AsyncExitStack) -> None:
        self.demo = project.demo
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
        self._open_channels(project)

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
        if self.sessions.watched(queued.id, queued.message.sender.channel) or queued.message.fetched:
            return True
        channels = {Address.parse(approver).channel for approver in approvers}
        return any(self._states.get(channel) == "running" for channel in channels)

    # ── channels ─────────────────────────────────────────────────────────────────────────────────

    def _open_channels(self, project: Project) -> None:
        if self._given is not None:
            self._channels = dict(self._given)
            return
        for key, channel in project.snapshot.channels.items():
            why = channel.skipped or self._sits_out(channel.options)
            if why:
                self._states[key] = f"off: {why}"
                self.notices.append(f"channel {key} is off: {why}")
                continue
            options = channel.options
            if options.kind == "repl":
                options = replace(options, options={**options.options, "history": str(self.house.state / "history")})
            self._channels[key] = adapters.kind("channels", options.kind)(options, self.clock)

    @property
    def serves_person(self) -> bool:
        """Whether somebody at this terminal takes part."""
        return TERMINAL.channel in self._channels

    def _sits_out(self, options: ChannelOptions) -> str | None:
        if self.demo and options.kind not in ("repl", "http"):
            return "the demo model only answers here and on loopback HTTP"
        if options.kind == "repl" and not _has_input():
            return "the input is not a terminal"
        return None

    # ── running ──────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until `stopping` is set or the person at the terminal leaves; then ends in good order."""
        self.desk.started = self.clock.monotonic()
        await self.sessions.open()
        tasks = [asyncio.create_task(self.doorbell.serve(self._wake, SIDE_BY_SIDE), name="doorbell")]
        tasks.append(asyncio.create_task(self._guarded("heartbeats", self.heartbeats.run()), name="heartbeats"))
        tasks.append(asyncio.create_task(self._guarded("control", self._control()), name="control"))
        for key, channel in self._channels.items():
            tasks.append(asyncio.create_task(self._channel(key, channel), name=f"channel {key}"))
        try:
            await self.stopping.wait()
            await self._wind_down()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for channel in self._channels.values():
                await channel.close()
        if self.failure is not None:
            raise self.failure

    async def _wind_down(self) -> None:
        """Takes nothing more in, and lets what is being written end for a moment; the rest waits on disk."""
        self.sessions.stopping = True
        waited = 0.0
        while self.sessions.running() and waited < GRACE and self.failure is None:
            await self.clock.sleep(0.05)
            waited += 0.05

    async def _wake(self, session: str) -> None:
        try:
            await self.sessions.wake(session)
        except StorageFailed as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.stopping.set()

    async def _channel(self, key: str, channel: Channel) -> None:
        """One channel with its deliveries. Its end is its own, but for the terminal's: the person left."""
        sending = asyncio.create_task(self._guarded(f"delivery to {key}", self.delivery.run(key, channel)))
        try:
            await channel.open()
            self._states[key] = "running"
            await channel.run(self.sessions.post, self.desk)
            self._states[key] = "ended"
            self.stopping.set()
        except StorageFailed as error:
            self._fail(error)
        except OpenClawError as error:
            self._states[key] = f"failed: {error}"
            log.error("channel %s: %s", key, error)
        except Exception as error:
            self._states[key] = f"failed: {type(error).__name__}"
            log.exception("channel %s failed", key)
        finally:
            sending.cancel()

    async def _guarded(self, name: str, run: object) -> None:
        try:
            await run  # type: ignore[misc]
        except StorageFailed as error:
            self._fail(error)
        except Exception:
            log.exception("%s failed", name)

    async def _control(self) -> None:
        from openclaw.control import serve

        await serve(self.house.state / "control.sock", self.sessions.post, self.desk)


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
    import stat

    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def stop_on_signals(app: App) -> None:
    """SIGTERM and SIGINT end the runtime in good order; the second one ends it at once."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if app.stopping.is_set():
            os._exit(128 + number)
        app.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


