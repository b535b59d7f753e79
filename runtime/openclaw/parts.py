"""What a runtime is made of beside its clock and its manifests, as one value: a simulation hands in others.

The law: left out, each part is the real one, and nothing else of a runtime is ever replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from openclaw import adapters
from openclaw.manifest.folder import Folder
from openclaw.names import CHANCE, Chance
from openclaw.permissions.facts import Facts
from openclaw.reading import Loaded, Reading, read

Kinds = Callable[[str, str], Any]
"""The class of one kind, by its folder and its name: of stores, providers, tools, channels, doorbells."""


class Reader(Protocol):
    """Reads and compiles a project, as `openclaw.reading.read` does."""

    def __call__(
        self,
        root: Path,
        now: datetime,
        imports_from: Path | None = None,
        *,
        env_from: Path | None = None,
        folder: Folder | None = None,
        loaded: Loaded | None = None,
    ) -> Reading: ...


@dataclass(frozen=True, slots=True)
class Parts:
    kind: Kinds = adapters.kind
    read: Reader = read
    chance: Chance = CHANCE
    without: frozenset[str] = frozenset()  # what takes no part: tasks by their names, as one that needs a real socket
    facts: Facts | None = None  # what decisions are told of the machine; None: what it is, tried out
    attended: Callable[[], bool] | None = None  # whether somebody sits at the terminal; None: whoever asks looks


REAL = Parts()
