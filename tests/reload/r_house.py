"""A house for the acceptance scenarios of reloads: a project, the command that runs it, and who looks from outside.

Its law: what is proved is proved outside of the runtime. The model's double records which `system` it was told, the
kernel says which process holds which connection, and files are changed as people's programs change them. A stream
that is held open around a scene shows that what was under way was neither cut nor changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2

from doubles.house import AGENT, CHANNELS, SUMS, Process, Program, events, project
from doubles.messages_server import MessagesServer, Reply, tool

TOOLS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: deny
    rules:
      - allow: [list_files, add, read_file]
      - {id: never-key, deny: read_file, paths: ["**/*.key"], reason: keys stay where they are}
"""
MAIN = AGENT.replace("add]", "add, read_file]")
SIDE = "name: Side\ndescription: Talks\nmodel: smart\ntools: []\npolicy: works\nprefix: /side\n"
LOOKS = CHANNELS.replace("port: 0", "port: 0, limits: {requests_per_minute: 1000000}")
"""Whoever looks from outside looks often."""
STANDARD = {
    "channels.yaml": LOOKS,
    "agents/main.yaml": MAIN,
    "agents/side.yaml": SIDE,
    "agents/side.md": "You are beside.\n",
    "tools.yaml": TOOLS,
    "sums.py": SUMS,
}
STRICTER = TOOLS.replace("rules:\n", "rules:\n      - {id: no-sums, deny: add, input: {a: {maximum: 9}}}\n")
FIRST = "You are the first soul."
_numbers = itertools.count(1)
Attempt = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of outcomes."""

    r: str
    what: str
    expected: str
    seen: str
    attempts: str
    ms: str


@dataclass(slots=True)
class Table:
    rows: list[Row] = field(default_factory=list)

    def show(
        self, r: str, what: str, expected: str, seen: str, attempts: Sequence[Attempt], ms: Sequence[float]
    ) -> None:
        outcomes = [attempt["outcome"] for attempt in attempts]
        counted = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes)) or "none"
        median = f"{sorted(ms)[len(ms) // 2]:.0f}" if ms else ""
        self.rows.append(Row(r, what, expected, seen, counted, median))

    def __str__(self) -> str:
        head = Row("R", "what", "expected", "seen", "attempts", "ms")
        rows = (head, *sorted(self.rows, key=_number))
        lines = [[row.r, row.what, row.expected, row.seen, row.attempts, row.ms] for row in rows]
        widths = [max(len(line[at]) for line in lines) for at in range(6)]
        return "\n".join(
            "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines
        )


def _number(row: Row) -> int:
    return int(row.r.removeprefix("R"))


def double() -> MessagesServer:
    """A model that says back what it was told last."""

    def last(body: dict[str, Any]) -> Reply:
        block = body["messages"][-1]["content"][-1]
        return Reply({"type": "text", "text": str(block.get("content") or block.get("text"))})

    return MessagesServer(otherwise=last)


class Cold(Process):
    """A process that is a start of Python of its own: what is preloaded into it is loaded."""

    def __init__(self, root: Path, state: Path, *options: str, **environment: str) -> None:
        self._log = root.with_name(f"{root.name}.log")
        command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", str(state), "run", *options]
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**plain, **environment}, cwd=root.parent
            )


class House:
    """A running project. `files` are what it begins with, and what `tidy` gives it back."""

    def __init__(
        self,
        base: Path,
        model: MessagesServer,
        *,
        files: Mapping[str, str] | None = None,
        root: str = "project",
        start: type[Process] = Process,
        **environment: str,
    ) -> None:
        self.model, self.state = model, base / "state"
        self.root = project(base / root, model.url, files={**STANDARD, **(files or {})})
        self.given = {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        self._start, self._environment = start, environment
        self.tidied = True

    def __enter__(self) -> Self:
        self.process = self._start(self.root, self.state, **self._environment)
        return self

    def __exit__(self, *error: Any) -> None:
        self.process.__exit__(None, None, None)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "openclaw", "-C", str(self.root), "--state", str(self.state)]

    @property
    def plain(self) -> dict[str, str]:
        """The environment without what would change a runtime."""
        return {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}

    def again(self, *options: str) -> None:
        """Stops it and starts it anew on what is on disk by then."""
        self.__exit__()
        self.process = self._start(self.root, self.state, *options, **self._environment)

    @property
    def pid(self) -> int:
        return self.process.process.pid

    def tidy(self) -> None:
        """Every file as it was in the beginning, and no other; a folder is never without what it had."""
        for path, content in self.given.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or not path.is_file() or path.read_bytes() != content:
                path.unlink(missing_ok=True)
                path.write_bytes(content)
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path not in self.given and (path.is_file() or path.is_symlink()):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    # ── what the kernel knows ────────────────────────────────────────────────────────────────────

    def connections(self) -> dict[tuple[int, int], str]:
        """The open TCP connections of the process: (own port, other port) -> the socket's inode."""
        own = set(filter(None, map(_inode, Path(f"/proc/{self.pid}/fd").iterdir())))
        lines = [line.split() for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]]
        return {(_port(at[1]), _port(at[2])): at[9] for at in lines if at[3] == "01" and at[9] in own}

    def watches(self) -> int:
        """How many places inotify watches for the process."""
        found = Path(f"/proc/{self.pid}/fdinfo").iterdir()
        return sum(path.read_text().count("inotify wd:") for path in found)

    def figures(self) -> dict[str, int]:
        return figures(self.pid)


