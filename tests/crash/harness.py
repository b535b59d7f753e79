"""A project with tools that leave traces, the real process that serves it, and the hand that kills it.

Its law: nothing in here waits for a time to pass where an event can be waited for; the one exception is the
moment to be killed in. What was acknowledged is written down here, beside the runtime, for the oracle.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doubles import warm
from openclaw.control_socket import reachable

TESTS = Path(__file__).parents[1]

AGENT = """\
name: Desk
description: Leaves traces
model: scripted
tools: [note, bump, gate, linger]
policy: works
"""

MODELS = """\
default: scripted
models:
  scripted: {kind: scripted, script: script.yaml}
"""

CHANNELS = """\
channels:
  repl: {kind: repl}
"""

TOOLS = """\
tools:
  note: {python: "traces:note"}
  gate: {python: "traces:gate"}
  linger: {python: "traces:linger"}
  bump:
    description: Makes the file of this number one byte longer
    shell: truncate --size=+1 -- count-{n}
    input: {n: {type: string, description: The number}}
policies:
  works:
    default: deny
    sandbox: off                   # what is swept is the runtime, and `bump` writes
    rules:
      - allow: [note, bump, gate, linger]
"""

# Turns take 50 to 300 ms, so that a kill at any moment finds something under way.
SCRIPT = """\
pace: 0.012
rules:
  - {say: '^say (?P<n>\\S+)$', reply: "done {n}, in a few words that take their time"}
  - {say: '^note (?P<n>\\S+)$', calls: [{note: &n {n: "{n}"}}], reply: &d "done {n}", failed: &f "failed {n}"}
  - {say: '^bump (?P<n>\\S+)$', delay: 0.02, calls: [{bump: *n}], reply: *d, failed: *f}
  - {say: '^both (?P<n>\\S+)$', calls: [[{note: *n}, {bump: *n}]], reply: *d, failed: *f}
  - {say: '^steps (?P<n>\\S+)$', calls: [{note: *n}, {bump: *n}], reply: *d, failed: *f}
  - {say: '^gate (?P<n>\\S+)$', calls: [{gate: *n}], reply: *d, failed: "failed {n}: {result}"}
  - {say: '^linger (?P<n>\\S+)$', calls: [{linger: *n}], reply: *d}
  - {say: '^ponder (?P<n>\\S+)$', delay: 60, reply: *d}
