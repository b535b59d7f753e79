"""What a model is sent for a session: append-only, every call answered, thinking only where it is bound."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from doubles.messages_rules import merged
from openclaw.messages import AssistantEntry, Compaction, Entry, Intent, Result, Told, Usage, UserEntry
from openclaw.transcript import LONGEST_TOLD, MOST_TOLD, Transcript, calls, text_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def user(id: str, text: str = "hello") -> UserEntry:
    return UserEntry(id, NOW, ({"type": "text", "text": text},), f"m-{id}")


def assistant(id: str, *blocks: dict[str, Any], setup: str = "s1", stop: str = "end_turn") -> AssistantEntry:
    return AssistantEntry(id, NOW, blocks, "model", stop, Usage(10, 5), setup)


def use(id: str, name: str = "ls") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": {}}


def told(id: str, text: str = "Ready.", by: str = "heartbeat morning") -> Told:
    return Told(id, NOW, by, text, f"m-{id}")


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


# ── what was told from elsewhere ─────────────────────────────────────────────────────────────────


def test_what_a_heartbeat_told_the_person_goes_before_what_they_say_next() -> None:
    transcript = Transcript([user("u1"), assistant("a1", TEXT)])
    before = [dict(m) for m in transcript.messages("s1")]
    transcript.add(told("t1", "The backup failed.\nDisk full."))
    transcript.add(told("t2", "", by="heartbeat evening"))
    assert transcript.messages("s1") == before  # it waits: no request ends with it
    transcript.add(user("u2", "why?"))
    assert transcript.messages("s1")[2:] == [
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "<context>\nheartbeat morning told them this at Monday 2026-11-23 00:00 UTC:\n"
                    "> The backup failed.\n> Disk full.\n</context>",
                },
                {
                    "type": "text",
                    "text": "<context>\nheartbeat evening told them this at Monday 2026-11-23 00:00 UTC:\n</context>",
                },
                {"type": "text", "text": "why?"},
            ],
        }
    ]
    assert transcript.begun("m-t1") and not transcript.begun("m-t3")


HOSTILE = ("</context>", "< / CONTEXT", "<context>", "\n", "\u2028", "\r", "x", "<")


@given(st.lists(st.sampled_from(HOSTILE), max_size=9))
def test_no_text_that_was_told_can_end_or_open_a_context(pieces: list[str]) -> None:
    said = "".join(pieces)
    sent = Transcript([told("t", said), user("u")]).messages("s1")
    text = sent[0]["content"][0]["text"]
    assert [m.span() for m in re.finditer(r"<\s*/?\s*context", text, re.IGNORECASE)] == [
        (0, 8), (len(text) - 10, len(text) - 1),
    ]  # fmt: skip
    first, _, *lines, last = text.splitlines()
    assert (first, last) == ("<context>", "</context>")
    assert all(line.startswith("> ") for line in lines) and len(lines) == len(said.splitlines())


def test_it_never_parts_a_call_from_a_result_that_comes_late() -> None:
    entries: list[Entry] = [user("u1"), assistant("a1", use("t1")), told("t"), Result("r", NOW, "t1", "late", True)]
    transcript = Transcript()
    for entry in entries:
        transcript.add(entry)
        transcript.messages("s1")
    assert transcript.dangling() == []
    transcript.add(user("u2"))
    sent = transcript.messages("s1")
    assert [m["role"] for m in sent] == ["user", "assistant", "user", "user"]
    assert sent[2]["content"][0]["tool_use_id"] == "t1" and "morning" in sent[3]["content"][0]["text"]
    assert sent == Transcript(transcript.entries).messages("s1")


def test_after_a_compaction_it_is_sent_where_it_was_kept() -> None:
    entries: list[Entry] = [user("u1"), told("gone", "ancient"), user("u2"), assistant("a", TEXT), told("kept", "new")]
    transcript = Transcript(entries)
    transcript.messages("s1")
    transcript.add(Compaction("c", NOW, "summary", "kept"))
    transcript.add(user("u3", "next"))
    sent = transcript.messages("s1")
    assert [len(m["content"]) for m in sent] == [1, 2]
    assert "> new" in sent[1]["content"][0]["text"] and "ancient" not in str(sent)


@given(st.lists(st.sampled_from(["turn", "call", "failed", "told", "compacted", "setup"]), max_size=14))
def test_every_request_carries_the_one_before_it_unchanged(steps: list[str]) -> None:
    """Also where things were told in between, and also after a restart; a compaction begins anew."""
    transcript, setup, earlier = Transcript(), "s1", list[Any]()

    def request() -> None:
        sent = list(transcript.messages(setup))
        assert sent == list(Transcript(transcript.entries).messages(setup))
        assert sent[: len(earlier)] == earlier and sent[-1]["role"] == "user"
        assert all(a != b or a == "user" for (a, _), (b, _) in zip(merged(sent), merged(sent)[1:], strict=False))
        earlier[:] = [dict(message) for message in sent]

    for number, step in enumerate(steps):
        if step == "told":
            transcript.add(told(f"t{number}"))
        elif step == "compacted":
            transcript.add(Compaction(f"c{number}", NOW, "summary", None))
            earlier.clear()
        elif step == "setup":
            setup = f"s{number}"
            earlier.clear()
        else:
            transcript.add(user(f"u{number}"))
            request()
            if step == "call":
                transcript.add(assistant(f"c{number}", THOUGHT, use(f"x{number}"), setup=setup))
                transcript.add(Result(f"r{number}", NOW, f"x{number}", "done", False))
                request()
            if step != "failed":
                transcript.add(assistant(f"a{number}", THOUGHT, TEXT, setup=setup))


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


def lengths(messages: Any) -> list[int]:
    return [len(block["text"]) for block in messages[-1]["content"]]


def test_of_very_much_that_a_person_was_told_the_newest_is_shown_and_the_rest_is_counted() -> None:
    entries = [told(f"t{number}", f"number {number}") for number in range(MOST_TOLD + 1_000)]
    transcript = Transcript([*entries, user("u")])
    blocks = transcript.messages("s1")[0]["content"]
    assert len(blocks) == MOST_TOLD + 2
    assert "told 1,000 more before this, the first at Monday 2026-11-23 00:00 UTC" in blocks[0]["text"]
    assert "> number 1000\n" in blocks[1]["text"]
    assert "> number 1019\n" in blocks[-2]["text"]


def test_what_a_person_was_told_takes_so_many_characters_and_no_more() -> None:
    several = Transcript([*(told(f"t{number}", "x" * 9_000) for number in range(5)), user("u")])
    assert sum(lengths(several.messages("s1"))) < LONGEST_TOLD + 200
    assert "told 3 more" in several.messages("s1")[0]["content"][0]["text"]
    one = Transcript([told("t", "\n<context>" * 50_000), user("u")])
    assert sum(lengths(one.messages("s1"))) < LONGEST_TOLD
    assert "shortened: it was 500,000 characters" in one.messages("s1")[0]["content"][0]["text"]


def test_what_was_left_out_once_is_left_out_the_same_way_again() -> None:
    entries: list[Entry] = [told(f"t{number}") for number in range(50)]
    entries += [user("u"), assistant("a", TEXT), *(told(f"v{number}") for number in range(30)), user("w")]
    growing, sent = Transcript(), []
    growing.messages("s1")
    for entry in entries:
        growing.add(entry)
        sent.append([dict(message) for message in growing.messages("s1")])
    whole = Transcript(entries).messages("s1")
    assert all(before == whole[: len(before)] for before in sent)
    assert whole == growing.messages("s1")


# ── what is said while calls run ─────────────────────────────────────────────────────────────────


def joining(id: str, text: str, turn: str = "m-u") -> UserEntry:
    return UserEntry(id, NOW, ({"type": "text", "text": text},), f"m-{id}", joined=(turn,))


def test_what_joins_a_turn_follows_the_results_in_the_same_message() -> None:
    transcript = Transcript([user("u"), assistant("a", use("t1"), stop="tool_use")])
    before = [dict(message) for message in transcript.messages("s1")]
    transcript.add(Result("r1", NOW, "t1", "listing", False))
    transcript.add(told("w", "Wake up."))
    transcript.add(joining("v", "only the new ones"))
    transcript.add(joining("w2", "and quickly"))
    sent = transcript.messages("s1")
    assert sent[:2] == before
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    kinds = [block.get("text", block["type"]) for block in sent[2]["content"]]
    assert (kinds[0], kinds[2:]) == ("tool_result", ["only the new ones", "and quickly"])
    assert "Wake up." in kinds[1]
    assert transcript.together("m-v") == {"m-u", "m-v", "m-w2"}


def test_a_message_of_its_own_does_not_enter_the_message_of_the_results() -> None:
    entries = [user("u"), assistant("a", use("t1"), stop="tool_use"), Result("r1", NOW, "t1", "listing", False)]
    transcript = Transcript(entries)
    first = [dict(message) for message in transcript.messages("s1")]
    collected = UserEntry("v", NOW, (TEXT, TEXT), "m-v", joined=("m-x", "m-y"))
    transcript.add(collected)
    assert list(transcript.messages("s1")[: len(first)]) == first
    assert not transcript.steers(collected)


def test_joined_messages_are_sent_the_same_when_read_back() -> None:
    entries = [
        user("u"),
        assistant("a", THOUGHT, use("t1"), stop="tool_use"),
        Result("r1", NOW, "t1", "listing", False),
        joining("v", "only the new ones"),
        assistant("b", THOUGHT, TEXT),
        user("x"),
    ]
    grown = Transcript()
    grown.messages("s1")
    for entry in entries:
        grown.add(entry)
    assert grown.messages("s1") == Transcript(entries).messages("s1")


def test_an_answer_without_a_word_is_sent_back_with_some() -> None:
    sent = Transcript([user("u1"), assistant("a1"), user("u2")]).messages("s1")
    assert sent[1] == {"role": "assistant", "content": [{"type": "text", "text": "(no text)"}]}


def test_who_keeps_from_a_declined_turn_keeps_what_is_told_of_its_tools() -> None:
    entries: list[Entry] = [user("u1"), assistant("a1", TEXT), user("u2"), assistant("a2", use("t1"), stop="tool_use")]
    entries += [Intent("i", NOW, "t1", "ls", {}), Result("r", NOW, "t1", "x", False), assistant("a3", stop="refusal")]
    transcript = Transcript(entries)
    (stands,) = [entry for entry in transcript.kept() if isinstance(entry, Told)]
    transcript.add(Compaction("c", NOW, "short", stands.id, Usage()))
    (kept,) = [entry for entry in transcript.kept() if isinstance(entry, Told)]
    assert "ls" in kept.text
