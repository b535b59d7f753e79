"""OpenClaw Runtime: agents described in YAML.

What a project's own Python tools may import from here: `tool`, the mark without which no callable
becomes a tool, and `Call`, the annotation by which a tool asks who is calling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openclaw.marker import tool

if TYPE_CHECKING:
    from openclaw.words import Call

__all__ = ["Call", "__version__", "tool"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Call` is imported when somebody asks for it: `openclaw --help` should not wait for the words of a turn."""
    if name == "Call":
        from openclaw.words import Call

        return Call
    raise AttributeError(f"module 'openclaw' has no attribute {name!r}")
