"""What happens to a heartbeat that fails: who is told, how long it rests, and when it is given up.

Law: what counts is in the history, so nothing is forgotten over a restart: the runs since the last one that went well,
and since a person last looked. The owner is told when a row of failures begins, when it ends, and when it is given
up; not in between. A day's budget that is used up is told once in a row, and counts as no failure. Knows no channel and
no clock of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import Reply
from openclaw.ports import Marks, Run

STOP = 5  # failures in a row after which nothing runs until somebody looks
PAUSES = (60.0, 300.0, 900.0, 3600.0)  # seconds of rest after the first, second, ... failure
BUDGET = "budget"  # the fault of a reply for which no model was asked: the day had cost what it may
GIVEN_UP = f"it failed {STOP} times in a row"


@dataclass(frozen=True, slots=True)
class Row:
    """Failures in a row, and when the last of them ended."""

    length: int = 0
    ended: datetime | None = None

    @property
    def given_up(self) -> bool:
        return self.length >= STOP

    def rests_until(self) -> datetime | None:
        if self.ended is None or not self.length:
            return None
        return self.ended + timedelta(seconds=PAUSES[min(self.length, len(PAUSES)) - 1])


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing is run now, and until when; None: until a person looks."""

    why: str
    until: datetime | None


class Failures:
    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    async def row(self, name: str, looked: datetime, now: datetime) -> Row:
        """Of the runs that have ended, the failed ones since the last that went well, and since `looked`. What a clock
        that ran ahead brought does not count, nor what failed for a person who asked for it."""
        limit = STOP + 3
        while True:
            runs = await self._marks.runs(name, limit, ran=True, until=now)
            ended = [run for run in runs if run.state not in ("queued", "running")]
            counted = [run for run in ended if not ((run.cause == "hand" and run.failed) or _lacked_budget(run))]
            failed = list(takewhile(lambda run: run.failed and run.at >= looked, counted))
            if len(failed) >= STOP or len(failed) < len(counted) or len(runs) < limit:
                return Row(len(failed), min(failed[0].ended or failed[0].at, now) if failed else None)
            limit *= 4  # others lie between

    async def _told_already(self, name: str, now: datetime) -> bool:
        """Whether the run before this one was not made for the same want of a budget."""
        runs = await self._marks.runs(name, STOP, ran=True, until=now)
        ended = [run for run in runs if run.state not in ("queued", "running")]
        return bool(ended) and _lacked_budget(ended[0])

    async def holds(self, name: str, looked: datetime, now: datetime) -> Hold | None:
        """Why a run must wait; None where it need not."""
        row = await self.row(name, looked, now)
        if row.given_up:
            return Hold(f"stopped: {GIVEN_UP}", None)
        until = row.rests_until()
        if until is not None and now < until:
            return Hold(f"rests until {until:%H:%M:%S} UTC after {_times(row.length)} in a row", until)
        return None

    async def notices(self, heartbeat: Heartbeat, reply: Reply, looked: datetime, now: datetime) -> Sequence[Reply]:
        """What the owner is told when a run has ended with this reply, which is not in the history yet."""
        if reply.fault == BUDGET and await self._told_already(heartbeat.name, now):
            return ()
        before = 0 if reply.fault == BUDGET else (await self.row(heartbeat.name, looked, now)).length
        text = _notice(heartbeat, reply, before)
        if text is None:
            return ()
        plain = replace(reply, text=text, answers=None, chat=None, topic=None, fault="", told=None, account=None)
        return [replace(plain, to=address) for address in heartbeat.notify]


def _lacked_budget(run: Run) -> bool:
    """A day's budget that is used up is no failure of the heartbeat: it goes on by itself."""
    return run.failed and run.reply is not None and run.reply.fault == BUDGET


def _notice(heartbeat: Heartbeat, reply: Reply, before: int) -> str | None:
    name = heartbeat.name
    if not reply.failed:
        return f"Heartbeat {name} runs again, after {_times(before)}." if before else None
    if before == 0:
        return f"Heartbeat {name} failed: {reply.text}"
    if before + 1 == STOP:
        return (
            f"Heartbeat {name} is stopped: {GIVEN_UP}. The last time: {reply.text}\n"
            f"When you have seen to it: openclaw heartbeats resume {name}"
        )
    return None


def _times(length: int) -> str:
    return "1 failure" if length == 1 else f"{length} failures"
