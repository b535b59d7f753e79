"""The routes as one table, and the OpenAPI document that is made of it. Pure.

Law: the application serves exactly the rows of `TABLE`, so the document cannot fall behind the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import openclaw
from openclaw.control.shapes import SCHEMAS, ref

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class Row:
    """A route. `name` is its operation; `scope` None admits every token, `open` needs none at all."""

    name: str
    method: Method
    path: str  # as Starlette spells it
    scope: str | None
    summary: str
    answers: Mapping[int, str]  # status -> shape
    body: str | None = None
    open: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)  # of the request, that mean something


_POSTED: Final = {
    "Idempotency-Key": "Makes a repeated request the same one, also across restarts: 1 to 255 characters.",
    "Prefer": "`respond-async`: answer 202 at once, and fetch the reply later.",
    "Accept": "`text/event-stream`: stream the turn as events.",
}

TABLE: Final[tuple[Row, ...]] = (
    Row("healthy", "GET", "/healthz", None, "Whether the process lives", {200: "Healthy"}, open=True),
    Row("ready", "GET", "/readyz", None, "Whether messages are taken", {200: "Readiness", 503: "Readiness"}),
    Row("document", "GET", "/openapi.json", None, "This document", {200: "Document"}),
    Row(
        "post_message", "POST", "/api/messages", "chat", "Say something, and wait for the answer",
        {200: "Answer", 202: "MessageState"}, "Ask", headers=_POSTED,
    ),
    Row("message", "GET", "/api/messages/{id}", "chat", "How a message stands", {200: "MessageState"}),
    Row("sessions", "GET", "/api/sessions", "chat", "The sessions this token may see", {200: "Sessions"}),
    Row("stop", "POST", "/api/sessions/{key:path}/stop", "chat", "End the running turn", {200: "Stopped"}),
    Row("session", "GET", "/api/sessions/{key:path}", "chat", "A transcript", {200: "Transcript"}),
    Row("reset", "DELETE", "/api/sessions/{key:path}", "chat", "Archive a session", {200: "Archived"}),
    Row("approvals", "GET", "/api/approvals", "approve", "What waits for a person", {200: "Approvals"}),
    Row("answer", "POST", "/api/approvals/{id}", "approve", "Answer a question", {200: "Decided"}, "Decide"),
    Row("revoke", "DELETE", "/api/approvals/{id}", "operator", "Forget a remembered approval", {200: "Revoked"}),
    Row("agents", "GET", "/api/agents", "read", "The agents", {200: "Agents"}),
    Row("tools", "GET", "/api/tools", "read", "The tools, and who may ask for them", {200: "Tools"}),
    Row("heartbeats", "GET", "/api/heartbeats", "read", "What runs on a schedule, and when next", {200: "Heartbeats"}),
    Row("status", "GET", "/api/status", "read", "What the runtime is doing", {200: "Status"}),
    Row("reloads", "GET", "/api/reload", "read", "The latest attempts to apply what is on disk", {200: "Reloads"}),
    Row(
        "reload", "POST", "/api/reload", "operator",
        "Apply what is on disk now; refused, the problem carries the attempt", {200: "Attempt"},
    ),
)  # fmt: skip


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for row in TABLE:
        paths.setdefault(_plain(row.path), {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenClaw Runtime",
            "version": openclaw.__version__,
            "description": "Scopes: `chat` posts and sees its own sessions, `approve` answers questions put to its "
            "holder, `read` sees what there is and how it goes, `operator` may do everything.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**SCHEMAS, "Document": {"type": "object"}},
            "responses": {
                "Problem": {
                    "description": "Why the request was not served",
                    "content": {"application/problem+json": {"schema": ref("Problem")}},
                }
            },
        },
    }


def _operation(row: Row) -> dict[str, Any]:
    answers: dict[str, Any] = {str(status): _answer(row, status, shape) for status, shape in row.answers.items()}
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "description": _needs(row),
        "responses": answers | {"default": {"$ref": "#/components/responses/Problem"}},
    }
    if parameters := [*_in_path(row.path), *_in_headers(row.headers)]:
        operation["parameters"] = parameters
    if row.body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(row.body)}}}
    if row.open:
        operation["security"] = []
    return operation


def _needs(row: Row) -> str:
    if row.open:
        return "Needs no token."
    return f"Needs the scope {row.scope}." if row.scope else "Needs any token."


def _answer(row: Row, status: int, shape: str) -> dict[str, Any]:
    content = {"application/json": {"schema": ref(shape)}}
    if "Accept" in row.headers and status == 200:
        content["text/event-stream"] = {"schema": ref("Events")}
    return {"description": shape, "content": content}


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)", path)
    ]


def _in_headers(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """OpenAPI lets `Accept` be described by the answers' content types alone."""
    return [
        {"name": name, "in": "header", "description": words, "schema": {"type": "string"}}
        for name, words in headers.items()
        if name != "Accept"
    ]
