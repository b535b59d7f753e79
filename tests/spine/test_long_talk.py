"""A conversation of 200,000 tokens is made short: nothing that was planted in it is lost, and the service takes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from doubles.long_talk import SETUP, talk
from doubles.messages_server import MessagesServer, Reply
from openclaw import compaction
from openclaw.clock import SystemClock
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import CompactionLimits, Limits
from openclaw.messages import ToolCall, ToolResult, ToolSpec, UserEntry
from openclaw.ports import Begin
from openclaw.prompt import Voice
from openclaw.providers.anthropic import Provider
from openclaw.stores.volatile import Store
from openclaw.transcript import Log, Transcript
from openclaw.turn import Turn

KEY = "sk-test-hush-hush"
LIST = ToolSpec("list_files", "Lists", {"type": "object", "properties": {"path": {"type": "string"}}}, "files")
LIMITS = CompactionLimits(at_tokens=100_000, keep_tokens=50_000)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer(key=KEY, otherwise=forgetful) as double:
        yield double


def forgetful(body: dict[str, Any]) -> Reply:
    """A model that sums up badly: it keeps one thing in three, and says of the rest every second one when asked."""
    asked = body["messages"][-1]["content"][-1]["text"]
    if asked.startswith("Summarise"):
        known = [word for word in asked.split() if "SHOP-" in word or "://" in word]
        return said(f"They talked about a shop. {' '.join(known[::3])}")
    if asked.startswith("Your summary"):
        return said("\n".join(line for line in asked.splitlines()[2::2]))
    return said("Understood.")


def said(words: str) -> Reply:
    return Reply({"type": "text", "text": words}, piece=4000)


async def perform(call: ToolCall, begin: Begin) -> ToolResult:
    raise AssertionError("no tool is called here")


@pytest.mark.timeout(180)
def test_a_talk_of_200_000_tokens_comes_down_to_60_000_with_all_that_matters(server: MessagesServer) -> None:
    entries, planted = talk(seed=7, tokens=200_000)

    async def scene() -> tuple[int, int, str]:
        clock = SystemClock()
        provider = Provider({"base_url": server.url, "api_key": KEY, "capabilities": ["thinking"]}, clock)
        await provider.open()
        try:
            voice = Voice(provider, "claude-sonnet-5-5", "Be brief.", (LIST,), SETUP)
            models = Models([voice], Cooling(clock), lambda event: None)
            log = Log("s", Store("memory", clock).journal, Transcript(entries), clock)
            assert compaction.due(log, LIMITS)
            before = compaction.tokens(log)
            assert await compaction.compact(log, models, LIMITS.keep_tokens) is not None
            after = compaction.tokens(log)
            words = UserEntry("u", NOW, ({"type": "text", "text": "and now?"},), "m")
            assert await Turn(models, log, perform, Limits()).run(words) == "Understood."
            return before, after, str(log.transcript.messages(SETUP))
        finally:
            await provider.close()

    before, after, sent = asyncio.run(scene())
    assert server.violations == []
    assert 195_000 < before < 210_000
    assert 48_000 < after < 62_000
    assert len(planted) > 300
    assert [one for one in planted if one not in sent] == []
    summed = [len(str(seen.body["messages"])) for seen in server.requests[:-1]]
    assert len(summed) > 4 and max(summed) < 170_000  # no request that a small window could not hold
    assert "thinking" not in str(server.requests[-1].body["messages"])
    print(f"{before:,} -> {after:,} tokens in {len(summed)} requests; {len(planted)} planted, all there")
