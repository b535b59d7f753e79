"""A strict double of the Messages API: a real server on a real socket, in a thread of its own.

    with MessagesServer() as server:
        server.say(text("hello"), Reply(thinking("hm"), tool("list_files", path=".")), HttpError(529))
        ... a client against server.url ...
        assert server.violations == []

What is said is answered in order, one piece for each request that breaks no rule (messages_rules.py); a
request that breaks one gets the service's 4xx and is noted in `violations`. `requests` holds every
request's `headers` and `body`. With nothing left to say it answers `otherwise`: a Reply, or a function
of the body that makes one; without it, a 500 and a violation.

A Reply is whole content blocks, sent as the service streams them: message_start, a ping, each block in
deltas of `piece` characters, message_delta, message_stop. The stop reason follows from the content
unless given. Thinking blocks are signed here, bound to the exact request. `delay` waits before the first
byte, `pace` between deltas (seconds). A `fault` strikes after `after` deltas of the whole reply:

    cut      the connection is closed without an end (RemoteProtocolError at the client)
    ended    the response ends properly, but no message_stop was sent
    reset    the connection is reset
    stall    nothing more comes, the connection stays open
    garbage  an event that is not JSON, then nothing
    endless  the same delta again and again until the client leaves
    error    an SSE error event; `error` is its type, for example overloaded_error

`summed(words)` answers a request that asks the service for a summary: the signed block alone.

`max_tokens` in the middle of a tool call is `Reply(tool(...), stop_reason="max_tokens", after=2,
fault="short")`: the last block's deltas stop there, all else ends properly. `hangs` never closes a finished
answer, and `until` keeps the end of the first block back until that event is set. Thread-safe for the test
that scripts it. By hand, from the tests folder:

    python -m doubles.messages_server --port 8765 [--script replies.json]

where the script is a JSON list of strings, content lists, or objects with the fields of Reply.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from doubles.listening import listening
from doubles.messages_rules import broken_rule, fingerprint, seal, sign

Fault = Literal["cut", "ended", "reset", "stall", "garbage", "endless", "error", "short"]
Block = dict[str, Any]


class Reply:
    """One answer of the model; see the module's docstring."""

    def __init__(
        self,
        *content: Block,
        stop_reason: str | None = "",
        usage: Mapping[str, Any] | None = None,
        fault: Fault | None = None,
        after: int = 0,
        error: str = "overloaded_error",
        delay: float = 0.0,
        pace: float = 0.0,
        piece: int = 8,
        hangs: bool = False,
        details: Mapping[str, Any] | None = None,
        until: threading.Event | None = None,
    ) -> None:
        self.content = [dict(block) for block in content]
        called = any(block["type"] == "tool_use" for block in content)
        self.stop_reason = ("tool_use" if called else "end_turn") if stop_reason == "" else stop_reason
        self.usage = {"input_tokens": 10, "output_tokens": 5} if usage is None else dict(usage)
        self.fault, self.after, self.error = fault, after, error
        self.delay, self.pace, self.piece, self.hangs, self.until = delay, pace, piece, hangs, until
        self.details = details  # of a refusal


