"""A machine that is taken to stand still answers as the same machine looked at anew, and so are decisions the same."""

from __future__ import annotations

import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw.messages import ToolSpec
from openclaw.permissions import profiles
from openclaw.permissions.decide import (
    Attempt,
    Condition,
    Decision,
    Docket,
    Effect,
    Policy,
    Rule,
    decide,
    decision_json,
)
from openclaw.permissions.facts import BUBBLEWRAP, Disk
from permissions import judges, test_evasions

RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command", "cwd": "path"})
MORE = [
    "cat in/a loop/x far/passwd near/deep/f", "ls far/..", "cat gone/../near/deep/f", "cat near/deep/f/", "cat f/x",
    "ls . ./ ..", "cat /etc/passwd", "wc //etc/hosts", "head .env near/.ssh/id_rsa", "sort -o out f", "./run", "ls ~",
    "cat \ud800 gone/\ud800", "sudo cat far/shadow", "/usr/bin/sudo ls", "find near -name '*.md'", "git -C near status",
]  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """With links that lead inside, outside, in a circle and nowhere."""
    place = tmp_path.resolve() / "ws"
    (place / "near" / "deep").mkdir(parents=True)
    (place / "near" / "deep" / "f").write_text("x")
    (place / "f").write_text("x")
    for name, target in {"in": "near/deep", "far": "/etc", "loop": "loop", "lost": "gone/there", "up": ".."}.items():
        (place / name).symlink_to(target)
    return place


def policy(workspace: Path) -> Policy:
    """Some of everything: programs within profiles, words spelt out, questions, prohibitions, paths and exceptions."""
    here = ("run_command",)
    rules = (
        Rule(Effect.ALLOW, ("run_*",), Condition(commands=tuple(sorted(profiles.names())))),
        Rule(Effect.ALLOW, here, Condition(commands=("make test", "npm run *", "/bin/ls **")), writes=True),
        Rule(Effect.ASK, here, Condition(commands=("curl", "git push", "PIP")), network=True),
        Rule(Effect.DENY, ("*",), Condition(commands=("sudo", "/usr/bin/tar", "rm -rf", "find * -delete"))),
        Rule(Effect.DENY, here, Condition(commands=("dd",)), unless=Condition(commands=("dd --help",))),
        Rule(Effect.DENY, here, Condition(paths=("near/deep/**", "*.pem"))),
    )
    return Policy("p", rules, trusted_repositories=(workspace,))


def commands() -> list[str]:
    own = [command for command, _ in judges.attacks()]
    tests = [entry["tests"] for entry in profiles.read().values()]
    own += [command for test in tests for command in (*test["allow"], *test.get("ask", ()))]
    own += [text.format(name) for text in test_evasions.PLACES for name in ("sudo ls", "/bin/dd if=x")]
    return [*own, *judges.unmasked()]


def told(decision: Decision) -> object:
    return decision_json(decision), decision.details


@pytest.mark.parametrize("most", [200, pytest.param(None, marks=pytest.mark.slow, id="all")])
def test_decisions_made_together_are_those_made_one_by_one(workspace: Path, most: int | None) -> None:
    under = policy(workspace)
    blank = Attempt(RUN, {}, "main", "repl:local", workspace=workspace, protected=(workspace.parent,))
    docket, disk = Docket.of(blank, under), Disk(walls=lambda: BUBBLEWRAP)
    still = disk.still()
    chosen = commands() if most is None else random.Random(8).sample(commands(), most)
    found = set()
    for command, folder in zip([*chosen, *MORE], itertools.cycle((".", "near", ".", "in"))):
        attempt = replace(blank, input={"command": command, "cwd": folder})
        one = decide(attempt, under, disk)
        assert told(docket.judge(attempt, still)) == told(one), command
        found.add(one.effect)
    assert found == set(Effect), "some of each are among them"


def test_nothing_can_run_by_a_decision_made_together(workspace: Path) -> None:
    attempt = Attempt(RUN, {"command": "ls"}, "main", "repl:local", workspace=workspace)
    disk = Disk(walls=lambda: BUBBLEWRAP)
    decision = Docket.of(attempt, policy(workspace)).judge(attempt, disk.still())
    assert decision.effect is Effect.ALLOW
    assert decision.command is not None and decision.command.confinement is None


def test_paths_lead_where_they_lead_when_each_is_looked_at_anew(workspace: Path) -> None:
    disk = Disk()
    still = disk.still()
    words = ["near", "deep", "f", "in", "far", "loop", "lost", "up", "gone", "..", ".", "", "x" * 300, "a\0b", "\ud800"]
    paths = ["/".join(parts) for count in (1, 2) for parts in itertools.product(words, repeat=count)]
    paths += ["/".join(random.Random(count).choices(words, k=count % 4 + 3)) for count in range(600)]
    wrong = [path for path in paths if still.resolve(path, workspace) != disk.resolve(path, workspace)]
    assert wrong == []
    from_the_root = [f"/{path}" for path in paths[:200]] + [f"//{path}" for path in ("etc", "etc/hosts", "bin/ls")]
    assert [path for path in from_the_root if still.resolve(path, Path("/")) != disk.resolve(path, Path("/"))] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_may_not_be_entered_leads_nowhere(workspace: Path) -> None:
    (workspace / "near").chmod(0)
    try:
        for path in ("near/deep", "near/deep/f", "near/x"):
            assert Disk().still().resolve(path, workspace) == Disk().resolve(path, workspace) is None
    finally:
        (workspace / "near").chmod(0o700)


def test_what_changes_is_seen_by_the_next_look_and_not_by_this_one(workspace: Path) -> None:
    disk = Disk()
    still = disk.still()
    assert still.resolve("f", workspace) == workspace / "f"
    (workspace / "f").unlink()
    (workspace / "f").symlink_to("/etc/passwd")
    assert still.resolve("f", workspace) == workspace / "f"
    assert disk.resolve("f", workspace) == disk.still().resolve("f", workspace) == Path("/etc/passwd")


def test_programs_are_those_of_the_machine(workspace: Path) -> None:
    disk = Disk()
    still = disk.still()
    for name in ("ls", "sh", "no-such-program", "/bin/ls", "/etc/passwd", "./ls", "near/deep/f", str(workspace / "f")):
        assert still.find_program(name) == disk.find_program(name)
    for folder in (workspace, workspace / "near", Path("/")):
        for roots in ((), (workspace,), (workspace.parent,)):
            assert still.trusts(folder, roots) == disk.trusts(folder, roots)
