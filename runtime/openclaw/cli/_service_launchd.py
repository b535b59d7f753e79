"""launchd, on macOS: the property list that keeps a runtime running, and how it is put in force.

launchd has no list of exit codes after which it gives up: a project that cannot start is tried every ten seconds. It
keeps no log either; what the runtime says is in the state folder.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from openclaw.cli._service_wanted import MARK, Wanted, ran

KIND = "launchd"
_SECONDS = 30.0
_LOOKS, _BETWEEN = 40, 0.5  # seconds; a stop may take 15
_NOT_LOADED = (3, 113)  # launchctl's: no such process, could not find service


def text(wanted: Wanted, version: int | None = None) -> str:
    keys: dict[str, Any] = {
        "Label": wanted.name,
        "ProgramArguments": list(wanted.command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 15,
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
        "StandardOutPath": str(wanted.log),
        "StandardErrorPath": str(wanted.log),
    }
    if wanted.system:
        keys["UserName"] = wanted.user
    whole = plistlib.dumps(keys, sort_keys=False).decode()
    return whole.replace('<plist version="1.0">', f"<!-- OpenClaw Runtime; {MARK} -->\n" + '<plist version="1.0">')


def place(wanted: Wanted) -> Path:
    if wanted.system:
        return Path("/Library/LaunchDaemons", f"{wanted.name}.plist")
    return Path("~/Library/LaunchAgents").expanduser() / f"{wanted.name}.plist"


def user_of(unit: str) -> str | None:
    try:
        found = plistlib.loads(unit.encode()).get("UserName")
    except (ValueError, plistlib.InvalidFileException, ExpatError):
        return None
    return str(found) if found else None


def version() -> int | None:
    return None


def missing(wanted: Wanted) -> str:
    return "" if shutil.which("launchctl") else "launchd is not on this machine"


def install(wanted: Wanted) -> list[list[str]]:
    return [["launchctl", "bootstrap", _domain(wanted), str(place(wanted))]]


def elsewhere(wanted: Wanted) -> str:
    """launchd knows a job by its label, which is the name of our file."""
    return ""


def leave(wanted: Wanted) -> None:
    """Ends what runs under the old list and waits until it is gone, without which no new one is taken."""
    run(uninstall(wanted)[0][0])
    for _ in range(_LOOKS):
        if run(["launchctl", "print", f"{_domain(wanted)}/{wanted.name}"]).returncode:
            return
        time.sleep(_BETWEEN)


def gone(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether what was to be stopped was not loaded."""
    return done.returncode in _NOT_LOADED


def runs(told: dict[str, str]) -> bool:
    return told["state"] == "running"


def uninstall(wanted: Wanted) -> tuple[list[list[str]], list[list[str]]]:
    return [["launchctl", "bootout", f"{_domain(wanted)}/{wanted.name}"]], []


def condition(wanted: Wanted) -> dict[str, str]:
    asked = run(["launchctl", "print", f"{_domain(wanted)}/{wanted.name}"])
    lines = (line.strip().partition(" = ") for line in asked.stdout.splitlines())
    found: dict[str, str] = {}
    for key, _, value in lines:
        found.setdefault(key, value)
    return {"state": found.get("state", "not loaded"), "pid": found.get("pid", ""), "restarts": found.get("runs", "")}


def advice(wanted: Wanted) -> Iterator[str]:
    yield f"its log: {wanted.log}"


def _domain(wanted: Wanted) -> str:
    return "system" if wanted.system else f"gui/{os.getuid()}"


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return ran(command, _SECONDS)
