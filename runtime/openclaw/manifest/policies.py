"""Policies as the permission layer knows them: own rules, those of included policies, those of the floor.

Every rule remembers where it stands. Broken rules are left out here because their diagnostics stop the
snapshot as a whole; nothing is ever loosened by that. What sound rules of a broken project forbid is had apart.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from openclaw.durations import seconds
from openclaw.manifest.builtins import FLOOR
from openclaw.manifest.diagnostic import Diagnostic, Span
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, plain, texts
from openclaw.manifest.project import Definition, Project
from openclaw.permissions.policy import Condition, Effect, Origin, Policy, Rule, Sandbox

MOST_JOINED: Final = 100_000  # policies, rules and includes, in all policies with what they include
EFFECTS: Final = {"allow": Effect.ALLOW, "ask": Effect.ASK, "deny": Effect.DENY}
_SANDBOX: Final[Mapping[str, Sandbox]] = {"auto": "auto", "required": "required", "off": "off"}
_STATED: Final = {
    "commands": "commands", "paths": "paths", "hosts": "hosts",
    "from": "sender", "channel": "channel", "room": "room", "heartbeat": "heartbeat",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class RuleNode:
    """A rule in the manifest: the policy it stands in, its effect's key, the tools it names."""

    policy: str
    node: Definition
    effect: str
    tools: list[Scalar]
    sound: bool  # False where something of it has had a diagnostic already

    def conditions(self) -> list[Definition]:
        """The rule's own conditions, and those of its `except`."""
        unless = self.node.get("except")
        return [self.node, *([Definition("except", self.node.key, unless)] if isinstance(unless, MapNode) else [])]


def rule_nodes(project: Project, policy: Definition) -> Iterator[RuleNode]:
    rules = policy.get("rules")
    for item in rules.items if isinstance(rules, ListNode) else ():
        if not isinstance(item, MapNode):
            continue
        effect = next((key for key in EFFECTS if key in item.entries), None)
        if effect is not None:
            yield RuleNode(
                policy.name,
                Definition(policy.name, item.first, item),
                effect,
                texts(item.get(effect)),
                id(item) not in project.faulty,
            )


def all_rules(project: Project) -> Iterator[RuleNode]:
    for policy in project.all("policy").values():
        yield from rule_nodes(project, policy)


def build(project: Project) -> dict[str, Policy]:
    """None at all where they hold too much of one another: a rule tells that, and nothing is built on a part."""
    own = {name: tuple(map(rule, rule_nodes(project, each))) for name, each in project.all("policy").items()}
    return _joined(project, {**own, "": tuple(_after_strangers(project))})


def _joined(project: Project, own: Mapping[str, Sequence[Rule]]) -> dict[str, Policy]:
    included = {name: len(each.texts("include")) for name, each in project.all("policy").items()}
    built: dict[str, Policy] = {}
    left = MOST_JOINED
    for name, policy in project.all("policy").items():
        joined = [*(each for each in reach(project, name) if each != FLOOR), FLOOR, ""]
        left -= sum(1 + len(own.get(each, ())) + included.get(each, 0) for each in joined)
        if left < 0:
            return {}
        built[name] = _policy(policy, [each for one in joined for each in own.get(one, ())])
    return built


# ── what a broken project still forbids ──────────────────────────────────────────────────────────


def prohibitions(project: Project, found: Iterable[Diagnostic]) -> dict[str, Policy]:
    """The policies of a project with errors (`found`), with those of their ask and deny rules that are sound by
    themselves. A rule that names what is not there is sound: it may be there in the project it is laid over."""
    wrong: dict[str, set[int]] = {}
    for said in found:
        if said.severity == "error" and not said.code.startswith("unknown-"):
            wrong.setdefault(said.file, set()).add(said.line)
    own: dict[str, tuple[Rule, ...]] = {
        name: tuple(rule(node) for node in rule_nodes(project, each) if _forbids_soundly(node, wrong))
        for name, each in project.all("policy").items()
    }
    marks = [each for each in _after_strangers(project) if project.all("tool")[each.tools[0]].sound]
    return _joined(project, {**own, "": tuple(marks)})


def _forbids_soundly(node: RuleNode, wrong: Mapping[str, set[int]]) -> bool:
    lines = range(node.node.key.line, _last_line(node.node.node) + 1)
    at_fault = wrong.get(node.node.key.file, set())
    return node.sound and node.effect != "allow" and bool(node.tools) and at_fault.isdisjoint(lines)


def _last_line(node: Node) -> int:
    match node:
        case MapNode():
            return max([node.span.line, *(_last_line(entry.value) for entry in node.entries.values())])
        case ListNode():
            return max([node.span.line, *map(_last_line, node.items)])
        case _:
            return node.span.end_line


