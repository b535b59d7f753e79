"""Durable replies on their way to Discord: where each belongs, and every piece of it once.

Law: a reply arrives whole, in order, or `DeliveryError` says why; trying again goes on behind the piece that
arrived, in the words of the first try of this run. What may have arrived in part says `begun`, so that a later run
marks it. Its first piece takes the place of the draft that stood there. The service is told the same nonce for the
same piece, so that one sent again after a crash within minutes is not shown twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw.channels._discord_places import Draft, Places
from openclaw.channels._discord_streams import Stream
from openclaw.channels._discord_words import Rendered, render
from openclaw.channels._discord_writing import Slip, Writer
from openclaw.clock import Clock
from openclaw.errors import DeliveryError
from openclaw.messages import Reply

MOST = 1000  # answers under way that are known
SHORT = 4000  # characters that are cut in a moment; more are cut beside the loop
VALID = 14 * 60.0  # seconds that a slash command can be answered as such; the service says fifteen minutes


@dataclass(slots=True)
class Promise:
    """A slash command whose answer was announced, or is being announced."""

    slip: Slip
    kept: bool = False  # the service knows that an answer comes
    settled: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Tried:
    """A reply that was tried in this run: whether it is marked, and how many of its pieces arrived."""

    repeated: bool
    pieces: int = 0


def kept(slip: Slip) -> Promise:
    promise = Promise(slip, kept=True)
    promise.settled.set()
    return promise


class Replies:
    def __init__(self, writer: Writer, places: Places, clock: Clock) -> None:
        self._writer, self._places, self._clock = writer, places, clock
        self._streams: OrderedDict[str, Stream] = OrderedDict()  # by the inbox id of what is answered
        self._promises: OrderedDict[str, tuple[Promise, float]] = OrderedDict()
        self._tried: OrderedDict[str, _Tried] = OrderedDict()

    def expect(self, id: str, stream: Stream) -> None:
        """The reply to this message ends what the stream shows."""
        stream.behind = next((one for one in reversed(self._streams.values()) if one.place == stream.place), None)
        self._streams[id] = stream
        _trim(self._streams)

    def promise(self, id: str, promise: Promise) -> None:
        """The reply to this message answers a slash command."""
        self._promises[id] = (promise, self._clock.monotonic() + VALID)
        _trim(self._promises)

    async def send(self, reply: Reply) -> None:
        key = _key(reply)
        tried = self._tried.setdefault(key, _Tried(reply.repeated))
        _trim(self._tried)
        try:
            await self._deliver(key, replace(reply, repeated=tried.repeated), tried)
        except DeliveryError as error:
            error.begun = error.begun or tried.pieces > 0
            if error.final:
                self._tried.pop(key, None)
                self._over(key)
            raise
        self._over(key)
        for known in (self._streams, self._promises, self._tried):
            known.pop(key, None)
        self._places.finished(key)

    def _over(self, key: str) -> None:
        """What comes after it in the same place may be shown."""
        if (stream := self._streams.get(key)) is not None:
            stream.arrived = True

    async def _deliver(self, key: str, reply: Reply, tried: _Tried) -> None:
        rendered = render(reply) if len(reply.text) <= SHORT else await asyncio.to_thread(render, reply)
        stream = self._streams.get(key)
        draft = await stream.end() if stream is not None else self._places.drafted(key)
        if (slip := await self._slip(key)) is None or not await self._answered(slip, rendered, tried):
            channel = await self._channel(reply)
            answers = stream.answers if stream is not None else None
            nonce = f"{key}\0{reply.text}" if reply.answers is not None else None
            await self._pieces(rendered, tried, channel, draft, answers, nonce)

    async def _channel(self, reply: Reply) -> int:
        where = reply.topic or reply.chat or reply.to.id
        if not where.isdecimal():
            raise DeliveryError(f"{reply.to} is no number, and so no person or channel of Discord", final=True)
        if reply.topic or reply.chat:
            return int(where)
        return self._places.direct(int(where)) or await self._writer.direct(int(where))

    async def _pieces(
        self,
        rendered: Rendered,
        tried: _Tried,
        channel: int,
        draft: Draft | None,
        answers: int | None,
        nonce: str | None,
    ) -> None:
        """`nonce`: what the nonces are made of; None for a reply that nobody waits for and that may come again."""
        for number, (text, file) in enumerate(_files(rendered)):
            if number < tried.pieces:
                continue
            if number > 0 or draft is None or not await self._replaced(draft, text, file):
                own = _nonce(nonce, number) if nonce else None
                quoted = answers if number == 0 else None
                await self._writer.send(channel, text, nonce=own, file=file, answers=quoted)
            tried.pieces = number + 1

    async def _replaced(self, draft: Draft, text: str, file: bytes | None) -> bool:
        """False where the draft is gone: somebody deleted it."""
        try:
            await self._writer.edit(draft.channel, draft.message, text, file=file)
        except DeliveryError as error:
            if error.final:
                return False
            raise
        return True

    # ── slash commands ───────────────────────────────────────────────────────────────────────────

    async def _slip(self, key: str) -> Slip | None:
        promise, until = self._promises.get(key, (None, 0.0))
        if promise is None or self._clock.monotonic() >= until:
            return None
        await promise.settled.wait()
        return promise.slip if promise.kept else None

    async def _answered(self, slip: Slip, rendered: Rendered, tried: _Tried) -> bool:
        """False where the service takes no answer to it any more; what is left goes out as messages then."""
        try:
            for number, (text, file) in enumerate(_files(rendered)):
                if number < tried.pieces:
                    continue
                if number == 0:
                    await self._writer.answer(slip, text, file)
                else:
                    await self._writer.add(slip, text)
                tried.pieces = number + 1
        except DeliveryError as error:
            if error.final:
                return False
            raise
        return True


def _files(rendered: Rendered) -> Iterator[tuple[str, bytes | None]]:
    """Each piece, and the file that comes with the last one."""
    for number, text in enumerate(rendered.pieces, 1):
        yield text, rendered.file if number == len(rendered.pieces) else None


def _key(reply: Reply) -> str:
    """What tells a reply from another, also when it is tried again; those sent unasked have only their words."""
    place = f"{reply.to}\0{reply.chat}\0{reply.topic}"
    return reply.answers or hashlib.sha256(f"{place}\0{reply.session}\0{reply.text}".encode()).hexdigest()


def _nonce(seed: str, number: int) -> str:
    return hashlib.sha256(f"{seed}\0{number}".encode()).hexdigest()[:24]


def _trim(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > MOST:
        kept.popitem(last=False)
