"""A turn as server-sent events: each with its place as `id`, so that a reader who comes back goes on from there.

Law: the first event is `accepted` and the last `reply` or `error`; between them stands what is kept and what comes.
A reader whose place is gone is told that its text is void. A token that is withdrawn ends what it listens to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import StreamingResponse

from openclaw.clock import Clock
from openclaw.control import words
from openclaw.control.problems import GONE, Broken, Unserved, unserved
from openclaw.control.turns import Turn
from openclaw.messages import Reply

RETRY = 2000  # milliseconds after which a browser connects again
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells turns. `answer` gives what a reply is as JSON, or raises why there is none; `broken` makes a problem of
    whatever else goes wrong there."""

    clock: Clock
    answer: Callable[[str, Reply], Awaitable[words.Json]]
    broken: Broken

    async def tell(self, turn: Turn, since: int | None, welcome: Callable[[], bool]) -> AsyncIterator[str]:
        """`since`: the place from which to go on; `welcome`: whether the reader may still listen."""
        yield f"retry: {RETRY}\n\n"
        place, first = _begin(turn, since)
        for frame in first:
            yield frame
        async for told in turn.feed.listen(place, self.clock):
            if not welcome():
                break
            for one in told:
                place = one.place
                yield event(one.name, {"id": turn.id, **one.content}, one.place)
            if not told:
                yield ": ping\n\n"
        if not welcome():
            yield _error(turn, "unauthorized", "the token was withdrawn")
        elif turn.feed.gone:
            yield _error(turn, GONE.code, GONE.detail)
        elif turn.feed.reply is None or not turn.feed.has(place):
            yield _error(turn, "hung_up", f"fetch the answer at /api/messages/{turn.id}")
        else:
            yield await self._last(turn, turn.feed.reply)

    async def _last(self, turn: Turn, reply: Reply) -> str:
        place = turn.feed.place + 1
        try:
            return event("reply", await self.answer(turn.id, reply), place)
        except Exception as failure:
            refused = failure if isinstance(failure, Unserved) else Unserved(self.broken(failure))
            found = refused.problem
            return event("error", {"id": turn.id, "code": found.code, "detail": found.detail, **refused.more}, place)


def _begin(turn: Turn, since: int | None) -> tuple[int, list[str]]:
    feed = turn.feed
    if since is None:
        accepted = {"id": turn.id, "agent": turn.agent, "session": turn.session}
        begun = event("accepted", accepted, feed.first)
        return feed.first, [begun, *([_void(turn)] if feed.first > feed.start else [])]
    if feed.has(since):
        return since, []
    return feed.first, [_void(turn)]


def _void(turn: Turn) -> str:
    void = {"id": turn.id, "text": "", "restart": True, "reason": "what came before is not kept", "seconds": 0}
    return event("text", void, turn.feed.first)


def _error(turn: Turn, code: str, detail: str) -> str:
    return event("error", {"id": turn.id, "code": code, "detail": detail})


def since(request: Request) -> int | None:
    """The place that a reader who comes back names; None for one who is new."""
    said = request.headers.get("last-event-id")
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= 15):
        raise unserved(400, "bad_event_id", "`Last-Event-ID` is the `id` of an event, a whole number")
    return int(said)


def event(name: str, content: words.Json, place: int | None = None) -> str:
    id = f"id: {place}\n" if place is not None else ""
    return f"{id}event: {name}\ndata: {words.line(content)}\n\n"


def stream(frames: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(frames, media_type="text/event-stream", headers=_HEADERS)


def wanted(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("accept", "")
