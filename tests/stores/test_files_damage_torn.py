"""A transcript whose last line was torn off at each of its bytes: what is recovered, and what becomes of the rest.

A torn line is what a crash leaves of a line that was being written, so nobody was told that it is on disk.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.clock import ManualClock
from openclaw.messages import AssistantEntry, Compaction, Draft, Entry, Intent, Result, Told, Undone, Usage, UserEntry
from openclaw.stores.files import Store

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
KEY, OTHER = "agent:main:repl:local", "agent:main:repl:other"
SAID = ({"type": "text", "text": "día: “quoted” \\ \n and a \t tab"},)
BEFORE: tuple[Entry, ...] = (
    UserEntry("1", NOON, SAID, "m1"),
    AssistantEntry(
        "2", NOON, ({"type": "tool_use", "id": "c", "name": "ls", "input": {}},), "m", "tool_use", Usage(), "s"
    ),
)
LAST: dict[str, Entry] = {
    "a person's message": UserEntry("last", NOON, SAID, "m2", joined=("m3",)),
    "the model's answer": AssistantEntry("last", NOON, SAID, "m", "end_turn", Usage(3, 4), "setup"),
    "an intent": Intent("last", NOON, "c", "ls", {"path": "é"}),
    "a result": Result("last", NOON, "c", "one\ntwo", False),
    "a summary": Compaction("last", NOON, "<summary>…</summary>", "1", Usage(1, 2)),
    "a part of a summary": Draft("last", NOON, "summary…", 7, "0f", Usage(1, 2), "setup"),
    "a summary taken back": Undone("last", NOON, "7", "m5"),
    "what a heartbeat told": Told("last", NOON, "heartbeat beat", "wake up", "m4"),
}


async def torn(folder: Path, last: Entry) -> dict[str, int]:
    """Cuts the last line at every byte, reads, goes on writing, and reads again."""
    store = Store(str(folder), ManualClock(NOON))
    await store.open()
    try:
        await store.journal.append(OTHER, BEFORE)
        await store.journal.append(KEY, [*BEFORE, last])
        path = folder / "sessions" / "agent_main_repl_local.jsonl"
        whole = path.read_bytes()
        start = whole.rindex(b"\n", 0, len(whole) - 1) + 1
        recovered, kept, aside, gone_on = 0, 0, 0, 0
        for cut in range(start, len(whole)):
            path.write_bytes(whole[:cut])
            path.with_suffix(".damaged").unlink(missing_ok=True)
            found = list(await store.journal.load(KEY))
            recovered += found[: len(BEFORE)] == list(BEFORE)
            kept += found[len(BEFORE) :] == [last]
            left = path.with_suffix(".damaged")
            aside += left.exists() and whole[start:cut] in left.read_bytes()
            await store.journal.append(KEY, [UserEntry("next", NOON, SAID, "m9")])
            gone_on += [entry.id for entry in await store.journal.load(KEY)] == [*(one.id for one in found), "next"]
        assert list(await store.journal.load(OTHER)) == list(BEFORE)
    finally:
        await store.close()
    cuts = len(whole) - start
    return {"cuts": cuts, "recovered": recovered, "whole": kept, "aside": aside, "gone on": gone_on}


@pytest.mark.slow
def test_a_line_of_any_kind_that_was_torn_at_any_byte_costs_only_itself(tmp_path: Path) -> None:
    heads = ("cuts", "recovered", "whole", "aside", "gone on")
    print("\nlast line torn at every byte; how often the rest was recovered, the line was whole, its bytes were kept")
    print(f"{'last line':>24} {' '.join(f'{head:>10}' for head in heads)}")
    for number, (name, last) in enumerate(LAST.items()):
        row = asyncio.run(torn(tmp_path / str(number), last))
        print(f"{name:>24} {' '.join(f'{row[head]:>10}' for head in heads)}")
        # Where only the newline is missing the line is whole; where nothing is left of it nothing is kept aside.
        cuts = row["cuts"]
        assert row == {"cuts": cuts, "recovered": cuts, "whole": 1, "aside": cuts - 2, "gone on": cuts}
