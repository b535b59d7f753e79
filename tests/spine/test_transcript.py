"""What a model is sent for a session: append-only, every call answered, thinking only where it is bound."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openclaw.messages import AssistantEntry, Compaction, Entry, Intent, Result, Usage, UserEntry
from openclaw.transcript import Transcript, calls, text_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def user(id: str, text: str = "hello") -> UserEntry:
    return UserEntry(id, NOW, ({"type": "text", "text": text},), f"m-{id}")


def assistant(id: str, *blocks: dict[str, Any], setup: str = "s1", stop: str = "end_turn") -> AssistantEntry:
    return AssistantEntry(id, NOW, blocks, "model", stop, Usage(10, 5), setup)


def use(id: str, name: str = "ls") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": {}}


THOUGHT = {"type": "thinking", "thinking": "", "signature": "sig"}
TEXT = {"type": "text", "text": "hi"}


def test_results_are_sent_in_the_order_of_the_calls_whatever_ended_first() -> None:
    transcript = Transcript([user("u"), assistant("a", use("t1"), use("t2"))])
    transcript.add(Result("r2", NOW, "t2", "second", False))
    assert len(transcript.messages("s1")) == 2  # not before all are there
    transcript.add(Result("r1", NOW, "t1", "", True))
    assert transcript.messages("s1")[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "(empty)", "is_error": True},
            {"type": "tool_result", "tool_use_id": "t2", "content": "second"},
        ],
    }


def test_a_call_without_result_is_dangling_and_known_as_begun_by_its_intent() -> None:
    transcript = Transcript([user("u"), assistant("a", use("t1"), use("t2"), use("t3"))])
    transcript.add(Intent("i", NOW, "t2", "ls", {}))
    transcript.add(Result("r", NOW, "t3", "done", False))
    assert [("t1", False), ("t2", True)] == [(call.id, begun) for call, begun in transcript.dangling()]


def test_thinking_of_another_setup_is_left_out_with_all_before_it() -> None:
    entries: list[Entry] = [
        user("u1"),
        assistant("a1", THOUGHT, TEXT, setup="s2"),
        user("u2"),
        assistant("a2", THOUGHT, TEXT, setup="s1"),
        user("u3"),
        assistant("a3", THOUGHT, TEXT, setup="s2"),
    ]
    sent = Transcript(entries).messages("s2")
    assert [[TEXT], [TEXT], [THOUGHT, TEXT]] == [m["content"] for m in sent if m["role"] == "assistant"]


def test_an_answer_of_thinking_alone_leaves_words_behind_when_it_is_left_out() -> None:
    sent = Transcript([user("u"), assistant("a", THOUGHT, setup="old")]).messages("new")
    assert sent[1]["content"] == [{"type": "text", "text": "(no text)"}]


def test_what_was_sent_once_is_sent_again_as_it_was() -> None:
    transcript = Transcript([user("u1")])
    first = [dict(m) for m in transcript.messages("s1")]
    transcript.add(assistant("a1", THOUGHT, TEXT))
    transcript.add(user("u2"))
    assert transcript.messages("s1")[: len(first)] == first
    assert transcript.messages("s1") == Transcript(transcript.entries).messages("s1")


def test_after_a_compaction_the_summary_stands_for_all_that_was_not_kept() -> None:
    entries: list[Entry] = [
        user("u1", "old"),
        assistant("a1", THOUGHT, TEXT),
        user("u2", "new"),
        assistant("a2", THOUGHT),
    ]
    transcript = Transcript([*entries, Compaction("c", NOW, "summary", "u2"), user("u3", "next")])
    sent = transcript.messages("s1")
    assert ["summary", "new", "(no text)", "next"] == [m["content"][-1]["text"] for m in sent]
    assert transcript.context_tokens == 0


blocks = st.lists(st.sampled_from(["text", "thinking", "call"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(blocks, st.sampled_from(["s1", "s2"])), max_size=8))
def test_every_rendering_answers_each_call_once_and_right_after_it(turns: list[tuple[list[str], str]]) -> None:
    transcript, count = Transcript(), 0
    for number, (kinds, setup) in enumerate(turns):
        transcript.add(user(f"u{number}"))
        content: list[dict[str, Any]] = []
        for kind in kinds:
            count += 1
            content.append({"text": TEXT, "thinking": THOUGHT, "call": use(f"t{count}")}[kind])
        transcript.add(assistant(f"a{number}", *content, setup=setup))
        for call in reversed(calls(content)):
            transcript.add(Result(f"r{call.id}", NOW, call.id, "x", False))
    sent = list(transcript.messages("s2"))
    assert sent == list(Transcript(transcript.entries).messages("s2"))
    for at, message in enumerate(sent):
        wanted = [call.id for call in calls(message["content"])] if message["role"] == "assistant" else []
        if wanted:
            assert [block["tool_use_id"] for block in sent[at + 1]["content"]] == wanted
        assert message["content"]


def test_the_text_of_an_answer_is_its_text_blocks_alone() -> None:
    assert text_of([THOUGHT, {"type": "text", "text": " a"}, use("t"), {"type": "text", "text": "b "}]) == "ab"
