"""Rules about models.yaml: aliases, stand-ins, ids this build knows, scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from openclaw.manifest.beats import Beats
from openclaw.manifest.builtins import MODELS
from openclaw.manifest.diagnostic import Diagnostic, Span, error, see
from openclaw.manifest.models import default_model, has_price
from openclaw.manifest.nodes import MapNode, Scalar
from openclaw.manifest.project import Definition, Project
from openclaw.near import meant


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


def priceless(project: Project, model: Definition) -> bool:
    """Whether nobody says what it costs. An id that this build does not know has had its diagnostic, unless another
    server answers to it."""
    has_id = "base_url" in model.node.entries or str(model.value("id")) in MODELS
    return model.sound and has_id and not has_price(project, model.name)


def unknown_cost(key: str, span: Span, model: Definition) -> Diagnostic:
    name = model.name
    return error(
        "max-cost",
        span,
        f"`{key}` cannot be kept: nobody has said what model `{name}` costs",
        f"add to `{name}` in models.yaml, with its prices for a million tokens: "
        "`price: {input: 3, output: 15}`; 0 where it is free",
        [see(model.key, f"`{name}` is described here")],
    )


def budgets_can_be_kept(project: Project) -> Iterator[Diagnostic]:
    """A day's costs are known where those of every model are that may answer for the agent."""
    if "model" in project.unreadable:
        return
    seen = set[tuple[Span, str]]()
    for agent in project.agents():
        limits = agent.get("limits")
        most = limits.get("usd_per_day") if isinstance(limits, MapNode) else None
        if most is None:
            continue
        for model in _answering(project, agent):
            if (most.span, model.name) not in seen and priceless(project, model):
                seen.add((most.span, model.name))
                yield unknown_cost("usd_per_day", most.span, model)


def _answering(project: Project, agent: Definition) -> list[Definition]:
    """Its own model, those of its heartbeats, and whatever stands in for one of them."""
    models, beats = project.all("model"), Beats.of(project)
    named = [str(agent.value("model", default_model(project)))]
    named += [beats.model(one) for one in project.all("heartbeat").values() if beats.agent(one) == agent.name]
    found: dict[str, Definition] = {}
    while named:
        name = named.pop(0)
        if name in models and name not in found:
            found[name] = models[name]
            named += [str(each.value) for each in models[name].texts("fallback")]
    return list(found.values())


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
