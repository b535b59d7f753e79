"""The double is as strict as it says: good requests pass, each broken rule is refused."""

from __future__ import annotations

from typing import Any

import pytest

from doubles.messages_rules import broken_rule, seal, sign

HEADERS = {"authorization": "Bearer k", "anthropic-version": "2026-10-21", "content-type": "application/json"}
MODEL = "claude-sonnet-5-5"
TOOL = {"name": "add", "description": "Adds", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "1", "name": "add", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "1", "content": "2"}
MARK = {"cache_control": {"type": "ephemeral"}}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [said(part) for part in content]}


def model(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [said(part) for part in content]}


def said(part: Any) -> Any:
    return {"type": "text", "text": part} if isinstance(part, str) else part


def body(*messages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 10, "messages": list(messages) or [user("hi")]} | changes


GOOD = [
    body(),
    body({"role": "user", "content": "plain"}),
    body(model("first"), user("hi")),
    body(user("a"), user("b")),
    body(user("a"), model("b", CALL), user(RESULT, "more"), tools=[TOOL]),
    body(user("a"), model(CALL), user(RESULT), model(CALL), user(RESULT), tools=[TOOL]),
    body(user("a"), model("b"), {"role": "system", "content": "new"}, user("c")),
    body(system=[{"type": "text", "text": "s", **MARK}], tools=[{**TOOL, **MARK}], **MARK),
    body(thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "max"}),
    body(user("a"), model("prefill"), model="claude-haiku-4-5"),
]

BAD = {
    "Extra inputs": body(colour="red"),
    "`temperature` is not supported": body(temperature=1),
    "max_tokens: Field required": {"model": MODEL, "messages": [user("a")]},
    "max_tokens: Input should be": body(max_tokens=0),
    "messages: at least one": {**body(), "messages": []},
    "messages.0.id: Extra": body(user("a") | {"id": "1"}),
    "Input should be 'user'": body({"role": "tool", "content": "a"}),
    "first message may not be": body({"role": "system", "content": "a"}),
    "non-empty content": body(user()),
    "non-whitespace": body(user(" ")),
    "without `tool_result` blocks immediately after: 1": body(user("a"), model(CALL), user("b"), tools=[TOOL]),
    "immediately after": body(user("a"), model(CALL), tools=[TOOL]),
    "unexpected `tool_use_id`": body(user(RESULT), tools=[TOOL]),
    "`tool_result` blocks: 1": body(user("a"), model(CALL), user(RESULT, RESULT), tools=[TOOL]),
    "must come first": body(user("a"), model(CALL), user("b", RESULT), tools=[TOOL]),
    "`tool_use` ids were found": body(user("a"), model(CALL, "after"), user(RESULT), tools=[TOOL]),
    "but no tools are given": body(user("a"), model(CALL), user(RESULT)),
    "maximum of 4": body(user(*[{"type": "text", "text": "x", **MARK}] * 4), **MARK),
    "cannot be set for thinking": body(
        user("a"), model({"type": "thinking", "thinking": "", "signature": "m.x", **MARK}, "b"), user("c")
    ),
    "names must be unique": body(tools=[TOOL, TOOL]),
    "tools.0.name": body(tools=[TOOL | {"name": "a b"}]),
    "input_schema.type": body(tools=[TOOL | {"input_schema": {"type": "array"}}]),
    "anyOf": body(tools=[TOOL | {"input_schema": {"type": "object", "anyOf": []}}]),
    "while providing tools": body(tool_choice={"type": "auto"}),
    "forced tool use": body(tools=[TOOL], tool_choice={"type": "any"}),
    "adaptive thinking is not": body(model="claude-haiku-4-5", thinking={"type": "adaptive"}),
    '"thinking.type.enabled" is not': body(thinking={"type": "enabled", "budget_tokens": 2000}, max_tokens=9000),
    '"thinking.type.disabled" is not': body(thinking={"type": "disabled"}),
    "budget_tokens": body(model="claude-haiku-4-5", thinking={"type": "enabled", "budget_tokens": 1}),
    "effort level": body(output_config={"effort": "extreme"}),
    "assistant message prefill": body(user("a"), model("b")),
    "trailing whitespace": body(user("a"), model("b "), model="claude-haiku-4-5"),
    "signature: Field required": body(user("a"), model({"type": "thinking", "thinking": "x"}, "b"), user("c")),
}


