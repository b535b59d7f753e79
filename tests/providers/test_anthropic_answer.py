"""Putting an answer together does not depend on how the network cuts it up."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles.messages_server import Reply, events, thinking, tool
from openclaw.clock import ManualClock
from openclaw.errors import ProviderError
from openclaw.messages import TextDelta
from openclaw.providers._anthropic_answer import BYTES_PER_TOKEN, LONGEST_LINE, MOST_BYTES, Answer
from openclaw.providers._anthropic_faults import Service
from openclaw.providers.anthropic import QUIET, Ending

SERVICE = Service("example.org")
BLOCKS = (
    thinking("I wonder ☀") | {"signature": "s1"},
    {"type": "text", "text": "Zwölf Boxkämpfer\njagen\r\nViktor"},
    tool("add", id="1", words="a\u2028b", numbers=[1, 2.5, None]),
)


def wire(*blocks: dict[str, Any], piece: int = 5) -> bytes:
    async def collect() -> str:
        reply = Reply(*blocks, piece=piece)
        return "".join([event async for event in events({"model": "m"}, reply, reply.content)])

    return asyncio.run(collect()).encode()


WHOLE = wire(*BLOCKS)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=20)


def read(chunks: list[bytes]) -> Answer:
    answer = Answer(SERVICE, "m")
    for chunk in chunks:
        answer.feed(chunk)
    return answer


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_any_cutting_of_the_bytes_gives_the_same_answer(cuts: list[int], ending: bytes) -> None:
    chunks = [WHOLE[start:end] for start, end in itertools.pairwise([0, *sorted(cuts), len(WHOLE)])]
    assert read([chunk.replace(b"\n", ending) for chunk in chunks]).completed().content == BLOCKS


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(WHOLE) - 2))
def test_no_beginning_of_an_answer_counts_as_one(end: int) -> None:
    with pytest.raises(ProviderError, match="incomplete"):
        read([WHOLE[:end]]).completed()


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.recursive(LEAVES, st.lists, max_leaves=6), max_size=3))
def test_the_input_of_a_call_survives_whatever_it_holds(input: dict[str, Any]) -> None:
    survives(input)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), st.recursive(LEAVES, st.lists)))
def test_large_inputs_of_calls_survive_too(input: dict[str, Any]) -> None:
    survives(input)


def survives(input: dict[str, Any]) -> None:
    call = {"type": "tool_use", "id": "1", "name": "add", "input": input}
    assert read([wire(call, piece=3)]).completed().content == (call,)


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.binary(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps)))
def test_nonsense_is_a_truncated_answer_and_nothing_else(junk: Any) -> None:
    raw = junk if isinstance(junk, bytes) else junk.encode()
    try:
        read([b"data: " + raw + b"\n\n"]).completed()
    except ProviderError as error:
        assert error.fault == "truncated"
    else:
        raise AssertionError("that was not an answer")


def test_an_event_nested_without_end_is_nonsense_too() -> None:
    with pytest.raises(ProviderError, match="not part of an answer"):
        read([b"data: " + b"[" * 200_000 + b"\n\n"])


def test_an_event_in_several_data_lines_without_a_name_is_read() -> None:
    answer = Answer(SERVICE, "m")
    start = b'data: {"type":"content_block_start","index":0,\ndata: "content_block":{"type":"text","text":"a"}}\n\n'
    delta = b'data:{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}\n\n'
    end = b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\ndata: {"type":"message_stop"}\n\n'
    assert answer.feed(b": a comment\n\n" + start + delta + end) == [TextDelta("b")]
    assert answer.completed().content == ({"type": "text", "text": "ab"},)


# ── no end ───────────────────────────────────────────────────────────────────────────────────────


def test_a_line_without_an_end_is_given_up_before_it_fills_the_memory() -> None:
    answer, chunk = Answer(SERVICE, "m"), b"x" * (1 << 20)
    answer.feed(b"data: ")
    with pytest.raises(ProviderError, match="not part of an answer"):
        for _ in range(2 * LONGEST_LINE // len(chunk)):
            answer.feed(chunk)


def test_an_answer_has_room_for_what_was_asked_for_and_no_more() -> None:
    answer, chunk = Answer(SERVICE, "m", 1000), b": a comment that nobody needs\n" * 40_000
    room = MOST_BYTES + 1000 * BYTES_PER_TOKEN
    for _ in range(room // len(chunk)):
        answer.feed(chunk)
    with pytest.raises(ProviderError, match="no end") as caught:
        answer.feed(chunk)
    assert caught.value.fault == "truncated"


def test_bytes_that_say_nothing_are_not_waited_for_without_end() -> None:
    clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    answer = Answer(SERVICE, "m")
    ending = Ending(SERVICE, clock, 1000)

    def hear(event: str, seconds: float) -> None:
        asyncio.run(clock.advance(seconds))
        answer.feed(f'data: {{"type": "{event}"}}\n\n'.encode())
        ending.mind(answer)

    for _ in range(2):  # one word resets what the pings used up
        hear("ping", QUIET - 1)
        hear("content_block_stop", 1)
    with pytest.raises(ProviderError, match="said nothing for too long"):
        hear("ping", QUIET + 1)


def poured(*blocks: dict[str, Any], stop: Any = "tool_use", deltas: tuple[Any, ...] = ()) -> bytes:
    """Whole blocks, pieces of the last of them, and how it ended."""
    starts = [{"type": "content_block_start", "index": n, "content_block": block} for n, block in enumerate(blocks)]
    pieces = [{"type": "content_block_delta", "index": len(blocks) - 1, "delta": delta} for delta in deltas]
    ends = [{"type": "message_delta", "delta": {"stop_reason": stop}}, {"type": "message_stop"}]
    events = [{"type": "message_start", "message": {"model": "m"}}, *starts, *pieces, *ends]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


CALL: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "ls", "input": {}}


@pytest.mark.parametrize(
    "raw",
    [
        poured({name: value for name, value in CALL.items() if name != "id"}),
        poured({name: value for name, value in CALL.items() if name != "name"}),
        poured({name: value for name, value in CALL.items() if name != "input"}),
        poured({**CALL, "id": ""}),
        poured({**CALL, "id": ["t1"]}),
        poured({**CALL, "name": "a b!"}),
        poured({**CALL, "input": "x"}),
        poured({}, stop="end_turn"),
        poured({"type": "text", "text": ""}, deltas=({"type": "text_delta", "text": 5},), stop="end_turn"),
        poured({"type": "text", "text": "hi"}, stop=7),
        poured({"type": "text", "text": "hi"}, stop=["end_turn"]),
    ],
)
def test_what_could_not_be_sent_back_is_no_answer(raw: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        read([raw]).completed()
    assert caught.value.fault == "truncated"


def test_thinking_that_nobody_signed_is_left_out() -> None:
    said = {"type": "text", "text": "hi"}
    assert read([poured({"type": "thinking", "thinking": "hm"}, said, stop="end_turn")]).completed().content == (said,)


def test_calls_with_one_id_are_told_apart() -> None:
    content = read([poured(CALL, {**CALL, "id": "t1_2"}, CALL, CALL)]).completed().content
    assert [block["id"] for block in content] == ["t1", "t1_2", "t1_3", "t1_4"]
