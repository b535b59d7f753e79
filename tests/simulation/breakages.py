"""Runtimes that are broken on purpose, each in one promise: a simulation that does not find them sees nothing.

The law: each spoils one thing that the real runtime does for a reason, and leaves the rest as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from crash.without_intents import Forgetful
from openclaw.messages import Reply
from simulation.lives import Breakage
from simulation.lossy_disk import LossyFiles


class _Beside:
    """Another object, but for what is set on it."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)


class _SettlesFirst(_Beside):
    """The message is settled in one transaction, and its reply enters the outbox in the next."""

    def __init__(self, kept: Any, outbox: Any) -> None:
        super().__init__(kept)
        self._outbox = outbox

    async def settle(
        self,
        id: str,
        state: Literal["done", "failed", "parked"],
        reply: Reply | None,
        *,
        deliver: Sequence[Reply] | None = None,
        **more: Any,
    ) -> None:
        outgoing = ([reply] if reply else []) if deliver is None else deliver
        await self._kept.settle(id, state, reply, deliver=(), **more)
        for each in outgoing:
            await self._outbox.put(each)


class _SendsUnnoted(_Beside):
    """Nobody writes down that a channel is about to be called."""

    async def sending(self, id: str) -> None:
        pass


class _Unsynced(LossyFiles):
    """What is appended is left to the system to bring to the disk, some day."""

    def sync_content(self, file: int) -> None:
        self._called("sync content")


def _without_intents(store: Any) -> Any:
    store.journal = Forgetful(store.journal)
    return store


def _settles_first(store: Any) -> Any:
    store.inbox = _SettlesFirst(store.inbox, store.outbox)
    return store


def _sends_unnoted(store: Any) -> Any:
    store.outbox = _SendsUnnoted(store.outbox)
    return store


BREAKAGES = {
    "no intent is written": Breakage(_without_intents),
    "settled before the reply is kept": Breakage(_settles_first),
    "sent without a note": Breakage(_sends_unnoted),
    "nothing is synced": Breakage(files=_Unsynced),
}
