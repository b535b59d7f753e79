"""The tests that a rule brings along: commands, paths, hosts or inputs that it matches, and some that it does not.

Each is judged as a call would be, by the condition that the rule states; who asks, where and when plays no part, nor
does `except`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from openclaw.manifest import expressions, policies, scalars, wording
from openclaw.manifest.diagnostic import Diagnostic, error, see
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, plain
from openclaw.manifest.policies import RuleNode, all_rules
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.specs import tool_spec
from openclaw.permissions import conditions, paths, patterns
from openclaw.permissions.policy import Attempt, Effect, Rule

_TRIED: Final = ("commands", "paths", "hosts", "input")
_Match = Callable[[Any], bool]


def tests_hold(project: Project) -> Iterator[Diagnostic]:
    for node in all_rules(project):
        tests = node.node.get("tests")
        if not isinstance(tests, MapNode) or not node.sound:
            continue
        key = next((key for key in _TRIED if key in node.node.node.entries), None)
        if key is None:
            yield error(
                "rule-test",
                node.node.node.key("tests"),
                "`tests` try commands, paths, hosts or inputs, and this rule has no condition on any of them",
                f"add one, for example `{_example(node)}`, or remove `tests`",
            )
        elif not any(_unfit(node, entry) for entry in node.node.texts("commands")):
            matches = _matching(project, node, key)
            if matches is not None:
                yield from _tried(node, key, Definition("tests", node.node.key, tests), matches)


def _example(node: RuleNode) -> str:
    return (
        "commands: [ls]" if any(fnmatchcase("run_command", str(tool.value)) for tool in node.tools) else "paths: [a/**]"
    )


def _unfit(node: RuleNode, entry: Scalar) -> bool:
    return patterns.check_pattern(str(entry.value), unsafe=True, effect=policies.EFFECTS[node.effect]) is not None


def _matching(project: Project, node: RuleNode, key: str) -> _Match | None:
    """Whether the rule's condition matches a value; None where that cannot be told."""
    rule = policies.rule(node)
    if key == "commands":
        return lambda command: patterns.rule_test(rule, command)
    if key == "paths":
        fold = rule.effect is not Effect.ALLOW
        return lambda path: any(paths.matches(glob, path, fold=fold) for glob in rule.when.paths or ())
    if key == "hosts":
        return lambda host: _host(rule, host)
    names = (name for name in project.names("tool") if conditions.names_tool(rule, name))
    specs = [spec for name in names if (spec := tool_spec(project, name)) is not None]
    stated = rule.when.input
    if not specs or stated is None:
        return None
    return lambda given: conditions.input_matches(stated, Attempt(specs[0], given, "", ""), rule.effect)


def _host(rule: Rule, text: str) -> bool:
    """A host by its name, or as it stands in an address."""
    host = conditions.host_of(text) if "://" in text else conditions.comparable(text)
    return host is not None and any(conditions.host_matches(wanted, host) for wanted in rule.when.hosts or ())


def _tried(node: RuleNode, key: str, tests: Definition, matches: _Match) -> Iterator[Diagnostic]:
    for side, wanted in (("match", True), ("no_match", False)):
        listed = tests.get(side)
        for item in listed.items if isinstance(listed, ListNode) else ():
            value = plain(item)
            if Unknown in (value.values() if isinstance(value, Mapping) else (value,)):
                continue  # it has had its diagnostic
            if isinstance(value, Mapping) is not (key == "input"):
                yield _misplaced(item, key, value)
            elif key == "input" and expressions.endless(policies.rule(node).when.input, value):
                yield from _too_long(node, item)
            elif matches(value) is not wanted:
                yield _failed(node, key, item, value, wanted)


def _misplaced(item: Node, key: str, value: Any) -> Diagnostic:
    found = scalars.kind(value)
    if key == "input":
        return error(
            "rule-test", item.span, f"a test of `input` is a mapping of inputs, not {found}", "for example {limit: 5}"
        )
    return error("rule-test", item.span, f"a test of `{key}` is text, not {found}", "write it as the model would")


def _too_long(node: RuleNode, item: Node) -> Iterator[Diagnostic]:
    if expressions.sound(policies.rule(node).when.input):
        what = "this test may take too long: `pattern` can divide its text in too many ways"
        yield error("rule-test", item.span, what, "shorten the text, or simplify the pattern")


def _failed(node: RuleNode, key: str, item: Node, value: Any, wanted: bool) -> Diagnostic:
    what = "does not match" if wanted else "matches"
    shown = wording.flow(value) if isinstance(value, Mapping) else value
    return error(
        "rule-test",
        item.span,
        f"this rule {what} `{shown}`, and its test says it {'does' if wanted else 'does not'}",
        f"correct `{key}`, or the test",
        [see(node.node.node.key(node.effect), "the rule")],
    )