BETA = HEADERS | {"anthropic-beta": "other,compact-2026-09-04"}
BLOCK = {"type": "compaction", "content": "so far", "signature": seal("so far"), "encrypted_content": "x"}
SUMMARIES = [
    body(user("a"), model("b"), compaction={"type": "summarize", "instructions": "shortly"}),
    body(model(BLOCK), user("c")),
    body(user(BLOCK, "more"), model("b"), user("c")),
    body(model(BLOCK), user("c"), compaction={"type": "summarize"}),
]
NO_SUMMARIES = {
    "more than one": body(model(BLOCK), user(BLOCK)),
    "must be sent first": body(user("a", BLOCK)),
    "not as it was returned": body(model(BLOCK | {"content": "so fat"}), user("c")),
    "compaction.type": body(user("a"), compaction={"type": "shorten"}),
    "at most 16384": body(user("a"), compaction={"type": "summarize", "instructions": "x" * 16_385}),
    "not supported on this model": body(user("a"), model="claude-haiku-5-5", compaction={"type": "summarize"}),
    "`stop_sequences`": body(user("a"), stop_sequences=["x"], compaction={"type": "summarize"}),
    "nothing to summarize": body(model(BLOCK), compaction={"type": "summarize"}),
    "immediately after": body(user("a"), model(CALL), tools=[TOOL], compaction={"type": "summarize"}),
}


@pytest.mark.parametrize("asked", SUMMARIES)
def test_the_service_sums_up_and_takes_its_block_back_with_the_beta_alone(asked: dict[str, Any]) -> None:
    assert broken_rule(BETA, asked) is None
    assert broken_rule(HEADERS, asked) is not None


@pytest.mark.parametrize("words", NO_SUMMARIES)
def test_what_is_wrong_with_a_block_or_a_request_for_one_is_refused(words: str) -> None:
    broken = broken_rule(BETA, NO_SUMMARIES[words])
    assert broken is not None and words in broken.message


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_a_good_request_passes(number: int) -> None:
    assert broken_rule(HEADERS, GOOD[number]) is None


@pytest.mark.parametrize("words", BAD)
def test_a_broken_rule_is_refused_in_its_own_words(words: str) -> None:
    broken = broken_rule(HEADERS, BAD[words])
    assert broken is not None
    assert words in broken.message


@pytest.mark.parametrize(("missing", "status"), [("authorization", 401), ("anthropic-version", 400)])
def test_a_missing_header_is_refused(missing: str, status: int) -> None:
    broken = broken_rule({name: value for name, value in HEADERS.items() if name != missing}, body())
    assert broken is not None
    assert broken.status == status


def test_thinking_is_bound_to_everything_before_it() -> None:
    asked = body(user("a"), system="s", tools=[TOOL])
    thought = {"type": "thinking", "thinking": "hm", "signature": sign(asked, [], "hm")}
    later = body(user("a"), model(thought, "b"), user("c"), system="s", tools=[TOOL])
    assert broken_rule(HEADERS, later) is None
    marked = later | {"system": [{"type": "text", "text": "s", **MARK}]}
    assert broken_rule(HEADERS, marked) is None
    edits: list[dict[str, Any]] = [
        {"system": "other"},
        {"tools": [TOOL, TOOL | {"name": "sub"}]},
        {"messages": [user("A"), *later["messages"][1:]]},
        {"messages": [user("a"), model("before", thought, "b"), user("c")]},
        {"messages": [user("a"), model(thought | {"thinking": "edited"}, "b"), user("c")]},
    ]
    for edit in edits:
        broken = broken_rule(HEADERS, later | edit)
        assert broken is not None
        assert "bound to a different conversation" in broken.message
    assert broken_rule(HEADERS, later | {"system": "other", "model": "claude-opus-5-5"}) is None
