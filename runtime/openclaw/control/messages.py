"""Posting over HTTP: take a message in, then wait for its answer, stream it, or let it be fetched later.

Law: what was accepted is answered whether or not anybody still listens; a request that goes away ends its
listening and nothing else. A repeated idempotency key never makes a second turn.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from weakref import WeakSet

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from openclaw.clock import Clock
from openclaw.control import bodies, words
from openclaw.control.problems import Unserved, refused, unserved
from openclaw.messages import Accepted, Address, Answered, Asked, Finished, Message, Progress, Refused, Reply, Text
from openclaw.names import fresh
from openclaw.ports import Caller, Operations, Post, Settlement

_PING = 15.0  # seconds without an event after which a comment keeps proxies from hanging up
_BACKLOG = 20_000  # events kept for a reader that is slow
_FIELDS = ("text", "sender", "agent", "session", "ask")


class Ear:
    """What one request hears of a turn: a watcher whose events are read in order, kept up to a limit."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[Progress | None] = asyncio.Queue()
        self._open = True

    def __call__(self, progress: Progress) -> None:
        if not self._open:
            return
        if self._heard.qsize() >= _BACKLOG and not isinstance(progress, Finished):
            self._open = False
            self._heard.put_nowait(None)
        else:
            self._heard.put_nowait(progress)

    async def next(self) -> Progress | None:
        """The next event; None where nothing more will be heard: the reader was too slow, or the runtime ends."""
        return await self._heard.get()

    def close(self) -> None:
        self._open = False

    def hang_up(self) -> None:
        self.close()
        self._heard.put_nowait(None)


@dataclass(frozen=True, slots=True)
class Turn:
    """An accepted message that a request follows."""

    accepted: Accepted
    ear: Ear
    leave: Callable[[], None]
    settlement: Settlement | None = None  # of a message that was accepted by an earlier request


class Messages:
    def __init__(self, post: Post, operations: Operations, clock: Clock, body_limit: int) -> None:
        self._post = post
        self._operations = operations
        self._clock = clock
        self._body_limit = body_limit
        self._ears: WeakSet[Ear] = WeakSet()  # weak, because a stream may be gone before it began

    def hang_up(self) -> None:
        """The runtime ends: whoever waits for an answer is told to fetch it later."""
        for ear in self._ears:
            ear.hang_up()

    async def post_message(self, request: Request, caller: Caller) -> Response:
        message = await self._message(request, caller)
        ear = Ear()
        match await self._post(message, ear):
            case Refused(code=code, reason=reason):
                raise refused(code, reason)
            case Answered(text=text):
                return self._at_once(message.id, text, request)
            case Accepted() as accepted:
                self._ears.add(ear)
                return await self._answer(await self._follow(accepted, ear, message), request)

    async def message(self, request: Request, caller: Caller) -> Response:
        id = request.path_params["id"]
        settlement = await self._operations.find(id)
        if settlement is None or (caller.owns is not None and not caller.owns(settlement.route.session)):
            raise unserved(404, "unknown_message", f"there is no message {id}")
        return JSONResponse(await self._state(settlement))

    # ── taking in ────────────────────────────────────────────────────────────────────────────────

    async def _message(self, request: Request, caller: Caller) -> Message:
        body = await bodies.read_object(request, self._body_limit)
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

    async def _follow(self, accepted: Accepted, ear: Ear, message: Message) -> Turn:
        if accepted.new:
            return Turn(accepted, ear, lambda: self._leave(ear, ear.close))
        unwatch = self._operations.watch(accepted.id, ear)  # before looking, so that its end cannot fall between

        def leave() -> None:
            self._leave(ear, unwatch)

        settlement = await self._operations.find(accepted.id)
        if settlement is not None and settlement.route.text not in message.text:
            leave()
            raise unserved(422, "idempotency_mismatch", "this Idempotency-Key was used with another text")
        return Turn(accepted, ear, leave, settlement)

    def _leave(self, ear: Ear, unwatch: Callable[[], None]) -> None:
        self._ears.discard(ear)
        unwatch()

    # ── answering ────────────────────────────────────────────────────────────────────────────────

    def _at_once(self, id: str, text: str, request: Request) -> Response:
        answer = {"id": id, "reply": text, "agent": None, "session": None, "usage": None}
        if not _wants_events(request):
            return JSONResponse(answer)
        return _stream(_once([("reply", answer)]))

    async def _answer(self, turn: Turn, request: Request) -> Response:
        id = turn.accepted.id
        if _wants_events(request):
            return _stream(self._events(turn))
        try:
            if "respond-async" not in request.headers.get("prefer", ""):
                reply = await self._wait(turn)
                if reply is not None:
                    return JSONResponse(await self._replied(id, reply))
            settlement = await self._operations.find(id)
            state = await self._state(settlement) if settlement else {"id": id, "status": "queued"}
            return JSONResponse(state, 202, {"Location": f"/api/messages/{id}"})
        finally:
            turn.leave()

    async def _wait(self, turn: Turn) -> Reply | None:
        """The reply; None where the turn waits for an approval instead."""
        if turn.settlement is not None:
            if turn.settlement.reply is not None:
                return turn.settlement.reply
            if self._pending(turn.accepted.session):
                return None
        while True:
            match await turn.ear.next():
                case Finished(reply=reply):
                    return reply
                case Asked() | None:
                    return None

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

    async def _events(self, turn: Turn) -> AsyncIterator[str]:
        id = turn.accepted.id
        try:
            yield _event("accepted", {"id": id, "agent": turn.accepted.agent, "session": turn.accepted.session})
            if turn.settlement is not None and turn.settlement.reply is not None:
                yield await self._last(id, turn.settlement.reply)
                return
            async for progress in self._heard(turn.ear):
                if isinstance(progress, Finished):
                    yield await self._last(id, progress.reply)
                    return
                if progress is None:
                    yield ": ping\n\n"
                elif (told := words.event(progress)) is not None:
                    yield _event(told[0], {"id": id, **told[1]})
            yield _event("error", {"id": id, "code": "hung_up", "detail": f"fetch the answer at /api/messages/{id}"})
        finally:
            turn.leave()

    async def _heard(self, ear: Ear) -> AsyncIterator[Progress | None]:
        """Events while there is something to hear; None after each pause, to keep the line alive."""
        next = asyncio.ensure_future(ear.next())
        pause = asyncio.ensure_future(self._clock.sleep(_PING))
        try:
            while True:
                await asyncio.wait([next, pause], return_when=asyncio.FIRST_COMPLETED)
                if pause.done():
                    yield None
                    pause = asyncio.ensure_future(self._clock.sleep(_PING))
                elif (progress := next.result()) is None:
                    return
                else:
                    yield progress
                    next = asyncio.ensure_future(ear.next())
        finally:
            next.cancel()
            pause.cancel()

    async def _last(self, id: str, reply: Reply) -> str:
        try:
            return _event("reply", await self._replied(id, reply))
        except Unserved as failure:
            return _event("error", {"id": id, "code": failure.problem.code, "detail": failure.problem.detail})


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


def _wants_events(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")


# ── writing events ───────────────────────────────────────────────────────────────────────────────


def _event(name: str, content: words.Json) -> str:
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n"


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _once(events: list[tuple[str, words.Json]]) -> AsyncIterator[str]:
    for name, content in events:
        yield _event(name, content)
