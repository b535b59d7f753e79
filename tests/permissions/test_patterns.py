"""Entries of `commands`: which can stand, which tokens they permit, which invocations they forbid."""

from __future__ import annotations

import pytest

from openclaw.permissions.patterns import check_pattern, excuses, forbids, permits, rule_test
from openclaw.permissions.policy import Condition, Effect, Rule


@pytest.mark.parametrize(
    "entry",
    ["ls", "git status", "make test", "npm run *", "cargo build **", "/opt/tool/bin/x **", "sudo", "python report.py"],
)
def test_entries_that_can_stand(entry: str) -> None:
    assert check_pattern(entry, unsafe=False) is None


@pytest.mark.parametrize(
    ("entry", "code", "column"),
    [
        ("", "empty", 1),
        ("  ", "empty", 1),
        ("*", "program", 1),
        ("** x", "program", 1),
        ("l* x", "program", 1),
        ("ls ** x", "glob", 4),
        ("ls a*", "glob", 4),
        ("ls ***", "glob", 4),
        ("ls; id", "pattern", 3),
        ("ls | id", "pattern", 4),
        ("ls 'a b'", "pattern", 4),
        ("ls $x", "pattern", 4),
        ("ls\nid", "pattern", 3),
        ("ls [a]", "pattern", 4),
        ("bash **", "unsafe", 1),
        ("python3.11 **", "unsafe", 1),
        ("/usr/bin/env **", "unsafe", 1),
        ("timeout 5 **", "unsafe", 1),
        ("find **", "unsafe", 1),
    ],
)
def test_entries_that_cannot(entry: str, code: str, column: int) -> None:
    refusal = check_pattern(entry, unsafe=False)
    assert refusal is not None
    assert (refusal.code, refusal.column) == (code, column)


def test_unsafe_admits_boundless_entries_and_prohibitions_may_always_be_boundless() -> None:
    assert check_pattern("bash **", unsafe=True) is None
    assert check_pattern("bash **", unsafe=False, effect=Effect.DENY) is None
    assert check_pattern("sudo", unsafe=False, effect=Effect.DENY) is None


@pytest.mark.parametrize("program", ["bash", "python3", "env", "npm", "vim", "less", "make", "xargs", "node"])
def test_a_bare_permission_of_a_program_that_runs_others_is_refused(program: str) -> None:
    refusal = check_pattern(program, unsafe=False, effect=Effect.ALLOW)
    assert refusal is not None and refusal.code == "unsafe"
    assert check_pattern("ls", unsafe=False, effect=Effect.ALLOW) is None
    assert check_pattern("find", unsafe=False, effect=Effect.ALLOW) is None


@pytest.mark.parametrize(
    ("entry", "command", "expected"),
    [
        ("ls", "ls -la x", True),
        ("ls", "lsof", False),
        ("ls", "LS", False),
        ("ls", "/bin/ls", False),
        ("make test", "make test", True),
        ("make test", "make test x", False),
        ("make test", "make", False),
        ("make", "make", True),
        ("make", "make test", False),
        ("npm run *", "npm run build", True),
        ("npm run *", "npm run", False),
        ("npm run *", "npm run build x", False),
        ("cargo build **", "cargo build", True),
        ("cargo build **", "cargo build --release x", True),
        ("cargo build **", "cargo test", False),
        ("git push", "git-push", False),
        ("git push", "gitk push", False),
        ("/opt/x **", "/opt/x a", True),
        ("x **", "/opt/x a", False),
    ],
)
def test_a_permission_covers_every_token(entry: str, command: str, expected: bool) -> None:
    assert permits(entry, command.split()) is expected


@pytest.mark.parametrize(
    ("entry", "command", "expected"),
    [
        ("rm", "rm", True),
        ("rm", "rm -rf x", True),
        ("rm", "/bin/rm x", True),
        ("rm", "RM x", True),
        ("rm", "rmdir x", False),
        ("git push", "git push", True),
        ("git push", "git push --force", True),
        ("git push", "git -C dir push", True),
        ("git push", "git -c a=b --no-pager push -f", True),
        ("git push", "git log push", False),
        ("git push **", "git push x", True),
        ("git * x", "git a x", True),
        ("git", "gitk", False),
        ("/bin/rm", "/bin/rm x", True),
        ("/bin/rm", "rm x", False),
    ],
)
def test_a_prohibition_covers_every_spelling(entry: str, command: str, expected: bool) -> None:
    assert forbids(entry, tuple(command.split())) is expected


def test_an_exception_covers_what_it_names() -> None:
    assert excuses("git", ["git", "push", "x"])
    assert excuses("git status", ["git", "status"])
    assert not excuses("git status", ["git", "status", "-s"])
    assert not excuses("git", ["gitk"])


def test_a_rule_tests_its_own_commands() -> None:
    deny = Rule(Effect.DENY, ("run_command",), Condition(commands=("sudo", "rm")))
    assert rule_test(deny, "sudo ls")
    assert rule_test(deny, "ls && rm x")
    assert rule_test(deny, "echo $(rm x)")
    assert rule_test(deny, "env sudo ls")
    assert not rule_test(deny, "ls")
    allow = Rule(Effect.ALLOW, ("run_command",), Condition(commands=("ls", "wc")))
    assert rule_test(allow, "ls -la | wc -l")
    assert not rule_test(allow, "ls | sort")
    assert not rule_test(allow, "ls $(id)")
    assert not rule_test(allow, "ls --no-such-flag")