def figures(pid: int) -> dict[str, int]:
    """Resident kB, descriptors, threads and sockets of a process. The transcripts of the sessions that talked last are
    kept open, a bounded number; these do not count."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    names = [name for name in Path(f"/proc/{pid}/fd").iterdir() if "/sessions/" not in os.path.realpath(name)]
    sockets = sum(_inode(name) is not None for name in names)
    return {
        "kB": int(status["VmRSS"].split()[0]),
        "fds": len(names),
        "threads": int(status["Threads"]),
        "sockets": sockets,
    }


def _inode(descriptor: Path) -> str | None:
    with contextlib.suppress(OSError):
        found = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
        return found[1] if found else None
    return None


def _port(place: str) -> int:
    return int(place.split(":")[1], 16)


@dataclass(slots=True)
class Scene:
    """One scenario in a house: an operator's program, and the attempts since it began."""

    house: House
    operator: Program
    begun: int
    ms: list[float] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.house.root

    @property
    def model(self) -> MessagesServer:
        return self.house.model

    async def attempts(self) -> list[Attempt]:
        """Those since the scene began."""
        found: list[Attempt] = (await self.operator.http.get("/api/reload")).json()["attempts"]
        return [attempt for attempt in found if attempt["number"] > self.begun]

    async def outcomes(self) -> list[str]:
        """Those of attempts that were any: a look may come late for what somebody asked for before."""
        return [attempt["outcome"] for attempt in await self.attempts() if attempt["outcome"] != "unchanged"]

    async def until(self, there: Callable[[list[Attempt]], Any], what: str) -> list[Attempt]:
        end = time.monotonic() + 60
        while not there(found := await self.attempts()):
            assert time.monotonic() < end, f"{what} did not come; attempts: {found}"
            await asyncio.sleep(0.01)
        return found

    async def after(self, edit: Callable[[], object], outcome: str = "applied") -> Attempt:
        """The attempt to this outcome that an edit leads to; how long it took is noted."""
        known = max([self.begun, *(attempt["number"] for attempt in await self.attempts())])
        edit()
        saved = time.monotonic()
        found = await self.until(
            lambda all: [a for a in all if a["number"] > known and a["outcome"] == outcome], f"an attempt `{outcome}`"
        )
        self.ms.append((time.monotonic() - saved) * 1000)
        return next(a for a in found if a["number"] > known and a["outcome"] == outcome)

    async def settled(self, seconds: float = 0.6) -> list[Attempt]:
        """The attempts, once none came for a moment that is longer than any quiet."""
        found = await self.attempts()
        while True:
            await asyncio.sleep(seconds)
            if (now := await self.attempts()) == found:
                return found
            found = now

    async def post(self) -> httpx2.Response:
        return await self.operator.http.post("/api/reload")

    async def say(self, text: str, sender: str = "ben") -> dict[str, Any]:
        answer = await self.operator.say(text, sender=sender)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def told(self, sender: str = "ben", prefix: str = "") -> str:
        """The soul that the model is told at the next message: read from what the model's double recorded."""
        word = f"who-{next(_numbers)}"
        assert (await self.say(f"{prefix} {word}".strip(), sender))["reply"] == word
        return soul_of(self.asked(word)[-1])

    def asked(self, word: str) -> list[dict[str, Any]]:
        """The requests whose last message of a person has this word."""
        return [request.body for request in self.model.requests if word in last_words(request.body)]

    async def called(self, name: str, sender: str = "ben", **input: Any) -> tuple[bool, str]:
        """Whether a tool that the model calls is refused, and what the model is told of it."""
        word = f"call-{next(_numbers)}"
        self.model.say(Reply(tool(name, **input)))
        await self.say(word, sender)
        return result(self.asked(word)[-1])

    def streamed(self, text: str, sender: str) -> Any:
        body, headers = {"text": text, "sender": sender}, {"Accept": "text/event-stream"}
        return self.operator.http.stream("POST", "/api/messages", json=body, headers=headers)

    @asynccontextmanager
    async def slow(self, *answer: dict[str, Any]) -> AsyncIterator[Slow]:
        """A turn that is under way until it is told to go on; its stream must not break before its reply."""
        go_on, word = threading.Event(), f"slow-{next(_numbers)}"
        words = {"type": "text", "text": "slow and steady, and " * 3}
        self.model.say(Reply(words, *answer, until=go_on))
        async with self.streamed(word, f"holder-{word}") as response:
            told = events(response)
            while (await anext(told))[0] != "text":
                pass
            stream = response.extensions["network_stream"]
            mine = stream.get_extra_info("client_addr")[1], stream.get_extra_info("server_addr")[1]
            slow = Slow(self, word, go_on, told, mine)
            try:
                yield slow
                await slow.end()
            finally:
                go_on.set()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Around a scene: the same process, the same connection, and a turn that ends under what it began with."""
        pid, before = self.house.pid, (await self.operator.http.get("/api/status")).json()["pid"]
        async with self.slow() as slow:
            [one] = [inode for ports, inode in self.house.connections().items() if ports == slow.ports[::-1]]
            yield
            assert self.house.connections().get(slow.ports[::-1]) == one
        assert self.house.process.process.poll() is None, self.house.process.log
        assert (await self.operator.http.get("/api/status")).json()["pid"] == before == pid


@dataclass(slots=True)
class Slow:
    scene: Scene
    word: str
    go_on: threading.Event
    events: AsyncIterator[tuple[str, dict[str, Any]]]
    ports: tuple[int, int]
    rest: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [request.body for request in self.scene.model.requests if self.word in words_of_all(request.body)]

    async def end(self) -> None:
        """Lets it go on, and hears its reply. All its requests were told the same soul and the same tools."""
        if self.rest:
            return
        self.go_on.set()
        self.rest = {name: content async for name, content in self.events}
        assert "reply" in self.rest, self.rest
        first, *others = self.requests
        assert all((each["system"], each["tools"]) == (first["system"], first["tools"]) for each in others)


# ── what the model was told ──────────────────────────────────────────────────────────────────────


def soul_of(body: Mapping[str, Any]) -> str:
    return str(body["system"][0]["text"]).splitlines()[0]


def words_of_all(body: Mapping[str, Any]) -> str:
    return "\n".join(_words(message) for message in body["messages"] if message["role"] == "user")


def last_words(body: Mapping[str, Any]) -> str:
    said = [_words(message) for message in body["messages"] if message["role"] == "user"]
    return next((words for words in reversed(said) if words), "")


def _words(message: Mapping[str, Any]) -> str:
    return "\n".join(block["text"] for block in message["content"] if block["type"] == "text")


def result(body: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the last result is an error, and its words."""
    [*_, block] = [block for block in body["messages"][-1]["content"] if block["type"] == "tool_result"]
    content = block["content"]
    return bool(block.get("is_error")), content if isinstance(content, str) else str(content)


# ── scenes ───────────────────────────────────────────────────────────────────────────────────────


def soul(number: str) -> str:
    return f"You are the {number} soul."


def play(
    table: Table,
    house: House,
    r: str,
    what: str,
    expected: str,
    scene: Callable[[Scene], Awaitable[str]],
    *,
    held: bool = True,
) -> None:
    """One scene; what it gives is what was seen."""

    async def whole() -> None:
        async with Program(await house.process.address()) as operator:
            if house.tidied:
                house.tidy()
            answer = await operator.http.post("/api/reload")
            assert answer.status_code == 200, answer.text
            on = Scene(house, operator, answer.json()["number"])
            if held:
                async with on.held():
                    seen = await scene(on)
            else:
                seen = await scene(on)
            table.show(r, what, expected, seen, await on.attempts(), on.ms)

    asyncio.run(asyncio.wait_for(whole(), 170))
    assert house.model.violations == []


def untouched(house: House) -> None:
    """Its files are not as a house's files are, and stay as they are."""
    house.tidied = False
