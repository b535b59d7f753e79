"""What an unquoted value is: the YAML 1.2 core rules, decimal only, and leading zeros stay text.

So `on`, `no`, `12:30`, `0755` and `2026-01-01` are text. Pure; knows no positions.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

_CONSTANTS: Final[dict[str, Any]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_MOST_DIGITS: Final = 300
_STARTS = frozenset("+-.0123456789")
_TAG: Final = "tag:yaml.org,2002:"

NO_TAG: Final = object()
"""Said by `explicit` where a tag is none of the core's, or does not fit its text."""


class TooLarge(ValueError):
    pass


def resolve(text: str) -> Any:
    """The value of a plain scalar; raises TooLarge."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _STARTS:
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise TooLarge(f"a number of {len(text):,} digits is too large")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise TooLarge(f"the number {text[:40]} is too large")
        return number
    return float(text.replace(".", "")) if _INFINITE.fullmatch(text) else text


def explicit(tag: str, text: str) -> Any:
    """The value of a scalar that carries one of the core's own tags, such as `!!str`."""
    wanted = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None)}.get(tag.removeprefix(_TAG))
    if wanted is None or not tag.startswith(_TAG):
        return NO_TAG
    if wanted is str:
        return text
    try:
        value = resolve(text)
    except TooLarge:
        return NO_TAG
    if wanted is float and type(value) is int:
        return float(value)
    return value if type(value) is wanted else NO_TAG


def kind(value: Any) -> str:
    """A value's type in a reader's words."""
    match value:
        case None:
            return "empty"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def typed(text: str, types: Any) -> Any:
    """What came from a placeholder, as one of the types a schema wants where it can be; else the text."""
    wanted = {types} if isinstance(types, str) else set(types or ())
    try:
        value = resolve(text)
    except TooLarge:
        return text
    match value:
        case bool():
            return value if "boolean" in wanted else text
        case int():
            return value if wanted & {"integer", "number"} else text
        case float():
            return value if "number" in wanted else text
        case _:
            return text
