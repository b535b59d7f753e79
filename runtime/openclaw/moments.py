"""Points in time as people and models write them: `18:00`, `2026-05-01 18:00`, `1h30m`. Pure; knows no clock.

Law: a time of the day means what the clock on the wall shows in the zone. One that a change of the clocks skips
is no time that day; one that comes twice is the first of the two that is still ahead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from openclaw.durations import WANTED, said

FURTHEST = timedelta(days=5 * 366)

_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)


def at(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The instant that is meant, in UTC and later than `now`. Raises ValueError that says what to write."""
    text = text.strip()
    found = _next_time(text, now, zone) if _TIME.fullmatch(text) else _on_its_date(text, now, zone)
    return _near(found, now, text)


def after(text: str, now: datetime) -> datetime:
    """The instant after that long, in UTC, in whole seconds. Raises ValueError that says what to write. The duration
    may be in the words of whoever asks, too: `1 hour and 30 minutes` is `1h30m`."""
    length = said(text)
    if length is None:
        raise ValueError(f"`{text.strip()[:60]}` is no duration; write {WANTED}")
    try:
        found = now.astimezone(UTC) + timedelta(seconds=length)
    except OverflowError:
        raise _too_far(text) from None
    return _near(found if not found.microsecond else found.replace(microsecond=0) + timedelta(seconds=1), now, text)


def say(instant: datetime, zone: ZoneInfo) -> str:
    """`Friday 2026-05-01 18:00`, as the clock there shows it; with seconds where there are any."""
    local = instant.astimezone(zone)
    return f"{local:%A %Y-%m-%d %H:%M:%S}" if local.second else f"{local:%A %Y-%m-%d %H:%M}"


def _next_time(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The next time the clock there shows it."""
    try:
        wanted = time.fromisoformat(text if text[1] != ":" else f"0{text}")
    except ValueError:
        raise _no_time(text) from None
    today = now.astimezone(zone).date()
    for days in range(3):  # no clock skips the same time on two days in a row
        ahead = [instant for instant in _instants(today + timedelta(days), wanted, zone) if instant > now]
        if ahead:
            return ahead[0]
    raise _no_time(text)


def _on_its_date(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        raise _no_time(text) from None
    if ":" not in text and not re.search(r"[Tt ]\d", text):
        raise ValueError(f"`{text}` is a day without a time; write {text} 09:00, for example")
    try:
        found = [written.astimezone(UTC)] if written.tzinfo else _instants(written.date(), written.timetz(), zone)
    except OverflowError:
        raise _too_far(text) from None
    if not found:
        raise ValueError(f"the clocks in {zone.key} are put forward over `{text}`; write another time")
    ahead = [instant for instant in found if instant > now]
    if not ahead:
        raise ValueError(f"`{text}` is past: it is now {say(now, zone)} in {zone.key}")
    return ahead[0]


def _instants(day: date, wanted: time, zone: ZoneInfo) -> Sequence[datetime]:
    """When the clock there shows it on that day: once, twice, or not at all."""
    local = datetime.combine(day, wanted.replace(tzinfo=None, fold=0))
    both = sorted({local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})
    return [instant for instant in both if instant.astimezone(zone).replace(tzinfo=None, fold=0) == local]


def _near(found: datetime, now: datetime, text: str) -> datetime:
    if found > now + FURTHEST:
        raise _too_far(text)
    return found


def _too_far(text: str) -> ValueError:
    return ValueError(f"`{text[:60]}` is more than five years ahead; write an earlier time")


def _no_time(text: str) -> ValueError:
    return ValueError(f"`{text[:60]}` is no time; write HH:MM, or YYYY-MM-DD HH:MM, for example 2026-05-01 18:00")
