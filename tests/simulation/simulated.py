"""The adapters of a simulated runtime: a channel, a model and tools that fail as those of the world do.

They are found under the names of real kinds, so that the manifests are ordinary ones. Their law: they decide nothing by
themselves; what is said depends on the request alone, and what goes wrong on `Outside`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from crash.oracle import unpaired
from doubles.messages_rules import merged
from openclaw.errors import DeliveryError, ProviderError, ToolError
from openclaw.messages import (
    Accepted,
    Address,
    Answered,
    Block,
    Call,
    Message,
    Refused,
    Reply,
    Text,
    TextDelta,
    ToolResult,
    ToolSpec,
    Usage,
)
from openclaw.ports import ChannelOptions, Completed, Operations, Place, Post, ProviderEvent, Request
from simulation.outside import Effect, Outside, Update
from simulation.virtual_loop import MORNING, VirtualClock

HALF = "(half-said)"
ODDS = {
    "limited": 0.03,
    "overloaded": 0.04,
    "unreachable": 0.02,
    "stall": 0.01,
    "slow": 0.04,
    "cut": 0.04,
    "cut_call": 0.03,
    "refusal": 0.01,
}
HUNG = 600.0  # seconds: longer than any timeout
_LEFT_OUT = "may have had their effect: "  # of a turn that a model declined, all that the next one is told
_TAG = re.compile(r"\b(m\d{3})(?: do (\d)( at once)?)?$", re.MULTILINE)


class SimulatedChannel:
    """A service that keeps what people say until it is acknowledged, and the way back to them."""

    def __init__(self, options: ChannelOptions, clock: VirtualClock, outside: Outside) -> None:
        self._key = options.key
        self._apart = options.kind == "http"  # every sender has a connection of their own
        self._clock = clock
        self._outside = outside

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, post: Post, operations: Operations) -> None:
        said = self._outside.lanes.get(self._key, [])
        senders = list(dict.fromkeys(update.sender for update in said))
        lanes = [[update for update in said if update.sender == one] for one in senders] if self._apart else [said]
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(self._take_in(lane, post))
                await asyncio.get_running_loop().create_future()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _take_in(self, lane: Sequence[Update], post: Post) -> None:
        for update in lane:
            again = 0 if update.told else 1
            if update.told == 1 and self._outside.draw(again=0.05):
                again = 1  # its service did not hear the acknowledgement
            while again:
                await self._clock.sleep(max(0.0, update.due - self._clock.monotonic()))
                if await self._tell(update, post):
                    again -= 1
                else:
                    await self._clock.sleep(2.0 + 6.0 * self._outside.chance.random())

    async def _tell(self, update: Update, post: Post) -> bool:
        at = MORNING + timedelta(seconds=round(update.due, 6))
        message = Message(update.tag, Address(self._key, update.sender), (Text(update.text),), at)
        taken: Accepted | Answered | Refused = await post(message)
        await self._outside.moment(f"before the acknowledgement of {update.tag}")
        return self._outside.acknowledged(update, taken)

    async def send(self, reply: Reply) -> None:
        outside = self._outside
        await outside.moment("before sending")
        fate = outside.draw(slow=0.06, unreachable=0.05, later=0.03, breaks=0.02, begun=0.03, never=0.01)
        if fate and not outside.dead:
            outside.note("sending", fate)
            outside.found.faults[f"send {fate}"] += 1
        if fate == "slow":
            await self._clock.sleep(30.0 * outside.chance.random())
        elif fate == "unreachable":
            raise DeliveryError("the service is out of reach")
        elif fate == "later":
            raise DeliveryError("too much at once", retry_after=1.0 + 5.0 * outside.chance.random())
        elif fate == "breaks":
            raise DeliveryError("the connection broke", begun=True)
        elif fate == "never":
            outside.found.buried.add((str(reply.place), reply.text))
            raise DeliveryError("there is no such chat", final=True)
        outside.arrived(reply)
        await outside.moment("after sending")
        if fate == "begun":
            raise DeliveryError("nobody said whether it arrived", begun=True)


class SimulatedProvider:
    """Answers what was said since its last answer, after the calls that it asks for: `m007 do 2` makes two."""

    def __init__(self, options: Mapping[str, Any], clock: VirtualClock, outside: Outside) -> None:
        self._clock = clock
        self._outside = outside

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def stream(self, request: Request) -> AsyncIterator[ProviderEvent]:
        outside = self._outside
        outside.asked += not outside.dead
        content, stop = self._answer(request)
        self._mind(request)
        await outside.moment(f"asked {request.model} in {request.session}")
        fate = outside.draw(**ODDS)
        if fate:
            outside.troubles(request.session, fate)
        await self._clock.sleep((20.0 if fate == "slow" else 1.5) * outside.chance.random())
        if fate == "limited":
            raise ProviderError("rate_limited", "429", retry_after=outside.chance.choice((None, 2.0, 20.0)))
        if fate == "overloaded":
            raise ProviderError("overloaded", "529")
        if fate == "unreachable":
            raise ProviderError("unreachable", "no connection")
        if fate == "stall":
            await self._clock.sleep(HUNG)
            raise ProviderError("truncated", "nothing came")
        if fate in ("cut", "cut_call"):
            yield TextDelta(HALF)
            await outside.moment("half an answer")
            raise ProviderError("truncated", "the stream was cut")
        if fate == "refusal":
            content, stop = ({"type": "text", "text": "no"},), "refusal"
        for block in content:
            if block["type"] == "text":
                yield TextDelta(block["text"])
        await outside.moment("a whole answer")
        yield Completed(tuple(content), stop, Usage(input=10 * len(request.messages), output=5), "simulated")

    def _mind(self, request: Request) -> None:
        """Notes what a model's service would refuse."""
        wrong = unpaired([{"content": blocks} for _, blocks in merged(request.messages)])
        roles = [role for role, _ in merged(request.messages)]
        if roles[:1] != ["user"] or roles[-1] != "user":
            wrong.append(f"roles {roles}")
        if HALF in str(request.messages):
            wrong.append("half an answer was kept")
        if not self._outside.dead:
            self._outside.found.invalid += [f"{request.session}: {each}" for each in wrong]

    def _answer(self, request: Request) -> tuple[Sequence[Block], str]:
        said, made = _since_the_last_answer(request.messages)
        for tag, count, together in said:
            left = [f"{tag}.{at}" for at in range(count) if f"{tag}.{at}" not in made]
            if left:
                wanted, told = left if together else left[:1], _LEFT_OUT in str(request.messages)
                for n in wanted:
                    self._outside.asked_for(n, request.session, told)
                return [_call(n) for n in wanted], "tool_use"
        if not said:
            return [{"type": "text", "text": f"beat {self._outside.asked}"}], "end_turn"
        return [{"type": "text", "text": f"answering {' '.join(tag for tag, _, _ in said)}"}], "end_turn"


