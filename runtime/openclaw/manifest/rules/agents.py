"""Rules about agents: who answers by default, prefixes, souls, and what agents refer to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from posixpath import relpath

from openclaw import abilities
from openclaw.manifest.builtins import COMMANDS, FLOOR, MODELS
from openclaw.manifest.diagnostic import Diagnostic, Span, error, see, warning
from openclaw.manifest.models import default_model
from openclaw.manifest.nodes import MapNode, Scalar
from openclaw.manifest.policies import whole_policy
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.channels import zone
from openclaw.near import meant, near
from openclaw.permissions.policy import Condition, Effect, Policy

_ID = re.compile(r"[a-z][a-z0-9-]*")


def there_are_agents(project: Project) -> Iterator[Diagnostic]:
    if not project.all("agent") and "agent" not in project.unreadable:
        yield error(
            "no-agents",
            Span("agents"),
            "the project has no agent",
            "describe one in agents/<id>.yaml; `openclaw init` writes an example",
        )


def ids_are_names(project: Project) -> Iterator[Diagnostic]:
    for agent in project.all("agent").values():
        if not _ID.fullmatch(agent.name):
            better = re.sub(r"[^a-z0-9-]+", "-", agent.name.lower()).strip("-0123456789")
            yield error(
                "agent-id",
                Span(agent.key.file),
                f"`{agent.name}` cannot be an agent's id; expected lower-case letters, digits and dashes",
                f"rename the file to {better or 'agent'}.yaml",
            )


def one_is_the_default(project: Project) -> Iterator[Diagnostic]:
    agents = list(project.all("agent").values())
    chosen = [agent for agent in agents if agent.value("default") is True]
    for second in chosen[1:]:
        yield error(
            "default-agent",
            second.node.key("default"),
            f"agent `{chosen[0].name}` is the default already ({chosen[0].node.key('default')})",
            "remove `default: true` from one of them",
            [see(chosen[0].node.key("default"), "the other default")],
        )
    # A broken agent may be the one: then nothing is missing.
    if len(agents) > 1 and not chosen and all(agent.sound for agent in agents) and "agent" not in project.unreadable:
        yield error(
            "default-agent",
            agents[0].node.first,
            f"none of the {len(agents)} agents is the default",
            "add `default: true` to one of them",
        )


def prefixes_are_free(project: Project) -> Iterator[Diagnostic]:
    taken: dict[str, tuple[Definition, Scalar]] = {}
    for agent in project.agents():
        prefix = agent.text("prefix")
        if prefix is None:
            continue
        if prefix.value.startswith("/") and prefix.value[1:] in COMMANDS:
            yield error("prefix", prefix.span, f"`{prefix.value}` is a built-in command", "choose another word")
        elif prefix.value in taken:
            other, where = taken[prefix.value]
            yield error(
                "prefix",
                prefix.span,
                f"prefix `{prefix.value}` is already used by agent `{other.name}` ({where.span})",
                "choose another word",
                [see(where.span, f"used by `{other.name}`")],
            )
        else:
            taken[prefix.value] = (agent, prefix)


# ── souls ────────────────────────────────────────────────────────────────────────────────────────


def soul_path(named: Scalar) -> str | None:
    """The project path of a soul, relative to the manifest that names it; None outside the project."""
    parts: list[str] = []
    for part in (*PurePosixPath(named.span.file).parent.parts, *PurePosixPath(named.value).parts):
        if part == "/" or (part == ".." and not parts):
            return None
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def default_soul(agent: Definition) -> str:
    return agent.key.file.removesuffix(".yaml") + ".md"


def souls_can_be_read(project: Project) -> Iterator[Diagnostic]:
    for agent in project.agents():
        for named in agent.texts("soul"):
            yield from _soul(project, named)
        file = default_soul(agent)
        if agent.get("soul") is None and file in project.folder.files:
            fault = _unfit(project.folder.files[file])
            if fault:
                yield error("soul", Span(file), f"the soul {fault}", f"write who `{agent.name}` is, or delete the file")


def _soul(project: Project, named: Scalar) -> Iterator[Diagnostic]:
    path = soul_path(named)
    if path is None:
        yield error("soul", named.span, f"`{named.value}` is outside the project", "copy the file next to the manifest")
        return
    content = project.folder.read_file(path)
    if content is None and _is_folder(project, path):
        yield error("soul", named.span, f"`{named.value}` is a folder", "name a file in it")
    elif content is None:
        folder = str(PurePosixPath(path).parent)
        beside = [
            relpath(file, PurePosixPath(named.span.file).parent)
            for file in project.folder.files
            if file.endswith(".md") and PurePosixPath(file).is_relative_to(folder)
        ]
        yield error(
            "missing-file",
            named.span,
            f"no file `{named.value}` (looked next to this manifest){meant(named.value, beside)}",
            f"create {path}, or correct the name",
        )
    elif fault := _unfit(content):
        yield error("soul", named.span, f"the soul {path} {fault}", "write who the agent is, or remove the key")


def _is_folder(project: Project, path: str) -> bool:
    folder = project.folder
    return any(file.startswith(f"{path}/") for file in folder.files) or (
        folder.on_disk and Path(folder.root, path).is_dir()
    )


def _unfit(content: bytes) -> str | None:
    if len(content) > 1 << 20:
        return "is longer than 1 MiB"
    try:
        return None if content.decode("utf-8-sig").strip() else "is empty"
    except UnicodeDecodeError:
        return "is not UTF-8 text"


HUGE_SOUL = 64 << 10  # bytes
_TOKEN = 4  # bytes of one, roughly


def souls_are_no_books(project: Project) -> Iterator[Diagnostic]:
    """All of an agent's soul goes to the model with every request."""
    told: set[tuple[str, ...]] = set()
    for agent in project.agents():
        named = agent.texts("soul")
        paths = tuple(path for each in named if (path := soul_path(each))) if named else (default_soul(agent),)
        sizes = {path: len(content) for path in paths if (content := _read(project, path, named)) is not None}
        total = sum(sizes.values())
        if total <= HUGE_SOUL or paths in told or any(size > 1 << 20 for size in sizes.values()):
            continue
        told.add(paths)
        files = paths[0] if len(sizes) == 1 else f"{len(sizes)} files"
        yield warning(
            "soul-huge",
            named[0].span if named else Span(default_soul(agent)),
            f"the soul of `{agent.name}` ({files}) has {total:,} bytes, "
            f"about {total // _TOKEN:,} tokens in every request",
            f"keep it below {HUGE_SOUL:,} bytes; put what is seldom needed where a tool can read it",
        )


