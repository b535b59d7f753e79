"""What a model comes to: which one is asked where none is named, and what it costs."""

from __future__ import annotations

from openclaw import abilities
from openclaw.manifest.builtins import DEFAULT_MODEL
from openclaw.manifest.nodes import Scalar, Unknown
from openclaw.manifest.prices import built_in, listed
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.snapshot import FREE, Price
from openclaw.manifest.specs import below


def default_model(project: Project) -> str:
    root = project.roots.get("models.yaml")
    default = root.get("default") if root else None
    return str(default.value) if isinstance(default, Scalar) and default.value is not Unknown else DEFAULT_MODEL


def price(project: Project, name: str) -> Price | None:
    """Of an alias or an id that this build knows; None where neither the manifest nor this build says what it costs."""
    own = project.all("model").get(name)
    if own is None:
        return built_in(name)
    if own.value("kind") == "scripted":
        return FREE
    if not own.sound:
        return None
    usual = None if "base_url" in own.node.entries else built_in(str(own.value("id", "")))
    return _stated(below(own, "price"), usual) if "price" in own.node.entries else usual


def has_price(project: Project, name: str) -> bool:
    """Whether anybody says what it costs, the list of prices included: that is read only where nobody else does."""
    own = project.all("model").get(name)
    if price(project, name) is not None:
        return True
    return own is not None and listed(str(own.value("id", "")), str(own.value("base_url", ""))) is not None


def has_price_of_searches(project: Project, name: str) -> bool:
    """The same of the searches that its service makes by itself."""
    own, known = project.all("model").get(name), price(project, name)
    if known is None or known.web_search is None:
        known = None if own is None else listed(str(own.value("id", "")), str(own.value("base_url", "")))
    return known is not None and known.web_search is not None


def searches(project: Project, name: str) -> bool:
    """Whether the service of this model is handed the search of the web, where an agent has it."""
    own = project.all("model").get(name)
    if own is None:
        return "web_search" in abilities.of(name)
    if {"capabilities", "base_url"} & own.node.entries.keys():
        return any(named.value == "web_search" for named in own.texts("capabilities"))
    return own.value("kind") != "scripted" and "web_search" in abilities.of(str(own.value("id", "")))


def _stated(stated: Definition, usual: Price | None) -> Price:
    """`usual`: what it costs where nobody says it."""

    def number(key: str, other: float = 0.0) -> float:
        found = stated.value(key)
        return float(found) if isinstance(found, int | float) else other  # nobody has looked at its variable

    input, output = number("input"), number("output")
    known = "web_search" in stated.node.entries
    web_search = number("web_search") if known else usual.web_search if usual else None
    cached = number("cache_read", input * 0.1), number("cache_write", input * 1.25)
    return Price(input, output, *cached, web_search=web_search)