def _call(n: str) -> Block:
    name = "look" if n.endswith("2") else "bump"
    return {"type": "tool_use", "id": f"toolu_{n.replace('.', '_')}", "name": name, "input": {"n": n}}


def _since_the_last_answer(messages: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, int, bool]], set[str]]:
    """What was said and is not answered, with the calls it wants, and the calls that were asked for."""
    said: list[tuple[str, int, bool]] = []
    made: set[str] = set()
    for message in messages:
        called = [block["input"]["n"] for block in message["content"] if block["type"] == "tool_use"]
        made.update(called)
        if message["role"] == "assistant" and not called:
            said = []
        if message["role"] == "user":
            texts = [block["text"] for block in message["content"] if block["type"] == "text"]
            said += [(tag, int(n or 0), bool(once)) for text in texts for tag, n, once in _TAG.findall(text)]
    return said, made


class SimulatedTools:
    """`bump` has an effect that must happen once; `look` may be repeated."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: VirtualClock, outside: Outside) -> None:
        self._clock = clock
        self._outside = outside

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        outside, n = self._outside, input["n"]
        await outside.moment(f"before {name} {n}")
        fate = outside.draw(slow=0.1, hangs=0.01, fails=0.04, fails_before=0.04)
        if fate == "fails_before":
            raise ToolError("it was not begun")
        await self._clock.sleep(0.2 * outside.chance.random())
        outside.happened(Effect(name, n, call.session, call.id))
        await outside.moment(f"after {name} {n}")
        if fate == "slow":
            await self._clock.sleep(8.0 * outside.chance.random())
        elif fate == "hangs":
            await self._clock.sleep(HUNG)
        elif fate == "fails":
            raise ToolError("it broke after its effect")
        await outside.moment(f"{name} {n} is done")
        return ToolResult(f"done {n}")
