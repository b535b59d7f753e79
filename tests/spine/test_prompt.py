"""What a model is shown of a web search follows from the policy: only a plain allow hands it to the service."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw import prompt
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import ToolSpec
from openclaw.permissions.decide import Condition, Effect, Policy, Rule

SEARCH = BUILTINS["web_search"]


def shown(*rules: Rule, spec: ToolSpec = SEARCH, default: Effect = Effect.ASK) -> tuple[ToolSpec, ...]:
    agent = Agent("main", "Main", "", "", "", "smart", ("web_search",), "works")
    empty: dict[str, Any] = {}
    snapshot = Snapshot(
        "d", "/p", {"main": agent}, {"web_search": spec}, {"works": Policy("works", rules, default)},
        empty, empty, empty, empty, empty,
    )  # fmt: skip
    return prompt.tools(agent, snapshot)


def allow(**more: Any) -> Rule:
    return Rule(Effect.ALLOW, ("web_*",), **more)


def test_a_plain_allow_hands_the_search_over() -> None:
    assert [spec.options for spec in shown(allow())] == [{"unasked": True}]


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (allow(), Rule(Effect.ASK, ("web_search",))),
        (allow(when=Condition(sender=("nader",))),),
        (allow(until="2030-01-01"),),
        (allow(), Rule(Effect.DENY, ("*",), when=Condition(heartbeat=("*",)))),
        (allow(), Rule(Effect.ASK, ("*",), unless=Condition(sender=("nader",)))),
    ],
    ids=["default", "ask", "from", "until", "heartbeat", "except"],
)
def test_a_search_that_any_rule_looks_at_stays_a_tool_of_ours(rules: tuple[Rule, ...]) -> None:
    assert shown(*rules) == (SEARCH,)


def test_a_denied_search_is_not_shown_and_a_projects_own_tool_of_that_name_is_its_own() -> None:
    assert shown(allow(), Rule(Effect.DENY, ("web_search",))) == ()
    own = ToolSpec("web_search", "Ours", {"type": "object", "properties": {}}, "python")
    assert shown(allow(), spec=own) == (own,)


def test_handing_a_search_over_is_another_setup() -> None:
    (served,) = shown(allow())
    assert prompt.setup("m", "s", (served,)) != prompt.setup("m", "s", (SEARCH,))
