"""Recorded expectations are rewritten where they stand: comments, order and layout stay, and nothing else changes."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from casebook import FILE, judged
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.manifest import document
from openclaw.manifest.nodes import plain
from openclaw.scenarios import update
from openclaw.scenarios.document import Correction, Path

BEFORE = """\
# What is expected.
given: {now: "2026-03-28T12:00:00Z", from: ana}   # a Saturday

routes:
  - {text: "/research who", expect: {agent: main, text: who}}   # flow
  - text: hello          # block
    room: ops
    expect:
      # of whom?
      agent: main        # not her
      text: |            # as it was typed
        hello there

  - {text: hello, from: "discord:999", expect: {agent: main, text: hello}}
  - text: hello
    channel: discord
    expect:
      refused: sender    # no more
decisions:
  - {agent: main, command: ls, expect: 'deny', rule: no-root}    # both
  - agent: ops
    tool: restart_service
    input: {unit: web}
    approvers: [ana,     # she
                "discord:1"]  # and he
    expect: ask
schedules:
  - heartbeat: morning-check
    expect:
      fires:
      - "2026-03-30T07:30:00+00:00"   # Monday
      # and then
      - "2026-03-31T07:30:00+01:00"
  - {heartbeat: "off", expect: {fires: ["2026-03-30T07:30:00+01:00"]}}   # off
"""

AFTER = """\
# What is expected.
given: {now: "2026-03-28T12:00:00Z", from: ana}   # a Saturday

routes:
  - {text: "/research who", expect: {agent: researcher, text: who}}   # flow
  - text: hello          # block
    room: ops
    expect:
      # of whom?
      agent: ops        # not her
      text: "hello"            # as it was typed

  - {text: hello, from: "discord:999", expect: {refused: sender}}
  - text: hello
    channel: discord
    expect:
      agent: main    # no more
decisions:
  - {agent: main, command: ls, expect: 'allow', rule: looks}    # both
  - agent: ops
    tool: restart_service
    input: {unit: web}
    approvers: [ana,     # she
                "group:oncall"]  # and he
    expect: ask
schedules:
  - heartbeat: morning-check
    expect:
      fires:
      - "2026-03-30T07:30:00+01:00"   # Monday
      # and then
      - "2026-03-31T07:30:00+01:00"
  - {heartbeat: "off", expect: {fires: []}}   # off
