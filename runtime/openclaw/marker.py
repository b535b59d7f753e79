"""The mark that makes a Python callable a tool. Imports nothing: a project's module pays nothing for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

MARK = "__openclaw_tool__"


def tool(function: F) -> F:
    """Marks a function, sync or async, as one that agents may be given as a tool.

    Without the mark a manifest cannot name it: `python: os:system` is refused at validation.
    """
    setattr(function, MARK, True)
    return function
