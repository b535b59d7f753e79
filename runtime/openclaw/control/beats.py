"""What is asked about heartbeats and reminders, and what is done to them: one method a route, named as its row.

Law: what came of an instant is told also where its heartbeat is gone; only what is there is run, paused or deleted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openclaw.clock import Clock
from openclaw.control import bodies
from openclaw.control.problems import Unserved, refused, unserved
from openclaw.control.table import MOST_RUNS
from openclaw.messages import Accepted, Refused
from openclaw.ports import Caller, Operations

_AHEAD = timedelta(days=7)
_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)  # beyond it, some zone's clock has no words for a time


class Beats:
    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    async def heartbeats(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"heartbeats": [dict(one) for one in await self._operations.heartbeats()]})

    async def history(self, request: Request, caller: Caller) -> Response:
        heartbeat, limit = bodies.words(request, "heartbeat") or None, bodies.number(request, "limit", 50, MOST_RUNS)
        since = bodies.time(request, "since")
        if since is not None:  # as it was told of a run, to the millisecond: that run is not later
            since = since.replace(microsecond=since.microsecond // 1000 * 1000 + 999)
        runs = await self._operations.history(heartbeat, limit, since)
        return JSONResponse({"runs": [dict(run) for run in runs]})

    async def coming(self, request: Request, caller: Caller) -> Response:
        until = bodies.time(request, "until") or self._clock.now() + _AHEAD
        limit = bodies.number(request, "limit", 200, MOST_RUNS)
        coming = await self._operations.coming(min(until, _LATEST), limit)
        return JSONResponse({"coming": [dict(one) for one in coming]})

    async def run_heartbeat(self, request: Request, caller: Caller) -> Response:
        match await self._operations.run_heartbeat(request.path_params["name"]):
            case Refused(code="heartbeat", reason=reason):
                raise unserved(404, "unknown_heartbeat", reason)
            case Refused(code=code, reason=reason):
                raise refused(code, reason)
            case Accepted(id=id, agent=agent, session=session):
                state = {"id": id, "status": "queued", "agent": agent, "session": session}
                return JSONResponse(state, 202, {"Location": f"/api/messages/{id}"})

    async def pause_heartbeat(self, request: Request, caller: Caller) -> Response:
        name = request.path_params["name"]
        if not await self._operations.pause_heartbeat(name, caller.answers_as or caller.sender):
            raise _unknown(name)
        return JSONResponse({"name": name, "paused": True})

    async def resume_heartbeat(self, request: Request, caller: Caller) -> Response:
        name = request.path_params["name"]
        if not await self._operations.resume_heartbeat(name):
            raise _unknown(name)
        return JSONResponse({"name": name, "paused": False})

    async def forget_heartbeat(self, request: Request, caller: Caller) -> Response:
        name = request.path_params["name"]
        if await self._operations.forget_heartbeat(name):
            return JSONResponse({"name": name, "deleted": True})
        if any(one["name"] == name for one in await self._operations.heartbeats()):
            raise unserved(409, "in_manifest", f"{name} stands in heartbeats.yaml: take it out there, or pause it")
        raise _unknown(name)


def _unknown(name: str) -> Unserved:
    return unserved(404, "unknown_heartbeat", f"there is no heartbeat {name}")
