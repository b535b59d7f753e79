"""What the doctor finds out of who holds the state folder: a runtime that serves, one that hangs, or what one left.

Law: a look changes nothing and never waits for long. What answers may be of any version, or no runtime at all, so
nothing of its answer is relied upon before its version was read. A socket that nobody can listen on is what `mend`
takes away.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import openclaw
from openclaw.cli._client import running
from openclaw.cli._doctor_finding import Finding, span
from openclaw.control_socket import SOCKET
from openclaw.errors import OpenClawError

PATIENCE = 5.0  # seconds without a byte from a runtime on this machine
_ABOUT = "runtime"
Told = Mapping[str, Any]


def runtime(
    state: Path, project: Path | None = None, patience: float = PATIENCE
) -> tuple[Sequence[Finding], Told | None]:
    """Who holds the folder; and what a runtime that serves this project says of itself and its heartbeats. Of any other
    that holds it no more than its `pid`."""
    try:
        if not state.is_dir():
            return [Finding(_ABOUT, "ok", "none runs")], None
        told = _told(state, patience)
    except OSError:  # told as a finding about the folder
        return [Finding(_ABOUT, "warning", f"{state} cannot be looked into", "ask as the user of the runtime")], None
    except OpenClawError as error:
        return _silent(state, error, patience)
    if told is not None:
        return _serving(told, project)
    holder = held_by(state / "lock")
    if holder is not None:
        return [_held(state, holder, "does not answer: it starts, ends or hangs")], {"pid": holder}
    if (left := left_behind(state)) is not None:
        return [left], None
    return [Finding(_ABOUT, "ok", "none runs, and nobody holds the state folder")], None


def _told(state: Path, patience: float) -> Told | None:
    with running(state, patience) as served:
        if served is None:
            return None
        status, beats = served.get("status"), {}
        if isinstance(status, dict) and status.get("version") == openclaw.__version__:
            beats = served.get("heartbeats")
    if not isinstance(status, dict) or not isinstance(beats, dict):
        raise OpenClawError("what answers there is no runtime")
    return {**status, **beats}


def _silent(state: Path, error: OpenClawError, patience: float) -> tuple[Sequence[Finding], Told | None]:
    """Somebody listens, and gives no answer that makes sense."""
    holder = held_by(state / "lock")
    if holder is None:
        cure = f"end what listens there: lsof {quote(str(state / SOCKET))}"
        return [Finding(_ABOUT, "warning", str(error), cure)], None
    return [_held(state, holder, f"gives no answer that makes sense within {patience:g} s ({error})")], {"pid": holder}


def _held(state: Path, holder: int, how: str) -> Finding:
    who, lock = f"process {holder}" if holder else "a process", quote(str(state / "lock"))
    kill = f"kill {holder}, and kill -9 {holder} where it does not heed that"
    cure = f"wait a moment; if it stays so: {kill if holder else f'end that process, which lsof {lock} names'}"
    return Finding(_ABOUT, "warning", f"{who} holds the state folder, but {how}", cure)


def _serving(told: Told, project: Path | None) -> tuple[Sequence[Finding], Told | None]:
    pid, version = told.get("pid"), told.get("version")
    if version != openclaw.__version__ or not _is_as_here(told):
        versions = f"{version or 'unknown'}; here {openclaw.__version__}"
        found = f"process {pid} serves, and is not of the version of this command ({versions})"
        return [Finding(_ABOUT, "warning", found, "start it anew")], {"pid": pid}
    found = f"process {pid} serves {told['project']}, for {span(told['uptime_seconds'])}"
    if project is not None and Path(told["project"]) != project.resolve():
        cure = f"look at that one (-C {quote(told['project'])}), or name another --state"
        return [Finding(_ABOUT, "warning", f"{found}, and not {project}", cure)], {"pid": pid}
    demo = ", with the demo model" if told.get("demo") else ""
    return [Finding(_ABOUT, "ok", f"{found}{demo}"), *_in_force(told)], told


def _is_as_here(told: Told) -> bool:
    """Whether it tells what is read of it, in the shape of today: between releases a version says little."""
    channels = told.get("channels")
    shaped = isinstance(channels, dict) and all(isinstance(one, dict) for one in channels.values())
    return shaped and {"project", "uptime_seconds"} <= told.keys()


def _in_force(told: Told) -> Iterator[Finding]:
    """Where what is on disk is not what runs."""
    if told.get("differs"):
        cure = "openclaw validate" if told.get("on_last_good") else "openclaw status"
        yield Finding(_ABOUT, "warning", f"not all edits are in force: {told['differs']}", cure)


def left_behind(state: Path) -> Finding | None:
    """A socket in a folder that nobody holds."""
    try:
        left = (state / SOCKET).is_socket()
    except OSError:
        return None
    if not left or held_by(state / "lock") is not None:
        return None
    found = f"none runs; one that was killed has left {state / SOCKET}"
    cure = "openclaw doctor --fix, or nothing: the next start replaces it"
    mend = partial(_remove_socket, state) if state.stat().st_uid == os.geteuid() else None  # else the lock is root's
    return Finding(_ABOUT, "warning", found, cure, mend)


def held_by(lock: Path) -> int | None:
    """The process that holds the folder; 0 where it does not say which, None where nobody does."""
    try:
        file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(file, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    except OSError:  # a disk without locks
        return None
    finally:
        os.close(file)
    return None


# ── what --fix does ──────────────────────────────────────────────────────────────────────────────


def _remove_socket(state: Path) -> str:
    """Under the lock, so that no runtime that starts meanwhile loses its own."""
    with _locked(state / "lock"):
        (state / SOCKET).unlink()
    return f"removed {state / SOCKET}"


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)
