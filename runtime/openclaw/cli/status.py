"""Say how the runtime here is, or that none runs.

At a glance: what runs since when, whether what is on disk is what runs, what each channel hears, what waits and is
answered, what comes next, and what went wrong. --watch shows it anew until it is interrupted.

--json gives what GET /api/status gives, with running (true), answering (the sessions), turns (a row for each, with
since), oldest_queued (a time, or null), questions (those that wait for a person), coming (the next time of each
heartbeat, the soonest first) and stopped (heartbeats that failed too often, and why). Where none runs: running (false),
state, exists, held_by (a process that holds the folder and does not answer, or null), sessions and memories (how many
are kept). Keys are added, and none is taken away or changed.

Exit codes: 0 a runtime answers, 1 none does, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw.cli import USUAL_STATE, _columns, _listing, place
from openclaw.cli._client import Runtime, Unanswered, running
from openclaw.cli._doctor_finding import size
from openclaw.cli._doctor_state import PATIENCE, held_by
from openclaw.cli._status_parts import Line, Part, parts
from openclaw.control_socket import SOCKET
from openclaw.errors import OpenClawError, UsageError
from openclaw.manifest.folder import TOP
from openclaw.words import printable

EVERY = 2.0  # seconds between two looks of --watch
_LEAST = 30  # columns of what is told
_COLORS = {"well": "32", "look": "33", "amiss": "31"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("-w", "--watch", action="store_true", help=f"anew every {EVERY:g} s, on a terminal")


def run(args: argparse.Namespace) -> int:
    if args.watch:
        return _watch(args)
    found = _look(args)
    if args.json:
        _listing.as_json(found)
    else:
        print("\n".join(_lines(found, args)))
    return 0 if found["running"] else 1


def _watch(args: argparse.Namespace) -> int:
    """Until it is interrupted; the exit code is that of the last look."""
    if args.json or not sys.stdout.isatty():
        raise UsageError("--watch is for a terminal; without one, run the command again")
    found: Mapping[str, Any] = {"running": False}
    print("\x1b[2J", end="")
    try:
        while True:
            try:
                found = _look(args)
                lines = _lines(found, args)
            except OpenClawError as error:  # it may be ending, and the next one starting
                lines = [_listing.quote_line(str(error))]
            high = shutil.get_terminal_size().lines - 1
            shown = lines if len(lines) <= high else [*lines[: high - 1], f"({len(lines) - high + 1} lines more)"]
            print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in shown) + "\x1b[J", end="", flush=True)
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return 0 if found["running"] else 1


# ── looking ──────────────────────────────────────────────────────────────────────────────────────


def _look(args: argparse.Namespace, patience: float = PATIENCE) -> dict[str, Any]:
    """One that hangs is asked for just then: it is given seconds, and told as the process that holds the folder."""
    try:
        with running(args.state, patience) as runtime:
            return _living(runtime) if runtime else _facts(args.state)
    except Unanswered:
        if (found := _facts(args.state))["held_by"] is None:
            raise
        return found


def _living(runtime: Runtime) -> dict[str, Any]:
    """What the runtime says, the sessions that it is answering under a name of their own."""
    told = dict(runtime.get("status"))
    answering, inbox = told.pop("running", []), told.get("inbox", {})
    pending = runtime.get("inbox")["inbox"] if inbox.get("queued") or inbox.get("running") else []
    beats = runtime.get("heartbeats")["heartbeats"]
    return {
        "running": True,
        **told,
        "answering": answering,
        "turns": [_turn(one) for one in pending if one["state"] == "running"],
        "oldest_queued": min((one["since"] for one in pending if one["state"] == "queued"), default=None),
        "questions": runtime.get("approvals")["pending"] if told.get("approvals") else [],
        "coming": sorted(_coming(beats), key=lambda one: datetime.fromisoformat(one["at"])),
        "stopped": [{"heartbeat": one["name"], "why": one["stopped"]} for one in beats if one.get("stopped")],
    }


def _coming(beats: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"heartbeat": one["name"], "at": one["next"]} for one in beats if one.get("next")]


def _turn(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was said is nobody's business here."""
    return {key: row[key] for key in ("session", "agent", "sender", "since")}


