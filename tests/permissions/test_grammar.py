"""The strict grammar: what it accepts means the same to a shell, and everything else is refused with a place."""

from __future__ import annotations

import shlex
import string

import pytest
from hypothesis import strategies as st

from openclaw.messages import CommandLine, Step
from openclaw.permissions.grammar import LONGEST, MOST_SEGMENTS, parse
from openclaw.permissions.policy import Refusal
from permissions.laws import tried


def argvs(text: str) -> list[tuple[str, ...]]:
    parsed = parse(text)
    assert isinstance(parsed, CommandLine), parsed
    return [step.argv for step in parsed.steps]


def refusal(text: str) -> tuple[str, int]:
    parsed = parse(text)
    assert isinstance(parsed, Refusal), parsed
    return parsed.code, parsed.column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ls", [("ls",)]),
        ("  ls\t-la  ", [("ls", "-la")]),
        ("echo 'a b'\"c d\"e", [("echo", "a bc de")]),
        ("echo '' \"\"", [("echo", "", "")]),
        ("echo '*' '$x' '`' '\\' '!' '~' '#'", [("echo", "*", "$x", "`", "\\", "!", "~", "#")]),
        (r'printf "a\n%s"', [("printf", r"a\n%s")]),
        ("git log HEAD~1 a#b x~", [("git", "log", "HEAD~1", "a#b", "x~")]),
        ("a|b&&c||d;e", [("a",), ("b",), ("c",), ("d",), ("e",)]),
        ("cat 'notes (draft).txt'", [("cat", "notes (draft).txt")]),
        ("echo naïve 文件 ٣", [("echo", "naïve", "文件", "٣")]),
        ("echo if then", [("echo", "if", "then")]),
        ("'if' x", [("if", "x")]),
        ("echo a=b", [("echo", "a=b")]),
        ("echo ^a%b@c,d:e+f", [("echo", "^a%b@c,d:e+f")]),
    ],
)
def test_accepted_commands_are_literal(text: str, expected: list[tuple[str, ...]]) -> None:
    assert argvs(text) == expected


def test_operators_join_to_the_step_before() -> None:
    parsed = parse("a | b && c || d ; e")
    assert isinstance(parsed, CommandLine)
    assert [step.after for step in parsed.steps] == ["", "|", "&&", "||", ";"]


@pytest.mark.parametrize(
    ("text", "stdout", "stderr"),
    [
        ("ls", "", ""),
        ("ls 2>&1", "", "stdout"),
        ("ls >/dev/null", "null", ""),
        ("ls 2>/dev/null", "", "null"),
        ("ls >/dev/null 2>&1", "null", "null"),
        ("ls 2>&1 >/dev/null", "null", "stdout"),
        ("ls 2>/dev/null -la", "", "null"),
        ("ls 2>&1|wc", "", "stdout"),
    ],
)
def test_three_redirections_are_understood(text: str, stdout: str, stderr: str) -> None:
    parsed = parse(text)
    assert isinstance(parsed, CommandLine)
    assert (parsed.steps[0].stdout, parsed.steps[0].stderr) == (stdout, stderr)


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("", "empty", 1),
        ("   ", "empty", 1),
        (";", "empty", 1),
        ("ls;", "empty", 3),
        ("ls && ", "empty", 4),
        ("| ls", "empty", 1),
        ("ls ;; id", "empty", 4),
        ("''", "empty", 1),
        ("ls\nid", "newline", 3),
        ("ls\rid", "control", 3),
        ("ls\x0bid", "control", 3),
        ("ls\x0c", "control", 3),
        ("ls \x1b[0m", "control", 4),
        ("ls \x7f", "control", 4),
        ("ls \0", "control", 4),
        ("ls\u00a0-la", "unicode", 3),
        ("ls \u202eid", "unicode", 4),
        ("ls \u200b", "unicode", 4),
        ("echo '\u2066x'", "unicode", 7),
        ("echo 'a — b'", "unicode", 9),
        ("ls \u3164", "unicode", 4),
        ("ls \u0085", "unicode", 4),
        ("ls \ud800", "unicode", 4),
        ("echo \U000e0069", "unicode", 6),
        ("echo a\\ b", "backslash", 7),
        ("echo $HOME", "dollar", 6),
        ('echo "$HOME"', "dollar", 7),
        ('echo "a`id`"', "backtick", 8),
        ('echo "hi!"', "history", 9),
        ('echo "a\\"b"', "backslash", 8),
        ("echo `id`", "backtick", 6),
        ("echo $(id)", "dollar", 6),
        ("echo <(id)", "redirect", 6),
        ("cat < x", "redirect", 5),
        ("echo x > f", "redirect", 8),
        ("echo x >>f", "redirect", 8),
        ("echo x>/dev/null", "redirect", 7),
        (">/dev/null ls", "redirect", 1),
        ("ls >/dev/nullx", "redirect", 4),
        ("ls 1>&2", "redirect", 5),
        ("ls 2>&1x", "redirect", 5),
        ("ls x2>&1", "redirect", 6),
        ("ls 'x'2>&1", "redirect", 7),
        ("ls &", "background", 4),
        ("ls |& id", "background", 5),
        ("ls &>/dev/null", "background", 4),
        ("! ls", "history", 1),
        ("(ls)", "paren", 1),
        ("{ ls; }", "brace", 1),
        ("{ls,-la}", "brace", 1),
        ("ls *", "glob", 4),
        ("ls a?", "glob", 5),
        ("ls [a]", "glob", 4),
        ("ls ~", "tilde", 4),
        ("ls ~root/x", "tilde", 4),
        ("dd if=~/x", "tilde", 7),
        ("ls # x", "comment", 4),
        ("A=1 ls", "assignment", 1),
        ("A+=1", "assignment", 1),
        ("ls; PATH=. id", "assignment", 5),
        ("'A'=1 ls", "assignment", 1),
        ("if true", "keyword", 1),
        ("time ls", "keyword", 1),
        ("%1", "job", 1),
        ("ls; '%s' a", "job", 5),
        ("echo 'a", "quote", 6),
        ('echo "a', "quote", 6),
        ("echo $'a'", "dollar", 6),
    ],
)
def test_everything_else_is_refused_where_it_stands(text: str, code: str, column: int) -> None:
    assert refusal(text) == (code, column)


