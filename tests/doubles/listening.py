"""A listening TCP server in a test, of which nothing is left when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, host: str = "127.0.0.1", port: int = 0, **options: Any) -> AsyncIterator[int]:
    """Its port. `serve` runs in a task for each connection, which ends with it. `options` are those of a server.

    At the end everybody is cut off, also who came in this moment, and who does not read what was written. What is only
    forgotten is collected some time later, and then it is a test that has nothing to do with it that fails.
    """
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    transports: set[asyncio.WriteTransport] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transports.add(writer.transport)
        task = loop.create_task(met(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, host, port, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        for _ in range(4):  # a closed server cannot take who was accepted just before: such a one is let in first
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()
