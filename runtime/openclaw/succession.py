"""What one edit does to the channels: everything that may fail first, beside what runs, and then all of it at once.

Law: `prepare` changes nothing that runs, and what it did `undo` takes back; `put_in_force` cannot fail. A bot's token
is asked for at its service before the bot that runs is stopped, and one that is refused is never put in force. A
service that does not answer holds up no edit but one that gives a running bot another token. Knows no channel kind
but by what the channels themselves say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from openclaw.clock import Clock
from openclaw.errors import OpenClawError
from openclaw.intake import Change, Intake
from openclaw.manifest import snapshot as manifest
from openclaw.manifest.snapshot import Snapshot
from openclaw.ports import Channel, Probing, Renewable

log = logging.getLogger(__name__)

PROBE = 10.0  # seconds that all services together get to say whether they would let a bot in
BEYOND = 10.0  # seconds beyond the longest turn that a channel's last replies may take
_ADMITTED = ("token", "api_base")  # options that say who a bot is and where


class Succession:
    """Of one edit, to be used once."""

    def __init__(self, intake: Intake, before: Snapshot, after: Snapshot, clock: Clock) -> None:
        self._intake = intake
        self._before = before
        self._after = after
        self._clock = clock
        self._changes: list[Change] = []

    async def prepare(self) -> None:
        """Raises OpenClawError where a channel cannot be had as it is described now. Then `undo`."""
        self._changes = [Change(key, self._after.channels.get(key)) for key in self._intake.changed(self._after)]
        wanted = [
            (one, one.described) for one in self._changes if one.described and not self._intake.why_off(one.described)
        ]
        listening = []
        for change, described in wanted:
            made = self._intake.make(described)
            if isinstance(made, Renewable):  # the one that listens there may do
                listening.append((change, described))
            else:
                change.made, change.beside = made, _is_another_bot(self._intake.running(change.key), made)
        until = self._clock.monotonic() + PROBE
        for change in self._changes:
            if isinstance(change.made, Probing):
                await self._probe(change, change.made, max(until - self._clock.monotonic(), 0.0))
        for change, described in listening:  # last: from here on programs are let in that nobody serves before the swap
            await self._listen(change, described)

    # ── what listens ─────────────────────────────────────────────────────────────────────────────

    async def _listen(self, change: Change, described: manifest.Channel) -> None:
        """The others that this edit is about make way where this one wants their place."""
        try:
            await self._ready(change, described)
        except OpenClawError:
            running = [self._intake.running(one.key) for one in self._changes if one is not change]
            listening = [channel for channel in running if isinstance(channel, Renewable)]
            if not listening:
                raise
            for channel in listening:
                channel.make_way()
            await self._ready(change, described)

    async def _ready(self, change: Change, described: manifest.Channel) -> None:
        running = self._intake.running(change.key)
        if isinstance(running, Renewable) and running.renew(self._intake.options(described)):
            change.renewed = True
            return
        if change.made is None:
            change.made = self._intake.make(described)
        await change.made.open()
        change.opened = True

    # ── what must be let in ──────────────────────────────────────────────────────────────────────

    def _is_other(self, change: Change) -> bool:
        """Whether a bot that is at work would give way to one of which nothing is known."""
        old, new = self._before.channels.get(change.key), change.described
        if old is None or new is None or not self._intake.serves(change.key):
            return False
        return any(old.options.options.get(name) != new.options.options.get(name) for name in _ADMITTED)

    async def _probe(self, change: Change, made: Probing, seconds: float) -> None:
        away = await self._within(made, seconds)
        if not away:
            return
        if self._is_other(change):
            raise OpenClawError(f"channel {change.key}: {away}; its new token could not be tried, the old one stays")
        log.warning("channel %s: %s; it goes on trying", change.key, away)

    async def _within(self, made: Probing, seconds: float) -> str:
        probing = asyncio.ensure_future(made.probe())
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({probing, timer}, return_when=asyncio.FIRST_COMPLETED)
            return probing.result() if probing.done() else f"its service did not answer within {PROBE:g} s"
        finally:
            timer.cancel()
            probing.cancel()
            await asyncio.gather(probing, timer, return_exceptions=True)

    # ── the end of it ────────────────────────────────────────────────────────────────────────────

    async def undo(self) -> None:
        """Everything as it was: all let go of what they were ready for, before any listens again where it did."""
        for change in self._changes:
            if change.opened and change.made is not None:
                try:
                    await change.made.close()
                except Exception:
                    log.exception("closing channel %s failed", change.key)
        listening = [channel for channel in self._intake.all() if isinstance(channel, Renewable)]
        for channel in listening:
            channel.forgo()
        for channel in listening:
            channel.take_back()

    def leaving(self) -> Mapping[str, str]:
        """Channels of which nobody can answer any more what was asked there, each with why."""
        found = {}
        for change in self._changes:
            running = self._intake.running(change.key)
            if running is not None and (change.made is None or change.beside) and not change.renewed:
                gone = "was taken away" if change.made is None else "has another bot now"
                found[change.key] = f"the channel {change.key}, where it was asked, {gone}"
        return found

    def put_in_force(self) -> None:
        """Now that the snapshot is. What leaves may take as long as the longest turn."""
        longest = max((agent.limits.turn for agent in self._before.agents.values()), default=0.0) + BEYOND
        for change in self._changes:
            if change.renewed:
                self._intake.renewed(change.key)
            else:
                self._intake.replace(change, longest)


def _is_another_bot(running: Channel | None, made: Channel) -> bool:
    return isinstance(running, Probing) and isinstance(made, Probing) and running.account != made.account
