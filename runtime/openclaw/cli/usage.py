"""Show what was used of models, and what it cost: by day, agent and model.

A runtime that is there is asked; where none is, the state folder is read. Days are those of the project's zone, which
is the one of the heartbeats' `defaults`, else UTC. CACHED is the share of the input that was read from the cache. A
price that is not known is shown as -, and a cost with such calls in it as "at least".
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from openclaw.cli import _columns, _listing
from openclaw.cli._client import running
from openclaw.errors import OpenClawError, UsageError
from openclaw.spending import BY, USUAL, By, asked, chosen, cost_words, day_of, told

_HEADS: Mapping[str, str] = {"day": "DAY", "agent": "AGENT", "model": "MODEL"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", metavar="NAMES", help=f"one row for each of these, between commas (default: {','.join(BY)})"
    )
    parser.add_argument(
        "--since", default=USUAL, metavar="DATE|Nd", help=f"the first day, or how many up to today (default: {USUAL})"
    )
    parser.add_argument("--until", metavar="DATE", help="the last day (default: today)")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    query = {"since": args.since, **{name: value for name in ("by", "until") if (value := getattr(args, name))}}
    with running(args.state) as runtime:
        found = runtime.get("usage", query=query) if runtime else _alone(args.project, args.state, query)
    if args.json:
        _listing.as_json(found)
    elif found["usage"]:
        _show(found, chosen(args.by or "") or BY)
    else:
        print(f"Nothing was used from {found['since']} to {found['until']} ({found['timezone']}).")
    return 0


def _alone(project: Path, state: Path, query: Mapping[str, str]) -> dict[str, Any]:
    from openclaw.cli._state import with_store
    from openclaw.stores.files import Store

    zone = _zone(project)
    wanted = asked(query, day_of(datetime.now(UTC), zone))
    if isinstance(wanted, str):
        raise UsageError(wanted)
    by, first, last = wanted

    async def read(store: Store) -> dict[str, Any]:
        return told(await store.spending.rows(first, last), by, first, last, str(zone))

    return with_store(state, read, nothing=told((), by, first, last, str(zone)))


def _zone(project: Path) -> tzinfo:
    """The project's; where that cannot be told, UTC."""
    from openclaw.cli._beats import compiled

    try:
        return ZoneInfo(compiled(project).timezone)
    except (OpenClawError, KeyError, ValueError) as error:
        _listing.note(f"days are those of UTC: {error}")
        return ZoneInfo("UTC")


def _show(found: Mapping[str, Any], by: tuple[By, ...]) -> None:
    heads = (*(_HEADS[name] for name in by), "TURNS", "CALLS", "INPUT", "CACHED", "OUTPUT", "COST")
    rows = [(*(str(row[name] or "-") for name in by), *_figures(row)) for row in found["usage"]]
    rows.append(("total", *([""] * (len(by) - 1)), *_figures(found["total"])))
    print(f"{found['since']} to {found['until']}, days of {found['timezone']}")
    print("\n".join(_columns.laid(heads, rows, max(_columns.width(), 100))))


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    read = row["input_tokens"] + row["cache_read_tokens"] + row["cache_write_tokens"]
    failed = f" ({row['failed']:,} failed)" if row["failed"] else ""
    return (
        f"{row['turns']:,}{failed}",
        f"{row['calls']:,}",
        f"{read:,}",
        "-" if row["cache_ratio"] is None else f"{row['cache_ratio'] * 100:.0f} %",
        f"{row['output_tokens']:,}",
        cost_words(row["cost_usd"], row["cost_complete"]),
    )
