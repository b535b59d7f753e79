"""What `covers` claims is so: wherever both rules stand in a policy, nothing is decided otherwise for the second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from openclaw.messages import ToolSpec
from openclaw.permissions.covers import covers
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Rule, decide
from openclaw.permissions.facts import BUBBLEWRAP, NO_WALLS, Assumed, Walls
from openclaw.permissions.patterns import never_carries
from openclaw.permissions.template import Template, compile_template
from permissions.laws import tried

ALLOW, ASK, DENY = Effect.ALLOW, Effect.ASK, Effect.DENY
RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command", "cwd": "path"})
WRITE = ToolSpec("write_file", "", {"properties": {"path": {}, "n": {}}}, "files", judged={"path": "path"}, writes=True)
READ_MANY = ToolSpec("read_files", "", {"properties": {"path": {}, "n": {}}}, "files", judged={"path": "path"})
FETCH = ToolSpec("web_fetch", "", {"properties": {"url": {}}}, "web", judged={"url": "url"})


def shell(name: str, command: str) -> ToolSpec:
    template = compile_template(command, {})
    assert isinstance(template, Template)
    return ToolSpec(name, "", {"properties": {}}, "shell", {"template": template})


TIDY, BUILD = shell("tidy", "rm old.txt | wc"), shell("build", "make test && sudo ls")


class Machine(Assumed):
    """One on which programs are installed, with these walls."""

    def __init__(self, walls: Walls) -> None:
        self._walls = walls

    def walls(self) -> Walls:
        return self._walls


# ── what is drawn ────────────────────────────────────────────────────────────────────────────────

ENTRIES = [
    "ls", "ls -la", "ls **", "ls * -a", "cat", "cat /etc/hosts", "cat .env", "make", "make test", "make test **",
    "make **", "make *", "git", "git log", "git log -p", "git push", "git push **", "git *", "git push * main", "sudo",
    "sudo ls", "sh", "sh -c ls", "sh **", "mytool", "mytool **", "mytool /etc/x **", "mytool * a", "/usr/bin/make test",
    "/usr/bin/make", "MAKE", "python x.py", "python **", "find", "rm", "rm old.txt", "env ls",
]  # fmt: skip
COMMANDS = [
    "ls", "ls -la", "ls x -a", "cat notes/a", "cat /etc/hosts", "cat .env", "make", "make test", "make test -j 4",
    "make -f x test", "git log", "git log -p", "git push", "git push origin main", "git -C x push", "git -c a=b log",
    "sudo ls", "sh -c ls", "sh -c 'make test'", "mytool", "mytool /etc/x b", "mytool q a", "/usr/bin/make test",
    "python x.py", "find . -exec rm {} ;", "find . -name x", "rm old.txt", "env ls", "ls | make test", "ls && rm x",
    "ls > x", "$(make test)", "sudo ls > x", "git push; mytool x", "make test -j | wc", "mytool /etc/x b; ls",
]  # fmt: skip
GLOBS = ["**", "*", "notes/**", "notes", "notes/a*", "notes/a/**", "src/**", "*.key", "notes/*", "./notes/**", "."]
PATHS = ["notes/a", "notes/a/b", "src/x", "x.key", "notes", ".", "other", "NOTES/A", "src/notes", "/etc/x"]
HOSTS = ["*", "x.org", "*.x.org", "a.x.org", "*.a.x.org", "X.org", "y.net"]
URLS = ["https://x.org/", "http://a.x.org", "https://b.a.x.org:8", "https://y.net", "https://X.ORG", "ftp://x.org"]
SCHEMAS: list[dict[str, Any]] = [{"minimum": 3}, {"const": 1}, {"const": True}, {"type": "integer"}, {"pattern": "a"}]


def some(values: list[str], most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most).map(tuple)


WHO: dict[str, st.SearchStrategy[Any]] = {
    "sender": st.none() | some(["ana", "ben", "group:ops", "repl:local"]),
    "channel": st.none() | some(["repl", "http", "*"], 2),
    "heartbeat": st.none() | st.none() | some(["nightly", "*"], 2),
    "tainted": st.none() | st.none() | st.booleans(),
}
INPUT = st.dictionaries(st.sampled_from(["n", "path"]), st.sampled_from(SCHEMAS), min_size=1)
CONDITIONS = st.one_of(
    st.builds(Condition, commands=some(ENTRIES), **WHO),
    st.builds(Condition, paths=some(GLOBS), **WHO),
    st.builds(Condition, hosts=some(HOSTS), **WHO),
    st.builds(Condition, input=INPUT, **WHO),
    st.builds(Condition, **WHO),
    st.just(Condition()),
)
TOOLS = st.sampled_from(
    [("run_command",), ("run_command",), ("write_file",), ("*",), ("*_file", "run_command"), ("web_fetch",),
     ("tidy", "build"), ("tidy",), ("run_*",), ("write_*", "read_*"), ("read_files", "write_file")]
)  # fmt: skip
SELDOM = st.sampled_from([False, False, False, True])
REASONS = st.none() | st.none() | st.just("why")
ALLOWS = st.builds(
    Rule, st.just(ALLOW), TOOLS, CONDITIONS, until=st.sampled_from([None, None, "2020-01-01", "2099-01-01"]),
    unsafe=SELDOM, network=SELDOM, writes=SELDOM,
)  # fmt: skip
TIGHT = st.builds(
    Rule, st.sampled_from([ASK, DENY]), TOOLS, CONDITIONS, st.none() | st.none() | CONDITIONS, reason=REASONS,
    network=SELDOM,
)  # fmt: skip
RULES = st.one_of(ALLOWS, TIGHT)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Rule, Rule]:
    """Two rules, the second often made of the first: drawn apart they seldom speak of the same."""
    a = draw(RULES)
    b = draw(RULES)
    for name in ("tools", "when", "unless"):
        if draw(st.integers(0, 2)):
            b = replace(b, **{name: getattr(a, name)})
    if draw(st.booleans()):
        for name in ("commands", "paths", "hosts", "input", "sender"):
            if draw(st.integers(0, 3)) == 0:
                b = replace(b, when=replace(b.when, **{name: getattr(draw(CONDITIONS), name)}))
    if b.effect is ALLOW:
        b = replace(b, unless=None, reason=None)
    else:
        b = replace(b, until=None, unsafe=False, writes=False)
    return a, b


CALLS = st.one_of(
    st.tuples(st.just(RUN), st.fixed_dictionaries({"command": st.sampled_from(COMMANDS)})),
    st.tuples(st.just(RUN), st.fixed_dictionaries({"command": st.sampled_from(COMMANDS)})),
    st.tuples(st.just(RUN), st.fixed_dictionaries({"command": st.sampled_from([e for e in ENTRIES if "*" not in e])})),
    st.tuples(
        st.just(WRITE),
        st.fixed_dictionaries({"path": st.sampled_from(PATHS)}, optional={"n": st.sampled_from([1, True, 5, "a"])}),
    ),
    st.tuples(st.just(READ_MANY), st.fixed_dictionaries({"path": st.lists(st.sampled_from(PATHS), max_size=3)})),
    st.tuples(st.just(FETCH), st.fixed_dictionaries({"url": st.sampled_from(URLS)})),
    st.tuples(st.sampled_from([TIDY, BUILD]), st.just({})),
)
ATTEMPTS = st.builds(
    lambda call, **who: Attempt(call[0], call[1], "main", workspace=Path("/ws"), now="2026-11-28T12:00:00Z", **who),
    CALLS,
    sender=st.sampled_from(["repl:local", "http:x/ben"]),
    person=st.sampled_from([None, "ana", "ben"]),
    groups=st.sampled_from([frozenset(), frozenset({"ops"})]),
    channel=st.sampled_from(["repl", "http", "cron"]),
    heartbeat=st.sampled_from([None, None, "nightly"]),
    untrusted=st.sampled_from(["", "", "a page"]),
)


def told(decision: Decision) -> tuple[Any, ...]:
    """What is decided of the call as a whole, and what will hold it."""
    held = decision.command.confinement if decision.command is not None else None
    given = None if held is None or decision.effect is DENY else replace(held, shown=tuple(sorted(held.shown)))
    return decision.effect, given


@tried(
    pairs(),
    st.lists(RULES, max_size=2),
    st.sampled_from([ASK, DENY]),
    st.sampled_from([BUBBLEWRAP, NO_WALLS]),
    st.lists(ATTEMPTS, min_size=6, max_size=12),
)
def test_a_rule_that_is_covered_changes_no_decision(
    pair: tuple[Rule, Rule], others: list[Rule], default: Effect, walls: Walls, attempts: list[Attempt]
) -> None:
    a, b = pair
    if covers(a, b, default) is not True:
        return
    facts = Machine(walls)
    without = Policy("p", (a, *others), default)
    for attempt in attempts:
        expected = told(decide(attempt, without, facts))
        assert told(decide(attempt, replace(without, rules=(a, b, *others)), facts)) == expected, attempt.input


@tried(pairs())
def test_a_rule_covers_itself_and_no_stricter_one(pair: tuple[Rule, Rule]) -> None:
    a, b = pair
    assert (covers(a, b) is False) == (a.effect < b.effect)
    if a.effect is not ALLOW and "." not in str(a.when.hosts):
        assert covers(a, replace(a, id="again")) is True


# ── what it knows ────────────────────────────────────────────────────────────────────────────────


def rule(effect: Effect, *tools: str, **when: Any) -> Rule:
    known = {key: when.pop(key) for key in ("until", "unsafe", "network", "writes", "reason", "unless") if key in when}
    return Rule(effect, tools or ("run_command",), Condition(**when), **known)


COVERED = {
    "the same commands": (rule(ALLOW, commands=("ls",)), rule(ALLOW, commands=("ls",))),
    "a longer entry behind a final `**`": (
        rule(ALLOW, commands=("make test **",)),
        rule(ALLOW, commands=("make test", "make test -j *")),
    ),
    "arguments behind a program with a profile": (rule(ALLOW, commands=("git",)), rule(ALLOW, commands=("git log",))),
    "an allow under a deny": (rule(DENY, commands=("ls",)), rule(ALLOW, commands=("ls -la", "ls"))),
    "an allow under an ask": (rule(ASK, commands=("git push",)), rule(ALLOW, commands=("git push origin",))),
    "an ask under a deny": (rule(DENY, commands=("rm",)), rule(ASK, commands=("rm -r",))),
    "a folder in a folder": (
        rule(DENY, "write_file", paths=("notes/**",)),
        rule(ALLOW, "write_file", paths=("notes/old/**", "notes/a.md")),
    ),
    "every path": (rule(DENY, "*_file", paths=("**",)), rule(ALLOW, "write_file", paths=("notes/**",))),
    "a host below another": (rule(ASK, "web_fetch", hosts=("*.x.org",)), rule(ALLOW, "web_fetch", hosts=("a.X.org",))),
    "a person among several": (
        rule(ALLOW, "read_file", sender=("ana", "ben")),
        rule(ALLOW, "read_file", sender=("ana",), channel=("repl",)),
    ),
    "a glob of tools": (rule(DENY, "memory_*"), rule(DENY, "memory_list", paths=("x",))),
    "what ends sooner": (rule(ALLOW, "read_file"), rule(ALLOW, "read_file", until="2030-01-01")),
}


@pytest.mark.parametrize("case", COVERED)
def test_it_sees(case: str) -> None:
    assert covers(*COVERED[case]) is True


UNKNOWN = {
    "an allow that opens a file by naming it": (
        rule(ALLOW, commands=("cat **",)),
        rule(ALLOW, commands=("cat .env",)),
    ),
    "an allow that gives the network": (rule(ALLOW, commands=("ls",)), rule(ALLOW, commands=("ls",), network=True)),
    "an ask that gives the network": (rule(ASK), rule(ASK, commands=("curl",), network=True)),
    "an ask with a reason of its own": (rule(ASK), rule(ASK, commands=("curl",), reason="it uses the network")),
    "a forbidden program, which is one in templates too": (rule(DENY), rule(DENY, commands=("sudo",))),
    "an exception": (rule(DENY, unless=Condition(sender=("ana",))), rule(ALLOW, commands=("ls",))),
    "a wrapper that permits more than it carries": (
        rule(ALLOW, commands=("sh **",)),
        rule(ALLOW, commands=("sh -c ls",)),
    ),
    "other arguments": (rule(DENY, commands=("git push",)), rule(ALLOW, commands=("git",))),
    "a name at any depth": (rule(DENY, "write_file", paths=("notes/**",)), rule(ALLOW, "write_file", paths=("notes",))),
    "no stranger's material": (rule(DENY, "web_fetch", tainted=True), rule(ALLOW, "web_fetch")),
    "what ends": (rule(ALLOW, "read_file", until="2030-01-01"), rule(ALLOW, "read_file")),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_it_does_not_claim(case: str) -> None:
    assert covers(*UNKNOWN[case]) is None


def test_under_a_default_of_deny_an_allow_may_make_what_it_names_stricter() -> None:
    a, b = rule(ASK, commands=("ls",)), rule(ALLOW, commands=("ls",))
    assert (covers(a, b), covers(a, b, DENY)) == (True, None)
    attempt = Attempt(RUN, {"command": "ls --what"}, "main", "repl:local", workspace=Path("/ws"))
    assert [decide(attempt, Policy("p", rules, DENY), Assumed()).effect for rules in ((a,), (a, b))] == [ASK, DENY]


@pytest.mark.parametrize("entry", ["sh -c *", "python tools/gen.py *", "kubectl get *", "nice * ls", "make *", "ls *"])
def test_an_entry_that_is_said_to_carry_nothing_allows_nothing(entry: str) -> None:
    policy = Policy("p", (rule(ALLOW, commands=(entry,)),), ASK)
    allowed = [
        word
        for word in ("pods", "x.txt", "all", "-a")
        if decide(
            Attempt(RUN, {"command": entry.replace("*", word)}, "main", "repl:local", workspace=Path("/ws")),
            policy,
            Assumed(),
        ).effect
        is ALLOW
    ]
    assert bool(allowed) is not never_carries(entry)