otherwise: what?
"""
KINDS = ("say", "note", "bump", "both", "steps")

TRACES = '''\
"""Tools with an effect that outlives the process: one line, on disk before the tool returns."""

import asyncio
import os
import time
from pathlib import Path

import openclaw

HERE = Path(__file__).parent


def trace(call, n):
    file = os.open(HERE / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{call.id} {n}\\n".encode())
    os.fsync(file)
    os.close(file)


@openclaw.tool
def note(n: str, call: openclaw.Call) -> str:
    """Writes the number down.

    Args:
        n: The number.
    """
    time.sleep(0.02)
    trace(call, n)
    time.sleep(0.05)
    return "noted"


@openclaw.tool
def gate(n: str, call: openclaw.Call) -> str:
    """Writes the number down, then waits until the gate is open.

    Args:
        n: The number.
    """
    trace(call, n)
    end = time.monotonic() + 50
    while not (HERE / "open").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return "through"


@openclaw.tool
async def linger(n: str, call: openclaw.Call) -> str:
    """Writes the number down and does not leave when it is asked to.

    Args:
        n: The number.
    """
    trace(call, n)
    for _ in range(600):
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            pass
    return "at last"
'''


@dataclass(frozen=True, slots=True)
class Site:
    """A project and a state folder, and how Python is told to run the runtime."""

    root: Path
    runner: Sequence[str] = ("-m", "openclaw")

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def effects(self) -> list[tuple[str, str]]:
        """(call id, number) of every effect, in order."""
        path = self.project / "effects"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(id, n) for id, _, n in (line.partition(" ") for line in lines)]

    def transcript(self, session: str) -> Path:
        return self.state / "sessions" / f"{session.replace(':', '_')}.jsonl"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, *self.runner, "-C", str(self.project), "--state", str(self.state), *arguments]

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return warm.run(self.command(*arguments), text=True, timeout=30, stdin=subprocess.DEVNULL, **options)


def made(root: Path, *, runner: Sequence[str] = ("-m", "openclaw"), files: Mapping[str, str] | None = None) -> Site:
    """`files` are added to the project, or replace parts of it."""
    site = Site(root, runner)
    project = {
        "agents/main.yaml": AGENT,
        "models.yaml": MODELS,
        "channels.yaml": CHANNELS,
        "tools.yaml": TOOLS,
        "script.yaml": SCRIPT,
        "traces.py": TRACES,
        **(files or {}),
    }
    for name, text in project.items():
        path = site.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return site


def until(found: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Polls until `found` gives something; fails naming what never came."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:g} s"
        time.sleep(0.005)
    return value


class Gone(Exception):
    """The runtime does not answer: it was killed, or has not begun to listen."""


def local(path: Path) -> http.client.HTTPConnection:
    """A connection to a socket in the file system."""
    return _Connection(path)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("runtime", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with reachable(self._path) as name:
            self.sock.connect(name)


class Life:
    """One process serving the site, from start to kill. `under` is what runs it: a program and its arguments, or `-m`
    and a module of ours with its arguments, which then is what Python runs."""

    def __init__(self, site: Site, *, input: int = subprocess.DEVNULL, under: Sequence[str] = ()) -> None:
        self.site = site
        self.began = time.monotonic()
        words, at, start = site.command("run"), site.root, subprocess.Popen
        if under[:1] == ("-m",):
            words, under = [words[0], *under, *words[1 + len(site.runner) :]], ()
        if words[1] == "-m" and not under:
            start = warm.Popen
        if words[2].startswith("crash."):
            at = TESTS
        with (site.root / "stdout").open("ab") as out, (site.root / "stderr").open("ab") as err:
            self._said = err.tell()
            self.process = start([*under, *words], stdin=input, stdout=out, stderr=err, cwd=at, process_group=0)

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request to the control socket. Raises Gone."""
        connection = _Connection(self.site.state / "control.sock")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json", **named})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Gone(str(error)) from error
        finally:
            connection.close()

    def web(self) -> list[str]:
        """Host and port of each HTTP channel, in their order; fewer while it starts."""
        with (self.site.root / "stderr").open("rb") as said:
            said.seek(self._said)
            return re.findall(r"^HTTP at http://([^/,\s]+)", said.read().decode("utf-8", "replace"), re.MULTILINE)

    def ready(self) -> float:
        """Waits until requests are served. Seconds since the process was started."""
        until(self._serves, "the control socket")
        return time.monotonic() - self.began

    def _serves(self) -> bool:
        assert self.process.poll() is None, (self.site.root / "stderr").read_text()[-2000:]
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except Gone:
            return False

    def post(self, text: str, session: str, key: str) -> str:
        """Has a message accepted; its id."""
        status, answer = self.ask(
            "POST", "/api/messages", {"text": text, "session": session}, Prefer="respond-async", Idempotency_Key=key
        )
        assert status in (200, 202, 502), answer
        return str(answer["id"]) if status != 502 else ""

    def settled(self, id: str) -> Any:
        """The message's final state; None while it has none."""
        state = self.ask("GET", f"/api/messages/{id}")[1]
        return state if state["status"] in ("done", "failed") else None

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # it may end by itself, and what started it warm leaves no zombie behind
            os.killpg(self.process.pid, signal.SIGKILL)  # and what it runs under; its tools have groups of their own
        self.process.wait(20)
        self._close()

    def stop(self, seconds: float = 20.0) -> int:
        """Its exit code, also of one that ended by itself in this moment."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self._close()
        return code

    def _close(self) -> None:
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass  # what it had not read is lost with it


# ── the sweep ────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Lane:
    """One session's work list. `taken` are the ids of what was acknowledged, in the order it was posted."""

    session: str
    work: list[str]
    taken: list[str] = field(default_factory=list)
    again: int = 0  # posts of a message that was acknowledged before, or may have been taken without a word


