"""What the doctor finds: one sentence about one thing, whether it is in order, and the cure where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`cure` says in one line what to do about it; empty where nothing has to be done. `mend` does it, where doing it
    without asking is safe, and says what it did; it raises OSError."""

    about: str
    state: State
    found: str
    cure: str = ""
    mend: Callable[[], str] | None = field(default=None, repr=False, compare=False)


def size(bytes: float) -> str:
    """As people read it: 12.3 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if bytes < 1000:
            return f"{bytes:.0f} {unit}" if unit == "B" or bytes >= 100 else f"{bytes:.1f} {unit}"
        bytes /= 1000
    return f"{bytes:,.1f} TB"


def span(seconds: float) -> str:
    """How long something has lasted, as people say it: 3 days."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (count := int(seconds // length)) >= 1:
            return f"{count} {unit}{'s'[: count != 1]}"
    return "less than a minute"
