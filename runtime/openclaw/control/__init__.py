"""The runtime over HTTP: one application for the control socket and for the HTTP channel.

    places.py       where the socket is, and how a long path to it is shortened
    words.py        values as JSON
    messages.py     posting, waiting, streaming
    application.py  routes, who may use them, problems
    listening.py    the application on a socket, in our loop

Importing this costs nothing: the web libraries come with the first call of `serve`, beside the loop.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

from openclaw.clock import Clock, SystemClock
from openclaw.ports import Operations, Post

__all__ = ["serve"]


async def serve(path: Path, post: Post, operations: Operations, clock: Clock | None = None) -> None:
    """Serves the operator on the unix socket at `path` until cancelled; then the file is gone.

    Raises StateError where the socket cannot be made, and StorageFailed where a request met a dead disk.
    """
    listening = await asyncio.to_thread(_web)  # 200 ms of imports, in which the prompt stays alive
    await listening.serve_operator(path, post, operations, clock or SystemClock())


def _web() -> ModuleType:
    from openclaw.control import listening

    return listening
