"""What the state folder costs: loading and listing sessions, appending, taking in, a backup. Prints, asserts nothing.

Reading a session is told in own CPU as well, which a busy machine changes less; `sum` adds 300,000 numbers in a loop
and tells how fast the machine is just then.

    python tests/bench/state.py [--megabytes 100]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from openclaw.clock import SystemClock
from openclaw.messages import Address, AssistantEntry, Entry, Intent, Message, Result, Route, Text, Usage, UserEntry
from openclaw.stores._backup import backup, restore
from openclaw.stores.files import Store
from openclaw.transcript import Transcript

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
SIZES = (10, 1_000, 10_000)


def entries(count: int) -> list[Entry]:
    """Turns with one call of a tool each."""
    found: list[Entry] = []
    for number in range((count + 3) // 4):
        at, call = NOON + timedelta(seconds=number), f"toolu_{number}"
        thinking = {"type": "thinking", "thinking": "hm " * 20, "signature": "x" * 40}
        said = {"type": "text", "text": "let me see " * 8}
        use = {"type": "tool_use", "id": call, "name": "list_files", "input": {"path": "."}}
        found += [
            UserEntry(f"u{number:030}", at, ({"type": "text", "text": "hello there " * 10},), f"in-{number}"),
            AssistantEntry(
                f"a{number:030}", at, (thinking, said, use), "model", "tool_use", Usage(100, 20, 3, 4), "d" * 16
            ),
            Intent(f"i{number:030}", at, call, "list_files", {"path": "."}),
            Result(f"r{number:030}", at, call, "a.txt b.txt " * 10, False),
        ]
    return found[:count]


async def timed(work: Callable[[], Awaitable[object]], times: int) -> list[float]:
    """Milliseconds, sorted."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)


def told(what: str, taken: list[float]) -> None:
    p95 = taken[int(len(taken) * 0.95)]
    print(f"{what:<44} best {taken[0]:8.2f}  p50 {statistics.median(taken):8.2f}  p95 {p95:8.2f} ms")


async def read(store: Store, session: str, times: int) -> None:
    """Own CPU of what a session costs once, before its first turn after a start: loaded, taken in, rendered."""
    taken: dict[str, list[float]] = {}
    for _ in range(times):
        gc.collect()
        places = [time.process_time()]
        sum(range(300_000))
        places.append(time.process_time())
        entries = await store.journal.load(session)
        places.append(time.process_time())
        transcript = Transcript(entries)
        places.append(time.process_time())
        transcript.messages("d" * 16)
        places.append(time.process_time())
        for what, (start, end) in zip(("sum", "load", "take in", "render"), itertools.pairwise(places), strict=True):
            taken.setdefault(what, []).append((end - start) * 1000)
    for what, all_ in taken.items():
        told(f"  own CPU: {what}", sorted(all_))


async def sessions(folder: Path) -> None:
    store = Store(str(folder), SystemClock())
    await store.open()
    for size in SIZES:
        session = f"s{size}"
        await store.journal.append(session, entries(size))
        told(f"append to {size:,} entries", await timed(lambda s=session: store.journal.append(s, entries(1)), 200))
        told(f"load {size:,} entries", await timed(lambda s=session: store.journal.load(s), 9))
        await read(store, session, 20)
    told("list, with one session changed", await timed(store.journal.list, 20))
    numbers = iter(range(10_000))

    async def accept() -> None:
        message = Message(str(next(numbers)), Address("telegram", "7"), (Text("hello"),), NOON)
        await store.inbox.accept(message, Route("main", "s", "hello"))

    told("take in one message", await timed(accept, 200))
    told("take in 64 messages at once", await timed(lambda: asyncio.gather(*(accept() for _ in range(64))), 10))
    await store.close()


async def filled(folder: Path, size: int) -> None:
    store = Store(str(folder), SystemClock())
    await store.open()
    number = 0
    while sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < size:
        await store.journal.append(f"s{number}", entries(10_000))
        number += 1
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        asyncio.run(sessions(place / "small"))
        asyncio.run(filled(place / "large", args.megabytes * 1_000_000))
        start = time.perf_counter()
        backup(place / "large", place / "backup.tar.gz", NOON)
        between = time.perf_counter()
        restore(place / "backup.tar.gz", place / "there", NOON)
        end = time.perf_counter()
        packed = (place / "backup.tar.gz").stat().st_size
        print(f"{args.megabytes} MB: backup {between - start:.2f} s ({packed:,} bytes), restore {end - between:.2f} s")


if __name__ == "__main__":
    main()
