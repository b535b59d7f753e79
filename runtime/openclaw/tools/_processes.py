"""Literal command lines as processes: pipes, `&&`, `||` and `;` wired here, no shell anywhere.

Its law: whatever was started is gone when `end` returns: every process group, and whoever still holds
the output open. Output is read as fast as it comes and kept in bounded memory, head and tail. Knows
nothing of tools or rules. (A program that detaches itself and closes its output outlives its call.)
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw.clock import Clock
from openclaw.messages import CommandLine, Step
from openclaw.tools._sandbox import MEMORY, PROCESSES, Box, Launch

HEAD = 3 * 2**20  # bytes kept from the beginning
TAIL = 2**20  # and from the end
TERM_GRACE = 2.0  # seconds between SIGTERM and SIGKILL
LINGER = 0.5  # seconds a finished command's output may stay open
WATCH = 0.05  # seconds between looks at how much a command has started
NICE = 5  # how far commands stand back behind the runtime, which has to be able to stop them
_AT_ONCE = 16  # reads before others get their turn


class Capture:
    """What came out: whole while it fits, then its head and its tail, counted throughout."""

    def __init__(self) -> None:
        self.total = 0
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = HEAD - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room > 0 else chunk
        if len(self._tail) > 2 * TAIL:
            del self._tail[:-TAIL]

    def text(self) -> str:
        """Decoded as UTF-8, what is not replaced; NUL made visible."""
        tail = bytes(self._tail[-TAIL:])
        missing = self.total - len(self._head) - len(tail)
        gap = f"\n[... {missing:,} bytes were not kept ...]\n".encode() if missing else b""
        return (bytes(self._head) + gap + tail).decode("utf-8", "replace").replace("\0", "\\0")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command line ended: the exit code of what ran last, or of what failed before it in the same pipeline;
    negative is a signal, as in `subprocess`."""

    code: int
    argv: tuple[str, ...]
    earlier: bool = False  # another program of the pipeline came after it


