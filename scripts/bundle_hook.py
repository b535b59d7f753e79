"""Puts the schemas and the default project, which live at the top of the repository, into the wheel.

Only into a real wheel: an editable install reads the repository's own files (see openclaw/bundle.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROJECT = (
    "agents",
    "tools.yaml",
    "channels.yaml",
    "heartbeats.yaml",
    "models.yaml",
    "desk_tools.py",
    "tests/scenarios",
    ".env.example",
)


class BundleHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        top = Path(self.root)
        build_data["force_include"][str(top / "schemas")] = "openclaw/_bundle/schemas"
        for name in PROJECT:
            build_data["force_include"][str(top / name)] = f"openclaw/_bundle/project/{name}"
