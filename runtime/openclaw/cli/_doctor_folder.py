"""What the doctor looks at of folders: whose they are, who may look in, and whether a runtime can use them.

Law: a look changes nothing. What may be mended without asking is mended by a finding's `mend`: it makes a folder that
is missing, and takes from others the access to what a runtime has made and this user owns. Everything else in a folder
is somebody's, and stays as it is. A cure is a line to copy, so each path in it is quoted for a shell.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote

from openclaw.cli._doctor_finding import Finding
from openclaw.cli._doctor_machine import nearest

_ABOUT = "state folder"
_ANOTHER = "name another one with --state"
_OTHERS = 0o077
_AT = 60  # where the header of a SQLite file keeps the version that its user gave it
_ROWS = "runtime.db"
_MADE = frozenset(
    {
        "audit-head", "control.sock", "exec-approvals.json", "history", "http-token", "last-good", "lock", "logs",
        "memory", "probe", "reserve", "running", _ROWS, "search.db", "sessions", "workspace", "workspaces",
    }
)  # fmt: skip
_BESIDE = ("-wal", "-shm", "-journal", ".new")
_FOLDERS = ("logs", "memory", "sessions")
_NAMED = 3  # files of somebody else

Entries = Mapping[Path, os.stat_result]


def folder(state: Path) -> Iterator[Finding]:
    """The folder, and what lies right in it."""
    try:
        status = state.stat()
    except FileNotFoundError:
        yield _unmade(state)
        return
    except OSError as error:
        yield Finding(_ABOUT, "problem", f"{state}: {_why(error)}", f"{_ANOTHER}, or ask as the user who may go there")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield Finding(_ABOUT, "problem", f"{state} is not a folder", _ANOTHER)
    elif os.geteuid() not in (status.st_uid, 0):
        cure = f"{_ANOTHER}; or, if it is to be yours: sudo chown -R {os.geteuid()} {quote(str(state))}"
        yield Finding(_ABOUT, "problem", f"{state} belongs to {_user(status.st_uid)}", cure)
    elif status.st_mode & _OTHERS:
        yield _seen(state, status)
    elif (barred := _barred(state, os.R_OK | os.W_OK | os.X_OK)) is not None:
        cure = _ANOTHER if barred.endswith("read-only") else f"chmod 700 {quote(str(state))}"
        yield Finding(_ABOUT, "problem", barred, cure)
    else:
        yield _usable(state, status.st_uid)
        yield from _inside(state, status.st_uid)


def _seen(state: Path, status: os.stat_result) -> Finding:
    """Closed at once where nothing but a runtime's own lies in it, so that nobody else can miss it; and never a folder
    that others use: a home, a project, /tmp."""
    found = f"others may look into {state} (mode {stat.S_IMODE(status.st_mode):04o})"
    try:
        names = [path.name for path in state.iterdir()]
    except OSError:
        names = [_ROWS]
    alone = all(map(_is_made, names))
    if status.st_mode & stat.S_ISVTX or not (alone or _ROWS in names):
        return Finding(
            _ABOUT, "problem", f"{found}, which is no runtime's alone", "name a folder of its own with --state"
        )
    ours = alone and status.st_uid == os.geteuid() and not state.is_symlink()
    mend = partial(_close, state) if ours else None
    return Finding(_ABOUT, "problem", found, f"chmod 700 {quote(str(state))}", mend)


def _usable(state: Path, owner: int) -> Finding:
    if owner == os.geteuid():
        return Finding(_ABOUT, "ok", str(state))
    found = f"{state} belongs to {_user(owner)}, and what root makes in it {_user(owner)} cannot use"
    return Finding(_ABOUT, "warning", found, f"ask as that user: sudo -u '#{owner}' openclaw … doctor")


def _unmade(state: Path) -> Finding:
    if state.is_symlink():
        target = state.readlink()
        found = f"{state} is a link to {target}, which is not there"
        cure = f"mkdir -p -m 700 {quote(str(state.parent / target))}, or {_ANOTHER}"
        return Finding(_ABOUT, "problem", found, cure)
    barred = _barred(nearest(state), os.W_OK | os.X_OK)
    if barred is None:
        return Finding(_ABOUT, "ok", f"{state} is made at the first start", mend=_making(state))
    made = f"sudo install -d -m 700 -o {os.geteuid()} {quote(str(state))}"
    cure = _ANOTHER if barred.endswith("read-only") else f"{_ANOTHER}, or: {made}"
    return Finding(_ABOUT, "problem", f"{state} cannot be made: {barred}", cure)


# ── what lies in it ──────────────────────────────────────────────────────────────────────────────


def _inside(state: Path, owner: int) -> Iterator[Finding]:
    names = sorted(path.name for path in state.iterdir())
    if _ROWS not in names and not all(map(_is_made, names)):
        return  # no runtime has ever used it, and what lies there is somebody's
    entries = _read(state / name for name in names if _is_made(name))
    foreign = [path for path, status in _with_their_own(entries).items() if status.st_uid != owner]
    if foreign:
        yield _foreign(state, foreign, owner)
    for path, status in entries.items():
        if (amiss := _entry(path, status)) is not None:
            yield amiss
    if (too_new := _too_new(state / _ROWS)) is not None:
        yield too_new


def _entry(path: Path, status: os.stat_result) -> Finding | None:
    mode, place = stat.S_IMODE(status.st_mode), quote(str(path))
    if status.st_mode & _OTHERS:
        found = f"{path} has mode {mode:04o}, so only its folder keeps others out"
        mend = partial(_close, path) if status.st_uid == os.geteuid() else None
        return Finding(_ABOUT, "warning", found, f"chmod go= {place}", mend)
    needed, bits = (os.R_OK | os.W_OK | os.X_OK, "rwx") if stat.S_ISDIR(status.st_mode) else (os.R_OK | os.W_OK, "rw")
    if status.st_uid == os.geteuid() and (barred := _barred(path, needed)) is not None:
        return Finding(_ABOUT, "problem", barred, f"chmod u+{bits} {place}")
    return None


def _foreign(state: Path, foreign: Sequence[Path], owner: int) -> Finding:
    """The trace of a runtime that was once started by root."""
    names = ", ".join(str(path.relative_to(state)) for path in foreign[:_NAMED])
    more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
    whose = _user(foreign[0].lstat().st_uid)
    found = f"{names}{more} in {state}: of {whose}, so {_user(owner)} cannot use it"
    return Finding(_ABOUT, "problem", found, f"sudo chown -R {owner} {quote(str(state))}")


def _is_made(name: str) -> bool:
    """Whether a runtime makes something of that name."""
    end = next((end for end in _BESIDE if name.endswith(end)), "")
    return name.removesuffix(end) in _MADE


def _with_their_own(entries: Entries) -> Entries:
    """And what lies right in its own folders; what is in a workspace is the agents'."""
    found = dict(entries)
    for path, status in entries.items():
        if path.name in _FOLDERS and stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK | os.X_OK):
            found |= _read(sorted(path.iterdir()))
    return found


