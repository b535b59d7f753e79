"""Rules about models.yaml: aliases, stand-ins, ids this build knows, scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from openclaw.manifest.beats import Beats
from openclaw.manifest.builtins import MODELS
from openclaw.manifest.diagnostic import Diagnostic, Span, error, see, warning
from openclaw.manifest.models import default_model, has_price, has_price_of_searches, searches
from openclaw.manifest.nodes import MapNode, Node, Scalar
from openclaw.manifest.policies import whole_policy
from openclaw.manifest.project import Definition, Project
from openclaw.near import meant
from openclaw.permissions.policy import Effect


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
        most = _most_a_day(agent)
        if most is None:
            continue
        for model in _answering(project, agent):
            if (most.span, model.name) not in seen and priceless(project, model):
                seen.add((most.span, model.name))
                yield unknown_cost("usd_per_day", most.span, model)


def searches_are_held_to_limits(project: Project) -> Iterator[Diagnostic]:
    """Searches that a service makes by itself count at a limit only where somebody says what they cost."""
    if "model" in project.unreadable:
        return
    seen, beats, agents = set[tuple[Span, str]](), Beats.of(project), project.all("agent")
    limits = [("usd_per_day", _most_a_day(agent), agent, _answering(project, agent)) for agent in project.agents()]
    for heartbeat in project.all("heartbeat").values():
        if (most := heartbeat.get("max_cost_usd")) is not None and (agent := agents.get(beats.agent(heartbeat))):
            limits.append(("max_cost_usd", most, agent, _with_stand_ins(project, [beats.model(heartbeat)])))
    for key, most, agent, models in limits:
        if most is None or not _names_the_search(project, agent):
            continue
        for model in models:
            if (most.span, model.name) not in seen and _searches_unpriced(project, model) and _unasked(project, agent):
                seen.add((most.span, model.name))
                yield warning(
                    "max-cost",
                    most.span,
                    f"`{key}` does not hold searches of the web: nobody has said what those of model `{model.name}` "
                    "cost",
                    f"add `web_search: 10` to the `price` of `{model.name}` in models.yaml, in US dollars for a "
                    "thousand; 0 where they are free",
                    [see(model.key, f"`{model.name}` is described here")],
                )


def _most_a_day(agent: Definition) -> Node | None:
    limits = agent.get("limits")
    return limits.get("usd_per_day") if isinstance(limits, MapNode) else None


def _names_the_search(project: Project, agent: Definition) -> bool:
    own = project.all("tool")
    return "web_search" not in own and any(fnmatchcase("web_search", one.value) for one in agent.texts("tools"))


def _searches_unpriced(project: Project, model: Definition) -> bool:
    """One without any price has had its diagnostic."""
    known = model.sound and searches(project, model.name) and has_price(project, model.name)
    return known and not has_price_of_searches(project, model.name)


def _unasked(project: Project, agent: Definition) -> bool:
    """Whether the search is handed to the service: where no rule wants to look at a call of it."""
    from openclaw.permissions.decide import standing  # brings all of the judgement along, and is rarely needed

    policy = whole_policy(project, str(agent.value("policy")))
    return policy is not None and standing(policy, "web_search") is Effect.ALLOW


def _answering(project: Project, agent: Definition) -> list[Definition]:
    """Its own model, those of its heartbeats, and whatever stands in for one of them."""
    beats = Beats.of(project)
    named = [str(agent.value("model", default_model(project)))]
    named += [beats.model(one) for one in project.all("heartbeat").values() if beats.agent(one) == agent.name]
    return _with_stand_ins(project, named)


def _with_stand_ins(project: Project, named: Iterable[str]) -> list[Definition]:
    models, left = project.all("model"), list(named)
    found: dict[str, Definition] = {}
    while left:
        name = left.pop(0)
        if name in models and name not in found:
            found[name] = models[name]
            left += [str(each.value) for each in models[name].texts("fallback")]
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
