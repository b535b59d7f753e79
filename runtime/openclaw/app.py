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
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from zoneinfo import ZoneInfo

from openclaw import __version__, logbook
from openclaw.answering import Answering
from openclaw.applying import Applying
from openclaw.approvals import Approvals
from openclaw.at_once import AtOnce
from openclaw.clock import Clock, SystemClock
from openclaw.delivery import Delivery
from openclaw.desk import Books, Desk
from openclaw.errors import DiskFull, StateError, StorageFailed
from openclaw.fallback import Cooling
from openclaw.health import Roll
from openclaw.heartbeats import Heartbeats
from openclaw.house import House
from openclaw.idling import Idling
from openclaw.intake import Intake, Wiring
from openclaw.lasterror import LastError
from openclaw.lastgood import keep
from openclaw.logwriting import Logbook
from openclaw.manifest.folder import Folder
from openclaw.manifest.people import reachable
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Address
from openclaw.pairing import Pairings
from openclaw.parts import REAL, Parts
from openclaw.permissions.facts import Disk
from openclaw.ports import Channel, Doorbell, Place, Queued, Store
from openclaw.presence import for_the_demo
from openclaw.project import Options, Project, load
from openclaw.reload import Reload
from openclaw.reminders import Reminders
from openclaw.restarts import settled
from openclaw.runners import Runner, Runners
from openclaw.secrecy import SECRETS, Masking, ambient
from openclaw.sessions import Sessions
from openclaw.shortening import Failures
from openclaw.space import Space
from openclaw.supervisor import Supervisor
from openclaw.tally import Tally
from openclaw.tidying import Tidying
from openclaw.tools._orphans import end_left
from openclaw.tools._sandbox import shared
from openclaw.tools.memory import at as memories_at
from openclaw.watch import Watch

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 64  # sessions answered at the same time
GRACE = 5.0  # seconds that running answers get to end when the runtime stops
SWITCH = 0.001  # seconds: the thread that writes gets its turn while the loop is busy; a third more turns a second
AGAIN = 5.0  # seconds until the control socket is tried again
STEP = 0.02  # seconds between looks at whether they have
IMPATIENT = 1.0  # seconds after which another signal is another wish
LONGEST_END = 9.0  # seconds after which a stop leaves whatever will not end; services are killed after ten


