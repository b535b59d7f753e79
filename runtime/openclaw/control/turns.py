"""Messages that were taken in, and their turns: shared by every route through which something is said.

Law: what was accepted is answered whether or not anybody still listens; a request that goes away ends its listening
and nothing else. A repeated id never makes a second turn, nor does a repeated key with another text make a first.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass

from starlette.requests import Request

from openclaw.clock import Clock
from openclaw.control import words
from openclaw.control.feed import Feed, Feeds
from openclaw.control.problems import GONE, Unserved, failed_turn, refused, unserved
from openclaw.messages import Accepted, Address, Answered, Message, Refused, Reply, Route, escape
from openclaw.names import fresh
from openclaw.ports import Caller, Operations, Post, Problem, Settlement

KEYS = 2000  # Idempotency-Keys whose texts are kept
_KEYED = "key-"


@dataclass(frozen=True, slots=True)
class Turn:
    """An accepted message that a request follows. `new` is false for one that was accepted before."""

    id: str
    agent: str
    session: str
    feed: Feed
    new: bool = False


class Turns:
    def __init__(self, post: Post, operations: Operations, clock: Clock) -> None:
        self.clock = clock
        self._post = post
        self._operations = operations
        self._feeds = Feeds(operations, clock)
        self._keys = _Keys()

    def hang_up(self) -> None:
        """The runtime ends: whoever waits for an answer is told to fetch it later."""
        self._feeds.hang_up()

    async def take(self, message: Message) -> Turn | Answered:
        """Takes a message in, or finds that it was; raises why it was not."""
        if (before := self._keys.answered(message)) is not None:
            return before
        feed = Feed()
        match await self._post(message, feed):
            case Refused(code=code, reason=reason):
                raise refused(code, reason)
            case Answered() as answered:
                self._keys.keep(message, answered)
                return answered
            case Accepted() as accepted:
                turn = await self._follow(accepted, feed, message)
                self._keys.keep(message)
                return turn

    async def _follow(self, accepted: Accepted, feed: Feed, message: Message) -> Turn:
        if accepted.new:
            feed.sender = message.sender
            self._feeds.keep(accepted.id, feed)
            return Turn(accepted.id, accepted.agent, accepted.session, feed, new=True)
        found = await self._feeds.of(accepted.id)
        assert found is not None, "what was accepted before is there"
        feed, settlement = found
        if not feed.gone and not self._says(message, settlement.route):  # what is gone has no text to compare
            raise _mismatch()
        feed.sender = message.sender  # its key says so
        return Turn(accepted.id, accepted.agent, accepted.session, feed)

    def _says(self, message: Message, route: Route) -> bool:
        """Whether the text is that of the route, but for the prefix that chose its agent."""
        if message.text == route.text:
            return True
        word, rest = [*message.text.split(None, 1), "", ""][:2]
        own = [agent.get("prefix") for agent in self._operations.agents() if agent["id"] == route.agent]
        return message.agent is None and word in own and rest.strip() == route.text

    async def find(self, id: str, caller: Caller) -> Settlement:
        """How a message stands that the caller may see."""
        settlement = await self._operations.find(id)
        if settlement is None or not self._may_see(settlement, caller):
            raise unserved(404, "unknown_message", f"there is no message {id}")
        return settlement

    def _may_see(self, settlement: Settlement, caller: Caller) -> bool:
        """Whose session it is in, or whose it is itself: a person's session is not of the token that spoke for them."""
        if caller.owns is None or caller.owns(settlement.route.session):
            return True
        reply = settlement.reply
        who = reply.to if reply is not None else self._feeds.sender(settlement.id)
        return who is not None and caller.owns(f"agent:-:{escape(who.channel)}:{escape(who.id)}")

    async def again(self, id: str) -> Turn:
        """Follows a message that was accepted at whatever time."""
        found = await self._feeds.of(id)
        if found is None:
            raise unserved(404, "unknown_message", f"there is no message {id}")
        feed, settlement = found
        return Turn(id, settlement.route.agent, settlement.route.session, feed)

    async def answer(self, id: str, reply: Reply) -> words.Json:
        """A reply as JSON; raises why there is none."""
        if reply.failed:
            problem = Problem(*failed_turn(reply), reply.text)
            raise Unserved(problem, fault=reply.fault) if reply.fault else Unserved(problem)
        usage = words.turn_usage(await self._operations.transcript(reply.session), id)
        return {
            "id": id,
            "reply": reply.text,
            "agent": reply.agent,
            "session": reply.session,
            "usage": usage.as_json(),
        }

    async def state(self, settlement: Settlement) -> words.Json:
        reply = settlement.reply
        if reply is not None and not reply.failed:
            return {"status": "done", **await self.answer(settlement.id, reply)}
        answer: words.Json = {"id": settlement.id, "status": settlement.state}
        answer |= {"agent": settlement.route.agent, "session": settlement.route.session}
        if settlement.ended and reply is None and settlement.state != "parked":
            return answer | {"error": GONE.detail}
        if reply is not None or settlement.state == "parked":
            answer |= {"status": "failed", "error": reply.text if reply else "given up after repeated crashes"}
            return answer | ({"fault": reply.fault} if reply and reply.fault else {})
        pending = self._pending(settlement.route.session)
        if settlement.state == "running" and pending:
            answer |= {"status": "waiting", "approvals": pending}
        return answer

    async def state_of(self, id: str) -> words.Json:
        settlement = await self._operations.find(id)
        return await self.state(settlement) if settlement else {"id": id, "status": "queued"}

    def _pending(self, session: str) -> list[words.Json]:
        return [words.approval_json(one) for one in self._operations.approvals() if one.session == session]


def sender(declared: str | None, caller: Caller) -> Address:
    """Who speaks: whom the request names, as far as its token lets it."""
    if declared is None:
        return caller.sender
    if caller.declare is None:
        raise unserved(403, "sender", f"{caller.name} may not speak for another sender")
    try:
        return caller.declare(declared)
    except ValueError as error:
        raise unserved(422, "sender", str(error)) from error


def _mismatch() -> Unserved:
    return unserved(422, "idempotency_mismatch", "this Idempotency-Key was used with another text")


class _Keys:
    """What was said under which key in this run. Of a command that acted at once nothing else tells that it did."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, tuple[bytes, Answered | None]] = OrderedDict()

    def answered(self, message: Message) -> Answered | None:
        """What the same command was answered; raises where the key stands for another text."""
        said, answered = self._said.get(message.id, (None, None))
        if said is not None and said != _digest(message.text):
            raise _mismatch()
        return answered

    def keep(self, message: Message, answered: Answered | None = None) -> None:
        if message.id.startswith(_KEYED):
            self._said[message.id] = _digest(message.text), answered
        if len(self._said) > KEYS:
            self._said.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def id_of(request: Request, caller: Caller, *bound: str | None) -> str:
    """The message's id: the same for the same key of the same token, for the same of what it is bound to."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return fresh()
    if not key or len(key) > 255:
        raise unserved(400, "bad_idempotency_key", "an Idempotency-Key has 1 to 255 characters")
    return _KEYED + hashlib.sha256(json.dumps([caller.name, *bound, key]).encode()).hexdigest()[:40]
