"""The state folder without a runtime: opened for one question, under the same lock, and closed again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from openclaw.clock import SystemClock
from openclaw.stores.files import Store

T = TypeVar("T")


def with_store(state: Path, ask: Callable[[Store], Awaitable[T]], *, nothing: T, make: bool = False) -> T:
    """What `ask` finds; `nothing` where no runtime has ever used this folder, which then stays as it is, unless it is
    to be made."""
    if not make and not (state / "runtime.db").exists():
        return nothing

    async def asked() -> T:
        store = Store(str(state), SystemClock())
        try:
            await store.open()
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(asked())
