"""The attack suite: evasions of our own, none of which runs unasked; and proof that it sees what it looks for."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from openclaw.messages import ToolSpec
from openclaw.permissions import grammar, profiles, programs
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Rule, decide
from openclaw.permissions.facts import LANDLOCK, NO_WALLS, Assumed, Walls
from openclaw.permissions.policy import Refusal
from permissions import judges

RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command"})
WORKSPACE = Path("/ws")
EVERYTHING = frozenset(profiles.names())
ASSUMED = Assumed()
LARGER = [5, pytest.param(None, marks=pytest.mark.slow, id="all")]


def policy(names: Collection[str], *more: Rule) -> Policy:
    """Allows these programs as far as anybody could; git in a repository that is trusted, behind walls."""
    commands = tuple(sorted(name for name in names if profiles.profile(name) is not None or not programs.kind(name)))
    allow = Rule(Effect.ALLOW, ("run_command",), Condition(commands=commands))
    return Policy("p", (allow, *more), trusted_repositories=(WORKSPACE,))


class Behind(Assumed):
    """The same machine with these walls."""

    def __init__(self, walls: Walls) -> None:
        self._walls = walls

    def walls(self) -> Walls:
        return self._walls


def judged(command: str, under: Policy, facts: Assumed = ASSUMED) -> Decision:
    return decide(Attempt(RUN, {"command": command}, "main", "repl:local", workspace=WORKSPACE), under, facts)


def through(commands: Collection[str], names: Collection[str]) -> list[str]:
    under = policy(names)
    return [command for command in commands if judged(command, under).effect is Effect.ALLOW]


@pytest.mark.parametrize("row", judges.advisories(), ids=judges.name)
def test_nothing_of_an_advisory_runs_unasked(row: dict[str, Any]) -> None:
    assert through(row["commands"], {*row["allow"], *EVERYTHING}) == []


@pytest.mark.parametrize("larger", LARGER)
@pytest.mark.parametrize("family", judges.families())
def test_nothing_of_a_family_runs_unasked(family: str, larger: int | None) -> None:
    assert through(judges.families(larger)[family], EVERYTHING) == []


def test_what_reads_more_than_it_names_runs_unasked_only_where_walls_hide_what_is_protected() -> None:
    under = policy(EVERYTHING)
    for command in judges.unmasked():
        assert judged(command, under).effect is Effect.ALLOW, command
        for walls in (LANDLOCK, NO_WALLS):
            assert judged(command, under, Behind(walls)).effect is Effect.ASK, command


@pytest.mark.parametrize("most", [25, pytest.param(None, marks=pytest.mark.slow, id="all")])
def test_everything_that_profiles_admit_runs_and_all_that_they_leave_out_asks(most: int | None) -> None:
    """The entries' own tests, this time through the whole decision."""
    under = policy(EVERYTHING)
    wrong = []
    entries = [entry["tests"] for entry in profiles.read().values()]
    for tests in entries if most is None else random.Random(6).sample(entries, most):
        wrong += [command for command in tests["allow"] if judged(command, under).effect is not Effect.ALLOW]
        wrong += [command for command in tests.get("ask", ()) if judged(command, under).effect is Effect.ALLOW]
    assert wrong == []


# ── can it see what it looks for? ────────────────────────────────────────────────────────────────


def share(judge: judges.Judge, larger: int | None = 0) -> float:
    attacks = list(judges.attacks(larger))
    if larger is not None:
        attacks = random.Random(6).sample(attacks, 400)
    return sum(judge.allows(command, names) for command, names in attacks) / len(attacks)


@pytest.mark.parametrize("larger", LARGER)
def test_the_parts_put_together_by_hand_decide_as_the_product_does(larger: int | None) -> None:
    under = policy(EVERYTHING)
    commands = [command for command, _ in judges.attacks(larger)]
    commands += [command for entry in profiles.read().values() for command in entry["tests"]["allow"]]
    if larger is not None:
        commands = random.Random(6).sample(commands, 150)
    differing = [
        command
        for command in commands
        if judges.WHOLE.allows(command, EVERYTHING) is not (judged(command, under).effect is Effect.ALLOW)
    ]
    assert differing == []
    assert larger is not None or share(judges.WHOLE, larger) == 0


def test_without_the_strict_grammar_the_suite_fails_loudly() -> None:
    assert share(judges.WITHOUT_GRAMMAR) > 0.05
    for family in ("substitutions", "redirections", "controls"):
        commands = judges.families(0)[family]
        assert sum(judges.WITHOUT_GRAMMAR.allows(command, EVERYTHING) for command in commands) >= 5, family


def test_without_the_profiles_the_suite_fails_loudly() -> None:
    assert share(judges.WITHOUT_PROFILES) > 0.25
    for family in ("git", "filters", "finds", "paths"):
        commands = judges.families(0)[family]
        assert sum(judges.WITHOUT_PROFILES.allows(command, EVERYTHING) for command in commands) >= 20, family


# ── what is denied is denied wherever it stands ──────────────────────────────────────────────────

