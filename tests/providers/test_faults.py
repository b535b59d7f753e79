"""What strikes the model's side, and what comes of it: one row each, with the real client against the strict double.

Of every row: how often the service was asked, what whoever waits was told, and the reply, or the words of the failure.
Of every row, too: nothing half-said is in the transcript, the question is asked again byte for byte, and the next turn
is answered. Time is moved by hand: where the client pauses, and where the row says that nothing comes for so long.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from doubles.house import until
from doubles.messages_server import Drop, HttpError, MessagesServer, Raw, Reply, thinking, tool
from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import ProviderError
from openclaw.fallback import REST, SILENCE, Cooling, Models
from openclaw.manifest.snapshot import Limits
from openclaw.messages import (
    AssistantEntry,
    Entry,
    Progress,
    Retrying,
    TextDelta,
    ToolCall,
    ToolResult,
    ToolSpec,
    UserEntry,
    Waiting,
)
from openclaw.ports import Begin, Request
from openclaw.prompt import Voice
from openclaw.providers.anthropic import LEAST, STALL, Provider
from openclaw.stores.volatile import Store
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn, TurnFailed

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
KEY = "sk-test-hush-hush"
LIST = ToolSpec("list_files", "Lists", {"type": "object", "properties": {"path": {"type": "string"}}}, "files")
HALF = {"type": "text", "text": "half an answer that must not stay"}
THOUGHT = thinking("half a thought that must not stay")
CALL = tool("list_files", path="a folder with a long name")
WHOLE = "Whole."
AWAY, BUSY = HttpError(529, "overloaded_error"), HttpError(429, "rate_limit_error", headers={"retry-after": "7"})
LATER = HttpError(429, "rate_limit_error", headers={"retry-after": "7200"})
BOUND = HttpError(400, "invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block.")


@dataclass(frozen=True)
class Row:
    strikes: tuple[Any, ...]
    told: str  # pauses before another try, marks of silence as ~10, and -> for a stand-in
    asked: int = 2
    failed: str = ""  # in the words of the failure; "" where the turn is answered
    quiet: float = 0.0  # seconds in which nothing comes after the last delta
    endless: bool = False  # some seconds go by between its deltas, and there is no last one
    other: bool = False  # a stand-in is there


ROWS = {
    "429 with a time": Row((BUSY,), "7"),
    "429 with a time too long to wait for": Row((LATER,), "", 1, "asked again at 2026-11-23 11:00 UTC, in 120 minutes"),
    "529": Row((AWAY,), "1"),
    "529 that does not end": Row((AWAY,) * 4, "1 4 15", 4, "is overloaded"),
    "500": Row((HttpError(500),), "1"),
    "502 of a gateway": Row((HttpError(502, "api_error", "<html>bad gateway</html>"),), "1"),
    "the connection is dropped": Row((Drop(),), "1"),
    "cut before a word": Row((Reply(HALF, fault="cut"),), "1"),
    "cut in text": Row((Reply(HALF, fault="cut", after=2),), "1"),
    "cut in thinking": Row((Reply(THOUGHT, HALF, fault="cut", after=2),), "1"),
    "cut in a call": Row((Reply(HALF, CALL, fault="cut", after=7),), "1"),
    "cut in each of them, one after the other": Row(
        (
            Reply(HALF, fault="cut", after=2),
            Reply(THOUGHT, HALF, fault="cut", after=2),
            Reply(HALF, CALL, fault="cut", after=7),
        ),
        "1 4 15",
        4,
    ),
    "ended without its end": Row((Reply(HALF, CALL, fault="ended", after=7),), "1"),
    "reset": Row((Reply(HALF, fault="reset", after=2),), "1"),
    "garbage": Row((Reply(HALF, fault="garbage", after=2),), "1"),
    "garbage from the first byte": Row((Raw("data: {not json\n\n", "text/event-stream"),), "1"),
    "a page instead of a stream": Row((Raw("<html>welcome</html>"),), "", 1, "check base_url"),
    "an error in the stream": Row((Reply(HALF, fault="error", after=2),), "1"),
    "no reason to stop": Row((Reply(HALF, stop_reason=None),), "1"),
    "a call that is not whole": Row((Reply(HALF, CALL, stop_reason="tool_use", fault="short", after=7),), "1"),
    "stalled": Row((Reply(HALF, fault="stall", after=2),), "~10 ~30 ~60 1", quiet=STALL),
    "without an end": Row((Reply(HALF, fault="endless", after=1),), "1", endless=True),
    "400 about bound thinking": Row((BOUND,), ""),
    "400 about bound thinking that stays": Row((BOUND, BOUND), "", 2, "rejected the request"),
    "400": Row((HttpError(400, "invalid_request_error", "odd"),), "", 1, "odd"),
    "401": Row((HttpError(401, "authentication_error", f"bad {KEY}"),), "", 1, "refused the credentials"),
    "404": Row((HttpError(404, "not_found_error", "model: x"),), "", 1, "does not know the model"),
    "a refusal": Row((Reply(HALF, stop_reason="refusal"),), "", 1, "declined"),
    "529, and a stand-in": Row((AWAY,) * 3, "1 4 ->", 4, other=True),
    "429 with a time, and a stand-in": Row((LATER,), "->", 2, other=True),
    "cut, and a stand-in": Row((Reply(HALF, fault="cut", after=2),) * 3, "1 4 ->", 4, other=True),
    "stalled, and a stand-in": Row((Reply(HALF, fault="stall", after=2),), "~10 ~30 ~60 ->", quiet=SILENCE, other=True),
    "401, and a stand-in": Row((HttpError(401),), "", 1, "refused the credentials", other=True),
}


@pytest.fixture(autouse=True)
def nothing_ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer(key=KEY) as double:
        yield double


@dataclass
class House:
    server: MessagesServer
    provider: Provider
    clock: ManualClock
    other: bool
    events: list[Progress] = field(default_factory=list)
    greeted: int = 0  # deltas of the first turn
    heard: int = 0  # deltas that time went by after

    def __post_init__(self) -> None:
        voices = [Voice(self.provider, "claude-sonnet-5-5", "Be brief.", (LIST,), "one", alias="smart")]
        if self.other:
            voices.append(Voice(self.provider, "claude-haiku-5-5", "Be brief.", (LIST,), "two", alias="cheap"))
        self.models = Models(voices, Cooling(self.clock, chance=lambda: 0.0), self.events.append)
        self.log = Log("s", Store("memory", self.clock).journal, Transcript(), self.clock)

    async def turn(self, words: str, row: Row | None = None) -> str:
        said = UserEntry(f"u-{words}", NOW, ({"type": "text", "text": words},), f"m-{words}")
        turn = asyncio.ensure_future(Turn(self.models, self.log, perform, Limits(output_tokens=1000)).run(said))
        seen = 0
        while not turn.done():
            await asyncio.sleep(0.002)
            new, seen = self.events[seen:], len(self.events)
            for event in new:
                if isinstance(event, Retrying):
                    await self.clock.advance(event.seconds)
            if row is not None:
                await self.wait(row)
        return await turn

    async def wait(self, row: Row) -> None:
        """Where this row says that time goes by."""
        if row.endless and self.deltas() > self.heard and self.clock.monotonic() < LEAST + 60:
            await self.clock.advance(9.0)
            self.heard = self.deltas()
        if row.quiet and not self.heard and self.deltas() == row.strikes[0].after and self.listens():
            self.heard = self.deltas()
            await self.clock.advance(row.quiet)

    def listens(self) -> bool:
        """Whether the next byte is waited for, since the last delta."""
        due = self.clock.monotonic() + STALL
        return any(at == due and not sleeper.done() for at, _, sleeper in self.clock._sleepers)

    def deltas(self) -> int:
        """Words that came since the first turn."""
        return sum(isinstance(event, TextDelta) for event in self.events) - self.greeted

    def told(self) -> str:
        words = []
        for event in self.events:
            match event:
                case Retrying(seconds=0.0):
                    words.append("->")
                case Retrying(seconds=seconds):
                    words.append(f"{seconds:g}")
                case Waiting(seconds=seconds):
                    words.append(f"~{seconds:g}")
        return " ".join(words)

    def answers(self) -> list[str]:
        """With words: of one that was declined only what it took is kept."""
        entries = self.log.transcript.entries
        return [str(entry.content) for entry in entries if isinstance(entry, AssistantEntry) and entry.content]


async def perform(call: ToolCall, begin: Begin) -> ToolResult:
    raise AssertionError("nothing half-said runs")


@asynccontextmanager
async def housed(server: MessagesServer, *, other: bool = False) -> AsyncIterator[House]:
    clock = ManualClock(NOW)
    provider = Provider({"base_url": server.url, "api_key": KEY, "capabilities": ["thinking"]}, clock)
    await provider.open()
    try:
        yield House(server, provider, clock, other)
    finally:
        await provider.close()


@pytest.mark.parametrize("name", ROWS)
def test_what_strikes_and_what_comes_of_it(server: MessagesServer, name: str) -> None:
    row = ROWS[name]

    async def scene() -> None:
        async with housed(server, other=row.other) as house:
            server.say(Reply(thinking("first"), {"type": "text", "text": "Hello."}))
            await house.turn("hello")
            house.greeted = house.deltas()
            before = len(server.requests)
            server.say(*row.strikes, *([] if row.failed else [WHOLE]))
            if row.failed:
                with pytest.raises(TurnFailed) as caught:
                    await house.turn("now", row)
                assert row.failed in str(caught.value) and KEY not in str(caught.value)
            else:
                assert await house.turn("now", row) == WHOLE
            assert house.told() == row.told
            requests = server.requests[before:]
            assert len(requests) == row.asked
            assert "half" not in str(house.log.transcript.entries)
            assert len(house.answers()) == (1 if row.failed else 2)
            own = [seen.body for seen in requests if seen.body["model"] == "claude-sonnet-5-5"]
            if BOUND not in row.strikes:
                assert all(body == own[0] for body in own)
            server.say("Thanks.")
            assert await house.turn("and next?") == "Thanks."
            stored: list[Entry] = list(await house.log.journal.load("s"))
            assert stored == house.log.transcript.entries

    asyncio.run(asyncio.wait_for(scene(), 60))
    assert server.violations == []


def test_a_model_that_stayed_away_rests_and_is_then_asked_first_again(server: MessagesServer) -> None:
    async def scene() -> None:
        async with housed(server, other=True) as house:
            server.say(AWAY, AWAY, AWAY, WHOLE, "second", "third")
            await house.turn("one")
            await house.turn("two")
            await house.clock.advance(REST + 1)
            await house.turn("three")
            models = [seen.body["model"].split("-")[1] for seen in server.requests]
            assert models == ["sonnet", "sonnet", "sonnet", "haiku", "haiku", "sonnet"]

    asyncio.run(asyncio.wait_for(scene(), 60))
    assert server.violations == []


def test_whoever_waits_is_told_and_a_slow_answer_is_waited_for(server: MessagesServer) -> None:
    told = threading.Event()

    async def scene() -> None:
        async with housed(server) as house:
            server.say(Reply({"type": "text", "text": WHOLE}, until=told))
            turn = asyncio.ensure_future(house.turn("hello"))
            await until(lambda: any(isinstance(event, TextDelta) for event in house.events), "a word")
            for _ in range(3):
                await house.clock.advance(22.0)
                await asyncio.sleep(0.002)
            assert not turn.done() and house.told() == "~10 ~30 ~60"
            told.set()
            assert await turn == WHOLE

    asyncio.run(asyncio.wait_for(scene(), 60))
    assert server.violations == [] and len(server.requests) == 1


@pytest.mark.slow
def test_a_server_that_takes_no_connection_is_given_up_after_ten_seconds() -> None:
    """Real seconds: the network's own. Its queue is full, so that the next one is neither taken nor refused."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())

        async def scene() -> ProviderError:
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            provider = Provider({"base_url": url}, SystemClock())
            await provider.open()
            try:
                with pytest.raises(ProviderError) as caught:
                    async for _ in provider.stream(Request("m", "", (), [{"role": "user", "content": "hi"}], 10)):
                        pass
            finally:
                await provider.close()
            return caught.value

        told = asyncio.run(asyncio.wait_for(scene(), 60))
        for each in waiting:
            each.close()
    assert (told.fault, told.retryable) == ("unreachable", True)
    assert "no answer in time" in str(told)
