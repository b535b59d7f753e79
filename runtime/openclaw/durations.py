"""How long something takes, as it is written everywhere: `500ms`, `30s`, `10m`, `1h30m`, `3d`. Pure.

A whole number and its unit: `w`, `d`, `h`, `m`, `s` or `ms`; several of them are the largest first, each at most once.
What is kept in files is read by `seconds`, and `PATTERN` says the same to editors; `said` reads what is said, too:
reminders and times on the command line.
"""

from __future__ import annotations

import re
from typing import Final

WANTED: Final = "a duration such as 500ms, 30s, 10m, 1h30m or 3d"
LONGEST: Final = 100 * 366 * 86_400.0  # seconds: what is longer counts as this, for the calendar ends somewhere

_UNITS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
PATTERN: Final = "(?=[1-9])" + "".join(f"(?:[1-9][0-9]*{unit})?" for unit in _UNITS)
_WHOLE: Final = re.compile(PATTERN)
_PART: Final = re.compile(r"([0-9]+)([a-z]+)")
_MOST_SAID: Final = 200  # characters: models write this, so strangers may
_SAID: Final = re.compile(
    r"([0-9]+)\s*(w|weeks?|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms)(?![a-z])(?:\s+and\b|,)?\s*",
    re.ASCII | re.IGNORECASE,
)


def seconds(text: str) -> float | None:
    """Of a duration; None where it is none."""
    if not _WHOLE.fullmatch(text):
        return None
    parts = _PART.findall(text)
    if any(len(number) > 15 for number, _ in parts):
        return LONGEST
    return min(sum(int(number) * _UNITS[unit] for number, unit in parts) / 1000, LONGEST)


def said(text: str) -> float | None:
    """Of a duration in the words of whoever says it: `1 hour and 30 minutes` is `1h30m`. Parts of it may be zero, and
    numbers begin with zeros; None where all is zero or it is no duration."""
    text, place, written = text.strip(), 0, ""
    if len(text) > _MOST_SAID:
        return None
    while place < len(text):
        part = _SAID.match(text, place)
        if part is None:
            return None
        number, unit, place = part[1].lstrip("0"), part[2].lower(), part.end()
        written += f"{number}{unit if unit == 'ms' else unit[0]}" if number else ""
    return seconds(written)


def spelt(length: float) -> str:
    """Those seconds as a duration, in days at the most and to the millisecond; `0` where there are none."""
    left, found = round(length * 1000), ""
    for unit, size in _UNITS.items():
        count, left = divmod(left, size) if unit != "w" else (0, left)
        found += f"{count}{unit}" if count else ""
    return found or "0"
