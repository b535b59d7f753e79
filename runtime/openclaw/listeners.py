"""The sockets at which a channel listens, and what is told to whoever serves what comes by them.

Law: they are exchanged while everything that came by them lives on. Knows nothing of what is served.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

Told = Callable[[socket.socket], None]


class Listeners:
    """Listening sockets. `opened` and `closing` are told by whoever serves, for as long as it does."""

    def __init__(self, *sockets: socket.socket) -> None:
        self.sockets = list(sockets)
        self.over = False  # nothing more is taken in: whoever serves ends with the last open request
        self.opened: Told = lambda listener: None
        self.closing: Told = lambda listener: None

    def add(self, listener: socket.socket) -> None:
        self.sockets.append(listener)
        self.opened(listener)

    def drop(self, listener: socket.socket) -> None:
        self.sockets.remove(listener)
        self.closing(listener)
        listener.close()

    def end(self) -> None:
        """Nothing more comes by any of them."""
        self.over = True
        for listener in list(self.sockets):
            self.drop(listener)
