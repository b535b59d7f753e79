"""What one code of a diagnostic stands for: the law it guards, and a project that breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Code:
    """`what` says in one sentence what is right. `bad` and `good` lay files (path in the project -> text) over a
    small sound project: with `bad` exactly this code is told, with `good` nothing."""

    what: str
    bad: Mapping[str, str] = field(default_factory=dict)
    good: Mapping[str, str] = field(default_factory=dict)
