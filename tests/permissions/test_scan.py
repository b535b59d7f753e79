"""The tolerant reader: whatever name stands as a command anywhere is found."""

from __future__ import annotations

import time

import pytest
from hypothesis import strategies as st

from openclaw.permissions import grammar, scan
from permissions.laws import tried


def names(text: str) -> set[str]:
    return {argv[0].rsplit("/", 1)[-1] for argv in scan.of_text(text).invocations}


@pytest.mark.parametrize(
    "text",
    [
        "rm -rf x > f", "ls > f; rm x", "ls | rm x > f", "ls && rm x > f", "ls\nrm x", "echo $(rm x)", "echo `rm x`",
        'echo "a $(rm x)"', 'echo "a`rm x`"', "echo ${x:-$(rm y)}", "cat <(rm x)", "cat <<EOF\n$(rm x)\nEOF", "(rm x)",
        "{ rm x; }", "if true; then rm x; fi", "for f in *; do rm $f; done", "while rm x; do :; done",
        "case a in a) rm x;; esac",
        "X=1 rm x > f", "X=$(rm y) ls", "! rm x", "time rm x > f", "exec rm x > f", "eval 'rm x' > f",
        "eval \"rm x\" > f",
        "sudo rm x > f", "env A=1 rm x > f", "timeout 5 rm x > f", "xargs rm < f", "nice -n 5 rm x > f", "nohup rm x &",
        "sh -c 'rm x' > f", "bash -lc \"cd a && rm x\" > f", "env -S 'rm x' > f", "find . -exec rm {} \\;",
        "find . -name a -execdir rm {} + > f", "2>&1 rm x > f", "> f rm x", "ls 2>&1; rm x >f", "ls &>f; rm x",
        "ls >&2; rm x >f",
        "r\\m x > f", "r'm' x > f", '"rm" x > f', "/bin/rm x > f", "r\\\nm x", "trap 'rm x' EXIT > f", "{rm,-rf,x} > f",
        "alias ls=rm > f", "function ls { rm x; }; ls", "ls & rm x", "coproc rm x > f", "echo a; echo 'b' ; rm x >f",
        "python3 -c 'import os; os.system(\"rm x\")' > f", "ssh host rm x > f", "watch 'rm x' > f",
        "echo \"unclosed; rm x",
        "rm\t-rf > f", "command rm x > f", "busybox rm x > f", "ls |& rm x", "[[ -n $(rm x) ]]", "x=(`rm y`)",
        "bash -c 'r\\m x' > f", "sh -c 'r\"\"m x' > f", "python3 -c 'import os; os.system(\"rm\")' > f",
        "parallel rm ::: a > f", "docker run a rm x > f", "git ls-files | xargs -0 -n1 rm > f",
    ],
)  # fmt: skip
def test_a_name_in_the_place_of_a_command_is_found(text: str) -> None:
    assert "rm" in names(text)


@pytest.mark.parametrize(
    "text",
    [
        "echo rm > f",
        "cat rm.txt > f",
        "grep rm a > f",
        "echo 'a; rm b' > f",
        "ls farm > f",
        "ls >rm",
        "ls 2>rm",
        "git rm x > f",
    ],
)
def test_a_mere_argument_is_not_taken_for_a_command(text: str) -> None:
    assert "rm" not in names(text)


def test_words_of_the_shell_that_run_others_are_found_too() -> None:
    assert {"time", "ls"} <= names("time ls > f")
    assert {"coproc", "ls"} <= names("coproc ls > f")


def test_understood_commands_are_searched_inside_wrappers_too() -> None:
    def found(text: str) -> set[str]:
        parsed = grammar.parse(text)
        assert isinstance(parsed, scan.CommandLine)
        return {argv[0] for argv in scan.of_command(parsed).invocations}

    assert "rm" in found("timeout 5 rm x")
    assert "rm" in found("find . -exec rm x")
    assert "rm" in found("sh -c 'ls; rm x'")
    assert "rm" in found("ls | xargs rm")
    assert "rm" not in found("find . -name rm")
    assert "rm" not in found("echo rm")


def test_what_is_too_big_is_said_to_be_incomplete() -> None:
    assert scan.of_text("ls " * 10_000) == scan.Scan((), False)


@pytest.mark.parametrize(
    "text", ["env " + "a " * 2000, "$(" * 2000, "`" * 4000, "'\"" * 2000, "sh -c '" + ";a" * 2000 + "'", "{a," * 1300]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.perf_counter()
    scan.of_text(text)
    assert time.perf_counter() - began < 1  # a bound against blow-up, not a measurement


@tried(st.text("rm ls;|&$()`'\"\\{}<>=\n\t#", max_size=60))
def test_reading_never_raises(text: str) -> None:
    scan.of_text(text)


SEPARATORS = st.sampled_from(["; ", " && ", " || ", " | ", "\n", " & "])
HOSTS = st.sampled_from(["ls", "echo 'a b'", 'echo "x y"', "cat a > f", "FOO=1 id", "ls 2>/dev/null", "(ls)"])


@tried(
    st.lists(st.tuples(HOSTS, SEPARATORS), min_size=1, max_size=6),
    st.sampled_from(["rm x", "$(rm x)", "`rm x`", "sudo rm x"]),
)
def test_it_is_found_at_the_end_of_any_chain(before: list[tuple[str, str]], last: str) -> None:
    assert "rm" in names("".join(host + separator for host, separator in before) + last + " > f")
