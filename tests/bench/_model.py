"""A model's server for measuring: canned bytes from a process of its own, so that its work is not counted as ours.

It judges nothing (the strict double does). A request that ends in `use a tool` is answered with a call of list_files,
one that ends in `use a command` with a call of run_command, all else with text. By hand:

    python -m bench._model [--deltas 100] [--delay 0.2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
USAGE = {"input_tokens": 10, "output_tokens": 5}


def event(name: str, **content: Any) -> bytes:
    raw = f"event: {name}\ndata: {json.dumps({'type': name, **content})}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(raw), raw)


def answer(block: dict[str, Any], deltas: list[dict[str, Any]], stop: str) -> list[bytes]:
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": []}
    start = event("message_start", message={**message, "stop_reason": None, "usage": USAGE})
    pieces = [event("content_block_delta", index=0, delta=delta) for delta in deltas]
    end = event("content_block_stop", index=0)
    end += event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=USAGE)
    end += event("message_stop")
    return [start + event("content_block_start", index=0, content_block=block), *pieces, end + b"0\r\n\r\n"]


async def serve(deltas: int, delay: float) -> None:
    words = answer({"type": "text", "text": ""}, [{"type": "text_delta", "text": "twelve chars"}] * deltas, "end_turn")
    call = {"type": "tool_use", "id": "toolu_1", "name": "list_files", "input": {}}
    tool = answer(call, [{"type": "input_json_delta", "partial_json": '{"path": "."}'}], "tool_use")
    call = {"type": "tool_use", "id": "toolu_2", "name": "run_command", "input": {}}
    echo = answer(call, [{"type": "input_json_delta", "partial_json": '{"command": "echo hi"}'}], "tool_use")
    calls = {b"use a tool": tool, b"use a command": echo}

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                await asyncio.sleep(delay)
                writer.write(HEAD)
                end = b"" if b"tool_result" in body[-600:] else body[-600:]
                for piece in next((calls[asked] for asked in calls if asked in end), words):
                    writer.write(piece)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=1 << 22, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the other process ends


@contextmanager
def served(*, deltas: int = 100, delay: float = 0.0) -> Iterator[str]:
    """The address of such a server."""
    command = [sys.executable, "-m", "bench._model", "--deltas", str(deltas), "--delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        limit = threading.Timer(600, server.kill)
        limit.start()
        try:
            assert server.stdout is not None and server.stdin is not None
            yield server.stdout.readline().strip()
            server.stdin.close()
        finally:
            limit.cancel()
            server.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a canned model")
    parser.add_argument("--deltas", type=int, default=100)
    parser.add_argument("--delay", type=float, default=0.0)
    given = parser.parse_args()
    asyncio.run(serve(given.deltas, given.delay))
