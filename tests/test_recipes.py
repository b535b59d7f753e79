"""The recipes of docs/ci.md: parsed as by their readers, and each step of ours run in a checkout of a project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from openclaw import bundle

TOP = Path(__file__).resolve().parent.parent
RECIPES = dict(re.findall(r"^```yml (\S+)\n(.*?)^```$", (TOP / "docs" / "ci.md").read_text("utf-8"), re.M | re.S))
DENIED = {
    "commands: [sudo, su, doas, pkexec]": "commands: [su, doas, pkexec]",
    '["sudo ls", "ls; su -"]': '["ls; su -"]',
}

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


class Loader(yaml.SafeLoader):
    """As YAML 1.2 has it: `on` is a text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool" or first not in "oOyYnN"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def recipe(name: str) -> Any:
    return yaml.load(RECIPES[name], Loader=Loader)


WORKFLOW = recipe(".github/workflows/agents.yml")
STEPS = [(name, step) for name, job in WORKFLOW["jobs"].items() for step in job["steps"]]


# ── what a workflow may ──────────────────────────────────────────────────────────────────────────


def test_a_workflow_has_no_more_rights_than_it_uses() -> None:
    assert set(WORKFLOW["on"]) == {"pull_request", "push"}, "never pull_request_target"
    assert WORKFLOW["permissions"] == {}
    rights = {name: job["permissions"] for name, job in WORKFLOW["jobs"].items()}
    assert rights == {
        "validate": {"contents": "read", "security-events": "write"},
        "scenarios": {"contents": "read"},
        "plan": {"contents": "read", "pull-requests": "write"},
        "approval": {},
    }
    for _, step in STEPS:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_nothing_of_a_change_is_run_where_there_are_rights_to_misuse() -> None:
    for name, step in STEPS:
        if name == "scenarios":
            continue
        for command in re.findall(r"openclaw (?:validate|plan|test)[^>|\n]*", step.get("run", "")):
            assert "--no-import" in command and not command.startswith("openclaw test")
    for _, step in STEPS:
        assert "${{" not in step.get("run", ""), "words of a change must not become part of a script"


def test_what_writes_is_left_out_for_forks() -> None:
    writing = [step for _, step in STEPS if "upload-sarif" in step.get("uses", "") or "gh pr" in step.get("run", "")]
    assert len(writing) == 2
    assert all("env.OURS == 'true'" in step["if"] for step in writing)


# ── what it does ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The default project as somebody has it in git, with the base branch beside it as the workflow puts it."""
    place = tmp_path / "top" / "head"
    shutil.copytree(bundle.project_files() / "agents", place / "agents")
    for name in ("tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", "desk_tools.py", ".env.example"):
        shutil.copy(bundle.project_files() / name, place)
    shutil.copytree(bundle.project_files() / "tests" / "scenarios", place / "tests" / "scenarios")
    (place / ".gitignore").write_text(".env\n__pycache__/\n")
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "base")
    git(place, "worktree", "add", "-q", "../base", "--detach")
    return place


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, timeout=60)


def widen(checkout: Path) -> None:
    """The change takes a prohibition back, with the test of it."""
    text = (checkout / "tools.yaml").read_text()
    for before, after in DENIED.items():
        assert before in text
        text = text.replace(before, after)
    (checkout / "tools.yaml").write_text(text)


