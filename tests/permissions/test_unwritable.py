"""Nothing that a tool can write widens what tools may do: manifests, souls, code, state, approvals stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw.manifest.builtins import BUILTINS
from openclaw.messages import ToolSpec
from openclaw.permissions.decide import Attempt, Condition, Effect, Policy, Rule, decide, hidden
from openclaw.permissions.facts import Disk

GENEROUS = Policy("p", (Rule(Effect.ALLOW, ("*",), Condition(paths=("**", "*", "/**"))), Rule(Effect.ALLOW, ("*",))))
PROJECT = (
    "agents/main.yaml", "agents/main.md", "agents/_defaults.yaml", "tools.yaml", "policies.yaml", "channels.yaml",
    "heartbeats.yaml", "models.yaml", ".env", "desk_tools.py", "tools/more.py", "tests/scenarios/a.yaml", "new.yaml",
)  # fmt: skip
STATE = (
    "exec-approvals.json", "exec-approvals.json.new", "runtime.db", "runtime.db-wal", "sessions/a.jsonl",
    "sessions/archive/a.jsonl", "memory/a.md", "logs/audit.jsonl", "logs/audit-000001.jsonl", "last-good/p/tools.yaml",
    "http-token", "control.sock", "lock", "search.db", "workspaces/other/a.txt", "new-folder/new",
)  # fmt: skip
SENSITIVE = (
    ".git/config", ".git/hooks/pre-commit", ".gitattributes", ".gitmodules", ".env", ".env.local", ".bashrc",
    ".ssh/authorized_keys", ".vscode/tasks.json", ".claude/settings.json", "node_modules/.bin/x", ".venv/bin/python",
    "venv/bin/activate", ".github/workflows/ci.yml", "deep/down/.git/config", ".mcp.json", "id_rsa", "x.pem",
)  # fmt: skip
TOUCHES = ToolSpec("touches", "", {"properties": {"path": {"type": "string"}}}, "python", judged={"path": "path"})


class House:
    """A project, a state folder, and a workspace: in the state folder, as by default, or around both."""

    def __init__(self, root: Path, around: bool) -> None:
        self.project, self.state = root / "project", root / "state"
        self.workspace = root if around else self.state / "workspace"
        for folder in (self.project, self.state, self.workspace):
            folder.mkdir(parents=True, exist_ok=True)

    def effect(self, tool: ToolSpec, path: str) -> Effect:
        given = {"path": path, "content": "x", "old": "a", "new": "b"}
        roots = (self.project, self.state)
        attempt = Attempt(tool, given, "main", "repl:local", workspace=self.workspace, protected=roots)
        return decide(attempt, GENEROUS, Disk()).effect

    def guarded(self) -> Iterator[Path]:
        yield from (self.project / name for name in PROJECT)
        yield from (self.state / name for name in STATE)


@pytest.fixture(params=[False, True], ids=["workspace in the state folder", "workspace around everything"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return House(tmp_path, request.param)


WRITING = [BUILTINS["write_file"], BUILTINS["edit_file"]]


def spellings(path: Path, workspace: Path) -> Iterator[str]:
    relative = Path(*[".."] * len(workspace.parts[1:]), *path.parts[1:])
    yield str(path)
    yield str(relative)
    yield f"notes/../{relative}"
    yield f"./{relative}"
    if path.is_relative_to(workspace):
        inside = path.relative_to(workspace)
        yield str(inside)
        yield str(inside).upper()
        yield str(inside).title()


def test_the_generous_policy_does_let_plain_files_be_written(house: House) -> None:
    assert [house.effect(tool, "notes/a.md") for tool in (*WRITING, TOUCHES)] == [Effect.ALLOW] * 3


@pytest.mark.parametrize("exists", [False, True], ids=["not there yet", "there"])
def test_manifests_souls_code_state_and_approvals_are_never_written(house: House, exists: bool) -> None:
    for path in house.guarded():
        if exists:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("as it is")
        for spelling in spellings(path, house.workspace):
            for tool in WRITING:
                assert house.effect(tool, spelling) is Effect.DENY, (tool.name, spelling)
            assert house.effect(TOUCHES, spelling) is not Effect.ALLOW, spelling


@pytest.mark.parametrize("name", SENSITIVE)
def test_what_others_trust_in_a_workspace_is_never_written_whatever_its_case(house: House, name: str) -> None:
    for spelling in (name, name.upper(), name.title(), f"notes/../{name}", f"sub/{name}"):
        for tool in WRITING:
            assert house.effect(tool, spelling) is Effect.DENY, (tool.name, spelling)


def test_no_link_leads_there(house: House) -> None:
    notes = house.workspace / "notes"
    notes.mkdir()
    (notes / "project").symlink_to(house.project)
    (notes / "state").symlink_to(house.state)
    (notes / "twice").symlink_to(notes / "project")
    (notes / "soul.md").symlink_to(house.project / "agents/main.md")
    (notes / "gone.yaml").symlink_to(house.project / "not-there-yet.yaml")
    for path in (
        "notes/project/tools.yaml", "notes/state/exec-approvals.json", "notes/twice/agents/new.yaml", "notes/soul.md",
        "notes/gone.yaml", "notes/state/workspaces/other/x", "notes/project/../state/lock",
    ):  # fmt: skip
        for tool in (*WRITING, TOUCHES):
            assert house.effect(tool, path) is not Effect.ALLOW, path


def test_no_argument_of_a_command_or_a_template_leads_there_unasked(house: House) -> None:
    run = BUILTINS["run_command"]
    allow = Policy("p", (Rule(Effect.ALLOW, ("run_command",), Condition(commands=("sort", "cat", "head"))),))
    for path in house.guarded():
        for command in (f"sort -o {path} notes.txt", f"cat {path}", f"head -n 1 -- {path}"):
            attempt = Attempt(
                run, {"command": command}, "main", "repl:local", workspace=house.workspace,
                protected=(house.project, house.state),
            )  # fmt: skip
            assert decide(attempt, allow, Disk()).effect is not Effect.ALLOW, command


def test_a_tool_that_is_denied_whatever_the_call_is_not_shown() -> None:
    never = Policy("p", (Rule(Effect.DENY, ("write_*",)),))
    sometimes = Policy("p", (Rule(Effect.DENY, ("write_*",), Condition(tainted=True)),))
    assert hidden(never, "write_file") and not hidden(never, "edit_file") and not hidden(sometimes, "write_file")
