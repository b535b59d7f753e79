"""Ends the commands that a runtime left behind when it was killed.

Before a command is started a record of it is in the state folder, named as the mark that the command's programs carry
in their environment; once it has ended, the record is taken away. So a record that is found at a start is of a
command that a killed runtime was running, and whatever still carries its mark is ended: asked first, then killed.
A program that threw its environment away is found by its session, as long as the program that began this lives.

Records outlive the process, which is all they need: a power cut ends the commands, too, and another boot is told by
its id. Whoever is ended is held by a descriptor and looked at again, so that nobody is hit who has that number by now.

Does not find what left its session, threw its environment away and lost its parents: nothing says whose that is.
Where there is no /proc, nothing is found.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from openclaw.errors import StateError
from openclaw.names import fresh
from openclaw.words import Call

log = logging.getLogger(__name__)

FOLDER = "running"
MARK = "OPENCLAW_CALL"
GRACE = 2.0  # seconds between asking and killing
_STEP = 0.02  # seconds between looks
_ROUNDS = 50  # what is killed starts nothing more, but what is not yet found may have
_ID = re.compile(r"[0-9a-f]{32}")


class Record:
    """One command line that is about to run."""

    def __init__(self, state: Path, call: Call) -> None:
        self.mark = fresh()
        self._file = state / FOLDER / self.mark
        self._about = {"session": call.session, "call": call.id, "boot": _boot()}

    @property
    def environment(self) -> dict[str, str]:
        """What its programs carry."""
        return {MARK: self.mark}

    def begin(self) -> None:
        """Returns with the record there for whoever comes after us. OSError where it cannot be made."""
        content = f"{json.dumps(self._about)}\n".encode()
        try:
            _write(self._file, content, os.O_CREAT | os.O_EXCL)
        except FileNotFoundError:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._file, content, os.O_CREAT | os.O_EXCL)

    def started(self, pid: int) -> None:
        """Adds a program that leads a session of its own. Its mark finds it, too, so a full disk is no matter."""
        with suppress(OSError):
            _write(self._file, f"{json.dumps([pid, _started(pid)])}\n".encode(), os.O_APPEND)

    def cut_off(self) -> None:
        """Ends what still carries the mark, though it left its group and holds nothing of ours. Blocking."""
        if Path("/proc/self/stat").exists():
            _end([_Group(self.mark, Left(self._about["session"], self._about["call"]))])

    def end(self) -> None:
        with suppress(OSError):
            self._file.unlink()


@dataclass(slots=True)
class Left:
    """A command that was running when its runtime was killed, and how many programs of it were ended."""

    session: str
    call: str
    ended: int = 0

    @property
    def words(self) -> str:
        """For the model, beside the result that is unknown."""
        if not self.ended:
            return "Nothing of it was running any more when the runtime started again."
        programs = "1 program" if self.ended == 1 else f"{self.ended} programs"
        return f"It was still running ({programs}) when the runtime started again, and was ended then."


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int = field(compare=False)  # another one adopts it
    session: int = field(compare=False)
    started: int  # clock ticks since the boot


@dataclass(slots=True)
class _Group:
    mark: str
    left: Left
    leaders: dict[int, int] = field(default_factory=dict)  # pid and when it started, in clock ticks


def end_left(state: Path) -> list[Left]:
    """Ends what a killed runtime left; to be called by whoever holds the lock of the state folder, before it serves.

    Blocking: at most some seconds, and next to nothing where nothing was left. Raises StateError where nobody can know.
    """
    found = list(_records(state / FOLDER))
    here = [group for path, group in found if group is not None]
    if here and Path("/proc/self/stat").exists():
        _end(here)
    for path, group in found:
        with suppress(OSError):
            path.unlink()
        if group is not None and group.left.ended:
            log.warning(
                "a command of %s was left running when the runtime was killed: %d of its programs were ended",
                group.left.session,
                group.left.ended,
            )
    return [group.left for group in here]


def _records(folder: Path) -> Iterator[tuple[Path, _Group | None]]:
    """Every record; without a group where it is of another boot, or was cut off before its command began."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StateError(
            f"what may still run of an earlier start cannot be known: {folder}: {why}; mend it, or move it aside"
        ) from error
    for name in filter(_ID.fullmatch, names):
        try:
            about, *leaders = map(json.loads, (folder / name).read_text("utf-8").splitlines())
            group = _Group(name, Left(str(about["session"]), str(about["call"])), {int(p): int(t) for p, t in leaders})
            yield folder / name, group if about["boot"] == _boot() else None
        except (OSError, ValueError, KeyError, TypeError):
            yield folder / name, _Group(name, Left("", "")) if (folder / name).is_file() else None


def _end(groups: Sequence[_Group]) -> None:
    """Asks, waits a little, kills; and looks again until nothing is left."""
    seen: set[_Process] = set()
    deadline = time.monotonic() + GRACE
    for _ in range(int(GRACE / _STEP) + _ROUNDS):
        alive = _alive(groups)
        if not alive:
            return
        for process, group in alive.items():
            if time.monotonic() >= deadline:
                _send(process, signal.SIGKILL)
            elif process not in seen:
                _send(process, signal.SIGTERM)
            if process not in seen:
                seen.add(process)
                group.left.ended += 1
        time.sleep(_STEP)
    log.warning("programs of commands that were cut off would not end")


def _send(process: _Process, number: signal.Signals) -> None:
    """To this process and to no other that has its number by now."""
    with suppress(OSError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if _look(process.pid) == process:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _alive(groups: Sequence[_Group]) -> dict[_Process, _Group]:
    """Programs of these commands that run: marked, of their sessions, or started by such a one."""
    marks = {f"{MARK}={group.mark}".encode(): group for group in groups}
    leaders = {leader: group for group in groups for leader in group.leaders.items()}
    running = {process.pid: process for process in map(_look, _pids()) if process is not None}
    spared = set(_line(os.getpid(), running))
    mine: dict[_Process, _Group] = {}
    children: dict[int, list[_Process]] = {}
    for process in running.values():
        children.setdefault(process.parent, []).append(process)
        leader = running.get(process.session)
        group = next((marks[name] for name in _environment(process.pid) if name in marks), None)
        if group is None and leader is not None:
            group = leaders.get((leader.pid, leader.started))
        if group is not None and process.pid not in spared:
            mine[process] = group
    waiting = list(mine.items())
    while waiting:  # what they started, whatever it did to its environment
        process, group = waiting.pop()
        for child in children.get(process.pid, ()):
            if child not in mine and child.pid not in spared:
                mine[child] = group
                waiting.append((child, group))
    return mine


def _line(pid: int, running: Mapping[int, _Process]) -> Iterator[int]:
    """This process and those that it comes from: one of the commands may have been to start us."""
    while (process := running.get(pid)) is not None:
        yield pid
        pid = process.parent


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _environment(pid: int) -> list[bytes]:
    """What it was started with; empty where we may not see it."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - once for every program of the machine
            return file.read().split(b"\0")
    except OSError:
        return []


def _look(pid: int) -> _Process | None:
    """What runs under this number; None where nothing does any more."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            state, parent, _, session, *fields = file.read().rpartition(b")")[2].split()
        return None if state in b"ZX" else _Process(pid, int(parent), int(session), int(fields[15]))
    except (OSError, ValueError, IndexError):
        return None


def _started(pid: int) -> int:
    process = _look(pid)
    return process.started if process is not None else -1


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _write(file: Path, content: bytes, how: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | how, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
