"""Rules about heartbeats: schedules that never or too often fire, and deliveries to nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta

from openclaw.manifest.diagnostic import Diagnostic, error, warning
from openclaw.manifest.near import near
from openclaw.manifest.nodes import MapNode, Scalar
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.channels import zone
from openclaw.manifest.rules.policies import refer_channel
from openclaw.schedule import Cron, Problem, describe, parse

_OFTEN = timedelta(minutes=5)


def _places(project: Project) -> Iterator[Definition]:
    """The defaults and every heartbeat."""
    root = project.roots.get("heartbeats.yaml")
    defaults = root.get("defaults") if root else None
    if isinstance(defaults, MapNode):
        yield Definition("defaults", defaults.span, defaults)
    yield from project.all("heartbeat").values()


def agents_exist(project: Project) -> Iterator[Diagnostic]:
    for place in _places(project):
        for agent in place.texts("agent"):
            yield from project.refer("agent", agent)


def time_zones_exist(project: Project) -> Iterator[Diagnostic]:
    for place in _places(project):
        yield from zone(place.text("timezone"))


def schedules_fire(project: Project) -> Iterator[Diagnostic]:
    for expression, parsed in _schedules(project):
        if isinstance(parsed, Problem):
            length = max(parsed.end - parsed.column, 1)
            whole = parsed.column <= 1 and parsed.end > len(expression.value)
            span = expression.span if whole else project.inside(expression, parsed.column - 1, length)
            yield error("cron", span, parsed.message, parsed.help)


def schedules_are_meant(project: Project) -> Iterator[Diagnostic]:
    for expression, parsed in _schedules(project):
        if not isinstance(parsed, Cron):
            continue
        if parsed.either:
            yield warning(
                "cron-both-days",
                expression.span,
                f"day and weekday are both given, and either is enough: {describe(parsed)}",
                "use only one of them, the other as `*`",
            )
        seconds = _gap(project, parsed)
        if seconds is not None and seconds < _OFTEN:
            times = int(timedelta(days=1) / seconds)
            yield warning(
                "cron-often",
                expression.span,
                f"fires every {int(seconds.total_seconds())} seconds, {times:,} times a day, "
                "each time calling the model",
                "set a longer interval",
            )


def _schedules(project: Project) -> Iterator[tuple[Scalar, Cron | Problem]]:
    for heartbeat in project.all("heartbeat").values():
        for expression in heartbeat.texts("cron"):
            yield expression, parse(str(expression.value))


def _gap(project: Project, cron: Cron) -> timedelta | None:
    """The time between the next two fires."""
    first = cron.next(project.now, UTC)
    second = cron.next(first, UTC) if first else None
    return second - first if first and second else None


def deliveries_arrive(project: Project) -> Iterator[Diagnostic]:
    hooks = (hook for channel in project.all("channel").values() for hook in channel.entries("hooks"))
    for sender in (*project.all("heartbeat").values(), *hooks):
        for target in sender.texts("deliver"):
            name = str(target.value)
            if ":" in name:
                yield from refer_channel(project, target)
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
