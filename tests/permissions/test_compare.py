"""What is certain to be stricter is no loosening, and what is looser is one."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.permissions.bounds import within
from openclaw.permissions.compare import Side, loosened
from openclaw.permissions.policy import Condition, Effect, Policy, Rule
from openclaw.permissions.template import Template, compile_template
from openclaw.words import ToolSpec

ALLOW, ASK, DENY = Effect.ALLOW, Effect.ASK, Effect.DENY
TOOL = ToolSpec("tool", "", {}, "shell", judged={"command": "command", "path": "path", "url": "url"})
FINE = Rule(ALLOW, ("tool",))


def rule(effect: Effect, **when: Any) -> Rule:
    return Rule(effect, ("tool",), Condition(**when))


def reasons(old: Rule, new: Rule) -> list[str]:
    before, after = (Side(Policy("p", (FINE, each)), TOOL) for each in (old, new))
    return [each.why for each in loosened(before, after)]


# what is stricter, each: the former rule and the new one
STRICTER = {
    "every path": (rule(DENY, paths=("secrets/**",)), rule(DENY, paths=("**",))),
    "every path at any depth": (rule(DENY, paths=("**/*.key",)), rule(DENY, paths=("**/*",))),
    "a folder around a folder": (rule(ASK, paths=("a/b/**", "a/x.key")), rule(DENY, paths=("a/**",))),
    "every command of a program": (rule(DENY, commands=("git push",)), rule(DENY, commands=("git",))),
    "fewer words of a command": (rule(DENY, commands=("git push origin",)), rule(DENY, commands=("git push",))),
    "every host below one": (rule(DENY, hosts=("a.evil.example",)), rule(DENY, hosts=("*.evil.example",))),
    "every host": (rule(DENY, hosts=("a.evil.example",)), rule(DENY, hosts=("*",))),
    "longer texts too": (rule(ASK, input={"x": {"maxLength": 3}}), rule(ASK, input={"x": {"maxLength": 5}})),
    "lower numbers too": (rule(DENY, input={"x": {"minimum": 9}}), rule(DENY, input={"x": {"exclusiveMinimum": 8}})),
    "more values": (rule(DENY, input={"x": {"enum": ["a"]}}), rule(DENY, input={"x": {"enum": ["a", "b"]}})),
    "any value of a kind": (rule(DENY, input={"x": {"const": 4}}), rule(DENY, input={"x": {"type": "integer"}})),
}
NARROWER = {
    "a lower maximum": (rule(ALLOW, input={"x": {"maximum": 50}}), rule(ALLOW, input={"x": {"maximum": 5}})),
    "one value within": (rule(ALLOW, input={"x": {"maximum": 50}}), rule(ALLOW, input={"x": {"enum": [5, 6]}})),
    "words after a command that a profile vets": (
        rule(ALLOW, commands=("git status",)),
        rule(ALLOW, commands=("git status --short",)),
    ),
    "a folder in a folder": (rule(ALLOW, paths=("a/**",)), rule(ALLOW, paths=("a/b/**", "a/c.txt"))),
    "a host below": (rule(ALLOW, hosts=("*.x.example",)), rule(ALLOW, hosts=("a.x.example",))),
}


@pytest.mark.parametrize("name", STRICTER)
def test_a_wider_prohibition_is_no_loosening(name: str) -> None:
    old, new = STRICTER[name]
    assert reasons(old, new) == []
    assert reasons(new, old) == ["forbid"]


@pytest.mark.parametrize("name", NARROWER)
def test_a_narrower_permission_is_no_loosening(name: str) -> None:
    before, after = (Side(Policy("p", (each,)), TOOL) for each in NARROWER[name])
    assert loosened(before, after) == ()
    assert [each.why for each in loosened(after, before)] == ["allow"]


NOT_WITHIN = (
    ({"maximum": 5}, {"maximum": 4}),
    ({"maximum": 5}, {"exclusiveMaximum": 5}),
    ({"minimum": 5}, {"maximum": 9}),
    ({"enum": [True]}, {"enum": [1]}),
    ({"enum": [1, 9]}, {"maximum": 5}),
    ({"type": "number"}, {"type": "integer"}),
    ({"maxLength": 9}, {"maxLength": 5}),
    ({"pattern": "^[a-c]$"}, {"pattern": "^[a-z]$"}),  # it is, and nobody proves it
    ({"not": {"maximum": 5}}, {"not": {"maximum": 9}}),
    ({"maximum": 5, "$ref": "#/x"}, {"maximum": 9}),
    (1, {"type": "string"}),
    ({"const": 1}, 1),  # which 1.0 is not
)


@pytest.mark.parametrize(("narrow", "wide"), NOT_WITHIN)
def test_of_schemas_nothing_is_claimed_that_is_not_certain(narrow: Any, wide: Any) -> None:
    assert not within(narrow, wide, ALLOW) and not within(narrow, wide, DENY)


def test_a_schema_more_that_may_fail_to_be_applied_forbids_less_when_it_is_gone() -> None:
    assert within({"maximum": 5, "multipleOf": 2}, {"maximum": 9}, ALLOW)
    assert not within({"maximum": 5, "multipleOf": 2}, {"maximum": 9}, DENY)


def taking(**schema: Any) -> ToolSpec:
    template = compile_template("du -- {x}", {"x": schema})
    assert isinstance(template, Template)
    properties = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    return ToolSpec("tool", "", properties, "shell", {"template": template})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (taking(type="integer", minimum=0, maximum=9), taking(type="integer", minimum=1, maximum=5), False),
        (taking(type="integer", maximum=9), taking(type="integer", maximum=10), True),
        (taking(type="string"), taking(type="string", maxLength=9), False),
        (taking(type="string"), taking(type="string", enum=["-x"]), True),  # which a template refuses otherwise
        (taking(type="string"), taking(type="string", pattern="x"), True),
        (taking(type="integer"), taking(type="integer", minimum=-5), True),
        (taking(type="string"), taking(type="string", default="a"), True),
    ],
)
def test_a_tool_that_takes_less_is_no_other_tool(before: ToolSpec, after: ToolSpec, told: bool) -> None:
    policy = Policy("p", (FINE,))
    found = [each.detail for each in loosened(Side(policy, before), Side(policy, after))]
    assert found == (["it takes other inputs"] if told else [])
