"""Rules about rules that never decide: behind another one, or with conditions that nothing can meet.

Told is only what is proven, and as a warning: such a rule does no harm but to whoever counts on it. What another
rule of the same policy settles without any conditions is told in `policies`, as an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from openclaw.manifest import expressions, policies
from openclaw.manifest.builtins import BUILTINS, FLOOR
from openclaw.manifest.diagnostic import Diagnostic, Span, see, warning
from openclaw.manifest.nodes import MapNode, Node, Scalar, Unknown, plain
from openclaw.manifest.policies import RuleNode, all_rules, rule_nodes
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.specs import tool_spec
from openclaw.permissions import patterns
from openclaw.permissions.covers import covers
from openclaw.permissions.policy import Condition, Effect, Policy, Rule

_Place: TypeAlias = tuple[str, int, int]
WHAT: Final = ("commands", "paths", "hosts")
_MOST: Final = 200_000  # entries that are compared, about half a second's worth


def rules_decide(project: Project) -> Iterator[Diagnostic]:
    """Every rule of a policy decides something that no other rule of it decides as strictly."""
    named, patience, defaults = Named(project), _Patience(), _strictest_defaults(project)
    for policy in project.all("policy").values():
        joined = policies.whole_policy(project, policy.name)
        if joined is None:
            continue
        by_tool = named.by_tool(joined)
        default = defaults[policy.name]
        before: set[_Place] = set()
        for node in rule_nodes(project, policy):
            rule = replace(policies.rule(node), tools=named.of(policies.rule(node).tools))
            if not refused(node):
                yield from _settled(node, rule, _Behind(rule, by_tool, before, default, patience), named)
            before.add(_place(rule))


def refused(node: RuleNode) -> bool:
    """Whether one of its commands has had a diagnostic."""
    effect, unsafe = policies.EFFECTS[node.effect], node.effect != "allow" or node.node.value("unsafe") is True
    entries = node.node.texts("commands")
    return any(patterns.check_pattern(str(entry.value), unsafe=unsafe, effect=effect) is not None for entry in entries)


class Named:
    """Which tools the names and globs of rules stand for; each is asked for once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tool for name in names for tool in self._one(name)))

    def _one(self, name: str) -> tuple[str, ...]:
        if name not in self._known:
            glob = any(sign in name for sign in "*?[")
            self._known[name] = (
                tuple(each for each in self._project.names("tool") if fnmatchcase(each, name)) if glob else (name,)
            )
        return self._known[name]

    def by_tool(self, policy: Policy) -> dict[str, list[Rule]]:
        found: dict[str, list[Rule]] = {}
        for rule in policy.rules:
            for tool in self.of(rule.tools):
                found.setdefault(tool, []).append(rule)
        return found


def _strictest_defaults(project: Project) -> dict[str, Effect]:
    """Of each policy, among all policies that its rules join."""
    found: dict[str, Effect] = {}
    for name, policy in project.policies.items():
        for joined in [*policies.reach(project, name), FLOOR]:
            found[joined] = max(found.get(joined, policy.default), policy.default)
    return found


def _place(rule: Rule) -> _Place:
    return rule.origin.file, rule.origin.line, rule.origin.column


class _Patience:
    """How many more comparisons of two rules are worth their time: in a policy of thousands some stay unsaid."""

    def __init__(self) -> None:
        self._left = _MOST

    def has(self, one: Rule, other: Rule) -> bool:
        self._left -= 1 + _size(one) * _size(other)
        return self._left > 0


def _size(rule: Rule) -> int:
    return max(len(getattr(rule.when, key) or ()) for key in WHAT) or 1


@dataclass(frozen=True, slots=True, eq=False)
class _Behind:
    """The rules that a rule may stand behind: `before` are the places of those further up in its own policy."""

    rule: Rule
    by_tool: Mapping[str, Sequence[Rule]]
    before: set[_Place]
    default: Effect
    patience: _Patience

    def wide(self, narrow: Rule) -> Rule | None:
        """The rule that settles this part of it, if there is one."""
        for other in self.by_tool.get(narrow.tools[0], ()) if narrow.tools else ():
            if not self.patience.has(other, narrow):
                return None
            if self._may(other) and covers(other, narrow, self.default) and not self._told_there(other, narrow):
                return other
        return None

    def _told_there(self, other: Rule, narrow: Rule) -> bool:
        """Whether a later rule says something again that this one does: it is told there, and only there."""
        if other.effect > self.rule.effect or _place(other) in self.before:
            return False
        return any(covers(narrow, part, self.default) for part in _alone(other))

    def _may(self, other: Rule) -> bool:
        """A stricter rule wherever it stands; of two that are as strict, one of the same policy. A floor that forbids
        the same is no reason to take it out of a policy that should hold without it."""
        if not other.policy or other.effect < self.rule.effect or _place(other) == _place(self.rule):
            return False
        return other.effect > self.rule.effect or other.policy == self.rule.policy


