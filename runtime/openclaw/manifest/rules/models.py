"""Rules about models.yaml: aliases, stand-ins, ids this build knows, scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from openclaw.manifest.builtins import MODELS
from openclaw.manifest.diagnostic import Diagnostic, error
from openclaw.manifest.near import meant
from openclaw.manifest.nodes import Scalar
from openclaw.manifest.project import Definition, Project


def default_exists(project: Project) -> Iterator[Diagnostic]:
    root = project.roots.get("models.yaml")
    default = root.get("default") if root else None
    if isinstance(default, Scalar) and isinstance(default.value, str):
        yield from project.refer("model", default)


def fallbacks_exist(project: Project) -> Iterator[Diagnostic]:
    for model in project.all("model").values():
        for named in model.texts("fallback"):
            yield from project.refer("model", named)


def fallbacks_end(project: Project) -> Iterator[Diagnostic]:
    """Each stand-in's own stand-ins are asked after it: that must not come back to a model that was asked."""
    models = project.all("model")
    for model in models.values():
        for named in model.texts("fallback"):
            if named.value == model.name:
                yield error(
                    "fallback", named.span, f"`{model.name}` cannot stand in for itself", "name another model, or none"
                )
            elif circle := _way(models, named.value, model.name):
                yield error(
                    "fallback",
                    named.span,
                    f"the models stand in for each other in a circle: {' -> '.join([model.name, *circle])}",
                    "take one of them out of a `fallback`",
                )


def _way(models: Mapping[str, Definition], start: str, end: str) -> list[str]:
    """The names from `start` to `end` along the stand-ins; [] where there is no way."""
    seen, ways = set[str](), [[start]]
    while ways:
        way = ways.pop()
        if way[-1] == end:
            return way
        if way[-1] not in seen and way[-1] in models:
            seen.add(way[-1])
            others = [named.value for named in models[way[-1]].texts("fallback")]
            ways += [[*way, other] for other in others if other != way[-1]]
    return []


def ids_are_known(project: Project) -> Iterator[Diagnostic]:
    """With another server any id may be right; without one it is Anthropic's, and a misspelling fails at every turn."""
    for model in project.all("model").values():
        id = model.text("id")
        own = model.value("kind", "anthropic") != "anthropic" or "base_url" in model.node.entries
        if id is not None and not own and id.value not in MODELS:
            yield error(
                "unknown-model",
                id.span,
                f"this build knows no model `{id.value}`{meant(id.value, MODELS)}",
                f"one of: {', '.join(MODELS)}; a model on another server also needs `base_url`",
            )


def scripts_can_be_followed(project: Project) -> Iterator[Diagnostic]:
    for model in project.all("model").values():
        named = model.text("script")
        if named is None:
            continue
        from openclaw import script

        content = project.folder.read_file(named.value)
        if content is None:
            yield error(
                "missing-file",
                named.span,
                f"no file `{named.value}` (looked in the project folder)",
                "create it, or correct the name",
            )
        elif isinstance(read := script.read(content), script.Problem):
            yield error("script", named.span, f"the script `{named.value}` cannot be followed: {read.reason}")
