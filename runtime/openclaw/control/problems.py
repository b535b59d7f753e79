"""Why a request is not served, as RFC 9457 describes it, with a stable `code` and nothing of the inside."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from openclaw.control import words
from openclaw.messages import Reply
from openclaw.ports import Problem

# How a message that was refused is told; anything else is 400.
REFUSALS: Mapping[str, int] = {
    "sender": 403, "agent": 403, "busy": 429, "empty": 422, "too_large": 413, "stopping": 503, "full": 503
}  # fmt: skip
_CODES = {404: "not_found", 405: "method_not_allowed"}
Broken = Callable[[Exception], Problem]
"""Makes a problem of what went wrong inside: logged once, and a dead disk ends the runtime."""
AGAIN = 5.0  # seconds after which to come again, where nothing better is known


class Unserved(Exception):
    """Carries a Problem to the edge of a route, with further members where it has some. `again`: seconds to wait."""

    def __init__(self, problem: Problem, again: float = AGAIN, **more: Any) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.again = again
        self.more = more


def unserved(status: int, code: str, detail: str) -> Unserved:
    return Unserved(Problem(status, code, detail))


GONE = Problem(410, "gone", "this ended long ago, and what was said is not kept any more")
"""Of a message that ended, and whose reply is not there."""


def refused(code: str, reason: str) -> Unserved:
    """What became of a message that was not taken."""
    return unserved(REFUSALS.get(code, 400), code, reason)


def failed_turn(reply: Reply) -> tuple[int, str]:
    """Status and code of a message that could not be answered."""
    code = words.failed_code(reply.fault)
    return 402 if code == "over_budget" else 502, code


def problem(found: Problem, more: Mapping[str, Any] | None = None, again: float = AGAIN) -> JSONResponse:
    """`more` are further members, beside those that every problem has."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(found.status).phrase,
        "status": found.status,
        "code": found.code,
        "detail": plain(found.detail),
        **(more or {}),
    }
    return JSONResponse(body, found.status, headers(found, again), media_type="application/problem+json")


def plain(detail: str) -> str:
    """It may quote what a request carried, and JSON may spell lone surrogates, which cannot be sent."""
    return detail.encode("utf-8", "replace").decode()


def headers(found: Problem, again: float = AGAIN) -> dict[str, str]:
    """Those that say what to do about it."""
    if found.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(max(math.ceil(again), 1))} if found.status in (429, 503) else {}


async def http_problem(request: Request, error: Exception) -> Response:
    """What the web library refuses by itself: routes and methods that are not there."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    answer = problem(Problem(status, _CODES.get(status, "http"), HTTPStatus(status).phrase.lower()))
    if status == 405:
        answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """Those of every route of this place; the library names those of the first alone."""
    fitting = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    same = [route for route in fitting if _plain(route) == _plain(fitting[0])]
    return sorted({method for route in same for method in getattr(route, "methods", None) or ()})


def _plain(route: Any) -> str:
    return str(getattr(route, "path", "")).replace(":path}", "}")
