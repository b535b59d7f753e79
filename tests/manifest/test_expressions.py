"""Regular expressions of a project: those that may take for ever are told before any text is held against them."""

from __future__ import annotations

import re

import pytest

from openclaw.manifest.expressions import endless, objection, sound

ENDLESS = (
    r"(a+)+$", r"(a*)*", r"((a+)+)+", r"(a*?)*?b", r"(a|aa)+$", r"(?:a|b|ab)*c", r"(\w+\s?)+$", r"(?:\s*\w+)*x",
    r"(.*,)*x", r"(?:(?:a+)b?)+", r"([^x]|a+)*y", r"(a?){30}a{30}", r"([a-z]{1,30}){1,30}$", r"(a|aa){40}$",
    r"(?=(a+)+$)a", r"(?i:(?:a|Aa)+)", r"(中+)+", r"(?>(a+)+)$",
)  # fmt: skip
SOUND = (
    "", r"\d{4}-\d{2}-\d{2}", r".*\.md", r"(?:/[^/]+)+", r"[a-z0-9]+(?:-[a-z0-9]+)*", r"^(?:[a-z0-9-]+\.)+[a-z]{2,}$",
    r"(?:[^\"\\]|\\.)*", r"(\w+\s)*\w+", r"([0-9a-f]{2}:){5}[0-9a-f]{2}", r"(?:\d{1,3},)*\d{1,3}",
    r"([0-9a-f]{64}\n)*", r"(?:[A-Z]+-\d+(?:, )?)*", r"(?:\d{3}){1,20}", r"(foo|bar|baz)+", r"(a?){3}",
    r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)", r"(?i)[a-z]+(_[a-z]+)*", r"\b(\w+) \1\b",
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.[a-z0-9-]{1,63})*",
)  # fmt: skip


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_may_take_for_ever_is_refused(pattern: str) -> None:
    found = objection(pattern)
    assert found is not None and "for ever" in found[0]
    assert not sound({"x": [{"pattern": pattern}]})
    assert endless({"pattern": pattern}, "a")


@pytest.mark.parametrize("pattern", SOUND)
def test_what_is_commonly_written_may_stand(pattern: str) -> None:
    assert objection(pattern) is None


@pytest.mark.parametrize("pattern", ["(" * 300, "(a", "a{9999999999999}", "(" * 300 + "a" + ")" * 300])
def test_what_cannot_be_read_is_no_expression(pattern: str) -> None:
    assert objection(pattern) is not None


@pytest.mark.parametrize("pattern", ["((((a{9}){9}){9}){9}){9}", "(" + "|".join(f"w{n}" for n in range(800)) + ")+"])
def test_what_would_take_long_to_judge_is_refused(pattern: str) -> None:
    assert objection(pattern) == ("repeats too much to be sure that it comes to an end", "write a shorter one")


def test_a_text_is_tried_only_where_it_leaves_few_ways_open() -> None:
    slow = {"x": {"pattern": "a*a*a*a*a*a*b"}}
    assert endless(slow, {"x": ["a" * 60]})
    assert not endless(slow, {"x": "a" * 10, "y": 5})
    assert not endless({"pattern": r"^\w+$"}, "a" * 1000)
    assert not endless({"pattern": "[a-z]+(-[a-z]+)*"}, "ab-cd-ef" * 20)


@pytest.mark.parametrize("pattern", SOUND)
def test_what_may_be_tried_comes_to_an_end(pattern: str) -> None:
    texts = ("a" * 300, "a-b." * 70 + "!", "1," * 90 + "x", "0a:" * 90, "a" * 60 + "@", "\\." * 80, "7")
    tried = [text for text in texts if not endless({"pattern": pattern}, text)]
    assert [re.search(pattern, text) for text in tried]
