"""The few forms of JSON Schema that our shapes are written in. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
YES: Final[Schema] = {"type": "boolean"}
DAY: Final[Schema] = {"type": "string", "format": "date"}
TIME: Final[Schema] = {  # one form of the many that RFC 3339 has, as `words.time_json` writes it
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
}
OPEN: Final[Schema] = {"type": "object"}


def object_(_optional: Mapping[str, Any] | None = None, /, **required: Any) -> Schema:
    """An object that has all of `required`, perhaps some of `_optional`, and nothing else."""
    return {
        "type": "object",
        "properties": {**required, **(_optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def list_(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def map_(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def any_(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
