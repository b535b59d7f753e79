"""Who hears what happens in a turn while it happens: best effort, in memory, and never in its way."""

from __future__ import annotations

import logging
from collections.abc import Callable

from openclaw.messages import Progress
from openclaw.ports import Queued, Watcher

log = logging.getLogger(__name__)


class Hearing:
    def __init__(self) -> None:
        self._watchers: dict[str, list[Watcher]] = {}  # by message
        self._listeners: dict[str, list[Watcher]] = {}  # by channel

    def watch(self, message: str, watcher: Watcher) -> Callable[[], None]:
        return _added(self._watchers.setdefault(message, []), watcher)

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        return _added(self._listeners.setdefault(channel, []), watcher)

    def watched(self, message: str, channel: str) -> bool:
        return bool(self._watchers.get(message) or self._listeners.get(channel))

    def tell(self, queued: Queued, event: Progress) -> None:
        channel = queued.message.sender.channel
        for watcher in [*(self._watchers.get(queued.id) or self._listeners.get(channel, []))]:
            try:
                watcher(event)
            except Exception:
                log.exception("a watcher of message %s failed", queued.id)

    def end(self, queued: Queued) -> None:
        """Nothing more happens to the message."""
        self._watchers.pop(queued.id, None)


def _added(watchers: list[Watcher], watcher: Watcher) -> Callable[[], None]:
    watchers.append(watcher)
    return lambda: watchers.remove(watcher) if watcher in watchers else None