"""


def updated(text: str) -> update.Rewritten:
    corrections = [each for outcome in judged(text) for each in outcome.corrections]
    return update.rewrite(FILE, text, corrections)


def test_what_fails_is_rewritten_and_all_else_stays_as_it_was_typed() -> None:
    rewritten = updated(BEFORE)
    assert rewritten.text == AFTER
    assert rewritten.refused == ()


def test_what_was_rewritten_passes_and_is_rewritten_no_more() -> None:
    assert all(outcome.passed for outcome in judged(AFTER))
    assert updated(AFTER) == update.Rewritten(AFTER, ())


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_line_breaks_stay_what_they_are(line_break: str) -> None:
    rewritten = updated(BEFORE.replace("\n", line_break))
    assert rewritten.text == AFTER.replace("\n", line_break)


def test_a_value_that_others_repeat_is_left_alone_and_said() -> None:
    text = (
        "decisions:\n  - {agent: main, command: ls, expect: &it deny}\n  - {agent: main, command: rm x, expect: *it}\n"
        "  - {agent: main, command: ls, expect: deny}\n"
    )
    rewritten = updated(text)
    assert [each.path for each in rewritten.refused] == [("decisions", 0, "expect")]
    assert rewritten.text == text.replace("ls, expect: deny", "ls, expect: allow")


def test_values_that_cannot_be_rewritten_among_many_do_not_have_each_read_by_itself() -> None:
    routes = "".join(f"  - {{text: t{number}, expect: {{agent: ops}}}}\n" for number in range(24))
    text = f"routes:\n{routes}  - {{text: x, expect: &it {{agent: ops}}}}\n  - {{text: /research x, expect: *it}}\n"
    values = {24: "main", 25: "researcher", 12: float("nan")}  # the last of them nothing can be written for
    corrections = [Correction(("routes", at, "expect"), {"agent": values.get(at, "main")}) for at in range(26)]
    reads = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal reads
        reads += event == "call" and frame.f_code is document.read.__code__

    sys.setprofile(note)
    try:
        rewritten = update.rewrite("many.yaml", text, corrections)
    finally:
        sys.setprofile(None)
    assert [each.path[1] for each in rewritten.refused] == [12, 24, 25]
    assert rewritten.text.count("agent: main") == 23
    assert reads < 30


def test_calls_that_come_out_differently_have_no_expectation_to_be_given() -> None:
    (outcome,) = judged("decisions: [{agent: main, command: [ls, make], expect: deny}]")
    assert len(outcome.failures) == 2 and outcome.corrections == ()


def test_an_expectation_is_never_made_of_a_call_that_cannot_be() -> None:
    cases = [
        "{agent: main, tool: write_file, input: {}, expect: ask}",  # no such call
        "{agent: researcher, command: ls, expect: deny, rule: looks}",  # would be allowed, and is not given the tool
        "{agent: main, command: make, expect: deny, rule: no-root}",  # no rule decided, so none can be named
        "{agent: ops, tool: restart_service, input: {unit: x}, from: 'telegram:77', expect: ask, approvers: ana}",
    ]
    for case in cases:
        (outcome,) = judged(f"decisions: [{case}]")
        assert not outcome.passed and outcome.corrections == (), case


# ── whatever the file looks like ─────────────────────────────────────────────────────────────────

WORDS = st.sampled_from(["main", "x y", "it's", 'say "x"', "a: b", "- c", "#no", "true", "12", "", "é", "x\ny", "*a"])
COMMENTS = st.sampled_from(["", "", "  # note", " # it's: [odd], {really}", '   # "quoted" - too'])
QUOTES = st.sampled_from(["", "'", '"'])
AGENTS = st.lists(WORDS, min_size=0, max_size=4)


@st.composite
def written(draw: st.DrawFn, value: Any, indent: int = 0) -> str:
    """A list of words in some style; what stands behind its key, with comments."""
    items = [draw(word_of(word)) for word in value]
    style = draw(st.sampled_from(["flow", "lines", "spread"]))
    if style == "flow" or not items:
        return f" [{', '.join(items)}]{draw(COMMENTS)}\n"
    pad = " " * (indent + draw(st.integers(2, 4)))
    if style == "spread":
        rows = "".join(f"{pad}{item},{draw(COMMENTS)}\n" for item in items)
        return f" [{draw(COMMENTS)}\n{rows}{pad}]{draw(COMMENTS)}\n"
    above = [draw(st.sampled_from(["", f"{pad}# between\n"])) for _ in items]
    rows = "".join(f"{note}{pad}- {item}{draw(COMMENTS)}\n" for note, item in zip(above, items, strict=True))
    return f"{draw(COMMENTS)}\n{rows}"


@st.composite
def word_of(draw: st.DrawFn, word: str) -> str:
    quote = draw(QUOTES)
    if quote == "'" and "\n" not in word:
        return "'" + word.replace("'", "''") + "'"
    if quote == "" and word in ("main", "x y"):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, list[str]], dict[str, list[str]]]:
    """A file of lists, what it says, and what some of it is to say instead."""
    old = draw(st.dictionaries(st.sampled_from("abcd"), AGENTS, min_size=1))
    new = {key: draw(AGENTS) for key in old if draw(st.booleans())}
    parts = [draw(st.sampled_from(["", "# above\n"])) + f"{key}:{draw(written(old[key]))}" for key in old]
    return "# top\n" + "".join(parts), old, new


@pytest.mark.slow
@settings(max_examples=25)
@given(files())
def test_a_rewritten_list_says_what_is_meant_and_keeps_every_comment(file: tuple[str, Any, Any]) -> None:
    text, old, new = file
    assert said(text) == old
    rewritten = update.rewrite("x.yaml", text, [Correction((key,), value) for key, value in new.items()])
    assert said(rewritten.text) == {**old, **{key: new[key] for key in new if key in dict(made(rewritten))}}
    assert rewritten.refused == ()
    assert comments(rewritten.text) == comments(text)
    assert update.rewrite("x.yaml", rewritten.text, rewritten.made).text == rewritten.text


def made(rewritten: update.Rewritten) -> list[tuple[str, Any]]:
    return [(str(each.path[0]), each.value) for each in rewritten.made]


def said(text: str) -> Any:
    read = document.read("x.yaml", text.encode())
    assert read.root is not None and read.diagnostics == (), text
    return plain(read.root)


def comments(text: str) -> list[str]:
    """In the order in which they stand; none of the words above holds one."""
    marks = ("# top", "# above", "# between", "# note", "# it's: [odd], {really}", '# "quoted" - too')
    found = [(at, mark) for mark in marks for at in places(text, mark)]
    return [mark for _, mark in sorted(found)]


def places(text: str, mark: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(mark, at)]


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.dictionaries(st.sampled_from(["agent", "text", "session"]), WORDS, min_size=1),
    st.one_of(st.dictionaries(st.sampled_from(["agent", "text"]), WORDS, min_size=1), st.just({"refused": "sender"})),
    st.booleans(),
    st.lists(COMMENTS, min_size=3, max_size=3),
    st.data(),
)
def test_a_rewritten_mapping_says_what_is_meant_and_keeps_every_comment(
    old: dict[str, str], new: dict[str, str], flow: bool, notes: list[str], data: st.DataObject
) -> None:
    entries = [f"{key}: {data.draw(word_of(value))}" for key, value in old.items()]
    if flow:
        text = f"expect: {{{', '.join(entries)}}}{notes[0]}\nlast: 1\n"
    else:
        text = "expect:\n" + "".join(f"  {e}{n}\n" for e, n in zip(entries, notes, strict=False)) + "last: 1\n"
    path: Path = ("expect",)
    rewritten = update.rewrite("x.yaml", text, [Correction(path, new)])
    assert said(rewritten.text) == {"expect": new, "last": 1}
    assert comments(rewritten.text) == comments(text)
