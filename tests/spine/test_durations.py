"""Durations: one grammar for manifests, scenarios, the command line and reminders; and the same one for editors."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw import bundle
from openclaw.durations import LONGEST, PATTERN, WANTED, said, seconds, spelt

PLACES = {"agent": 2, "defaults": 2, "tools": 2, "policies": 1, "channels": 1, "heartbeats": 3, "scenario": 2}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("3d", 259_200.0),
        ("1w2d3h4m5s6ms", 788_645.006),
        ("9" * 15 + "w", LONGEST),
        ("9" * 5000 + "ms", LONGEST),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, meant: float) -> None:
    assert seconds(text) == meant


@pytest.mark.parametrize(
    "text", ["", "5", "m", "0s", "05m", "-5m", "1.5h", "1h0m", "30m1h", "1h1h", "1h 30m", "1H", "5m\n", "\u0661m"]
)
def test_what_is_written_otherwise_is_none(text: str) -> None:
    assert seconds(text) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1h30m", 5400.0),
        (" 1 Hour and 30 minutes ", 5400.0),
        ("2 hrs, 5 secs", 7205.0),
        ("500 ms", 0.5),
        ("0h05m", 300.0),
        ("0m", None),
        ("10 minutes s", None),
        ("half an hour", None),
        ("30 minutes 1 hour", None),
        (" " * 300 + "1h", 3600.0),
        ("1h" + " " * 200 + "1m", None),
    ],
)
def test_what_is_said_in_words_is_the_same_duration(text: str, meant: float | None) -> None:
    assert said(text) == meant


@given(st.integers(1, 3_000_000_000))
@example(5_400_000)
def test_what_is_spelt_is_read_as_the_same(milliseconds: int) -> None:
    assert seconds(spelt(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize(
    ("length", "text"),
    [(0.0, "0"), (0.5, "500ms"), (300.0, "5m"), (5400.0, "1h30m"), (86_400.0, "1d"), (7e6, "81d26m40s")],
)
def test_it_is_spelt_with_the_largest_unit_first(length: float, text: str) -> None:
    assert spelt(length) == text


@pytest.mark.parametrize(("kind", "count"), PLACES.items())
def test_schemas_have_this_grammar_and_these_words_alone(kind: str, count: int) -> None:
    """Of every place where a duration may stand, with a placeholder or without; and of no other place."""
    durations = [
        each
        for each in found(bundle.schema(kind))
        if "duration" in each.get("patternErrorMessage", "") or re.search(r"\|h\b|\bm\|", each.get("pattern", ""))
    ]
    assert len(durations) == count
    for each in durations:
        assert each["patternErrorMessage"] == WANTED
        assert each["pattern"] in {f"^{PATTERN}$", rf"^(?:{PATTERN}|\$\{{.+\}})$"}


def found(schema: object) -> list[dict[str, str]]:
    match schema:
        case dict():
            own = [schema] if isinstance(schema.get("pattern"), str) else []
            return own + [each for value in schema.values() for each in found(value)]
        case list():
            return [each for value in schema for each in found(value)]
        case _:
            return []
