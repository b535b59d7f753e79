"""One turn against the scripted model: the loop, its limits, and what a crash left open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openclaw.clock import ManualClock
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import Limits
from openclaw.messages import (
    AssistantEntry,
    Intent,
    Progress,
    Result,
    Retrying,
    TextDelta,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserEntry,
)
from openclaw.ports import Begin
from openclaw.prompt import Voice
from openclaw.providers.scripted import Provider
from openclaw.stores.volatile import Store
from openclaw.transcript import Log, Transcript
from openclaw.turn import CUT_OFF, NOT_RUN, UNKNOWN, Turn, TurnFailed, abandon

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
LS = ToolSpec("ls", "lists", {"type": "object"}, "shell")
TWICE = """\
rules: [{say: 'twice', calls: [[{ls: {n: 1}}, {ls: {n: 2}}], {ls: {n: 3}}], reply: 'done: {result}'}]
otherwise: hello there
"""


DECLINES = """
rules: [{say: forbidden, calls: [[{ls: {n: 1}}]], reply: not this, stop: refusal}]
otherwise: hello there
"""


def said(text: str, message: str = "m1") -> UserEntry:
    return UserEntry(f"e-{message}", NOW, ({"type": "text", "text": text},), message)


class Stage:
    """A turn with a real journal in memory, a scripted model, and tools that note what ran."""

    def __init__(self, tmp_path: Path, script: str, entries: Sequence[Any] = (), limits: Limits | None = None) -> None:
        path = tmp_path / "script.yaml"
        path.write_text(script, "utf-8")
        self.clock = ManualClock(NOW)
        self.provider = Provider({"script": str(path)}, self.clock)
        self.store = Store("memory", self.clock)
        self.log = Log("s", self.store.journal, Transcript(entries), self.clock)
        self.ran: list[Any] = []
        self.events: list[Progress] = []
        voice = Voice(self.provider, "demo", "system", (LS,), "setup")
        self.models = Models([voice], Cooling(self.clock, chance=lambda: 0.0), self.events.append)
        self.turn = Turn(self.models, self.log, self.perform, limits or Limits())

    async def perform(self, call: ToolCall, begin: Begin) -> ToolResult:
        await begin()
        self.ran.append(call.input["n"])
        return ToolResult(f"ran {call.input['n']}")

    async def run(self, entry: UserEntry) -> str:
        await self.store.open()
        await self.provider.open()
        return await self.turn.run(entry)

    def kinds(self) -> list[str]:
        return [type(entry).__name__ for entry in self.log.transcript.entries]


def test_a_plain_answer_is_two_entries(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWICE)
    assert asyncio.run(stage.run(said("hi"))) == "hello there"
    assert stage.kinds() == ["UserEntry", "AssistantEntry"]
    assert [entry.model for entry in stage.log.transcript.entries if isinstance(entry, AssistantEntry)] == ["demo"]
    assert "".join(event.text for event in stage.events if isinstance(event, TextDelta)) == "hello there"


def test_each_call_has_its_intent_before_and_its_result_after(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWICE)
    assert asyncio.run(stage.run(said("twice"))) == "done: ran 3"
    assert stage.ran == [1, 2, 3]
    entries = stage.log.transcript.entries
    for result in (entry for entry in entries if isinstance(entry, Result)):
        intents = [i for i in entries[: entries.index(result)] if isinstance(i, Intent) and i.call == result.call]
        assert len(intents) == 1


def test_the_journal_has_what_the_transcript_has(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWICE)

    async def both() -> None:
        await stage.run(said("twice"))
        assert list(await stage.store.journal.load("s")) == stage.log.transcript.entries

    asyncio.run(both())


def test_too_many_steps_end_the_turn_with_words(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWICE, limits=Limits(iterations=1))
    with pytest.raises(TurnFailed, match="stopped after 1 steps"):
        asyncio.run(stage.run(said("twice")))
    assert stage.log.transcript.dangling() == []


def test_an_overloaded_model_is_asked_again_and_the_person_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "rules: [{say: x, fault: overloaded}]")

    async def run() -> None:
        task = asyncio.create_task(stage.run(said("x")))
        for _ in range(4):
            await stage.clock.advance(20)
        with pytest.raises(TurnFailed, match="could not get an answer"):
            await task

    asyncio.run(run())
    assert [event.seconds for event in stage.events if isinstance(event, Retrying)] == [1.0, 4.0, 15.0]
    assert stage.kinds() == ["UserEntry"]


def test_a_refused_request_is_not_repeated(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "rules: [{say: x, fault: rejected}]")
    with pytest.raises(TurnFailed):
        asyncio.run(stage.run(said("x")))
    assert stage.events == []


def test_a_declined_turn_is_told_and_paid_and_nothing_of_it_is_sent_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, DECLINES)

    async def scene() -> None:
        assert await stage.run(said("hello", "m1")) == "hello there"
        sent = list(stage.log.transcript.messages("setup"))
        spent = stage.log.transcript.usage
        for _ in range(2):  # the second time as after a crash before that was told
            with pytest.raises(TurnFailed, match="declined to answer this, and is not sent it again") as caught:
                await stage.turn.run(said("forbidden", "m2"))
            assert caught.value.fault == "refused"
        assert stage.ran == [1] and stage.log.transcript.usage.output > spent.output
        assert await stage.turn.run(said("what is 2 + 2?", "m3")) == "hello there"
        messages = stage.log.transcript.messages("setup")
        assert list(messages[:2]) == sent and len(messages) == 4
        [note, words] = [block["text"] for block in messages[2]["content"]]
        assert words == "what is 2 + 2?" and "declined" in note and "called for it" in note and "> " in note
        assert "forbidden" not in str(messages) and "ran 1" not in str(messages)
        again = Transcript(stage.log.transcript.entries)
        assert list(again.messages("setup")) == list(messages) == list(again.before("setup", None))
        assert "forbidden" not in str(again.kept())

    asyncio.run(scene())


def test_an_answer_cut_off_by_its_limit_says_so(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "rules: [{say: x, reply: half an, stop: max_tokens}]", limits=Limits(output_tokens=77))
    assert "at most 77 tokens" in asyncio.run(stage.run(said("x")))


# ── after a crash ────────────────────────────────────────────────────────────────────────────────

CALLS = tuple({"type": "tool_use", "id": f"t{n}", "name": "ls", "input": {"n": n}} for n in (1, 2))
ASKED = AssistantEntry("a1", NOW, CALLS, "demo", "tool_use", Usage(), "setup")


def test_a_begun_call_is_unknown_and_never_run_again_and_a_call_not_begun_runs(tmp_path: Path) -> None:
    left = [said("one step"), ASKED, Intent("i", NOW, "t1", "ls", {"n": 1})]
    stage = Stage(tmp_path, "rules: [{say: one, calls: [{ls: {n: 9}}], reply: 'after: {result}'}]", left)
    reply = asyncio.run(stage.run(said("one step")))
    assert stage.ran == [2]
    results = {e.call: e.content for e in stage.log.transcript.entries if isinstance(e, Result)}
    assert results == {"t1": UNKNOWN, "t2": "ran 2"}
    assert "unknown" in reply and "ran 2" in reply


def test_a_begun_call_that_may_be_repeated_is_decided_on_and_made_again(tmp_path: Path) -> None:
    left = [said("one step"), ASKED, Intent("i", NOW, "t1", "ls", {"n": 1})]
    stage = Stage(tmp_path, "rules: [{say: one, calls: [{ls: {n: 9}}], reply: 'after: {result}'}]", left)
    [voice] = stage.models.voices
    safe = Models([replace(voice, tools=(replace(LS, repeat="safe"),))], Cooling(stage.clock), stage.events.append)
    stage.turn = Turn(safe, stage.log, stage.perform, Limits())
    assert "ran 1" in asyncio.run(stage.run(said("one step")))
    assert sorted(stage.ran) == [1, 2]
    results = [entry.call for entry in stage.log.transcript.entries if isinstance(entry, Result)]
    assert sorted(results) == ["t1", "t2"]


def test_a_call_of_another_message_is_never_made_again(tmp_path: Path) -> None:
    left = [said("one step"), ASKED, Intent("i", NOW, "t1", "ls", {"n": 1})]
    stage = Stage(tmp_path, "otherwise: hello", left)
    [voice] = stage.models.voices
    safe = Models([replace(voice, tools=(replace(LS, repeat="safe"),))], Cooling(stage.clock), stage.events.append)
    asyncio.run(Turn(safe, stage.log, stage.perform, Limits()).run(said("something else", "m2")))
    results = {entry.call: entry.content for entry in stage.log.transcript.entries if isinstance(entry, Result)}
    assert (stage.ran, results) == ([], {"t1": UNKNOWN, "t2": NOT_RUN})


def test_a_finished_answer_is_not_asked_for_again(tmp_path: Path) -> None:
    final = AssistantEntry("a1", NOW, ({"type": "text", "text": "it was said"},), "demo", "end_turn", Usage(), "setup")
    stage = Stage(tmp_path, TWICE, [said("hi"), final])
    assert asyncio.run(stage.run(said("hi"))) == "it was said"
    assert len(stage.log.transcript.entries) == 2


def test_an_answer_that_paused_before_a_crash_is_gone_on_with_and_is_not_the_reply(tmp_path: Path) -> None:
    half = AssistantEntry(
        "a", NOW, ({"type": "text", "text": "Let me search."},), "demo", "pause_turn", Usage(1, 1), "s"
    )
    stage = Stage(tmp_path, TWICE, [said("hi"), half])
    assert asyncio.run(stage.run(said("hi"))) == "hello there"
    assert stage.kinds() == ["UserEntry", "AssistantEntry", "AssistantEntry"]


def test_calls_another_message_left_open_are_closed_before_the_next_is_written(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWICE, [said("old", "m0"), ASKED, Intent("i", NOW, "t2", "ls", {"n": 2})])
    asyncio.run(stage.run(said("hi", "m1")))
    results = {e.call: e.content for e in stage.log.transcript.entries if isinstance(e, Result)}
    assert results == {"t1": NOT_RUN, "t2": UNKNOWN}
    assert stage.ran == []


def test_a_turn_that_others_came_after_is_said_anew_with_what_is_unknown_told_and_gets_no_answer_but_its_own(
    tmp_path: Path,
) -> None:
    unknown = Intent("i", NOW, "t1", "ls", {"n": 1})
    later = AssistantEntry("a2", NOW, ({"type": "text", "text": "to m2"},), "demo", "end_turn", Usage(), "setup")
    before = [said("twice"), ASKED, unknown, said("hi", "m2"), later]
    stage = Stage(tmp_path, "rules: []\notherwise: to m1", before)
    assert asyncio.run(stage.run(said("twice"))) == "to m1"
    assert stage.kinds()[5:] == ["UserEntry", "AssistantEntry"] and stage.ran == []
    stage = Stage(tmp_path, "rules: []\notherwise: never asked", stage.log.transcript.entries)
    assert asyncio.run(stage.run(said("hi", "m2"))) == "to m2"
    assert asyncio.run(stage.turn.run(said("twice"))) == "to m1"


def test_a_turn_is_said_anew_where_that_is_asked_for_and_what_it_began_is_unknown(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "rules: []\notherwise: fine", [said("hi"), ASKED, Intent("i", NOW, "t1", "ls", {"n": 1})])

    async def anew() -> str:
        await stage.store.open()
        await stage.provider.open()
        return await stage.turn.run(replace(said("hi"), id="e2"), anew=True)

    assert asyncio.run(anew()) == "fine"
    results = {e.call: e.content for e in stage.log.transcript.entries if isinstance(e, Result)}
    assert results == {"t1": UNKNOWN, "t2": NOT_RUN}
    assert stage.kinds()[-2:] == ["UserEntry", "AssistantEntry"] and stage.ran == []


def test_calls_of_an_answer_that_was_cut_off_do_not_run(tmp_path: Path) -> None:
    cut = AssistantEntry("a1", NOW, CALLS, "demo", "max_tokens", Usage(), "setup")
    stage = Stage(tmp_path, "rules: []\notherwise: fine", [said("hi"), cut])
    assert asyncio.run(stage.run(said("hi"))) == "fine"
    assert stage.ran == []
    assert {e.content for e in stage.log.transcript.entries if isinstance(e, Result)} == {CUT_OFF}


def test_an_abandoned_turn_leaves_no_call_open(tmp_path: Path) -> None:
    stage = Stage(tmp_path, TWICE, [said("hi"), ASKED, Intent("i", NOW, "t1", "ls", {"n": 1})])

    async def run() -> None:
        await stage.store.open()
        await abandon(stage.log)

    asyncio.run(run())
    assert stage.log.transcript.dangling() == []


# ── what is said meanwhile ───────────────────────────────────────────────────────────────────────


def test_what_is_said_while_tools_run_is_read_with_their_results(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "rules: [{say: count, calls: [{ls: {n: 1}}, {ls: {n: 2}}], reply: counted}]")
    waiting = [replace(said("only ten", "m2"), joined=("m1",))]

    async def steer() -> Sequence[UserEntry]:
        given, waiting[:] = waiting[:], []
        return given

    stage.turn = Turn(stage.models, stage.log, stage.perform, Limits(), steer)
    asyncio.run(stage.run(said("count")))
    assert "UserEntry AssistantEntry Intent Result UserEntry AssistantEntry" in " ".join(stage.kinds())
    sent = stage.log.transcript.messages("setup")
    assert [block["type"] for block in sent[2]["content"]] == ["tool_result", "text"]
    assert stage.log.transcript.together("m1") == {"m1", "m2"}


def test_nothing_joins_a_turn_whose_model_is_not_asked_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "rules: [{say: count, calls: [{ls: {n: 1}}], reply: counted}]")
    asked: list[str] = []

    async def steer() -> Sequence[UserEntry]:
        asked.append("who joins?")
        return [replace(said("only ten", "m2"), joined=("m1",))]

    stage.turn = Turn(stage.models, stage.log, stage.perform, Limits(iterations=1), steer)
    with pytest.raises(TurnFailed):
        asyncio.run(stage.run(said("count")))
    assert asked == []
