"""Many sessions at once: turns per second of one process, and its memory before and after.

Each line is a process of its own: 200 sessions of 5 turns, side by side, at 0 and 200 ms before the model's first byte.
`cpu-bound` is what one core could do at most: 1 over the own CPU of a turn. The model and the runtime share the
machine. Targets: 100 turns a second, 130 MB when idle. From the tests folder:

    python -m bench.sessions [--sessions 200] [--turns 5] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench._house import Crowd, alive, project, resident
from bench._model import served

DELTAS = 20


async def measure(root: Path, state: Path, sessions: int, turns: int, profile: cProfile.Profile | None) -> None:
    async with alive(root, state) as (_, crowd):
        await crowd.say("hello", "first")  # the SDK is there, and a connection
        gc.collect()
        idle, cpu, begun = resident(), time.process_time(), time.monotonic()
        if profile:
            profile.enable()
        async with asyncio.TaskGroup() as group:
            for number in range(sessions):
                group.create_task(one(crowd, f"s{number}", turns))
        if profile:
            profile.disable()
        spent, took, count = time.process_time() - cpu, time.monotonic() - begun, sessions * turns
        print(
            f"{count / took:6.0f} turns/s   own CPU {spent / count * 1000:5.2f} ms a turn   "
            f"cpu-bound {count / spent:5.0f} turns/s   resident {idle:4.0f} -> {resident():4.0f} MB",
            flush=True,
        )


async def one(crowd: Crowd, session: str, turns: int) -> None:
    for number in range(turns):
        await crowd.say(f"question {number}", session)


def child(args: argparse.Namespace) -> None:
    profile = cProfile.Profile() if args.profile else None
    with tempfile.TemporaryDirectory() as folder:
        root = project(Path(folder, "project"), args.url)
        asyncio.run(measure(root, Path(folder, "state"), args.sessions, args.turns, profile))
    if profile:
        for order in ("tottime", "cumtime"):
            pstats.Stats(profile).sort_stats(order).print_stats(40)


def main() -> None:
    parser = argparse.ArgumentParser(description="turns per second of many sessions, and memory")
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.url:
        child(args)
        return
    print(f"{args.sessions} sessions x {args.turns} turns, {DELTAS} deltas an answer")
    for delay in (0.0, 0.2):
        with served(deltas=DELTAS, delay=delay) as url:
            print(f"model's delay {delay * 1000:3.0f} ms   ", end="", flush=True)
            command = [sys.executable, "-m", "bench.sessions", *sys.argv[1:], "--url", url]
            subprocess.run(command, check=True, timeout=300)


if __name__ == "__main__":
    main()
