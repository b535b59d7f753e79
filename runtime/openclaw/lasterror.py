"""The last error that the runtime logged, for whoever asks how it is. In memory; the log has all of them.

Its law: one line, without secrets and without anything that a terminal would obey.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from openclaw.clock import Clock
from openclaw.messages import quote_line
from openclaw.secrecy import SECRETS
from openclaw.words import cut_to, time_json

LONGEST: Final = 300  # characters


class LastError(logging.Handler):
    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.ERROR)
        self._clock = clock
        self._last: tuple[datetime, str] | None = None

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hears what is logged of this program until the block ends."""
        own = logging.getLogger("openclaw")
        own.addHandler(self)
        try:
            yield
        finally:
            own.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = quote_line(SECRETS.mask(record.getMessage()).strip().partition("\n")[0].removesuffix(":"))
        except Exception:
            self.handleError(record)
        else:
            self._last = self._clock.now(), cut_to(line, LONGEST)

    def told(self) -> Mapping[str, Any] | None:
        """As JSON; None where there was none."""
        return {"at": time_json(self._last[0]), "words": self._last[1]} if self._last else None