def _read(project: Project, path: str, named: list[Scalar]) -> bytes | None:
    return project.folder.read_file(path) if named else project.folder.files.get(path)


# ── what agents refer to ─────────────────────────────────────────────────────────────────────────


def tools_exist(project: Project) -> Iterator[Diagnostic]:
    names = project.names("tool")
    for agent in project.agents():
        for tool in agent.texts("tools"):
            if not any(sign in tool.value for sign in "*?["):
                yield from project.refer("tool", tool)
            elif "tool" not in project.unreadable and not any(fnmatchcase(name, tool.value) for name in names):
                yield error(
                    "unknown-tool",
                    tool.span,
                    f"`{tool.value}` matches none of the {len(names)} tools{meant(tool.value.strip('*'), names)}",
                    f"there are: {', '.join(names)}",
                )


def policies_exist(project: Project) -> Iterator[Diagnostic]:
    for agent in project.agents():
        policy = agent.text("policy")
        if policy is None:
            continue
        if policy.value == FLOOR:
            yield error("policy-floor", policy.span, f"`{FLOOR}` joins every policy by itself", "name another policy")
        else:
            yield from project.refer("policy", policy)


def models_exist(project: Project) -> Iterator[Diagnostic]:
    for agent in project.agents():
        model = agent.text("model")
        if model is not None:
            yield from project.refer("model", model)


