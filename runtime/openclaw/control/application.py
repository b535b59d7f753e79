"""The routes, who may use them, and problems as RFC 9457 describes them.

Law: the gate is asked before anything of a request is read; a caller that does not operate the runtime
sees its own sessions, messages and approvals and learns of no others. Errors carry a stable `code` and
nothing of the inside. The same application serves the operator's socket and the HTTP channel.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from openclaw.clock import Clock
from openclaw.control import words
from openclaw.control.document import TABLE, Row, document
from openclaw.control.messages import Messages, Unserved, read_object, unserved
from openclaw.errors import ApprovalError, OpenClawError, StorageFailed
from openclaw.messages import Address
from openclaw.names import fresh
from openclaw.ports import Caller, Gate, Operations, Post, Problem

log = logging.getLogger(__name__)

BODY_LIMIT = 1 << 20  # bytes
Endpoint = Callable[[Request, Caller], Awaitable[Response]]
Fatal = Callable[[StorageFailed], None]

_DECISION_LIMIT = 1 << 10
_NOBODY = Caller("nobody", Address("nowhere", "nobody"), frozenset())
_CODES = {404: "not_found", 405: "method_not_allowed"}


def application(
    post: Post,
    operations: Operations,
    gate: Gate,
    clock: Clock,
    *,
    fatal: Fatal,
    body_limit: int = BODY_LIMIT,
    more: Sequence[BaseRoute] = (),
) -> Starlette:
    """The whole surface. `fatal` is told of a disk that refused to write; `more` are routes of the place it serves."""
    guard = _Guard(gate, fatal)
    messages = Messages(post, operations, clock, body_limit)
    desk = _Desk(operations)
    endpoints: dict[str, Endpoint] = {"post_message": messages.create, "message": messages.show}
    routes = [guard.route(row, endpoints.get(row.name) or getattr(desk, row.name)) for row in TABLE]
    served = Starlette(routes=[*routes, *more], exception_handlers={HTTPException: _http_problem})
    served.state.hang_up = messages.hang_up  # called before the end, so that open requests come to theirs
    return served


def problem(found: Problem, more: Mapping[str, Any] | None = None) -> JSONResponse:
    """`more` are further members, beside those that every problem has."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(found.status).phrase,
        "status": found.status,
        "code": found.code,
        "detail": found.detail,
        **(more or {}),
    }
    headers = {"Retry-After": "5"} if found.status in (429, 503) else {}
    if found.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, found.status, headers, media_type="application/problem+json")


