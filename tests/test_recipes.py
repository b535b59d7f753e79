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
    """The default project as somebody has it in git, with the base branch in a folder as the workflow puts it."""
    place = tmp_path / "checkout"
    shutil.copytree(bundle.project_files() / "agents", place / "agents")
    for name in ("tools.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", "desk_tools.py", ".env.example"):
        shutil.copy(bundle.project_files() / name, place)
    shutil.copytree(bundle.project_files() / "tests" / "scenarios", place / "tests" / "scenarios")
    (place / ".gitignore").write_text("base/\n.env\n__pycache__/\n")
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "base")
    git(place, "worktree", "add", "-q", "base", "--detach")
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


def bash(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
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


@pytest.mark.slow
def test_the_steps_pass_on_the_default_project(checkout: Path) -> None:
    for job in ("validate", "scenarios", "plan"):
        for script in ours(job):
            done = bash(checkout, script)
            assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    assert '"version": "2.1.0"' in (checkout / "openclaw.sarif").read_text()
    cases = ElementTree.parse(checkout / "scenarios.xml").getroot().findall(".//testcase")
    assert len(cases) > 10
    assert (checkout.parent / "output").read_text() == "widens=false\n"


@pytest.mark.slow
def test_a_change_that_widens_is_told_and_asks_for_approval(checkout: Path) -> None:
    widen(checkout)
    (script,) = ours("plan")
    done = bash(checkout, script)
    assert done.returncode == 0, done.stderr
    assert (checkout.parent / "output").read_text() == "widens=true\n"
    assert "sudo" in (checkout / "plan.md").read_text()
    assert (checkout.parent / "summary").read_text() == (checkout / "plan.md").read_text()
    assert "needs.plan.outputs.widens == 'true'" in WORKFLOW["jobs"]["approval"]["if"]


@pytest.mark.slow
def test_a_mistake_is_marked_in_the_change_and_fails_the_job(checkout: Path) -> None:
    (checkout / "agents" / "main.yaml").write_text("name: X\nefort: low\n")
    annotate, scan = ours("validate")
    done = bash(checkout, annotate)
    assert done.returncode == 1
    assert "::error file=agents/main.yaml,line=2" in done.stdout
    assert bash(checkout, scan).returncode == 0, "so that it is uploaded"
    (script,) = ours("plan")
    assert bash(checkout, script).returncode == 3


@pytest.mark.slow
def test_the_scripts_for_gitlab_run(checkout: Path) -> None:
    jobs = recipe(".gitlab-ci.yml")
    for script in jobs["agents"]["script"]:
        done = bash(checkout, script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    for name in jobs["agents"]["artifacts"]["reports"]["junit"]:
        assert ElementTree.parse(checkout / name).getroot().tag in ("testsuites", "testsuite")
    (script,) = [script for script in jobs["widening"]["script"] if "openclaw" in script]
    assert bash(checkout, script).returncode == 0
    widen(checkout)
    assert bash(checkout, script).returncode == jobs["widening"]["allow_failure"]["exit_codes"] == 6


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
