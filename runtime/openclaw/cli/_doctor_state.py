"""What the doctor looks at of the state folder: whose it is, who may look in, who holds it, what was left behind.

Law: a look changes nothing. What may be mended without asking is mended by a finding's `mend`: modes, folders that are
missing, a socket that nobody can listen on; nothing that holds what a person said or wants.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import openclaw
from openclaw.cli._client import running
from openclaw.cli._doctor_finding import Finding, span
from openclaw.control.places import SOCKET
from openclaw.errors import OpenClawError

_OTHERS = 0o077
_AT = 60  # where the header of a SQLite file keeps the version that its user gave it


def folder(state: Path) -> Iterator[Finding]:
    """The folder, and what lies right in it."""
    about = "state folder"
    try:
        status = state.stat()
    except FileNotFoundError:
        yield Finding(about, "ok", f"{state} is made at the first start", mend=partial(_make, state))
        return
    except OSError as error:
        yield Finding(about, "problem", f"{state}: {error.strerror}", "give it to the user of the runtime")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield Finding(about, "problem", f"{state} is not a folder", "name another one with --state")
    elif status.st_uid != os.geteuid():
        cure = f"chown -R {os.geteuid()} {state}"
        yield Finding(about, "problem", f"{state} belongs to uid {status.st_uid}", cure)
    elif status.st_mode & _OTHERS:
        found = f"others may look into {state} (mode {stat.S_IMODE(status.st_mode):04o})"
        yield Finding(about, "problem", found, f"chmod 700 {state}", partial(_close, state, 0o700))
    elif not os.access(state, os.W_OK | os.X_OK):
        yield Finding(about, "problem", f"nothing can be written into {state}", f"chmod 700 {state}")
    else:
        yield Finding(about, "ok", str(state))
        yield from _inside(state)


def _inside(state: Path) -> Iterator[Finding]:
    for entry in sorted(os.scandir(state), key=lambda entry: entry.name):
        mode = entry.stat(follow_symlinks=False).st_mode
        if mode & _OTHERS and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            kept = 0o700 if stat.S_ISDIR(mode) else 0o600
            found = f"{entry.path} has mode {stat.S_IMODE(mode):04o}, so only its folder keeps others out"
            mend = partial(_close, Path(entry.path), kept)
            yield Finding("state folder", "warning", found, f"chmod {kept:o} {entry.path}", mend)
    if (too_new := _too_new(state / "runtime.db")) is not None:
        yield too_new


def _too_new(database: Path) -> Finding | None:
    """The version in the file's header, which a runtime that ended in order has brought up to date."""
    from openclaw.stores._schema import VERSION

    try:
        with database.open("rb") as file:
            header = file.read(100)
    except OSError:
        return None
    version = int.from_bytes(header[_AT : _AT + 4], "big")
    if not header.startswith(b"SQLite format 3\0"):
        if not header:
            return None
        found = f"{database} is no database"
        return Finding("state folder", "problem", found, "openclaw restore, from a backup; or move the file away")
    if version > VERSION:
        found = f"{database} was written by a newer version (format {version}; this one knows {VERSION})"
        return Finding("state folder", "problem", found, "install that version again")
    return None


def workspaces(folders: Mapping[str, Path]) -> Iterator[Finding]:
    """Working folders outside of the state folder, by agent."""
    for agent, path in folders.items():
        if not path.exists():
            found = f"{path} of {agent} is made at its first use"
            yield Finding("workspace", "ok", found, mend=partial(_make, path))
        elif not path.is_dir():
            yield Finding("workspace", "problem", f"{path} of {agent} is not a folder", "name another `workspace`")
        elif not os.access(path, os.W_OK | os.X_OK):
            found = f"{agent} cannot write into {path}"
            yield Finding("workspace", "problem", found, f"give {path} to uid {os.geteuid()}")


# ── who holds it ─────────────────────────────────────────────────────────────────────────────────


def runtime(state: Path, project: Path | None = None) -> tuple[Finding, Mapping[str, Any] | None]:
    """Who holds the folder, and what a runtime that serves says of itself and its heartbeats; nothing of that where it
    serves another project."""
    about = "runtime"
    if not state.is_dir():
        return Finding(about, "ok", "none runs"), None
    try:
        with running(state) as served:
            told = {**served.get("status"), **served.get("heartbeats")} if served else None
    except OpenClawError as error:
        return Finding(about, "warning", str(error), "openclaw status"), None
    if told is not None:
        serving = _serving(told)
        if project is not None and Path(told["project"]) != project.resolve():
            cure = f"look at that one (-C {told['project']}), or name another --state"
            return Finding(about, "warning", f"{serving.found}, and not {project}", cure), None
        return serving, told
    holder = held_by(state / "lock")
    if holder is not None:
        who = f"process {holder}" if holder else "a process"
        found = f"{who} holds the state folder, but does not answer: it starts, ends or hangs"
        return Finding(about, "warning", found, f"wait a moment; if it stays so: kill {holder or 'it'}"), None
    if (state / SOCKET).is_socket():
        found = f"none runs; one that was killed has left {state / SOCKET}"
        cure = "openclaw doctor --fix, or nothing: the next start replaces it"
        return Finding(about, "warning", found, cure, partial(_remove_socket, state)), None
    return Finding(about, "ok", "none runs, and nobody holds the state folder"), None


def _serving(told: Mapping[str, Any]) -> Finding:
    found = f"process {told['pid']} serves {told['project']}, for {span(told['uptime_seconds'])}"
    if told["version"] != openclaw.__version__:
        return Finding("runtime", "warning", f"{found}, with version {told['version']}", "start it anew")
    if told["demo"]:
        return Finding("runtime", "ok", f"{found}, with the demo model")
    return Finding("runtime", "ok", found)


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
    finally:
        os.close(file)
    return None


# ── what --fix does ──────────────────────────────────────────────────────────────────────────────


def _make(folder: Path) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"made {folder}"


def _close(path: Path, mode: int) -> str:
    path.chmod(mode)
    return f"chmod {mode:o} {path}"


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