def workspaces_are_outside(project: Project) -> Iterator[Diagnostic]:
    root = PurePosixPath(project.folder.root)
    for agent in project.agents():
        named = agent.text("workspace")
        if named is None or named.value in ("own", "shared"):
            continue
        path = PurePosixPath(named.value)
        close = near(named.value, ["own", "shared"])
        if not path.is_absolute() or ".." in path.parts:
            hint = f"; did you mean `{close}`?" if close else ""
            yield error(
                "workspace",
                named.span,
                f"`{named.value}` is neither `own`, `shared` nor an absolute path{hint}",
                "write `workspace: own`, `workspace: shared` or the whole path",
            )
        elif path.is_relative_to(root) or root.is_relative_to(path):
            yield error(
                "workspace",
                named.span,
                f"`{named.value}` is not apart from the project, so an agent could change its own manifests",
                "name a folder outside the project",
            )


def compaction_keeps_less(project: Project) -> Iterator[Diagnostic]:
    for agent in project.agents():
        node = agent.get("compaction")
        if not isinstance(node, MapNode):
            continue
        limits = Definition(agent.name, agent.key, node)
        at, keep = limits.value("at_tokens", 100_000), limits.value("keep_tokens", 0)  # the default follows `at`
        if type(at) is int and type(keep) is int and keep >= at:
            key = "keep_tokens" if "keep_tokens" in node.entries else "at_tokens"
            value = node.get(key)
            yield error(
                "wrong-value",
                value.span if value else node.span,
                f"`keep_tokens` ({keep}) must be less than `at_tokens` ({at})",
                f"for example `keep_tokens: {at // 2}`",
            )


def services_make_summaries(project: Project) -> Iterator[Diagnostic]:
    """Where an agent leaves its summaries to the service of its model, that service has to make some."""
    for agent in project.agents():
        node = agent.get("compaction")
        mode = Definition(agent.name, agent.key, node).text("mode") if isinstance(node, MapNode) else None
        if mode is None or mode.value != "server":
            continue
        alias = str(agent.value("model", default_model(project)))
        if why := _no_summaries(project.all("model").get(alias), alias):
            yield error(
                "wrong-value",
                mode.span,
                f"`mode: server` is not to be had: {why}",
                "write `mode: own`, or another model",
            )


def _no_summaries(model: Definition | None, alias: str) -> str:
    """Why its service makes none; "" where it does, or where the model has had its diagnostic."""
    id = alias if model is None else str(model.value("id", ""))
    if model is not None:
        if (kind := model.value("kind", "anthropic")) != "anthropic":
            return f"`{alias}` is of the kind `{kind}`, which has no service"
        if {"capabilities", "base_url"} & model.node.entries.keys():
            stated = [named.value for named in model.texts("capabilities")]
            return "" if "compaction" in stated else f"`{alias}` does not name `compaction` among its `capabilities`"
    return (
        f"Anthropic's service makes none with `{id}`" if id in MODELS and "compaction" not in abilities.of(id) else ""
    )


def session_time_zones_exist(project: Project) -> Iterator[Diagnostic]:
    for agent in project.agents():
        node = agent.get("session")
        if isinstance(node, MapNode):
            yield from zone(Definition(agent.name, agent.key, node).text("timezone"))