class Job:
    """One run of one command line."""

    def __init__(
        self,
        command: CommandLine,
        cwd: Path,
        environment: Mapping[str, str],
        clock: Clock,
        seconds: float,
        box: Box,
        *,
        whole: bool = False,
    ) -> None:
        """`whole`: a pipeline fails where any of its programs does; else its last one decides, as in every shell."""
        self._pipelines = _pipelines(command.steps)
        self._whole = whole
        self._cwd = cwd
        self._environment = dict(environment)
        self._clock = clock
        self._seconds = seconds
        self.box = box
        self._running: list[asyncio.subprocess.Process] = []
        self._groups: list[int] = []
        self._read = self._write = -1
        self._closed = asyncio.Event()
        self.capture = Capture()
        self.excess = ""  # what it was stopped for having too much of
        self.started: Callable[[int], None] = lambda pid: None  # told of each program once it is there

    async def run(self) -> Ended:
        """Runs to the end; the caller bounds it in time, and calls `end` however it ended."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        asyncio.get_running_loop().add_reader(self._read, self._drain)
        watching = asyncio.ensure_future(self._watch())
        try:
            return await self._all()
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _all(self) -> Ended:
        ended = Ended(0, self._pipelines[0][-1].argv)
        for pipeline in self._pipelines:
            after = pipeline[0].after
            if self.excess or (after == "&&" and ended.code != 0) or (after == "||" and ended.code == 0):
                continue
            ended = self._verdict(pipeline, await self._pipeline(pipeline))
        self._close_write()
        await self._output_closed()
        return ended

    def _verdict(self, steps: Sequence[Step], codes: Sequence[int]) -> Ended:
        """Of the last program, or, where the whole counts, of the last one that failed."""
        last = Ended(codes[-1], steps[-1].argv)
        if last.code or not self._whole:
            return last
        # Whoever writes into a pipe that nobody reads any more has done what was wanted of it: `yes | head`.
        failed = [number for number, code in enumerate(codes) if code not in (0, -signal.SIGPIPE)]
        return Ended(codes[failed[-1]], steps[failed[-1]].argv, earlier=True) if failed else last

    async def _pipeline(self, steps: Sequence[Step]) -> list[int]:
        """The exit code of each program."""
        with ExitStack() as ours:
            incoming = asyncio.subprocess.DEVNULL
            processes: list[tuple[asyncio.subprocess.Process, Launch] | None] = []
            for index, step in enumerate(steps):
                following, outgoing = (-1, self._write) if index == len(steps) - 1 else os.pipe()
                if following != -1:
                    ours.callback(_close, following)
                with ExitStack() as until_started:
                    if outgoing != self._write:
                        until_started.callback(_close, outgoing)
                    processes.append(await self._start(step, incoming, outgoing))
                incoming = following
        return await asyncio.gather(*map(self._ended, processes))

    async def _ended(self, started: tuple[asyncio.subprocess.Process, Launch] | None) -> int:
        if started is None:
            return 126
        process, launch = started
        code = await process.wait()
        if not _lives(process.pid):  # its number is anybody's from now on
            self._groups.remove(process.pid)
        return _code(code, launch)

    async def _start(
        self, step: Step, incoming: int, outgoing: int
    ) -> tuple[asyncio.subprocess.Process, Launch] | None:
        null = asyncio.subprocess.DEVNULL
        try:
            launch = self.box.launch(step, self._cwd, self._environment, self._seconds)
            process = await asyncio.create_subprocess_exec(
                *launch.argv,
                executable=launch.program,
                stdin=incoming,
                stdout=null if step.stdout == "null" else outgoing,
                stderr={"": self._write, "null": null, "stdout": outgoing}[step.stderr],
                cwd=self._cwd,
                env=dict(launch.environment),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            self.capture.add(f"{step.argv[0]}: could not be started: {words}\n".encode())
            return None
        self._running.append(process)
        self._groups.append(process.pid)
        self.started(process.pid)
        _limit(process.pid, self._seconds)
        return process, launch

    async def _watch(self) -> None:
        """Ends what starts too many programs or takes too much memory; not every mechanism can, nor for everybody."""
        while not self.excess:
            await self._clock.sleep(WATCH)
            found = self._tree()
            if len(found) > PROCESSES:
                self.excess = f"more than {PROCESSES} processes at a time"
            elif sum(map(_memory, found)) > MEMORY:
                self.excess = f"more than {MEMORY // 2**30} GB of memory"
        self._signal(signal.SIGKILL)  # which ends all there is in a sandbox with processes of its own
        found = self._tree()
        stopped: set[int] = set()
        while found - stopped:  # what is stopped starts nothing more, so that this comes to an end
            _send(found - stopped, signal.SIGSTOP)
            stopped |= found
            found = self._tree()
            await asyncio.sleep(0)
        _send(stopped, signal.SIGKILL)

    def _tree(self) -> set[int]:
        return _tree([process.pid for process in self._running if process.returncode is None])

    # ── output ───────────────────────────────────────────────────────────────────────────────────

    def _drain(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                chunk = os.read(self._read, 65536)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                asyncio.get_running_loop().remove_reader(self._read)
                self._closed.set()
                return
            self.capture.add(chunk)

    async def _output_closed(self) -> None:
        """Until nobody can write any more, but not longer than `LINGER`: a child left behind may hold it open."""
        closed = asyncio.ensure_future(self._closed.wait())
        timer = asyncio.ensure_future(self._clock.sleep(LINGER))
        try:
            await asyncio.wait({closed, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            timer.cancel()

    def _close_write(self) -> None:
        if self._write != -1:
            _close(self._write)
            self._write = -1

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    async def end(self) -> None:
        """Leaves nothing behind: asks the groups to end, waits a little, then kills; harmless when all is over."""
        alive = [process for process in self._running if process.returncode is None]
        if alive:
            self._signal(signal.SIGTERM)
            await self._exited(alive, TERM_GRACE)
        self._signal(signal.SIGKILL)
        await self._exited([process for process in self._running if process.returncode is None], TERM_GRACE)
        if self._read != -1:
            self._close_write()
            asyncio.get_running_loop().remove_reader(self._read)
            if not self._closed.is_set():
                await asyncio.to_thread(_kill_holders, self._read)
                self._drain()
                asyncio.get_running_loop().remove_reader(self._read)
            _close(self._read)
            self._read = -1

    def _signal(self, number: signal.Signals) -> None:
        for group in self._groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)

    async def _exited(self, processes: Sequence[asyncio.subprocess.Process], seconds: float) -> None:
        if not processes:
            return
        everything: asyncio.Future[Any] = asyncio.gather(*(process.wait() for process in processes))
        timer: asyncio.Future[Any] = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({everything, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            everything.cancel()
            timer.cancel()
            await asyncio.gather(everything, timer, return_exceptions=True)


def _pipelines(steps: Iterable[Step]) -> list[list[Step]]:
    grouped: list[list[Step]] = []
    for step in steps:
        if step.after == "|" and grouped:
            grouped[-1].append(step)
        else:
            grouped.append([step])
    return grouped


def _code(code: int, launch: Launch) -> int:
    """As of the program itself: a shell, and some sandboxes, give the signal that ended it as 128 and its number."""
    return 128 - code if launch.shelled and 128 < code <= 128 + signal.NSIG else code


def _tree(roots: Iterable[int]) -> set[int]:
    """These processes and all that came from them and has not been orphaned."""
    found: set[int] = set()
    waiting = [*roots]
    while waiting:
        pid = waiting.pop()
        if pid in found:
            continue
        found.add(pid)
        with suppress(OSError, ValueError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, number)


def _memory(pid: int) -> int:
    """Bytes that are really there."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def _lives(group: int) -> bool:
    """Whether anybody is left of a group of processes; one that outlived its leader keeps its number taken."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _close(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)


def _limit(pid: int, seconds: float) -> None:
    """Set from outside, just after the start: code between fork and exec is not safe beside threads."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    cpu = math.ceil(seconds) + 5
    wanted = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, 4 * 2**30),
        (resource.RLIMIT_NOFILE, 4096),
    )
    for what, value in wanted:
        with suppress(OSError, ValueError, AttributeError):
            resource.prlimit(pid, what, (value, value))


def _kill_holders(descriptor: int) -> None:
    """Kills whoever, by /proc, still has the other end of our pipe open: children that left their group."""
    # Twice, because a child of anybody that is between fork and exec holds everything for an instant.
    suspects = _holders(descriptor, (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()))
    if suspects:
        time.sleep(0.05)
    for pid in _holders(descriptor, suspects):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _holders(descriptor: int, pids: Iterable[int]) -> list[int]:
    found = []
    with suppress(OSError):
        pipe = Path(f"/proc/self/fd/{descriptor}").readlink()
        for pid in pids:
            with suppress(OSError):
                if pid != os.getpid() and any(fd.readlink() == pipe for fd in Path(f"/proc/{pid}/fd").iterdir()):
                    found.append(pid)
    return found
