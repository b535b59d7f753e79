"""Cases about schedules: the instants at which a heartbeat fires after a given time. Pure; knows no clock.

With `until`, all instants up to then are compared; without, as many as are expected, or one where none is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from openclaw.manifest.snapshot import Heartbeat
from openclaw.scenarios.document import Correction, Failure, Outcome, Scenario, ScheduleCase, Used
from openclaw.scenarios.world import World
from openclaw.timetable import Timetable

SECTION = "schedules"
MOST = 1000  # instants that are looked at and not expected


def outcome(case: ScheduleCase, scenario: Scenario, world: World) -> Outcome:
    heartbeat = world.snapshot.heartbeats.get(case.heartbeat)
    now = case.now or scenario.given.now or world.now
    span = case.at("expect", "fires")
    if heartbeat is None:
        failure = Failure(span, (), (f"nothing: there is no heartbeat `{case.heartbeat}`",))
        return Outcome(SECTION, case.heartbeat, case.span, (failure,))
    used = Used(frozenset({f"heartbeat {heartbeat.name}"}))
    got = fires(heartbeat, now, case.until, max(len(case.fires), 1))
    if case.fires == got:  # the same instants, in whatever zone they are written
        return Outcome(SECTION, case.heartbeat, case.span, used=used)
    failure = Failure(span, _shown(case.fires, now), _shown(got, now), (_given(now, case.until),), _why(heartbeat))
    correction = Correction((*case.path, "expect", "fires"), [each.isoformat() for each in got])
    return Outcome(SECTION, case.heartbeat, case.span, (failure,), (correction,), used)


def title(case: ScheduleCase) -> str:
    return case.heartbeat


def fires(heartbeat: Heartbeat, now: datetime, until: datetime | None, count: int) -> tuple[datetime, ...]:
    """Those later than `now`: up to and including `until`, else so many of them."""
    if not heartbeat.enabled:
        return ()
    table = Timetable.of(heartbeat.cron, ZoneInfo(heartbeat.timezone), heartbeat.active_hours, heartbeat.once)
    if until is not None:
        return tuple(islice(table.between(now, until), max(MOST, count + 1)))
    return tuple(islice(table.following(now), count))


def _given(now: datetime, until: datetime | None) -> str:
    return f"now {now.isoformat()}" + (f", until {until.isoformat()}" if until else "")


def _shown(instants: tuple[datetime, ...], now: datetime) -> tuple[str, ...]:
    lines = [f"{each.isoformat()}  {each:%a}{_in(each - now)}" for each in instants[:20]]
    more = len(instants) - len(lines)
    return (*lines, *([f"and {more:,} more"] if more else [])) or ("nothing fires",)


def _in(gap: timedelta) -> str:
    days, hours = gap.days, gap.seconds // 3600
    return f", in {days} d {hours} h" if days > 0 else ""


def _why(heartbeat: Heartbeat) -> tuple[str, ...]:
    if not heartbeat.enabled:
        return (f"heartbeat {heartbeat.name} is switched off: `enabled: false`",)
    crons = " and ".join(f'"{cron}"' for cron in heartbeat.cron)
    hours = heartbeat.active_hours
    active = f", active {_clock(hours[0])}-{_clock(hours[1])}" if hours else ""
    return (f"cron {crons} in {heartbeat.timezone}{active}",)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