class App:
    """One runtime. `channels` replaces those of the manifests: a one-shot question brings its own. `parts` are what a
    simulation hands in."""

    def __init__(
        self,
        options: Options,
        *,
        channels: Mapping[str, Channel] | None = None,
        clock: Clock | None = None,
        parts: Parts = REAL,
    ) -> None:
        self.options = options
        self.parts = parts
        self.clock = clock or SystemClock()
        self.house = House(options.project.absolute(), options.state)
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self.notices: list[str] = []
        self.can_ask = True  # whether a person can be asked for approval here; a one-shot question in a pipe says no
        self._given = channels
        self.runners = Runners(self._fail)
        self.roll = Roll(self.clock)
        self.erred = LastError(self.clock)
        self.cooling = Cooling(self.clock, parts.chance.share)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        """Everything open and wired, nothing running yet."""
        project = load(self.options, self.clock, self.parts.read)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(SECRETS.drop, self)
            self._conceal(project.snapshot, project.reading.folder)
            stack.enter_context(_masked_log())
            stack.enter_context(self.erred.heard())
            await self._open(project, stack)
            yield self

    def _conceal(self, snapshot: Snapshot, folder: Folder) -> None:
        """What these manifests and the environment hold of secrets leaves in no output from now on."""
        SECRETS.hold(self, snapshot.secrets | ambient(folder.environment(os.environ)))

    async def _open(self, project: Project, stack: contextlib.AsyncExitStack) -> None:
        """Each part after those it is joined to; `stack` closes them in the other order."""
        self.demo = project.demo
        if self.parts.facts is None and _may_run_commands(project.snapshot):
            shared().begin()
        if os.geteuid() == 0:
            self.notices.append("running as root: what a tool may do, it may do to the whole machine")
        await self._open_store(stack)
        await self._open_adapters(project, stack)
        await self._open_desk()
        self.doorbell: Doorbell = self.parts.kind("doorbells", "local")()
        self.delivery = Delivery(self.store.outbox, self.clock)
        self.delivery.told = self.doorbell.ring
        await self._prepare_heartbeats()
        self.sessions = self._sessions()
        self._prepare_intake()
        self._prepare_reload(project)

    async def _open_store(self, stack: contextlib.AsyncExitStack) -> None:
        """And what is kept beside it in the state folder."""
        self.space = Space(self.clock)
        self.store: Store = self.space.over(self.parts.kind("stores", "files")(str(self.options.state), self.clock))
        stack.push_async_callback(self.store.close)
        await self.store.open()  # which holds the lock: nobody else runs here
        if "logs" not in self.parts.without:
            written = Logbook(self.house.state / "logs", self.clock, level=self.options.level)
            stack.callback(written.close)
            written.open()
        self.left = await asyncio.to_thread(end_left, self.house.state)
        self.memory = memories_at(self.house.state, self.clock)
        stack.callback(self.memory.close)

    async def _open_adapters(self, project: Project, stack: contextlib.AsyncExitStack) -> None:
        """Providers and tools of the snapshot, which is in force from here on."""
        self.tally = Tally(self.clock, self.store.spending, lambda: ZoneInfo(self._snapshot().timezone))
        self.reminders = Reminders(self.store.marks, self.clock, self._snapshot)
        place = Place(str(self.house.project), str(self.house.state), self.reminders, self.memory)
        self.supervisor = Supervisor(place, self.clock, project.model, self.parts.kind)
        stack.push_async_callback(self.supervisor.close)
        await self.supervisor.apply(project.snapshot)
        await self.tally.open()
        for agent in project.snapshot.agents.values():
            with contextlib.suppress(OSError, DiskFull):  # told where it is used
                shared().guards.placed.sweep(self.house.workspace(agent))
        await self.reminders.open()

    async def _open_desk(self) -> None:
        """What people decided before, and the desk at which they are answered."""
        self.approvals = Approvals(self.store.marks, self.clock, self.parts.chance)
        await self.approvals.open()
        self.pairings = Pairings(self.store.marks, self.clock)
        await self.pairings.open()
        self.reminders.paired = self.pairings.admits
        books = Books(self.approvals, self.pairings, self.memory, self.tally)
        self.desk = Desk(self.house, self.store, self.supervisor, books, self.clock, self.demo, self.roll)
        self.desk.space, self.desk.erred = self.space, self.erred

    async def _prepare_heartbeats(self) -> None:
        beats = Heartbeats(self.store, self.clock, self._snapshot, self.doorbell.ring, self.reminders)
        await beats.open()
        self.reminders.changed = beats.replan
        self.heartbeats = self.desk.beating = beats

    def _prepare_reload(self, project: Project) -> None:
        named, state, read = self.house.named, self.house.state, self.parts.read
        self.applying = Applying(
            self.supervisor, self.intake, self.approvals, self.heartbeats, self._conceal, self.demo, self.clock
        )
        self.reload = Reload(named, state, self.clock, self._snapshot, self.applying.apply, read)
        self.reload.broken, self.reload.settled = self._fail, partial(settled, self.options, self.demo)
        self.reload.begin(project.reading, last_good=bool(project.broken), exact=project.exact)
        self.desk.reloading = self.reload
        if project.notice:
            log.error("%s", project.notice)
            self.notices.append(project.notice)
        else:
            keep(self.house.state, self.house.project, project.reading.folder, verify=True)

    def _prepare_intake(self) -> None:
        self.intake = Intake(self.house, self.roll, self.clock, self._snapshot, self._given, demo=self.demo)
        self.intake.left = self.stopping.set
        self.intake.full = lambda: self.space.since is not None
        self.intake.watched = "watchdog" not in self.parts.without
        kind, attended = self.parts.kind, self.parts.attended
        marks, inbox = self.store.marks, self.store.inbox
        wiring = Wiring(self.sessions.post, self.desk, self.delivery, marks, inbox, kind, attended)
        self.intake.join(wiring, self.runners)
        self.intake.choose()
        self.notices += self.intake.notices

    def _snapshot(self) -> Snapshot:
        return self.supervisor.current.snapshot

    def _sessions(self) -> Sessions:
        answering = Answering(
            self.house,
            self.supervisor,
            self.store.journal,
            self.store.audit,
            self.approvals,
            self.parts.facts or Disk(walls=shared().walls, unsearched=shared().unsearched),
            self.clock,
            self._reachable,
            self.tally,
            self.heartbeats,
            self.cooling,
            Failures(),
            memory=self.memory,
            chance=self.parts.chance,
            paired=self.pairings.admits,
            left={(left.session, left.call): left.words for left in self.left},
        )
        sessions = Sessions(self.store, self.doorbell, self._snapshot, answering, AtOnce(self.desk), self.clock)
        self.idling = Idling(answering.wants_rest, answering.rest, self.clock)
        sessions.rests, sessions.disturbed = self.idling.rests, self.idling.disturbed
        sessions.chance = self.parts.chance
        sessions.delivered = self.delivery.grown
        sessions.failed = self._fail
        sessions.beats = self.heartbeats
        sessions.bills = self.tally
        sessions.left = self.approvals.forget
        sessions.paired = self.pairings.admits
        sessions.withheld = self._out_of_the_demo
        sessions.plain = self._given is not None  # whoever asks one question waits for its own answer
        self.desk.attach(sessions)
        return sessions

    def _out_of_the_demo(self, to: Address) -> bool:
        """What a demo says must not go out once there is a real model."""
        described = self._snapshot().channels.get(to.channel)
        return self.demo and described is not None and not for_the_demo(described.options)

    def _reachable(self, queued: Queued, approvers: tuple[str, ...]) -> bool:
        """Whether anybody who may agree can see the question: whoever watches this turn, or a channel of theirs."""
        if not self.can_ask:
            return False
        message, asker = queued.message, str(queued.message.sender)
        left = not message.fetched and not self.intake.reaches(message.sender.channel)
        if left and message.can_ask and asker in approvers:
            return False  # it would be put where they wrote, and that channel was taken away meanwhile
        watched = self.sessions.watched(queued.id, message.sender.channel)
        sees = message.fetched or (watched and asker in approvers)
        return reachable(asker, approvers, self.intake.reaches, can_ask=message.can_ask, sees=sees)

    async def addresses(self) -> list[str]:
        """Where programs reach this runtime."""
        return await self.intake.addresses()

    @property
    def serves_person(self) -> bool:
        """Whether somebody at this terminal takes part."""
        return self.intake.serves_person

    async def look_again(self) -> None:
        """What SIGHUP asks for. How it went, the attempt tells; what ends the whole runtime, `broken` has heard."""
        with contextlib.suppress(StorageFailed):
            await self.reload.attempt("SIGHUP")

    # ── running ──────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves until `stopping` is set or the person at the terminal leaves; then ends in good order."""
        sys.setswitchinterval(SWITCH)
        self.desk.started = self.clock.monotonic()
        self._log_start()
        await self.sessions.open()
        for name, runner in self._tasks().items():
            self.runners.start(name, runner)
        self.intake.start()
        try:
            await self.stopping.wait()
            await self._wind_down()
        finally:
            self.space.end()
            await self.runners.end()
            await self.reload.close()
            await self.intake.close()
            self._log_end()
        if self.failure is not None:
            raise self.failure

    def _log_start(self) -> None:
        snapshot = self._snapshot()
        facts = logbook.event("started", version=__version__, pid=os.getpid(), demo=self.demo)
        log.info("OpenClaw %s starts with %d agents", __version__, len(snapshot.agents), extra=facts)
        for notice in self.notices:
            log.warning("%s", notice, extra=logbook.aside("notice"))

    def _log_end(self) -> None:
        seconds, error = self.clock.monotonic() - self.desk.started, self.failure
        fault = type(error).__name__ if error else ""
        facts = logbook.aside("stopped", seconds=round(seconds, 3), fault=fault)
        if error is None:
            log.info("the runtime ends after %.0f s", seconds, extra=facts)
        else:
            log.error("the runtime ends after %.0f s: %s", seconds, error, extra=facts)

    def _tasks(self) -> dict[str, Runner]:
        tasks: dict[str, Runner] = {
            "doorbell": lambda: self.doorbell.serve(self.space.sparing(self._wake), SIDE_BY_SIDE),
            "control": self._control,
            "space": self.space.run,
            "resting": lambda: self.space.wake(self.doorbell.ring),
        }
        if self._given is None:  # who asks one question wants no heartbeat made up for, and will see no edit
            tasks["heartbeats"] = self.heartbeats.run
            tasks["idling"] = self.idling.run
            tasks["given up"] = lambda: self.delivery.give_up(self.roll.delivering)
            tasks["tidying"] = Tidying(self.store, self.clock, lambda: bool(self.sessions.running())).run
            tasks["retry"] = self.reload.retry
            tasks["watch"] = lambda: Watch(self.reload.folders, self.clock, self.reload.names).run(self.reload.look)
        return {name: runner for name, runner in tasks.items() if name not in self.parts.without}

    async def _wind_down(self) -> None:
        """Takes nothing more in, and gives what is being written and sent a moment; the rest waits on disk."""
        self.sessions.stopping = True
        waited = 0.0
        while self.failure is None and waited < GRACE and (self.sessions.busy or await self._undelivered()):
            await self.clock.sleep(STEP)
            waited += STEP

    async def _undelivered(self) -> bool:
        return await self.delivery.is_due(self.intake.delivering())

    async def _wake(self, session: str) -> None:
        try:
            await self.sessions.wake(session)
        except StorageFailed as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self.stopping.set()

    async def _control(self) -> None:
        """Until cancelled. Where its socket cannot be made that is tried again: nobody here could ask for anything."""
        from openclaw.control import serve

        said = ""
        while True:
            try:
                return await serve(self.house.state / "control.sock", self.sessions.post, self.desk)
            except StateError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("%s; it is tried again every %g s", said, AGAIN)
                await self.clock.sleep(AGAIN)


