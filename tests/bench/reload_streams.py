"""A hundred who listen to ten turns over HTTP while the project is edited twenty times and the port changes: who is
dropped, how long an edit takes until it is in force, and what stays open afterwards.

The runtime is a process of its own, so its file descriptors are nobody else's. Soul, policy, limits and tokens take
turns; the port comes last. From save to answer counts as an edit's time: the request that asks for it is made at once.
From the tests folder:

    python -m bench.reload_streams [--streams 100] [--edits 20]
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from doubles.house import TOOLS, Process, Program, events, project, until
from doubles.messages_server import MessagesServer, Reply

TURNS = 10
TOKEN = "operator-token-of-more-than-32-characters"
STREAM = {"Accept": "text/event-stream"}


@dataclass(slots=True)
class Figures:
    outcomes: Counter[str] = field(default_factory=Counter)  # of the edits
    seconds: list[float] = field(default_factory=list)  # from save to answer
    last: Counter[str] = field(default_factory=Counter)  # the event each stream ended with, or what broke it
    early: int = 0  # streams that ended before their turn did
    lines: set[tuple[str, int]] = field(default_factory=set)  # over which one client was answered while it all went on
    refused: list[str] = field(default_factory=list)  # status codes of the old token after its edit
    idle: int = 0  # file descriptors of the runtime before the streams
    open: int = 0  # with them
    edited: int = 0  # after the edits
    ended: int = 0  # when all have ended
    turns: int = 0  # the model was asked for


class Site:
    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port, self.token, self.rate = root, port, "shop-0", 100_000

    def channels(self) -> str:
        tokens = f"tokens: {{shop: {{secret: {self.token}, scopes: [read]}}}}"
        limits = f"limits: {{requests_per_minute: {self.rate}}}"
        return f"channels:\n  http: {{kind: http, port: {self.port}, token: {TOKEN}, {tokens}, {limits}}}\n"

    def edit(self, number: int) -> None:
        match number % 4:
            case 0:
                self._write("agents/main.md", f"You are soul {number}.\n")
            case 1:
                rules = "add" if number % 8 == 1 else "list_files, add"
                self._write("tools.yaml", TOOLS.replace("[list_files, add]", f"[{rules}]"))
            case 2:
                self.rate += 1
                self._write("channels.yaml", self.channels())
            case _:
                self.token = f"shop-{number}"
                self._write("channels.yaml", self.channels())

    def move(self, port: int) -> None:
        self.port = port
        self._write("channels.yaml", self.channels())

    def _write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, "utf-8")


def free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def measure(folder: Path, streams: int = 100, edits: int = 20) -> Figures:
    go_on, figures = threading.Event(), Figures()

    def echo(body: Mapping[str, Any]) -> Reply:
        text = str(body["messages"][-1]["content"][-1].get("text"))
        return Reply({"type": "text", "text": f"You said: {text} "}, until=go_on if "slowly" in text else None)

    with MessagesServer(otherwise=echo) as model:
        root = project(folder / "project", model.url)
        site = Site(root, free())
        site.move(site.port)
        with Process(root, folder / "state") as process:
            async with Program(await process.address(), TOKEN) as operator:
                await _warm(operator)
                figures.idle = _fds(process)
                await _edited(site, operator, process, figures, (streams, edits), go_on)
            await until(lambda: _fds(process) <= figures.idle, "the end of what was opened")
            figures.ended = _fds(process)
        figures.turns = len(model.requests)
        assert model.violations == []
    return figures


async def _warm(operator: Program) -> None:
    """What is opened once is open: the sessions, and the model's connections for as many turns side by side."""
    for _ in range(2):
        answers = [operator.say("hello", sender=f"sender-{number}") for number in range(TURNS + 1)]
        assert all(answer.is_success for answer in await asyncio.gather(*answers))
    assert (await operator.http.post("/api/reload")).json()["outcome"] == "unchanged"


