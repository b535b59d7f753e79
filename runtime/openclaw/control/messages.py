"""Posting over HTTP: take a message in, then wait for its answer, stream it, or let it be fetched later.

Law: what was accepted is answered whether or not anybody still listens; a request that goes away ends its
listening and nothing else. A repeated idempotency key never makes a second turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openclaw.clock import Clock
from openclaw.control import bodies, events, words
from openclaw.control.bodies import Bodies
from openclaw.control.events import Teller, Turn
from openclaw.control.feed import Feed, Feeds
from openclaw.control.problems import refused, unserved
from openclaw.messages import Accepted, Address, Answered, Message, Refused, Reply, Text
from openclaw.names import fresh
from openclaw.ports import Caller, Gate, Operations, Post, Settlement

_FIELDS = ("text", "sender", "agent", "session", "ask")


class Messages:
    def __init__(self, post: Post, operations: Operations, gate: Gate, clock: Clock, taking: Bodies) -> None:
        self._post = post
        self._operations = operations
        self._gate = gate
        self._clock = clock
        self._taking = taking
        self._feeds = Feeds(operations, clock)
        self._teller = Teller(clock, self._replied)

    def hang_up(self) -> None:
        """The runtime ends: whoever waits for an answer is told to fetch it later."""
        self._feeds.hang_up()

    async def post_message(self, request: Request, caller: Caller) -> Response:
        since = events.since(request)
        message, feed = await self._message(request, caller), Feed()
        match await self._post(message, feed):
            case Refused(code=code, reason=reason):
                raise refused(code, reason)
            case Answered(text=text):
                return self._at_once(message.id, text, request)
            case Accepted() as accepted:
                turn = await self._follow(accepted, feed, message)
                if events.wanted(request):
                    return self._stream(turn, since, caller)
                return await self._answer(turn, request)

    async def message(self, request: Request, caller: Caller) -> Response:
        return JSONResponse(await self._state(await self._found(request, caller)))

    async def message_events(self, request: Request, caller: Caller) -> Response:
        since = events.since(request)
        id = (await self._found(request, caller)).id
        found = await self._feeds.of(id)
        if found is None:
            raise unserved(404, "unknown_message", f"there is no message {id}")
        feed, settlement = found
        turn = Turn(id, settlement.route.agent, settlement.route.session, feed)
        return self._stream(turn, since, caller)

    async def _found(self, request: Request, caller: Caller) -> Settlement:
        id = request.path_params["id"]
        settlement = await self._operations.find(id)
        if settlement is None or (caller.owns is not None and not caller.owns(settlement.route.session)):
            raise unserved(404, "unknown_message", f"there is no message {id}")
        return settlement

    # ── taking in ────────────────────────────────────────────────────────────────────────────────

    async def _message(self, request: Request, caller: Caller) -> Message:
        body = await self._taking.object(request)
        unknown = sorted(set(body) - set(_FIELDS))
        if unknown:
            raise unserved(422, "unknown_field", f"unknown field `{unknown[0]}`; there are {', '.join(_FIELDS)}")
        text = bodies.string(body, "text")
        if text is None:
            raise unserved(422, "missing_text", "`text` is missing: what should be said?")
        agent = bodies.string(body, "agent")
        if agent is not None and caller.agents is not None and agent not in caller.agents:
            raise unserved(403, "agent", f"{caller.name} may not ask agent {agent}")
        return Message(
            id=_id(request, caller),
            sender=_sender(bodies.string(body, "sender"), caller),
            parts=(Text(text),),
            at=self._clock.now(),
            agent=agent,
            session=bodies.string(body, "session"),
            agents=caller.agents,
            fetched=True,
            can_ask=bodies.truth(body, "ask", True),
        )

    async def _follow(self, accepted: Accepted, feed: Feed, message: Message) -> Turn:
        if accepted.new:
            self._feeds.keep(accepted.id, feed)
            return Turn(accepted.id, accepted.agent, accepted.session, feed)
        found = await self._feeds.of(accepted.id)
        assert found is not None, "what was accepted before is there"
        feed, settlement = found
        if settlement.route.text not in message.text:
            raise unserved(422, "idempotency_mismatch", "this Idempotency-Key was used with another text")
        return Turn(accepted.id, accepted.agent, accepted.session, feed)

    # ── answering ────────────────────────────────────────────────────────────────────────────────

    def _at_once(self, id: str, text: str, request: Request) -> Response:
        answer = {"id": id, "reply": text, "agent": None, "session": None, "usage": None}
        return events.stream(_once(answer)) if events.wanted(request) else JSONResponse(answer)

    def _stream(self, turn: Turn, since: int | None, caller: Caller) -> Response:
        return events.stream(self._teller.tell(turn, since, lambda: self._gate.holds(caller)))

    async def _answer(self, turn: Turn, request: Request) -> Response:
        if "respond-async" not in request.headers.get("prefer", ""):
            await turn.feed.settled()
            if turn.feed.reply is not None:
                return JSONResponse(await self._replied(turn.id, turn.feed.reply))
        settlement = await self._operations.find(turn.id)
        state = await self._state(settlement) if settlement else {"id": turn.id, "status": "queued"}
        return JSONResponse(state, 202, {"Location": f"/api/messages/{turn.id}"})

    async def _replied(self, id: str, reply: Reply) -> words.Json:
        if reply.failed:
            raise unserved(502, "turn_failed", reply.text)
        usage = words.turn_usage(await self._operations.transcript(reply.session), id)
        return {
            "id": id,
            "reply": reply.text,
            "agent": reply.agent,
            "session": reply.session,
            "usage": words.usage_json(usage),
        }

    async def _state(self, settlement: Settlement) -> words.Json:
        reply = settlement.reply
        if reply is not None and not reply.failed:
            return {"status": "done", **await self._replied(settlement.id, reply)}
        answer: words.Json = {"id": settlement.id, "status": settlement.state}
        answer |= {"agent": settlement.route.agent, "session": settlement.route.session}
        if reply is not None or settlement.state == "parked":
            return answer | {"status": "failed", "error": reply.text if reply else "given up after repeated crashes"}
        pending = self._pending(settlement.route.session)
        if settlement.state == "running" and pending:
            answer |= {"status": "waiting", "approvals": pending}
        return answer

    def _pending(self, session: str) -> list[words.Json]:
        return [words.approval_json(one) for one in self._operations.approvals() if one.session == session]


# ── reading requests ─────────────────────────────────────────────────────────────────────────────


def _sender(declared: str | None, caller: Caller) -> Address:
    if declared is None:
        return caller.sender
    if caller.declare is None:
        raise unserved(403, "sender", f"{caller.name} may not speak for another sender")
    try:
        return caller.declare(declared)
    except ValueError as error:
        raise unserved(422, "sender", str(error)) from error


def _id(request: Request, caller: Caller) -> str:
    key = request.headers.get("idempotency-key")
    if key is None:
        return fresh()
    if not key or len(key) > 255:
        raise unserved(400, "bad_idempotency_key", "an Idempotency-Key has 1 to 255 characters")
    return "key-" + hashlib.sha256(f"{caller.name}\n{key}".encode()).hexdigest()[:40]


async def _once(answer: words.Json) -> AsyncIterator[str]:
    yield events.event("reply", answer)
