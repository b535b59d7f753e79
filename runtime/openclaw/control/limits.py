"""How much one caller may ask for: requests in a minute, bytes in a body, and how many connections there are.

Law: limits are read when they are needed, so that an edit counts from the next request on. Each caller has a bucket
that holds a minute's worth and fills evenly; callers who have not come for long have a full one and are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openclaw.clock import Clock
from openclaw.control.problems import Unserved
from openclaw.ports import Problem

CALLERS = 10_000  # whose buckets are kept at the same time


@dataclass(frozen=True, slots=True)
class Limits:
    """`requests_per_minute` None: as many as come."""

    requests_per_minute: int | None = 600
    body: int = 1 << 20  # bytes
    connections: int = 1000


def read(options: Mapping[str, Any]) -> Limits:
    """Those that the options of a channel name, and the usual ones for the rest."""
    return Limits(**options.get("limits", {}))


class Rates:
    """Buckets by caller."""

    def __init__(self, limits: Callable[[], Limits], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests left, at which moment

    def take(self, caller: str) -> None:
        """One request; a problem where the bucket is empty."""
        most, now = self._limits().requests_per_minute, self._clock.monotonic()
        if most is None:
            return
        left, at = self._buckets.pop(caller, (float(most), now))
        left = min(left + (now - at) * most / 60, float(most))
        wait = (1 - left) * 60 / most if left < 1 else 0.0
        self._buckets[caller] = (left if wait else left - 1), now
        if len(self._buckets) > CALLERS:
            self._buckets.popitem(last=False)
        if wait:
            raise Unserved(Problem(429, "rate", f"at most {most} requests a minute are served"), again=wait)
