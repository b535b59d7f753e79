"""The application on a socket, served by uvicorn inside our own loop.

Law: signals stay ours, the socket is bound by us and private from its first moment, and the end waits for
open streams a moment and no longer, however often it is asked for. Once it has come no connection is served, for
what would serve it is closed next.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from openclaw.clock import Clock
from openclaw.control.application import Options, application
from openclaw.control.limits import read
from openclaw.control.lines import LARGEST_HEAD, Line
from openclaw.control.server import Server
from openclaw.control_socket import reachable
from openclaw.errors import StateError, StorageFailed
from openclaw.listeners import Listeners
from openclaw.messages import Address
from openclaw.ports import Caller, Gate, Operations, Post

_GRACE = 2  # seconds that open requests get at the end
# The operator's own programs may send a megabyte of text, escaped, as often as they like.
_OPTIONS: Mapping[str, Any] = {"limits": {"requests_per_minute": None, "body": 16 << 20}}
_OPERATOR = Caller("the operator", Address("repl", "local"), frozenset({"operator"}))


async def serve_operator(path: Path, post: Post, operations: Operations, clock: Clock) -> None:
    """Until cancelled. Whoever may open the socket owns the state folder, hence everything in it."""
    try:
        await serve_callers(Listeners(bind(path)), post, operations, _Trusting(), clock, lambda: _OPTIONS)
    finally:
        with suppress(OSError):
            path.unlink()


async def serve_callers(
    listeners: Listeners,
    post: Post,
    operations: Operations,
    gate: Gate,
    clock: Clock,
    options: Options,
) -> None:
    """Until cancelled, or they are over, behind `gate`. Takes the sockets over; raises StorageFailed where a request
    met a dead disk."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fatal(error: StorageFailed) -> None:
        if not failed.done():
            failed.set_exception(error)

    app = application(post, operations, gate, clock, options, fatal=fatal)
    serving = asyncio.ensure_future(serve(app, listeners, lambda: read(options()).connections))
    try:
        await asyncio.wait([serving, failed], return_when=asyncio.FIRST_COMPLETED)
        (failed if failed.done() else serving).result()
    finally:
        failed.cancel()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


class _Trusting:
    """The gate of a socket that only this user can open."""

    async def __call__(self, request: Request) -> Caller:
        return _OPERATOR

    def holds(self, caller: Caller) -> bool:
        return True

    def foreign(self, request: Request) -> None:
        return None

    def paused(self, request: Request) -> None:
        return None

    def wrong(self, request: Request) -> None:
        pass


def bind(path: Path) -> socket.socket:
    """A listening socket that only this user can open. What is left of an earlier runtime gives way: the
    lock on the state folder says that nobody uses it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with _private(), reachable(path) as name:
            listener.bind(name)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise StateError(f"the control socket {path} cannot be made: {error.strerror}") from error
    return listener


@contextmanager
def _private() -> Iterator[None]:
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


async def serve(app: Starlette, listeners: Listeners, connections: Callable[[], int]) -> None:
    """Serves until cancelled; open requests then get a moment to end. Takes the sockets over."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        http=Line,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )
    server = Server(config, listeners, connections)
    serving = asyncio.ensure_future(server.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        app.state.hang_up()
        server.should_exit = True
        await _ended(serving)
        raise
    finally:
        listeners.end()
        server.cut_off()


async def _ended(serving: asyncio.Task[None]) -> None:
    """Waits for it, also where that is cancelled: a dead disk ends a channel and, a moment later, all of them."""
    while not serving.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({serving})
    serving.result()