def forbidding(policy: Policy) -> Policy:
    """What it forbids, alone."""
    return replace(policy, rules=tuple(each for each in policy.rules if each.effect is not Effect.ALLOW))


def laid(policies: Mapping[str, Policy], over: Mapping[str, Policy]) -> tuple[dict[str, Policy], tuple[Rule, ...]]:
    """Policies under which all that they and `over` forbid is forbidden, and what rules came to them. Of those that
    have no counterpart of their name the rules join every policy, as the floor's do."""
    everywhere = [
        each
        for name, policy in over.items()
        for each in policy.rules
        if name not in policies or each.policy in (FLOOR, "")
    ]
    built: dict[str, Policy] = {}
    came: dict[str, Rule] = {}
    for name, policy in policies.items():
        known = {_meaning(each) for each in policy.rules}
        own = over[name].rules if name in over else ()
        more = {key: each for each in (*own, *everywhere) if (key := _meaning(each)) not in known}
        came.update(more)
        default = max(policy.default, over[name].default) if name in over else policy.default
        built[name] = replace(policy, rules=(*policy.rules, *more.values()), default=default)
    return built, tuple(came.values())


def _meaning(of: Rule) -> str:
    return repr(replace(of, origin=Origin("", 0, 0), reason=None))


def _policy(policy: Definition, rules: Iterable[Rule]) -> Policy:
    within = seconds(str(policy.value("answer_within", "")))
    return Policy(
        policy.name,
        tuple(rules),
        Effect.DENY if policy.value("default") == "deny" else Effect.ASK,
        tuple(str(each.value) for each in policy.texts("approvers")),
        300.0 if within is None else within,
        _SANDBOX.get(str(policy.value("sandbox", "auto")), "required"),
        tuple(_canonical(str(each.value)) for each in policy.texts("trusted_repositories")),
    )


def _canonical(path: str) -> Path:
    """Where it leads now: a link that is turned elsewhere later is trusted no more."""
    named = Path(path.replace("\0", "?"))  # what holds a NUL, or names nobody's home, has been told
    with contextlib.suppress(RuntimeError):
        named = named.expanduser()
    return Path(os.path.realpath(named))


def _after_strangers(project: Project) -> Iterator[Rule]:
    """Tools that are marked `taint: ask` ask under every policy once strangers' material is in the session."""
    for tool in project.all("tool").values():
        mark = tool.text("taint")
        if mark is None or mark.value != "ask":
            continue
        at, when = tool.node.key("taint"), Condition(tainted=True)
        why = "strangers' material is in this conversation"
        yield Rule(Effect.ASK, (tool.name,), when, id=f"taint:{tool.name}", reason=why, origin=_origin(at))


def reach(project: Project, name: str) -> list[str]:
    """A policy and everything it includes, directly or not, each once."""
    known = project.all("policy")
    found = dict.fromkeys([name] if name in known else [])
    todo = deque(found)
    while todo:
        for include in known[todo.popleft()].texts("include"):
            each = str(include.value)
            if each in known and each not in found:
                found[each] = None
                todo.append(each)
    return list(found)


def whole_policy(project: Project, name: str) -> Policy | None:
    """A policy with all that joins it; None where there is none, or something of that has had a diagnostic."""
    known = project.all("policy")
    if name not in project.policies:
        return None
    joined = [*reach(project, name), FLOOR]
    if "policy" in project.unreadable or not all(known[each].sound for each in joined if each in known):
        return None
    return project.policies.get(name)


def rule(node: RuleNode) -> Rule:
    unless = node.node.get("except")
    at = node.node.node.key(node.effect)
    return Rule(
        effect=EFFECTS[node.effect],
        tools=tuple(str(tool.value) for tool in node.tools),
        when=condition(node.node.node),
        unless=condition(unless) if isinstance(unless, MapNode) else None,
        id=_word(node.node, "id"),
        reason=_word(node.node, "reason"),
        until=_word(node.node, "until"),
        unsafe=node.node.value("unsafe") is True,
        network=node.node.value("network") is True,
        writes=node.node.value("writes") is True,
        policy=node.policy,
        origin=_origin(at),
    )


def _origin(at: Span) -> Origin:
    return Origin(at.file, at.line, at.column)


def condition(node: MapNode) -> Condition:
    stated: dict[str, Any] = {ours: _names(node.get(key)) for key, ours in _STATED.items()}
    inputs = node.get("input")
    values = plain(inputs) if isinstance(inputs, MapNode) else None
    tainted = found.value if isinstance(found := node.get("tainted"), Scalar) else None
    return Condition(**stated, input=values, tainted=tainted if isinstance(tainted, bool) else None)


def _names(node: Node | None) -> tuple[str, ...] | None:
    return None if node is None else tuple(str(each.value) for each in texts(node))


def _word(node: Definition, key: str) -> str | None:
    value = node.value(key)
    return None if value is None or value is Unknown else str(value)
