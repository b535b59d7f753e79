"""The sockets at which a channel listens, and what is told to whoever serves what comes by them.

Law: they are exchanged while everything that came by them lives on. Knows nothing of what is served.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

Told = Callable[[socket.socket], None]


class Listeners:
    """Listening sockets. `opened`, `closing` and `parted` are told by whoever serves, for as long as it does."""

    def __init__(self, *sockets: socket.socket) -> None:
        self.sockets = list(sockets)
        self.over = False  # nothing more is taken in: whoever serves ends with the last open request
        self.opened: Told = lambda listener: None
        self.closing: Told = lambda listener: None
        self.parted: Callable[[], None] = lambda: None

    def add(self, listener: socket.socket) -> None:
        self.sockets.append(listener)
        self.opened(listener)

    def drop(self, listener: socket.socket) -> None:
        """Nothing new comes by it; what came goes on."""
        self.sockets.remove(listener)
        self.closing(listener)
        listener.close()

    def part(self) -> None:
        """What came by sockets that are closed is answered what it asked, and let go of."""
        self.parted()

    def end(self) -> None:
        """Nothing more comes by any of them."""
        self.over = True
        for listener in list(self.sockets):
            self.drop(listener)
        self.part()