def tools_are_not_all_denied(project: Project) -> Iterator[Diagnostic]:
    """What agents inherit stands in one place, and is told there once."""
    told: dict[tuple[Span, str], list[str]] = {}
    denying = {name: policy for name, policy in project.policies.items() if _denies_a_tool(policy)}
    for agent in project.agents():
        policy = denying.get(str(agent.value("policy")))
        for tool in agent.texts("tools") if policy is not None else ():
            if policy is not None and _always_denied(project, policy, tool):
                told.setdefault((tool.span, policy.name), []).append(agent.name)
    for (span, name), agents in told.items():
        tool = _at(project, agents[0], span)
        yield warning(
            "tool-denied",
            span,
            f"policy `{name}` always denies {_quoted(tool)}, "
            f"so {_several(agents)} never {'sees' if len(agents) == 1 else 'see'} {_it(tool)}",
            "remove the tool here, or the rule there",
        )


def _always_denied(project: Project, policy: Policy, tool: Scalar) -> bool:
    """Of a glob: all that it matches. To take one of them from a policy's agents is what a deny is for. A tool that
    does not exist has had its diagnostic."""
    from openclaw.permissions.decide import hidden  # brings all of the judgement along, and is rarely needed

    known = [name for name in _matched(project, tool) if name in project.names("tool")]
    return bool(known) and all(hidden(policy, name) for name in known)


def _matched(project: Project, tool: Scalar) -> list[str]:
    """The tools that an agent's entry stands for; the entry itself where there are none."""
    if tool.value in project.names("tool") or "tool" in project.unreadable:
        return [tool.value]
    return [name for name in project.names("tool") if fnmatchcase(name, tool.value)] or [tool.value]


def _at(project: Project, agent: str, span: Span) -> Scalar:
    return next(tool for tool in project.all("agent")[agent].texts("tools") if tool.span == span)


def _quoted(tool: Scalar) -> str:
    return f"all that `{tool.value}` matches" if any(sign in tool.value for sign in "*?[") else f"`{tool.value}`"


def _it(tool: Scalar) -> str:
    return "any of it" if any(sign in tool.value for sign in "*?[") else "it"


def _several(agents: list[str]) -> str:
    rest = f" and {len(agents) - 1} more" if len(agents) > 1 else ""
    return f"`{agents[0]}`{rest}"


def tools_are_decided(project: Project) -> Iterator[Diagnostic]:
    """Under `default: deny` a tool that no rule speaks of is refused, every call of it."""
    told: dict[tuple[Span, str], list[str]] = {}
    spoken: dict[str, Callable[[str], bool]] = {}
    for agent in project.agents():
        policy = whole_policy(project, str(agent.value("policy")))
        if policy is None or policy.default is not Effect.DENY or "tool" in project.unreadable:
            continue
        for tool in agent.texts("tools"):
            # One that is denied outright is told so; one that does not exist, as well.
            names = [name for name in _matched(project, tool) if name in project.names("tool")]
            if policy.name not in spoken:
                spoken[policy.name] = _spoken_of(policy)
            if names and not any(map(spoken[policy.name], names)) and not _denied(project, policy, tool):
                told.setdefault((tool.span, policy.name), []).append(agent.name)
    for (span, name), agents in told.items():
        tool = _at(project, agents[0], span)
        yield warning(
            "tool-undecided",
            span,
            f"no rule of policy `{name}` speaks of {_quoted(tool)} and its default is `deny`, "
            f"so {_several(agents)} may never use {_it(tool)}",
            f"add `- allow: {tool.value}` or `- ask: {tool.value}` to the rules of `{name}`, or remove the tool here",
        )


def _denied(project: Project, policy: Policy, tool: Scalar) -> bool:
    return _denies_a_tool(policy) and _always_denied(project, policy, tool)


def _spoken_of(policy: Policy) -> Callable[[str], bool]:
    """Whether there is a rule that can let a tool run, at once or once somebody agreed."""
    named = {name for rule in policy.rules if rule.effect is not Effect.DENY for name in rule.tools}
    globs = [name for name in named if any(sign in name for sign in "*?[")]
    return lambda tool: tool in named or any(fnmatchcase(tool, glob) for glob in globs)


def _denies_a_tool(policy: Policy) -> bool:
    return any(rule.effect is Effect.DENY and rule.when == Condition() for rule in policy.rules)
