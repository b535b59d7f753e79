"""The reader of YAML: whatever the bytes, a tree or diagnostics, quickly, with true positions."""

from __future__ import annotations

import string
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.manifest import document
from openclaw.manifest.document import Document, read
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, plain

JARGON = ("scalar", "expected key", "<block end>", "token that", "YAMLError", "while parsing", "while scanning")
PIECES = st.sampled_from(
    [
        *"[]{}:,#&*!|>'\"%@`\\-? \n\t",
        "\r\n",
        "key: ",
        "- ",
        "<<: ",
        "*a",
        "&a ",
        "!!str ",
        "!!int ",
        "${X}",
        "---\n",
        "...\n",
        "👋",
        "\x00",
        "\ufeff",
        "\u2028",
        "1.10",
        "null",
        "{{ x }}",
    ]
)


def sound(result: Document) -> None:
    """What holds for every input: a root or a reason, places inside the text, no parser's words."""
    assert result.root is not None or result.diagnostics
    lines = len(result.source.starts)
    for each in result.diagnostics:
        assert 1 <= each.line <= lines
        assert 1 <= each.column <= len(result.source.line(each.line)) + 2
        assert not any(word in each.message for word in JARGON)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    sound(read("f.yaml", content))


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_of_yaml_pieces_is_read_or_refused(text: str) -> None:
    sound(read("f.yaml", text.encode("utf-8", "surrogatepass")))


@pytest.mark.slow
@settings(max_examples=5000, deadline=None)
@given(st.binary(max_size=300) | st.lists(PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()))
def test_a_long_sweep_of_bytes_and_pieces_is_read_or_refused(content: bytes) -> None:
    sound(read("f.yaml", content))


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_the_pure_loader_is_read_by_the_same_words(text: str) -> None:
    """Where libyaml is missing nothing gets worse: a tree or diagnostics, never an exception."""
    fast, document._Loader = document._Loader, yaml.SafeLoader
    try:
        sound(read("f.yaml", text.encode()))
    finally:
        document._Loader = fast


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff"), max_size=20
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS.filter(lambda text: text not in ("<<", "=")), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=75, deadline=None)
@given(VALUES.filter(lambda value: value is not None), st.booleans())
def test_what_was_written_is_what_is_read(value: object, flow: bool) -> None:
    written_is_read(value, flow)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(VALUES.filter(lambda value: value is not None), st.booleans())
def test_whatever_was_written_is_what_is_read(value: object, flow: bool) -> None:
    written_is_read(value, flow)


def written_is_read(value: object, flow: bool) -> None:
    # Quoted throughout, so that no rule on plain text can tell the two apart.
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True, default_flow_style=flow)
    result = read("f.yaml", text.encode())
    assert result.diagnostics == ()
    assert result.root is not None
    assert plain(result.root) == value


def nodes_of(node: Node) -> list[Scalar]:
    match node:
        case Scalar():
            return [node]
        case ListNode(items):
            return [each for item in items for each in nodes_of(item)]
        case MapNode(entries):
            return [each for entry in entries.values() for each in (entry.key, *nodes_of(entry.value))]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(string.ascii_letters + "👋é", min_size=1, max_size=6), min_size=1, max_size=8, unique=True),
    st.sampled_from(["\n", "\r\n"]),
)
def test_positions_are_where_the_words_stand(words: list[str], end: str) -> None:
    text = end.join(f"k{word}: [ v{word}, 'q{word}' ]" for word in words)
    result = read("f.yaml", ("\ufeff" + text).encode())
    assert result.root is not None
    for node in nodes_of(result.root):
        line = text.split(end)[node.span.line - 1]
        shown = line[node.span.column - 1 : node.span.end_column - 1]
        assert shown.strip("'") == node.value


