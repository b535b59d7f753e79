"""What a turn of the whole runtime costs beside the SDK's own floor for the same requests.

Prints own CPU (user and system, this process only; the model is another one) per turn in milliseconds, and the ratio:
at most 2, and flat in the length of the history. `floor` is `client.messages.stream(...)` consumed as text. The
runtime's turn is everything: taken in, on disk, asked, told, settled and delivered. From the tests folder:

    python -m bench.turns [--turns 40] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench._house import Crowd, alive, project
from bench._model import served
from openclaw.answering import speak
from openclaw.app import App
from openclaw.clock import SystemClock
from openclaw.messages import AssistantEntry, Entry, Usage, UserEntry
from openclaw.names import fresh
from openclaw.stores.files import Store

LENGTHS = (0, 10, 100, 1000)
PLAIN, TOOL = "hello there", "please use a tool"
Once = Callable[[], Awaitable[object]]


def key(length: int) -> str:
    return f"agent:main:repl:local:long{length}"


async def write_histories(state: Path, setup: str) -> None:
    """Sessions of so many messages, about 0.7 kB each."""
    store = Store(str(state), SystemClock())
    await store.open()
    for length in LENGTHS[1:]:
        await store.journal.append(key(length), history(length, setup))
    await store.close()


def history(length: int, setup: str) -> list[Entry]:
    now, entries = SystemClock().now(), list[Entry]()
    for n in range(length // 2):
        said = ({"type": "text", "text": f"question {n} " * 60},)
        entries.append(UserEntry(fresh(), now, said, f"old{n}"))
        words = ({"type": "text", "text": "so it is " * 80},)
        entries.append(AssistantEntry(fresh(), now, words, "claude-sonnet-5-5", "end_turn", Usage(), setup))
    return entries


async def cpu(once: Once, times: int) -> float:
    for _ in range(2):
        await once()
    gc.collect()
    begun = time.process_time()
    for _ in range(times):
        await once()
    return (time.process_time() - begun) / times * 1000


def floor(client: Any, app: App, messages: list[dict[str, Any]]) -> Once:
    generation = app.supervisor.current
    voice = speak(generation.snapshot.agents["main"], generation)[0]
    mark = {"type": "ephemeral"}
    body = {
        "model": voice.model,
        "max_tokens": 16000,
        "system": [{"type": "text", "text": voice.system, "cache_control": mark}],
        "tools": [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in voice.tools],
        "messages": messages,
        "thinking": {"type": "adaptive", "display": "summarized"},
        "cache_control": mark,
    }

    async def once() -> None:
        async with client.messages.stream(**body) as stream:
            async for _ in stream.text_stream:
                pass
            await stream.get_final_message()

    return once


async def measure(root: Path, state: Path, url: str, times: int) -> None:
    from anthropic import AsyncAnthropic

    async with AsyncAnthropic(base_url=url, api_key="k") as client:
        async with alive(root, state) as (app, crowd):
            generation = app.supervisor.current
            setup = speak(generation.snapshot.agents["main"], generation)[0].setup
        await write_histories(state, setup)
        async with alive(root, state) as (app, crowd):
            for length in LENGTHS:
                await first_turn(crowd, length)
                await compare(client, app, crowd, length, times)
            await compare_tool(client, app, crowd, times)


async def first_turn(crowd: Crowd, length: int) -> None:
    """Right after the start: the session is read from disk."""
    if length:
        begun = time.process_time()
        await crowd.say(PLAIN, f"long{length}")
        spent = (time.process_time() - begun) * 1000
        print(f"{length:5} messages, first turn after a restart   runtime {spent:6.2f}")


async def compare(client: Any, app: App, crowd: Crowd, length: int, times: int) -> None:
    session = f"long{length}"
    await crowd.say(PLAIN, session)
    entries = (await app.sessions.transcript(key(length))).messages("")
    asked = [*(dict(m) for m in entries[: length or 0]), {"role": "user", "content": [{"type": "text", "text": PLAIN}]}]
    lows = [
        (await cpu(floor(client, app, asked), times), await cpu(lambda: crowd.say(PLAIN, session), times))
        for _ in range(3)
    ]
    show(f"{length:5} messages", *(min(figures) for figures in zip(*lows, strict=True)))


async def compare_tool(client: Any, app: App, crowd: Crowd, times: int) -> None:
    ask = [{"role": "user", "content": [{"type": "text", "text": TOOL}]}]
    call = {"type": "tool_use", "id": "toolu_1", "name": "list_files", "input": {"path": "."}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "(empty)"}
    more = [*ask, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    one, two = floor(client, app, ask), floor(client, app, more)

    async def both() -> None:
        await one()
        await two()

    lows = [(await cpu(both, times), await cpu(lambda: crowd.say(TOOL, "tools"), times)) for _ in range(3)]
    show("one tool call ", *(min(figures) for figures in zip(*lows, strict=True)))


def show(what: str, floor: float, own: float) -> None:
    print(f"{what}   floor {floor:6.2f}   runtime {own:6.2f}   ratio {own / floor:4.2f}", flush=True)


async def profiled(root: Path, state: Path, times: int) -> None:
    async with alive(root, state) as (_, crowd):
        for _ in range(5):
            await crowd.say(PLAIN, "p")
        profile = cProfile.Profile()
        profile.enable()
        for _ in range(times):
            await crowd.say(PLAIN, "p")
        profile.disable()
    for order in ("tottime", "cumtime"):
        pstats.Stats(profile).sort_stats(order).print_stats(35)


def main() -> None:
    parser = argparse.ArgumentParser(description="own CPU of a whole turn beside the SDK's floor")
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--profile", action="store_true", help="where the time goes, by cProfile")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served() as url:
        root, state = project(Path(folder, "project"), url), Path(folder, "state")
        if args.profile:
            asyncio.run(profiled(root, state, args.turns))
            return
        print(f"100 deltas, best of 3 times {args.turns} turns, ms of own CPU per turn")
        asyncio.run(measure(root, state, url, args.turns))


if __name__ == "__main__":
    main()
