"""A process of its own that accepts and appends as fast as it can, and prints what it was told is on disk."""

import asyncio
import sys
from datetime import UTC, datetime

from openclaw.clock import SystemClock
from openclaw.messages import Address, Message, Reply, Route, Text, UserEntry
from openclaw.stores.files import Store


async def main(folder: str, run: str) -> None:
    store = Store(folder, SystemClock())
    await store.open()
    print("open", flush=True)

    async def lane(name: str) -> None:
        for number in range(1_000_000):
            id, now = f"{run}-{name}-{number}", datetime.now(UTC)
            message = Message(id, Address("test", "1"), (Text(id),), now)
            taken = await store.inbox.accept(message, Route("main", f"s:{name}", id))
            print("accepted", id, flush=True)
            await store.journal.append(
                f"s:{name}", [UserEntry(id, now, ({"type": "text", "text": id * 20},), taken.id)]
            )
            print("appended", id, flush=True)
            if number % 3 == 0:
                reply = Reply(Address("test", "1"), id, f"s:{name}", "main", answers=taken.id)
                await store.inbox.settle(taken.id, "done", reply)
                print("settled", id, flush=True)

    await asyncio.gather(*(lane(name) for name in "abc"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
