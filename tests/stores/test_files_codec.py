"""What is written is what was meant, for every value there is; and no two keys share a file."""

import json
import random
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.messages import (
    Account,
    Address,
    AssistantEntry,
    Compaction,
    Draft,
    File,
    Image,
    Intent,
    Message,
    Reply,
    Result,
    Route,
    Text,
    Told,
    Usage,
    UserEntry,
)
from openclaw.names import LONGEST, file_name
from openclaw.stores import _codec as codec

text = st.text(st.characters(codec=None))  # lone surrogates too: a program may send them in JSON escapes
maybe = st.none() | text
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(text, json_values, max_size=3)
blocks = st.lists(objects, max_size=3).map(tuple)
counts = st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts)
addresses = st.builds(Address, text, text)
parts = st.builds(Text, text) | st.builds(Image, text, text) | st.builds(File, text, text, counts, text)
messages = st.builds(
    Message,
    text,
    addresses,
    st.lists(parts, max_size=3).map(tuple),
    times,
    text,
    maybe,
    maybe,
    maybe,
    maybe,
    maybe,
    st.none() | st.lists(text, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
    st.lists(addresses, max_size=2).map(tuple),
    st.booleans(),
)
amounts = st.floats(0, 1e9)
routes = st.builds(Route, text, text, text)
accounts = st.builds(Account, text, usages, st.none() | amounts, amounts, text, st.booleans())
replies = st.builds(
    Reply,
    addresses,
    text,
    text,
    text,
    maybe,
    maybe,
    maybe,
    st.booleans(),
    text,
    st.booleans(),
    st.none() | routes,
    st.none() | accounts,
)
entries = (
    st.builds(UserEntry, text, times, blocks, text, text, st.lists(text, max_size=2).map(tuple))
    | st.builds(AssistantEntry, text, times, blocks, text, text, usages, text)
    | st.builds(Intent, text, times, text, text, objects)
    | st.builds(Result, text, times, text, text, st.booleans())
    | st.builds(Compaction, text, times, text, maybe, usages)
    | st.builds(Draft, text, times, text, st.integers(0), text, usages, text)
    | st.builds(Compaction, text, times, text, maybe, usages, objects, text)
    | st.builds(Compaction, text, times, text, maybe, usages, trimmed=st.booleans(), message=text)
    | st.builds(Told, text, times, text, text, text)
)


@settings(deadline=None)
@given(entries)
def test_an_entry_survives_its_line(entry):
    line = codec.dumps(codec.entry_json(entry))
    assert b"\n" not in line
    assert codec.entry_from(codec.loads(line)) == codec.entry_from(json.loads(line)) == entry


def read_by(reader, line):
    try:
        return repr(reader(line))
    except (ValueError, RecursionError):
        return "damage"


@settings(deadline=None)
@given(json_values.map(codec.dumps), st.integers(0, 200), st.binary(max_size=2))
def test_a_line_is_read_as_the_standard_library_reads_it_whole_or_damaged(line, place, garbage):
    for some in (line, line[:place] + garbage + line[place:], line[:place]):
        assert read_by(codec.loads, some) == read_by(json.loads, some)


ODD = [b"1e400", b"-0", b"NaN", b"-Infinity", b'"\\ud800"', b"[" * 300 + b"]" * 300, b"[" * 100_000, b"1" * 5000]
ODD += [b'{"a":1,"a":2}', b"{} {}", b'"\x01"', b"01", b"[1,]", b"", b"\xff", b'"\xed\xa0\x80"', b"{}\r", b"{}\x00"]


@pytest.mark.parametrize("line", ODD, ids=lambda line: repr(line[:12]))
def test_the_odd_corners_of_json_are_read_as_the_standard_library_reads_them(line):
    assert read_by(codec.loads, line) == read_by(json.loads, line)


@settings(deadline=None)
@given(messages)
def test_a_message_survives_its_row(message):
    assert codec.message_from(json.loads(json.dumps(codec.message_json(message)))) == message


@settings(deadline=None)
@given(replies)
def test_a_reply_survives_its_row(reply):
    assert codec.reply_from(json.loads(json.dumps(codec.reply_json(reply)))) == reply


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Message("1", Address("a", "b"), (), datetime(2026, 1, 1, tzinfo=UTC)), codec.message_json),
        (Reply(Address("a", "b"), "", "s", "main"), codec.reply_json),
        (Route("main", "s", ""), codec.route_json),
    ],
)
def test_no_field_is_forgotten(value, written):
    assert set(written(value)) == {field.name for field in fields(value)}


