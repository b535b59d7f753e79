"""Long replies in pieces: whole, short enough, and with every code block closed in its piece."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.channels._split import split, utf16

FENCES = ["```", "```python", "~~~", "````", "`" * 9, "~" * 10, "~" * 30]
WORDS = st.sampled_from(
    [*FENCES, "word", "a", "x" * 300, "🦀" * 40, "\n", "\n\n", " ", "# h", "> q", "`c`", "é"]
)
TEXTS = st.lists(WORDS, max_size=80).map("".join)
LINES = st.lists(WORDS, max_size=80).map("\n".join)


def bare(text: str) -> str:
    return re.sub(r"\s|`{3,}|~{3,}", "", text)


def holds(pieces: list[str], text: str) -> bool:
    """Whether every character is there in its order; what opens a block again may stand between."""
    there = iter(bare("".join(pieces)))
    return all(character in there for character in bare(text))


@settings(max_examples=150, deadline=None)
@given(st.one_of(TEXTS, LINES), st.integers(64, 400))
def test_pieces_are_short_enough_and_hold_everything(text: str, limit: int) -> None:
    for measure in (len, utf16):
        pieces = split(text, limit, measure)
        assert all(piece.strip() and measure(piece) <= limit for piece in pieces)
        assert holds(pieces, text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["text " * 9, "more", ""]), max_size=30), st.integers(64, 200))
def test_every_piece_closes_the_code_it_opens(lines: list[str], limit: int) -> None:
    text = "Before.\n```python\n" + "\n".join(lines) + "\n```\nAfter."
    pieces = split(text, limit)
    for piece in pieces:
        marks = [line for line in piece.split("\n") if line.startswith("```")]
        assert len(marks) % 2 == 0, piece
        assert [mark for mark in marks[::2] if mark != "```python"] == []


def test_a_short_text_is_one_piece_and_no_text_is_none() -> None:
    assert split("hello", 100) == ["hello"]
    assert split("\n  \n", 100) == []


def test_it_cuts_at_paragraphs_before_lines_before_words() -> None:
    paragraph = "one two three four five six seven. " * 2
    assert split(f"{paragraph}\n\n{paragraph}", 100) == [paragraph.strip(), paragraph.rstrip(" ") + " "]
    assert split("line one is here\n" * 8, 64)[0] == "\n".join(["line one is here"] * 3)


def test_astral_characters_count_as_two_where_the_service_counts_so() -> None:
    pieces = split("🦀" * 100, 64, utf16)
    assert max(map(utf16, pieces)) <= 64 and "".join(pieces) == "🦀" * 100


def test_a_long_text_is_split_in_time_that_grows_with_it() -> None:
    text = ("word " * 20 + "\n") * 10_000  # a million characters
    assert "".join(split(text, 2000)).replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")


def test_a_long_line_of_marks_is_a_line_and_no_code_that_must_be_closed() -> None:
    for mark in ("~" * 40, "`" * 40):
        pieces = split(f"Heading\n{mark}\n" + "words and more words\n" * 20, 100)
        assert max(map(len, pieces)) <= 100 and sum(mark in piece for piece in pieces) == 1
