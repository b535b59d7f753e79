"""What is asked of a running runtime beside messages: one method a route, named as its row."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openclaw.control import bodies, words
from openclaw.control.bodies import Bodies
from openclaw.control.document import document
from openclaw.control.metrics import Figures
from openclaw.control.problems import Unserved, unserved
from openclaw.errors import ApprovalError, OpenClawError, PairingError, StorageFailed, ToolError, UsageError
from openclaw.messages import Address
from openclaw.ports import Caller, Operations, Problem

_DECISION_LIMIT = 1 << 10
_IMPORT_LIMIT = 256 << 20


class Desk:
    def __init__(self, operations: Operations, taking: Bodies) -> None:
        self._operations = operations
        self._taking = taking
        self._figures = Figures(operations)

    async def healthy(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request, caller: Caller) -> Response:
        readiness = dict(self._operations.readiness())
        return JSONResponse(readiness, 200 if readiness["status"] == "ready" else 503)

    async def metrics(self, _: Request, caller: Caller) -> Response:
        text, kind = self._figures.text(await self._operations.figures())
        return Response(text, media_type=kind)

    async def document(self, _: Request, caller: Caller) -> Response:
        return JSONResponse(document())

    # ── what there is ────────────────────────────────────────────────────────────────────────────

    async def status(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({**self._operations.status(), "inbox": dict(await self._operations.figures())})

    async def usage(self, request: Request, caller: Caller) -> Response:
        query = {name: bodies.words(request, name) for name in ("by", "since", "until")}
        try:
            return JSONResponse(dict(await self._operations.spending(query)))
        except UsageError as error:
            raise unserved(422, "bad_field", str(error)) from error

    async def me(self, _: Request, caller: Caller) -> Response:
        agents = self._operations.agents(caller.sender.channel, caller.agents)
        about = {"name": caller.name, "scopes": sorted(caller.scopes), "sender": str(caller.sender)}
        usual = next((agent["id"] for agent in agents if agent["default"]), None)
        return JSONResponse({**about, "agents": [agent["id"] for agent in agents], "agent": usual})

    async def commands(self, _: Request, caller: Caller) -> Response:
        found = self._operations.commands(caller.sender.channel, caller.agents)
        return JSONResponse({"commands": [{"name": name, "help": help} for name, help in found]})

    async def agents(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"agents": [dict(agent) for agent in self._operations.agents()]})

    async def tools(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"tools": [dict(tool) for tool in self._operations.tools()]})

    # ── memory ───────────────────────────────────────────────────────────────────────────────────

    async def memories(self, request: Request, caller: Caller) -> Response:
        query, limit = bodies.words(request, "query"), bodies.number(request, "limit", 20, 200)
        return JSONResponse({"memories": [dict(one) for one in await self._operations.memories(query, limit)]})

    async def delete_memory(self, request: Request, caller: Caller) -> Response:
        key = request.path_params["key"]
        try:
            found = await self._operations.forget(key)
        except ToolError as error:  # a name that two have
            raise unserved(404, "unknown_memory", str(error)) from error
        if not found:
            raise unserved(404, "unknown_memory", f"there is no memory {key}")
        return JSONResponse({"key": key, "deleted": True})

    # ── reloads ──────────────────────────────────────────────────────────────────────────────────

    async def reloads(self, _: Request, caller: Caller) -> Response:
        status = self._operations.status()
        attempts = [dict(attempt) for attempt in self._operations.reloads()]
        told = {"on_last_good": bool(status["on_last_good"]), "differs": status["differs"]}
        return JSONResponse({**told, "attempts": attempts})

    async def reload(self, _: Request, caller: Caller) -> Response:
        attempt = dict(await self._operations.reload())
        match attempt["outcome"]:
            case "refused":
                errors = sum(one["severity"] == "error" for one in attempt["diagnostics"])
                detail = f"the manifests have {errors} error{'s'[: errors != 1]}; nothing changed"
                raise Unserved(Problem(422, "reload_refused", detail), attempt=attempt)
            case "failed":
                detail = attempt["error"] if attempt["in_force"] else f"nothing changed: {attempt['error']}"
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

    async def import_session(self, request: Request, caller: Caller) -> Response:
        key, body = request.path_params["key"], await self._taking.object(request, _IMPORT_LIMIT, larger=True)
        text, force = bodies.string(body, "text") or "", bodies.truth(body, "force", False)
        try:
            taken = await self._operations.import_session(key, text, force=force)
        except StorageFailed:
            raise
        except OpenClawError as error:
            raise unserved(422, "bad_session", str(error)) from error
        if taken is None:
            raise unserved(409, "session_exists", f"there is another session {key}, or it is being answered")
        return JSONResponse({"key": key, "entries": taken})

    async def stop(self, request: Request, caller: Caller) -> Response:
        key = _key(request, caller)
        return JSONResponse({"key": key, "stopped": await self._operations.stop(key)})

    # ── what has not come to its end ─────────────────────────────────────────────────────────────

    async def inbox(self, _: Request, caller: Caller) -> Response:
        return JSONResponse({"inbox": [dict(one) for one in await self._operations.inbox()]})

    async def retry(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        if not await self._operations.retry(id):
            raise unserved(404, "not_pending", f"nothing that is parked or dead has the id {id}")
        return JSONResponse({"id": id, "retried": True})

    async def drop(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        if not await self._operations.drop(id):
            raise unserved(404, "not_pending", f"nothing that waits, is parked or dead has the id {id}")
        return JSONResponse({"id": id, "dropped": True})

    # ── approvals ────────────────────────────────────────────────────────────────────────────────

    async def approvals(self, _: Request, caller: Caller) -> Response:
        operates = caller.may("operator")
        pending = [one for one in self._operations.approvals() if operates or str(caller.sender) in one.approvers]
        remembered = [dict(one) for one in await self._operations.remembered()] if operates else []
        return JSONResponse({"pending": [words.approval_json(one) for one in pending], "remembered": remembered})

    async def answer(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        decision: Any = (await self._taking.object(request, _DECISION_LIMIT)).get("decision")
        approval = next((one for one in self._operations.approvals() if one.id == id), None)
        if approval is not None and decision not in approval.offers:
            raise unserved(422, "not_offered", f"`decision` must be one of: {', '.join(approval.offers)}")
        try:
            await self._operations.answer(id, decision, caller.answers_as or caller.sender)
        except ApprovalError as error:
            if all(one.id != id for one in self._operations.approvals()):  # it was answered, withdrawn or has expired
                raise unserved(404, "unknown_approval", str(error)) from error
            raise unserved(403, "not_approver", str(error)) from error
        return JSONResponse({"id": id, "decision": decision})

    async def revoke(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        try:
            await self._operations.revoke(id)
        except ApprovalError as error:
            raise unserved(404, "unknown_approval", str(error)) from error
        return JSONResponse({"id": id, "revoked": True})

    # ── strangers ────────────────────────────────────────────────────────────────────────────────

    async def pairings(self, _: Request, caller: Caller) -> Response:
        waiting, admitted = self._operations.pairings()
        return JSONResponse(
            {
                "waiting": [words.pairing_json(one) for one in waiting],
                "admitted": [words.pairing_json(one) for one in admitted],
            }
        )

    async def pair(self, request: Request, caller: Caller) -> Response:
        try:
            return JSONResponse(words.pairing_json(await self._operations.pair(request.path_params["who"])))
        except PairingError as error:
            raise unserved(404, "unknown_pairing", str(error)) from error

    async def unpair(self, request: Request, caller: Caller) -> Response:
        said = request.path_params["who"]
        try:
            await self._operations.unpair(Address.parse(said))
        except (PairingError, ValueError) as error:
            raise unserved(404, "unknown_pairing", str(error)) from error
        return JSONResponse({"sender": said, "admitted": False})


def _owns(caller: Caller, session: str) -> bool:
    return caller.owns is None or caller.owns(session)


def _key(request: Request, caller: Caller) -> str:
    key: str = request.path_params["key"]
    if not _owns(caller, key):
        raise _no_session(key)
    return key


def _no_session(key: str) -> Unserved:
    return unserved(404, "unknown_session", f"there is no session {key}")
