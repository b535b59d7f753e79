"""The web server in our loop, at sockets that are exchanged while it serves.

Law: what came by a socket outlives it. When one is closed, whoever stands in its queue is still let in; when it is
parted with, every connection that came by it finishes what it was asked, is answered once more at most, and ends.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from openclaw.control.lines import Line, Way
from openclaw.listeners import Listeners


class Server(uvicorn.Server):
    """Serves until `should_exit` is set, or `listeners` are over and the last connection has ended. There may be
    `connections()` at the same time."""

    def __init__(self, config: uvicorn.Config, listeners: Listeners, connections: Callable[[], int]) -> None:
        super().__init__(config)
        self._connections = connections
        self.servers: list[asyncio.Server] = []
        self._listeners = listeners
        self._ways: dict[socket.socket, tuple[Way, asyncio.Task[None]]] = {}
        self._closed: list[Way] = []  # by which something may have come that is still here
        self._letting_in: set[asyncio.Task[Any]] = set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._listeners.opened, self._listeners.closing = self._open, self._shut
        self._listeners.parted = self._part
        for listener in self._listeners.sockets:
            self._open(listener)
        await asyncio.gather(*(opening for _, opening in self._ways.values()))
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        ended = self._listeners.over and not (self._letting_in or self.server_state.connections)
        return await super().on_tick(counter) or ended

    def cut_off(self) -> None:
        """Whoever came too late to be let go of, or reads no answer, is not listened to any more."""
        for connection in list(self.server_state.connections):
            connection.transport.close()

    def _open(self, listener: socket.socket) -> None:
        way = Way()
        self._ways[listener] = way, asyncio.ensure_future(self._listen(listener, way))

    async def _listen(self, listener: socket.socket, way: Way) -> None:
        loop, backlog = asyncio.get_running_loop(), self.config.backlog
        server = await loop.create_server(self._line(way), sock=listener, backlog=backlog, start_serving=False)
        self.servers.append(server)
        way.server = server
        await server.start_serving()

    def _shut(self, listener: socket.socket) -> None:
        way, opening = self._ways.pop(listener)
        opening.cancel()  # if it has not begun
        self._let_in(listener, way)
        if way.server is not None:
            self.servers.remove(way.server)
            way.server.close()
        self._closed.append(way)

    def _part(self) -> None:
        closed, self._closed = self._closed, []
        for way in closed:
            way.leave()

    def _let_in(self, listener: socket.socket, way: Way) -> None:
        """Those who stand in the queue: closing the socket would send them away without a word."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:  # there are no more, or there is no room for more
                return
            accepted.setblocking(False)
            task = asyncio.ensure_future(loop.connect_accepted_socket(self._line(way), accepted))
            self._letting_in.add(task)
            task.add_done_callback(self._letting_in.discard)

    def _line(self, way: Way) -> Callable[[], Line]:
        def made() -> Line:
            line = Line(self.config, self.server_state, self.lifespan.state)
            line.way, line.most = way, self._connections
            return line

        return made
