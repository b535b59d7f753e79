"""Say what the runtime is doing, or that none runs here."""

from __future__ import annotations

import argparse
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from openclaw.cli import _listing
from openclaw.cli._client import Runtime, running
from openclaw.spending import cost_words


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    with running(args.state) as runtime:
        found = _living(runtime) if runtime else _facts(args.state)
    if args.json:
        _listing.as_json(found)
    else:
        shown = dict(found)
        if receiving := {key: _heard(one) for key, one in found.get("receiving", {}).items()}:
            shown["receiving"] = receiving
        shown |= _edits(found)
        if spent := {agent: _cost(one) for agent, one in (found.get("spent_today") or {}).items()}:
            shown["spent_today"] = spent
        if disk := found.get("disk"):
            shown["disk"] = f"full since {disk['since']}; nothing new is taken in" if disk["full"] else "has room"
        for name, value in _rows(shown):
            print(f"{name.replace('_', ' ') + ':':<20} {_listing.quote_line(str(value))}")
    return 0


def _living(runtime: Runtime) -> dict[str, Any]:
    """What the runtime says, the sessions that it is answering under a name of their own."""
    told = dict(runtime.get("status"))
    answering = told.pop("running", [])
    return {"running": True, **told, "answering": answering}


def _edits(found: Mapping[str, Any]) -> dict[str, Any]:
    """What became of edits, in words; how disk and running differ only where they do."""
    last = found.get("last_reload")
    counted = {outcome: f"{count:,}" for outcome, count in (found.get("reloads") or {}).items() if count}
    return {
        "last_reload": f"{last['words']} ({last['at']})" if last else None,
        "differs": found.get("differs") or None,
        "reloads": ", ".join(f"{count} {outcome}" for outcome, count in counted.items()) or None,
        "last_success": found.get("last_success"),
    }


def _cost(spent: Mapping[str, Any]) -> str:
    """What an agent cost today, and what it may."""
    cost, limit = cost_words(spent["cost_usd"], spent["cost_complete"]), spent["limit_usd"]
    return cost if limit is None else f"{cost} of ${limit:g}"


def _heard(channel: Mapping[str, Any]) -> str:
    """A channel's condition, where it listens, and where it can fall silent, when it last received."""
    parts = [channel["condition"]]
    if "address" in channel:
        parts.append(f"at {channel['address']}")
    if "seconds_ago" in channel:
        parts.append(f"{channel['seconds_ago']:g} s ago")
    if channel.get("trouble"):
        parts.append(f"({channel['trouble']})")
    if channel["restarts"]:
        parts.append(f"started anew {channel['restarts']} times")
    return " ".join(parts)


def _facts(state: Path) -> dict[str, Any]:
    """What the folder tells without being opened."""
    return {
        "running": False,
        "state": str(state),
        "exists": state.is_dir(),
        "held_by": _holder(state / "lock"),
        "sessions": sum(1 for _ in (state / "sessions").glob("*.jsonl")),
        "memories": sum(1 for _ in (state / "memory").rglob("*.md")),
    }


def _holder(lock: Path) -> int | None:
    """The process that holds the folder although no control socket answers: one that starts, ends or hangs."""
    try:
        file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(file, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(file)
    return None


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        match value:
            case None:
                continue
            case bool():
                yield name, "yes" if value else "no"
            case dict():
                yield name, ", ".join(f"{key} {one}" for key, one in value.items()) or "none"
            case list():
                yield name, ", ".join(str(one) for one in value) or "none"
            case _:
                yield name, value
