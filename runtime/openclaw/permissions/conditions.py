"""When a rule looks at a call: its tools, its time, who asks and from where, hosts and input values.

An unclear answer is never in favour of a permission: a rule that cannot be read holds when it forbids
and does not when it permits. Knows no programs and no paths.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from openclaw.permissions.policy import Attempt, Condition, Effect, Rule

_GLOB = re.compile(r"[*?\[]")
_NUMERIC = frozenset({"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"})
_TEXTUAL = frozenset({"pattern", "minLength", "maxLength"})


def names_tool(rule: Rule, tool: str) -> bool:
    return tool in rule.tools or any(_GLOB.search(name) and fnmatchcase(tool, name) for name in rule.tools)


def in_time(rule: Rule, now: str) -> bool:
    """Whether an allow with `until` still holds; one whose time cannot be read has ended."""
    if rule.until is None:
        return True
    try:
        return _instant(now, end=False) < _instant(rule.until, end=True)
    except ValueError:
        return False


def _instant(text: str, *, end: bool) -> datetime:
    """An ISO date or time, UTC where no zone is given; a bare date lasts to its end."""
    if end and len(text) == 10:
        text += "T23:59:59.999999"
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def asked_by(condition: Condition, attempt: Attempt) -> bool:
    """Whether everything a condition says about sender, channel, room, heartbeat and taint is so."""
    if condition.tainted is not None and condition.tainted is not bool(attempt.untrusted):
        return False
    if condition.sender is not None and not _sender(condition.sender, attempt):
        return False
    stated = (
        (condition.channel, attempt.channel),
        (condition.room, attempt.room),
        (condition.heartbeat, attempt.heartbeat),
    )
    return all(wanted is None or (actual is not None and _listed(wanted, actual)) for wanted, actual in stated)


def _listed(wanted: Iterable[str], actual: str) -> bool:
    return any(name in ("*", actual) for name in wanted)


def _sender(wanted: Iterable[str], attempt: Attempt) -> bool:
    own = {attempt.sender, *(f"group:{group}" for group in attempt.groups)}
    if attempt.person is not None:
        own.add(attempt.person)
    return any(name in own for name in wanted)


# ── hosts ────────────────────────────────────────────────────────────────────────────────────────


def host_of(url: Any) -> str | None:
    """The host of a web address in its comparable form; None where it is not one that may be fetched."""
    if not isinstance(url, str) or not url.isprintable() or "\\" in url or any(char.isspace() for char in url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    return comparable(host)


@lru_cache(maxsize=4096)
def comparable(host: str) -> str | None:
    host = host.removesuffix(".").lower()
    if host.isascii():
        return host if host and "" not in host.split(".") else None
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return None


def host_matches(wanted: str, host: str) -> bool:
    """By label: `example.org` is that host alone, `*.example.org` everything below it."""
    if wanted == "*":
        return True
    below = wanted.startswith("*.")
    name = comparable(wanted[2:] if below else wanted)
    if name is None:
        return False
    return host.endswith(f".{name}") if below else host == name


# ── input ────────────────────────────────────────────────────────────────────────────────────────


def input_matches(schemas: Mapping[str, Any], attempt: Attempt, effect: Effect) -> bool:
    """Whether every named input satisfies its schema."""
    try:
        return all(_satisfies(name, schema, attempt, effect) for name, schema in schemas.items())
    except Exception:  # a schema that cannot be applied forbids rather than permits
        return effect is not Effect.ALLOW


def _satisfies(name: str, schema: Any, attempt: Attempt, effect: Effect) -> bool:
    declared = attempt.tool.input_schema.get("properties", {}).get(name, {})
    if name in attempt.input:
        value = attempt.input[name]
    elif isinstance(declared, Mapping) and "default" in declared:
        value = declared["default"]
    else:
        return False
    if effect is Effect.ALLOW and not _of_the_kind(schema, value):
        return False
    if not isinstance(schema, Mapping | bool):
        return bool(value == schema and type(value) is type(schema))
    return bool(_validator(json.dumps(schema, sort_keys=True)).is_valid(value))


def _of_the_kind(schema: Any, value: Any) -> bool:
    """JSON Schema lets `maximum` pass every text and every NaN; a permission must not."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if not isinstance(schema, Mapping):
        return True
    if _NUMERIC & schema.keys() and (isinstance(value, bool) or not isinstance(value, int | float)):
        return False
    return not (_TEXTUAL & schema.keys()) or isinstance(value, str)


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))
