"""Times of schedules on the command line: the options that ask for them, and how they are printed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

from openclaw.cli import _listing
from openclaw.errors import UsageError
from openclaw.timetable import Timetable


def arguments(parser: argparse.ArgumentParser, timezone_help: str) -> None:
    parser.add_argument("--count", type=_count, default=5, metavar="N", help="how many times to show (default: 5)")
    parser.add_argument(
        "--after", metavar="ISO", help="only times later than this, for example 2026-03-28T12:00 (default: now)"
    )
    parser.add_argument("--timezone", type=_zone, metavar="ZONE", help=timezone_help)
    parser.add_argument("--json", action="store_true", help="a JSON list of ISO 8601 times with offset")


def asked(timetable: Timetable, args: argparse.Namespace) -> list[datetime]:
    """The next times of a schedule, written in the zone that was asked for, else in its own."""
    shown = args.timezone or timetable.zone
    times = islice(timetable.following(_after(args.after, shown)), args.count)
    return [time.astimezone(shown) for time in times]


def show(times: Sequence[datetime], as_json: bool) -> None:
    if as_json:
        _listing.as_json([time.isoformat() for time in times])
        return
    for time in times:
        print(f"{time:%a %Y-%m-%d %H:%M} {time.isoformat()[19:]}")


def _after(text: str | None, zone: tzinfo) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        after = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--after: `{text}` is no ISO 8601 time; write for example 2026-03-28T12:00+00:00") from None
    return after if after.tzinfo else after.replace(tzinfo=zone)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"`{text}` is no number from 1 to 1000")
    return int(text)


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError):  # not found, a folder of zones, or no name at all
        hint = "write an IANA name such as Europe/London"
        raise argparse.ArgumentTypeError(f"there is no time zone `{text}`; {hint}") from None
