"""A check decides without a model whether to wake it: what it finds, how often in a row, and how long ago."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from heartbeats.beat_house import HOURLY
from openclaw import output
from openclaw.clock import ManualClock, Waits, settle
from openclaw.heartbeats.checks import LONGEST, Checks, Verdict
from openclaw.manifest.snapshot import Check
from openclaw.messages import Call, ToolResult
from openclaw.output import NOTHING
from openclaw.stores import volatile
from openclaw.tools import web

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
WELL, DOWN = ToolResult("200 OK"), ToolResult("503\nunavailable", is_error=True)
PROBE = Check("probe", {"url": "https://example.org"})


def verdicts(
    check: Check, results: Sequence[ToolResult], *, minutes: float = 10, failed: Sequence[int] = ()
) -> list[Verdict]:
    """One run after the other, `minutes` apart, each in a runtime of its own; `failed` are those that end badly."""

    async def main() -> list[Verdict]:
        clock = ManualClock(NOON)
        store = volatile.Store("", clock)
        await store.open()
        found = []
        for number, result in enumerate(results):

            async def run(result: ToolResult = result) -> ToolResult:
                return result

            beat = replace(HOURLY, check=check)
            found.append(await Checks(store.marks, clock).judge(beat, f"m{number}", run, Waits(clock)))
            if number not in failed:
                await Checks(store.marks, clock).told(beat, f"m{number}")
            await clock.advance(minutes * 60)
        return found

    return asyncio.run(main())


def woken(check: Check, results: Sequence[ToolResult], *, minutes: float = 10, failed: Sequence[int] = ()) -> str:
    found = verdicts(check, results, minutes=minutes, failed=failed)
    return "".join("x" if verdict.wake else "." for verdict in found)


def test_what_a_failed_run_was_to_tell_wakes_again_until_it_is_told() -> None:
    assert woken(PROBE, [DOWN] * 5, failed=[0, 1]) == "xxx.."
    assert woken(replace(PROBE, after=2), [DOWN] * 5, failed=[1]) == ".xx.."
    assert woken(replace(PROBE, repeat=1800), [DOWN] * 6, failed=[3]) == "x..xx."
    changing = [ToolResult(text) for text in ("one", "two", "two", "two", "one", "two", "two")]
    assert woken(replace(PROBE, wake="change"), changing, failed=[1, 4]) == ".xx.x.."  # back to what was told last
    recovering = replace(PROBE, recovered=True)
    assert woken(recovering, [DOWN, WELL, WELL, WELL], failed=[1]) == "xxx."
    assert woken(recovering, [DOWN, WELL, DOWN, DOWN, WELL], failed=[1]) == "xxx.x"  # a new row, though
    assert woken(recovering, [DOWN, WELL], failed=[0]) == "x."  # nobody heard that it was down


@pytest.mark.parametrize(
    ("check", "results", "expected"),
    [
        (PROBE, [WELL, DOWN, DOWN, DOWN, WELL, DOWN], ".x...x"),
        (replace(PROBE, after=3), [DOWN, DOWN, WELL, DOWN, DOWN, DOWN, DOWN], ".....x."),
        (replace(PROBE, repeat=1200), [DOWN] * 6, "x.x.x."),
        (replace(PROBE, repeat=1200, after=2), [DOWN] * 6, ".x.x.x"),
        (replace(PROBE, recovered=True), [WELL, DOWN, WELL, WELL, DOWN, DOWN, WELL], ".xx.x.x"),
        (replace(PROBE, recovered=True, after=2), [DOWN, WELL, DOWN, DOWN, WELL], "...xx"),
    ],
)
def test_a_failure_wakes_once_in_a_row_and_again_as_it_is_asked_to(
    check: Check, results: list[ToolResult], expected: str
) -> None:
    assert woken(check, results) == expected


def test_output_wakes_every_time_and_silence_never_but_a_failure_does() -> None:
    said, nothing, empty = ToolResult("3 new letters"), ToolResult(NOTHING), ToolResult(" \n")
    check = replace(PROBE, wake="output")
    assert woken(check, [nothing, said, said, empty, said, DOWN]) == ".xx.xx"
    assert woken(replace(check, repeat=1800), [said] * 7) == "x..x..x"
    assert woken(replace(check, after=2), [said, nothing, said, said]) == "...x"


def test_a_change_wakes_and_what_stays_the_same_does_not() -> None:
    one, two = ToolResult("one"), ToolResult("two")
    check = replace(PROBE, wake="change")
    assert woken(check, [one, one, two, two, one]) == "..x.x"
    assert woken(check, [one, DOWN, DOWN, one, two, DOWN]) == ".x..xx"  # a failure is no value to compare with


def test_what_a_tool_adds_of_its_own_is_no_change(tmp_path: Path) -> None:
    def fetched(number: int, text: str) -> ToolResult:
        page = web.Page("https://example.org/", 200, "text/plain", "utf-8", text.encode(), True, "")
        return web._told(page, f"2026-05-0{number}", call(number))

    def call(number: int) -> Call:
        return Call("main", "cron:h", "cron:h", tmp_path, f"check-m{number}")

    change, some = replace(PROBE, wake="change"), replace(PROBE, wake="output")
    assert woken(change, [fetched(n, text) for n, text in enumerate(["one", "one", "two", "two"], 1)]) == "..x."
    long = ["one\n" * 8000, "one\n" * 8000, "one\n" * 8001]
    assert woken(change, [output.result(text, call(n)) for n, text in enumerate(long)]) == "..x"
    middle = ["a" * 20_000 + one + "a" * 20_000 for one in "bbcc"]  # what is left out counts as well
    assert woken(change, [fetched(n, text) for n, text in enumerate(middle, 1)]) == "..x."
    assert woken(some, [fetched(n, text) for n, text in enumerate(["", "news", ""], 1)]) == ".x."


def test_another_check_starts_from_nothing() -> None:
    async def main() -> list[bool]:
        clock = ManualClock(NOON)
        store = volatile.Store("", clock)
        await store.open()

        async def down() -> ToolResult:
            return DOWN

        checks = Checks(store.marks, clock)
        found = []
        asked = [PROBE, PROBE, replace(PROBE, input={"url": "https://example.com"}), replace(PROBE, after=1)]
        beats = [replace(HOURLY, check=check) for check in asked]
        for number, beat in enumerate(beats):
            found.append((await checks.judge(beat, f"m{number}", down, Waits(clock))).wake)
            await checks.told(beat, f"m{number}")
        return found

    assert asyncio.run(main()) == [True, False, True, True]


def test_the_same_run_is_judged_once_also_after_a_crash() -> None:
    async def main() -> None:
        clock = ManualClock(NOON)
        store = volatile.Store("", clock)
        await store.open()
        calls = []

        async def run() -> ToolResult:
            calls.append(1)
            return DOWN

        beat = replace(HOURLY, check=replace(PROBE, after=2))
        first = await Checks(store.marks, clock).judge(beat, "m1", run, Waits(clock))
        again = await Checks(store.marks, clock).judge(beat, "m1", run, Waits(clock))
        assert first == again and not again.wake and len(calls) == 1
        assert (await Checks(store.marks, clock).judge(beat, "m2", run, Waits(clock))).wake and len(calls) == 2

    asyncio.run(main())


class Crowded(volatile.Marks):
    """On a disk on which there is room only after a while."""

    clock: ManualClock

    async def put(self, name: str, document: Any, version: int) -> bool:
        await self.clock.sleep(90)
        return await super().put(name, document, version)


def test_room_for_the_verdict_is_waited_for_outside_the_time_that_the_run_may_take() -> None:
    async def main() -> None:
        clock = ManualClock(NOON)
        store = volatile.Store("", clock)
        marks, waits = Crowded(store.inbox), Waits(clock)
        marks.clock = clock

        async def slow() -> ToolResult:
            await clock.sleep(10)
            return DOWN

        judging = asyncio.create_task(Checks(marks, clock).judge(replace(HOURLY, check=PROBE), "m", slow, waits))
        await settle()
        await clock.advance(10)
        await clock.advance(90)
        assert (await judging).wake and waits.seconds() == 90

    asyncio.run(asyncio.wait_for(main(), 10))


def test_the_model_is_told_what_was_found_and_the_history_a_line_of_it() -> None:
    [found] = verdicts(PROBE, [DOWN])
    assert found.line == "probe failed: 503 (1 in a row)"
    assert found.found == "probe failed: 503, 1 in a row\n503\nunavailable"
    [long] = verdicts(replace(PROBE, wake="output"), [ToolResult("\x1b[31m" + "y" * 50_000)])
    assert len(long.line) <= 230 and "\x1b" not in long.line
    assert "y" * LONGEST not in long.found and long.found.endswith("(cut: it has 50,005 characters)")


def test_a_document_of_another_shape_counts_as_none() -> None:
    async def main() -> None:
        clock = ManualClock(NOON)
        store = volatile.Store("", clock)
        await store.open()

        async def down() -> ToolResult:
            return DOWN

        await store.marks.put("check/h", ["strange"], 0)
        beat = replace(HOURLY, check=PROBE)
        assert (await Checks(store.marks, clock).judge(beat, "m", down, Waits(clock))).wake

    asyncio.run(main())
