"""What happened in a turn so far, kept while it runs and a little longer, for whoever listens now or comes back.

Law: one feed a message, shared by all who listen; each has a place in it and reads on from there at its own pace, so
that a reader who is slow costs nothing and gets the text between in one piece. A place is a number that only grows:
one for each event, one for each character of text. What is kept is bounded in bytes, in number and in time; who was
away for longer is told so, and finds the answer with its message. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from openclaw.clock import Clock
from openclaw.control import words
from openclaw.messages import Address, Asked, Finished, Progress, Reply, Settled, TextDelta
from openclaw.ports import Operations, Settlement

PIECE = 4096  # characters of text in one piece
LARGEST = 1 << 20  # bytes kept of one turn, about
ALL = 32 << 20  # bytes kept of all turns that have ended
MOST = 2000  # turns that have ended
KEPT = 300.0  # seconds after its end
PING = 15.0  # seconds without an event after which a listener hears that the line lives


@dataclass(frozen=True, slots=True)
class Told:
    """One event. `place` is where the reader stands after it."""

    place: int
    name: str
    content: words.Json


@dataclass(slots=True)
class _Piece:
    start: int
    end: int
    name: str
    content: words.Json
    text: list[str] = field(default_factory=list)  # of a text, as it came
    size: int = 0

    def after(self, place: int) -> Told:
        if not self.text:
            return Told(self.end, self.name, self.content)
        self.text = ["".join(self.text)]
        return Told(self.end, self.name, {"text": self.text[0][max(place - self.start, 0) :]})


class Feed:
    """A watcher of one turn. `start` is larger for one that takes the place of an earlier one."""

    def __init__(self, start: int = 0, reply: Reply | None = None) -> None:
        self.start = start
        self.place = start
        self.reply = reply  # once it has ended
        self.sender: Address | None = None  # whose message it is, where this run knows
        self.hung_up = False
        self.gone = False  # it ended, and its reply is not kept
        self.size = 0
        self.asked: dict[str, bool] = {}  # approvals, and whether they still wait
        self._kept: list[_Piece] = []
        self.first = start  # the place from which on everything is kept
        self._grown: asyncio.Future[None] | None = None
        self.ended: Callable[[], None] = lambda: None  # told when the turn is over

    def __call__(self, progress: Progress) -> None:
        match progress:
            case Finished(reply=reply):
                self.reply = reply
            case TextDelta(text=text):
                self._add_text(text)
            case _:
                self._note_approval(progress)
                if (found := words.event(progress)) is not None:
                    self._add(*found)
        self._trim()
        self._wake()
        if self.reply is not None:
            self.ended()

    def hang_up(self) -> None:
        """The runtime ends: nothing more will be heard."""
        self.hung_up = True
        self._wake()

    @property
    def over(self) -> bool:
        return self.reply is not None or self.hung_up or self.gone

    @property
    def waits(self) -> bool:
        """Whether a question of this turn is open."""
        return any(self.asked.values())

    def has(self, place: int) -> bool:
        """Whether everything after the place is kept."""
        return self.first <= place <= self.place + 1  # the reply itself comes after the last place

    def after(self, place: int) -> Sequence[Told]:
        if not self._kept or place >= self.place:
            return ()
        first = bisect_right(self._kept, place, key=lambda piece: piece.end)
        return [piece.after(place) for piece in self._kept[first:]]

    async def listen(self, place: int, clock: Clock) -> AsyncIterator[Sequence[Told]]:
        """What comes after the place, as it comes; nothing in it where only time has passed. Ends with the turn, and
        where the reader fell behind what is kept: then `has` is false."""
        pause = asyncio.ensure_future(clock.sleep(PING))
        try:
            while self.has(place):
                if told := self.after(place):
                    place = told[-1].place
                    yield told
                elif self.over:
                    return
                elif pause.done():
                    pause = asyncio.ensure_future(clock.sleep(PING))
                    yield ()
                else:
                    await asyncio.wait([self._growing(), pause], return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()

    async def settled(self) -> None:
        """Waits until the turn is over, or waits for somebody itself."""
        while not (self.over or self.waits):
            await self.more()

    async def more(self) -> None:
        """Waits until something happens."""
        if not self.over:
            await asyncio.wait([self._growing()])

    # ── keeping ──────────────────────────────────────────────────────────────────────────────────

    def _growing(self) -> asyncio.Future[None]:
        if self._grown is None:
            self._grown = asyncio.get_running_loop().create_future()
        return self._grown

    def _wake(self) -> None:
        if self._grown is not None:
            self._grown.set_result(None)
            self._grown = None

    def _note_approval(self, progress: Progress) -> None:
        match progress:
            case Asked(approval=approval):
                self.asked[approval.id] = True
            case Settled(approval=id):
                self.asked[id] = False

    def _add_text(self, text: str) -> None:
        if not text:
            return
        last = self._kept[-1] if self._kept else None
        if last is None or not last.text or last.end - last.start >= PIECE:
            last = _Piece(self.place, self.place, "text", {})
            self._kept.append(last)
        last.text.append(text)
        self.place = last.end = last.end + len(text)
        last.size += len(text)
        self.size += len(text)

    def _add(self, name: str, content: words.Json) -> None:
        size = len(json.dumps(content, default=str))
        self._kept.append(_Piece(self.place, self.place + 1, name, content, size=size))
        self.place += 1
        self.size += size

    def _trim(self) -> None:
        gone = 0
        while self.size > LARGEST and gone < len(self._kept) - 1:
            self.size -= self._kept[gone].size
            self.first = self._kept[gone].end
            gone += 1
        del self._kept[:gone]


class Feeds:
    """Those of the turns that run, and of the latest that have ended."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock
        self._running: dict[str, Feed] = {}
        self._ended: OrderedDict[str, tuple[float, Feed]] = OrderedDict()
        self._size = 0

    def keep(self, id: str, feed: Feed) -> None:
        self._running[id] = feed
        feed.ended = lambda: self._retire(id)
        if feed.over:
            self._retire(id)

    async def of(self, id: str) -> tuple[Feed, Settlement] | None:
        """The feed of a message that was accepted, by whomever and whenever; one that is begun only now tells what
        is open, and then goes on live. None where there is no such message."""
        if feed := self._known(id):
            settlement = await self._operations.find(id)
            return (feed, settlement) if settlement else None
        feed = Feed(self._later())
        unwatch = self._operations.watch(id, feed)  # before looking, so that its end cannot fall between
        settlement = await self._operations.find(id)
        if settlement is None or settlement.ended or self._known(id):
            unwatch()
            return (self._known(id) or _past(feed.start, settlement), settlement) if settlement else None
        self.keep(id, feed)
        self._ask_again(feed, settlement)
        return feed, settlement

    def hang_up(self) -> None:
        for feed in self._running.values():
            feed.hang_up()

    def sender(self, id: str) -> Address | None:
        """Who said it, as far as this run knows."""
        feed = self._known(id)
        return feed.sender if feed else None

    def _known(self, id: str) -> Feed | None:
        return self._running.get(id) or (self._ended[id][1] if id in self._ended else None)

    def _later(self) -> int:
        """Larger than any place of an earlier feed: no turn writes a thousand characters in a millisecond."""
        return int(self._clock.now().timestamp() * 1000)

    def _ask_again(self, feed: Feed, settlement: Settlement) -> None:
        for approval in self._operations.approvals():
            if approval.session == settlement.route.session and approval.id not in feed.asked:
                feed(Asked(approval))

    def _retire(self, id: str) -> None:
        now, feed = self._clock.monotonic(), self._running.pop(id, None)
        if feed is not None:
            self._ended[id] = now, feed
            self._size += feed.size
        while self._ended and self._too_much(now):
            _, (_, oldest) = self._ended.popitem(last=False)
            self._size -= oldest.size

    def _too_much(self, now: float) -> bool:
        at, _ = next(iter(self._ended.values()))
        return now - at > KEPT or len(self._ended) > MOST or self._size > ALL


def _past(start: int, settlement: Settlement) -> Feed:
    """Of a turn that ended in an earlier run, or is known no more: only its reply, where that is kept."""
    feed = Feed(start, settlement.reply)
    feed.gone = settlement.reply is None
    return feed