def bash(folder: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As the runners start a step."""
    programs = folder.parent / "programs"
    if not programs.exists():
        programs.mkdir()
        (programs / "openclaw").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m openclaw "$@"\n')
        (programs / "openclaw").chmod(0o755)
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder.parent), "CI": "true",
        "OPENCLAW_STATE": str(folder.parent / "state"), "GITHUB_WORKSPACE": str(folder),
        "GITHUB_OUTPUT": str(folder.parent / "output"), "GITHUB_STEP_SUMMARY": str(folder.parent / "summary"),
        **variables,
    }  # fmt: skip
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def ours(job: str) -> Iterator[str]:
    """The scripts of a job, but for those that install and those that need GitHub."""
    for name, step in STEPS:
        script = step.get("run", "")
        if name == job and script and not script.startswith(("pip install", "gh ", "echo ")):
            assert "openclaw" in script
            yield script


def planned(checkout: Path) -> subprocess.CompletedProcess[str]:
    """The job `plan`, which works above both checkouts."""
    (script,) = ours("plan")
    return bash(checkout.parent, script)


def waits(event: str, result: str, widens: str) -> bool:
    """Whether the job that a person must agree to is run, by its condition as GitHub reads it."""
    condition = WORKFLOW["jobs"]["approval"]["if"]
    values = {"github.event_name": event, "needs.plan.result": result, "needs.plan.outputs.widens": widens}
    for name, value in values.items():
        condition = condition.replace(name, repr(value))
    assert "always()" in condition, "else it is skipped, and passes, wherever `plan` fails"
    words = {"&&": " and ", "||": " or ", "always()": "True"}
    for theirs, python in words.items():
        condition = condition.replace(theirs, python)
    return bool(eval(re.sub(r"!(?!=)", " not ", condition), {"__builtins__": {}}))


def test_a_person_is_asked_unless_a_plan_says_that_nothing_widens() -> None:
    assert not waits("pull_request", "success", "false")
    assert not waits("push", "skipped", "")
    for result in ("success", "failure", "cancelled", "skipped"):
        assert waits("pull_request", result, "true")
        assert waits("pull_request", result, "")
        assert result == "success" or waits("pull_request", result, "false")


def test_no_file_of_a_change_stands_where_the_base_is_laid() -> None:
    places = [step["with"]["path"] for step in WORKFLOW["jobs"]["plan"]["steps"] if "ref" in step.get("with", {})]
    heads = [step["with"]["path"] for step in WORKFLOW["jobs"]["plan"]["steps"] if "path" in step.get("with", {})]
    assert places == ["base"] and heads == ["head", "base"]


@pytest.mark.slow
def test_the_steps_pass_on_the_default_project(checkout: Path) -> None:
    for job in ("validate", "scenarios"):
        for script in ours(job):
            done = bash(checkout, script)
            assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    done = planned(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"version": "2.1.0"' in (checkout / "openclaw.sarif").read_text()
    cases = ElementTree.parse(checkout / "scenarios.xml").getroot().findall(".//testcase")
    assert len(cases) > 10
    assert (checkout.parent.parent / "output").read_text() == "widens=false\n"


@pytest.mark.slow
def test_a_change_that_widens_is_told_and_asks_for_approval(checkout: Path) -> None:
    widen(checkout)
    done = planned(checkout)
    assert done.returncode == 0, done.stderr
    assert (checkout.parent.parent / "output").read_text() == "widens=true\n"
    plan = (checkout.parent / "plan.md").read_text()
    assert "sudo" in plan
    assert (checkout.parent.parent / "summary").read_text() == plan


@pytest.mark.slow
def test_a_mistake_is_marked_in_the_change_and_fails_the_job(checkout: Path) -> None:
    (checkout / "agents" / "main.yaml").write_text("name: X\nefort: low\n")
    annotate, scan = ours("validate")
    done = bash(checkout, annotate)
    assert done.returncode == 1
    assert "::error file=agents/main.yaml,line=2" in done.stdout
    assert bash(checkout, scan).returncode == 0, "so that it is uploaded"
    assert planned(checkout).returncode == 3


@pytest.mark.slow
def test_the_words_of_a_change_are_no_commands_to_the_runner(checkout: Path) -> None:
    (checkout / "agents" / "main.yaml").write_text('name: X\n"##[set-output name=widens;]false": 1\n')
    done = planned(checkout)
    assert done.returncode == 3 and "##[" not in done.stderr
    first, *told, last = done.stdout.splitlines()
    assert first.startswith("::stop-commands::") and last == f"::{first.removeprefix('::stop-commands::')}::"
    assert any("##[set-output" in line for line in told)
    assert not (checkout.parent.parent / "output").exists()


@pytest.mark.slow
def test_the_scripts_for_gitlab_run(checkout: Path) -> None:
    jobs = recipe(".gitlab-ci.yml")
    for script in jobs["agents"]["script"]:
        done = bash(checkout, script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    for name in jobs["agents"]["artifacts"]["reports"]["junit"]:
        assert ElementTree.parse(checkout / name).getroot().tag in ("testsuites", "testsuite")
    git(checkout, "remote", "add", "origin", str(checkout))
    script, base = "\n".join(jobs["widening"]["script"]), {"CI_MERGE_REQUEST_DIFF_BASE_SHA": "main"}
    done = bash(checkout, script, **base)
    assert done.returncode == 0, done.stdout + done.stderr
    widen(checkout)
    (checkout / "base").symlink_to("..")
    assert bash(checkout, script, **base).returncode == jobs["widening"]["allow_failure"]["exit_codes"] == 6


# ── pre-commit ───────────────────────────────────────────────────────────────────────────────────

HOOKS = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text("utf-8"))


def test_the_hooks_are_those_of_the_recipe() -> None:
    (repository,) = recipe(".pre-commit-config.yaml")["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in HOOKS]
    for hook in HOOKS:
        assert hook["language"] == "python" and hook["pass_filenames"] is False
        for path in ("tools.yaml", "agents/main.yaml", "agents/main.md", "x/tests/scenarios/a.yml"):
            assert re.search(hook["files"], path)
        assert not re.search(hook["files"], "notes.txt")


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: str(hook["id"]))
def test_a_hook_passes_on_the_default_project_and_fails_on_a_mistake(checkout: Path, hook: dict[str, Any]) -> None:
    done = bash(checkout, hook["entry"])
    assert done.returncode == 0, done.stdout + done.stderr
    (checkout / "agents" / "main.yaml").write_text("name: X\nefort: low\n")
    assert bash(checkout, hook["entry"]).returncode != 0


@pytest.mark.slow
def test_the_hooks_find_a_project_that_is_not_at_the_top(checkout: Path) -> None:
    checkout.rename(checkout.parent / "agents-project")
    (repository,) = recipe("below/.pre-commit-config.yaml")["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in HOOKS]
    for ours, theirs in zip(HOOKS, repository["hooks"], strict=True):
        done = bash(checkout.parent, " ".join([ours["entry"], *theirs["args"]]))
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(theirs["files"], "agents-project/agents/main.yaml")
