"""The channels of one runtime: which take part, how each is started, what replaces what, and who looks after them.

Law: one channel's end is its own, but for the terminal's: the person left. One that falls silent, or breaks, is
started anew; one that says why it cannot go on waits for an edit. What an edit makes of them is made ready in
`succession.py`, and who leaves does so in `retiring.py`. Knows no channel kind but by what the house gives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openclaw import adapters, logbook
from openclaw.clock import Clock
from openclaw.delivery import Delivery
from openclaw.errors import DiskFull, OpenClawError, StorageFailed
from openclaw.health import Roll
from openclaw.house import House
from openclaw.listeners import Listeners
from openclaw.manifest import snapshot as manifest
from openclaw.manifest.people import TERMINAL
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Accepted, Answered, Message, Refused
from openclaw.ports import (
    Channel,
    ChannelOptions,
    Gate,
    Inbox,
    Marks,
    Operations,
    Post,
    Probing,
    Receiving,
    Renewable,
    Watcher,
)
from openclaw.presence import Notes, sits_out
from openclaw.retiring import Leaving, Retiring, account
from openclaw.runners import Runners

log = logging.getLogger(__name__)

FULL = 1.0  # seconds between two tries to take in what does not fit on the disk
LOOK = 5.0  # seconds between looks at who has fallen silent
AGAIN = (5.0, 15.0, 60.0, 300.0)  # seconds after a channel broke for the first, second, ... time
SOUND = 600.0  # seconds without breaking after which that is forgotten


@dataclass(frozen=True, slots=True)
class Wiring:
    """What every channel is joined to."""

    post: Post
    operations: Operations
    delivery: Delivery
    marks: Marks
    inbox: Inbox
    kind: Callable[[str, str], Any] = adapters.kind  # finds them
    attended: Callable[[], bool] | None = None  # whether somebody sits at the terminal; None: looks whether one can


@dataclass(slots=True)
class Change:
    """What an edit makes of one channel. `made`: its successor, `opened` where that could be done already; `beside`:
    that is another bot, which the old one need not give way to. `renewed`: the running one takes the description."""

    key: str
    described: manifest.Channel | None
    made: Channel | None = None
    opened: bool = False
    beside: bool = False
    renewed: bool = False


class Intake:
    """`given` replaces the channels of the manifests: a one-shot question brings its own."""

    def __init__(
        self,
        house: House,
        roll: Roll,
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        given: Mapping[str, Channel] | None,
        *,
        demo: bool,
    ) -> None:
        self.roll = roll
        self.notices: list[str] = []
        self.left: Callable[[], None] = lambda: None  # told when the person at the terminal is gone
        self.watched = True  # whether those that fall silent are looked after
        self.full: Callable[[], bool] = lambda: False  # whether the disk is, so that channels wait for room
        self._house = house
        self._clock = clock
        self._snapshot = snapshot
        self._given = given
        self._demo = demo
        self._channels: dict[str, Channel] = {}
        self._broken: dict[str, tuple[int, float, float | None]] = {}  # times, when last, when again (monotonic)

    def join(self, wiring: Wiring, runners: Runners) -> None:
        self._wiring = wiring
        self._runners = runners
        self.retiring = Retiring(wiring.delivery, wiring.inbox, self._clock, runners, self.running)

    # ── which ────────────────────────────────────────────────────────────────────────────────────

    def choose(self) -> None:
        """Makes the channels that take part; each is opened when it runs."""
        if self._given is not None:
            self._channels = dict(self._given)
            self.roll.states.update(dict.fromkeys(self._given, "starting"))
            return
        for key, channel in self._snapshot().channels.items():
            self._choose(key, channel)

    def _choose(self, key: str, channel: manifest.Channel) -> None:
        if why := self.why_off(channel):
            self._note_off(key, why)
            return
        try:
            self._channels[key] = self.make(channel)
            self.roll.states[key] = "starting"
        except OpenClawError as error:  # it takes no other with it
            self.roll.states[key] = f"failed: {error}"
            log.error("%s", error)

    def _note_off(self, key: str, why: str) -> None:
        self.roll.states[key] = f"off: {why}"
        self.notices.append(f"channel {key} is off: {why}")

    def why_off(self, channel: manifest.Channel) -> str | None:
        """Why a channel takes no part, though nothing is wrong with it; "" or None where it does."""
        return channel.skipped or sits_out(channel.options, demo=self._demo, attended=self._wiring.attended)

    def make(self, channel: manifest.Channel) -> Channel:
        """A new one, with no effect so far. Raises OpenClawError, also where its kind cannot be loaded."""
        options = self.options(channel)
        try:
            made: Channel = self._wiring.kind("channels", options.kind)(options, self._clock)
        except OpenClawError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}".rstrip(": ")
            said = f"channel {options.key} cannot be made: its kind `{options.kind}` fails: {why}"
            raise OpenClawError(said) from error
        return made

    def options(self, channel: manifest.Channel) -> ChannelOptions:
        """What it is described as, and what its kind needs of the house."""
        return replace(channel.options, options={**channel.options.options, **self._extras(channel.options)})

    def _extras(self, options: ChannelOptions) -> dict[str, Any]:
        """What a kind needs of the house beside what the manifest says."""
        if options.kind == "repl":
            return {"history": str(self._house.state / "history")}
        notes = Notes(self._wiring.marks, options.key)
        if options.kind == "http":
            return {"serve": self._serve_http, "token_file": str(self._house.state / "http-token"), "notes": notes}
        return {"notes": notes}

    async def _serve_http(
        self,
        listeners: Listeners,
        post: Post,
        operations: Operations,
        gate: Gate,
        options: Callable[[], Mapping[str, Any]],
    ) -> None:
        from openclaw.control import serve_at

        await serve_at(listeners, post, operations, gate, self._clock, options)

    async def addresses(self) -> list[str]:
        """Where programs reach this runtime. Opens what listens; what cannot is told when it runs."""
        for channel in self._channels.values():
            if isinstance(channel, Renewable):
                try:
                    await channel.open()
                except OpenClawError:
                    pass
        return [c.address for c in self._channels.values() if isinstance(c, Renewable) and c.address]

    def links(self) -> list[str]:
        """Web pages of the channels that are open, each with what signs its reader in."""
        return [channel.link for channel in self._channels.values() if isinstance(channel, Renewable) and channel.link]

    @property
    def serves_person(self) -> bool:
        """Whether somebody at this terminal takes part."""
        return TERMINAL.channel in self._channels

    def delivering(self) -> list[str]:
        """Channels whose replies may still go out."""
        return [*(key for key in self.roll.delivering() if key in self._channels), *self.retiring.leaving()]

    def reaches(self, channel: str) -> bool:
        """Whether a question put on this channel will be seen; one that starts puts it as soon as it runs."""
        return self.roll.states.get(channel) in ("running", "starting")

    # ── running ──────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        for key in self._channels:
            self._start(key)
        if self._given is None and self.watched:
            self._runners.start("watchdog", self._look_after)

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    def _start(self, key: str, after: Sequence[asyncio.Event] = (), apart: Sequence[asyncio.Event] = ()) -> None:
        """`after`: set once those are gone that cannot be at work at the same time. `apart`: set once all before it
        hand nothing over any more but their own shares."""
        channel = self._channels[key]
        self._runners.start(f"channel {key}", lambda: self._known(key, self._channel(key, channel, after)))
        delivering = (*after, *apart)
        self._runners.start(f"delivery to {key}", lambda: self._known(key, self._deliver(key, channel, delivering)))

    @staticmethod
    async def _known(key: str, run: Coroutine[Any, Any, None]) -> None:
        """The same; whatever it logs is of this channel."""
        with logbook.about(channel=key):
            await run

    async def _deliver(self, key: str, channel: Channel, after: Sequence[asyncio.Event]) -> None:
        for event in after:
            await event.wait()
        await self._wiring.delivery.run(key, channel, self.retiring.share(key, channel))

    async def _channel(self, key: str, channel: Channel, after: Sequence[asyncio.Event]) -> None:
        """One channel. A command that brought its own waits for nothing else, so it ends with it, also where it
        fails."""
        try:
            for event in after:
                await event.wait()
            await channel.open()
            self.roll.begin(key, channel.pulse if isinstance(channel, Receiving) else None)
            if isinstance(channel, Renewable):
                self.roll.addresses[key] = channel
            await channel.run(self._post_of(channel), self._wiring.operations)
            self._note_end(key, channel, "ended")
            described = self._snapshot().channels.get(key)
            if self._given is not None or (described and described.options.kind == "repl"):
                self.left()
        except OpenClawError as error:
            self._note_end(key, channel, f"failed: {error}")
            if isinstance(error, StorageFailed) or self._given is not None:
                self._runners.fail(error)
            elif isinstance(error, DiskFull):  # it says nothing against the channel, which goes on when there is room
                self._note_broken(key)
                log.warning("channel %s: %s", key, error)
            else:
                about = f"channel {key}"
                log.error("%s", error if str(error).startswith(about) else f"{about}: {error}")
        except Exception as error:
            self._note_end(key, channel, f"failed: {type(error).__name__}")
            if self._given is None:
                self._note_broken(key)
                raise
            self._runners.fail(error)

    def _note_end(self, key: str, channel: Channel, state: str) -> None:
        """Of one that was taken away, or has a successor, nothing is told."""
        if self._channels.get(key) is channel:
            self.roll.states[key] = state

    def _post_of(self, channel: Channel) -> Post:
        post = self._patient if getattr(channel, "keeps", False) else self._wiring.post

        async def by_bot(message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
            return await post(replace(message, bot=bot), watch)

        return by_bot if (bot := account(channel)) else post

    async def _patient(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        """On a full disk a message waits where it is: its service keeps it until it is acknowledged."""
        while True:
            taken = await self._wiring.post(message, watch)
            if not (isinstance(taken, Refused) and taken.code == "full"):
                return taken
            await self._clock.sleep(FULL)

    # ── looking after ────────────────────────────────────────────────────────────────────────────

    async def _look_after(self) -> None:
        """The watchdog: starts anew what fell silent or broke."""
        while True:
            await self._clock.sleep(LOOK)
            if self.full():
                self.roll.excuse()
            for key in self.roll.stuck():
                pulse = self.roll.pulses[key]
                why = f": {pulse.trouble}" if pulse.trouble else ""
                log.warning("channel %s received nothing for %g s and is started anew%s", key, pulse.patience, why)
                self._anew(key)
            now = self._clock.monotonic()
            for key, (times, last, again) in list(self._broken.items()):
                if again is not None and again <= now:
                    self._broken[key] = times, last, None
                    log.warning("channel %s broke and is started anew", key)
                    self._anew(key)

    def _note_broken(self, key: str) -> None:
        now = self._clock.monotonic()
        times, last, _ = self._broken.get(key, (0, now, None))
        times = times if now - last < SOUND else 0
        self._broken[key] = times + 1, now, now + AGAIN[min(times, len(AGAIN) - 1)]

    def _anew(self, key: str) -> None:
        described = self._snapshot().channels.get(key)
        if described is not None and key in self._channels:
            self.roll.restarts[key] = self.roll.restarts.get(key, 0) + 1
            try:
                made = self.make(described)
            except OpenClawError as error:  # what it was made of is not there any more
                log.error("%s", error)
                return
            self.replace(Change(key, described, made), 0.0)

    # ── edits ────────────────────────────────────────────────────────────────────────────────────

    def running(self, key: str) -> Channel | None:
        return self._channels.get(key)

    def all(self) -> list[Channel]:
        return list(self._channels.values())

    def taking_part(self) -> list[str]:
        """Their keys."""
        return list(self._channels)

    def changed(self, snapshot: Snapshot) -> list[str]:
        """Channels that are not described as they run now."""
        if self._given is not None:
            return []
        old = self._snapshot().channels
        return [key for key in {**old, **snapshot.channels} if not _same(old.get(key), snapshot.channels.get(key))]

    def serves(self, key: str) -> bool:
        """Whether it is at work, or will be as soon as its service answers."""
        return key in self._channels and self.roll.states.get(key) in ("running", "starting")

    def renewed(self, key: str) -> None:
        """What the running channel was made ready for counts from now on."""
        self._broken.pop(key, None)
        running = self._channels[key]
        if isinstance(running, Renewable):
            running.settle()

    def replace(self, change: Change, longest: float) -> None:
        """Puts a new description in force, now that the snapshot is; cannot fail. The old channel is not waited for: a
        request that it serves may be what asked for this. `longest`: seconds that what it took in may take."""
        key, made = change.key, change.made
        self._broken.pop(key, None)
        if (leaving := self._taken_out(key)) is not None:
            if change.beside or (made is None and isinstance(leaving.channel, Probing | Renewable)):
                self.retiring.let_finish(leaving, longest)
            else:
                self.retiring.hand_over(leaving)
        if change.described is not None and (why := self.why_off(change.described)):
            self._note_off(key, why)
        elif made is not None:
            self._channels[key] = made
            self.roll.states[key] = "starting"
            after, apart = self.retiring.make_room(key, made)
            self._start(key, after=() if change.opened else after, apart=apart)

    def _taken_out(self, key: str) -> Leaving | None:
        channel = self._channels.pop(key, None)
        running, delivering = self._runners.take(f"channel {key}"), self._runners.take(f"delivery to {key}")
        self.roll.forget(key)
        return Leaving(key, channel, running, delivering) if channel is not None else None


def _same(one: manifest.Channel | None, other: manifest.Channel | None) -> bool:
    """Whether the running adapter serves both; who may be answered there is read from the snapshot each time."""
    if one is None or other is None:
        return False
    return one.options == other.options and one.skipped == other.skipped
