"""The lattice as laws: order plays no part, prohibitions only tighten, appendages never loosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st

from openclaw.messages import ToolSpec
from openclaw.permissions.decide import Attempt, Condition, Effect, Policy, Rule, decide
from openclaw.permissions.facts import Assumed
from permissions.laws import tried

RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command", "cwd": "path"})
WRITE = ToolSpec("write_file", "", {"properties": {}}, "files", judged={"path": "path"}, writes=True)
FACTS = Assumed()

NAMES = ["ls", "cat", "grep", "rm", "git", "make", "find", "sh", "echo", "make test", "git push"]
ENTRIES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple)
SENDERS = st.none() | st.sampled_from([("ana",), ("nader",), ("repl:local",)])
COMMANDS_CONDITION = st.builds(Condition, commands=ENTRIES, sender=SENDERS)
PATHS_CONDITION = st.builds(
    Condition, paths=st.sampled_from([("notes/**",), ("*.key",), ("**",), ("src",)]), sender=SENDERS
)
CONDITIONS = st.one_of(COMMANDS_CONDITION, PATHS_CONDITION, st.builds(Condition, sender=SENDERS))
TOOLS = st.sampled_from([("run_command",), ("write_file",), ("*",), ("run_*", "write_file")])
ALLOWS = st.builds(Rule, st.just(Effect.ALLOW), TOOLS, CONDITIONS, unsafe=st.booleans())
TIGHT = st.builds(Rule, st.sampled_from([Effect.ASK, Effect.DENY]), TOOLS, CONDITIONS, st.none() | CONDITIONS)
RULES = st.lists(st.one_of(ALLOWS, TIGHT), max_size=6)
DEFAULTS = st.sampled_from([Effect.ASK, Effect.DENY])

PARTS = st.sampled_from(
    ["ls", "ls -la", "cat notes/a", "cat /etc/passwd", "grep -r x src", "rm x", "git status", "git push -f",
     "make test", "make", "find . -name x", "find . -delete", "sh -c 'rm x'", "echo 'a; rm b'", "cat x.key",
     "ls --what", "env rm x"]
)  # fmt: skip
JOINS = st.sampled_from([" | ", " && ", "; ", " || "])
PLAIN = st.tuples(PARTS, st.lists(st.tuples(JOINS, PARTS), max_size=3)).map(
    lambda made: made[0] + "".join(join + part for join, part in made[1])
)
COMMANDS = st.one_of(PLAIN, st.tuples(PLAIN, st.sampled_from([" > f", " $(rm x)", " &", "\nrm x", " *"])).map("".join))


def effect(command: str, rules: list[Rule], default: Effect, path: str | None = None) -> Effect:
    tool, input = (RUN, {"command": command}) if path is None else (WRITE, {"path": path})
    attempt = Attempt(tool, input, "main", "repl:local", person="ana", workspace=Path("/ws"))
    return decide(attempt, Policy("p", tuple(rules), default), FACTS).effect


@tried(COMMANDS, RULES, DEFAULTS, st.randoms())
def test_the_order_of_rules_plays_no_part(command: str, rules: list[Rule], default: Effect, random: object) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert effect(command, rules, default) == effect(command, shuffled, default)


@tried(COMMANDS, RULES, TIGHT, DEFAULTS)
def test_adding_an_ask_or_a_deny_never_loosens(command: str, rules: list[Rule], more: Rule, default: Effect) -> None:
    before = effect(command, rules, default)
    assert effect(command, [*rules, more], default) >= spoken(before, more, default)


def spoken(before: Effect, more: Rule, default: Effect) -> Effect:
    """What must still hold at least. A default of deny stands for calls no rule speaks of: an ask rule that does
    speak of one makes it ask, as its author meant, and never anything looser."""
    return min(before, Effect.ASK) if default is Effect.DENY and more.effect is Effect.ASK else before


@tried(st.sampled_from(["notes/a", "a", "x.key", "/etc/x", ".env", "src/a"]), RULES, TIGHT, DEFAULTS)
def test_nor_for_paths(path: str, rules: list[Rule], more: Rule, default: Effect) -> None:
    assert effect("", [*rules, more], default, path) >= spoken(effect("", rules, default, path), more, default)


@tried(COMMANDS, RULES, ALLOWS)
def test_adding_an_allow_never_lifts_a_deny(command: str, rules: list[Rule], more: Rule) -> None:
    if effect(command, rules, Effect.ASK) is Effect.DENY:
        assert effect(command, [*rules, more], Effect.ASK) is Effect.DENY


@tried(COMMANDS, RULES)
def test_a_stricter_default_never_loosens(command: str, rules: list[Rule]) -> None:
    assert effect(command, rules, Effect.DENY) >= effect(command, rules, Effect.ASK)


@tried(PLAIN, st.lists(ALLOWS | TIGHT.filter(lambda rule: rule.unless is None), max_size=6), JOINS, PARTS)
def test_a_chain_is_as_strict_as_its_strictest_part(command: str, rules: list[Rule], join: str, more: str) -> None:
    assert effect(command + join + more, rules, Effect.ASK) >= effect(command, rules, Effect.ASK)


EVERYTHING = [Rule(Effect.ALLOW, ("run_command",), Condition(commands=("ls", "cat", "echo", "grep", "find", "wc")))]
APPENDED = [
    "; pwn", " && pwn", " | pwn", " || pwn", " $(pwn)", " `pwn`", "\npwn", " > f", " >> f", " < f", "\rpwn",
    "\u00a0pwn", " &", " & pwn",
    "\0", " |& pwn", " <(pwn)", " 2>f", " ;; pwn", " \\\npwn", " {a,b}", " ${x}", " ~/x", " *", "\u2028pwn", "\u200b",
]  # fmt: skip


@pytest.mark.parametrize(
    "command", ["ls", "ls -la", "cat a b", "echo hi", "grep -rn x .", "find . -name x", "ls | wc -l"]
)
def test_nothing_appended_to_an_allowed_command_is_allowed(command: str) -> None:
    assert effect(command, EVERYTHING, Effect.ASK) is Effect.ALLOW
    made = ["X=1 " + command, *(command + tail for tail in APPENDED)]
    assert [text for text in made if effect(text, EVERYTHING, Effect.ASK) is Effect.ALLOW] == []


@tried(st.text(max_size=60), RULES)
def test_no_text_raises_and_none_is_allowed_by_no_rule(command: str, rules: list[Rule]) -> None:
    assert effect(command, [rule for rule in rules if rule.effect is not Effect.ALLOW], Effect.ASK) is not Effect.ALLOW


EDITS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([*" ;|&$`'\"\\<>(){}*?~#!=\n\r\t-/.é", ""])), min_size=1, max_size=4
)


@tried(PLAIN, EDITS)
def test_no_edit_of_a_command_makes_the_decision_fail(command: str, edits: list[tuple[int, str]]) -> None:
    for place, char in edits:
        command = command[:place] + char + command[place + 1 :]
    attempt = Attempt(RUN, {"command": command}, "main", "repl:local", workspace=Path("/ws"))
    decision = decide(attempt, Policy("p", tuple(EVERYTHING)), FACTS)
    assert "could not be made" not in decision.reason
    if decision.effect is Effect.ALLOW:
        assert decision.command is not None and decision.refusal is None
