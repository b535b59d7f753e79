"""The routes as one table: what each is for, who may use it, what it takes and what it answers. Data only.

Law: the application serves exactly the rows of `TABLE`, and the OpenAPI document is made of them, so neither can
fall behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from openclaw.spending import BY, USUAL

Method = Literal["GET", "POST", "DELETE"]

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
MOST_RUNS: Final = 1000  # of a history, in one answer


@dataclass(frozen=True, slots=True)
class Row:
    """A route. `name` is its operation; `scope` None admits every token, `open` needs none at all; `proof` is what
    convinces the route itself instead. `problems` are the statuses of problems beside those that every such route
    may give; `streams` is the shape of its events, where it has a stream of them."""

    name: str
    method: Method
    path: str  # as Starlette spells it
    scope: str | None
    summary: str
    answers: Mapping[int, str]  # status -> shape; "" has no body
    body: str | None = None
    open: bool = False
    proof: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # of the request, that mean something
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name -> its schema
    problems: tuple[int, ...] = ()
    media: str = JSON
    streams: str | None = None
    takes: tuple[str, ...] = (JSON,)  # media types of the body
    form: Literal["problem", "openai"] = "problem"  # how problems are told


_KEY: Final = {"Idempotency-Key": "Makes a repeated request the same one, also across restarts: 1 to 255 characters."}
_AGAIN: Final = {"Last-Event-ID": "The `id` of the last event that was seen: the stream goes on after it."}
_POSTED: Final = {
    **_KEY,
    **_AGAIN,
    "Prefer": "`respond-async`: answer 202 at once, and fetch the reply later.",
    "Accept": "`text/event-stream`: stream the turn as events.",
}
_QUERY: Final = {"type": "string", "default": "", "description": "What to look for; left out: the latest."}
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": 200, "default": 20, "description": "How many at most."}

_WHOSE: Final = {"type": "string", "default": "", "description": "Of this heartbeat alone; left out: of all."}
_RUNS: Final = {**_LIMIT, "maximum": MOST_RUNS, "default": 50}
_SOON: Final = {**_LIMIT, "maximum": MOST_RUNS, "default": 200}
_SINCE: Final = {"type": "string", "format": "date-time", "description": "Only scheduled times later than this one."}
_UNTIL: Final = {"type": "string", "format": "date-time", "description": "Up to when; left out: a week from now."}
_BY: Final = {
    "type": "string",
    "default": ",".join(BY),
    "description": "What each row is of: one or more of day, agent and model, between commas.",
}
_FIRST: Final = {
    "type": "string",
    "default": USUAL,
    "description": "The first day, as 2026-11-28, or how many days up to today, as 7d.",
}
_LAST: Final = {"type": "string", "description": "The last day; left out: today."}

_HEALTH: Final = (
    Row(
        "page", "GET", "/", None, "The web page", {200: "Page", 304: ""}, open=True, media="text/html", problems=(404,)
    ),
    Row(
        "page_part",
        "GET",
        "/page/{name}",
        None,
        "What the web page is made of",
        {200: "Page", 304: ""},
        open=True,
        media="*/*",
        problems=(404,),
    ),
    Row("healthy", "GET", "/healthz", None, "Whether the process lives", {200: "Healthy"}, open=True),
    Row("ready", "GET", "/readyz", None, "Whether messages are taken", {200: "Readiness", 503: "Readiness"}),
    Row("metrics", "GET", "/metrics", "read", "Figures for Prometheus", {200: "Metrics"}, media="text/plain"),
    Row("document", "GET", "/openapi.json", None, "This document", {200: "Document"}),
)
_TALK: Final = (
    Row(
        "post_message",
        "POST",
        "/api/messages",
        "chat",
        "Say something, and wait for the answer",
        {200: "Answer", 202: "MessageState"},
        "Ask",
        headers=_POSTED,
        problems=(402, 410, 502),
        streams="Events",
    ),
    Row("message", "GET", "/api/messages/{id}", "chat", "How a message stands", {200: "MessageState"}, problems=(404,)),
    Row(
        "message_events",
        "GET",
        "/api/messages/{id}/events",
        "chat",
        "A turn as events, from where one left off",
        {200: "Events"},
        headers=_AGAIN,
        media=EVENTS,
        problems=(400, 404),
    ),
)
_OPENAI: Final = (
    Row(
        "complete",
        "POST",
        "/v1/chat/completions",
        "chat",
        "Ask an agent as OpenAI's clients do",
        {200: "Completion"},
        "ChatRequest",
        headers=_KEY,
        problems=(402, 404, 410, 502),
        streams="Chunks",
        form="openai",
    ),
    Row("models", "GET", "/v1/models", "chat", "The agents, as models", {200: "Models"}, form="openai"),
    Row(
        "model",
        "GET",
        "/v1/models/{name:path}",
        "chat",
        "An agent, as a model",
        {200: "Model"},
        problems=(404,),
        form="openai",
    ),
)
_SESSIONS: Final = (
    Row("sessions", "GET", "/api/sessions", "chat", "The sessions this token may see", {200: "Sessions"}),
    Row(
        "stop",
        "POST",
        "/api/sessions/{key:path}/stop",
        "chat",
        "End the running turn",
        {200: "Stopped"},
        problems=(404,),
    ),
    Row(
        "import_session",
        "POST",
        "/api/sessions/{key:path}/import",
        "operator",
        "Take in an exported session",
        {200: "Imported"},
        "Import",
        problems=(409, 422),
    ),
    Row("session", "GET", "/api/sessions/{key:path}", "chat", "A transcript", {200: "Transcript"}, problems=(404,)),
    Row("reset", "DELETE", "/api/sessions/{key:path}", "chat", "Archive a session", {200: "Archived"}, problems=(404,)),
)
_INBOX: Final = (
    Row(
        "inbox",
        "GET",
        "/api/inbox",
        "operator",
        "What has not come to its end, of each state the oldest 1,000",
        {200: "Inbox"},
    ),
    Row(
        "retry",
        "POST",
        "/api/inbox/{id}/retry",
        "operator",
        "Try once more what is parked or dead",
        {200: "Retried"},
        problems=(404,),
    ),
    Row(
        "drop",
        "DELETE",
        "/api/inbox/{id}",
        "operator",
        "End what waits, is parked or dead; nobody is told",
        {200: "Dropped"},
        problems=(404,),
    ),
)
_APPROVALS: Final = (
    Row("approvals", "GET", "/api/approvals", "approve", "What waits for a person", {200: "Approvals"}),
    Row(
        "answer",
        "POST",
        "/api/approvals/{id}",
        "approve",
        "Answer a question",
        {200: "Decided"},
        "Decide",
        problems=(404,),
    ),
    Row(
        "revoke",
        "DELETE",
        "/api/approvals/{id}",
        "operator",
        "Forget a remembered approval",
        {200: "Revoked"},
        problems=(404,),
    ),
)
_STRANGERS: Final = (
    Row("pairings", "GET", "/api/pairings", "operator", "Strangers who wait, and who was let in", {200: "Pairings"}),
    Row(
        "pair",
        "POST",
        "/api/pairings/{who:path}",
        "operator",
        "Let the holder of a code in",
        {200: "Paired"},
        problems=(404,),
    ),
    Row(
        "unpair",
        "DELETE",
        "/api/pairings/{who:path}",
        "operator",
        "Let somebody in no more",
        {200: "Unpaired"},
        problems=(404,),
    ),
)
_OUTSIDE: Final = (
    Row(
        "hook",
        "POST",
        "/hooks/{name}",
        None,
        "A call of another service, which becomes a message to an agent",
        {202: "Taken"},
        "Call",
        open=True,
        proof="the call proves that it knows the hook's secret",
        problems=(401, 403, 404),
        takes=(JSON, "application/x-www-form-urlencoded", "text/plain"),
    ),
    Row(
        "letter",
        "POST",
        "/channels/{key}",
        None,
        "What a service sends to one channel, which judges it",
        {200: ""},
        "Call",
        open=True,
        proof="the channel knows its service",
        problems=(401, 403, 404),
        takes=("*/*",),
    ),
)
_BEATS: Final = (
    Row(
        "heartbeats",
        "GET",
        "/api/heartbeats",
        "read",
        "Heartbeats and reminders: when next, and how they stand",
        {200: "Heartbeats"},
    ),
    Row(
        "history",
        "GET",
        "/api/heartbeats/history",
        "read",
        "What came of scheduled times, the latest first",
        {200: "History"},
        query={"heartbeat": _WHOSE, "limit": _RUNS, "since": _SINCE},
        problems=(422,),
    ),
    Row(
        "coming",
        "GET",
        "/api/heartbeats/coming",
        "read",
        "What runs from now on, the soonest first",
        {200: "Coming"},
        query={"until": _UNTIL, "limit": _SOON},
        problems=(422,),
    ),
    Row(
        "run_heartbeat",
        "POST",
        "/api/heartbeats/{name}/run",
        "operator",
        "Run it now, beside its schedule",
        {202: "MessageState"},
        problems=(404,),
    ),
    Row(
        "pause_heartbeat",
        "POST",
        "/api/heartbeats/{name}/pause",
        "operator",
        "Nothing of it runs by itself until it is resumed",
        {200: "Paused"},
        problems=(404,),
    ),
    Row(
        "resume_heartbeat",
        "POST",
        "/api/heartbeats/{name}/resume",
        "operator",
        "It goes on from now, also where it had stopped after failures",
        {200: "Paused"},
        problems=(404,),
    ),
    Row(
        "forget_heartbeat",
        "DELETE",
        "/api/heartbeats/{name}",
        "operator",
        "Delete a reminder",
        {200: "Deleted"},
        problems=(404, 409),
    ),
)
_HOUSE: Final = (
    Row("me", "GET", "/api/me", None, "Whom the token speaks for, and what it may do", {200: "Me"}),
    Row("commands", "GET", "/api/commands", "chat", "What may be typed after a slash", {200: "Commands"}),
    Row("agents", "GET", "/api/agents", "read", "The agents", {200: "Agents"}),
    Row("tools", "GET", "/api/tools", "read", "The tools, and who may ask for them", {200: "Tools"}),
    Row(
        "memories", "GET", "/api/memory", "read", "What is remembered, of every scope", {200: "Memories"},
        query={"query": _QUERY, "limit": _LIMIT}, problems=(422,),
    ),
    Row(
        "delete_memory", "DELETE", "/api/memory/{key:path}", "operator", "Delete a memory", {200: "DeletedMemory"},
        problems=(404,),
    ),
    Row(
        "usage", "GET", "/api/usage", "read", "What was used on days, by day, agent and model", {200: "Spent"},
        query={"by": _BY, "since": _FIRST, "until": _LAST}, problems=(422,),
    ),
    Row("status", "GET", "/api/status", "read", "What the runtime is doing", {200: "Status"}),
    Row("reloads", "GET", "/api/reload", "read", "The latest attempts to apply what is on disk", {200: "Reloads"}),
    Row(
        "reload", "POST", "/api/reload", "operator",
        "Apply what is on disk now; refused, the problem carries the attempt", {200: "Attempt"}, problems=(422,),
    ),
)  # fmt: skip

TABLE: Final[tuple[Row, ...]] = (
    *_HEALTH, *_TALK, *_OPENAI, *_SESSIONS, *_INBOX, *_APPROVALS, *_STRANGERS, *_OUTSIDE, *_BEATS, *_HOUSE
)  # fmt: skip