async def _edited(
    site: Site, operator: Program, process: Process, figures: Figures, sizes: tuple[int, int], go_on: threading.Event
) -> None:
    streams, edits = sizes
    headers, limits = {"Authorization": f"Bearer {TOKEN}"}, httpx2.Limits(max_connections=streams + 10)
    base = str(operator.http.base_url)
    async with httpx2.AsyncClient(
        base_url=base, headers=headers, timeout=120, limits=limits, trust_env=False, verify=False
    ) as http:
        ids = [await _begun(http, number) for number in range(TURNS)]
        accepted: list[str] = []
        listening = [
            asyncio.create_task(_listens(http, ids[number % TURNS], accepted, figures)) for number in range(streams)
        ]
        await until(lambda: len(accepted) == streams, "all streams", 60)
        figures.open = _fds(process)
        for number in range(edits):
            await _edit(site, operator, figures, number)
        site.move(free())
        begun = time.monotonic()
        answer = await operator.http.post("/api/reload")
        figures.seconds.append(time.monotonic() - begun)
        figures.outcomes[_outcome(answer)] += 1
        async with Program(f"http://127.0.0.1:{site.port}", TOKEN) as moved:
            assert (await moved.say("hello", sender=f"sender-{TURNS}")).is_success
        figures.early, figures.edited = sum(each.done() for each in listening), _fds(process)
        go_on.set()
        await asyncio.gather(*listening)


async def _begun(http: httpx2.AsyncClient, number: int) -> str:
    """A turn of a sender's own, which lasts until the model may go on."""
    body = {"text": "slowly", "sender": f"sender-{number}"}
    answer = await http.post("/api/messages", json=body, headers={"Prefer": "respond-async"})
    return str(answer.json()["id"])


async def _listens(http: httpx2.AsyncClient, id: str, accepted: list[str], figures: Figures) -> None:
    last = "nothing"
    try:
        async with http.stream("GET", f"/api/messages/{id}/events", headers=STREAM) as response:
            async for name, _ in events(response):
                if name == "accepted":
                    accepted.append(id)
                last = name
    except httpx2.HTTPError as error:
        last = type(error).__name__
    figures.last[last] += 1


async def _edit(site: Site, operator: Program, figures: Figures, number: int) -> None:
    old = site.token
    begun = time.monotonic()
    site.edit(number)
    answer = await operator.http.post("/api/reload")
    figures.seconds.append(time.monotonic() - begun)
    figures.outcomes[_outcome(answer)] += 1
    figures.lines.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    if site.token != old:
        refused = await operator.http.get("/api/agents", headers={"Authorization": f"Bearer {old}"})
        taken = await operator.http.get("/api/agents", headers={"Authorization": f"Bearer {site.token}"})
        figures.refused.append(f"{refused.status_code}/{taken.status_code}")


def _outcome(answer: httpx2.Response) -> str:
    """`unchanged` where the watch saw the edit first."""
    outcome = str(answer.json().get("outcome", answer.status_code))
    return "applied" if outcome == "unchanged" else outcome


def _fds(process: Process) -> int:
    return sum(1 for _ in Path(f"/proc/{process.process.pid}/fd").iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--edits", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), args.streams, args.edits))
    seconds = [each * 1000 for each in found.seconds]
    told = ", ".join(f"{count} {name}" for name, count in found.last.items())
    print(f"{args.streams} streams, {args.edits} edits and another port: {dict(found.outcomes)}")
    print(f"save to answer: median {statistics.median(seconds):.0f} ms, longest {max(seconds):.0f} ms")
    print(f"streams that ended early: {found.early}; last events: {told}")
    print(f"connections of the client that asked for the edits: {len(found.lines)}")
    print(f"old token/new token after each change: {', '.join(found.refused)}")
    print(
        f"file descriptors: {found.idle} idle, {found.open} listening, {found.edited} edited, {found.ended} at the end"
    )


if __name__ == "__main__":
    main()
