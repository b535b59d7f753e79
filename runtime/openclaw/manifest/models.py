"""What a model comes to: which one is asked where none is named, and what it costs."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.builtins import DEFAULT_MODEL
from openclaw.manifest.nodes import Scalar, Unknown
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.snapshot import Price
from openclaw.manifest.specs import below

_PRICES: Final = {
    "claude-opus-5-5": (4.0, 20.0),
    "claude-sonnet-5-5": (2.0, 10.0),
    "claude-haiku-5-5": (0.5, 2.5),
    "claude-fable-5-2": (8.0, 40.0),
    "claude-mythos-5-2": (8.0, 40.0),
    "claude-sonnet-4-6": (3.0, 15.0),
}
"""US dollars for a million tokens that are read, and that are written, at Anthropic's own service."""


def default_model(project: Project) -> str:
    root = project.roots.get("models.yaml")
    default = root.get("default") if root else None
    return str(default.value) if isinstance(default, Scalar) and default.value is not Unknown else DEFAULT_MODEL


def price(project: Project, name: str) -> Price | None:
    """Of an alias or an id that this build knows; None where nobody has said what it costs."""
    own = project.all("model").get(name)
    if own is None:
        return _built_in(name)
    if own.value("kind") == "scripted":
        return Price(0.0, 0.0, 0.0, 0.0)
    if not own.sound:
        return None
    if "price" in own.node.entries:
        return _stated(below(own, "price"))
    return None if "base_url" in own.node.entries else _built_in(str(own.value("id", "")))


def _built_in(id: str) -> Price | None:
    return _price(*_PRICES[id]) if id in _PRICES else None


def _stated(stated: Definition) -> Price:
    def number(key: str, usual: float = 0.0) -> float:
        found = stated.value(key)
        return float(found) if isinstance(found, int | float) else usual  # nobody has looked at its variable

    input, output = number("input"), number("output")
    usual = _price(input, output)
    return Price(input, output, number("cache_read", usual.cache_read), number("cache_write", usual.cache_write))


def _price(input: float, output: float) -> Price:
    return Price(input, output, input * 0.1, input * 1.25)
