"""Show who reaches which agent, and what each agent does unasked, asks about, and is denied.

What strangers can come by, or set off, is marked with `!`: people and programs that no manifest names. Secrets are
not looked at, so that a channel counts also where its secret has no value yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openclaw.manifest.snapshot import Snapshot
    from openclaw.plan.access import Able, Line
    from openclaw.plan.ways import Way


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-import", action="store_true", help="import no Python tool")
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def run(args: argparse.Namespace) -> int:
    from openclaw.cli import _columns
    from openclaw.cli._compiled import opened
    from openclaw.cli._listing import as_json
    from openclaw.plan.access import able
    from openclaw.plan.ways import ways

    side, _ = opened(args.project, imports=not args.no_import)
    snapshot, found = side.snapshot, ways(side.snapshot)
    agents = able(snapshot, datetime.now(UTC))
    if args.json:
        as_json(_object(found, agents))
        return 0
    columns = _columns.width()
    print("\n".join([*_ways(found, snapshot, columns), *_agents(agents, columns)]))
    if any(one.strangers for one in agents):
        print("openclaw: ! marks what people whom no manifest names can come by or set off", file=sys.stderr)
    return 0


def _object(found: Sequence[Way], agents: Sequence[Able]) -> dict[str, Any]:
    return {
        "ways": [_way(way) for way in found],
        "agents": [asdict(one) for one in agents],
    }


def _way(way: Way) -> dict[str, Any]:
    said = {name: value for name, value in asdict(way).items() if name not in ("ids", "place")}
    return {**said, "off": way.off or None}


def _ways(found: Sequence[Way], snapshot: Snapshot, columns: int) -> list[str]:
    from openclaw.cli._columns import laid

    rows = [
        ("!" if way.open and not way.off else "", way.title, ", ".join(way.who) or "nobody", _reached(way, snapshot))
        for way in found
    ]
    return laid(("", "WAY", "WHO", "AGENTS"), rows, columns)


def _reached(way: Way, snapshot: Snapshot) -> str:
    if way.off:
        return f"none: {way.off}"
    others = [id for id in way.agents if id != way.usual]
    everyone = len(way.agents) == len(snapshot.agents) > 2
    rest = "every other" if everyone else ", ".join(others)
    usual = way.usual if way.usual in way.agents else None
    also = f"; may also: {', '.join(way.scopes)}" if way.scopes and way.scopes != ("chat",) else ""
    return f"{', '.join(each for each in (usual, rest) if each) or 'none'}{also}"


def _agents(agents: Sequence[Able], columns: int) -> Iterator[str]:
    from openclaw.cli._columns import laid, wrapped

    for one in agents:
        mark = f"; ! strangers reach it by {', '.join(one.strangers)}" if one.strangers else ""
        yield ""
        yield from wrapped(f"{one.agent} (policy {one.policy}{mark})", columns)
        asked = f"asks {', '.join(one.approvers)}"
        parts = (("runs unasked", one.unasked), (asked, one.asks), ("denied", one.denied))
        for title, lines in parts:
            if lines:
                yield from (f"  {line}" for line in wrapped(title, columns - 2))
                rows = [_cells(line, marked=lines is one.unasked) for line in lines]
                yield from (f"  {line}" for line in laid(("", "", ""), rows, columns - 2))


def _cells(line: Line, *, marked: bool) -> tuple[str, str, str]:
    return "!" if marked and line.strangers else " ", ", ".join(line.tools), line.words