def _alone(rule: Rule) -> Iterator[Rule]:
    """The rule with each thing that it lists by itself."""
    found = [replace(rule, tools=(tool,)) for tool in rule.tools] or [rule]
    for key in WHAT:
        for value in getattr(rule.when, key) or ():
            alone: Any = {key: (value,)}
            found.append(replace(rule, when=replace(rule.when, **alone)))
    return iter([rule, *found])


def _settled(node: RuleNode, rule: Rule, behind: _Behind, named: Named) -> Iterator[Diagnostic]:
    """What of a rule another one settles: all of it, some of its tools, or some of its commands, paths or hosts."""
    if (wide := behind.wide(rule)) is not None:
        yield from _told(node, None, wide)
        return
    for part, narrow in _parts(node, rule, named):
        if (wide := behind.wide(narrow)) is not None:
            yield from _told(node, part, wide)


def _parts(node: RuleNode, rule: Rule, named: Named) -> Iterator[tuple[Scalar, Rule]]:
    """Each thing the rule lists, and the rule as it would be with that alone."""
    for tool in node.tools if len(node.tools) > 1 else ():
        yield tool, replace(rule, tools=named.of([str(tool.value)]))
    for key in WHAT:
        # An allow needs all paths or hosts of a call covered, so none of them can be judged alone.
        listed = node.node.texts(key) if node.effect != "allow" or key == "commands" else []
        for stated in listed if len(listed) > 1 else ():
            alone: Any = {key: (str(stated.value),)}
            yield stated, replace(rule, when=replace(rule.when, **alone))


def _told(node: RuleNode, part: Scalar | None, wide: Rule) -> Iterator[Diagnostic]:
    effect = wide.effect.name.lower()
    if node.effect == "allow" and wide.policy == node.policy and _unconditional(wide):
        return  # an error of its own
    span = part.span if part is not None else node.node.node.key(node.effect)
    what = f"`{part.value}`" if part is not None else "this rule"
    at = Span(wide.origin.file, wide.origin.line, wide.origin.column)
    where = f"line {at.line}" if at.file == span.file else str(at)
    whose = "" if wide.policy == node.policy else f" of policy `{wide.policy}`"
    same = wide.effect is policies.EFFECTS[node.effect]
    why = "covers all that it says" if same else "covers all that it says, and the stricter rule wins"
    remedy = "remove it, or narrow the other rule" if same else "remove it, or give the other rule an `except`"
    yield warning(
        "rule-shadowed",
        span,
        f"{what} never decides: `{effect}` on {where}{whose} {why}",
        remedy,
        [see(at, f"`{effect}` covers it")],
    )


def _unconditional(rule: Rule) -> bool:
    return rule.when == Condition() and rule.unless is None


# ── conditions that nothing meets ────────────────────────────────────────────────────────────────

_BOUNDS: Final = (
    ("minimum", "maximum", False), ("minLength", "maxLength", False), ("exclusiveMinimum", "maximum", True),
    ("minimum", "exclusiveMaximum", True), ("exclusiveMinimum", "exclusiveMaximum", True),
)  # fmt: skip
_TEXTUAL, _NUMERIC = (
    ("minLength", "maxLength", "pattern"),
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
)


