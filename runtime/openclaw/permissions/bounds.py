"""Whether whatever satisfies one schema of an input satisfies another. Pure.

Its law: True is a proof, for values as `conditions` judges them; whatever is not proven here is False. Knows types,
numeric bounds, lengths, and values that are written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, Final

from openclaw.permissions.conditions import input_matches
from openclaw.permissions.policy import Attempt, Effect
from openclaw.words import ToolSpec

_Compared = Callable[[Any, Any], bool]
_BOUNDS: Final[Mapping[str, Mapping[str, _Compared]]] = {  # wide bound -> the narrow bounds that may imply it
    "maximum": {"maximum": le, "exclusiveMaximum": le},
    "exclusiveMaximum": {"exclusiveMaximum": le, "maximum": lt},
    "minimum": {"minimum": ge, "exclusiveMinimum": ge},
    "exclusiveMinimum": {"exclusiveMinimum": ge, "minimum": gt},
    **{name: {name: le} for name in ("maxLength", "maxItems", "maxProperties")},
    **{name: {name: ge} for name in ("minLength", "minItems", "minProperties")},
}
_MAY_RAISE: Final = frozenset({"pattern", "multipleOf", "uniqueItems"})  # and what raises forbids
_ALONE: Final = frozenset({*_BOUNDS, *_MAY_RAISE, "type", "enum", "const", "format"})  # each means what it means
_WORDS: Final = frozenset({"title", "description", "default", "examples", "$comment", "deprecated"})


def same(one: Any, other: Any) -> bool:
    return bool(one == other) and repr(one) == repr(other)  # to Python, true is 1


def inputs_within(narrow: Mapping[str, Any] | None, wide: Mapping[str, Any] | None, effect: Effect) -> bool:
    """Whether inputs that meet one condition of a rule meet the other; `effect` is how both are judged."""
    if wide is None:
        return True
    return narrow is not None and all(
        name in narrow and within(narrow[name], schema, effect) for name, schema in wide.items()
    )


def within(narrow: Any, wide: Any, effect: Effect) -> bool:
    if same(narrow, wide):
        return True
    if not isinstance(wide, Mapping):
        return False
    if not isinstance(narrow, Mapping):
        return _plain(narrow) and _all_satisfy([narrow], wide, effect)
    if not narrow.keys() | wide.keys() <= _ALONE | _WORDS:
        return False
    doubtful = _MAY_RAISE & narrow.keys() if effect is not Effect.ALLOW else frozenset()
    if any(name not in wide or not same(narrow[name], wide[name]) for name in doubtful):
        return False
    values = _written_out(narrow)
    if values is not None and all(map(_plain, values)):
        return _all_satisfy(values, wide, effect)
    return all(_implied(name, narrow, wide[name]) for name in wide.keys() - _WORDS)


def _written_out(schema: Mapping[str, Any]) -> Sequence[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found = schema.get("enum")
    return found if isinstance(found, list | tuple) else None


def _plain(value: Any) -> bool:
    """Whether no other value is equal to it but one that every schema takes for the same."""
    return value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _all_satisfy(values: Sequence[Any], schema: Mapping[str, Any], effect: Effect) -> bool:
    tool = ToolSpec("", "", {}, "")
    return all(input_matches({"x": schema}, Attempt(tool, {"x": value}, "", ""), effect) for value in values)


def _implied(name: str, narrow: Mapping[str, Any], wanted: Any) -> bool:
    if name in narrow and same(narrow[name], wanted):
        return True
    if name == "type":
        return _types(narrow.get("type")) <= _types(wanted) and "type" in narrow
    return _number(wanted) and any(
        _number(narrow.get(bound)) and holds(narrow[bound], wanted) for bound, holds in _BOUNDS.get(name, {}).items()
    )


def _types(written: Any) -> frozenset[str]:
    names = frozenset([written] if isinstance(written, str) else written or ())
    return names | {"integer"} if "number" in names else names


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
