"""What reaches the terminal: streamed text loses nothing, and nothing that was written has power over the screen."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from openclaw.channels import _paper
from openclaw.channels._paper import Blocks
from openclaw.messages import Approval

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_LINES = st.lists(st.sampled_from(["one", "two three", "", "", "- item", "```", "```python", "~~~", "    code"]))


def screen(text: str) -> str:
    """The text without colours."""
    return _STYLE.sub("", text)


def streamed(text: str, sizes: list[int]) -> list[str]:
    blocks, found = Blocks(), []
    for size in sizes:
        found += blocks.feed(text[:size])
        text = text[size:]
    return [*found, *blocks.feed(text), *blocks.rest()]


@given(_LINES, st.lists(st.integers(1, 9), max_size=30))
def test_however_a_text_is_streamed_every_line_is_in_one_block_in_order(lines: list[str], sizes: list[int]) -> None:
    found = "\n".join(streamed("\n".join(lines), sizes)).split("\n")
    assert [line for line in found if line.strip()] == [line for line in lines if line.strip()]


def test_a_block_ends_at_an_empty_line_outside_a_fence() -> None:
    assert streamed("a\nb\n\nc", [2]) == ["a\nb\n", "c"]
    assert streamed("```\na\n\nb\n```\n\nc", [5]) == ["```\na\n\nb\n```\n", "c"]


def test_a_block_too_long_for_one_piece_is_cut_with_its_fence_closed_and_opened_again() -> None:
    pieces = streamed("```python\n" + "x = 1\n" * 20_000 + "```\n", [])
    assert len(pieces) > 1
    assert all(piece.startswith("```python\n") and piece.rstrip().endswith("```") for piece in pieces)
    assert sum(piece.count("x = 1") for piece in pieces) == 20_000


@given(st.text())
def test_no_text_can_move_the_cursor_or_turn_the_line_around(text: str) -> None:
    shown = _paper.plain(text) + _paper.one_line(text, 40)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


@given(st.text(), st.integers(2, 50))
def test_one_line_keeps_to_its_room_in_columns(text: str, room: int) -> None:
    assert cell_len(_paper.one_line(text, room)) <= room


def test_markdown_keeps_html_links_and_line_ends() -> None:
    shown = screen(_paper.markdown("# Title\n<b>42</b>\nnext line\n\n[here](http://example.org/x)"))
    assert shown.split("\n")[0] == "Title"
    assert "<b>42</b>\nnext line\n" in shown
    assert "here (http://example.org/x)" in shown


@pytest.mark.parametrize("colour", [True, False])
def test_no_color_means_no_colour(colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    shown = _paper.tool_line("run_command  ls", "no such file", 0.1) + _paper.markdown("`code`")
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", shown)) is colour


def test_a_card_shows_everything_and_warns_of_unusual_characters() -> None:
    lines = ("cat " + "a" * 10_000, "ls \u0430")
    cwd = "/work\x1b[2J"
    now = datetime.now(UTC)
    rules = ("r1", "r2")
    approval = Approval("id", "s", "main", "run", "repl:local", lines, cwd, "why", rules, (), (), "d", now, now)
    shown = screen(_paper.card(approval))
    assert all(line in shown for line in lines)
    assert "/work%1B[2J" in shown and "r1" in shown and "r2" in shown
    assert "outside ASCII" in shown


def test_a_tool_line_fits_the_width_and_keeps_the_time() -> None:
    line = screen(_paper.tool_line("run_command  " + "x" * 500, "failed " * 100, 12.34)).rstrip("\n")
    assert cell_len(line) <= _paper.width()
    assert "12.3 s" in line and "failed" in line


def test_plain_text_breaks_between_words_and_keeps_its_lines() -> None:
    shown = _paper.wrapped("one\n  two\n" + "word " * 100)
    assert shown.startswith("one\n  two\nword word")
    assert all(cell_len(line) <= _paper.width() and not line.endswith("wor") for line in shown.split("\n"))
