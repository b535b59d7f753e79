"""Tells what a person needs to know of this machine: what holds commands back, and whether the rest is in order.

The sandbox is tried out for real, exactly as commands are held. Changes nothing. The exit code is 1 where something
needs seeing to.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from openclaw.cli import _listing

State = Literal["ok", "notice", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`cure` says what to do about it; empty where nothing has to be done."""

    about: str
    state: State
    found: str
    cure: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    findings = [_python(), _user(), _state(args.state), *_project(args.project)]
    sandbox, tried = _sandbox()
    findings.append(sandbox)
    if args.json:
        _listing.as_json({"findings": [asdict(finding) for finding in findings], "sandbox": tried})
    else:
        print("\n".join([*_told(findings), "", *_matrix(tried)]))
    return 1 if any(finding.state == "problem" for finding in findings) else 0


# ── what is found ────────────────────────────────────────────────────────────────────────────────


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok", f"{version} at {sys.executable}")


def _user() -> Finding:
    if os.geteuid() == 0:
        return Finding(
            "user", "notice", "root: Python tools may do anything to this machine", "run it as a user of its own"
        )
    return Finding("user", "ok", f"uid {os.geteuid()}")


def _state(state: Path) -> Finding:
    try:
        status = state.stat()
    except FileNotFoundError:
        return Finding("state folder", "ok", f"{state} is made at the first start")
    except OSError as error:
        return Finding("state folder", "problem", f"{state}: {error.strerror}", "give it to the user of the runtime")
    if not stat.S_ISDIR(status.st_mode):
        return Finding("state folder", "problem", f"{state} is not a folder", "name another one with --state")
    if status.st_uid != os.geteuid():
        return Finding(
            "state folder", "problem", f"{state} belongs to uid {status.st_uid}", f"chown -R {os.geteuid()} {state}"
        )
    if status.st_mode & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return Finding("state folder", "problem", f"others may look into {state} (mode {mode})", f"chmod 700 {state}")
    return Finding("state folder", "ok", str(state))


def _project(project: Path) -> Iterator[Finding]:
    from openclaw.adapters import importer
    from openclaw.clock import SystemClock
    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder

    if not project.is_dir():
        yield Finding("project", "problem", f"{project} is not a folder", "name the project's folder with -C")
        return
    compiled = compile(Folder.read(project), environment=None, importer=importer(project), today=SystemClock().now())
    if compiled.snapshot is None:
        errors = sum(each.severity == "error" for each in compiled.diagnostics)
        yield Finding("project", "problem", f"{project} has {errors} errors", "openclaw validate")
        return
    agents, policies = len(compiled.snapshot.agents), compiled.snapshot.policies.values()
    yield Finding("project", "ok", f"{project} is valid: {agents} agents")
    off = [policy.name for policy in policies if policy.sandbox == "off"]
    if off:
        yield Finding("policies", "notice", f"the sandbox is switched off by: {', '.join(off)}")


def _sandbox() -> tuple[Finding, dict[str, Any]]:
    """What holds commands here, and each mechanism that could, attempt by attempt."""
    from openclaw.tools._sandbox import candidates, shared
    from openclaw.tools._sandbox_trial import trial

    sandbox = shared()
    walls = sandbox.walls()
    trials = {each.mechanism: trial(sandbox, each) for each in candidates()}
    tried = {"mechanism": walls.mechanism, "masks": walls.masks, "network": walls.network, "trials": trials}
    return _judged(walls.mechanism, trials), tried


def _judged(mechanism: str, trials: Mapping[Any, Mapping[str, bool]]) -> Finding:
    cure = "install bubblewrap (Debian: apt install bubblewrap) and let users make user namespaces"
    match mechanism:
        case "none":
            failed = "; what could work failed its trial" if trials else ""
            return Finding("sandbox", "problem", f"none: only vetted commands that read run unasked{failed}", cure)
        case "landlock":
            found = "landlock: it hides no single files and cuts off no UDP, so git and what is not vetted asks"
            return Finding("sandbox", "notice", found, cure)
        case "seatbelt":
            return Finding("sandbox", "notice", "sandbox-exec, which nobody has tested with this program yet")
        case _:
            return Finding("sandbox", "ok", mechanism)


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _told(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.state:<8} {finding.about + ':':<14} {_listing.quote_line(finding.found)}"
        if finding.cure:
            yield f"{'':<8} {'':<14} → {_listing.quote_line(finding.cure)}"


def _matrix(tried: dict[str, Any]) -> Iterator[str]:
    from openclaw.tools._sandbox_trial import ATTEMPTS

    trials = tried["trials"]
    if not trials:
        yield "No sandbox is known for this machine."
        return
    yield f"{'tried in the sandbox':<60}" + "".join(f"{name:<12}" for name in trials)
    for name, words in ATTEMPTS.items():
        cells = (
            ("yes" if found[name] else "NO") if name == "runs" else _cell(found[name]) for found in trials.values()
        )
        yield f"{words:<60}" + "".join(f"{cell:<12}" for cell in cells).rstrip()


def _cell(stopped: bool) -> str:
    return "stopped" if stopped else "not stopped"
