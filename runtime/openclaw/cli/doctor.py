"""Tell what a person needs to know before they rely on a runtime here: what is in order, and the cure for what is not.

Looks at Python and its packages, the project, the credentials of its models, its channels, the state folder, the clock,
the disk, the next heartbeats, and tries the sandbox out exactly as commands are held: the one that a runtime would
take, and with --deep or --json every one there is. Asks no service, unless --deep: then every model is asked for one
word, and Telegram and Discord whether they take the bot's token and intents. Changes nothing, unless --fix: that
closes to others what a runtime has made in the state folder, makes folders that are missing, takes a socket away that
was left behind, and tells each; what is somebody else's stays as it is. No credential is ever printed.

Exit codes: 0 nothing has to be done (warnings allowed), 1 there are problems, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw.cli import _collected, _columns, _listing
from openclaw.cli import _doctor_folder as lying
from openclaw.cli import _doctor_machine as machine
from openclaw.cli import _doctor_project as project
from openclaw.cli import _doctor_state as kept
from openclaw.cli._doctor_finding import Finding

if TYPE_CHECKING:
    from concurrent.futures import Future

    from openclaw.permissions.facts import Walls

LOOKS_ANYWHERE = True  # a folder that is closed to this user is a finding, not the end

_MARKS = {"ok": ("ok", "32"), "warning": ("warning", "33"), "problem": ("problem", "31")}
_STATE, _GAP = 9, 2  # columns
_LEAST = 30  # columns of what was found
_ATTEMPT, _CELL = 55, 12
_QUOTED = re.compile(r"(?<!\w)'[^']*'")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, with every attempt to get out of the sandbox")
    parser.add_argument("--deep", action="store_true", help="try every sandbox, ask the models and chat services, too")
    parser.add_argument("--fix", action="store_true", help="put right what can be put right without asking")


def run(args: argparse.Namespace) -> int:
    with _collected.rarely():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    from openclaw.secrecy import SECRETS, ambient

    trying = _trying(every=args.json or args.deep)
    SECRETS.hold(run, ambient(os.environ))
    manifests, read = project.manifests(args.project)
    folders = _workspaces(read)
    fixed, unfixed = _fixed(args.state, folders) if args.fix else ([], [])
    held, serving = kept.runtime(args.state, args.project)
    findings = [machine.python(), machine.packages(), machine.user(), manifests, *project.dotenv(args.project)]
    if read is not None:
        SECRETS.hold(run, read.snapshot.secrets | ambient(read.own))
        looked = _of_project(read, serving)
        findings += _asked(read, looked) if args.deep else looked
    elif serving is not None:
        findings += project.serving(serving)
    findings += [*lying.folder(args.state), *lying.workspaces(folders), *unfixed, *held]
    findings += [machine.disk(args.state), machine.clock(datetime.now(UTC), os.environ, machine.synchronised())]
    sandbox, tried = _sandbox(trying.result())
    findings.append(sandbox)
    if args.json:
        told = [_as_json(finding) for finding in findings]
        _listing.as_json(SECRETS.mask_all({"findings": told, "fixed": fixed, "sandbox": tried}))
    else:
        _show(findings, fixed, tried if sandbox.state != "ok" or args.deep else None)
    SECRETS.drop(run)
    return 1 if any(finding.state == "problem" for finding in findings) else 0


# ── what is found ────────────────────────────────────────────────────────────────────────────────


def _of_project(read: project.Read, serving: Mapping[str, Any] | None) -> list[Finding]:
    snapshot = read.snapshot
    return [
        *project.policies(snapshot),
        *project.credentials(read),
        *project.channels(snapshot, serving),
        *project.heartbeats(snapshot, serving),
    ]


def _asked(read: project.Read, looked: Sequence[Finding]) -> list[Finding]:
    import asyncio

    from openclaw.cli import _doctor_deep as deep
    from openclaw.clock import SystemClock

    if sys.stderr.isatty():
        _listing.note("asking the models and the chat services")
    return deep.merged(looked, asyncio.run(deep.asked(read, SystemClock(), dict(os.environ))))


def _workspaces(read: project.Read | None) -> dict[str, Path]:
    """Those that lie elsewhere than in the state folder, by agent."""
    agents = read.snapshot.agents.values() if read is not None else ()
    inside = ("shared", "own")
    return {agent.id: Path(agent.workspace).expanduser() for agent in agents if agent.workspace not in inside}


def _fixed(state: Path, workspaces: Mapping[str, Path]) -> tuple[list[str], list[Finding]]:
    """What was put right, and what could not be. Looks again until nothing is left: a folder has to be closed before
    what lies in it can be seen."""
    done: list[str] = []
    failed: list[Finding] = []
    tried: set[str] = set()
    while True:
        found = [*lying.folder(state), *lying.workspaces(workspaces), kept.left_behind(state)]
        fresh = [(one, one.mend) for one in found if one and one.mend is not None and one.found not in tried]
        if not fresh:
            return done, failed
        for one, mend in fresh:
            tried.add(one.found)
            try:
                done.append(mend())
            except OSError as error:
                failed.append(Finding("fix", "problem", f"{one.found}: {error.strerror}", one.cure))


def _trying(*, every: bool) -> Future[dict[Walls, dict[str, bool]]]:
    """Trials of what could hold commands here, in the background: they take longest."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    trying = pool.submit(_trials, every=every)
    pool.shutdown(wait=False)
    return trying


