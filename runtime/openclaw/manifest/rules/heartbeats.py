"""Rules about heartbeats: schedules that never or too often fire, costs nobody can know, deliveries to nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from openclaw.durations import seconds, spelt
from openclaw.manifest.beats import DAY, Beats, active_hours
from openclaw.manifest.diagnostic import Diagnostic, error, warning
from openclaw.manifest.nodes import Scalar
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.channels import CHAT, numbered, zone
from openclaw.manifest.rules.models import priceless, unknown_cost
from openclaw.manifest.rules.policies import refer_channel
from openclaw.near import near
from openclaw.schedule import Cron, Problem, describe, parse
from openclaw.timetable import Timetable

_OFTEN = 300  # seconds
_MANY = 12  # times a day; a few of them close together are meant


def _places(project: Project) -> Iterator[Definition]:
    """The defaults and every heartbeat."""
    defaults = Beats.of(project).defaults
    if defaults is not None:
        yield defaults
    yield from project.all("heartbeat").values()


def agents_exist(project: Project) -> Iterator[Diagnostic]:
    for place in _places(project):
        for agent in place.texts("agent"):
            yield from project.refer("agent", agent)


def time_zones_exist(project: Project) -> Iterator[Diagnostic]:
    for place in _places(project):
        yield from zone(place.text("timezone"))


def schedules_fire(project: Project) -> Iterator[Diagnostic]:
    for _, expression, parsed in _schedules(project):
        if isinstance(parsed, Problem) and expression.secret:  # whose parts are not shown either
            yield error("cron", expression.span, "what this stands for is no schedule", "five fields: `0 8 * * *`")
        elif isinstance(parsed, Problem):
            length = max(parsed.end - parsed.column, 1)
            whole = parsed.column <= 1 and parsed.end > len(expression.value)
            span = expression.span if whole else project.inside(expression, parsed.column - 1, length)
            yield error("cron", span, parsed.message, parsed.help)


def schedules_are_meant(project: Project) -> Iterator[Diagnostic]:
    for _, expression, parsed in _schedules(project):
        if not isinstance(parsed, Cron):
            continue
        if parsed.either:
            yield warning(
                "cron-both-days",
                expression.span,
                f"day and weekday are both given, and either is enough: {describe(parsed)}",
                "use only one of them, the other as `*`",
            )


def schedules_are_seldom(project: Project) -> Iterator[Diagnostic]:
    """All expressions of a heartbeat together, within its hours, on the day with the most of them."""
    for heartbeat in project.all("heartbeat").values():
        parsed = [(each, parse(str(each.value))) for each in heartbeat.texts("cron")]
        crons = [(each, cron) for each, cron in parsed if isinstance(cron, Cron)]
        if not crons or "check" in heartbeat.node.entries:
            continue
        days = (_same_day(cron, crons) for _, cron in crons)
        hours = active_hours(heartbeat)
        most = max(days, key=lambda day: len(Timetable(tuple(cron for _, cron in day), UTC, hours).times))
        times = Timetable(tuple(cron for _, cron in most), UTC, hours).times
        gaps = sorted(60 * (later - time) for time, later in pairwise(times))
        if len(times) >= _MANY and gaps[0] < _OFTEN:
            yield _often(most[0][0], times, gaps)


def _same_day(cron: Cron, crons: Sequence[tuple[Scalar, Cron]]) -> list[tuple[Scalar, Cron]]:
    """Those that fire on all days of this one."""
    return [(stated, other) for stated, other in crons if _days(other) in (_days(cron), ())]


def _days(cron: Cron) -> tuple[object, ...]:
    every = len(cron.days) == 31 and len(cron.weekdays) == 7 and len(cron.months) == 12
    return () if every else (cron.days, cron.months, cron.weekdays, cron.last_day, cron.nth, cron.either)


def _often(expression: Scalar, times: Sequence[int], gaps: Sequence[int]) -> Diagnostic:
    hours = sorted({time // 60 for time in times})
    how = "every" if gaps[0] == gaps[len(gaps) * 3 // 4] else "as often as every"
    where = "" if len(hours) == 24 else _band(hours)
    return warning(
        "cron-often",
        expression.span,
        f"fires {how} {gaps[0]} seconds{where}, {len(times):,} times a day, each time calling the model",
        "set a longer interval",
    )


def _band(hours: Sequence[int]) -> str:
    """When in the day it fires so often."""
    first, last = hours[0], hours[-1]
    gapless = len(hours) == last - first + 1
    return f" from {first:02}:00 to {last:02}:59" if gapless else f" in {len(hours)} hours of the day"


def _schedules(project: Project) -> Iterator[tuple[Definition, Scalar, Cron | Problem]]:
    for heartbeat in project.all("heartbeat").values():
        for expression in heartbeat.texts("cron"):
            yield heartbeat, expression, parse(str(expression.value))


def models_exist(project: Project) -> Iterator[Diagnostic]:
    for heartbeat in project.all("heartbeat").values():
        for model in heartbeat.texts("model"):
            yield from project.refer("model", model)


def costs_can_be_known(project: Project) -> Iterator[Diagnostic]:
    beats = Beats.of(project)
    for heartbeat in project.all("heartbeat").values():
        most = heartbeat.get("max_cost_usd")
        if most is None or "model" in project.unreadable:
            continue
        name = beats.model(heartbeat)
        own = project.all("model").get(name)
        if own is not None and priceless(project, own):
            yield unknown_cost("max_cost_usd", most.span, own)


# ── active hours and jitter ──────────────────────────────────────────────────────────────────────


def active_hours_are_reached(project: Project) -> Iterator[Diagnostic]:
    for heartbeat, timetable in _timetables(project):
        stated, hours = heartbeat.get("active_hours"), timetable.active
        if stated is None or hours is None:
            continue
        if hours[0] == hours[1]:
            yield error(
                "active-hours",
                stated.span,
                "these hours begin and end at the same time, so none are left",
                "remove `active_hours` where it may always run",
            )
        elif not timetable.ever_active:
            yield error(
                "active-hours",
                stated.span,
                f"`{heartbeat.name}` never runs: no time of its schedule lies in these hours",
                f"for example `active_hours: {_around(timetable)}`",
            )


def _around(timetable: Timetable) -> str:
    """The whole hours that hold every time of the day in the schedule."""
    hours = [hour for cron in timetable.crons for hour in cron.hours]
    return f"{min(hours):02}:00-{max(hours) + 1:02}:00"


def jitter_stays_within_gaps(project: Project) -> Iterator[Diagnostic]:
    for heartbeat, timetable in _timetables(project):
        jitter, most = heartbeat.get("jitter"), seconds(str(heartbeat.value("jitter", "")))
        if jitter is None or not most or most < _closest(timetable):
            continue
        gap = _shortest(timetable, project.now, most)
        if gap is not None and most >= gap:
            yield error(
                "jitter",
                jitter.span,
                f"`{heartbeat.name}` can run again {spelt(gap)} after a run, so one may be late by less than that",
                f"for example `jitter: {spelt(max(gap // 120 * 60, 30))}`",
            )


def _closest(timetable: Timetable) -> int:
    """Seconds between the two times of the day that are closest; it may be that no day has both."""
    times = timetable.times
    over = [times[0] + DAY] if times else []
    return 60 * min((later - time for time, later in zip(times, [*times[1:], *over], strict=True)), default=DAY)


def _shortest(timetable: Timetable, now: datetime, enough: float) -> float | None:
    """Seconds between two neighbouring instants: of the next fifty and of two days, up to one that is close enough."""
    shortest, last = None, None
    for count, fire in enumerate(timetable.following(now)):
        if count >= 50 and fire - now > timedelta(days=2):
            break
        if last is not None:
            gap = (fire - last).total_seconds()
            shortest = gap if shortest is None else min(gap, shortest)
            if gap <= enough:
                break
        last = fire
    return shortest


def _timetables(project: Project) -> Iterator[tuple[Definition, Timetable]]:
    """Of heartbeats with hours or jitter whose schedule and zone can be read."""
    beats = Beats.of(project)
    for heartbeat in project.all("heartbeat").values():
        if not {"active_hours", "jitter"} & heartbeat.node.entries.keys():
            continue
        expressions = [str(each.value) for each in heartbeat.texts("cron")]
        try:
            zone = ZoneInfo(beats.timezone(heartbeat))
            timetable = Timetable.of(expressions, zone, active_hours(heartbeat))
        except (OSError, ValueError, KeyError):
            continue
        if timetable.crons:
            yield heartbeat, timetable


# ── whom it reaches ──────────────────────────────────────────────────────────────────────────────


def deliveries_arrive(project: Project) -> Iterator[Diagnostic]:
    hooks = (hook for channel in project.all("channel").values() for hook in channel.entries("hooks"))
    for sender in (*_places(project), *hooks):
        for target in (*sender.texts("deliver"), *sender.texts("notify")):
            name = str(target.value)
            if ":" in name:
                yield from refer_channel(project, target)
                yield from numbered(project, target, CHAT)
            elif (
                name not in project.all("person")
                and name not in project.all("room")
                and not {"person", "room"} & project.unreadable
            ):
                yield _nowhere(project, target, name)


def _nowhere(project: Project, target: Scalar, name: str) -> Diagnostic:
    known = [*project.all("person"), *project.all("room")]
    close = near(name, known)
    if close in project.all("room"):
        return project.unknown("room", target, name)
    if close is not None:
        return project.unknown("person", target, name)
    listed = f"there are: {', '.join(known)}; " if known else ""
    return error(
        "unknown-person",
        target.span,
        f"`{name}` is neither a person, a room nor an address",
        f"{listed}an address is written like `telegram:12345`",
    )