@dataclass(frozen=True, slots=True)
class HttpError:
    """An answer before any stream. `message` and `type` as the service would word them."""

    status: int
    type: str = "api_error"
    message: str = "the double was told to fail"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raw:
    """Any other 200, for servers that are not the Messages API."""

    body: str
    content_type: str = "text/html"


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without a single byte."""


@dataclass(frozen=True, slots=True)
class Received:
    headers: Mapping[str, str]
    body: Any


Said = Reply | HttpError | Raw | Drop


def text(words: str) -> Reply:
    return Reply({"type": "text", "text": words})


def summed(words: str) -> Reply:
    usage = {"input_tokens": 10, "output_tokens": 7, "type": "compaction"}
    block = {"type": "compaction", "content": words, "signature": seal(words), "encrypted_content": "opaque"}
    nothing = {"input_tokens": 0, "output_tokens": 0, "iterations": [usage]}
    return Reply(block, stop_reason="compaction", usage=nothing)


def thinking(words: str) -> Block:
    return {"type": "thinking", "thinking": words}


def tool(name: str, /, id: str = "", **input: Any) -> Block:
    return {"type": "tool_use", "id": id or f"toolu_{fingerprint([name, input])}", "name": name, "input": input}


class MessagesServer:
    def __init__(
        self,
        *,
        port: int = 0,
        key: str | None = None,
        otherwise: Reply | Callable[[dict[str, Any]], Said] | None = None,
        models: Callable[[str], bool] = lambda name: name.startswith("claude-"),
    ) -> None:
        """`key`: the only credential that is not refused with 401. `models`: which names are known, else 404."""
        self.requests: list[Received] = []
        self.violations: list[str] = []
        self.left_early = 0  # streams whose client went away
        self.connections = 0
        self._said: deque[Said] = deque()
        self._port, self._key, self._otherwise, self._models = port, key, otherwise, models
        self._paused: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def say(self, *answers: Said | str) -> None:
        self._said.extend(text(answer) if isinstance(answer, str) else answer for answer in answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def wait_left_early(self, count: int = 1, seconds: float = 30.0) -> bool:
        """Whether this many clients left in the middle, waiting for it at most so long."""
        end = time.monotonic() + seconds
        while self.left_early < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.left_early >= count

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the double did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    # ── connections ──────────────────────────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with listening(self._accept, port=self._port) as self._port:
            self._ready.set()
            await self._stopping.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._exchange(reader, writer):
                pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False ends the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        target = head[0].split(" ")[1].partition("?")[0]
        if target != "/v1/messages":
            return await _write(writer, 404, _error("not_found_error", f"no such path: {target}"))
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        self.requests.append(Received(headers, body))
        said = self._judge(headers, body) or self._next(body)
        match said:
            case HttpError():
                return await _write(writer, said.status, _error(said.type, said.message), said.headers)
            case Raw():
                return await _write(writer, 200, said.body, {"content-type": said.content_type})
            case Drop():
                return False
        return await self._answer(writer, reader, body, said)

    def _judge(self, headers: Mapping[str, str], body: Any) -> HttpError | None:
        broken = broken_rule(headers, body, resumable=self._paused)
        sent = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key")
        if broken is None and self._key is not None and sent != self._key:
            return HttpError(401, "authentication_error", f"invalid x-api-key: {sent}")
        if broken is None and not self._models(body["model"]):
            return HttpError(404, "not_found_error", f"model: {body['model']}")
        if broken is None:
            return None
        self.violations.append(broken.message)
        return HttpError(broken.status, broken.type, broken.message)

    def _next(self, body: dict[str, Any]) -> Said:
        if self._said:
            return self._said.popleft()
        if self._otherwise is None:
            self.violations.append("a request that nothing was to be said to")
            return HttpError(500, headers={"x-should-retry": "false"})
        return self._otherwise if isinstance(self._otherwise, Reply) else self._otherwise(body)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    async def _answer(
        self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader, body: dict[str, Any], reply: Reply
    ) -> bool:
        await asyncio.sleep(reply.delay)
        content = _signed(body, reply)
        if reply.stop_reason == "pause_turn":
            self._paused.append(fingerprint(content))
        if not body.get("stream"):
            return await _write(writer, 200, json.dumps(_message(body, reply, content)))
        writer.write(_head(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}))
        gone = asyncio.ensure_future(_left(reader))
        writing = asyncio.ensure_future(self._stream(writer, body, reply, content))
        try:
            await asyncio.wait({gone, writing}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done() or isinstance(writing.exception(), ConnectionError):
                self.left_early += 1
                return False
            return writing.result()
        finally:
            writing.cancel()
            await _cancel(gone)

    async def _stream(
        self, writer: asyncio.StreamWriter, body: dict[str, Any], reply: Reply, content: list[Block]
    ) -> bool:
        async for event in events(body, reply, content):
            if event == "fault":
                return await self._strike(writer, reply)
            writer.write(_chunk(event))
            await writer.drain()
        if reply.hangs:
            await asyncio.Event().wait()
        return await _end(writer)

    async def _strike(self, writer: asyncio.StreamWriter, reply: Reply) -> bool:
        match reply.fault:
            case "ended":
                return await _end(writer)
            case "reset":
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case "stall":
                await asyncio.Event().wait()
            case "garbage":
                writer.write(_chunk("event: content_block_delta\ndata: {not json\n\n"))
                return await _end(writer)
            case "error":
                writer.write(_chunk(_event("error", json.loads(_error(reply.error, "the double was told to fail")))))
                return await _end(writer)
            case "endless":
                delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "on "}}
                while True:
                    writer.write(_chunk(_event("content_block_delta", delta)))
                    await writer.drain()
                    await asyncio.sleep(0.001)
        return False


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────


def _signed(body: dict[str, Any], reply: Reply) -> list[Block]:
    content: list[Block] = []
    for block in reply.content:
        if block["type"] == "thinking" and "signature" not in block:
            block = {**block, "signature": sign(body, content, block["thinking"])}
        content.append(block)
    return content


def _message(body: dict[str, Any], reply: Reply, content: list[Block]) -> dict[str, Any]:
    return {
        "id": f"msg_{fingerprint([body, content])}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "usage": reply.usage,
    }


async def events(body: dict[str, Any], reply: Reply, content: list[Block]) -> AsyncIterator[str]:
    """Each event as text; the word `fault` where the reply's fault strikes."""
    begun = {**reply.usage, "output_tokens": 1} if reply.usage else {}  # without figures: as some servers are
    start = _message(body, reply, []) | {"stop_reason": None, "usage": begun}
    yield _event("message_start", {"type": "message_start", "message": start})
    yield _event("ping", {"type": "ping"})
    sent = 0
    for index, block in enumerate(content):
        opening, deltas = _deltas(block, reply.piece)
        yield _event("content_block_start", {"type": "content_block_start", "index": index, "content_block": opening})
        for delta in deltas:
            if reply.fault and sent >= reply.after:
                break
            sent += 1
            yield _event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta})
            await asyncio.sleep(reply.pace)
        if reply.fault and reply.fault != "short" and sent >= reply.after:
            yield "fault"
            return
        while index == 0 and reply.until is not None and not reply.until.is_set():  # noqa: ASYNC110 - set in a thread
            await asyncio.sleep(0.01)
        yield _event("content_block_stop", {"type": "content_block_stop", "index": index})
    if reply.fault and reply.fault != "short":
        yield "fault"
        return
    stop = {"stop_reason": reply.stop_reason, "stop_sequence": None, "stop_details": reply.details}
    yield _event("message_delta", {"type": "message_delta", "delta": stop, "usage": reply.usage})
    yield _event("message_stop", {"type": "message_stop"})


