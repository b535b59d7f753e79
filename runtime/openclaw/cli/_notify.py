"""What a supervisor that starts the runtime with Type=notify is told: that it is ready, and that it still lives.

Law: one datagram each, to whoever asked by NOTIFY_SOCKET, and to nobody else; that nobody takes it ends nothing. No
send waits, for a supervisor may be busy; what it did not take is sent again, since one lost word costs a start or a
life. Source: sd_notify(3). The sign of life comes from the event loop, so a tool that holds it for ever is seen from
outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

AGAIN = 1.0  # seconds until what was not taken is sent once more
_SIGNS = 4  # signs of life in the time that the supervisor waits for one: it may be late, and so may we


def tell(words: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether nothing is left to be told: it was taken, or nobody asked."""
    place = environment.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return True
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.connect(f"\0{place[1:]}" if place.startswith("@") else place)
        line.send(words.encode())
        return True
    return False


def pause(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between signs of life; None where the supervisor waits for none from us."""
    microseconds, wanted = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(os.getpid()))
    if not (microseconds.isascii() and microseconds.isdecimal()) or wanted != str(os.getpid()):
        return None
    return int(microseconds) / 1_000_000 / _SIGNS or None


@contextlib.asynccontextmanager
async def supervised(
    ready: Callable[[], Awaitable[None]], environment: Mapping[str, str] = os.environ, again: float = AGAIN
) -> AsyncIterator[None]:
    """Alive within, and ready once `ready` returned."""
    living = asyncio.create_task(_live(ready, environment, again)) if "NOTIFY_SOCKET" in environment else None
    try:
        yield
    finally:
        if living is not None:
            living.cancel()


async def _live(ready: Callable[[], Awaitable[None]], environment: Mapping[str, str], again: float) -> None:
    await ready()
    await _taken("READY=1", environment, again)
    while seconds := pause(environment):
        await _taken("WATCHDOG=1", environment, again)
        await asyncio.sleep(seconds)


async def _taken(words: str, environment: Mapping[str, str], again: float) -> None:
    while True:
        if tell(words, environment):
            return
        await asyncio.sleep(again)
