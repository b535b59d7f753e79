"""One judge of scripts: what `validate` lets pass the scripted model can follow, and the other way round."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from openclaw import script
from openclaw.clock import SystemClock
from openclaw.errors import OpenClawError
from openclaw.providers.scripted import Provider

KEYS = ["say", "system", "calls", "reply", "failed", "empty", "stop", "fault", "delay", "sai", "pace", 1]
PATTERNS = st.sampled_from(["(", "x{9999999999}"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | PATTERNS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=2),
    max_leaves=5,
)


def opened(path: Path) -> str:
    """What the provider says of a script as it opens; empty where it opens."""
    try:
        asyncio.run(Provider({"script": str(path)}, SystemClock()).open())
    except OpenClawError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rules: [{sai: x}]", "rule 1: unknown key `sai`"),
        ("rules: [{reply: x}]", "rule 1: `say` is missing"),
        ("rules: [x]", "rule 1: a rule is a mapping"),
        ("rules: [{say: a}, {say: x, 1: 2}]", "rule 2: unknown key `1`"),
        ("rules: []\notherwize: x", "unknown key `otherwize`"),
        ("rules: [{say: x, delay: x}]", "rule 1: `delay` is a number of seconds"),
        ("rules: []\npace: .nan", "`pace` is a number of seconds"),
        (f"rules: []\npace: 1{'0' * 400}", "`pace` is a number of seconds"),
        ("rules: [{say: (}]", "rule 1: `say` is no regular expression"),
        ("rules: [{say: 'x{99999999999999}'}]", "rule 1: `say` is no regular expression"),
        ("rules: [{say: x, calls: 3}]", "rule 1: `calls` is a list of calls"),
        ("rules: [{say: x, calls: [{a: 3}]}]", "rule 1: a call is written {tool: {input}}"),
        ("rules: [{say: x, reply: [a]}]", "rule 1: `reply` is text"),
        ("rules: [{say: x, fault: tired}]", "rule 1: `fault` is one of: credentials"),
        ("rules: []\nhints: [a]", "`hints` names tools"),
        ("rules: []\nhints: {a: [b]}", "`a` is text"),
        ("rules: [{say: 2026-13-45}]", "it cannot be read as YAML: month must be"),
        ("rules: []\nx: 'a", "line 2 cannot be read as YAML"),
        ("[" * 100_000, "it is nested more than 100 levels deep"),
        ("", "it has no list of `rules`"),
        ("#" * (script.MOST_BYTES + 1), "it has more than 1 MiB"),
    ],
)
def test_a_script_that_cannot_be_followed_says_why_and_the_provider_says_the_same(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    read = script.read(text.encode())
    assert isinstance(read, script.Problem)
    assert read.reason.startswith(reason)
    assert opened(path) == f"the script {path} cannot be followed: {read.reason}"


def test_the_demo_and_a_script_with_everything_can_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(
        "pace: 1\nrules:\n  - {say: a, system: b, calls: [{t: {x: 1}}, [{t: }, {u: {}}]], reply: 3, failed: f,\n"
        "     empty: e, stop: max_tokens, fault: refused, delay: 0.5}\notherwise: o\nhints: {t: try this}\n"
    )
    assert opened(path) == ""
    asyncio.run(Provider({}, SystemClock()).open())


@given(
    document=st.fixed_dictionaries(
        {"rules": st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), max_size=3)},
        optional={"pace": VALUES, "otherwise": VALUES, "hints": VALUES},
    )
)
def test_whatever_a_script_holds_it_is_read_or_refused(document: Any) -> None:
    assert isinstance(script.read(yaml.safe_dump(document).encode()), script.Script | script.Problem)


@given(content=st.binary(max_size=60))
def test_bytes_that_are_no_script_are_refused(content: bytes) -> None:
    assert isinstance(script.read(content), script.Problem)
