"""The runtime over HTTP: one application for the control socket and for the HTTP channel.

    places.py       where the socket is, and how a long path to it is shortened
    table.py        the routes as one table
    shapes.py       what goes over the line, as JSON Schema
    document.py     the OpenAPI document of both
    application.py  the routes at work: who may use them, problems
    listening.py    the application on a socket, in our loop
    server.py       the web server, at sockets that are exchanged while it serves
    lines.py        connections: how many, and how long one may be silent
    limits.py       how much one caller may ask for
    bodies.py       reading what a request brings
    problems.py     why a request is not served
    words.py        values as JSON
    messages.py     posting, waiting, streaming
    feed.py         what happened in a turn, for whoever listens
    events.py       a turn as server-sent events
    turns.py        messages that were taken in, for every route
    openai.py       the same for OpenAI's clients; completion.py, chunks.py, completions.py: what they say and get
    hooks.py        calls of other services; material.py: how what they bring enters a prompt
    beats.py        heartbeats and reminders: what came of them, and what is done to them
    desk.py         everything else one may ask of a runtime
    metrics.py      its figures for Prometheus
    static.py       the web page's files

Importing this costs nothing: the web libraries come with the first call, beside the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from socket import socket
from types import ModuleType
from typing import Any

from openclaw.clock import Clock, SystemClock
from openclaw.listeners import Listeners
from openclaw.ports import Gate, Operations, Post

__all__ = ["serve", "serve_at"]


async def serve(path: Path, post: Post, operations: Operations, clock: Clock | None = None) -> None:
    """Serves the operator on the unix socket at `path` until cancelled; then the file is gone.

    Raises StateError where the socket cannot be made, and StorageFailed where a request met a dead disk.
    """
    listening = await asyncio.to_thread(_web)  # 200 ms of imports, in which the prompt stays alive
    await listening.serve_operator(path, post, operations, clock or SystemClock())


async def serve_at(
    listener: socket | Listeners,
    post: Post,
    operations: Operations,
    gate: Gate,
    clock: Clock,
    options: Callable[[], Mapping[str, Any]],
) -> None:
    """The same application on a listening socket, or several, for whomever the gate admits, until cancelled.
    `options`: those of the HTTP channel at that moment (`limits`, `hooks`, `notes`, ...)."""
    listening = await asyncio.to_thread(_web)
    listeners = listener if isinstance(listener, Listeners) else Listeners(listener)
    await listening.serve_callers(listeners, post, operations, gate, clock, options)


def _web() -> ModuleType:
    from openclaw.control import listening

    return listening