# ── scalars ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("12", 12), ("-3", -3), ("+7", 7), ("0", 0),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5),
        ("yes", "yes"), ("on", "on"), ("No", "No"), ("12:30", "12:30"), ("0755", "0755"), ("007", "007"), ("=", "="),
        ("0x1F", "0x1F"), ("0o17", "0o17"), ("1_000", "1_000"), ("2026-01-01", "2026-01-01"), ("1.2.3", "1.2.3"),
        ("tRue", "tRue"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_rules_and_leading_zeros_stay_text(text: str, value: object) -> None:
    root = read("f.yaml", f"k: {text}\n".encode()).root
    assert root is not None
    found = plain(root)["k"]
    assert (type(found), found) == (type(value), value)


def test_standard_tags_say_what_a_value_is() -> None:
    root = read("f.yaml", b"a: !!str 12\nb: !!int 3\nc: !!float 3\n").root
    assert root is not None
    assert plain(root) == {"a": "12", "b": 3, "c": 3.0}


@pytest.mark.parametrize(
    "text", ["!!int abc", "!!float x", "!!bool maybe", "!!timestamp foo", "!!binary '?'", "!!set {a}", "!!omap [a]"]
)
def test_a_tag_that_does_not_fit_is_a_diagnostic(text: str) -> None:
    result = read("f.yaml", f"k: {text}\n".encode())
    assert [each.code for each in result.diagnostics] == ["yaml-tag"]


def test_a_wrong_value_is_unknown_and_the_rest_is_kept() -> None:
    result = read("f.yaml", b"a: !x 1\nb: 2\n")
    assert isinstance(result.root, MapNode)
    assert plain(result.root) == {"a": Unknown, "b": 2}


# ── merge keys and aliases ───────────────────────────────────────────────────────────────────────


def test_explicit_keys_win_over_merged_ones_and_the_earlier_merge_wins() -> None:
    text = b"x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  a: 0\n  <<: [*x, *y]\n"
    root = read("f.yaml", text).root
    assert root is not None
    assert plain(root)["z"] == {"a": 0, "b": 1, "c": 2}


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a\n  b:\n    - *a"])
def test_an_anchor_that_contains_itself_is_refused(text: str) -> None:
    assert [each.code for each in read("f.yaml", text.encode()).diagnostics] == ["yaml-alias-size"]


@pytest.mark.parametrize("levels", [5, 9, 40, 400])
def test_alias_bombs_are_defused_however_many_levels_they_have(levels: int) -> None:
    lines = ["l0: &l0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 10)}]" for n in range(1, levels)]
    started = time.process_time()
    result = read("f.yaml", "\n".join(lines).encode())
    assert time.process_time() - started < 10
    assert [(each.code, each.line) for each in result.diagnostics] == [("yaml-alias-size", 5)]


# ── hostile input ────────────────────────────────────────────────────────────────────────────────

MIB = 1 << 20
HOSTILE = {
    "deep lists": b"a: " + b"[" * 50_000 + b"]" * 50_000,
    "deep mappings": b"a: " + b"{a: " * 50_000,
    "deep blocks": b"".join(b" " * n + b"a:\n" for n in range(1400)),
    "deep dashes": b"- " * 50_000 + b"x",
    "a megabyte of brackets": b"[" * (MIB - 1),
    "a megabyte of quotes": b"'" * (MIB - 1),
    "a megabyte of one word": b"x" * (MIB - 1),
    "a megabyte of colons": b": " * (MIB // 2 - 1),
    "a megabyte of lines": b"\n" * (MIB - 1),
    "many anchors": b"".join(b"- &a%d x\n" % n for n in range(14_000)),
    "a megabyte of comments": b"#" * (MIB - 1),
    "a megabyte of spaces": b"a: b" + b" " * (MIB - 10) + b"c: d",
    "too large": b"a: b\n" * MIB,
    "many conflict marks": b"<<<<<<< \n" * 100_000,
    "many keys": b"".join(b"k%d: 1\n" % n for n in range(12_000)),
    "equal keys": b"k: 1\n" * 8_000,
    "nulls": b"\0" * 1000,
    "utf-16": "a: b".encode("utf-16"),
    "not utf-8": b"a: \xff\xfe\xfd",
    "a huge number": b"a: " + b"9" * 500_000,
    "a huge float": b"a: 1e999999999",
    "a huge key": b"? " + b"k" * 500_000 + b"\n: v",
}
LARGER = {
    "a megabyte of anchors": b"".join(b"- &a%d x\n" % n for n in range(70_000))[: MIB - 1],
    "many keys": b"".join(b"k%d: 1\n" % n for n in range(60_000)),
    "equal keys": b"k: 1\n" * 40_000,
}


def answered(content: bytes) -> float:
    """Seconds of our own work, whatever else the machine does."""
    started = time.process_time()
    sound(read("f.yaml", content))
    return time.process_time() - started


@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_input_is_answered_quickly(content: bytes) -> None:
    assert answered(content) < 10, "more than in proportion to its size"


@pytest.mark.slow
@pytest.mark.parametrize("content", LARGER.values(), ids=list(LARGER))
def test_more_of_the_same_takes_no_longer_than_in_proportion(content: bytes) -> None:
    assert answered(content) < 30, "more than in proportion to its size"


def test_a_bad_byte_is_reported_where_it_stands() -> None:
    (said,) = read("f.yaml", "a: 👋\nb: x".encode() + b"\xff").diagnostics
    assert (said.line, said.column, said.code) == (2, 5, "encoding")


def test_every_key_given_twice_is_told_and_the_first_is_kept() -> None:
    result = read("f.yaml", b"a: 1\nb: 2\na: 3\nb: 4\n")
    assert [(each.line, each.code) for each in result.diagnostics] == [(3, "yaml-duplicate"), (4, "yaml-duplicate")]
    assert result.root is not None
    assert plain(result.root) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "at", "place"),
    [
        ("k: abc def", 4, (1, 8)),
        ("k: 'it''s x'", 5, (1, 11)),
        ('k: "a\\tb x"', 4, (1, 10)),
        ('k: "\\u00e9x"', 1, (1, 11)),
        ("k: |\n  one\n  two", 4, (3, 3)),
        ("k: >\n  one\n  two", 5, (3, 4)),
        ("k: one\n  two", 4, (2, 3)),
        ("k: '👋 x'", 2, (1, 7)),
    ],
)
def test_a_place_inside_a_value_is_found_in_every_quoting(text: str, at: int, place: tuple[int, int]) -> None:
    result = read("f.yaml", text.encode())
    assert isinstance(result.root, MapNode)
    node = result.root.get("k")
    assert isinstance(node, Scalar)
    span = result.source.inside(node.start, node.end, node.style, node.value, at)
    assert (span.line, span.column) == place
