"""List heartbeats and reminders, run and pause them, and show what came of them.

A runtime that is there is asked; where none is, the project and the state folder are read. What `pause` and
`resume` say is kept there over restarts. Reminders are set up in conversations, and deleted there or here.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw.cli import _listing, _times, spoken
from openclaw.cli._beats import Alone, Beats, Beside, Row, compiled, named, planned, timetable, zone
from openclaw.cli._client import Runtime, running
from openclaw.cli._listing import note
from openclaw.errors import OpenClawError
from openclaw.schedule import Cron, describe, parse
from openclaw.words import printable

MOST = 1000
_WAYS = {"sent": "", "due": " (waits)", "dead": " (given up)"}


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every heartbeat and reminder: when it runs next, and how it stands")
    coming = actions.add_parser("next", help="the next times of one")
    ran = actions.add_parser("run", help="run one now, beside its schedule, and print its reply")
    history = actions.add_parser("history", help="what came of scheduled times, the latest first")
    pause = actions.add_parser("pause", help="nothing of it runs by itself until it is resumed")
    resume = actions.add_parser("resume", help="it goes on from now, also after it stopped because of failures")
    delete = actions.add_parser("delete", help="delete a reminder")
    for one in (coming, ran, pause, resume, delete):
        one.add_argument("name", type=spoken, metavar="NAME")
    history.add_argument("name", nargs="?", type=spoken, metavar="NAME", help="of this one alone (default: of all)")
    history.add_argument("--limit", type=_limit, default=20, metavar="N", help="how many at most (default: 20)")
    ran.add_argument("--demo", action="store_true", help="where no runtime is: answer with the built-in demo model")
    _times.arguments(coming, "show the times in this zone (default: the heartbeat's own, whose clock it follows)")
    for one in (listed, history, pause, resume, delete):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    with running(args.state) as runtime:
        if runtime is not None:
            _note_other_project(runtime, args.project)
        beats: Beats = Beside(runtime) if runtime else Alone(args.project, args.state)
        match args.action:
            case "list":
                _list(beats.rows(), args.json)
            case "next":
                _next(named(args.name, _rows_to_plan(beats, args)), args)
            case "history":
                _history(beats, args)
            case "run" if runtime is not None:
                named(args.name, beats.rows())
                return _run_beside(runtime, args.name)
            case "run":
                named(args.name, beats.rows())
                return _run_here(args)
            case _:
                _change(beats, args)
    return 0


def _note_other_project(runtime: Runtime, project: Path) -> None:
    """Somebody who works on one project while another runs would take the answers for those of their own."""
    theirs = runtime.get("status").get("project")
    if theirs and theirs != printable(str(project.resolve())) and (project / "heartbeats.yaml").exists():
        note(f"the runtime here runs the project {theirs}, and answers for it")


# ── listing ──────────────────────────────────────────────────────────────────────────────────────


def _list(rows: Sequence[Row], as_json: bool) -> None:
    if as_json:
        _listing.as_json(rows)
        return
    if not rows:
        print("There are no heartbeats.")
        return
    heads = ("NAME", "AGENT", "NEXT", "ZONE", "LAST", "WHEN")
    _listing.table(heads, [_listed(row) for row in rows])
    for row in rows:
        if row["stopped"]:
            note(f"{row['name']} is stopped: {row['stopped']}; `openclaw heartbeats resume NAME` sets it going")


def _listed(row: Row) -> tuple[str, ...]:
    last = row["last_run"]
    told = f"{last['outcome']} {_local(last['scheduled'], row)}" if last else "-"
    return row["name"], row["agent"], _state(row), row["timezone"], told, _when(row)


def _state(row: Row) -> str:
    """The next time, or why there is none."""
    if row["stopped"]:
        return "stopped"
    if row["paused"]:
        return "paused"
    if not row["enabled"]:
        return "off"
    return _local(row["next"], row) if row["next"] else "-"


def _when(row: Row) -> str:
    crons = (parse(expression) for expression in row["cron"])
    words = [describe(cron) for cron in crons if isinstance(cron, Cron)] or ["once"]
    hours = f", within {row['active_hours']}" if row["active_hours"] else ""
    text = f": {row['prompt']}" if row["origin"] == "reminder" else ""
    return f"{'; '.join(words)}{hours}{text}"


def _rows_to_plan(beats: Beats, args: argparse.Namespace) -> Sequence[Row]:
    """Times of what stands in the manifests need neither a runtime nor the state folder."""
    if isinstance(beats, Alone):
        rows = planned(compiled(args.project))
        if any(row["name"] == args.name for row in rows):
            return rows
    return beats.rows()


def _next(row: Row, args: argparse.Namespace) -> None:
    times = _times.asked(timetable(row), args)
    if (why := _state(row)) in ("off", "paused", "stopped"):
        note(f"{row['name']} is {'switched off' if why == 'off' else why}; these are the times it would run")
    _times.show(times, args.json)


# ── history ──────────────────────────────────────────────────────────────────────────────────────


def _history(beats: Beats, args: argparse.Namespace) -> None:
    runs = beats.history(args.name, args.limit)
    if args.json:
        _listing.as_json(runs)
        return
    known = _known(beats)
    if args.name and not runs:
        named(args.name, list(known.values()))
    if not runs:
        print("Nothing has run yet." if not args.name else f"{args.name} has not run yet.")
        return
    names = not args.name
    heads = (*(["NAME"] if names else []), "SCHEDULED", "OUTCOME", "TOOK", "COST", "DELIVERED TO", "WHAT")
    rows = [_told(run, known.get(run["heartbeat"], _UTC)) for run in runs]
    _listing.table(heads, [(run["heartbeat"], *row) if names else row for run, row in zip(runs, rows, strict=True)])


_UTC: Row = {"timezone": "UTC"}


def _known(beats: Beats) -> Mapping[str, Row]:
    """Heartbeats by name, for the clocks they follow; what ran is told also where the project is broken or gone."""
    try:
        return {row["name"]: row for row in beats.rows()}
    except OpenClawError as error:
        note(f"times are in UTC: {error}")
        return {}


def _told(run: Row, heartbeat: Row) -> tuple[str, ...]:
    at = datetime.fromisoformat(run["scheduled"]).astimezone(zone(heartbeat))
    by = " by hand" if run["cause"] == "hand" else ""
    count = f" ×{run['count']}" if run["count"] > 1 else ""
    to = ", ".join(f"{one['to']}{_WAYS[one['state']]}" for one in run["deliveries"])
    return (
        f"{at:%Y-%m-%d %H:%M} {at.isoformat()[-6:]}",
        f"{run['outcome']}{count}{by}",
        "-" if run["seconds"] is None else f"{run['seconds']:.1f} s",
        "-" if run["cost_usd"] is None else f"${run['cost_usd']:.4f}",
        to or "-",
        _first_line(run["why"] or run["check"] if run["outcome"] == "quiet" else run["why"] or run["reply"] or ""),
    )


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip() and not line.startswith("```")), "")


# ── changing ─────────────────────────────────────────────────────────────────────────────────────


def _change(beats: Beats, args: argparse.Namespace) -> None:
    named(args.name, beats.rows())
    match args.action:
        case "pause":
            beats.pause(args.name)
            done = {"paused": True}
            said = f"{args.name} is paused; `openclaw heartbeats resume {args.name}` sets it going"
        case "resume":
            beats.resume(args.name)
            row = named(args.name, beats.rows())
            done, said = {"paused": False}, f"{args.name} goes on; next: {_state(row)}"
        case _:
            beats.delete(args.name)
            done, said = {"deleted": True}, f"{args.name} is deleted"
    _listing.done({"name": args.name, **done}, _listing.quote_line(said), json=args.json)


# ── running ──────────────────────────────────────────────────────────────────────────────────────


def _run_beside(runtime: Runtime, name: str) -> int:
    """Posts it and waits for its end. An interrupt leaves it running."""
    from openclaw.cli import INTERRUPTED
    from openclaw.cli._question import exit_code, progress
    from openclaw.cli.chat import Question

    accepted = runtime.post("heartbeats", name, "run")
    shown = Question(name, None, None, as_json=False)
    try:
        note(f"{name} runs in the session {accepted['session']}")
        for event, content in runtime.follow(accepted["id"]):
            if event == "approval" and content["status"] == "waiting":
                note(f"it waits for approval by {', '.join(content['approval']['approvers'])}")
            elif event in ("reply", "error"):
                code = _ended(runtime, name, accepted["id"], content)
                return exit_code(content) if "fault" in content else code
            elif (what := progress(event, content)) is not None:
                shown.show(what)
    except KeyboardInterrupt:
        note(f"{name} goes on running; `openclaw heartbeats history {name}` tells what comes of it")
        return INTERRUPTED
    raise OpenClawError(f"the runtime ended before {name} did; it goes on when the runtime runs again")


def _ended(runtime: Runtime, name: str, id: str, content: Mapping[str, Any]) -> int:
    """What the history says of it, whose words for a run that was quiet no reply has."""
    runs = runtime.get("heartbeats", "history", query={"heartbeat": name, "limit": "20"})["runs"]
    run = next((run for run in runs if run["message"] == id), None)
    if run is None:
        return said(content.get("reply") or content.get("detail", ""), failed="reply" not in content)
    return said(
        run["reply"] or run["why"] or content.get("detail", ""),
        failed=run["outcome"] in ("failed", "parked"),
        silent=run["outcome"] == "silent",
        quiet=run["check"] or "it found nothing" if run["outcome"] == "quiet" else "",
    )


def said(text: str, *, failed: bool = False, silent: bool = False, quiet: str = "") -> int:
    """The reply alone on standard output; why there is none on standard error. The exit code."""
    from openclaw.cli._question import tell

    if quiet:
        note(f"its check let the model sleep: {quiet}")
    elif silent:
        note("it had nothing to say")
    else:
        tell(text, sys.stderr if failed else sys.stdout)
    return int(failed)


def _run_here(args: argparse.Namespace) -> int:
    from openclaw.cli._here import run_here
    from openclaw.cli._start import start

    return start(lambda: run_here(args))


def _local(time: str, row: Row) -> str:
    return f"{datetime.fromisoformat(time).astimezone(zone(row)):%Y-%m-%d %H:%M}"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"`{text}` is no number from 1 to {MOST}")
    return int(text)
