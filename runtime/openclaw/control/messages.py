"""Posting over HTTP: take a message in, then wait for its answer, stream it, or let it be fetched later."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openclaw.control import bodies, events, words
from openclaw.control.bodies import Bodies
from openclaw.control.events import Teller
from openclaw.control.problems import GONE, Broken, Unserved, unserved
from openclaw.control.turns import Turn, Turns, id_of, sender
from openclaw.messages import Answered, Message, Text
from openclaw.ports import Caller, Gate

_FIELDS = ("text", "sender", "agent", "session", "ask")


class Messages:
    def __init__(self, turns: Turns, gate: Gate, taking: Bodies, broken: Broken) -> None:
        self._turns = turns
        self._gate = gate
        self._taking = taking
        self._teller = Teller(turns.clock, turns.answer, broken)

    async def post_message(self, request: Request, caller: Caller) -> Response:
        since = events.since(request)
        message = await self._message(request, caller)
        match await self._turns.take(message):
            case Answered(text=text):
                return _at_once(message.id, text, request)
            case turn if events.wanted(request):
                return self._stream(turn, since, caller)
            case turn:
                return await self._answer(turn, request)

    async def message(self, request: Request, caller: Caller) -> Response:
        return JSONResponse(await self._turns.state(await self._turns.find(request.path_params["id"], caller)))

    async def message_events(self, request: Request, caller: Caller) -> Response:
        since = events.since(request)
        settlement = await self._turns.find(request.path_params["id"], caller)
        return self._stream(await self._turns.again(settlement.id), since, caller)

    async def _message(self, request: Request, caller: Caller) -> Message:
        body = await self._taking.object(request)
        unknown = sorted(set(body) - set(_FIELDS))
        if unknown:
            raise unserved(422, "unknown_field", f"unknown field `{unknown[0]}`; there are {', '.join(_FIELDS)}")
        text = bodies.string(body, "text")
        if text is None:
            raise unserved(422, "missing_text", "`text` is missing: what should be said?")
        agent = bodies.name(body, "agent")
        if agent is not None and caller.agents is not None and agent not in caller.agents:
            raise unserved(403, "agent", f"{caller.name} may not ask agent {agent}")
        who, session = sender(bodies.string(body, "sender"), caller), bodies.name(body, "session")
        return Message(
            id=id_of(request, caller, str(who), agent, session),
            sender=who,
            parts=(Text(text),),
            at=self._turns.clock.now(),
            agent=agent,
            session=session,
            agents=caller.agents,
            fetched=True,
            can_ask=bodies.truth(body, "ask", True),
        )

    def _stream(self, turn: Turn, since: int | None, caller: Caller) -> Response:
        return events.stream(self._teller.tell(turn, since, lambda: self._gate.holds(caller)))

    async def _answer(self, turn: Turn, request: Request) -> Response:
        if "respond-async" not in request.headers.get("prefer", ""):
            await turn.feed.settled()
            if turn.feed.gone:
                raise Unserved(GONE)
            if turn.feed.reply is not None:
                return JSONResponse(await self._turns.answer(turn.id, turn.feed.reply))
        state = await self._turns.state_of(turn.id)
        return JSONResponse(state, 202, {"Location": f"/api/messages/{turn.id}"})


def _at_once(id: str, text: str, request: Request) -> Response:
    answer = {"id": id, "reply": text, "agent": None, "session": None, "usage": None}
    return events.stream(_once(answer)) if events.wanted(request) else JSONResponse(answer)


async def _once(answer: words.Json) -> AsyncIterator[str]:
    yield events.event("reply", answer)
