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
    "crowded": "too many connections are open, or too much comes at once",
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
    "model_not_found": "there is no such model; OpenAI's clients only, as are the next three",
    "unsupported": "the request asks for what an agent does not do",
    "context_length_exceeded": "the conversation is too long for the model",
    "rate_limit_exceeded": "the model's service is asked too often",
    "bad_event_id": "`Last-Event-ID` is no id of an event",
    "bad_idempotency_key": "the Idempotency-Key is empty or too long",
    "idempotency_mismatch": "the Idempotency-Key was used with another text",
    "turn_failed": "the message was taken, and could not be answered",
    "gone": "the message was answered long ago, and what was said is not kept any more",
    "unknown_message": "no such message, or not this token's",
    "unknown_session": "no such session, or not this token's",
    "unknown_hook": "there is no such hook",
    "unknown_channel": "nothing is received for this channel",
    "stale": "the time of the call is too far off",
    "missing_id": "the call does not carry its own id",
    "bad_form": "the form has too many fields",
    "unknown_heartbeat": "there is no such heartbeat",
    "in_manifest": "the heartbeat is one of the manifests, and is changed there",
    "unknown_memory": "there is no such memory",
    "not_pending": "nothing of that id waits, is parked or dead",
    "session_exists": "another session is there, or it is being answered",
    "bad_session": "what is to be imported is no exported session, or not whole",
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


