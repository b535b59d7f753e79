"""Heartbeats for commands: asked of the runtime that is there, or read from the project and the state folder.

Law: both give the same rows, so that no command shows which it was. What is only read needs no state folder: where
none was ever used, there is no history and nothing is paused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from zoneinfo import ZoneInfo

from openclaw.cli._client import Runtime
from openclaw.errors import OpenClawError, ProjectInvalid, UsageError
from openclaw.near import near
from openclaw.timetable import Timetable
from openclaw.words import quote_line

if TYPE_CHECKING:
    from openclaw import ports
    from openclaw.heartbeats import Heartbeats
    from openclaw.manifest.snapshot import Heartbeat, Snapshot
    from openclaw.stores.files import Store

Row = Mapping[str, Any]
T = TypeVar("T")


class Beats(Protocol):
    def rows(self) -> Sequence[Row]:
        """Every heartbeat and reminder, as `GET /api/heartbeats` has them."""

    def history(self, name: str | None, limit: int) -> Sequence[Row]:
        """What came of scheduled times, the latest first, as `GET /api/heartbeats/history` has it."""

    def pause(self, name: str) -> None: ...

    def resume(self, name: str) -> None: ...

    def delete(self, name: str) -> None: ...


class Beside:
    """A runtime is there, and answers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def rows(self) -> Sequence[Row]:
        found: Sequence[Row] = self._runtime.get("heartbeats")["heartbeats"]
        return found

    def history(self, name: str | None, limit: int) -> Sequence[Row]:
        asked = {"limit": str(limit), **({"heartbeat": name} if name else {})}
        found: Sequence[Row] = self._runtime.get("heartbeats", "history", query=asked)["runs"]
        return found

    def pause(self, name: str) -> None:
        self._runtime.post("heartbeats", name, "pause")

    def resume(self, name: str) -> None:
        self._runtime.post("heartbeats", name, "resume")

    def delete(self, name: str) -> None:
        self._runtime.delete("heartbeats", name)


class Alone:
    """No runtime is there."""

    def __init__(self, project: Path, state: Path) -> None:
        self._project = project
        self._state = state

    def rows(self) -> Sequence[Row]:
        snapshot = self._snapshot()

        async def told(beats: Heartbeats) -> Sequence[Row]:
            return await beats.told()

        found = self._asked(snapshot, told, None)
        return planned(snapshot) if found is None else found

    def history(self, name: str | None, limit: int) -> Sequence[Row]:
        from openclaw.cli._state import with_store
        from openclaw.heartbeats.history import run_json

        async def ask(store: Store) -> Sequence[Row]:
            return [run_json(run) for run in await store.marks.runs(name, limit)]

        nothing: Sequence[Row] = []
        return with_store(self._state, ask, nothing=nothing)

    def pause(self, name: str) -> None:
        from openclaw.manifest.people import TERMINAL

        self._changed(lambda beats: beats.pause(name, TERMINAL))

    def resume(self, name: str) -> None:
        self._changed(lambda beats: beats.resume(name))

    def delete(self, name: str) -> None:
        if not self._changed(lambda beats: beats.forget(name)):
            raise OpenClawError(f"{name} stands in heartbeats.yaml: take it out there, or pause it")

    def _changed(self, change: Callable[[Heartbeats], Awaitable[bool]]) -> bool:
        return self._asked(self._snapshot(), change, False, make=True)

    def _asked(
        self, snapshot: Snapshot, ask: Callable[[Heartbeats], Awaitable[T]], nothing: T, *, make: bool = False
    ) -> T:
        from openclaw.cli._state import with_store
        from openclaw.clock import SystemClock
        from openclaw.heartbeats import Heartbeats
        from openclaw.reminders import Reminders

        async def asked(store: Store) -> T:
            clock = SystemClock()
            reminders = Reminders(store.marks, clock, lambda: snapshot)
            await reminders.open()
            beats = Heartbeats(cast("ports.Store", store), clock, lambda: snapshot, lambda session: None, reminders)
            await beats.open()
            return await ask(beats)

        return with_store(self._state, asked, nothing=nothing, make=make)

    def _snapshot(self) -> Snapshot:
        return compiled(self._project)


def compiled(project: Path) -> Snapshot:
    """Neither the environment nor a Python tool is needed to know when something runs."""
    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder

    if not project.is_dir():
        raise UsageError(f"there is no project folder {project}; `openclaw init DIR` makes one")
    found = compile(Folder.read(project), environment=None, importer=None, today=datetime.now(UTC))
    if found.snapshot is None:
        raise ProjectInvalid(f"the project {project} has mistakes; `openclaw validate` explains them")
    return found.snapshot


def coming(heartbeat: Heartbeat, now: datetime) -> datetime | None:
    """The next instant that its manifest names."""
    if not heartbeat.enabled:
        return None
    zone = ZoneInfo(heartbeat.timezone)
    return Timetable.of(heartbeat.cron, zone, heartbeat.active_hours, heartbeat.once).next(now)


def planned(snapshot: Snapshot) -> Sequence[Row]:
    """Rows of what stands in the manifests, of which nothing ever ran."""
    from openclaw.heartbeats.history import heartbeat_json, standing_json

    found, now = [], datetime.now(UTC)
    for heartbeat in snapshot.heartbeats.values():
        row = heartbeat_json(heartbeat)
        row |= standing_json(next=coming(heartbeat, now), last=None, paused=None, stopped="", failures=0, last_run=None)
        found.append(row)
    return found


def named(name: str, rows: Sequence[Row]) -> Row:
    """Raises UsageError where there is none of this name."""
    names = [str(row["name"]) for row in rows]
    if name not in names:
        close = near(name, names)
        hint = f"did you mean {close}?" if close else "`openclaw heartbeats list` shows those there are"
        raise UsageError(quote_line(f"there is no heartbeat {name}; {hint}"))
    return rows[names.index(name)]


def timetable(row: Row) -> Timetable:
    hours = row["active_hours"]
    active = tuple(map(_minutes, hours.split("-"))) if hours else None
    once = datetime.fromisoformat(row["once"]) if row["once"] else None
    return Timetable.of(row["cron"], zone(row), (active[0], active[1]) if active else None, once)


def zone(row: Row) -> ZoneInfo:
    return ZoneInfo(row["timezone"])


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