PLACES = [
    "{}", "ls; {}", "ls && {}", "ls || {}", "ls | {}", "ls |& {}", "ls & {}", "ls\n{}", "({})", "{{ {}; }}", "! {}",
    "echo $({})", "echo `{}`", 'echo "$({})"', 'echo "`{}`"', "echo ${{x:-$({})}}", "cat <({})", "ls >({})",
    "cat <<E\n$({})\nE", "sh <<E\n{}\nE", "bash -c '{}'", 'sh -c "{}"', "bash -lc '{}'", "eval '{}'", "eval {}",
    "sudo {}", "doas {}", "env {}", "env A=1 {}", "env -i {}", "env -S '{}'", "timeout 5 {}", "nice {}", "nice -n 5 {}",
    "nohup {}", "setsid {}", "stdbuf -o0 {}", "ionice -c3 {}", "flock lock {}", "xargs {}", "ls | xargs -0 -n1 {}",
    "command {}", "exec {}", "builtin {}", "time {}", "busybox {}", "toybox {}", "parallel {} ::: a", "watch {}",
    "watch '{}'", "ssh host {}", "ssh host '{}'", "find . -exec {} ';'", "find . -execdir {} +", "X=1 {}",
    "X=$(ls) {}", "coproc {}", "if ls; then {}; fi", "while {}; do :; done", "for i in a; do {}; done",
    "case a in a) {};; esac", "function f {{ {}; }}; f", "f() {{ {}; }}; f", "trap '{}' EXIT", "> out {}", "{} > out",
    "{} &", "2>&1 {}", "ls 'unclosed; {}", "timeout 5 nice env sh -c 'ls; {}'",
    "python3 -c 'import os; os.system(\"{}\")'",
    "ls; " * 60 + "{}", "echo " + "a" * 12_000 + "; {}", "# x\n{}", "ls <<< $({})", "[[ -n $({}) ]]",
    "echo $(echo $({}))",
    "echo `echo \\`{}\\``", "env -i sudo -u x timeout -k 1 5 {}", "strace -f {}", "script -qc '{}' x", "tmux new '{}'",
]  # fmt: skip
SPELLINGS = ["rm -rf x", "/bin/rm x", "r\\m x", "'rm' x", '"rm" x', "r''m x", "RM x", "rm"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_denied_program_is_denied_in_every_place_and_spelling(spelling: str) -> None:
    under = policy(EVERYTHING, Rule(Effect.DENY, ("run_command",), Condition(commands=("rm", "curl"))))
    quoted = "'" in spelling or '"' in spelling
    places = [place for place in PLACES if not (quoted and ("'{}" in place or '"{}' in place or '\\"' in place))]
    wrong = [place for place in places if judged(place.format(spelling), under).effect is not Effect.DENY]
    assert wrong == []


@pytest.mark.parametrize(
    "command",
    ["$(echo r)m x", "x=rm; $x y", "echo cm0gLXJmIHgK | base64 -d | sh", "printf 'r\\155 x' | sh", "${0%x}rm x",
     "r${x}m y",
     "eval $(rev <<< 'x mr')", "$'\\x72m' x", "/bin/r? x", "{r,}m x"],
)  # fmt: skip
def test_a_name_that_is_computed_is_never_allowed(command: str) -> None:
    under = policy(EVERYTHING, Rule(Effect.DENY, ("run_command",), Condition(commands=("rm",))))
    assert judged(command, under).effect is not Effect.ALLOW


# ── nothing can be hung on ───────────────────────────────────────────────────────────────────────

BEFORE = [
    "X=1 ",
    "PATH=. ",
    "! ",
    "time ",
    "env ",
    "(",
    "{ ",
    "evil; ",
    "evil && ",
    "evil | ",
    "> f ",
    "$(evil) ",
    "\\",
    "./",
]
AFTER = ["; evil", " && evil", " || evil", " | evil", " |& evil", " & evil", " &", " $(evil)", " `evil`", ' "$(evil)"',
         "\nevil", "\n", "\r", "\revil", "\u00a0evil", "\u00a0", "\u2028evil", "\u200b", "\u202e", "\x00", "\x1b[2K",
         "\x0b",
         "\x0c", " > f", " >f", " >> f", " 2> f", " &> f", " >| f", " < f", " << E", " <<< x", " <(evil)", " >(evil)",
         " *", " ?", " [a]", " {a,b}", " ~", " ~/x", " $HOME", " ${x}", " $((1))", " !!", " \\", " \\\nevil", " '",
         ' "', " ;; evil", ";", "; ;", " |", " ||", " &&", " #\nevil", ")", "}", " 2>&1x", " >/dev/tcp/h/1",
         " 3>&1"]  # fmt: skip


@pytest.mark.parametrize("most", [4, pytest.param(None, marks=pytest.mark.slow, id="all")])
def test_whatever_is_hung_on_an_allowed_command_makes_it_ask(most: int | None) -> None:
    under = policy(EVERYTHING)
    allowed = [command for entry in profiles.read().values() for command in entry["tests"]["allow"][:1]]
    allowed = allowed if most is None else random.Random(6).sample(allowed, most)
    changed = [before + command for command in allowed for before in BEFORE]
    changed += [command + after for command in allowed for after in AFTER]
    assert [command for command in changed if judged(command, under).effect is Effect.ALLOW] == []


def test_the_longest_and_the_most_are_denied() -> None:
    under = policy(EVERYTHING)
    assert judged("echo " + "a" * grammar.LONGEST, under).effect is Effect.DENY
    assert judged("; ".join(["true"] * (grammar.MOST_SEGMENTS + 1)), under).effect is Effect.DENY
    assert judged("; ".join(["true"] * grammar.MOST_SEGMENTS), under).effect is Effect.ALLOW
    assert isinstance(grammar.parse("a" * 100_000), Refusal)
