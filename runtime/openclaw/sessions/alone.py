"""Which session makes the last attempt at a message: one at a time, so that none is blamed for another."""

from __future__ import annotations

from collections.abc import Callable


class Alone:
    def __init__(self, ring: Callable[[str], None]) -> None:
        self._ring = ring
        self._session: str | None = None
        self._waiting: dict[str, None] = {}

    def takes(self, session: str) -> bool:
        """False where another is at it; then the session is rung when that has ended."""
        if self._session not in (None, session):
            self._waiting[session] = None
            return False
        self._session = session
        return True

    def leaves(self, session: str) -> None:
        if self._session == session:
            self._session = None
            waiting, self._waiting = self._waiting, {}
            for other in waiting:
                self._ring(other)
