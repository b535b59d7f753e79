"""A runtime to measure, without a client's work in its process: a channel in memory that says and hears."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from doubles import house
from openclaw.app import App
from openclaw.clock import SystemClock
from openclaw.messages import Accepted, Address, Message, Reply, Text
from openclaw.ports import Operations, Post
from openclaw.project import Options


class Crowd:
    """A channel whose senders are told nothing but their replies."""

    def __init__(self) -> None:
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._numbers = itertools.count()
        self.open_ = asyncio.Event()

    async def open(self) -> None:
        pass

    async def run(self, post: Post, operations: Operations) -> None:
        self._post, self.operations = post, operations
        self.open_.set()
        await asyncio.Event().wait()

    async def send(self, reply: Reply) -> None:
        assert reply.answers is not None
        self._replies.pop(reply.answers).set_result(reply)

    async def close(self) -> None:
        pass

    async def say(self, text: str, session: str) -> Reply:
        """One message of `session`, and its whole reply. Ids are of this run."""
        clock = SystemClock()
        id = f"{clock.now().timestamp()}-{next(self._numbers)}"
        message = Message(id, Address("repl", "local"), (Text(text),), clock.now(), session=session)
        accepted = await self._post(message)
        assert isinstance(accepted, Accepted), accepted
        future = self._replies[accepted.id] = asyncio.get_running_loop().create_future()
        reply = await future
        assert not reply.failed, reply.text
        return reply


def project(root: Path, url: str) -> Path:
    return house.project(root, url, files={"channels.yaml": "channels:\n  repl: {kind: repl}\n"})


@asynccontextmanager
async def alive(root: Path, state: Path) -> AsyncIterator[tuple[App, Crowd]]:
    crowd = Crowd()
    app = App(Options(root, state), channels={"repl": crowd})
    async with app.opened():
        running = asyncio.create_task(app.run())
        await crowd.open_.wait()
        yield app, crowd
        app.stopping.set()
        await running


def resident() -> float:
    """MB of this process."""
    return of(Path("/proc/self/status"))


def of(status: Path) -> float:
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
