"""A summary that the model's own service makes: asked for, kept and sent back as it wants, and taken back like others.

The real client against the strict double, which refuses a block that is not first, not alone or not as it was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles.house import Hasty
from doubles.messages_server import HttpError, MessagesServer, Reply, summed, text, thinking, tool
from openclaw import compaction
from openclaw.errors import ProviderError
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import CompactionLimits, Limits
from openclaw.messages import Compaction, Draft, ToolCall, ToolResult, ToolSpec, UserEntry
from openclaw.ports import Begin, Request
from openclaw.prompt import Voice
from openclaw.providers.anthropic import Provider
from openclaw.shortening import Failures, Shortening
from openclaw.stores.files import Store
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn

KEY = "sk-test-hush-hush"
LIST = ToolSpec("list_files", "Lists", {"type": "object", "properties": {"path": {"type": "string"}}}, "files")
ABLE = ["thinking", "effort", "cache_control", "compaction"]
BETA = "compact-2026-09-04"
ALL = "Ada list_files a.txt SHOP-000 SHOP-100 SHOP-200"
NOTHING = {"stop_reason": "tool_use", "usage": {"input_tokens": 0, "output_tokens": 0, "iterations": []}}


@pytest.fixture(autouse=True)
def nothing_ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer(key=KEY) as double:
        yield double
        assert double.violations == []


class House:
    def __init__(self, server: MessagesServer, folder: Path, provider: Provider) -> None:
        self.server = server
        self.clock = Hasty()
        self.store = Store(str(folder), self.clock)
        self.voice = Voice(provider, "claude-sonnet-5-5", "Be brief.", (LIST,), "setup", "low", alias="smart")
        self.models = Models([self.voice], Cooling(self.clock), lambda event: None)
        self.log = Log("s", self.store.journal, Transcript(), self.clock)

    async def say(self, words: str, *answers: Reply) -> dict[str, Any]:
        """A turn; what was sent for it last."""
        self.server.say(*answers)
        said = UserEntry(f"u-{words[:20]}", self.clock.now(), ({"type": "text", "text": words},), f"m-{words[:20]}")
        await Turn(self.models, self.log, perform, Limits()).run(said)
        body: dict[str, Any] = self.server.requests[-1].body
        return body

    async def talk(self, first: int = 0) -> None:
        """Three turns, one of them with a call."""
        for number in range(first, first + 3):
            answer = Reply(thinking("hm"), {"type": "text", "text": f"noted {number} " * 30})
            calls = [Reply(thinking("look"), tool("list_files", id=f"c{number}", path="."))] if number % 3 == 1 else []
            await self.say(f"order SHOP-{number}00 is for Ada " * 10, *calls, answer)

    async def shorten(self, keep: int = 200) -> Compaction | None:
        return await compaction.compact(self.log, self.models, keep, "server")

    def block(self) -> Any:
        summary = self.log.transcript.summary
        return summary.block if summary else None


async def perform(call: ToolCall, begin: Begin) -> ToolResult:
    await begin()
    return ToolResult("a.txt")


@asynccontextmanager
async def housed(server: MessagesServer, folder: Path) -> AsyncIterator[House]:
    clock = Hasty()
    provider = Provider({"base_url": server.url, "api_key": KEY, "capabilities": ABLE}, clock)
    house = House(server, folder, provider)
    await provider.open()
    await house.store.open()
    try:
        yield house
    finally:
        await house.store.close()
        await provider.close()


def run(server: MessagesServer, folder: Path, scene: Callable[[House], Awaitable[None]]) -> None:
    async def main() -> None:
        async with housed(server, folder) as house:
            await scene(house)

    asyncio.run(main())


def test_the_service_gets_the_conversation_as_it_was_sent_and_its_block_goes_first_from_then_on(
    server: MessagesServer, tmp_path: Path
) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        before = server.requests[-1].body
        server.say(summed("Ada ordered SHOP-000."), text("SHOP-100 is for Ada too"))
        made = await house.shorten()
        *_, paid, last = house.log.transcript.entries  # the summary, and what was asked for once more
        assert isinstance(paid, Draft) and (paid.usage.output, made) == (7, last)
        assert made is not None and made.usage.output == 5
        asked = server.requests[-2]
        assert BETA in asked.headers["anthropic-beta"]
        assert "SHOP" not in asked.body["compaction"]["instructions"]
        for name in ("system", "tools", "thinking", "cache_control"):
            assert asked.body[name] == before[name]
        sent = asked.body["messages"]
        assert sent == before["messages"][: len(sent)] and sent[-1]["role"] == "assistant"  # from its cache
        left = server.requests[-1].body["messages"][0]["content"][0]["text"]
        assert "SHOP-100" in left and "SHOP-000:" not in left

        after = await house.say("and now?", Reply(thinking("new"), {"type": "text", "text": "fine"}))
        first = after["messages"][0]
        assert first["role"] == "user"
        assert first["content"][0] == house.block() == summed("Ada ordered SHOP-000.").content[0]
        assert "SHOP-100 is for Ada too" in first["content"][1]["text"]
        assert "thinking" not in str(after["messages"])
        assert server.requests[-1].headers["anthropic-beta"] == BETA
        again = await house.say("and then?", text("fine"))
        assert again["messages"][0] == first and "thinking" in str(again["messages"])

    run(server, tmp_path, scene)


def test_a_second_one_stands_for_the_first_and_each_can_be_taken_back(server: MessagesServer, tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        whole = await house.say("first?", text("yes"))
        server.say(summed(f"one: {ALL}"))
        await house.shorten()
        await house.talk(3)
        one = house.block()
        server.say(summed(f"two: {ALL} SHOP-300 SHOP-400 SHOP-500"))
        await house.shorten()
        assert server.requests[-1].body["messages"][0]["content"][0] == one  # it summed the first one up as well
        two = await house.say("and now?", text("fine"))
        assert [block for block in blocks(two) if block["type"] == "compaction"] == [house.block()] != [one]

        assert await compaction.undo(house.log)
        back = await house.say("and back?", text("fine"))
        assert [block for block in blocks(back) if block["type"] == "compaction"] == [one]
        assert await compaction.undo(house.log)
        full = await house.say("and all?", text("fine"))
        assert words(full)[: len(words(whole))] == words(whole)
        assert "anthropic-beta" not in server.requests[-1].headers
        assert not await compaction.undo(house.log)

    run(server, tmp_path, scene)


def test_the_block_is_on_disk_and_sent_again_after_a_restart(server: MessagesServer, tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        server.say(summed(ALL))
        await house.shorten()
        before = await house.say("before", text("fine"))
        loaded = Transcript(await house.store.journal.load("s"))
        assert loaded.entries == house.log.transcript.entries
        house.log = replace(house.log, transcript=loaded)
        after = await house.say("after", text("fine"))
        assert after["messages"][: len(before["messages"])] == before["messages"]

    run(server, tmp_path, scene)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(**NOTHING),
        Reply(**{**NOTHING, "stop_reason": "model_context_window_exceeded"}),
        Reply({"type": "compaction", "content": None}, stop_reason="compaction"),
        HttpError(400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
        HttpError(400, "invalid_request_error", "compaction: Extra inputs are not permitted"),
    ],
    ids=["it called a tool", "it had no room", "it failed", "too long", "it does not know how"],
)
def test_where_the_service_makes_none_it_is_asked_for_as_elsewhere(
    server: MessagesServer, tmp_path: Path, answer: Any
) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        server.say(answer, f"{ALL} for Ada")
        made = await house.shorten()
        assert made is not None and made.block is None and "SHOP-200 for Ada" in made.summary
        assert "and now?" in str(await house.say("and now?", text("fine")))

    run(server, tmp_path, scene)


def test_a_service_that_is_not_there_leaves_everything_as_it_is(server: MessagesServer, tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        entries = list(house.log.transcript.entries)
        server.say(*[HttpError(529, "overloaded_error")] * 4)
        with pytest.raises(ProviderError, match="overloaded"):
            await house.shorten()
        assert house.log.transcript.entries == entries == list(await house.store.journal.load("s"))

    run(server, tmp_path, scene)


def test_an_agent_that_leaves_it_to_the_service_gets_it_before_its_turn(server: MessagesServer, tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        server.say(summed(ALL))
        limits = CompactionLimits(at_tokens=10, keep_tokens=5, mode="server")
        await Shortening(house.log, house.models, limits, Failures()).before_turn()
        assert house.block() is not None

    run(server, tmp_path, scene)


def test_a_stand_in_on_another_server_is_sent_the_words_of_the_block(server: MessagesServer, tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.talk()
        server.say(summed(f"they are {ALL}"))
        await house.shorten()
        other = Provider({"base_url": server.url, "api_key": KEY}, house.clock)
        await other.open()
        voice = Voice(other, "claude-haiku-5-5", "Be brief.", (LIST,), "other", alias="cheap")
        house.models = Models([voice], Cooling(house.clock), lambda event: None)
        sent = await house.say("and now?", text("fine"))
        assert "they are Ada" in sent["messages"][0]["content"][0]["text"]
        assert "compaction" not in {block["type"] for block in blocks(sent)}
        assert "anthropic-beta" not in server.requests[-1].headers
        with pytest.raises(ProviderError, match="makes no summaries with `claude-haiku-5-5`"):
            asked = Request("claude-haiku-5-5", "", (), sent["messages"], 100, compact="shortly")
            async for _ in other.stream(asked):
                raise AssertionError("nothing is asked")
        await other.close()

    run(server, tmp_path, scene)


def blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [block for message in body["messages"] for block in message["content"]]


def words(body: dict[str, Any]) -> list[str]:
    return [str(block.get("text") or block.get("content")) for block in blocks(body) if block["type"] != "thinking"]
