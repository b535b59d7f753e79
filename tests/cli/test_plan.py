"""`openclaw plan`: with what it compares, how it ends, and that it leaves everything as it was."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from doubles import house, warm
from doubles.edits import NOW, PROJECT
from openclaw.app import App
from openclaw.cli._compiled import opened
from openclaw.parts import REAL
from openclaw.plan.whole import plan as compare
from openclaw.project import Options

TOOLS = "tools.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "project")


def write(root: Path) -> Path:
    for name, text in PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def edit(root: Path, file: str, was: str, now: str) -> None:
    text = (root / file).read_text("utf-8")
    assert was in text
    (root / file).write_text(text.replace(was, now), "utf-8")


def plan(project: Path, *arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    state = state or project.parent / "state"
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(state), "plan", *arguments]
    done = warm.run(command, timeout=50, text=True, stdin=subprocess.DEVNULL)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout, done.stderr)


def test_without_a_difference_it_says_so_and_ends_well(project: Path) -> None:
    done = plan(project, "--from", str(write(project.parent / "base")))
    assert (done.returncode, done.stdout) == (0, f"compared with {project.parent}/base: nothing would change\n")
    assert not (project.parent / "state").exists(), "it leaves nothing behind"


def test_a_deny_rule_that_is_removed_ends_with_six(project: Path) -> None:
    base = write(project.parent / "base")
    edit(project, TOOLS, "      - {id: drafts, deny", "      - {id: drafts, ask")
    done = plan(project, "--from", str(base))
    assert done.returncode == 6, done.stderr
    assert "WIDENS: write_file (main): denies paths [**/*.draft], except from [ana] less widely" in done.stdout
    assert plan(base, "--from", str(project)).returncode == 0, "the other way round it tightens"


def test_it_speaks_json_and_markdown(project: Path) -> None:
    base = write(project.parent / "base")
    edit(project, TOOLS, "[ls, cat]", "[ls, cat, wc]")
    spoken = plan(project, "--from", str(base), "--json")
    found = json.loads(spoken.stdout)
    assert (spoken.returncode, found["widens"], found["against"]) == (6, True, str(base))
    comment = plan(project, "--from", str(base), "--format", "markdown")
    assert comment.returncode == 6 and comment.stdout.startswith("### openclaw plan: 2 changes; 1 permission widens\n")


def test_an_empty_name_of_a_folder_is_wrong_usage(project: Path) -> None:
    done = plan(project, "--from", "")
    assert (done.returncode, done.stdout) == (2, "") and "--from is empty" in done.stderr


def test_a_project_is_not_compared_with_itself(project: Path) -> None:
    done = plan(project, "--from", str(project / "agents" / ".."))
    assert (done.returncode, done.stdout) == (2, "") and "is the project itself" in done.stderr


def test_a_script_is_compared_by_its_text_wherever_the_project_lies(project: Path) -> None:
    (project / "models.yaml").write_text("models:\n  played: {kind: scripted, script: played.yaml}\n")
    (project / "played.yaml").write_text("rules: [{say: a, reply: Hello}]\n")
    base = shutil.copytree(project, project.parent / "base")
    old, same = opened(base)[0], opened(project)[0]
    assert compare(old, same, NOW) == ()
    (project / "played.yaml").write_text("rules: [{say: a, reply: Goodbye}]\n")
    [change] = compare(old, opened(project)[0], NOW)
    [field] = change.fields
    assert field.name == "script" and field.old != field.new
    assert field.old is not None and field.old.startswith("played.yaml (text ")


def test_of_a_scenario_file_no_more_is_read_than_a_manifest_may_have(project: Path) -> None:
    base = write(project.parent / "base")
    folder = project / "tests" / "scenarios"
    folder.mkdir(parents=True)
    with (folder / "large.yaml").open("wb") as file:
        file.truncate(1 << 40)
    done = plan(project, "--from", str(base))
    assert done.returncode == 0, done.stderr


def test_a_broken_project_is_told_and_ends_with_three(project: Path) -> None:
    base = write(project.parent / "base")
    edit(project, TOOLS, "default: deny", "default: allow")
    done = plan(project, "--from", str(base))
    assert (done.returncode, done.stdout) == (3, "")
    assert "tools.yaml:30:14: error:" in done.stderr and "has errors" in done.stderr


def test_a_broken_base_is_told_as_such(project: Path) -> None:
    base = write(project.parent / "base")
    edit(base, TOOLS, "default: deny", "default: allow")
    done = plan(project, "--from", str(base))
    assert (done.returncode, done.stdout) == (3, "")
    assert f"--from: {base} has errors, so there is nothing to compare with" in done.stderr


def test_a_base_that_is_not_there_is_wrong_usage(project: Path) -> None:
    done = plan(project, "--from", str(project / "nowhere"))
    assert done.returncode == 2 and "is not a folder" in done.stderr
    assert plan(project / "nowhere").returncode == 2


def test_where_nothing_was_ever_applied_there_is_nothing_to_compare_with(project: Path) -> None:
    done = plan(project)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is nothing to compare with" in done.stderr and "--from" in done.stderr


def test_no_variable_is_needed_and_no_value_is_shown(project: Path) -> None:
    base = write(project.parent / "base")
    edit(project, "channels.yaml", "${SHOP_TOKEN}", "${STORE_TOKEN}")
    (project / ".env").write_text("STORE_TOKEN=never-to-be-shown-anywhere\n")
    done = plan(project, "--from", str(base))
    assert done.returncode == 6, done.stderr
    assert "+ STORE_TOKEN (secret): newly named" in done.stdout
    assert "never-to-be-shown" not in done.stdout + done.stderr


def test_a_python_tool_is_compared_with_its_code(project: Path) -> None:
    code = "import openclaw\n\n\n@openclaw.tool\ndef add(a: int) -> str:\n    '''Adds.'''\n    return str(a)\n"
    edit(project, TOOLS, "tools:\n", 'tools:\n  add: {python: "sums:add"}\n')
    edit(project, TOOLS, "{id: sizes, allow: measure}", "{id: sizes, allow: [measure, add]}")
    edit(project, "agents/main.yaml", "measure]", "measure, add]")
    (project / "sums.py").write_text(code)
    base = project.parent / "base"
    shutil.copytree(project, base)
    (project / "sums.py").write_text(code.replace("str(a)", "str(a + 1)"))
    for more in ((), ("--no-import",)):
        done = plan(project, "--from", str(base), *more)
        assert done.returncode == 6, done.stdout + done.stderr
        assert "MAY WIDEN: add (main): the code behind it is another" in done.stdout


def test_where_code_of_the_base_cannot_be_imported_both_are_compared_without(project: Path) -> None:
    code = "import openclaw\n\n\n@openclaw.tool\ndef add(a: int) -> str:\n    '''Adds.'''\n    return str(a)\n"
    edit(project, TOOLS, "tools:\n", 'tools:\n  add: {python: "sums:add"}\n')
    (project / "sums.py").write_text(code)
    base = shutil.copytree(project, project.parent / "base")
    (base / "sums.py").write_text(f"import a_library_that_is_gone\n{code}")
    done = plan(project, "--from", str(base))
    assert f"the Python tools of {base} cannot be imported; both are compared without" in done.stderr
    assert "~ add" in done.stdout and "description" not in done.stdout, done.stdout


def test_it_compares_with_what_runs_and_then_with_what_ran_last(tmp_path: Path) -> None:
    root, state = house.project(tmp_path / "project", "http://127.0.0.1:9"), tmp_path / "state"

    async def running() -> subprocess.CompletedProcess[str]:
        """Of a runtime that does not look after edits by itself, so that there is one to plan."""
        app = App(Options(root, state), parts=replace(REAL, without=frozenset({"watch"})))
        async with app.opened():
            ran = asyncio.create_task(app.run())
            await house.until((state / "control.sock").exists, "the control socket")
            edit(root, "agents/main.yaml", "tools: [list_files, add]", "tools: [list_files, add, read_file]")
            done = await asyncio.to_thread(plan, root, state=state)
            app.stopping.set()
            await ran
        return done

    beside, after = asyncio.run(running()), plan(root, state=state)
    assert beside.returncode == after.returncode == 0, beside.stderr + after.stderr
    assert beside.stdout.startswith("compared with the running runtime (process ")
    assert after.stdout.startswith("compared with what was applied last: 1 change; no permission widens\n")
    assert "tools: + read_file (agents/main.yaml:6)" in beside.stdout
    assert beside.stdout.splitlines()[1:] == after.stdout.splitlines()[1:]
    [kept] = state.glob("last-good/*/tools.yaml")
    kept.write_bytes(kept.read_bytes().replace(b"deny", b"ask "))
    damaged = plan(root, state=state)
    assert damaged.returncode == 1 and "is damaged; start the runtime on a valid project" in damaged.stderr


@pytest.mark.slow
def test_another_projects_runtime_is_none_to_compare_with(project: Path) -> None:
    other = house.project(project.parent / "other", "http://127.0.0.1:9")
    state = project.parent / "state"

    async def beside() -> subprocess.CompletedProcess[str]:
        async with house.lived(other, state):
            await house.until((state / "control.sock").exists, "the control socket")
            return await asyncio.to_thread(plan, project, state=state)

    done = asyncio.run(beside())
    assert done.returncode == 1 and "there is nothing to compare with" in done.stderr
