"""Rules about the checks of heartbeats: the tool, what it is called with, when it wakes, and that it runs unasked.

Whether a call is allowed is judged by what will judge it when it runs, but for this machine: validation must not
depend on which programs are installed where it happens, so each counts as not installed and is judged by its profile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from openclaw.manifest import conform, expressions, policies, wording
from openclaw.manifest.beats import Beats, check_input
from openclaw.manifest.conform import Fault
from openclaw.manifest.diagnostic import Diagnostic, Related, Span, error, see
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, descend, plain
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.specs import input_schema, tool_spec
from openclaw.near import meant
from openclaw.permissions.policy import Attempt, Condition, Decision, Effect, Policy, Rule

_STATE: Final = Path("/openclaw-state")  # where the state folder is, nobody knows before the runtime starts
_LASTING: Final = ("after", "repeat", "recovered")


def checks(project: Project) -> Iterator[tuple[Definition, Definition]]:
    """Every heartbeat that has a check, and the check."""
    for heartbeat in project.all("heartbeat").values():
        node = heartbeat.get("check")
        if isinstance(node, MapNode):
            yield heartbeat, Definition("check", heartbeat.node.key("check"), node, heartbeat.sound)


def tools_exist(project: Project) -> Iterator[Diagnostic]:
    for _, check in checks(project):
        for tool in check.texts("tool"):
            yield from project.refer("tool", tool)


def wakes_are_meant(project: Project) -> Iterator[Diagnostic]:
    for _, check in checks(project):
        if check.value("wake") != "change":
            continue
        for key in _LASTING:
            value = check.value(key)
            if key in check.node.entries and value is not False and not (key == "after" and value == 1):
                yield error(
                    "check-wake",
                    check.node.key(key),
                    f"`{key}` does not go with `wake: change`: a change is over as soon as it has come",
                    f"remove `{key}`, or write `wake: failure` or `wake: output`",
                )


# ── what it is called with ───────────────────────────────────────────────────────────────────────


def inputs_fit(project: Project) -> Iterator[Diagnostic]:
    for _, check in checks(project):
        tool, given = check.text("tool"), check.get("input")
        schema = input_schema(project, tool.value) if tool else None
        if schema is None or tool is None or not isinstance(given, MapNode | None):
            continue
        root = check_input(project, check)
        if expressions.endless(schema, plain(root)):
            yield from _too_long(check, schema)
            continue
        for fault in conform.misfits(schema, plain(root)):
            yield from _said(fault, root, tool, given)


def _too_long(check: Definition, schema: Any) -> Iterator[Diagnostic]:
    if expressions.sound(schema):
        yield error(
            "wrong-value",
            check.node.key("input"),
            "a text of `input` can be divided in too many ways by a `pattern` of the tool, or of a rule about it",
            "shorten the text, or simplify the pattern",
        )


def _said(fault: Fault, root: MapNode, tool: Scalar, given: MapNode | None) -> Iterator[Diagnostic]:
    node = descend(root, fault.path)
    known = list(fault.schema.get("properties", {}))
    whose = f"`{tool.value}`" if not fault.path else f"`{wording.key_of(fault.path)}`"
    if fault.keyword == "required" and isinstance(node, MapNode):
        extras = [name for name in node.entries if name not in known]
        for name in fault.schema["required"]:
            if name not in node.entries and not any(meant(extra, [name]) for extra in extras):
                place = tool.span if given is None or not given.entries else node.first
                yield error("missing-key", place, f"{whose} needs the input `{name}`", _add(name, given))
    elif fault.keyword == "additionalProperties" and isinstance(node, MapNode):
        for name, entry in node.entries.items():
            if name not in known:
                listed = f"there are: {', '.join(known)}" if known else "remove it; the tool takes none"
                message = f"{whose} has no input `{name}`{meant(name, known)}"
                yield error("unknown-key", entry.key.span, message, listed)
    else:
        yield _misfit(node, wording.key_of(fault.path), fault)


def _add(name: str, given: MapNode | None) -> str:
    return f"add `input: {{{name}: ...}}`" if given is None else f"add `{name}: ...` to `input`"


def _misfit(node: Node, key: str, fault: Fault) -> Diagnostic:
    if fault.keyword == "type":
        return wording.wrong_type(node, key, fault.schema)
    if fault.keyword == "anyOf":
        wanted = " or ".join(dict.fromkeys(wording.expected(each) for each in fault.schema["anyOf"]))
        return error("wrong-type", node.span, f"`{key}`: expected {wanted}, got {wording.found(node)}")
    return wording.wrong_value(node, key, fault.keyword, fault.schema)


# ── may it run unasked ───────────────────────────────────────────────────────────────────────────


def calls_are_allowed(project: Project) -> Iterator[Diagnostic]:
    beats = Beats.of(project)
    for heartbeat, check in checks(project):
        tool, agent = check.text("tool"), project.all("agent").get(beats.agent(heartbeat))
        policy = _policy(project, agent)
        if tool is None or agent is None or policy is None:
            continue
        attempt = _attempt(project, heartbeat.name, check, agent)
        schemas = list(_schemas(policy))
        if attempt is not None and expressions.endless(schemas, attempt.input):
            yield from _too_long(check, schemas)
        elif attempt is not None:
            yield from _judged(tool, attempt, policy)


def _schemas(policy: Policy) -> Iterator[Any]:
    """What the rules say of inputs."""
    for rule in policy.rules:
        yield from (stated.input for stated in (rule.when, rule.unless) if stated is not None)


def _policy(project: Project, agent: Definition | None) -> Policy | None:
    """What judges the agent's calls; None where something of it has had a diagnostic."""
    if agent is None or not agent.sound:
        return None
    return policies.whole_policy(project, str(agent.value("policy")))


