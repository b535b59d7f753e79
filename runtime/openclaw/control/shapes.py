"""What goes over HTTP, as JSON Schema: requests, answers, and the codes of problems. Data only.

`document.py` makes the OpenAPI document of it, and the tests hold every answer to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

PROBLEMS: Final[Mapping[str, str]] = {
    "unauthorized": "no valid token",
    "rate": "too many requests within a minute",
    "crowded": "too many connections are open",
    "bad_request": "the request is not HTTP, or its head is too long",
    "too_many_failures": "too many wrong tokens from one place",
    "wrong_host": "the Host header names something that is not served here",
    "wrong_origin": "another web site's page made the request",
    "scope": "the token lacks the scope",
    "not_found": "there is no such route",
    "method_not_allowed": "the route does not take this method",
    "not_json": "the body is not application/json",
    "bad_json": "the body is not JSON",
    "not_an_object": "the body is not a JSON object",
    "too_large": "the body or the message is too long",
    "too_slow": "the body did not come in time",
    "unknown_field": "the body has a field that means nothing",
    "bad_field": "a field has the wrong type",
    "missing_text": "there is no text",
    "empty": "the message is empty",
    "sender": "the token may not speak for this sender, or the sender is not admitted",
    "agent": "there is no such agent, or it may not be asked here",
    "busy": "too much is waiting",
    "full": "the disk is full; nothing was taken",
    "stopping": "the runtime ends; send it again in a moment",
    "bad_event_id": "`Last-Event-ID` is no id of an event",
    "bad_idempotency_key": "the Idempotency-Key is empty or too long",
    "idempotency_mismatch": "the Idempotency-Key was used with another text",
    "turn_failed": "the message was taken, and could not be answered",
    "unknown_message": "no such message, or not this token's",
    "unknown_session": "no such session, or not this token's",
    "unknown_heartbeat": "there is no such heartbeat",
    "unknown_memory": "there is no such memory",
    "unknown_pairing": "nobody waits with this code, or was let in under this address",
    "unknown_approval": "no such approval is pending or remembered",
    "not_offered": "this decision is not among those offered",
    "not_approver": "the token's holder may not answer this",
    "reload_refused": "the manifests have errors; nothing changed",
    "reload_failed": "the manifests are valid and could not be applied; nothing changed",
    "hung_up": "the stream ended before the answer; fetch it",
    "storage_failed": "nothing could be written",
    "unavailable": "this cannot be done now",
    "internal": "a fault of the runtime; its log has the reference",
}


_CONDITION: Final[Schema] = {
    "enum": ["receiving", "connecting", "silent", "serving", "starting", "off", "failed", "ended"],
    "description": "`receiving` and `serving` are well; `silent`: nothing was received for too long.",
}


def _object(_optional: Mapping[str, Any] | None = None, /, **required: Any) -> Schema:
    """An object that has all of `required`, perhaps some of `_optional`, and nothing else."""
    return {
        "type": "object",
        "properties": {**required, **(_optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _any(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "number"}
_YES: Final[Schema] = {"type": "boolean"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_OPEN: Final[Schema] = {"type": "object"}
_DECISION: Final[Schema] = {"enum": ["allow-once", "allow-always", "deny"]}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457. `code` is stable: " + "; ".join(f"{c}: {m}" for c, m in PROBLEMS.items()),
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "code": {"enum": list(PROBLEMS)},
            "detail": _TEXT,
            "attempt": ref("Attempt"),
        },
        "required": ["type", "title", "status", "code", "detail"],
        "additionalProperties": False,
    },
    "Healthy": _object(status={"const": "ok"}),
    "Readiness": _object(
        {"detail": {**_TEXT, "description": "What is amiss although messages are taken, or what is waited for."}},
        status={"enum": ["starting", "ready", "stopping"]},
        last_good={**_YES, "description": "The project on disk is broken; what was applied last is running."},
        channels={**_map(_CONDITION), "description": "Each channel, and whether it receives."},
    ),
    "Ask": _object(
        {
            "sender": {**_TEXT, "description": "Who speaks, where the token lets its program say so."},
            "agent": {**_TEXT, "description": "The agent to ask, by its id; no prefix is looked for then."},
            "session": {**_TEXT, "description": "A name that sets this conversation apart from the sender's others."},
            "ask": {**_YES, "description": "False: the sender cannot be asked for approval; it is not waited for."},
        },
        text={**_TEXT, "description": "What is said. Slash commands work as everywhere."},
    ),
    "Usage": _object(input_tokens=_COUNT, output_tokens=_COUNT, cache_read_tokens=_COUNT, cache_write_tokens=_COUNT),
    "Answer": _object(
        id=_TEXT, reply=_TEXT, agent=_any(_TEXT), session=_any(_TEXT), usage=_any(ref("Usage"))
    ),
    "MessageState": _object(
        {
            "agent": _TEXT,
            "session": _TEXT,
            "reply": _TEXT,
            "usage": ref("Usage"),
            "error": _TEXT,
            "approvals": _list(ref("Approval")),
        },
        id=_TEXT,
        status={"enum": ["queued", "running", "waiting", "done", "failed"]},
    ),
    "Events": {
        "type": "string",
        "description": "Server-sent events `accepted`, `text`, `tool_call`, `tool_result`, `approval`, then `reply` or "
        "`error`; the data of each is a JSON object with the message's `id`. A `text` with `restart` voids the text "
        "before it. Each event has an `id`, its place in the turn: a number that only grows.",
    },
    "Session": _object(key=_TEXT, entries=_COUNT, size={**_COUNT, "description": "Bytes."}, updated=_TIME),
    "Sessions": _object(sessions=_list(ref("Session"))),
    "Entry": {
        "type": "object",
        "properties": {
            "id": _TEXT,
            "at": _TIME,
            "type": {"enum": ["message", "intent", "result", "compaction"]},
            "content": {"anyOf": [_TEXT, _list(_OPEN)]},
        },
        "required": ["id", "at", "type"],
    },
    "Transcript": _object(key=_TEXT, entries=_list(ref("Entry"))),
    "Archived": _object(key=_TEXT, archived=_TEXT),
    "Stopped": _object(key=_TEXT, stopped=_YES),
    "Approval": _object(
        id=_TEXT,
        session=_TEXT,
        agent=_TEXT,
        tool=_TEXT,
        asked_for=_TEXT,
        lines=_list(_TEXT),
        cwd=_TEXT,
        reason=_TEXT,
        rules=_list(_TEXT),
        approvers=_list(_TEXT),
        offers=_list(_DECISION),
        created=_TIME,
        expires=_TIME,
    ),
    "Approvals": _object(
        pending=_list(ref("Approval")),
        remembered={**_list(_OPEN), "description": "Only the operator sees them."},
    ),
    "Decide": _object(decision=_DECISION),
    "Decided": _object(id=_TEXT, decision=_DECISION),
    "Revoked": _object(id=_TEXT, revoked={"const": True}),
    "Me": _object(
        name={**_TEXT, "description": "Of the token, never its value."},
        scopes=_list({"enum": ["chat", "read", "approve", "operator"]}),
        sender={**_TEXT, "description": "The address it speaks as, where it names no other."},
        agents={**_any(_list(_TEXT)), "description": "Those it may ask; null: every one."},
    ),
    "Commands": _object(commands=_list(_object(name=_TEXT, help=_TEXT))),
    "Agent": _object(
        id=_TEXT,
        name=_TEXT,
        description=_TEXT,
        prefix=_any(_TEXT),
        default=_YES,
        model=_TEXT,
        tools=_list(_TEXT),
        policy=_TEXT,
    ),
    "Agents": _object(agents=_list(ref("Agent"))),
    "Tool": _object(
        name=_TEXT,
        kind={**_TEXT, "description": "What runs it: shell, python, files, memory, web."},
        description=_TEXT,
        input_schema=_OPEN,
        agents={**_list(_TEXT), "description": "The agents that may ask for it."},
    ),
    "Tools": _object(tools=_list(ref("Tool"))),
    "Heartbeat": _object(
        name=_TEXT,
        agent=_TEXT,
        cron=_list(_TEXT),
        timezone=_TEXT,
        enabled=_YES,
        deliver=_list(_TEXT),
        missed={"enum": ["once", "skip", "all"]},
        next={**_any(_TIME), "description": "The next time it runs, in its own zone; null where it is off."},
        last={**_any(_TIME), "description": "The last scheduled time that was run or skipped."},
    ),
    "Page": {"type": "string", "description": "A file of the web page, in the media type that its name says."},
    "Metrics": {"type": "string", "description": "The text form of Prometheus; every name begins with `openclaw_`."},
    "Memory": _object(
        key={**_TEXT, "description": "What names it: its scope's folder and its own name."},
        scope=_TEXT,
        name=_TEXT,
        text=_TEXT,
        created=_TIME,
        author={**_TEXT, "description": "The address of whoever had it saved."},
        agent=_TEXT,
    ),
    "Memories": _object(memories={**_list(ref("Memory")), "description": "The best first, or the latest."}),
    "Forgotten": _object(key=_TEXT, forgotten={"const": True}),
    "Spent": _object(
        usage=_list(
            _object(
                agent=_TEXT,
                model={**_TEXT, "description": "The id of the model."},
                turns=_COUNT,
                failed=_COUNT,
                seconds=_NUMBER,
                input_tokens=_COUNT,
                output_tokens=_COUNT,
                cache_read_tokens=_COUNT,
                cache_write_tokens=_COUNT,
            )
        )
    ),
    "Pairing": _object(
        {"code": {**_TEXT, "description": "What they were told, as long as they wait."}, "expires": _TIME},
        sender={**_TEXT, "description": "Their address."},
        name={**_TEXT, "description": "As displayed on their channel; anybody may call themselves anything."},
        at=_TIME,
    ),
    "Pairings": _object(waiting=_list(ref("Pairing")), admitted=_list(ref("Pairing"))),
    "Paired": ref("Pairing"),
    "Unpaired": _object(sender=_TEXT, admitted={"const": False}),
    "Heartbeats": _object(heartbeats=_list(ref("Heartbeat"))),
    "Status": {
        "type": "object",
        "properties": {
            "version": _TEXT,
            "pid": _COUNT,
            "ready": _YES,
            "demo": _YES,
            "uptime_seconds": _NUMBER,
            "snapshot": _object(digest=_TEXT, generation=_COUNT),
            "agents": _list(_TEXT),
            "models": _map(_TEXT),
            "channels": _map(_TEXT),
            "receiving": _map(ref("Receiving")),
            "running": _list(_TEXT),
            "approvals": _COUNT,
            "last_reload": _any(ref("Attempt")),
            "last_good": _YES,
        },
        "required": ["version", "pid", "ready", "snapshot", "agents", "channels", "last_reload", "last_good"],
    },
    "Receiving": _object(
        {
            "last_received": {**_TEXT, "format": "date-time"},
            "seconds_ago": _NUMBER,
            "received": _COUNT,
            "reconnects": _COUNT,
            "trouble": {**_TEXT, "description": "What it struggles with at present."},
        },
        condition=_CONDITION,
        restarts={**_COUNT, "description": "How often it fell silent or broke, and was started anew."},
    ),
    "Diagnostic": _object(
        code=_TEXT,
        severity={"enum": ["error", "warning"]},
        file=_TEXT,
        line=_COUNT,
        column=_COUNT,
        end_line=_COUNT,
        end_column=_COUNT,
        message=_TEXT,
        help=_any(_TEXT),
        related=_list(_object(file=_TEXT, line=_COUNT, column=_COUNT, message=_TEXT)),
    ),
    "Attempt": _object(
        number=_COUNT,
        trigger={"enum": ["edit", "request", "SIGHUP"]},
        at=_TIME,
        seconds=_NUMBER,
        outcome={"enum": ["applied", "unchanged", "refused", "failed"]},
        changes={**_list(_TEXT), "description": "What became different, in words."},
        diagnostics=_list(ref("Diagnostic")),
        error=_TEXT,
    ),
    "Reloads": _object(last_good=_YES, attempts={**_list(ref("Attempt")), "description": "Oldest first."}),
}