def _may_run_commands(snapshot: Snapshot) -> bool:
    """Whether the walls will be asked for; what they are takes half a second to find out."""
    return any(
        snapshot.tools[name].kind == "shell" and snapshot.policies[agent.policy].sandbox != "off"
        for agent in snapshot.agents.values()
        for name in agent.tools
        if name in snapshot.tools
    )


@contextlib.contextmanager
def _masked_log() -> Iterator[None]:
    """Whatever writes this process's log, and would if nobody had set up anything, writes no secret."""
    masking = Masking(SECRETS)
    writers = [*logging.getLogger().handlers, *([logging.lastResort] if logging.lastResort else [])]
    for writer in writers:
        writer.addFilter(masking)
    try:
        yield
    finally:
        for writer in writers:
            writer.removeFilter(masking)


def stop_on_signals(app: App) -> None:
    """SIGTERM and SIGINT end the runtime in good order; another one, a second later or more, ends it at once. What
    comes sooner is the same wish: `timeout` and `make` signal a whole group, and pass on what they get themselves.

    A tool that will not be cancelled does not hold it up for ever: all that counts is on disk already.
    """
    loop = asyncio.get_running_loop()
    asked: list[float] = []  # when, the first time

    def stop(number: int) -> None:
        if not app.stopping.is_set():
            asked.append(loop.time())
            app.stopping.set()
            loop.call_later(LONGEST_END, leave)
        elif not asked or loop.time() - asked[0] >= IMPATIENT:
            os._exit(128 + number)

    def leave() -> None:
        log.error("something did not end when it was asked to, and was left; what was not answered is kept")
        os._exit(1 if app.failure else 0)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    again: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(app.look_again())
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