@settings(deadline=None)
@given(st.builds(Route, text, text, text))
def test_a_route_survives_its_row(route):
    assert codec.route_from(json.loads(json.dumps(codec.route_json(route)))) == route


@settings(deadline=None)
@given(times, times)
def test_written_times_sort_as_the_times_do(one, other):
    assert (codec.time_text(one) < codec.time_text(other)) == (one < other)


@settings(deadline=None)
@given(json_values)
def test_a_line_of_the_wrong_shape_is_damage_and_never_another_error(value):
    try:
        codec.entry_from(value)
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    raise AssertionError("no arbitrary value is an entry")


@pytest.mark.parametrize("shape", [{"type": "user"}, {"type": "message", "role": "result"}, {"type": "message"}])
def test_a_role_is_no_kind_and_a_kind_is_no_role(shape):
    rest = {"id": "1", "at": "2026-03-28T12:00:00Z", "content": "x", "call": "c", "message": "m", "is_error": False}
    with pytest.raises((ValueError, KeyError)):
        codec.entry_from({**rest, **shape})


@pytest.mark.parametrize("call", [{"name": "ls"}, {"id": "t1"}, {"id": ["t1"], "name": "ls"}])
def test_a_call_that_nobody_can_answer_is_damage(call):
    said = {"id": "1", "at": "2026-03-28T12:00:00Z", "type": "message", "role": "assistant", "setup": "s", "model": "m"}
    used = {"input": 0, "output": 0, "cache_read": 0, "cache_write": 0}
    block = {"type": "tool_use", "id": "t1", "name": "ls", "input": {}}
    line = {**said, "stop_reason": "tool_use", "usage": used, "content": [block]}
    assert codec.entry_from(line).content == (block,)
    with pytest.raises(TypeError):
        codec.entry_from({**line, "content": [{"type": "tool_use", "input": {}, **call}]})


@settings(deadline=None)
@given(text, text)
def test_two_keys_never_share_a_file_name(one, other):
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.slow
def test_a_hundred_thousand_keys_have_as_many_file_names_even_where_case_is_ignored():
    pick = random.Random(7)
    alphabet = "aAbB0-_:%.~ /é\u0301İıſK\U0001f600"
    keys: set[str] = set()
    while len(keys) < 100_000:
        keys.add("".join(pick.choices(alphabet, k=pick.choice((3, 6, 30, 130)))))
    names = {file_name(key) for key in keys}
    assert len(names) == len({name.casefold() for name in names}) == len(keys)
    assert max(len(name) for name in names) <= LONGEST


def test_an_ordinary_key_is_readable():
    assert file_name("agent:main:user:12345") == "agent_main_user_12345"
    assert codec.time_text(datetime(2026, 3, 28, 12, tzinfo=UTC)) == "2026-03-28T12:00:00.000000Z"


@pytest.mark.parametrize("searches", [0, 3])
def test_searches_are_written_where_there_were_any(searches: int):
    used, at = Usage(1, 2, 3, 4, searches), datetime(2026, 3, 28, tzinfo=UTC)
    entry = AssistantEntry("1", at, (), "m", "end_turn", used, "s")
    line = codec.entry_json(entry)
    assert ("searches" in line["usage"]) is bool(searches)
    assert codec.entry_from(line) == entry
