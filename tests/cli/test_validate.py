"""`openclaw validate` as a user runs it: exit codes, outputs, what it imports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from doubles import warm
from openclaw.cli._running import PATIENCE, differs

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
    done = openclaw("validate", "--json", cwd=project)
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


# ── beside a runtime ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def listening(place: Path, answer: bytes | None) -> Iterator[list[bytes]]:
    """Somebody on the control socket who says `answer` to whatever is asked; None: nothing."""
    asked: list[bytes] = []
    place.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(place / "control.sock"))
        server.listen()

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    if answer is not None:
                        connection.sendall(answer)
                    else:
                        connection.recv(1)  # until the other side has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def said(**status: object) -> bytes:
    body = json.dumps(status).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


REFUSED = "the files on disk are not what runs: reload 12 refused at 2026-06-01 12:00:00 UTC"


def test_a_runtime_that_runs_another_state_of_the_project_is_told_in_a_line_at_the_end(project: Path) -> None:
    answer = said(project=str(project), differs=REFUSED, last_success="2026-06-01T11:00:00+00:00")
    with listening(project / "state", answer):
        done = openclaw("validate", "--no-env", cwd=project)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "openclaw: no problems in 2 manifests",
        f"openclaw: running: {REFUSED}; applied last: 2026-06-01T11:00:00+00:00",
    ]


def test_a_runtime_that_has_not_seen_what_is_on_disk_is_told_where_the_environment_was_looked_at(
    project: Path,
) -> None:
    answer = said(project=str(project), differs="", snapshot={"digest": "0123456789ab"}, pid=7)
    with listening(project / "state", answer):
        assert "running: another version of this project (process 7)" in openclaw("validate", cwd=project).stderr
    (project / "state/control.sock").unlink()
    with listening(project / "state", answer):
        assert "running" not in openclaw("validate", "--no-env", cwd=project).stderr


@pytest.mark.parametrize(
    "answer",
    [
        said(project="/elsewhere", differs=REFUSED),
        said(project=None),
        b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]",
        b"hello",
        None,
    ],
)
def test_other_runtimes_and_other_answers_are_nothing_to_speak_of(project: Path, answer: bytes | None) -> None:
    with listening(project / "state", answer) as asked:
        patience = PATIENCE if answer else 0.1  # for who says nothing
        assert differs(project / "state", project, "0" * 64, patience) == ""
    assert asked[0].startswith(b"GET /api/status ")


def test_a_socket_that_nobody_listens_on_is_no_runtime(project: Path) -> None:
    with listening(project / "state", b""):
        pass
    assert (project / "state/control.sock").exists()
    assert openclaw("validate", cwd=project).stderr == "openclaw: no problems in 2 manifests\n"


def test_other_formats_and_exit_codes_are_as_without_a_runtime(project: Path) -> None:
    (project / "agents/main.yaml").write_text(AGENT.replace("careful", "carefull"))
    with listening(project / "state", said(project=str(project), differs=REFUSED)) as asked:
        done = openclaw("validate", "--json", cwd=project)
        assert (done.returncode, asked, len(json.loads(done.stdout))) == (1, [], 1)
        told = openclaw("validate", cwd=project)
    assert told.returncode == 1 and told.stderr.endswith(f"\nopenclaw: running: {REFUSED}\n")
