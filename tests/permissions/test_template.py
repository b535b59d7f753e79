"""Shell templates: split once, filled without ever being split again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from openclaw.errors import ToolError
from openclaw.permissions.policy import Refusal
from openclaw.permissions.template import Placeholder, Template, compile_template
from permissions.laws import tried


def template(text: str, **inputs: Mapping[str, Any]) -> Template:
    compiled = compile_template(text, inputs)
    assert isinstance(compiled, Template), compiled
    return compiled


def argvs(text: str, input: Mapping[str, Any], **inputs: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [step.argv for step in template(text, **inputs).expand(input).steps]


def test_a_placeholder_is_one_argument_or_part_of_one() -> None:
    assert argvs("du -sh -- {path} | head -n{lines}", {"path": "a b; rm *", "lines": 5}) == [
        ("du", "-sh", "--", "a b; rm *"),
        ("head", "-n5"),
    ]


def test_quotes_around_a_placeholder_change_nothing() -> None:
    assert argvs("echo '{a}' \"x {a} y\" {a}", {"a": 'v "w"'}) == [("echo", 'v "w"', 'x v "w" y', 'v "w"')]


def test_double_braces_are_braces() -> None:
    assert argvs("awk '{{print $1}}' {{x}}", {}) == [("awk", "{print $1}", "{x}")]


def test_placeholders_are_listed_with_their_columns() -> None:
    assert template("echo {a} '{b}' -x={c} {d...}").placeholders == (
        Placeholder("a", 6, False),
        Placeholder("b", 11, False),
        Placeholder("c", 19, False),
        Placeholder("d", 23, True),
    )


def test_a_list_spreads() -> None:
    declared = {"files": {"type": "array"}}
    assert argvs("cat -- {files...}", {"files": ["a b", "c"]}, **declared) == [("cat", "--", "a b", "c")]
    assert argvs("cat -- {files...}", {"files": []}, **declared) == [("cat", "--")]


def test_an_omitted_optional_drops_its_argument() -> None:
    declared = {"depth": {"type": "integer", "optional": True}}
    assert argvs("tree --depth={depth} src", {}, **declared) == [("tree", "src")]
    assert argvs("tree --depth={depth} src", {"depth": None}, **declared) == [("tree", "src")]


def test_a_default_stands_in() -> None:
    assert argvs("head -n {n}", {}, n={"type": "integer", "default": 20}) == [("head", "-n", "20")]


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(ToolError, match="`n` is missing"):
        template("head -n {n}", n={"type": "integer"}).expand({})


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (3, "3"), (1.5, "1.5"), ("x", "x"), ("", "")]
)
def test_values_become_text(value: object, text: str) -> None:
    assert argvs("echo x {v}", {"v": value}) == [("echo", "x", text)]


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "\x1b[0m", "a\rb", ["a"], {"a": 1}])
def test_values_that_are_no_plain_text_are_refused(value: object) -> None:
    with pytest.raises(ToolError):
        template("echo x {v}").expand({"v": value})


@pytest.mark.parametrize("text", ["cat {v}", "cat {v}.txt", "cat {v...}"])
def test_a_leading_dash_is_refused(text: str) -> None:
    value: object = ["-rf"] if "..." in text else "-rf"
    with pytest.raises(ToolError, match="must not begin with `-`"):
        template(text).expand({"v": value})


def test_a_leading_dash_is_admitted_after_dashes_by_pattern_by_enum_and_by_minimum() -> None:
    assert argvs("cat -- {v}", {"v": "-x"}) == [("cat", "--", "-x")]
    assert argvs("ls {v}", {"v": "-l"}, v={"pattern": "^-[la]$"}) == [("ls", "-l")]
    assert argvs("ls {v}", {"v": "-l"}, v={"enum": ["-l", "-a"]}) == [("ls", "-l")]
    assert argvs("seq {v}", {"v": -3}, v={"type": "integer", "minimum": -5}) == [("seq", "-3")]
    assert argvs("cat --name={v}", {"v": "-x"}) == [("cat", "--name=-x")]
    with pytest.raises(ToolError):
        template("ls {v}", v={"pattern": "^-[la]$"}).expand({"v": "-R"})
    with pytest.raises(ToolError):
        template("seq {v}", v={"type": "integer"}).expand({"v": -3})


def test_dashes_do_not_reach_into_the_next_program() -> None:
    with pytest.raises(ToolError, match="must not begin"):
        template("cat -- a | grep {v}").expand({"v": "-f/etc/passwd"})


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("echo $HOME", "dollar", 6),
        ("echo {a} > f", "redirect", 10),
        ("{program} x", "program", 1),
        ("ls; {program}", "program", 5),
        ("echo {", "brace", 6),
        ("echo 'a {b'", "brace", 9),
        ("echo {1}", "brace", 6),
        ("echo x{a...}", "spread", 7),
        ("cat {files}", "spread", 5),
        ("cat {name...}", "spread", 5),
    ],
)
def test_templates_are_refused_where_they_are_wrong(text: str, code: str, column: int) -> None:
    declared = {"files": {"type": "array"}, "name": {"type": "string"}}
    refused = compile_template(text, declared)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.column) == (code, column)


def test_unknown_and_unused_names_are_left_to_the_manifest() -> None:
    assert template("echo {nobody}", somebody={"type": "string"}).placeholders[0].name == "nobody"


@tried(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc")), max_size=30))
def test_no_value_changes_the_shape_of_the_command(value: str) -> None:
    [du, head] = argvs("du -sh -- {path} | head -n {n}", {"path": value, "n": 3})
    assert du == ("du", "-sh", "--", value)
    assert head == ("head", "-n", "3")
