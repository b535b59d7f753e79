"""Whatever was torn out of a transcript, and whenever its writer was stopped: a model still takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crash.oracle import unpaired
from openclaw.clock import ManualClock, SystemClock
from openclaw.messages import AssistantEntry, Entry, Intent, Result, ToolResult, Usage, UserEntry
from openclaw.stores.volatile import Journal
from openclaw.transcript import Log, Transcript

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def said(turn: int) -> UserEntry:
    return UserEntry(f"u{turn}", NOW, ({"type": "text", "text": "go"},), f"m{turn}")


def asked(turn: int, calls: int) -> AssistantEntry:
    blocks = tuple({"type": "tool_use", "id": f"c{turn}-{n}", "name": "note", "input": {}} for n in range(calls))
    return AssistantEntry(f"a{turn}", NOW, blocks, "model", "tool_use", Usage(), "s")


def turn(number: int, calls: int) -> list[Entry]:
    ids = [f"c{number}-{n}" for n in range(calls)]
    done = AssistantEntry(f"d{number}", NOW, ({"type": "text", "text": "done"},), "model", "end_turn", Usage(), "s")
    intents = [Intent(f"i{id}", NOW, id, "note", {}) for id in ids]
    return [said(number), asked(number, calls), *intents, *(Result(f"r{id}", NOW, id, "ok", False) for id in ids), done]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
def test_lines_that_are_missing_or_there_twice_leave_what_a_model_takes(calls: list[int], data: object) -> None:
    lines = [entry for number, count in enumerate(calls) for entry in turn(number, count)]
    times = data.draw(st.lists(st.integers(0, 2), min_size=len(lines), max_size=len(lines)))  # type: ignore[attr-defined]
    kept = [entry for entry, count in zip(lines, times, strict=True) for _ in range(count)]
    read = Transcript(kept)
    read.add(said(99))
    assert unpaired(read.messages("s")) == []
    grown = Transcript()
    grown.messages("s")
    for entry in [*kept, said(99)]:
        grown.add(entry)
    assert list(read.messages("s")) == list(grown.messages("s"))


def test_a_result_whose_line_is_damaged_is_told_as_lost_and_the_others_are_kept() -> None:
    entries = [entry for entry in turn(1, 2) if entry.id != "rc1-0"]
    results = Transcript([*entries, said(2)]).messages("s")[2]["content"]
    assert [(r["tool_use_id"], r["content"]) for r in results] == [("c1-0", "(this result is lost)"), ("c1-1", "ok")]


class Held(Journal):
    """A disk that takes its time: what it was given is written when the test says so."""

    def __init__(self) -> None:
        super().__init__(ManualClock(NOW))
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def append(self, session: str, entries: Sequence[Entry]) -> None:
        self.begun.set()
        await self.go.wait()
        await super().append(session, entries)


@pytest.mark.parametrize("times", [1, 2])
def test_a_write_that_is_stopped_half_way_is_in_memory_as_on_disk(times: int) -> None:
    async def scene() -> None:
        journal = Held()
        log = Log("s", journal, Transcript([said(1), asked(1, 1)]), SystemClock())
        writing = asyncio.create_task(log.result("c1-0", ToolResult("ok")))
        await journal.begun.wait()
        for _ in range(times):
            writing.cancel()
            await asyncio.sleep(0)
        journal.go.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert [entry.call for entry in await journal.load("s") if isinstance(entry, Result)] == ["c1-0"]
        assert log.transcript.dangling() == []

    asyncio.run(asyncio.wait_for(scene(), 50))