def test_size_is_bounded() -> None:
    assert len(argvs(" ; ".join(["ls"] * MOST_SEGMENTS))) == MOST_SEGMENTS
    assert refusal(" ; ".join(["ls"] * (MOST_SEGMENTS + 1)))[0] == "too_many_segments"
    assert argvs("echo " + "a" * (LONGEST - 5))
    assert refusal("echo " + "a" * (LONGEST - 4))[0] == "too_long"


WORDS = st.text(string.ascii_letters + string.digits + " \t'\"\\$`~#=:*?[]{}()<>&|;!-_./,@%+^é文\u00a0\n", max_size=40)


@tried(WORDS)
def test_an_accepted_command_reads_as_shlex_reads_it(text: str) -> None:
    parsed = parse(text)
    if isinstance(parsed, CommandLine) and len(parsed.steps) == 1:
        [step] = parsed.steps
        if not (step.stdout or step.stderr):
            assert shlex.split(text) == list(step.argv)


PLAIN = st.text(string.ascii_letters + string.digits + "_-./,@%+^é文", min_size=1, max_size=6)
SINGLE = st.text(string.printable[:95], max_size=8).map(lambda text: "'" + text.replace("'", "") + "'")
DOUBLE = st.text(string.ascii_letters + " |;&><#~*?'(){}[]", max_size=8).map(lambda text: f'"{text}"')
WORD = st.lists(st.one_of(PLAIN, SINGLE, DOUBLE), min_size=1, max_size=3).map("".join)
SEGMENT = st.lists(WORD, max_size=4).map(lambda words: " ".join(["run", *words]))


OPERATORS = st.lists(st.sampled_from(["|", "&&", "||", ";"]), min_size=4, max_size=4)


@tried(st.lists(SEGMENT, min_size=1, max_size=5), OPERATORS)
def test_every_segment_reads_as_shlex_reads_it(segments: list[str], operators: list[str]) -> None:
    text = segments[0]
    for operator, segment in zip(operators, segments[1:], strict=False):
        text += f" {operator} {segment}"
    assert argvs(text) == [tuple(shlex.split(segment)) for segment in segments]


@tried(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12), min_size=1, max_size=6))
def test_every_printable_argument_can_be_said(arguments: list[str]) -> None:
    argv = ("run", *arguments)
    text = " ".join("'" + argument.replace("'", "'\"'\"'") + "'" for argument in argv)
    assert argvs(text) == [argv]
    assert shlex.split(text) == list(argv)


@tried(WORDS)
def test_parsing_never_raises_and_columns_lie_in_the_text(text: str) -> None:
    parsed = parse(text)
    if isinstance(parsed, Refusal):
        assert 1 <= parsed.column <= len(text) + 1
    else:
        assert all(isinstance(step, Step) and step.argv and step.argv[0] for step in parsed.steps)


TAILS = ["\npwn", " $(pwn)", " `pwn`", " > f", "\rpwn", "\u00a0pwn", " &", " <f", " \\", " *", "|&pwn", "\0"]


@pytest.mark.parametrize("command", ["ls", "ls -la src", "cat 'a b' | wc -l", 'echo "x" && true', "ls 2>/dev/null"])
def test_nothing_can_be_hung_on(command: str) -> None:
    made = ["X=1 " + command, *(command + tail for tail in TAILS)]
    assert [text for text in made if not isinstance(parse(text), Refusal)] == []
