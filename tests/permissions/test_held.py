"""What runs unasked on which machine: the sandbox that works there, what the policy says of it, and what it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from openclaw.manifest.builtins import BUILTINS
from openclaw.messages import Confinement, ToolSpec
from openclaw.permissions import binding, display
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Rule, decide
from openclaw.permissions.facts import BUBBLEWRAP, LANDLOCK, NO_WALLS, Disk, Walls
from openclaw.permissions.policy import Sandbox
from openclaw.permissions.template import Template, compile_template

MACHINES = {"bubblewrap": BUBBLEWRAP, "landlock": LANDLOCK, "none": NO_WALLS}
NAMES = ("ls", "cat", "grep", "git", "ps", "touch made")


def judged(
    command: str,
    workspace: Path,
    walls: Walls = BUBBLEWRAP,
    *,
    sandbox: Sandbox = "auto",
    trusted: tuple[Path, ...] = (),
    network: bool = False,
    writes: bool = False,
    protected: tuple[Path, ...] = (),
    names: tuple[str, ...] = NAMES,
    unsearched: str = "",
) -> Decision:
    rule = Rule(Effect.ALLOW, ("run_command",), Condition(commands=names), network=network, writes=writes)
    policy = Policy("p", (rule,), sandbox=sandbox, trusted_repositories=trusted)
    attempt = Attempt(
        BUILTINS["run_command"], {"command": command}, "main", "repl:local", workspace=workspace, protected=protected
    )
    return decide(attempt, policy, Disk(walls=lambda: walls, unsearched=lambda workspace, roots: unsearched))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "site"
    (folder / ".git").mkdir(parents=True)
    (folder / "sub").mkdir()
    return folder


TABLE = {
    #                       auto                       required                   off
    #                       bwrap  landlock none       bwrap  landlock none       any
    "ls -la":              ("allow", "allow", "allow", "allow", "allow", "ask",   "allow"),
    "cat notes | grep x":  ("allow", "allow", "allow", "allow", "allow", "ask",   "allow"),
    "grep -r x .":         ("allow", "ask",   "ask",   "allow", "ask",   "ask",   "ask"),
    "touch made":          ("allow", "ask",   "ask",   "allow", "ask",   "ask",   "allow"),
    "git status":          ("allow", "ask",   "ask",   "allow", "ask",   "ask",   "ask"),
    "ls -la; git status":  ("allow", "ask",   "ask",   "allow", "ask",   "ask",   "ask"),
    "rm -rf x":            ("ask",   "ask",   "ask",   "ask",   "ask",   "ask",   "ask"),
}  # fmt: skip


@pytest.mark.parametrize("command", TABLE)
def test_what_runs_unasked_depends_on_what_works_here(command: str, repository: Path) -> None:
    machines = [("auto", *one) for one in MACHINES.items()] + [("required", *one) for one in MACHINES.items()]
    found = [
        judged(command, repository, walls, sandbox=sandbox, trusted=(repository,))  # type: ignore[arg-type]
        for sandbox, _, walls in [*machines, ("off", "none", NO_WALLS)]
    ]
    assert tuple(each.effect.name.lower() for each in found) == TABLE[command]


def test_the_reason_says_what_is_missing(repository: Path) -> None:
    def reason(command: str, walls: Walls, sandbox: Sandbox = "auto") -> str:
        return judged(command, repository, walls, sandbox=sandbox, trusted=(repository,)).reason

    assert "no sandbox works here" in reason("touch made", NO_WALLS)
    assert "(landlock) cannot hide single files or cut off every network" in reason("git status", LANDLOCK)
    assert "would read what is protected" in reason("grep -r x .", LANDLOCK)
    assert "the policy requires a sandbox" in reason("ls", NO_WALLS, "required")
    assert "switched the sandbox off" in reason("git status", BUBBLEWRAP, "off")


@pytest.mark.parametrize("command", TABLE)
def test_in_a_workspace_that_cannot_be_searched_runs_what_runs_without_masks(command: str, repository: Path) -> None:
    large = judged(command, repository, trusted=(repository,), unsearched="it is too large")
    assert large.effect.name.lower() == TABLE[command][1]
    lenient = confinement(large).lenient
    assert lenient  # in what asks too: whoever agrees is told of it afterwards
    if large.effect is Effect.ASK and command != "rm -rf x":
        assert "it is too large" in large.reason
        assert not confinement(judged(command, repository, trusted=(repository,))).lenient


# ── repositories ─────────────────────────────────────────────────────────────────────────────────


def asks(workspace: Path, *roots: Path) -> bool:
    return judged("git status", workspace, trusted=roots).effect is Effect.ASK


def test_git_reads_unasked_only_in_the_repository_that_is_trusted(repository: Path) -> None:
    assert asks(repository)
    assert asks(repository, repository.parent / "other")
    assert asks(repository, repository.parent / "sit")
    assert not asks(repository, repository)
    assert not asks(repository / "sub", repository)
    assert asks(repository.parent, repository)


def test_a_forged_pointer_is_not_followed(repository: Path) -> None:
    (repository / "sub" / ".git").write_text("gitdir: /tmp/evil\n")
    assert asks(repository / "sub", repository)
    assert asks(repository / "sub", repository, repository / "sub")


def test_a_repository_that_points_elsewhere_is_not_trusted(repository: Path) -> None:
    (repository / ".git" / "commondir").write_text("/tmp/evil\n")
    assert asks(repository, repository)


def test_a_link_in_the_place_of_the_repository_is_not_trusted(repository: Path) -> None:
    (repository / ".git").rename(repository / "kept")
    (repository / ".git").symlink_to("kept")
    assert asks(repository, repository)


def test_a_root_that_is_a_link_is_not_trusted_itself(repository: Path) -> None:
    link = repository.parent / "link"
    link.symlink_to(repository)
    assert asks(repository, link)
    assert not asks(link, repository)


def test_a_folder_that_looks_like_a_repository_is_not_trusted(repository: Path) -> None:
    for name in ("HEAD", "objects", "refs"):
        (repository / "sub" / name).mkdir()
    assert asks(repository / "sub", repository)
    assert not asks(repository, repository)


def test_a_repository_inside_the_trusted_one_is_another(repository: Path) -> None:
    (repository / "sub" / ".git").mkdir()
    assert asks(repository / "sub", repository)


# ── what holds it ────────────────────────────────────────────────────────────────────────────────


def confinement(decision: Decision) -> Confinement:
    assert decision.command is not None and decision.command.confinement is not None
    return decision.command.confinement


def test_unasked_reads_and_agreed_writes(repository: Path) -> None:
    unasked = confinement(judged("ls", repository))
    assert (unasked.mechanism, unasked.writable, unasked.network) == ("bubblewrap", False, False)
    asked = confinement(judged("rm x", repository))
    assert (asked.writable, asked.workspace) == (True, repository)
    assert confinement(judged("ls", repository, sandbox="off")).mechanism == "none"
    assert confinement(judged("ls", repository, NO_WALLS)).mechanism == "none"


def test_only_a_rule_gives_a_network_and_only_to_what_it_names(repository: Path) -> None:
    assert confinement(judged("touch made", repository, network=True)).network
    assert not confinement(judged("rm x", repository, network=True)).network


def test_what_is_named_by_a_command_that_asks_is_shown_and_nothing_else(repository: Path) -> None:
    state = repository.parent / "state"
    state.mkdir()
    asked = confinement(judged("cat .env ../other notes --x=/etc/fstab", repository, protected=(state,)))
    assert set(asked.shown) == {repository / ".env", repository.parent / "other", Path("/etc/fstab")}
    assert asked.hidden == (state,)
    through_shell = confinement(judged("cat $(cat .env) /etc/fstab > out", repository))
    assert set(through_shell.shown) >= {repository / ".env", Path("/etc/fstab")}
    assert confinement(judged("cat notes", repository)).shown == ()


def test_only_a_rule_lets_what_runs_unasked_write(repository: Path) -> None:
    assert confinement(judged("touch made", repository, writes=True)).writable
    assert not confinement(judged("touch made", repository)).writable
    assert judged("touch made", repository, LANDLOCK, writes=True).effect is Effect.ASK


def test_what_a_rule_gives_to_one_program_of_a_line_does_not_reach_another(repository: Path) -> None:
    attempt = Attempt(BUILTINS["run_command"], {}, "main", "repl:local", workspace=repository)
    facts = Disk(walls=lambda: BUBBLEWRAP)
    for more in ({"writes": True}, {"network": True}):
        given = Rule(Effect.ALLOW, ("run_command",), Condition(commands=("touch *",)), **more)
        plain = Rule(Effect.ALLOW, ("run_command",), Condition(commands=("python3 gen.py", "cat")), unsafe=True)

        policy = Policy("p", (given, plain))

        def effect(command: str, policy: Policy = policy) -> Effect:
            return decide(replace(attempt, input={"command": command}), policy, facts).effect

        assert effect("touch a") is effect("python3 gen.py") is Effect.ALLOW
        assert effect("touch a; python3 gen.py") is effect("python3 gen.py | touch a") is Effect.ASK
        assert effect("touch a && cat a") is Effect.ALLOW, "its profile holds it, whatever it might do"


def test_paths_that_the_author_of_a_rule_wrote_are_shown_and_no_others(repository: Path) -> None:
    names = ("touch /var/log/dpkg.log **",)
    unasked = judged("touch /var/log/dpkg.log /etc/fstab", repository, names=names)
    assert unasked.effect is Effect.ALLOW
    assert confinement(unasked).shown == (Path("/var/log/dpkg.log"),)


def template(text: str, *, writes: bool = False) -> ToolSpec:
    compiled = compile_template(text, {"name": {"type": "string"}})
    assert isinstance(compiled, Template)
    return ToolSpec("log", "", {}, "shell", {"template": compiled, "env": {}, "writes": writes})


def test_paths_that_stand_in_a_template_are_shown_and_those_of_the_model_are_not(repository: Path) -> None:
    policy = Policy("p", (Rule(Effect.ALLOW, ("log",)),))

    def unasked(tool: ToolSpec) -> Confinement:
        attempt = Attempt(tool, {"name": "/etc/fstab"}, "main", "repl:local", workspace=repository)
        found = decide(attempt, policy, Disk(walls=lambda: BUBBLEWRAP))
        assert found.effect is Effect.ALLOW, found.reason
        return confinement(found)

    assert unasked(template("touch /var/log/dpkg.log {name}")).shown == (Path("/var/log/dpkg.log"),)
    assert unasked(template("touch .env {name}")).shown == (repository / ".env",)
    # Where a link in the workspace leads was written by nobody who may say so.
    (repository / "build.log").symlink_to("/var/log/dpkg.log")
    (repository / "notes").symlink_to(".env")
    (repository / "logs").symlink_to("/var/log")
    text = "touch build.log notes logs/dpkg.log ../site/notes /var/../var/log/dpkg.log --exclude=.env {name}"
    assert unasked(template(text)).shown == ()
    assert not unasked(template("touch {name}")).writable
    assert unasked(template("touch {name}", writes=True)).writable


@pytest.mark.parametrize(
    ("command", "opened"),
    [
        ("git remote add origin https://example.org", True),
        ("git -C . config user.name x", True),
        ("git checkout -b t --track other", True),
        ("git checkout t", False),
        ("git commit -m config", False),
        ("git push -u origin main", True),
        ("git branch -d t", True),
        ("git branch", False),
        ("git branch -a", False),
        ("git remote -v", False),
        ("git config --get user.name", False),
        ("git config user.name", False),
        ("git -c core.hooksPath=h checkout -b n", False),
        ("git --exec-path=. init", False),
        ("./git init", False),
        ("tools/git remote add origin x", False),
        ("git init; ls", True),
        ("git init; make", False),
        ("make", False),
    ],
)
def test_git_may_change_its_configuration_where_the_person_reads_that_it_will(
    command: str, opened: bool, repository: Path
) -> None:
    decision = judged(command, repository)
    assert decision.effect is Effect.ASK
    assert confinement(decision).opened == (("config", "config.worktree") if opened else ())
    attempt = Attempt(BUILTINS["run_command"], {"command": command}, "main", "repl:local", workspace=repository)
    assert ("  (it may change .git/config, .git/config.worktree)" in display.lines(attempt, decision)) is opened


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("git checkout t", True),
        ("git -C . pull", True),
        ("git -c core.hooksPath=h checkout t", False),
        ("tools/git submodule add x", False),
        ("git commit -m checkout", False),
        ("git checkout t; ls", True),
        ("git checkout t; make", False),
        ("make", False),
    ],
)
def test_git_may_check_settings_out_where_the_person_reads_that_it_will(
    command: str, settings: bool, repository: Path
) -> None:
    decision = judged(command, repository)
    assert confinement(decision).settings is settings
    attempt = Attempt(BUILTINS["run_command"], {"command": command}, "main", "repl:local", workspace=repository)
    assert any("files that programs obey" in line for line in display.lines(attempt, decision)) is settings


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="there is no ps")
def test_what_looks_at_the_machine_looks_from_outside_unless_a_sandbox_is_required(repository: Path) -> None:
    assert [step.argv for step in confinement(judged("ps aux | grep x", repository)).around] == [("ps", "aux")]
    assert confinement(judged("ps aux", repository, sandbox="required")).around == ()


def test_an_answer_is_bound_to_what_holds_the_command(repository: Path) -> None:
    one = judged("rm x", repository)
    attempt = Attempt(BUILTINS["run_command"], {"command": "rm x"}, "main", "repl:local", workspace=repository)
    assert one.command is not None
    other = replace(one, command=replace(one.command, confinement=Confinement("none", repository, writable=True)))
    difference = binding.bind(attempt, one, "s").difference(binding.bind(attempt, other, "s"))
    assert difference == "what holds it while it runs is something else now"
