"""A whole runtime for tests: a project on disk, the model's double, and programs that speak HTTP to it.

`lived` runs it inside the test's own loop, `Process` as the real command in a process of its own. Its law:
nothing is replaced but the clock, and that only where a test would wait for minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from doubles import warm
from openclaw.app import App
from openclaw.clock import Clock, SystemClock
from openclaw.project import Options

TOKEN = "operator-token-0123456789"
AGENT = """\
name: Main
description: Talks
soul: main.md
default: true
model: smart
tools: [list_files, add]
policy: works
"""
TOOLS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: deny
    rules: [{allow: [list_files, add]}]
"""
SUMS = '''\
import openclaw


@openclaw.tool
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)
'''
MODELS = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: "{key}", capabilities: [thinking, effort, cache_control]}}
"""
CHANNELS = f"channels:\n  http: {{kind: http, port: 0, token: {TOKEN}}}\n"


def project(root: Path, url: str, *, key: str = "test-key", files: Mapping[str, str] | None = None) -> Path:
    """A small valid project whose model is the server at `url`; `files` add to it, or replace parts."""
    standard = {
        "agents/main.yaml": AGENT,
        "agents/main.md": "You are the first soul.\n",
        "tools.yaml": TOOLS,
        "sums.py": SUMS,
        "models.yaml": MODELS.format(url=url, key=key),
        "channels.yaml": CHANNELS,
    }
    for name, text in {**standard, **(files or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


class Leaping(SystemClock):
    """A clock that can be put ahead; whoever sleeps beyond that wakes up."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0:
            await super().sleep(min(left, 0.05))


class Hasty(SystemClock):
    """A clock on which time runs fifty times as fast, until it is told to walk."""

    def __init__(self) -> None:
        self._pace, self._since, self._then = 50.0, super().monotonic(), 0.0

    def monotonic(self) -> float:
        return self._then + (super().monotonic() - self._since) * self._pace

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self._pace)

    def walk(self) -> None:
        """As fast as any clock from now on."""
        self._then, self._since = self.monotonic(), super().monotonic()
        self._pace = 1.0


class Program:
    """A program with a token."""

    def __init__(self, address: str, token: str | None = TOKEN) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self.http = httpx2.AsyncClient(  # nothing here is encrypted, and reading certificates takes a while
            base_url=address, headers=headers, timeout=60, trust_env=False, verify=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def say(self, text: str, **more: Any) -> httpx2.Response:
        return await self.http.post("/api/messages", json={"text": text, **more})

    async def entries(self, session: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get(f"/api/sessions/{session}")).json()["entries"]
        return found


@asynccontextmanager
async def lived(
    root: Path, state: Path, *, clock: Clock | None = None, demo: bool = False, level: str = "info"
) -> AsyncIterator[tuple[App, Program]]:
    """The runtime of a project, from start to end, with its operator's program."""
    app = App(Options(root, state, demo=demo, level=level), clock=clock)
    async with app.opened():
        [address] = await app.addresses()
        running = asyncio.create_task(app.run())
        try:
            async with Program(address) as operator:
                yield app, operator
        finally:
            app.stopping.set()
            await running


async def events(response: httpx2.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as they come."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def until(found: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Polls until `found` gives something; fails naming what never came."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"{what} did not come within {seconds:g} s"
        await asyncio.sleep(0.01)
    return value


def noted(state: Path, channel: str, name: str) -> Any:
    """What a channel has written down, as another process sees it."""
    with closing(sqlite3.connect(f"file:{state / 'runtime.db'}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT document FROM marks WHERE name = ?", (f"channel:{channel}:{name}",)).fetchall()
    return json.loads(rows[0][0]) if rows else None


class Process:
    """`openclaw run` as users start it. `log` is what it says on standard error."""

    def __init__(self, root: Path, state: Path, *options: str, **environment: str) -> None:
        self._log = root.with_name(f"{root.name}.log")
        command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", str(state), "run", *options]
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}
        with self._log.open("wb") as log:
            self.process: subprocess.Popen[bytes] = warm.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**plain, **environment}, cwd=root.parent
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
                raise
        if kind is None:
            assert "something did not end when it was asked to" not in self.log, self.log

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    async def address(self) -> str:
        """Where it serves HTTP, once it does."""

        def told() -> str | None:
            assert self.process.poll() is None, self.log
            found = [line for line in self.log.splitlines() if line.startswith("HTTP at ")]
            return found[0].split()[2].rstrip(",") if found else None

        where: str = await until(told, "the address", 90)
        return where
