"""Making a long session short: at a turn's edge, whole or not at all, and the next request is still valid."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw import compaction
from openclaw.clock import ManualClock, settle
from openclaw.errors import ProviderError
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import CompactionLimits
from openclaw.messages import AssistantEntry, Compaction, Entry, Intent, Result, Told, Usage, UserEntry
from openclaw.plain import CHARS_PER_TOKEN
from openclaw.prompt import Voice
from openclaw.providers.scripted import Provider
from openclaw.stores.volatile import Store
from openclaw.transcript import Log, Transcript

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SUMMARY = "rules: [{say: '^Summarise the conversation', reply: 'the cat is Zorblax'}]"


def turns(count: int, words: int = 100) -> list[Entry]:
    """Turns with a call each; every one is some hundreds of characters long."""
    entries: list[Entry] = []
    for n in range(count):
        call = {"type": "tool_use", "id": f"t{n}", "name": "ls", "input": {}}
        text = {"type": "text", "text": "word " * words}
        entries += [
            UserEntry(f"u{n}", NOW, (text,), f"m{n}"),
            AssistantEntry(f"a{n}", NOW, (call,), "m", "tool_use", Usage(), "s"),
            Intent(f"i{n}", NOW, f"t{n}", "ls", {}),
            Result(f"r{n}", NOW, f"t{n}", "listing", False),
            AssistantEntry(f"b{n}", NOW, (text,), "m", "end_turn", Usage(), "s"),
        ]
    return entries


def stage(tmp_path: Path, script: str, entries: list[Entry]) -> tuple[Log, Models]:
    (tmp_path / "script.yaml").write_text(script, "utf-8")
    clock = ManualClock(NOW)
    provider = Provider({"script": str(tmp_path / "script.yaml")}, clock)
    log = Log("s", Store("memory", clock).journal, Transcript(entries), clock)
    return log, Models([Voice(provider, "demo", "system", (), "s")], Cooling(clock), lambda event: None)


def test_the_older_part_becomes_a_summary_and_the_newer_part_stays(tmp_path: Path) -> None:
    log, models = stage(tmp_path, SUMMARY, turns(10))

    async def scene() -> Compaction | None:
        await models.own.provider.open()
        return await compaction.compact(log, models, 700)

    done = asyncio.run(scene())
    assert done is not None and done.keep_from is not None and done.keep_from.startswith("u")
    sent = log.transcript.messages("s")
    assert "Zorblax" in sent[0]["content"][0]["text"]
    assert len(sent) < 20
    calls = [b["id"] for m in sent if m["role"] == "assistant" for b in m["content"] if b["type"] == "tool_use"]
    results = [
        b["tool_use_id"] for m in sent if m["role"] == "user" for b in m["content"] if b["type"] == "tool_result"
    ]
    assert calls == results and calls
    assert compaction.tokens(log) < 1500


def test_a_second_one_carries_the_first_on(tmp_path: Path) -> None:
    script = "rules: [{say: '^Summarise.*<summary', reply: 'both parts'}, {say: '^Summarise', reply: 'first part'}]"
    log, models = stage(tmp_path, script, turns(6))

    async def scene() -> None:
        await models.own.provider.open()
        await compaction.compact(log, models, 400)
        for entry in turns(12)[30:]:
            log.transcript.add(entry)
        await compaction.compact(log, models, 400)

    asyncio.run(scene())
    assert "both parts" in log.transcript.messages("s")[0]["content"][0]["text"]


def test_a_short_session_is_left_alone(tmp_path: Path) -> None:
    log, models = stage(tmp_path, SUMMARY, turns(1))

    async def scene() -> Compaction | None:
        await models.own.provider.open()
        return await compaction.compact(log, models, 5000)

    assert asyncio.run(scene()) is None
    assert not compaction.due(log, CompactionLimits(1000, 500))


@pytest.mark.parametrize(
    "script", ["rules: [{say: x, fault: overloaded}]", "rules: [{say: x, reply: half, stop: max_tokens}]"]
)
def test_a_summary_that_fails_leaves_everything_as_it_was(tmp_path: Path, script: str) -> None:
    entries = turns(10)
    log, models = stage(tmp_path, script.replace("say: x", "say: Summarise"), entries)

    async def scene() -> None:
        await models.own.provider.open()
        summing_up = asyncio.ensure_future(compaction.compact(log, models, 700))
        await settle()
        assert isinstance(log.clock, ManualClock)
        await log.clock.advance(30)
        with pytest.raises(ProviderError):
            await summing_up

    asyncio.run(scene())
    assert log.transcript.kept() == entries


def test_tokens_are_those_the_model_reported_where_it_did(tmp_path: Path) -> None:
    log, _ = stage(tmp_path, SUMMARY, turns(2))
    guessed = compaction.tokens(log)
    log.transcript.add(
        AssistantEntry("z", NOW, ({"type": "text", "text": "x"},), "m", "end_turn", Usage(90, 9, 1), "s")
    )
    assert (guessed > 300, compaction.tokens(log)) == (True, 100)


def test_what_a_heartbeat_told_is_summarised_or_kept_like_all_else(tmp_path: Path) -> None:
    script = "rules: [{say: '^Summarise[^\\0]*heartbeat h told the person: the first', reply: 'the cat is Zorblax'}]"
    entries: list[Entry] = [Told("t0", NOW, "heartbeat h", "the first", "m-t0"), *turns(10)]
    entries += [Told("t1", NOW, "heartbeat h", "the second", "m-t1")]
    log, models = stage(tmp_path, script, entries)

    async def scene() -> Compaction | None:
        await models.own.provider.open()
        return await compaction.compact(log, models, 100)

    done = asyncio.run(scene())
    assert done is not None and "Zorblax" in done.summary and done.keep_from == "t1"


def test_what_came_since_the_last_call_counts_as_much_as_is_sent_of_it(tmp_path: Path) -> None:
    said = UserEntry("u", NOW, ({"type": "text", "text": "hi"},), "m")
    answer = AssistantEntry("a", NOW, ({"type": "text", "text": "hello"},), "m", "end_turn", Usage(2_000, 10), "s")
    log, _ = stage(tmp_path, SUMMARY, [said, answer])
    assert compaction.tokens(log) == 2_010
    log.transcript.add(UserEntry("v", NOW, ({"type": "text", "text": "x" * 70_000},), "n"))
    assert compaction.tokens(log) > 22_000
    assert compaction.due(log, CompactionLimits(at_tokens=20_000))
    for number in range(5_000):
        log.transcript.add(Told(f"t{number}", NOW, "heartbeat disk", "x" * 400, f"told{number}"))
    assert compaction.tokens(log) < 22_500 + 20_000 / CHARS_PER_TOKEN


def test_thinking_pictures_and_searches_are_no_part_of_the_system_prompt(tmp_path: Path) -> None:
    """No guess counts them, and a summary does away with them: they make one due."""
    thought = {"type": "thinking", "thinking": "hm " * 2000, "signature": "s"}
    entries: list[Entry] = []
    for number in range(10):
        entries.append(UserEntry(f"u{number}", NOW, ({"type": "text", "text": "and now?"},), f"m{number}"))
        content, usage = (thought, {"type": "text", "text": "Now."}), Usage(3000 + 2000 * number, 100)
        entries.append(AssistantEntry(f"a{number}", NOW, content, "m", "end_turn", usage, "s"))
    log, _ = stage(tmp_path, SUMMARY, entries)
    assert compaction.due(log, CompactionLimits(at_tokens=20_000))
    assert not compaction.due(log, CompactionLimits(at_tokens=22_000))


def test_a_document_at_the_beginning_is_no_part_of_the_system_prompt_either(tmp_path: Path) -> None:
    read = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}
    said = UserEntry("u", NOW, (read, {"type": "text", "text": "what is this?"}), "m")
    answer = AssistantEntry("a", NOW, ({"type": "text", "text": "hi"},), "m", "end_turn", Usage(93_000, 10), "s")
    more = [entry for entry in turns(2) if isinstance(entry, UserEntry)]
    last = AssistantEntry("b", NOW, ({"type": "text", "text": "hi"},), "m", "end_turn", Usage(110_000, 10), "s")
    log, _ = stage(tmp_path, SUMMARY, [said, answer, *more, last])
    limits = CompactionLimits(at_tokens=100_000, keep_tokens=50_000)
    assert compaction.due(log, limits) and compaction.kept_tokens(log, limits) == 50_000