def _deltas(block: Block, size: int) -> tuple[Block, list[Block]]:
    """How the service opens a block of this type, and the deltas that follow; unknown types come whole."""
    match block["type"]:
        case "text":
            opening = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"], size)]
            citations = block.get("citations") or ()
            return opening, deltas + [{"type": "citations_delta", "citation": citation} for citation in citations]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"], size)]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature]
        case "tool_use" | "server_tool_use":
            written = json.dumps(block["input"]) if block["input"] else ""
            pieces = ["", *_pieces(written, size)]
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block, []


def _pieces(whole: str, size: int) -> Iterator[str]:
    return (whole[at : at + size] for at in range(0, len(whole), size))


def _event(name: str, value: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"


def _error(kind: str, message: str) -> str:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_double"})


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", "request-id: req_double", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _chunk(event: str) -> bytes:
    raw = event.encode()
    return b"%x\r\n%s\r\n" % (len(raw), raw)


async def _end(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _write(
    writer: asyncio.StreamWriter, status: int, body: str, headers: Mapping[str, str] | None = None
) -> bool:
    raw = body.encode()
    sent = {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
    writer.write(_head(status, sent) + raw)
    await writer.drain()
    return True


async def _left(reader: asyncio.StreamReader) -> None:
    """Returns when the client has closed; reads nothing, for its next request may be on the way."""
    while not reader.at_eof():  # noqa: ASYNC110 - a StreamReader has no event for its end
        await asyncio.sleep(0.01)


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────


def _scripted(item: Any) -> Reply:
    if isinstance(item, str):
        return text(item)
    if isinstance(item, list):
        return Reply(*item)
    return Reply(*item.pop("content", []), **item)


def main() -> None:
    parser = argparse.ArgumentParser(description="a strict double of the Messages API")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    args = parser.parse_args()
    with MessagesServer(port=args.port, otherwise=text("hello from the double")) as server:
        if args.script:
            server.say(*map(_scripted, json.loads(args.script.read_text(encoding="utf-8"))))
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        print("\n".join(server.violations))


if __name__ == "__main__":
    main()
