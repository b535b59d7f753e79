"""List heartbeats, and show when one runs next.

Reads the project's heartbeats.yaml; needs no running runtime and runs nothing.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from openclaw.cli import _listing, _times
from openclaw.errors import ProjectInvalid, UsageError
from openclaw.manifest.snapshot import Heartbeat
from openclaw.schedule import Cron, describe, parse


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every heartbeat, and when it runs next")
    listed.add_argument("--json", action="store_true", help="as JSON")
    coming = actions.add_parser("next", help="the next times of one heartbeat")
    coming.add_argument("name", metavar="NAME")
    _times.arguments(coming, "the zone to write the times in (default: the heartbeat's own, whose clock it follows)")


def run(args: argparse.Namespace) -> int:
    heartbeats = _heartbeats(args.project)
    if args.action == "next":
        _next(_named(args.name, heartbeats), args)
    elif args.json:
        _listing.as_json([_summary(heartbeat) for heartbeat in heartbeats.values()])
    elif heartbeats:
        rows = [_row(heartbeat) for heartbeat in heartbeats.values()]
        _listing.table(("NAME", "AGENT", "NEXT", "ZONE", "WHEN"), rows)
    else:
        print("There are no heartbeats.")
    return 0


def _heartbeats(project: Path) -> dict[str, Heartbeat]:
    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder

    if not project.is_dir():
        raise UsageError(f"there is no project folder {project}; `openclaw init DIR` makes one")
    # Neither the environment nor a Python tool is needed to know when something runs.
    compiled = compile(Folder.read(project), environment=None, importer=None, today=datetime.now(UTC))
    if compiled.snapshot is None:
        raise ProjectInvalid(f"the project {project} has mistakes; `openclaw validate` explains them")
    return dict(compiled.snapshot.heartbeats)


def _named(name: str, heartbeats: dict[str, Heartbeat]) -> Heartbeat:
    if name not in heartbeats:
        near = difflib.get_close_matches(name, heartbeats, n=1)
        hint = f"did you mean {near[0]}?" if near else "`openclaw heartbeats list` shows those there are"
        raise UsageError(f"there is no heartbeat {name}; {hint}")
    return heartbeats[name]


def _next(heartbeat: Heartbeat, args: argparse.Namespace) -> None:
    times = _times.asked(_crons(heartbeat), args, ZoneInfo(heartbeat.timezone))
    if not heartbeat.enabled:
        print(f"openclaw: {heartbeat.name} is switched off; these are the times it would run", file=sys.stderr)
    _times.show(times, args.json)


def _crons(heartbeat: Heartbeat) -> list[Cron]:
    return [cron for expression in heartbeat.cron if isinstance(cron := parse(expression), Cron)]


def _summary(heartbeat: Heartbeat) -> dict[str, Any]:
    times = _times.following(_crons(heartbeat), datetime.now(UTC), ZoneInfo(heartbeat.timezone))
    upcoming = next(times, None) if heartbeat.enabled else None
    return {
        "name": heartbeat.name,
        "agent": heartbeat.agent,
        "cron": list(heartbeat.cron),
        "timezone": heartbeat.timezone,
        "enabled": heartbeat.enabled,
        "next": None if upcoming is None else upcoming.isoformat(),
    }


def _row(heartbeat: Heartbeat) -> tuple[str, ...]:
    upcoming = _summary(heartbeat)["next"]
    when = "; ".join(map(describe, _crons(heartbeat)))
    shown = upcoming[:16].replace("T", " ") if upcoming else "off"
    return heartbeat.name, heartbeat.agent, shown, heartbeat.timezone, when
