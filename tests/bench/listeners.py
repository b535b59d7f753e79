"""Many who listen to one turn over HTTP: what each event costs the runtime, beside one listener alone.

The runtime's side is this process: the application on a socket, a turn of 200 small deltas. The clients are a process
of their own and share the machine. From the tests folder:

    python -m bench.listeners [--clients 500]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from doubles.desk import Desk
from doubles.http_socket import client_of, listening_at
from openclaw.clock import SystemClock
from openclaw.control import serve
from openclaw.messages import TextDelta

DELTAS, PACE = 200, 0.01  # of one turn; seconds between two of them


class Telling(Desk):
    """A desk whose turn tells its deltas once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def _stream(self, id: str, text: str) -> None:
        await self.go.wait()
        for number in range(DELTAS):
            self._tell(id, TextDelta(f"word {number} "))
            await asyncio.sleep(PACE)
        self._say(id, "done")


async def measure(folder: Path, clients: int) -> float:
    """Processor time of this process for one event of one client, in microseconds."""
    path, desk = folder / f"{clients}.sock", Telling()
    serving = asyncio.ensure_future(serve(path, desk, desk, SystemClock()))
    await listening_at(path)
    async with client_of(path) as client:
        posted = await client.post("/api/messages", json={"text": "x"}, headers={"Prefer": "respond-async"})
    command = [sys.executable, "-m", "bench.listeners", "--listen", str(path), posted.json()["id"]]
    child = await asyncio.create_subprocess_exec(*command, "--clients", str(clients), stdout=subprocess.PIPE)
    assert child.stdout is not None
    await child.stdout.readline()
    cpu, begun = time.process_time(), time.monotonic()
    desk.go.set()
    heard = int(await child.stdout.readline())
    each = (time.process_time() - cpu) / heard * 1e6
    took = time.monotonic() - begun
    print(f"{clients:4d} clients: {heard} events in {took:5.1f} s, {each:5.0f} us of own CPU an event")
    await child.wait()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    return each


async def listen(path: str, id: str, clients: int) -> None:
    """Says when all are connected, then how many events they heard in all."""
    lines = [await asyncio.open_unix_connection(path) for _ in range(clients)]
    for reader, writer in lines:
        writer.write(f"GET /api/messages/{id}/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await reader.readuntil(b"event: accepted")
    print("connected", flush=True)
    heard = await asyncio.gather(*(reader.read() for reader, _ in lines))
    print(sum(text.count(b"event: ") for text in heard), flush=True)


async def both(clients: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, many = [await measure(Path(folder), count) for count in (1, clients)]
    print(f"ratio: {many / one:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="what listening costs")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--listen", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most), most))
    asyncio.run(listen(*args.listen, args.clients) if args.listen else both(args.clients))


if __name__ == "__main__":
    main()
