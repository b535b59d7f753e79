"""A decision and what came of it as lines of the audit. Pure; strikes no secrets out and writes nothing.

A line holds all that ran: the argv of every program. Of other arguments it holds the gist: long texts are cut, with
their length and hash, once what is secret in them was struck out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from openclaw.messages import ToolCall
from openclaw.permissions import binding
from openclaw.permissions.policy import Attempt, Decision, Rule

LONGEST = 300  # characters of one text


def call(attempt: Attempt, session: str, id: str) -> dict[str, Any]:
    """Who calls what: the beginning of every line."""
    who = {"person": attempt.person, "room": attempt.room, "heartbeat": attempt.heartbeat}
    return {
        "session": session,
        "agent": attempt.agent,
        "sender": attempt.sender,
        **{key: value for key, value in who.items() if value is not None},
        "call": id,
        "tool": attempt.tool.name,
    }


def decided(attempt: Attempt, decision: Decision, session: str) -> dict[str, Any]:
    """What was judged, how, and by which rules. `digest` is what an answer would be bound to."""
    found: dict[str, Any] = {
        "decision": decision.effect.name.lower(),
        "reason": decision.reason,
        "rules": [named(rule) for rule in decision.rules],
        "digest": binding.bind(attempt, decision, session).digest,
    }
    if decision.command is not None:
        steps = decision.command.steps
        found["argv"] = [[*([step.after] if step.after else []), *step.argv] for step in steps]
        found["programs"] = [step.program for step in steps]
        found["cwd"] = str(decision.details.get("cwd", attempt.workspace))
    else:
        found["input"] = attempt.input
    if attempt.untrusted:
        found["untrusted"] = attempt.untrusted
    return found


def unmade(call: ToolCall, why: str) -> dict[str, Any]:
    """A call that was not one: there is no such tool, or its arguments do not fit."""
    return {"decision": "deny", "reason": why, "rules": [], "input": call.input}


def shortened(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line with the gist of its input."""
    return {key: gist(value) if key in ("input", "reason") else value for key, value in line.items()}


def gist(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST else _cut(value)
    if isinstance(value, Mapping):
        return {str(key)[:LONGEST]: gist(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [gist(item) for item in value[:50]] + ([f"and {len(value) - 50} more"] if len(value) > 50 else [])
    return value


def _cut(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:LONGEST]}... ({len(text)} characters, sha256 {digest})"


def named(rule: Rule) -> str:
    """A rule in a line of the audit: where it stands, and what it is called."""
    name = "/".join(part for part in (rule.policy, rule.id) if part)
    where = f"{rule.origin.file}:{rule.origin.line}:{rule.origin.column}"  # several may stand in one line
    return " ".join(part for part in (where, name, rule.effect.name.lower()) if part)
