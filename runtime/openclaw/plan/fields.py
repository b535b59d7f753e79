"""A definition as keys with values that people may read, and what is different between two of them. Pure.

Its law: no secret is shown. A value that a placeholder stands in is shown as it was written; whatever else a manifest
marks as secret is `***`. Values are those in force: what was left out has its default.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from openclaw.durations import spelt
from openclaw.manifest.origins import CREDENTIALS, HIDDEN, Stated, Written
from openclaw.manifest.snapshot import Agent, Heartbeat, Model, Price
from openclaw.messages import Address, ToolSpec
from openclaw.permissions.policy import Policy
from openclaw.permissions.template import Template
from openclaw.plan.changes import Field
from openclaw.plan.rules import rules_changed
from openclaw.ports import ChannelOptions
from openclaw.secrecy import Forms

_NAMES = {"id", "key", "alias"}  # what a definition is called is no value of it
ANOTHER = " (another one)"  # of two values that are shown alike
_DURATIONS = {"turn", "idle", "timeout", "jitter", "answer_within", "window", "repeat"}
_CLOCK = {"at", "active_hours"}
_LONG = 200


def different(kind: str, name: str, old: Stated, new: Stated) -> tuple[Field, ...]:
    """The keys of a definition that is on both sides."""
    before, after = values(kind, name, old), values(kind, name, new)
    was, now = old.written.get((kind, name), {}), new.written.get((kind, name), {})
    keys = [*after, *(key for key in before if key not in after)]
    alike = [key for key in now if key in after and _only_shown_alike(key, was, now)]
    after |= {key: f"{_listed(after[key])}{ANOTHER}" for key in alike}
    found = [_field(key, before.get(key), after.get(key), was, now) for key in keys]
    rules = rules_changed(old.snapshot.policies[name], new.snapshot.policies[name]) if kind == "policy" else ()
    return (*(each for each in found if each is not None), *rules)


def _only_shown_alike(key: str, was: Mapping[str, Written], now: Mapping[str, Written]) -> bool:
    old, new = was.get(key), now.get(key)
    return old is not None and new is not None and old.shown == new.shown and old.raw != new.raw


def values(kind: str, name: str, side: Stated) -> dict[str, Any]:
    """Everything a definition says, by key with dots; lists are tuples, all else is text."""
    written = side.written.get((kind, name), {})
    found = dict(_plain(_part(kind, name, side)))
    veiled = {key: each.shown if each.items is None else each.items for key, each in written.items() if each.veiled}
    masks = Forms.of(secret for secret in side.snapshot.secrets)
    clean = {key: _masked(value, masks) for key, value in found.items() if key not in veiled}
    return {**clean, **veiled}


def _masked(value: Any, masks: Forms) -> Any:
    if isinstance(value, tuple):
        return tuple(_masked(each, masks) for each in value)
    return CREDENTIALS.sub(HIDDEN, masks.strike(value))


def _part(kind: str, name: str, side: Stated) -> Any:
    snapshot = side.snapshot
    parts: Mapping[str, Mapping[str, Any]] = {
        "agent": snapshot.agents, "tool": snapshot.tools, "policy": snapshot.policies, "channel": snapshot.channels,
        "person": snapshot.people, "room": snapshot.rooms, "heartbeat": snapshot.heartbeats, "model": snapshot.models,
    }  # fmt: skip
    return parts[kind][name]


def _field(key: str, old: Any, new: Any, was: Mapping[str, Written], now: Mapping[str, Written]) -> Field | None:
    if old == new:
        return None
    found = now.get(key) or was.get(key)
    at = found.origin if found else None
    if isinstance(old, tuple | None) and isinstance(new, tuple | None):
        before, after = old or (), new or ()
        came = tuple(each for each in after if each not in before)
        went = tuple(each for each in before if each not in after)
        if came or went:
            return Field(key, _listed(old), _listed(new), came, went, at)
    return Field(key, _listed(old), _listed(new), at=at)


def _listed(value: Any) -> str | None:
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else value


def _plain(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case ToolSpec():
            yield from _tool(value)
        case Policy():
            yield from _policy(value)
        case _:
            for each in fields(value):
                yield from _value(each.name, getattr(value, each.name), value)


def _value(name: str, value: Any, of: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(of, Price) and not of.above and name == "above":
        return
    if name in _NAMES and not isinstance(value, Address) and (name, type(of)) != ("id", Model):
        return
    if isinstance(of, Agent) and name in ("soul", "instructions"):
        yield name, _size(value)
    elif isinstance(value, ChannelOptions):
        yield "kind", value.kind
        yield from _tree("", value.options)
    elif name == "skipped":
        yield "enabled", "false" if value and value.startswith("switched off") else "true"
    elif name == "options":
        yield from _tree("", value)
    elif name == "secrets" or value is None or (isinstance(of, Heartbeat) and name == "once"):
        return
    elif is_dataclass(value) and not isinstance(value, Address):
        for each in fields(value):
            yield from ((f"{name}.{key}", below) for key, below in _value(each.name, getattr(value, each.name), value))
    elif isinstance(value, Mapping):
        yield from _tree(f"{name}.", value)
    else:
        yield name, shown(name, value)


def _tree(before: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _tree(f"{before}{name}.", value)
        elif value is not None:
            yield f"{before}{name}", shown(name, value)


def _tool(tool: ToolSpec) -> Iterator[tuple[str, Any]]:
    options = tool.options
    if isinstance(template := options.get("template"), Template):
        yield "shell", template.text
    if reference := options.get("reference"):
        yield "python", str(reference)
    yield "description", _short(tool.description)
    yield from _tree("", {name: options.get(name, {}) for name in ("env", "with") if options.get(name)})
    required = tool.input_schema.get("required", ())
    for name, schema in tool.input_schema.get("properties", {}).items():
        yield f"input.{name}", _short(_json(schema) + ("" if name in required else " (optional)"))
    yield from ((f"judged.{name}", judged) for name, judged in tool.judged.items())
    for name in ("writes", "untrusted", "timeout", "repeat"):
        yield name, shown(name, options.get("writes", tool.writes) if name == "writes" else getattr(tool, name))


def _policy(policy: Policy) -> Iterator[tuple[str, Any]]:
    yield "default", policy.default.name.lower()
    yield "approvers", policy.approvers
    yield "answer_within", shown("answer_within", policy.answer_within)
    yield "sandbox", policy.sandbox
    yield "trusted_repositories", tuple(map(str, policy.trusted_repositories))
    joined = dict.fromkeys(rule.policy for rule in policy.rules)
    yield "include", tuple(name for name in joined if name not in ("", policy.name, "floor"))


def shown(name: str, value: Any) -> Any:
    """A value as it is written in a manifest."""
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple() if name in _CLOCK and len(value) == 2 and all(isinstance(one, int) for one in value):
            return f"{_clock(value[0])}-{_clock(value[1])}"
        case list() | tuple():
            return tuple(str(shown("", one)) for one in value)
        case int() if name in _CLOCK:
            return _clock(value)
        case int() | float() if name in _DURATIONS:
            return spelt(value)
        case datetime():
            return value.isoformat()
        case dict():
            return _short(_json(value))
        case _:
            return _short(str(value))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _short(text: str) -> str:
    """One line of bearable length, and yet another one where the text is another one."""
    line = " ".join(text.split())
    return line if len(line) <= _LONG else f"{line[: _LONG - 40]}... ({_size(text)})"


def _size(text: str) -> str:
    """A long text by its size, and a mark of which one it is."""
    if not text:
        return "none"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{len(text.encode('utf-8', 'surrogatepass')):,} bytes, text {digest}"


__all__ = ["HIDDEN", "different", "shown", "values"]
