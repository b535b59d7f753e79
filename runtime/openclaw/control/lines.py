"""Connections, one by one: how many there may be, and how long one may keep others waiting.

Law: beyond the limit a connection is answered and closed at once, whether or not it asks for something. One on which
no request is being served ends after a while, also where something trickles in: the head of a request, or the rest of
a body nobody reads. Where the socket by which one came is closed, it is answered what it asks, told that this was all,
and ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from openclaw.control.problems import problem
from openclaw.ports import Problem

LARGEST_HEAD = 64 << 10  # bytes of a request's line and headers
IDLE = 20.0  # seconds for the head of a request to come, and for the rest of a body that is not read
SOON = 2.0  # seconds for one more request, where no more can come by the same way

# The web server's own words about malformed requests: anybody could fill a log with them.
_QUIET = logging.getLogger(f"{__name__}.malformed")
_QUIET.setLevel(logging.ERROR)

_CROWDED = Problem(503, "crowded", "too many connections are open; come again in a moment")
_MALFORMED = Problem(400, "bad_request", f"this is not HTTP, or its head is longer than {LARGEST_HEAD:,} bytes")


class Way:
    """A listening socket, and the connections that came by it."""

    def __init__(self) -> None:
        self.left = False  # it is closed for good
        self.server: asyncio.Server | None = None  # that accepts there
        self.lines: set[Line] = set()

    def leave(self) -> None:
        self.left = True
        for line in list(self.lines):
            line.leave()


class Line(H11Protocol):
    """One connection. Whoever makes it says by which `way` it comes, and how many there may be at the same time."""

    way: Way
    most: Callable[[], int]
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.way.lines.add(self)
        self.logger = _QUIET
        if len(self.connections) > self.most():
            transport.write(_raw(problem(_CROWDED)))
            transport.close()
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.way.left:
            self._answer_last()
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.way.lines.discard(self)
        self._disarm()

    def leave(self) -> None:
        """No more can come by the way it came."""
        self._answer_last()
        self._disarm()
        self._look()

    def _answer_last(self) -> None:
        """Says with the answer, if it has not begun, that none follows; and lets none follow."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            if CLOSE_HEADER not in self.cycle.default_headers:
                self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def send_400_response(self, msg: str) -> None:
        begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.cycle is not None:  # what is being served is not answered any more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not begun:
            self.transport.write(_raw(problem(_MALFORMED)))
        self.transport.close()

    def _look(self) -> None:
        """The deadline stands while nothing is served."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._disarm()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(SOON if self.way.left else IDLE, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _raw(answer: Response) -> bytes:
    """An answer as bytes, where there is no request, or none that could be read."""
    head = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode(), b"connection: close"]
    head += [b"%s: %s" % header for header in answer.raw_headers]
    return b"\r\n".join([*head, b"", bytes(answer.body)])
