"""Where the schemas and the default project are: inside an installed package, or at the repository's top.

Both live once, at the top level of the repository; the wheel carries copies in `_bundle/`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

KINDS: Final = ("agent", "defaults", "tools", "policies", "channels", "heartbeats", "models", "scenario")


@cache
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a manifest kind; callers leave it as it is."""
    path = _home()[0] / f"{kind}.schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def project_files() -> Path:
    """The folder that holds the default project."""
    return _home()[1]


def examples() -> dict[str, Path]:
    """Where the projects of `openclaw init --from` are, by name; the first is the default project."""
    others = sorted(path for path in Path(__file__).with_name("examples").iterdir() if path.is_dir())
    return {"assistant": project_files(), **{path.name: path for path in others}}


@cache
def _home() -> tuple[Path, Path]:
    package = Path(__file__).resolve().parent
    bundled = package / "_bundle"
    if bundled.is_dir():
        return bundled / "schemas", bundled / "project"
    top = package.parent.parent
    return top / "schemas", top
