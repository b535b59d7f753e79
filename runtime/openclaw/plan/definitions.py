"""What was added, removed or changed by name: agents, tools, policies, channels, people, rooms, heartbeats, models.

Pure: values in, values out. Knows neither routes nor judgements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, Final
from zoneinfo import ZoneInfo

from openclaw.manifest.origins import Named, Stated
from openclaw.manifest.snapshot import Channel, Heartbeat, Snapshot
from openclaw.permissions.policy import Origin
from openclaw.plan.changes import Change, Kind
from openclaw.plan.fields import different
from openclaw.plan.names import PARTS, named
from openclaw.timetable import Timetable

FIRES: Final = 3


def definitions(old: Stated, new: Stated, stirred: frozenset[str], now: datetime) -> Iterator[Change]:
    """The same with the keys that changed, and what a reload makes of it: channels that start anew, next fires."""
    found = {(each.kind, each.name): each for each in named(old.snapshot, new.snapshot, stirred)}
    for kind, name in _rewritten(old, new):
        found.setdefault((kind, name), Change(kind, name, "changed"))
    for change in found.values():
        told = _told(change, old, new, now)
        if told is not None:
            yield told
            yield from _restarts(told, old.snapshot, new.snapshot)


def _rewritten(old: Stated, new: Stated) -> Iterator[tuple[Kind, str]]:
    """What names another variable, and might come to the same."""
    for kind, part in PARTS.items():
        for name in part(new.snapshot):
            if (kind, name) in old.written and _veiled(kind, name, old) != _veiled(kind, name, new):
                yield kind, name


def _veiled(kind: Kind, name: str, side: Stated) -> dict[str, str]:
    written = side.written.get((kind, name), {})
    return {key: each.shown for key, each in written.items() if each.veiled}


def _told(change: Change, old: Stated, new: Stated, now: datetime) -> Change | None:
    if change.what == "changed":
        keys = different(change.kind, change.name, old, new)
        hushed = change.kind == "policy" and not keys  # by a rule of another policy, which is told there
        change = replace(change, fields=keys, words="" if keys else _unseen(change))
        if hushed:
            return None
    if change.kind == "heartbeat":
        change = _beating(change, new.snapshot, now)
    return replace(change, at=_stands(change, new if change.what != "removed" else old))


def _unseen(change: Change) -> str:
    return "its code is another" if change.kind == "tool" else "something in it that is not shown is another"


def _stands(change: Change, side: Stated) -> tuple[Origin, ...]:
    written = side.written.get((change.kind, change.name), {})
    first = next(iter(written.values()), None)
    return () if first is None else (first.origin,)


def _beating(change: Change, new: Snapshot, now: datetime) -> Change:
    beat = new.heartbeats.get(change.name)
    if beat is None:
        return replace(change, words="it fires no more")
    if not beat.enabled:
        return replace(change, words="it is switched off")
    return replace(change, fires=fires(beat, now))


def fires(beat: Heartbeat, now: datetime) -> tuple[str, ...]:
    """The next instants of a heartbeat, with the zone's offset then."""
    table = Timetable.of(beat.cron, ZoneInfo(beat.timezone), beat.active_hours, beat.once)
    return tuple(each.isoformat() for each in islice(table.following(now), FIRES))


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


def _restarts(change: Change, old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """What becomes of a running channel. Who may write there, and who answers, is read anew for each message."""
    if change.kind != "channel":
        return
    before, after = _running(old.channels.get(change.name)), _running(new.channels.get(change.name))
    at = change.at
    if before is None and after is not None:
        yield Change("restart", change.name, "starts", f"the {after.options.kind} channel is opened", at=at)
    elif after is None and before is not None:
        yield Change("restart", change.name, "stops", "it is closed; what is to go there waits", at=at)
    elif before is not None and after is not None and _anew(change, before, after):
        yield _anew_words(change, before, after)


def _running(channel: Channel | None) -> Channel | None:
    return None if channel is None or (channel.skipped or "").startswith("switched off") else channel


_READ_EACH_TIME = frozenset({"agent", "agents", "allow", "queue", "queue_limit"})


def _anew(change: Change, before: Channel, after: Channel) -> bool:
    return before.options != after.options or any(each.name not in _READ_EACH_TIME for each in change.fields)


def _anew_words(change: Change, before: Channel, after: Channel) -> Change:
    keys = [each.name for each in change.fields if each.name not in _READ_EACH_TIME]
    because = f"because of {', '.join(keys)}" if keys else "because of something that is not shown"
    same = before.options.kind == after.options.kind == "http"
    if same and not {"host", "port"} & set(keys):
        return Change("restart", change.name, "takes over", f"it takes the change as it runs, {because}", at=change.at)
    return Change("restart", change.name, "restarts", f"it is closed and opened again, {because}", at=change.at)


# ── variables ────────────────────────────────────────────────────────────────────────────────────


def variables(old: Stated, new: Stated) -> Iterator[Change]:
    """Names of variables and of files of secrets that are newly needed, or no more. Never a value."""
    for name, places in new.variables.items():
        if name not in old.variables:
            need = "has a default" if all(each.default for each in places) else "must be there before the reload"
            yield _variable(name, "added", f"newly named, for {_places(places)}; {need}", places)
    for name, places in old.variables.items():
        if name not in new.variables:
            yield _variable(name, "removed", f"no longer named; it was for {_places(places)}", places)


def _variable(name: str, what: Any, words: str, places: Iterable[Named]) -> Change:
    found = tuple(places)
    secret = any(each.secret for each in found)
    return Change("variable", name, what, words, secret=secret, at=tuple(each.origin for each in found))


def _places(places: Iterable[Named]) -> str:
    return ", ".join(dict.fromkeys(each.where for each in places))
