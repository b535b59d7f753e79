"""What a supervisor that starts the runtime with Type=notify is told: that it is ready, and that it still lives.

Law: one datagram each, to whoever asked by NOTIFY_SOCKET, and to nobody else; that nobody takes it ends nothing.
Source: sd_notify(3). The sign of life comes from the event loop, so a tool that holds it for ever is seen from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping


def tell(words: str, environment: Mapping[str, str] = os.environ) -> None:
    place = environment.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.connect(f"\0{place[1:]}" if place.startswith("@") else place)
        line.send(words.encode())


def pause(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between signs of life, half of what the supervisor waits; None where it waits for none from us."""
    microseconds, wanted = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
    if not (microseconds.isascii() and microseconds.isdecimal()) or wanted != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000 or None


@contextlib.asynccontextmanager
async def supervised(environment: Mapping[str, str] = os.environ) -> AsyncIterator[None]:
    """Ready from here on, and alive within."""
    tell("READY=1", environment)
    seconds = pause(environment)
    living = asyncio.create_task(_live(seconds, environment)) if seconds else None
    try:
        yield
    finally:
        if living is not None:
            living.cancel()


async def _live(seconds: float, environment: Mapping[str, str]) -> None:
    while True:
        tell("WATCHDOG=1", environment)
        await asyncio.sleep(seconds)