TEXT: Final[Schema] = {"type": "string"}
_NAME: Final[Schema] = {"type": "string", "maxLength": 200}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
YES: Final[Schema] = {"type": "boolean"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
OPEN: Final[Schema] = {"type": "object"}
_DECISION: Final[Schema] = {"enum": ["allow-once", "allow-always", "deny"]}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457. `code` is stable: " + "; ".join(f"{c}: {m}" for c, m in PROBLEMS.items()),
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "code": {"enum": list(PROBLEMS)},
            "detail": TEXT,
            "attempt": ref("Attempt"),
        },
        "required": ["type", "title", "status", "code", "detail"],
        "additionalProperties": False,
    },
    "Healthy": object_(status={"const": "ok"}),
    "Readiness": object_(
        {"detail": {**TEXT, "description": "What is amiss although messages are taken, or what is waited for."}},
        status={"enum": ["starting", "ready", "stopping"]},
        last_good={**YES, "description": "The project on disk is broken; what was applied last is running."},
        channels={**map_(_CONDITION), "description": "Each channel, and whether it receives."},
    ),
    "Ask": object_(
        {
            "sender": {**_NAME, "minLength": 1, "description": "Who speaks, where the token lets its program say so."},
            "agent": {**_NAME, "description": "The agent to ask, by its id; no prefix is looked for then."},
            "session": {**_NAME, "description": "A name that sets this conversation apart from the sender's others."},
            "ask": {**YES, "description": "False: the sender cannot be asked for approval; it is not waited for."},
        },
        text={**TEXT, "description": "What is said. Slash commands work as everywhere."},
    ),
    "Call": {"description": "Whatever the other service sends: JSON, a form, or text."},
    "Taken": object_(id={**TEXT, "description": "The message's id."}, status={"const": "accepted"}),
    "Usage": object_(input_tokens=COUNT, output_tokens=COUNT, cache_read_tokens=COUNT, cache_write_tokens=COUNT),
    "Answer": object_(id=TEXT, reply=TEXT, agent=any_(TEXT), session=any_(TEXT), usage=any_(ref("Usage"))),
    "MessageState": object_(
        {
            "agent": TEXT,
            "session": TEXT,
            "reply": TEXT,
            "usage": ref("Usage"),
            "error": TEXT,
            "approvals": list_(ref("Approval")),
        },
        id=TEXT,
        status={"enum": ["queued", "running", "waiting", "done", "failed"]},
    ),
    "Events": {
        "type": "object",
        "description": "Each server-sent event: `accepted`, then `text`, `tool_call`, `tool_result`, `approval`, and "
        "last `reply` or `error`. A `text` with `restart` voids the text before it.",
        "properties": {
            "event": {"enum": ["accepted", "text", "tool_call", "tool_result", "approval", "reply", "error"]},
            "id": {**TEXT, "description": "Its place in the turn: a number that only grows."},
            "data": {**TEXT, "description": "A JSON object with the message's `id`."},
            "retry": COUNT,
        },
    },
    "Session": object_(key=TEXT, entries=COUNT, size={**COUNT, "description": "Bytes."}, updated=TIME),
    "Sessions": object_(sessions=list_(ref("Session"))),
    "Entry": {
        "type": "object",
        "properties": {
            "id": TEXT,
            "at": TIME,
            "type": {"enum": ["message", "intent", "result", "compaction", "draft", "undone", "told"]},
            "content": {"anyOf": [TEXT, list_(OPEN)]},
        },
        "required": ["id", "at", "type"],
    },
    "Transcript": object_(key=TEXT, entries=list_(ref("Entry"))),
    "Archived": object_(key=TEXT, archived=TEXT),
    "Import": object_({"force": YES}, text={**TEXT, "description": "The file, as it was exported."}),
    "Imported": object_(key=TEXT, entries={**COUNT, "description": "How many were not there yet."}),
    "Inbox": object_(inbox=list_(ref("Pending"))),
    "Pending": object_(
        id=TEXT,
        state={"enum": ["running", "waiting", "parked", "undelivered", "dead"]},
        session=TEXT,
        agent=TEXT,
        who={**TEXT, "description": "Who said it, or of a dead reply where it was to go."},
        text=TEXT,
        attempts=COUNT,
        since={**TEXT, "format": "date-time"},
    ),
    "Retried": object_(id=TEXT, retried=YES),
    "Dropped": object_(id=TEXT, dropped=YES),
    "Stopped": object_(key=TEXT, stopped=YES),
    "Approval": object_(
        id=TEXT,
        session=TEXT,
        agent=TEXT,
        tool=TEXT,
        asked_for=TEXT,
        lines=list_(TEXT),
        cwd=TEXT,
        reason=TEXT,
        rules=list_(TEXT),
        approvers=list_(TEXT),
        offers=list_(_DECISION),
        created=TIME,
        expires=TIME,
    ),
    "Approvals": object_(
        pending=list_(ref("Approval")),
        remembered={**list_(OPEN), "description": "Only the operator sees them."},
    ),
    "Decide": object_(decision=_DECISION),
    "Decided": object_(id=TEXT, decision=_DECISION),
    "Revoked": object_(id=TEXT, revoked={"const": True}),
    "Me": object_(
        name={**TEXT, "description": "Of the token, never its value."},
        scopes=list_({"enum": ["chat", "read", "approve", "operator"]}),
        sender={**TEXT, "description": "The address it speaks as, where it names no other."},
        agents={**any_(list_(TEXT)), "description": "Those it may ask; null: every one."},
    ),
    "Commands": object_(commands=list_(object_(name=TEXT, help=TEXT))),
    "Agent": object_(
        id=TEXT,
        name=TEXT,
        description=TEXT,
        prefix=any_(TEXT),
        default=YES,
        model=TEXT,
        tools=list_(TEXT),
        policy=TEXT,
    ),
    "Agents": object_(agents=list_(ref("Agent"))),
    "Tool": object_(
        name=TEXT,
        kind={**TEXT, "description": "What runs it: shell, python, files, memory, web."},
        description=TEXT,
        input_schema=OPEN,
        agents={**list_(TEXT), "description": "The agents that may ask for it."},
    ),
    "Tools": object_(tools=list_(ref("Tool"))),
    "Heartbeat": object_(
        name=TEXT,
        origin={"enum": ["manifest", "reminder"], "description": "A reminder was set up in a conversation."},
        agent=TEXT,
        model={**any_(TEXT), "description": "An alias of models.yaml; null: the agent's own."},
        prompt=TEXT,
        says={**YES, "description": "The prompt is what is said; no model is asked."},
        check={**any_(TEXT), "description": "The tool that decides whether the model is woken."},
        cron=list_(TEXT),
        once={**any_(TIME), "description": "One time more, or the only one."},
        timezone=TEXT,
        active_hours={**any_(TEXT), "description": "Such as 08:00-22:00, on its own clock; null: always."},
        enabled=YES,
        paused={**any_(object_(at=TIME, by=any_(TEXT))), "description": "Since when, and by whose wish."},
        stopped={**any_(TEXT), "description": "Why nothing of it runs until somebody looks."},
        failures={**COUNT, "description": "In a row, up to now."},
        deliver=list_(TEXT),
        missed={"enum": ["once", "skip", "all"]},
        next={**any_(TIME), "description": "The next time it runs, in its own zone; null where nothing comes."},
        last={**any_(TIME), "description": "The last scheduled time that was run or skipped."},
        last_run=any_(ref("Run")),
    ),
    "Run": object_(
        heartbeat=TEXT,
        scheduled={**TIME, "description": "When it was due."},
        at={**TIME, "description": "When it was begun, or passed over."},
        ended=any_(TIME),
        seconds={**any_(NUMBER), "description": "What it took."},
        cause={"enum": ["schedule", "hand"]},
        outcome={
            "enum": ["queued", "running", "answered", "silent", "quiet", "failed", "parked", "missed", "skipped"],
            "description": "`silent`: there was nothing to deliver. `quiet`: its check let the model sleep. `parked`: "
            "it ended the runtime again and again. `missed`: nothing ran then. `skipped`: it was not to run then.",
        },
        why={**TEXT, "description": "It was missed, skipped, or failed."},
        number={**COUNT, "description": "Of the times in a row that this stands for, of which it is the last."},
        message={**any_(TEXT), "description": "The id of its message; null where it was not run."},
        session=any_(TEXT),
        agent=any_(TEXT),
        model={**any_(TEXT), "description": "The id of the model."},
        cost_usd={**any_(NUMBER), "description": "Null where the price is not known."},
        usage=any_(ref("Usage")),
        check={**TEXT, "description": "What its check found, in a line; empty where it has none."},
        reply=any_(TEXT),
        deliveries=list_(object_(to=TEXT, state={"enum": ["due", "sent", "dead"]}, tries=COUNT, ended=any_(TIME))),
    ),
    "History": object_(runs={**list_(ref("Run")), "description": "The latest first."}),
    "Coming": object_(
        coming={
            **list_(object_(heartbeat=TEXT, at={**TIME, "description": "In its own zone."})),
            "description": "The soonest first.",
        }
    ),
    "Paused": object_(name=TEXT, paused=YES),
    "Deleted": object_(name=TEXT, deleted={"const": True}),
    "Page": {"type": "string", "description": "A file of the web page, in the media type that its name says."},
    "Metrics": {"type": "string", "description": "The text form of Prometheus; every name begins with `openclaw_`."},
    "Memory": object_(
        key={**TEXT, "description": "What names it: its scope's folder and its own name."},
        scope=TEXT,
        name=TEXT,
        text=TEXT,
        created=TIME,
        author={**TEXT, "description": "The address of whoever had it saved."},
        agent=TEXT,
    ),
    "Memories": object_(memories={**list_(ref("Memory")), "description": "The best first, or the latest."}),
    "Forgotten": object_(key=TEXT, forgotten={"const": True}),
    "Spent": object_(
        usage=list_(
            object_(
                agent=TEXT,
                model={**TEXT, "description": "The id of the model."},
                turns=COUNT,
                failed=COUNT,
                seconds=NUMBER,
                input_tokens=COUNT,
                output_tokens=COUNT,
                cache_read_tokens=COUNT,
                cache_write_tokens=COUNT,
            )
        )
    ),
    "Pairing": object_(
        {"code": {**TEXT, "description": "What they were told, as long as they wait."}, "expires": TIME},
        sender={**TEXT, "description": "Their address."},
        name={**TEXT, "description": "As displayed on their channel; anybody may call themselves anything."},
        at=TIME,
    ),
    "Pairings": object_(waiting=list_(ref("Pairing")), admitted=list_(ref("Pairing"))),
    "Paired": ref("Pairing"),
    "Unpaired": object_(sender=TEXT, admitted={"const": False}),
    "Heartbeats": object_(heartbeats=list_(ref("Heartbeat"))),
    "Status": {
        "type": "object",
        "properties": {
            "version": TEXT,
            "pid": COUNT,
            "ready": YES,
            "demo": YES,
            "uptime_seconds": NUMBER,
            "snapshot": object_(digest=TEXT, generation=COUNT),
            "agents": list_(TEXT),
            "models": map_(TEXT),
            "channels": map_(TEXT),
            "receiving": map_(ref("Receiving")),
            "running": list_(TEXT),
            "approvals": COUNT,
            "inbox": object_(waiting=COUNT, running=COUNT, parked=COUNT, dead=COUNT),
            "disk": object_({"since": {**TEXT, "format": "date-time"}, "waiting": COUNT}, full=YES),
            "last_reload": any_(ref("Attempt")),
            "last_good": YES,
        },
        "required": ["version", "pid", "ready", "snapshot", "agents", "channels", "last_reload", "last_good"],
    },
    "Receiving": object_(
        {
            "last_received": {**TEXT, "format": "date-time"},
            "seconds_ago": NUMBER,
            "received": COUNT,
            "reconnects": COUNT,
            "trouble": {**TEXT, "description": "What it struggles with at present."},
        },
        condition=_CONDITION,
        restarts={**COUNT, "description": "How often it fell silent or broke, and was started anew."},
    ),
    "Diagnostic": object_(
        code=TEXT,
        severity={"enum": ["error", "warning"]},
        file=TEXT,
        line=COUNT,
        column=COUNT,
        end_line=COUNT,
        end_column=COUNT,
        message=TEXT,
        help=any_(TEXT),
        related=list_(object_(file=TEXT, line=COUNT, column=COUNT, message=TEXT)),
    ),
    "Attempt": object_(
        number=COUNT,
        trigger={"enum": ["edit", "request", "SIGHUP"]},
        at=TIME,
        seconds=NUMBER,
        outcome={"enum": ["applied", "unchanged", "refused", "failed"]},
        changes={**list_(TEXT), "description": "What became different, in words."},
        diagnostics=list_(ref("Diagnostic")),
        error=TEXT,
    ),
    "Reloads": object_(last_good=YES, attempts={**list_(ref("Attempt")), "description": "Oldest first."}),
}
