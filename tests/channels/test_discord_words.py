"""A reply as Discord takes it: whole, within the limit, code in code blocks."""

from __future__ import annotations

import pytest

from openclaw.channels._discord_words import LONGEST, MOST, REPEATED, render, tables, tail
from openclaw.channels._split import utf16
from openclaw.messages import Address, Reply

LINES = "\n".join(f"line {n}, with some words in it" for n in range(2000))
CODE = "before\n```python\n" + "".join(f"x{n} = 1\n" for n in range(2000))


def reply(text: str, *, repeated: bool = False) -> Reply:
    return Reply(Address("discord", "1"), text, "s", "main", repeated=repeated)


@pytest.mark.parametrize("text", [LINES, CODE, "😀" * 5000, "word " * 3000], ids=["lines", "code", "emoji", "words"])
@pytest.mark.parametrize("length", [1, 1999, 2000, 2001, 9000, 15000])
def test_every_piece_fits_and_together_they_are_the_reply(text: str, length: int) -> None:
    rendered = render(reply(text[:length]))
    assert len(rendered.pieces) <= MOST and all(0 < utf16(piece) <= LONGEST for piece in rendered.pieces)
    if rendered.file is None:
        kept = "".join("".join(rendered.pieces).replace("```python", "").replace("```", "").split())
        assert kept == "".join(text[:length].replace("```python", "").replace("```", "").split())
    else:
        assert rendered.file == text[:length].encode()


def test_a_hundred_kilobytes_are_a_beginning_and_a_file() -> None:
    text = (LINES * 2)[:100_000]
    rendered = render(reply(text, repeated=True))
    assert len(rendered.pieces) == 1 and rendered.file == f"{REPEATED}\n{text}".encode()
    assert rendered.pieces[0].startswith(f"{REPEATED}\nline 0") and utf16(rendered.pieces[0]) <= LONGEST


@pytest.mark.parametrize("text", [LINES, CODE, "😀" * 5000], ids=["lines", "code", "emoji"])
def test_a_mark_changes_nothing_of_how_a_reply_is_cut(text: str) -> None:
    plain, marked = render(reply(text[:7000])), render(reply(text[:7000], repeated=True))
    assert marked.pieces == (f"{REPEATED}\n{plain.pieces[0]}", *plain.pieces[1:])
    assert all(utf16(piece) <= LONGEST for piece in marked.pieces)


@pytest.mark.parametrize("text", [LINES, CODE, "😀" * 9000, ""], ids=["lines", "code", "emoji", "nothing"])
def test_what_is_shown_while_it_is_written_fits_and_leaves_no_code_block_open(text: str) -> None:
    for length in range(0, len(text) + 1, 997):
        shown = tail(text[:length])
        assert 0 < utf16(shown) <= LONGEST and shown.count("```") % 2 == 0 and shown.endswith("…")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("| a |\n|---|", "```\n| a |\n|---|\n```"),
        ("x\n| a |\ny", "x\n```\n| a |\n```\ny"),
        ("```\n| a |\n```", "```\n| a |\n```"),
        ("````\n```\n| a |\n````\n| b |", "````\n```\n| a |\n````\n```\n| b |\n```"),
        ("a | b", "a | b"),
    ],
    ids=["table", "between", "in code", "in code that holds code", "no table"],
)
def test_tables_stand_in_code_blocks(text: str, expected: str) -> None:
    assert tables(text) == expected
