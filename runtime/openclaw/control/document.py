"""The OpenAPI document, made of the table of routes. Pure.

Law: every status that a route can answer with stands in it; there is no catch-all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import openclaw
from openclaw.control.completions import COMPLETIONS
from openclaw.control.notation import ref
from openclaw.control.shapes import SCHEMAS
from openclaw.control.table import EVENTS, TABLE, Row

__all__ = ["TABLE", "Row", "document", "refusals"]

_PROBLEMS: Mapping[int, str] = {
    400: "The request is malformed",
    401: "A valid token is needed",
    402: "The agent has cost what it may on this day",
    403: "The token may not do this, or another web site asked",
    404: "There is no such thing, or not for this token",
    408: "The body did not come in time",
    409: "It is there, and not to be changed in this way",
    410: "It was answered long ago, and what was said is not kept any more",
    413: "The body or the message is too long",
    415: "The body is of a type that is not taken here",
    421: "This host name is not served here",
    422: "The request is understood, and cannot be done",
    429: "Too much at once; `Retry-After` says when to come again",
    500: "A fault of the runtime",
    502: "The model did not answer",
    503: "Not at present; `Retry-After` says when to come again",
}
_FORMS = {"problem": ("application/problem+json", "Problem"), "openai": ("application/json", "OpenAIError")}


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
            "schemas": {**SCHEMAS, **COMPLETIONS, "Document": {"type": "object"}},
        },
    }


def refusals(row: Row) -> set[int]:
    """The statuses of problems that a route may answer with."""
    found = {500, 503, *row.problems}
    if not row.proof:
        found |= {403, 421}  # another site's page, another host name
    if not row.open:
        found |= {401}
    if row.proof or not row.open:
        found |= {429}
    if row.body:
        found |= {400, 408, 413, 415, 422}
    return found


def _operation(row: Row) -> dict[str, Any]:
    answers: dict[str, Any] = {str(status): _answer(row, status, shape) for status, shape in row.answers.items()}
    for status in sorted(refusals(row)):
        kind, shape = _FORMS[row.form]
        answer = answers.setdefault(str(status), {"description": _PROBLEMS[status]})
        answer.setdefault("content", {})[kind] = {"schema": ref(shape)}
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "description": _needs(row),
        "responses": dict(sorted(answers.items())),
    }
    if parameters := [*_in_path(row.path), *_in_headers(row.headers), *_in_query(row.query)]:
        operation["parameters"] = parameters
    if row.body:
        operation["requestBody"] = {
            "required": True, "content": {kind: {"schema": ref(row.body)} for kind in row.takes}
        }  # fmt: skip
    if row.open:
        operation["security"] = []
    return operation


def _needs(row: Row) -> str:
    if row.proof:
        return f"Needs no token: {row.proof}."
    if row.open:
        return "Needs no token."
    return f"Needs the scope {row.scope}." if row.scope else "Needs any token."


def _answer(row: Row, status: int, shape: str) -> dict[str, Any]:
    if not shape:
        return {"description": "As it was" if status == 304 else "Taken"}
    content = {row.media: {"schema": ref(shape)}}
    if row.streams and status == 200:
        content[EVENTS] = {"schema": ref(row.streams)}
    return {"description": shape, "content": content}


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _in_path(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_headers(headers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """OpenAPI lets `Accept` be described by the answers' content types alone."""
    for name, words in headers.items():
        if name != "Accept":
            yield {"name": name, "in": "header", "description": words, "schema": {"type": "string"}}


def _in_query(query: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for name, schema in query.items():
        told = {key: value for key, value in schema.items() if key != "description"}
        yield {"name": name, "in": "query", "description": schema["description"], "schema": told}
