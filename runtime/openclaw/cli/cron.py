"""Explain a cron expression and show when it fires.

Five fields (minute, hour, day of the month, month, day of the week) or @hourly, @daily, @weekly, @monthly,
@yearly; as Debian's cron reads them, also across clock changes, plus L, 5L and 5#2 for days. Quote the
expression: openclaw cron "30 7 * * 1-5" --timezone Europe/London
"""

from __future__ import annotations

import argparse
import sys
from zoneinfo import ZoneInfo

from openclaw.cli import _times
from openclaw.errors import UsageError
from openclaw.schedule import Problem, describe, parse
from openclaw.timetable import Timetable


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expression", metavar="EXPR", help="a cron expression, quoted")
    _times.arguments(parser, "follow this zone's clock (default: UTC)")


def run(args: argparse.Namespace) -> int:
    cron = parse(args.expression)
    if isinstance(cron, Problem):
        raise UsageError(_explained(args.expression, cron))
    zone = args.timezone or ZoneInfo("UTC")
    times = _times.asked(Timetable((cron,), zone), args)
    print(f"{describe(cron)} ({zone.key})", file=sys.stderr if args.json else sys.stdout)
    _times.show(times, args.json)
    return 0


def _explained(expression: str, problem: Problem) -> str:
    """The mistake, the place in the expression, the cure."""
    line = "".join(char if char.isprintable() else " " for char in expression)
    marks = " " * (problem.column - 1) + "^" * max(problem.end - problem.column, 1)
    return f"{problem.message}\n  {line}\n  {marks}\nhelp: {problem.help}"
