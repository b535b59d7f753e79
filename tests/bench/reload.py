"""From a saved file to a running assistant: how long, and of it the part after quiet; what it costs the streams beside.

`floor` is, in the same run, reading the same files and parsing their YAML with PyYAML's loader in C; the figures that
count are the ratios to it. Targets for the part after quiet on a quiet machine, 95 of 100 edits: 20 ms with 1 agent,
100 ms with 50, 800 ms with 500. Stalls are how much later than asked the event loop woke, with streams running and
nothing edited, and then with one edit after the other. From the tests folder:

    python -m bench.reload [--agents 1 50 500] [--edits 200] [--streams 20]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from bench._house import Crowd, alive, project
from bench._model import served
from doubles.house import CHANNELS, lived
from openclaw.app import App

TARGETS = {1: 20, 50: 100, 500: 800}  # ms
POLL = 0.001  # seconds between looks at what is in force
AGENT = """\
name: Number {n}
description: Looks after matter number {n}, edit {edit}
prefix: /a{n}
model: smart
tools: [list_files, add]
policy: works
limits: {{iterations: 12}}
"""
_edits = itertools.count(1)
Figures = list[float]


def peopled(root: Path, url: str, agents: int) -> Path:
    """A project of so many agents, each with a soul."""
    project(root, url)
    for n in range(1, agents):
        (root / f"agents/a{n}.yaml").write_text(AGENT.format(n=n, edit=0))
        (root / f"agents/a{n}.md").write_text(f"You are number {n}.\n" * 20)
    return root


def edit(root: Path, agents: int, chance: random.Random) -> None:
    """One file: three times of four a soul, else a manifest."""
    n, number = chance.randrange(agents), next(_edits)
    if n == 0:
        (root / "agents/main.md").write_text(f"You are edit {number}.\n")
    elif number % 4:
        (root / f"agents/a{n}.md").write_text(f"You are number {n}, edit {number}.\n" * 20)
    else:
        (root / f"agents/a{n}.yaml").write_text(AGENT.format(n=n, edit=number))


def floor(root: Path, times: int = 5) -> float:
    """Milliseconds to read every file and to parse what is YAML, the best of some."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        for path in root.rglob("*"):
            if path.suffix in (".yaml", ".md", ".py"):
                content = path.read_bytes()
                if path.suffix == ".yaml":
                    yaml.load(content, yaml.CSafeLoader)
        taken.append(time.perf_counter() - begun)
    return min(taken) * 1000


async def live(app: App, act: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds from now until another snapshot is in force; then waits for the end of what was begun."""
    before, begun = app.supervisor.current, time.perf_counter()
    acting = asyncio.ensure_future(act())
    while app.supervisor.current is before:
        assert time.perf_counter() - begun < 60, "the edit was never live"
        await asyncio.sleep(POLL)
    taken = time.perf_counter() - begun
    await acting
    return taken * 1000


async def after_quiet(root: Path, state: Path, agents: int, edits: int) -> Figures:
    """What the watch calls once all is quiet, called at once."""
    chance = random.Random(agents)
    async with alive(root, state) as (app, _):
        figures = []
        for number in range(edits + 2):
            edit(root, agents, chance)
            taken = await live(app, app.reload.look)
            if number >= 2:
                figures.append(taken)
    return figures


async def from_save(root: Path, state: Path, agents: int, edits: int) -> Figures:
    """The whole, as a person has it who saves in an editor."""
    chance = random.Random(agents)
    (root / "channels.yaml").write_text(CHANNELS)
    figures = []
    async with lived(root, state) as (app, _):
        await asyncio.sleep(0.5)
        for number in range(edits + 2):
            known = _last(app)
            taken = await live(app, lambda: asyncio.to_thread(edit, root, agents, chance))
            if number >= 2:
                figures.append(taken)
            while _last(app) == known:  # noqa: ASYNC110 - an attempt ends a moment after it is in force
                await asyncio.sleep(POLL)
            await asyncio.sleep(chance.uniform(0, 0.05))
    return figures


def _last(app: App) -> int:
    return app.reload.attempts[-1].number if app.reload.attempts else 0


# ── what it costs beside ─────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def streaming(crowd: Crowd, streams: int) -> AsyncIterator[list[int]]:
    """So many conversations that never pause; what is given counts the answers."""
    answered = [0]

    async def talk(number: int) -> None:
        while True:
            await crowd.say("hello there", f"s{number}-{answered[0] // 200}")
            answered[0] += 1

    people = [asyncio.create_task(talk(number)) for number in range(streams)]
    try:
        yield answered
    finally:
        for person in people:
            person.cancel()
        await asyncio.gather(*people, return_exceptions=True)


@asynccontextmanager
async def lateness() -> AsyncIterator[Figures]:
    """How many milliseconds later than asked the loop woke, each time."""
    late: Figures = []

    async def watch() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(POLL)
            late.append(max(0.0, (time.perf_counter() - begun - POLL) * 1000))

    watching = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def stalls(root: Path, state: Path, agents: int, edits: int, streams: int) -> None:
    chance = random.Random(agents)
    async with alive(root, state) as (app, crowd), streaming(crowd, streams) as answered:
        await asyncio.sleep(1)
        begun, before = time.monotonic(), answered[0]
        async with lateness() as quiet:
            await asyncio.sleep(3)
        calm = (answered[0] - before) / (time.monotonic() - begun)
        begun, before = time.monotonic(), answered[0]
        async with lateness() as busy:
            for _ in range(edits):
                edit(root, agents, chance)
                await app.reload.look()
                await asyncio.sleep(0.1)
        stirred = (answered[0] - before) / (time.monotonic() - begun)
        print(
            f"{agents:4} agents, {streams} streams   late p99 {part(quiet, 0.99):5.1f} max {max(quiet):6.1f} ms; "
            f"with {edits} edits p99 {part(busy, 0.99):5.1f} max {max(busy):6.1f} ms   "
            f"turns a second {calm:.0f} and {stirred:.0f}",
            flush=True,
        )


# ── the figures ──────────────────────────────────────────────────────────────────────────────────


def part(figures: Sequence[float], share: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(what: str, agents: int, figures: Figures, least: float) -> None:
    middle, most = statistics.median(figures), part(figures, 0.95)
    target = TARGETS.get(agents) if what == "after quiet" else None
    told = f"   target {target} ms: {'met' if most < target else 'missed'}" if target else ""
    print(
        f"{agents:4} agents, {what:12} p50 {middle:7.1f}  p95 {most:7.1f} ms   floor {least:6.1f} ms, "
        f"ratio {middle / least:5.1f} and {most / least:5.1f}{told}",
        flush=True,
    )


async def measure(folder: Path, url: str, sizes: Sequence[int], edits: int, streams: int) -> None:
    for agents in sizes:
        root, state = peopled(folder / f"p{agents}", url, agents), folder / f"s{agents}"
        least = floor(root)
        show("after quiet", agents, await after_quiet(root, state, agents, edits), least)
        if streams:
            await stalls(root, state, agents, max(5, edits // 10), streams)
        show("save to live", agents, await from_save(root, state, agents, edits), least)


def main() -> None:
    parser = argparse.ArgumentParser(description="from a saved file to a running assistant")
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--streams", type=int, default=20, help="0 leaves the stalls out")
    args = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder, served(delay=0.2) as url:
        asyncio.run(measure(Path(folder), url, args.agents, args.edits, args.streams))


if __name__ == "__main__":
    main()