@dataclass(slots=True)
class Sweep:
    """Kills the runtime `kills` times while it works off its lanes, then lets it finish."""

    site: Site
    seed: int
    kills: int
    lanes: list[Lane]
    per_life: int = 2
    typed: int = 0  # lines that were typed at its standard input
    starts: list[float] = field(default_factory=list)  # seconds from each start to being ready

    def run(self) -> None:
        chance = random.Random(self.seed)
        for _ in range(self.kills):
            with Life(self.site, input=subprocess.PIPE) as life:
                self._one_life(life, chance)
        with Life(self.site, input=subprocess.PIPE) as life:
            self.starts.append(life.ready())
            self._feed(life, chance, rest=True)
            for lane in self.lanes:
                until(lambda id=lane.taken[-1]: life.settled(id), f"the end of {lane.session}", 60)
            until(lambda: self._all_delivered(), "the delivery of every reply", 60)
            assert life.stop() == 0

    def _one_life(self, life: Life, chance: random.Random) -> None:
        if chance.random() < 0.15:  # while it starts
            time.sleep(chance.uniform(0.05, 0.7))
        else:
            self.starts.append(life.ready())
            self._type(life)
            moment = time.monotonic() + chance.uniform(0.02, 0.7)
            threads = self._feed(life, chance)
            time.sleep(max(0.0, moment - time.monotonic()))
            life.kill()
            for thread in threads:
                thread.join()
        if life.process.poll() is None:
            life.kill()

    def _feed(self, life: Life, chance: random.Random, *, rest: bool = False) -> list[threading.Thread]:
        threads = []
        for lane in self.lanes:
            count = len(lane.work) if rest else self.per_life
            stop = None if rest or chance.random() < 0.8 else chance.uniform(0.0, 0.3)
            twice = chance.random() < 0.3
            thread = threading.Thread(target=self._feed_lane, args=(life, lane, count, twice, stop))
            thread.start()
            threads.append(thread)
        if rest:
            for thread in threads:
                thread.join()
        return threads

    def _feed_lane(self, life: Life, lane: Lane, count: int, twice: bool, stop: float | None) -> None:
        try:
            if twice and lane.taken:
                at = len(lane.taken) - 1
                lane.again += 1
                assert life.post(lane.work[at], lane.session, lane.work[at]) in (lane.taken[at], "")
            for text in lane.work[len(lane.taken) :][:count]:
                lane.taken.append(life.post(text, lane.session, text))
            if stop is not None:
                time.sleep(stop)
                life.ask("POST", f"/api/sessions/agent:main:repl:local:{lane.session}/stop", {})
        except Gone:
            lane.again += 1

    def _type(self, life: Life) -> None:
        """Lines at its standard input: the only replies here that go through a channel's delivery."""
        assert life.process.stdin is not None
        for _ in range(self.per_life):
            self.typed += 1
            try:
                life.process.stdin.write(f"{KINDS[self.typed % 2]} typed-{self.typed}\n".encode())
                life.process.stdin.flush()
            except BrokenPipeError:
                return

    def _all_delivered(self) -> bool:
        from crash.oracle import rows

        unsettled = rows(self.site.state, "SELECT 1 FROM inbox WHERE settled IS NULL")
        return not unsettled and not rows(self.site.state, "SELECT 1 FROM outbox WHERE state = 'due'")


def sweep(site: Site, *, seed: int, kills: int, sessions: int = 4) -> Sweep:
    chance = random.Random(seed)
    per_life = 2
    lanes = []
    for number in range(sessions):
        work = [f"{chance.choice(KINDS)} s{number}-{at}" for at in range((kills + 1) * per_life)]
        lanes.append(Lane(f"s{number}", work))
    return Sweep(site, seed, kills, lanes, per_life)
