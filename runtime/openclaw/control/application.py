"""The routes, who may use them, and problems as RFC 9457 describes them.

Law: the gate is asked before anything of a request is read; a caller that does not operate the runtime
sees its own sessions, messages and approvals and learns of no others. Errors carry a stable `code` and
nothing of the inside. The same application serves the operator's socket and the HTTP channel.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw.clock import Clock
from openclaw.control.beats import Beats
from openclaw.control.bodies import Bodies
from openclaw.control.chunks import error
from openclaw.control.desk import Desk
from openclaw.control.hooks import Hooks
from openclaw.control.limits import Limits, Rates, read
from openclaw.control.messages import Messages
from openclaw.control.openai import OpenAI
from openclaw.control.problems import AGAIN, Unserved, http_problem, problem, unserved
from openclaw.control.static import Static
from openclaw.control.table import TABLE, Row
from openclaw.control.turns import Turns
from openclaw.errors import DiskFull, OpenClawError, StorageFailed
from openclaw.messages import Address
from openclaw.names import fresh
from openclaw.ports import Caller, Gate, Operations, Post, Problem

log = logging.getLogger(__name__)

Endpoint = Callable[[Request, Caller], Awaitable[Response]]
Options = Callable[[], Mapping[str, Any]]
Fatal = Callable[[StorageFailed], None]

_STOPPING = Problem(503, "stopping", "the runtime stopped before this was done; ask again in a moment")
_NOBODY = Caller("nobody", Address("nowhere", "nobody"), frozenset())


def application(
    post: Post,
    operations: Operations,
    gate: Gate,
    clock: Clock,
    options: Options,
    *,
    fatal: Fatal,
) -> Starlette:
    """The whole surface. `options` gives those of its channel at that moment; `fatal` is told of a disk that refused
    to write."""

    def limits() -> Limits:
        return read(options())

    rates = Rates(limits, clock)
    guard = _Guard(gate, rates, fatal)
    taking = Bodies(limits, clock)
    turns = Turns(post, operations, clock)
    rooms = (
        Messages(turns, gate, taking, guard.broken),
        OpenAI(turns, operations, gate, taking, guard.broken),
        Hooks(post, operations, gate, taking, rates, clock, options),
        Desk(operations, taking),
        Beats(operations, clock),
        Static(),
    )
    routes = [guard.route(row, _endpoint(row.name, rooms)) for row in TABLE]
    served = Starlette(routes=routes, exception_handlers={HTTPException: guard.missing})
    served.router.redirect_slashes = False  # it would send browsers to whatever host a request names
    served.state.hang_up = turns.hang_up  # called before the end, so that open requests come to theirs
    return served


def _endpoint(name: str, rooms: Sequence[object]) -> Endpoint:
    """The method that is called as its row."""
    found: Endpoint = next(getattr(room, name) for room in rooms if hasattr(room, name))
    return found


class _Guard:
    """Puts the gate before each endpoint, and turns what goes wrong behind it into problems."""

    def __init__(self, gate: Gate, rates: Rates, fatal: Fatal) -> None:
        self._gate = gate
        self._rates = rates
        self._fatal = fatal

    def route(self, row: Row, endpoint: Endpoint) -> Route:
        async def guarded(request: Request) -> Response:
            answer = await self._served(request, row, endpoint)
            answer.headers.setdefault("Cache-Control", "no-store")
            answer.headers.setdefault("X-Content-Type-Options", "nosniff")
            return answer

        return Route(row.path, guarded, methods=[row.method])

    async def missing(self, request: Request, error: Exception) -> Response:
        """Where no route is, or not with this method: that too is told under our own names only."""
        if wrong := self._gate.foreign(request):
            return problem(wrong)
        return await http_problem(request, error)

    async def _served(self, request: Request, row: Row, endpoint: Endpoint) -> Response:
        try:
            return await endpoint(request, await self._admitted(request, row))
        except Unserved as refused:
            return _told(row, refused.problem, refused.more, refused.again)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except HTTPException as refused:
            return await http_problem(request, refused)
        except asyncio.CancelledError:  # by the web server alone, of what has not ended when the serving ends
            return _told(row, _STOPPING)
        except Exception as failure:
            return _told(row, self.broken(failure))

    async def _admitted(self, request: Request, row: Row) -> Caller:
        if row.proof:
            return _NOBODY
        if row.open:
            if wrong := self._gate.foreign(request):
                raise Unserved(wrong)
            return _NOBODY
        caller = await self._gate(request)
        if isinstance(caller, Problem):
            raise Unserved(caller)
        self._rates.take(caller.name)
        if row.scope is not None and not caller.may(row.scope):
            raise unserved(403, "scope", f"{caller.name} lacks the scope {row.scope}")
        return caller

    def broken(self, error: Exception) -> Problem:
        if isinstance(error, StorageFailed):  # the runtime ends, and says why in one line
            self._fatal(error)
            return Problem(503, "storage_failed", "nothing could be written, and the runtime ends")
        if isinstance(error, DiskFull):  # the log says it already
            return Problem(503, "full", "the disk is full; nothing was changed")
        reference = fresh()[:12]
        log.error("a request failed (reference %s)", reference, exc_info=error)
        if isinstance(error, OpenClawError):
            return Problem(503, "unavailable", f"this cannot be done now (reference {reference})")
        return Problem(500, "internal", f"this is a fault of the runtime (reference {reference})")


def _told(row: Row, found: Problem, more: Mapping[str, Any] | None = None, again: float = AGAIN) -> Response:
    """A problem in the form that the route's programs read."""
    form = error if row.form == "openai" else problem
    return form(found, more or {}, again)
