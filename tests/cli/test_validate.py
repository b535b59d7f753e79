"""`openclaw validate` as a user runs it: exit codes, outputs, what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from doubles import warm

ROOT = Path(__file__).parent.parent.parent
AGENT = "name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\n"
RULES = "policies:\n  careful:\n    rules:\n      - allow: read_file\n"


def openclaw(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return warm.run(
        [sys.executable, "-m", "openclaw", "--state", str(cwd / "state"), *arguments],
        cwd=cwd, env={**os.environ, **environment}, text=True, timeout=30,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/main.yaml").write_text(AGENT)
    (tmp_path / "tools.yaml").write_text(RULES)
    return tmp_path


def test_a_sound_project_is_silent_but_for_a_summary(project: Path) -> None:
    done = openclaw("validate", cwd=project)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "openclaw: no problems in 2 manifests\n"


def test_the_default_project_passes_strictly() -> None:
    done = openclaw("validate", "--strict", str(ROOT), cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_mistakes_go_to_stdout_and_the_exit_code_is_one(project: Path) -> None:
    (project / "agents/main.yaml").write_text(AGENT.replace("careful", "carefull"))
    done = openclaw("validate", cwd=project)
    assert done.returncode == 1
    assert done.stdout.startswith("agents/main.yaml:4:9: error: no policy `carefull`; did you mean `careful`")
    assert done.stderr == "openclaw: 1 error in 2 manifests\n"


def test_json_goes_to_stdout_alone(project: Path) -> None:
    (project / "agents/main.yaml").write_text(AGENT.replace("careful", "carefull"))
    done = openclaw("validate", "--format", "json", cwd=project)
    (said,) = json.loads(done.stdout)
    assert (said["file"], said["line"], said["column"], said["end_column"]) == ("agents/main.yaml", 4, 9, 17)
    assert done.returncode == 1


def test_warnings_fail_only_when_strict(project: Path) -> None:
    (project / "tools.yaml").write_text(RULES + "      - deny: [shel_*]\n")
    assert openclaw("validate", cwd=project).returncode == 0
    assert openclaw("validate", "--strict", cwd=project).returncode == 1


def test_unset_variables_fail_unless_nobody_looks(project: Path) -> None:
    (project / "channels.yaml").write_text('channels:\n  http: {kind: http, token: "${SURELY_NOT_SET_TOKEN}"}\n')
    assert openclaw("validate", cwd=project).returncode == 1
    assert openclaw("validate", "--no-env", cwd=project).returncode == 0
    assert openclaw("validate", cwd=project, SURELY_NOT_SET_TOKEN="x" * 40).returncode == 0


def test_no_import_runs_nothing_of_the_project(project: Path) -> None:
    (project / "tools.yaml").write_text("tools: {bad: {python: 'bad:tool'}}\n" + RULES)
    (project / "bad.py").write_text("open('ran', 'w').close()\nraise SystemExit(0)\n")
    assert openclaw("validate", "--no-import", cwd=project).returncode == 0
    assert not (project / "ran").exists()
    assert openclaw("validate", cwd=project).returncode == 1


def test_no_such_folder_is_wrong_usage(project: Path) -> None:
    assert openclaw("validate", "nowhere", cwd=project).returncode == 2
    assert openclaw("validate", "tools.yaml", cwd=project).returncode == 2
    assert openclaw("validate", "--format", "xml", cwd=project).returncode == 2


def test_the_folder_may_be_named_in_three_ways(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert openclaw("validate", str(project), cwd=elsewhere).returncode == 0
    assert openclaw("-C", str(project), "validate", cwd=elsewhere).returncode == 0
    assert openclaw("validate", cwd=elsewhere, OPENCLAW_PROJECT=str(project)).returncode == 0


def test_verbose_lists_the_files(project: Path) -> None:
    assert "agents/main.yaml\ntools.yaml\n" in openclaw("validate", "-v", cwd=project).stderr


def test_verbose_tells_what_the_prompt_and_the_tools_of_each_agent_weigh(project: Path) -> None:
    (project / "agents/main.md").write_text("You are brief.\n")
    line = next(
        line for line in openclaw("validate", "-v", cwd=project).stderr.splitlines() if line.startswith("main:")
    )
    assert line.startswith("main: prompt 14 bytes, 1 tools ") and line.endswith(" tokens")
    (project / "tools.yaml").write_text("policies: {careful: {ruels: []}}\n")
    assert "main:" not in openclaw("validate", "-v", cwd=project).stderr


def test_it_imports_no_model_sdk_no_chat_library_and_no_schema_library() -> None:
    code = (
        "import sys; from openclaw.cli import main; main(['-C', sys.argv[1], 'validate']);"
        "heavy = {'anthropic', 'telegram', 'discord', 'httpx', 'httpx2', 'pydantic', 'starlette', 'uvicorn', 'aiohttp',"
        " 'rich', 'prompt_toolkit', 'watchfiles', 'jsonschema', 'asyncio', 'openclaw.messages', 'openclaw.ports'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", [("validate",), ("why", "run_command", "--allow", "ls", "--cwd"), ("init",),
                                   ("plan", "--from")], ids=lambda words: str(words[0]))  # fmt: skip
def test_a_folder_that_cannot_be_one_is_wrong_usage(project: Path, words: tuple[str, ...]) -> None:
    for name in ("", "a" * 300):
        done = openclaw(*words, name, cwd=project)
        assert done.returncode == 2, done.stderr
        assert done.stdout == "" and "Traceback" not in done.stderr
        assert "is empty" in done.stderr if not name else "file name too long" in done.stderr
