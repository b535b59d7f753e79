"""Chat completions and models as OpenAI's clients know them, answered by our agents.

Law: an agent is asked like on any other way in. With `user` only the last message of the user enters that sender's
session; without it the request is a conversation of its own, put aside as soon as it is answered. What the agent's
tools do is not told, and nobody can be asked for approval here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openclaw.control import completion, events, words
from openclaw.control.bodies import Bodies
from openclaw.control.chunks import Said, Visible, error_chunk
from openclaw.control.completion import NAME, Asked
from openclaw.control.feed import Feed
from openclaw.control.problems import GONE, Broken, Unserved, failed_turn
from openclaw.control.turns import Turn, Turns, id_of, sender
from openclaw.errors import OpenClawError, StorageFailed
from openclaw.messages import Answered, AssistantEntry, Entry, Message, Reply, Text, Usage
from openclaw.ports import Caller, Gate, Operations, Problem

log = logging.getLogger(__name__)

Spent = tuple[Usage, str]  # what a turn used, and why it ended
MOST = 2000  # requests without `user` whose figures are kept
_FAULTS = {"context_window": (400, "context_length_exceeded"), "rate_limited": (429, "rate_limit_exceeded")}


class OpenAI:
    def __init__(self, turns: Turns, operations: Operations, gate: Gate, taking: Bodies, broken: Broken) -> None:
        self._turns = turns
        self._broken = broken
        self._operations = operations
        self._gate = gate
        self._taking = taking
        self._aside: dict[str, asyncio.Task[Spent | None]] = {}  # by message: sessions that are put aside

    # ── models ───────────────────────────────────────────────────────────────────────────────────

    async def models(self, _: Request, caller: Caller) -> Response:
        names = completion.names(*self._here(caller))
        return JSONResponse({"object": "list", "data": [_model(name) for name in names]})

    async def model(self, request: Request, caller: Caller) -> Response:
        name = request.path_params["name"]
        completion.agent_of(name, *self._here(caller))
        return JSONResponse(_model(name))

    def _here(self, caller: Caller) -> tuple[list[str], str | None]:
        """The agents that answer the caller, and which of them does where none is named."""
        agents = self._operations.agents(caller.sender.channel, caller.agents)
        usual = next((str(agent["id"]) for agent in agents if agent["default"]), None)
        return [str(agent["id"]) for agent in agents], usual

    # ── completions ──────────────────────────────────────────────────────────────────────────────

    async def complete(self, request: Request, caller: Caller) -> Response:
        asked = completion.read(await self._taking.object(request), *self._here(caller))
        message = self._message(request, caller, asked)
        match await self._turns.take(message):
            case Answered(text=text):
                return self._at_once(asked, message.id, text)
            case turn:
                if message.session is not None:
                    self._put_aside(turn)
                if asked.stream:
                    return events.stream(self._chunks(asked, turn, lambda: self._gate.holds(caller)))
                return JSONResponse(await self._whole(asked, turn))

    def _message(self, request: Request, caller: Caller, asked: Asked) -> Message:
        who = sender(asked.user, caller)
        alone = () if asked.user else ("alone",)  # never what a request with this key says in a sender's session
        id = id_of(request, caller, str(who), asked.agent, None, *alone)
        once = f"once-{hashlib.sha256(id.encode()).hexdigest()[:16]}"
        return Message(
            id=id,
            sender=who,
            parts=(Text(asked.text),),
            at=self._turns.clock.now(),
            agent=asked.agent,
            session=None if asked.user else once,
            agents=caller.agents,
            fetched=True,
            can_ask=False,
        )

    def _at_once(self, asked: Asked, id: str, text: str) -> Response:
        said = Said(asked.model, id, self._now())
        if asked.stream:
            return events.stream(_all([*said.begin(), said.chunk({"content": text}), *said.end("stop", None)]))
        return JSONResponse(said.whole(text, "stop", Usage()))

    async def _whole(self, asked: Asked, turn: Turn) -> words.Json:
        while not turn.feed.over:
            await turn.feed.more()
        reply = self._reply(turn.feed)
        usage, reason = await self._spent(turn, reply)
        return Said(asked.model, turn.id, self._now()).whole(reply.text, reason, usage)

    async def _chunks(self, asked: Asked, turn: Turn, welcome: Callable[[], bool]) -> AsyncIterator[str]:
        said, text = Said(asked.model, turn.id, self._now()), Visible()
        for chunk in said.begin():
            yield chunk
        async for told in turn.feed.listen(turn.feed.first, self._turns.clock):
            if not welcome():
                break
            if new := text.add(told):
                yield said.chunk({"content": new})
            elif not told:
                yield ": ping\n\n"
        if not welcome():
            yield error_chunk(Problem(401, "unauthorized", "the token was withdrawn"))
            return
        try:
            reply = self._reply(turn.feed)
            usage, reason = await self._spent(turn, reply)
        except Exception as failure:
            yield error_chunk(failure.problem if isinstance(failure, Unserved) else self._broken(failure))
            return
        if rest := text.rest(reply.text):
            yield said.chunk({"content": rest})
        for chunk in said.end(reason, usage if asked.usage else None):
            yield chunk

    def _reply(self, feed: Feed) -> Reply:
        """What the turn came to; raises why nothing."""
        if feed.gone:
            raise Unserved(GONE, final=True)
        if feed.reply is None:
            raise Unserved(Problem(503, "hung_up", "the runtime ends; the answer will not come here"))
        if feed.reply.failed:
            status, code = _FAULTS.get(feed.reply.fault, failed_turn(feed.reply))
            raise Unserved(Problem(status, code, feed.reply.text), final=True)
        return feed.reply

    async def _spent(self, turn: Turn, reply: Reply) -> Spent:
        aside = self._aside.get(turn.id)
        found = await asyncio.shield(aside) if aside is not None else None
        return found or await self._read(turn, reply)

    async def _read(self, turn: Turn, reply: Reply) -> Spent:
        entries = await self._operations.transcript(reply.session)
        return words.turn_usage(entries, turn.id), _reason(entries)

    def _put_aside(self, turn: Turn) -> None:
        """Archives the session of a request that belongs to nobody, once it is over; nothing goes on from it."""
        if turn.id in self._aside:
            return
        while len(self._aside) >= MOST and (oldest := next(iter(self._aside.items())))[1].done():
            del self._aside[oldest[0]]
        self._aside[turn.id] = asyncio.ensure_future(self._archive(turn))

    async def _archive(self, turn: Turn) -> Spent | None:
        """What the turn used, which its session cannot tell any more afterwards."""
        while not turn.feed.over:
            await turn.feed.more()
        if turn.feed.reply is None:
            return None
        try:
            found = await self._read(turn, turn.feed.reply)
            await self._operations.reset(turn.session)
            return found
        except StorageFailed as error:
            self._broken(error)
            return None
        except OpenClawError as error:
            log.warning("session %s was not put aside: %s", turn.session, error)
            return None

    def _now(self) -> int:
        return int(self._turns.clock.now().timestamp())


def _reason(entries: Sequence[Entry]) -> str:
    last = next((entry for entry in reversed(entries) if isinstance(entry, AssistantEntry)), None)
    return "length" if last is not None and last.stop_reason == "max_tokens" else "stop"


def _model(name: str) -> words.Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": NAME}


async def _all(frames: Sequence[str]) -> AsyncIterator[str]:
    for frame in frames:
        yield frame
