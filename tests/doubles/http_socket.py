"""A control socket in the test's own loop, with a small desk behind it, and a client of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from doubles.desk import Desk
from openclaw.channels._http_door import Door, Token, digest
from openclaw.clock import Clock, SystemClock
from openclaw.control import serve, serve_at
from openclaw.control.listening import bind
from openclaw.control_socket import reachable
from openclaw.messages import Address
from openclaw.ports import Caller, Post

Test = Callable[[httpx2.AsyncClient, Desk], Awaitable[None]]


@asynccontextmanager
async def client_of(path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    with reachable(path) as name:
        transport = httpx2.AsyncHTTPTransport(uds=name, verify=False)  # reading certificates takes a while
        async with httpx2.AsyncClient(transport=transport, base_url="http://openclaw", timeout=60) as client:
            yield client


async def until(true: Callable[[], Awaitable[object]]) -> None:
    """Asks again and again, for half a minute at most."""
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110  # what is waited for has no event to wait on
            await asyncio.sleep(0.01)


async def listening_at(path: Path) -> None:
    async def listening() -> bool:
        try:
            async with client_of(path) as client:
                return (await client.get("/healthz")).is_success
        except httpx2.ConnectError:
            return False

    await until(listening)


def served(path: Path, test: Test, post: Post | None = None, clock: Clock | None = None) -> None:
    async def main() -> None:
        desk = Desk()
        serving = asyncio.ensure_future(serve(path, post or desk, desk, clock or SystemClock()))
        await listening_at(path)
        try:
            async with client_of(path) as client:
                await test(client, desk)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


Guarded = AbstractAsyncContextManager[tuple[httpx2.AsyncClient, Desk]]


@asynccontextmanager
async def guarded(
    path: Path, options: Mapping[str, Any], clock: Clock | None = None
) -> AsyncIterator[tuple[httpx2.AsyncClient, Desk]]:
    """The application behind a door with two tokens, `a` and `b`, that may do everything."""
    time = clock or SystemClock()
    desk, door = Desk(), Door("0.0.0.0", 0, time)
    scopes = frozenset({"operator"})
    door.tokens = tuple(Token(digest(name), Caller(name, Address("http", name), scopes)) for name in "ab")
    serving = asyncio.ensure_future(serve_at(bind(path), desk, desk, door, time, lambda: {"key": "http", **options}))
    try:
        await listening_at(path)
        async with client_of(path) as client:
            client.headers["Authorization"] = "Bearer a"
            yield client, desk
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def events(response: httpx2.Response) -> list[tuple[str, dict[str, Any]]]:
    found = []
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, json.loads(line.removeprefix("data: "))))
    return found


async def streamed(client: httpx2.AsyncClient, text: str) -> list[tuple[str, dict[str, Any]]]:
    headers = {"Accept": "text/event-stream"}
    async with client.stream("POST", "/api/messages", json={"text": text}, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return await events(response)


def code(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code and problem["title"] and problem["detail"]
    return response.status_code, problem["code"]
