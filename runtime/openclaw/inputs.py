"""The arguments of a call against the schema of its tool: completed, and what is wrong with them, told for the model.

Law: what fits is never refused for how JSON spells it, and no secret is told in what is wrong. Knows nothing of who
calls, and of no policy.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from openclaw.messages import ToolSpec
from openclaw.secrecy import SECRETS, masked


def completed(spec: ToolSpec, input: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments with the defaults of those left out, and whole numbers where integers are asked for."""
    properties = spec.input_schema.get("properties", {})
    missing = {name: s["default"] for name, s in properties.items() if "default" in s and name not in input}
    given: Mapping[str, Any] = _whole(spec.input_schema, input)
    return {**missing, **given} if missing else given


def _whole(schema: Any, value: Any) -> Any:
    """JSON has one kind of number, so 3.0 fits where an integer is asked for; a command would be given `3.0`."""
    if not isinstance(schema, Mapping):
        return value
    for each in schema.get("anyOf", ()):
        value = _whole(each, value)
    if isinstance(value, Mapping) and (properties := schema.get("properties")):
        return {name: _whole(properties.get(name), item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(schema.get("items"), item) for item in value]
    if isinstance(value, float) and value.is_integer() and schema.get("type") == "integer":
        return int(value)
    return value


@functools.lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    """Built once for each schema: building one costs a hundred times what using it does."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def input_problem(spec: ToolSpec, input: Mapping[str, Any], secrets: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a call's arguments, in words for the model; None where nothing is."""
    errors = _validator(json.dumps(spec.input_schema, sort_keys=True, default=str)).iter_errors(input)
    problems = [
        f"{'.'.join(map(str, e.absolute_path)) or 'arguments'}: {SECRETS.mask(masked(e.message, secrets))}"[:300]
        for e in errors
    ]
    return "; ".join(sorted(problems)) or None