def _read(paths: Iterator[Path] | Sequence[Path]) -> dict[Path, os.stat_result]:
    """Files and folders; no links, and nothing that is gone meanwhile."""
    found = {}
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            found[path] = status
    return found


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
        return Finding(_ABOUT, "problem", found, "openclaw restore, from a backup; or move the file away")
    if version > VERSION:
        found = f"{database} was written by a newer version (format {version}; this one knows {VERSION})"
        return Finding(_ABOUT, "problem", found, "install that version again")
    return None


# ── workspaces ───────────────────────────────────────────────────────────────────────────────────


def workspaces(folders: Mapping[str, Path]) -> Iterator[Finding]:
    """Working folders outside of the state folder, by agent."""
    for agent, path in folders.items():
        try:
            finding = _workspace(agent, path)
        except OSError as error:
            finding = _amiss(f"{path} of {agent}: {_why(error)}")
        if finding is not None:
            yield finding


def _workspace(agent: str, path: Path) -> Finding | None:
    """Raises OSError where the way there is closed, or is none."""
    there = nearest(path)
    barred = _barred(there, os.W_OK | os.X_OK)
    if there != path:
        if barred is not None:
            return _amiss(f"{path} of {agent} cannot be made: {barred}")
        found = f"{path} of {agent} is made at its first use"
        return Finding("workspace", "ok", found, mend=_making(path))
    if not path.is_dir():
        return _amiss(f"{path} of {agent} is not a folder")
    if barred is not None:
        return Finding("workspace", "problem", f"{agent}: {barred}", f"give {path} to uid {os.geteuid()}")
    return None


def _amiss(found: str) -> Finding:
    return Finding("workspace", "problem", found, "name another `workspace`")


# ── asking the system ────────────────────────────────────────────────────────────────────────────


def _barred(path: Path, needed: int) -> str | None:
    """Why this user cannot use something that is there; None where they can."""
    if os.access(path, needed, effective_ids=os.access in os.supports_effective_ids):
        return None
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"the file system of {path} is read-only"
    return f"{_user(os.geteuid())} may not read and write {path}"


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


# ── what --fix does ──────────────────────────────────────────────────────────────────────────────


def _making(folder: Path) -> Callable[[], str] | None:
    """Not for root in the folder of somebody who could not use what root makes there."""
    strange = os.geteuid() == 0 and nearest(folder).stat().st_uid != 0
    return None if strange else partial(_make, folder)


def _make(folder: Path) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"made {folder}"


def _close(path: Path) -> str:
    """What lies there now, if it is still this user's own; nothing through a link, and no bit of the owner is lost."""
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(opened)
        if status.st_uid != os.geteuid():
            raise PermissionError(1, "it belongs to somebody else now", str(path))
        mode = stat.S_IMODE(status.st_mode) & ~_OTHERS
        os.fchmod(opened, mode)
    finally:
        os.close(opened)
    return f"chmod {mode:o} {path}"
