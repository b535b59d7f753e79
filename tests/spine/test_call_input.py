"""The arguments of a call as tools get them: defaults filled in, and whole numbers whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw.inputs import completed, input_problem
from openclaw.messages import ToolSpec

SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "default": 5},
        "share": {"type": "number"},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "lines": {"type": "array", "items": {"type": "integer"}},
        "place": {"type": "object", "properties": {"row": {"type": "integer"}}},
    },
    "additionalProperties": False,
}
SPEC = ToolSpec("head", "Shows lines", SCHEMA, "shell")


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ('{"count": 3.0}', {"count": 3}),
        ("{}", {"count": 5}),
        ('{"count": 1, "share": 3.0}', {"count": 1, "share": 3.0}),
        ('{"count": 1, "maybe": 2.0}', {"count": 1, "maybe": 2}),
        ('{"count": 1, "maybe": null}', {"count": 1, "maybe": None}),
        ('{"count": 1, "lines": [1.0, 2]}', {"count": 1, "lines": [1, 2]}),
        ('{"count": 1, "place": {"row": 1e3}}', {"count": 1, "place": {"row": 1000}}),
    ],
)
def test_a_whole_number_is_an_integer_where_one_is_asked_for(given: str, got: dict[str, Any]) -> None:
    input = completed(SPEC, json.loads(given))
    assert input_problem(SPEC, input) is None
    assert repr(dict(sorted(input.items()))) == repr(dict(sorted(got.items())))


@pytest.mark.parametrize("given", ['{"count": 3.5}', '{"count": Infinity}', '{"other": 1.0}', '{"lines": 1.0}'])
def test_what_does_not_fit_is_still_told(given: str) -> None:
    assert input_problem(SPEC, completed(SPEC, json.loads(given)))