async def _http_problem(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problem(Problem(status, _CODES.get(status, "http"), HTTPStatus(status).phrase.lower()))


class _Guard:
    """Puts the gate before each endpoint, and turns what goes wrong behind it into problems."""

    def __init__(self, gate: Gate, fatal: Fatal) -> None:
        self._gate = gate
        self._fatal = fatal

    def route(self, row: Row, endpoint: Endpoint) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                caller = _NOBODY if row.open else await self._admitted(request, row.scope)
                return await endpoint(request, caller)
            except Unserved as refused:
                return problem(refused.problem, refused.more)
            except HTTPException as refused:
                return await _http_problem(request, refused)
            except Exception as error:
                return self._broken(error)

        return Route(row.path, guarded, methods=[row.method])

    async def _admitted(self, request: Request, scope: str | None) -> Caller:
        caller = await self._gate(request)
        if isinstance(caller, Problem):
            raise Unserved(caller)
        if scope is not None and not caller.may(scope):
            raise unserved(403, "scope", f"{caller.name} lacks the scope {scope}")
        return caller

    def _broken(self, error: Exception) -> Response:
        if isinstance(error, StorageFailed):  # the runtime ends, and says why in one line
            self._fatal(error)
            return problem(Problem(503, "storage_failed", "nothing could be written, and the runtime ends"))
        reference = fresh()[:12]
        log.error("a request failed (reference %s)", reference, exc_info=error)
        if isinstance(error, OpenClawError):
            return problem(Problem(503, "unavailable", f"this cannot be done now (reference {reference})"))
        return problem(Problem(500, "internal", f"this is a fault of the runtime (reference {reference})"))


class _Desk:
    """Everything beside posting: one method a route, named as its row."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def healthy(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request, caller: Caller) -> Response:
        readiness = dict(self._operations.readiness())
        return JSONResponse(readiness, 200 if readiness["status"] == "ready" else 503)

    async def document(self, _: Request, caller: Caller) -> Response:
        return JSONResponse(document())

    async def status(self, _: Request, caller: Caller) -> Response:
        return JSONResponse(dict(self._operations.status()))

    async def agents(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"agents": [dict(agent) for agent in self._operations.agents()]})

    async def tools(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"tools": [dict(tool) for tool in self._operations.tools()]})

    async def heartbeats(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"heartbeats": [dict(one) for one in await self._operations.heartbeats()]})

    # ── reloads ──────────────────────────────────────────────────────────────────────────────────

    async def reloads(self, _: Request, caller: Caller) -> Response:
        last_good = bool(self._operations.readiness()["last_good"])
        attempts = [dict(attempt) for attempt in self._operations.reloads()]
        return JSONResponse({"last_good": last_good, "attempts": attempts})

    async def reload(self, _: Request, caller: Caller) -> Response:
        attempt = dict(await self._operations.reload())
        match attempt["outcome"]:
            case "refused":
                errors = sum(one["severity"] == "error" for one in attempt["diagnostics"])
                detail = f"the manifests have {errors} error{'s'[: errors != 1]}; nothing changed"
                raise Unserved(Problem(422, "reload_refused", detail), attempt=attempt)
            case "failed":
                detail = f"nothing changed: {attempt['error']}"
                raise Unserved(Problem(503, "reload_failed", detail), attempt=attempt)
        return JSONResponse(attempt)

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────

    async def sessions(self, _: Request, caller: Caller) -> Response:
        listed = [one for one in await self._operations.sessions() if _owns(caller, one.key)]
        return JSONResponse({"sessions": [words.session_json(one) for one in listed]})

    async def session(self, request: Request, caller: Caller) -> Response:
        key = _key(request, caller)
        entries = await self._operations.transcript(key)
        if not entries:
            raise _no_session(key)
        return JSONResponse({"key": key, "entries": [words.entry_json(entry) for entry in entries]})

    async def reset(self, request: Request, caller: Caller) -> Response:
        key = _key(request, caller)
        archived = await self._operations.reset(key)
        if archived is None:
            raise _no_session(key)
        return JSONResponse({"key": key, "archived": archived})

    async def stop(self, request: Request, caller: Caller) -> Response:
        key = _key(request, caller)
        return JSONResponse({"key": key, "stopped": await self._operations.stop(key)})

    # ── approvals ────────────────────────────────────────────────────────────────────────────────

    async def approvals(self, _: Request, caller: Caller) -> Response:
        operates = caller.may("operator")
        pending = [one for one in self._operations.approvals() if operates or str(caller.sender) in one.approvers]
        remembered = [dict(one) for one in await self._operations.remembered()] if operates else []
        return JSONResponse({"pending": [words.approval_json(one) for one in pending], "remembered": remembered})

    async def answer(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        decision = (await read_object(request, _DECISION_LIMIT)).get("decision")
        approval = next((one for one in self._operations.approvals() if one.id == id), None)
        if approval is None:
            raise unserved(404, "unknown_approval", f"no approval {id} is pending: it was answered, or has expired")
        if decision not in approval.offers:
            raise unserved(422, "not_offered", f"`decision` must be one of: {', '.join(approval.offers)}")
        try:
            await self._operations.answer(id, decision, caller.answers_as or caller.sender)
        except ApprovalError as error:
            raise unserved(403, "not_approver", str(error)) from error
        return JSONResponse({"id": id, "decision": decision})

    async def revoke(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        try:
            await self._operations.revoke(id)
        except ApprovalError as error:
            raise unserved(404, "unknown_approval", str(error)) from error
        return JSONResponse({"id": id, "revoked": True})


def _owns(caller: Caller, session: str) -> bool:
    return caller.owns is None or caller.owns(session)


def _key(request: Request, caller: Caller) -> str:
    key: str = request.path_params["key"]
    if not _owns(caller, key):
        raise _no_session(key)
    return key


def _no_session(key: str) -> Unserved:
    return unserved(404, "unknown_session", f"there is no session {key}")
