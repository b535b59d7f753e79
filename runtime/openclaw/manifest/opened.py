"""A list or mapping of a file whose end has not come yet: what was read of it so far.

Knows which keys win where mappings are merged, and nothing of mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from openclaw.manifest.nodes import Entry, MapNode, Node, Scalar


@dataclass(slots=True, eq=False)
class Open:
    """A collection whose end has not come yet. `size` counts its values with aliases expanded."""

    event: Any
    start: int
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: list[MapNode] = field(default_factory=list)
    key: Scalar | None = None
    skip_value: bool = False
    size: int = 1
    shared: bool = False  # an alias stands inside
    refused: bool = False  # a diagnostic says that this is no collection

    @property
    def is_map(self) -> bool:
        return isinstance(self.event, yaml.MappingStartEvent)

    @property
    def whole(self) -> dict[str, Entry]:
        """Own keys first, then those of merged mappings: what is given explicitly wins, then the earlier one."""
        entries = self.entries
        for merged in self.merged:
            for name, entry in merged.entries.items():
                entries.setdefault(name, entry)
        return entries
