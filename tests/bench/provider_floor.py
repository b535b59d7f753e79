"""What a streamed turn costs us beside what the SDK's own helper costs, for the same request.

Prints own CPU (user and system, this process only) per turn in milliseconds and the ratio; the double of
the service runs in a process of its own. The budget is a ratio of 2 at most. From the tests folder:

    python -m bench.provider_floor [--turns 40] [--pace 0.001]

`floor` is `client.messages.stream(...)` consumed as text; `raw` is `create(stream=True)`, typed events.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from doubles.messages_server import MessagesServer, Reply
from openclaw.clock import SystemClock
from openclaw.messages import ToolSpec
from openclaw.ports import Completed, Request
from openclaw.providers.anthropic import Provider

MODEL = "claude-sonnet-5-5"
DELTAS = 100
SCHEMA = {"type": "object", "properties": {"path": {"type": "string", "description": "where"}}, "required": ["path"]}
TOOLS = tuple(ToolSpec(f"tool_{n}", "Does one thing and does it well", SCHEMA, "files") for n in range(12))
SYSTEM = "You are a careful assistant. " * 40

Turn = Callable[[], Awaitable[int]]


def history(turns: int) -> list[dict[str, Any]]:
    """Plain turns and tool loops, about 0.7 kB a message."""
    messages: list[dict[str, Any]] = []
    for n in range(turns // 4):
        call = {"type": "tool_use", "id": f"t{n}", "name": "tool_1", "input": {"path": "notes/" * 20}}
        result = {"type": "tool_result", "tool_use_id": f"t{n}", "content": "line of a file\n" * 60}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": f"question {n} " * 40}]},
            {"role": "assistant", "content": [{"type": "text", "text": "let me look " * 20}, call]},
            {"role": "user", "content": [result]},
            {"role": "assistant", "content": [{"type": "text", "text": "so it is " * 60}]},
        ]
    return [*messages, {"role": "user", "content": [{"type": "text", "text": "and now?"}]}]


async def cpu(turn: Turn, turns: int) -> float:
    """Milliseconds of own CPU for one turn, after two to warm up."""
    for _ in range(2):
        assert await turn() == DELTAS
    gc.collect()
    begun = time.process_time()
    for _ in range(turns):
        await turn()
    return (time.process_time() - begun) / turns * 1000


def ours(provider: Provider, messages: list[dict[str, Any]]) -> Turn:
    async def turn() -> int:
        request = Request(MODEL, SYSTEM, TOOLS, messages, 1000)
        count = 0
        async for event in provider.stream(request):
            count += not isinstance(event, Completed)
        return count

    return turn


def body(messages: list[dict[str, Any]]) -> dict[str, Any]:
    tools = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in TOOLS]
    return {"model": MODEL, "system": SYSTEM, "tools": tools, "messages": messages, "max_tokens": 1000}


def helper(client: Any, messages: list[dict[str, Any]]) -> Turn:
    async def turn() -> int:
        count = 0
        async with client.messages.stream(**body(messages)) as stream:
            async for _ in stream.text_stream:
                count += 1
            await stream.get_final_message()
        return count

    return turn


def typed(client: Any, messages: list[dict[str, Any]]) -> Turn:
    async def turn() -> int:
        count = 0
        async for event in await client.messages.create(**body(messages), stream=True):
            count += event.type == "content_block_delta"
        return count

    return turn


async def compare(url: str, turns: int) -> None:
    from anthropic import AsyncAnthropic

    provider = Provider({"base_url": url, "api_key": "k"}, SystemClock())
    await provider.open()
    async with AsyncAnthropic(base_url=url, api_key="k") as client:
        print(f"{DELTAS} deltas, {turns} turns, ms of own CPU per turn")
        for length in (0, 40, 400):
            messages = history(length)
            rounds = [
                (
                    await cpu(helper(client, messages), turns),
                    await cpu(typed(client, messages), turns),
                    await cpu(ours(provider, messages), turns),
                )
                for _ in range(3)
            ]
            floor, raw, own = (min(figures) for figures in zip(*rounds, strict=True))
            figures = f"floor {floor:6.2f}   raw {raw:6.2f}   ours {own:6.2f}   ours/floor {own / floor:4.2f}"
            print(f"{len(messages):4} messages   {figures}", flush=True)
    await provider.close()


def serve(pace: float) -> None:
    words = {"type": "text", "text": "twelve chars" * DELTAS}
    with MessagesServer(otherwise=Reply(words, piece=12, pace=pace)) as server:
        print(server.url, flush=True)
        sys.stdin.read()  # until the other process ends
    for violation in server.violations[:3]:
        print(violation, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="own CPU of a streamed turn beside the SDK's floor")
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between deltas")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.pace)
        return
    command = [sys.executable, "-m", "bench.provider_floor", "--serve", "--pace", str(args.pace)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        limit = threading.Timer(600, server.kill)
        limit.start()
        assert server.stdout is not None
        asyncio.run(compare(server.stdout.readline().strip(), args.turns))
        limit.cancel()
        assert server.stdin is not None
        server.stdin.close()


if __name__ == "__main__":
    main()