def _trials(*, every: bool) -> dict[Walls, dict[str, bool]]:
    """The strongest first, and no more than a runtime would try, unless every one is to be shown."""
    from openclaw.tools._sandbox import candidates, shared
    from openclaw.tools._sandbox_trial import stopped, trial

    made: dict[Walls, dict[str, bool]] = {}
    for walls in candidates():
        made[walls] = trial(shared(), walls)
        if not every and stopped(made[walls], walls):
            break
    return made


def _sandbox(made: Mapping[Walls, Mapping[str, bool]]) -> tuple[Finding, dict[str, Any]]:
    """What holds commands here: the first that stops what it promises, as a runtime chooses."""
    from openclaw.permissions.facts import NO_WALLS
    from openclaw.tools._sandbox_trial import stopped

    walls = next((walls for walls, matrix in made.items() if stopped(matrix, walls)), NO_WALLS)
    trials = {walls.mechanism: matrix for walls, matrix in made.items()}
    tried = {"mechanism": walls.mechanism, "masks": walls.masks, "network": walls.network, "trials": trials}
    return _judged(walls.mechanism, trials), tried


def _judged(mechanism: str, trials: Mapping[Any, Mapping[str, bool]]) -> Finding:
    cure = machine.freed() if "bubblewrap" in trials else "install bubblewrap (Debian: sudo apt install bubblewrap)"
    match mechanism:
        case "none":
            failed = "; what could work failed its trial" if trials else ""
            return Finding("sandbox", "problem", f"none: only vetted commands that read run unasked{failed}", cure)
        case "landlock":
            found = "landlock: it hides no single files and cuts off no UDP, so git and what is not vetted asks"
            return Finding("sandbox", "warning", found, cure)
        case "seatbelt":
            return Finding("sandbox", "warning", "sandbox-exec, which nobody has tested with this program yet")
        case _:
            return Finding("sandbox", "ok", f"{mechanism} holds what commands do")


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _as_json(finding: Finding) -> dict[str, Any]:
    return {"about": finding.about, "state": finding.state, "found": finding.found, "cure": finding.cure}


def _show(findings: Sequence[Finding], fixed: Sequence[str], tried: dict[str, Any] | None) -> None:
    from openclaw.secrecy import SECRETS

    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    lines = [*_told(findings, color), *(["", *_matrix(tried)] if tried else []), "", *_sum(findings)]
    for one in fixed:
        print(f"fixed: {_listing.quote_line(one)}")
    print(("\n" if fixed else "") + SECRETS.mask("\n".join(lines)))


def _told(findings: Sequence[Finding], color: bool) -> Iterator[str]:
    about = max(len(finding.about) for finding in findings)
    left = _STATE + about + _GAP
    columns = max(_columns.width() - left, _LEAST)
    for finding in findings:
        word, code = _MARKS[finding.state]
        mark = f"\x1b[{code}m{word}\x1b[0m" if color else word
        lines = wrapped(finding.found, columns)
        if finding.cure:
            first, *rest = wrapped(finding.cure, columns - _GAP)
            lines += [f"→ {first}", *(f"  {line}" for line in rest)]
        yield f"{mark}{' ' * (_STATE - len(word))}{finding.about.ljust(about)}{' ' * _GAP}{lines[0]}"
        yield from (" " * left + line for line in lines[1:])


def wrapped(text: str, columns: int) -> list[str]:
    """In lines that are broken between words alone, and not within what is quoted for a shell: a path or a command is
    there to be copied."""
    whole = _QUOTED.sub(lambda found: found[0].replace(" ", "\0"), _listing.quote_line(text))
    lines = textwrap.wrap(whole, columns, break_long_words=False, break_on_hyphens=False) or [""]
    return [line.replace("\0", " ") for line in lines]


def _sum(findings: Sequence[Finding]) -> Iterator[str]:
    counts = [(sum(one.state == state for one in findings), state) for state in ("problem", "warning")]
    told = [f"{count} {word}{'s'[: count != 1]}" for count, word in counts if count]
    yield f"{', '.join(told)}." if told else "All is in order."


def _matrix(tried: dict[str, Any]) -> Iterator[str]:
    from openclaw.tools._sandbox_trial import ATTEMPTS

    trials = tried["trials"]
    if not trials:
        yield "No sandbox is known for this machine."
        return
    yield (f"{'tried in the sandbox':<{_ATTEMPT}}" + "".join(f"{name:<{_CELL}}" for name in trials)).rstrip()
    for name, words in ATTEMPTS.items():
        cells = (
            ("yes" if found[name] else "NO") if name == "runs" else _cell(found[name]) for found in trials.values()
        )
        yield f"{words:<{_ATTEMPT}}" + "".join(f"{cell:<{_CELL}}" for cell in cells).rstrip()


def _cell(stopped: bool) -> str:
    return "stopped" if stopped else "not stopped"