def _attempt(project: Project, heartbeat: str, check: Definition, agent: Definition) -> Attempt | None:
    """The call as the runtime would make it; None where something about it is not known, or wrong already."""
    spec = tool_spec(project, str(check.value("tool")))
    given = check_input(project, check)
    if spec is None or not check.sound or _unknown(given):
        return None
    value = plain(given)
    if expressions.endless(spec.input_schema, value) or next(conform.misfits(spec.input_schema, value), None):
        return None
    properties: Mapping[str, Any] = spec.input_schema.get("properties", {})
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    workspace = str(agent.value("workspace", "shared"))
    return Attempt(
        tool=spec,
        input={**defaults, **plain(given)},
        agent=agent.name,
        sender=f"cron:{heartbeat}",
        channel="cron",
        heartbeat=heartbeat,
        workspace=Path(workspace) if workspace.startswith("/") else _STATE / "workspace",
        protected=(Path(project.folder.root), _STATE),
        now=project.now.isoformat(),
    )


def _unknown(node: Node) -> bool:
    match node:
        case Scalar(value):
            return value is Unknown
        case ListNode(items):
            return any(map(_unknown, items))
        case MapNode(entries):
            return any(_unknown(entry.value) for entry in entries.values())


def _judged(tool: Scalar, attempt: Attempt, policy: Policy) -> Iterator[Diagnostic]:
    decision = _decided(attempt, policy)
    if decision.effect is Effect.ALLOW:
        return
    call = f"this call of `{tool.value}`"
    what = f"{call} would be refused" if decision.effect is Effect.DENY else f"nobody can be asked about {call}"
    yield error(
        "check-policy",
        tool.span,
        f"{what}: {decision.reason}",
        _cure(attempt, policy, decision),
        _against(decision),
    )


def _decided(attempt: Attempt, policy: Policy) -> Decision:
    # Brings all of the judgement along; few projects have checks.
    from openclaw.permissions.decide import decide
    from openclaw.permissions.facts import Bare

    return decide(attempt, policy, Bare())


def _against(decision: Decision) -> list[Related]:
    """The rules that stand in the way."""
    forbidding = [rule for rule in decision.rules if rule.effect is not Effect.ALLOW and rule.origin.file]
    places = (Span(rule.origin.file, rule.origin.line, rule.origin.column) for rule in forbidding)
    return [see(place, "this rule decides") for place in places]


def _cure(attempt: Attempt, policy: Policy, decision: Decision) -> str:
    against = [rule for rule in decision.rules if rule.effect is not Effect.ALLOW]
    if against:
        return f"give that rule `except: {{heartbeat: {attempt.heartbeat}}}`, or let another tool check"
    for written in _rules(attempt, decision):
        rule = _read(written)
        if _decided(attempt, replace(policy, rules=(*policy.rules, rule))).effect is Effect.ALLOW:
            return f"add to the rules of policy `{policy.name}`: `- {_flow(written)}`"
    return "describe a tool of your own for it (`shell:` in tools.yaml), and allow that one"


def _rules(attempt: Attempt, decision: Decision) -> Iterator[dict[str, Any]]:
    """Rules that may allow the call, the narrowest first."""
    base: dict[str, Any] = {"allow": attempt.tool.name}
    for name, judged in attempt.tool.judged.items():
        values = attempt.input.get(name)
        listed = [str(each) for each in (values if isinstance(values, list) else [values])]
        if judged == "path" and name in attempt.input:
            base = {**base, "paths": listed}
        elif judged == "url":
            from openclaw.permissions.conditions import host_of

            base = {**base, "hosts": [host for host in map(host_of, listed) if host]}
    own = {"heartbeat": attempt.heartbeat}
    if "command" in attempt.tool.judged.values():
        lines = list(dict.fromkeys(" ".join(segment.argv) for segment in decision.segments))
        programs = list(dict.fromkeys(segment.argv[0] for segment in decision.segments))
        yield {**base, "commands": lines, **own}
        yield {**base, "commands": programs, **own}
    else:
        yield {**base, **own}


def _read(written: Mapping[str, Any]) -> Rule:
    stated: dict[str, Any] = {key: tuple(written[key]) for key in ("commands", "paths", "hosts") if key in written}
    return Rule(Effect.ALLOW, (written["allow"],), Condition(heartbeat=(written["heartbeat"],), **stated))


def _flow(written: Mapping[str, Any]) -> str:
    """The rule as YAML on one line."""
    return f"{{{', '.join(f'{key}: {wording.flow(value)}' for key, value in written.items())}}}"