def _facts(state: Path) -> dict[str, Any]:
    """What the folder tells without being opened."""
    return {
        "running": False,
        "state": str(state),
        "exists": state.is_dir(),
        "held_by": held_by(state / "lock"),
        "sessions": sum(1 for _ in (state / "sessions").glob("*.jsonl")),
        "memories": sum(1 for _ in (state / "memory").rglob("*.md")),
    }


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _lines(found: Mapping[str, Any], args: argparse.Namespace) -> list[str]:
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    told = _alive(found, args) if found["running"] else [*_none(found, args)]
    return [*_shown(told, _columns.width(), color)]


def _alive(found: Mapping[str, Any], args: argparse.Namespace) -> list[Part]:
    """With what can be seen from here alone: whose project it is, and how much room there is."""
    mine, theirs = printable(str(args.project.resolve())), found.get("project")
    other = mine if theirs and theirs != mine and _is_project(args.project) else ""
    return [
        Part(part.label, (Line((f"has room: {size(shutil.disk_usage(args.state).free)} free",)),))
        if part.label == "disk" and not found["disk"]["full"]
        else part
        for part in parts({**found, "other_project": other}, datetime.now().astimezone())
    ]


def _none(found: Mapping[str, Any], args: argparse.Namespace) -> Iterator[Part]:
    holder, state = found["held_by"], Path(found["state"])
    if holder is not None:
        who = f"process {holder}" if holder else "a process"
        words = f"none answers: {who} holds {state}, and starts, ends or hangs; wait a moment"
        yield Part("runtime", (Line((words,), "amiss"),))
    else:
        killed = "; the last one was killed" if (state / SOCKET).is_socket() else ""
        yield Part("runtime", (Line((f"none runs on {state}{killed}",), "look"),))
        yield Part("start", tuple(Line((way,)) for way in _ways(args)))
    if found["exists"]:
        kept = [(found["sessions"], "session"), (found["memories"], "memory")]
        counts = " and ".join(f"{count:,} {_many(one, count)}" for count, one in kept)
        yield Part("kept", (Line((f"{counts}; openclaw inbox list tells what waits",)),))
    else:
        yield Part("kept", (Line(("nothing: the folder is made at the first start",)),))


def _many(one: str, count: int) -> str:
    return one if count == 1 else "memories" if one == "memory" else f"{one}s"


def _ways(args: argparse.Namespace) -> Iterator[str]:
    """How to have one, from here."""
    here = [] if args.project == Path.cwd() else ["-C", str(args.project)]
    if _is_project(args.project):
        usual = place(os.environ.get("OPENCLAW_STATE") or USUAL_STATE, "--state")
        named = here if args.state == usual else [*here, "--state", str(args.state)]
        yield f"here: {shlex.join(['openclaw', *named, 'run'])}"
        yield f"for good: {shlex.join(['openclaw', *named, 'service', 'install'])}"
    else:
        yield f"with a project, of which there is none here: {shlex.join(['openclaw', 'init', str(args.project)])}"


def _is_project(folder: Path) -> bool:
    return (folder / "agents").is_dir() or any((folder / name).exists() for name in TOP)


def _shown(told: Sequence[Part], columns: int, color: bool) -> Iterator[str]:
    left = max(len(part.label) for part in told) + _columns.GAP
    for part in told:
        label = f"\x1b[1m{part.label}\x1b[0m" if color else part.label
        margin = label + " " * (left - len(part.label))
        width = max(columns - left, _LEAST)
        table = [line.cells for line in part.lines if len(line.cells) > 1]
        most = max(map(len, table), default=0)
        rows = iter(_columns.laid_apart([(*cells, *[""] * (most - len(cells))) for cells in table], width))
        for line in part.lines:
            for text in next(rows) if len(line.cells) > 1 else _columns.wrapped(line.cells[0], width, whole=True):
                code = _COLORS.get(line.mood) if color else None
                yield f"{margin}\x1b[{code}m{text}\x1b[0m" if code else (margin + text).rstrip()
                margin = " " * left