def conditions_can_be_met(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        stated = rule.node.get("input")
        if not rule.sound or not isinstance(stated, MapNode):
            continue
        for name, entry in stated.entries.items():
            if isinstance(entry.value, MapNode):
                schema = Definition(name, entry.key.span, entry.value)
                yield from _impossible(project, rule, schema)
                yield from _never_given(project, rule, schema)


def _impossible(project: Project, rule: RuleNode, schema: Definition) -> Iterator[Diagnostic]:
    """A condition that no value meets."""
    for low, high, open in _BOUNDS:
        least, most = schema.value(low), schema.value(high)
        if not (_is_number(least) and _is_number(most)) or least < most or (least == most and not open):
            continue
        if not _only(project, rule, schema, ("string", "path") if low == "minLength" else ("integer", "number")):
            continue
        at = schema.get(high)
        yield warning(
            "rule-contradiction",
            at.span if at else schema.key,
            f"no value of `{schema.name}` has `{low}: {least}` and `{high}: {most}`, so this rule never decides",
            f"exchange them: `{low}: {most}`, `{high}: {least}`"
            if least > most
            else f"leave room between `{low}` and `{high}`",
        )
        return
    yield from _of_no_type(schema, rule.effect)


def _only(project: Project, rule: RuleNode, schema: Definition, types: tuple[str, ...]) -> bool:
    """Whether the input is of one of these types: bounds say nothing of other values, and an ask or deny holds then."""
    if rule.effect == "allow" or schema.value("type") in types:
        return True
    declared = [found for name in _named(project, rule) if (found := _declared(project, name, schema.name)) is not None]
    return bool(declared) and all(found.get("type") in types for found in declared)


def _of_no_type(schema: Definition, effect: str) -> Iterator[Diagnostic]:
    """An allow takes only numbers for what has bounds, and only texts for what has a length or a pattern."""
    type = schema.value("type")
    wrong = _NUMERIC if type in ("string", "boolean", "array") else () if type is None else _TEXTUAL
    key = next((key for key in wrong if key in schema.node.entries), None)
    if effect == "allow" and key is not None:
        yield warning(
            "rule-contradiction",
            schema.node.key(key),
            f"`{key}` is for {'numbers' if key in _NUMERIC else 'texts'}, and `{schema.name}` has the type `{type}` "
            "here, so this rule never decides",
            f"remove `{key}`, or correct the type",
        )


def _never_given(project: Project, rule: RuleNode, schema: Definition) -> Iterator[Diagnostic]:
    """Values that no tool of the rule takes."""
    from openclaw.manifest import conform  # looks into few projects' rules

    wanted = [schema.get("const")] if "const" in schema.node.entries else _items(schema.get("enum"))
    declared = [found for name in _named(project, rule) if (found := _declared(project, name, schema.name)) is not None]
    if not wanted or not declared or any(found == {} for found in declared):
        return
    values = [plain(node) for node in wanted if node is not None]
    if any(value is Unknown or expressions.endless(declared, value) for value in values):
        return
    fits = any(next(conform.misfits(found, value), None) is None for found in declared for value in values)
    if not fits and wanted[0] is not None:
        shown = ", ".join(_value(value) for value in values[:5])
        yield warning(
            "rule-contradiction",
            wanted[0].span,
            f"`{schema.name}` is never {shown}: the tool takes {_spelt(declared[0])}, so this rule never decides",
            "write a value that the tool takes",
        )


def _value(value: Any) -> str:
    return f"the text `{value}`" if isinstance(value, str) and not value.strip("-0123456789.") else f"`{value}`"


def _items(node: Node | None) -> list[Node]:
    return [] if node is None or isinstance(node, Scalar | MapNode) else list(node.items)


def _declared(project: Project, tool: str, input: str) -> Mapping[str, Any] | None:
    spec = tool_spec(project, tool)
    if spec is None:
        return {}
    found = spec.input_schema.get("properties", {}).get(input)
    return found if isinstance(found, Mapping) else None


def _spelt(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum'][:8]))}"
    bounds = [
        f"{word} {schema[key]}" for key, word in (("minimum", "at least"), ("maximum", "at most")) if key in schema
    ]
    return " ".join([f"type `{schema['type']}`" if "type" in schema else "others", *bounds])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(project: Project, rule: RuleNode) -> list[str]:
    found = Named(project).of([str(tool.value) for tool in rule.tools])
    return [name for name in found if name in BUILTINS or name in project.all("tool")]


# ── conditions that say nothing of the tools ─────────────────────────────────────────────────────


def conditions_fit_the_tools(project: Project) -> Iterator[Diagnostic]:
    """`commands` of tools that run none, `paths` of tools that are given none, `hosts` of those that fetch nothing."""
    for rule in all_rules(project):
        stated = [key for key in WHAT if key in rule.node.node.entries]
        named = _named(project, rule) if stated and rule.sound and "tool" not in project.unreadable else []
        for key in stated if named else ():
            if not any(_has(project, name, key, rule.effect) for name in named):
                yield _pointless(rule, key)


def _has(project: Project, name: str, key: str, effect: str) -> bool:
    spec = tool_spec(project, name)
    if spec is None:
        return True  # nobody knows
    template = "template" in spec.options
    if key == "commands":
        # What a template runs is allowed as a whole; a program that is denied is denied in all of them.
        anywhere = effect == "deny" and bool(project.templates)
        return "command" in spec.judged.values() or (template and effect != "allow") or anywhere
    if key == "paths":
        runs = template or "command" in spec.judged.values()
        return "path" in spec.judged.values() or (runs and effect != "allow")
    return "url" in spec.judged.values()


def _pointless(rule: RuleNode, key: str) -> Diagnostic:
    tools = ", ".join(f"`{tool.value}`" for tool in rule.tools)
    what, remedy = {
        "commands": ("runs commands that are chosen by the model", "name `run_command`, or remove `commands`"),
        "paths": ("has an input of type `path`", "declare its input as `type: path`, or remove `paths`"),
        "hosts": ("takes a web address", "name `web_fetch`, or remove `hosts`"),
    }[key]
    subject = "neither of" if len(rule.tools) == 2 else "none of" if len(rule.tools) > 2 else ""
    which = f"{subject} {tools} {what}".strip() if subject else f"{tools} is no tool that {what}"
    return warning("rule-contradiction", rule.node.node.key(key), f"{which}, so this rule never decides", remedy)
