"""The shell tool with real processes: what was judged runs, literally, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles.house import Leaping
from openclaw.clock import Clock, SystemClock
from openclaw.errors import ToolError
from openclaw.messages import Call, CommandLine, Confinement, Step, ToolResult, ToolSpec
from openclaw.permissions import grammar
from openclaw.permissions.facts import Disk
from openclaw.permissions.policy import Refusal
from openclaw.permissions.subjects import resolved
from openclaw.ports import Place
from openclaw.tools import _processes
from openclaw.tools._orphans import MARK
from openclaw.tools.shell import Tools, environment


def judged(text: str) -> CommandLine:
    """A command as a decision hands it over: split, and its programs resolved."""
    parsed = grammar.parse(text)
    assert not isinstance(parsed, Refusal), parsed
    facts = Disk()
    return unheld(*(resolved(step, facts)[0] for step in parsed.steps))


STATE = tempfile.TemporaryDirectory(prefix="openclaw-test-")


def spec(timeout: float = 20.0, env: Mapping[str, str] | None = None) -> ToolSpec:
    return ToolSpec("run_command", "", {}, "shell", {"env": env or {}}, {"command": "command"}, timeout=timeout)


def call(workspace: Path, command: CommandLine | None) -> Call:
    return Call(agent="main", session="s", sender="repl:local", workspace=workspace, id="call-1", command=command)


def tools(of: ToolSpec, clock: Clock | None = None) -> Tools:
    return Tools({of.name: of}, Place("/", STATE.name), clock or SystemClock())


def run(
    workspace: Path,
    command: str | CommandLine,
    *,
    timeout: float = 20.0,
    env: Mapping[str, str] | None = None,
    **input: Any,
) -> ToolResult:
    line = judged(command) if isinstance(command, str) else command
    of = spec(timeout, env)
    return asyncio.run(tools(of).run(of.name, input, call(workspace, line)))


def script(text: str) -> CommandLine:
    """A shell script as one judged argument: what a person may have agreed to."""
    return unheld(Step(("sh", "-c", text), program="/bin/sh"))


def unheld(*steps: Step) -> CommandLine:
    """Without a sandbox, as on a machine that has none; what they hold is tried in test_sandbox.py."""
    return CommandLine(steps, Confinement())


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        os.sched_yield()
    return holds()


async def written(file: Path) -> None:
    """Until a process has written a whole line there."""
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def out_of_time(workspace: Path, command: CommandLine, *files: str) -> ToolResult:
    """What comes of a command whose time is up when it has written a line to each of these."""

    async def scene() -> ToolResult:
        clock, of = Leaping(), spec()
        task = asyncio.ensure_future(tools(of, clock).run(of.name, {}, call(workspace, command)))
        for name in files:
            await written(workspace / name)
        clock.ahead += of.timeout
        return await task

    return asyncio.run(scene())


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# ── what runs ────────────────────────────────────────────────────────────────────────────────────


def test_arguments_are_literal(tmp_path: Path) -> None:
    assert run(tmp_path, "echo '*' '$HOME' ';' '`id`'") == ToolResult("* $HOME ; `id`\n")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo a | tr a b", "b\n"),
        ("true && echo yes", "yes\n"),
        ("false || echo no", "no\n"),
        ("false && echo yes || echo no", "no\n"),
        ("true || echo no && echo then", "then\n"),
        ("echo a ; echo b", "a\nb\n"),
        ("echo a | cat | cat | wc -l", "1\n"),
        ("ls nosuchfile 2>/dev/null || echo gone", "gone\n"),
        ("ls nosuchfile 2>&1 | wc -l", "1\n"),
        ("ls nosuchfile 2>&1 >/dev/null | wc -l", "1\n"),
        ("ls nosuchfile >/dev/null 2>&1 || echo quiet", "quiet\n"),
        ("echo unseen >/dev/null", "(no output)"),
        ("cat", "(no output)"),
    ],
)
def test_wiring_is_that_of_a_shell(tmp_path: Path, command: str, expected: str) -> None:
    assert run(tmp_path, command) == ToolResult(expected)


@pytest.mark.parametrize(
    ("command", "ending"),
    [
        ("ls nosuchfile 2>/dev/null | tail -n 3", "[ls: exit code 2]"),
        ("echo a | grep b | cat", "[grep: exit code 1]"),
        ("ls nosuchfile 2>/dev/null | grep b", "[exit code 1]"),
        ("ls nosuchfile 2>/dev/null | cat || true", ""),
        ("ls nosuchfile 2>/dev/null | cat && echo unsaid", "[ls: exit code 2]"),
        ("yes | head -n 1", ""),
        ("yes | cat | head -n 1", ""),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_a_template_and_a_check_fail_where_any_program_of_a_pipe_does(
    tmp_path: Path, command: str, ending: str, check: bool
) -> None:
    of = replace(spec(), options={} if check else {"template": "as it was judged"})
    result = asyncio.run(tools(of).run(of.name, {}, replace(call(tmp_path, judged(command)), check=check)))
    assert (result.is_error, ending in result.text, "unsaid" in result.text) == (bool(ending), True, False)
    assert not run(tmp_path, command).is_error or ending == "[exit code 1]"


def test_a_writer_into_a_closed_pipe_ends(tmp_path: Path) -> None:
    assert run(tmp_path, "yes | head -n 2") == ToolResult("y\ny\n")


def test_exit_codes_are_told(tmp_path: Path) -> None:
    assert run(tmp_path, script("echo so far; exit 3")) == ToolResult("so far\n[exit code 3]", is_error=True)


def test_signals_are_told(tmp_path: Path) -> None:
    assert run(tmp_path, script("kill -KILL $$")) == ToolResult("[sh was ended by SIGKILL]", is_error=True)


def test_nothing_runs_without_a_judged_command(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no command that was judged"):
        asyncio.run(tools(spec()).run("run_command", {"command": "ls"}, call(tmp_path, None)))


def test_a_program_that_is_not_installed_is_named_and_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="`nosuchprogram` is not installed"):
        run(tmp_path, "echo first && nosuchprogram")


def test_a_file_that_cannot_be_executed_fails_alone(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    result = run(
        tmp_path, unheld(Step(("plain",), program=str(plain)), Step(("echo", "on"), ";", program="/bin/echo"))
    )
    assert result == ToolResult("plain: could not be started: Permission denied\non\n")


# ── where it runs ────────────────────────────────────────────────────────────────────────────────


def test_it_runs_in_the_workspace_or_a_folder_of_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert run(tmp_path, "pwd").text == f"{tmp_path}\n"
    assert run(tmp_path, "pwd", cwd="sub").text == f"{tmp_path}/sub\n"


@pytest.mark.parametrize("cwd", ["..", "/", "link", "nosuch", "file"])
def test_it_runs_nowhere_else(tmp_path: Path, cwd: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "link").symlink_to("/")
    (workspace / "file").touch()
    with pytest.raises(ToolError, match="not a folder in the workspace"):
        run(workspace, "pwd", cwd=cwd)


def test_a_child_sees_only_what_is_listed(tmp_path: Path) -> None:
    assert "OPENCLAW_TEST_SECRET" not in os.environ
    os.environ["OPENCLAW_TEST_SECRET"] = "zorblax"
    try:
        seen = run(
            tmp_path, unheld(Step(("env",), program="/usr/bin/env")), env={"LC_ALL": "C", "GREETING": "hi"}
        ).text
    finally:
        del os.environ["OPENCLAW_TEST_SECRET"]
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert "zorblax" not in seen
    assert {
        "PATH",
        "HOME",
        "TERM",
        "PAGER",
        "GIT_PAGER",
        "GIT_TERMINAL_PROMPT",
        "GIT_OPTIONAL_LOCKS",
        "GREETING",
    } <= names
    assert {name for name in names if not name.startswith("LC_")} <= {*environment(spec(), tmp_path), "GREETING", MARK}
    assert "HOME=/nonexistent" in seen.splitlines()


def test_settings_in_the_workspace_count_only_in_what_a_person_agreed_to(tmp_path: Path) -> None:
    (tmp_path / ".jq").write_text("def map(f): 666;")
    step = Step(("jq", "-c", "map(.)", "a"), program="/usr/bin/jq")
    (tmp_path / "a").write_text("[1]")
    if not Path(step.program).exists():
        pytest.skip("jq is not installed")
    assert run(tmp_path, CommandLine((step,), Confinement())).text.strip() == "[1]"
    assert run(tmp_path, CommandLine((step,), Confinement(writable=True))).text.strip() == "666"


def test_there_is_no_input_and_no_terminal(tmp_path: Path) -> None:
    assert run(tmp_path, script("read line; echo $?; test -t 0 || test -t 1 || echo none")).text == "1\nnone\n"


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────


def test_a_hanging_command_is_stopped(tmp_path: Path) -> None:
    result = out_of_time(tmp_path, script("echo begun; echo >file; sleep 60"), "file")
    assert result.is_error
    assert result.text == "begun\n[ended after its 20 s were up; it and everything it started was stopped]"


@pytest.mark.slow
def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    assert out_of_time(tmp_path, script("trap '' TERM; echo $$ >pid; while :; do sleep 1; done"), "pid").is_error
    assert gone(int((tmp_path / "pid").read_text()))


def test_every_program_of_a_pipeline_is_stopped(tmp_path: Path) -> None:
    line = unheld(
        *script("echo $$ >a; sleep 60").steps, Step(("sh", "-c", "echo $$ >b; cat"), "|", program="/bin/sh")
    )
    assert out_of_time(tmp_path, line, "a", "b").is_error
    assert all(gone(int((tmp_path / name).read_text())) for name in ("a", "b"))


def test_a_child_left_in_the_background_ends_with_its_call(tmp_path: Path) -> None:
    result = run(tmp_path, script("sleep 60 & echo $!"))
    assert not result.is_error
    assert eventually(lambda: gone(int(result.text)))


def test_a_child_that_leaves_its_group_ends_with_its_call(tmp_path: Path) -> None:
    child = "echo $$; echo >there; exec sleep 60"
    result = run(tmp_path, script(f"setsid sh -c '{child}' & until [ -s there ]; do sleep 0.05; done"))
    assert eventually(lambda: gone(int(result.text)))


NUMBERED_AGAIN = """
import asyncio, subprocess, sys
from pathlib import Path
from openclaw.clock import SystemClock
from openclaw.messages import CommandLine, Step
from openclaw.tools._processes import Job
from openclaw.tools._sandbox import Launch

class Plain:
    def launch(self, step, cwd, environment, seconds):
        return Launch(step.argv, step.program, environment)

async def main():
    steps = Step(("true",), "", program="/bin/true"), Step(("cat", "fifo"), ";", program="/bin/cat")
    begun = asyncio.Queue()
    job = Job(CommandLine(steps), Path.cwd(), {}, SystemClock(), 60, Plain())
    job.started = begun.put_nowait
    running = asyncio.ensure_future(job.run())
    first, second = await begun.get(), await begun.get()
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(first - 1))
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    with open("fifo", "w"):
        pass
    await running
    await job.end()
    print(other.pid == first, other.poll())
    other.kill()
    other.wait()

asyncio.run(main())
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only the administrator can have a number given out again"
)
def test_who_has_the_number_of_a_program_that_ended_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", NUMBERED_AGAIN]
    found = subprocess.run(inside, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    if "unshare" in found.stderr:
        pytest.skip(f"no numbers of one's own for processes: {found.stderr.strip()}")
    assert found.stdout.split() == ["True", "None"], found.stderr


def test_a_cancelled_call_leaves_no_process(tmp_path: Path) -> None:
    async def scene() -> None:
        of = spec()
        there = tools(of)
        line = script("trap '' TERM; sleep 61 & echo $$ $! >pids; wait; wait")
        task = asyncio.ensure_future(there.run(of.name, {}, call(tmp_path, line)))
        pids = tmp_path / "pids"
        await written(pids)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await there.close()
        # Its shell was waited for; what that had started was killed with it, and may take a moment to go.
        assert eventually(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))

    asyncio.run(scene())


@pytest.mark.slow
def test_a_second_cancellation_leaves_no_process_either(tmp_path: Path) -> None:
    async def scene() -> None:
        of = spec()
        there = tools(of)
        task = asyncio.ensure_future(
            there.run(of.name, {}, call(tmp_path, script("trap '' TERM; echo $$ >pid; sleep 61; sleep 61")))
        )
        pid = tmp_path / "pid"
        await written(pid)
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await there.close()
        assert gone(int(pid.read_text()))

    asyncio.run(scene())


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    run(tmp_path, "echo a | cat")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        run(tmp_path, "echo a | cat | cat && false || echo b")
        run(tmp_path, script("sleep 60"), timeout=0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # what a test before this one left may go meanwhile


def test_limits_are_set(tmp_path: Path) -> None:
    """From outside, perhaps when it has begun; the one on core files is set before the one on seconds."""
    assert run(tmp_path, script("until [ $(ulimit -t) = 25 ]; do sleep 0.05; done; ulimit -c")).text == "0\n"


# ── what comes out ───────────────────────────────────────────────────────────────────────────────


def test_bytes_that_are_not_text_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"a\xff\xfeb\0c\n")
    assert run(tmp_path, "cat bytes").text == "a\ufffd\ufffdb\\0c\n"


def test_long_output_is_cut_and_kept_in_a_file(tmp_path: Path) -> None:
    result = run(tmp_path, "seq 100000")
    assert len(result.text) < 20_000
    assert result.text.startswith("1\n2\n")
    assert result.text.endswith("99999\n100000\n")
    [kept] = (tmp_path / ".openclaw" / "outputs").iterdir()
    assert str(kept.relative_to(tmp_path)) in result.text
    assert kept.read_text() == "".join(f"{number}\n" for number in range(1, 100_001))


def test_a_flood_is_read_in_bounded_memory(tmp_path: Path) -> None:
    result = run(tmp_path, "yes 0123456789abcdef | head -c 200000000", timeout=50)
    kept = next((tmp_path / ".openclaw" / "outputs").iterdir())
    assert kept.stat().st_size < _processes.HEAD + 2 * _processes.TAIL
    assert f"{200_000_000 - _processes.HEAD - _processes.TAIL:,} bytes were not kept" in kept.read_text()
    assert result.text.startswith("0123456789abcdef\n")


@pytest.mark.slow
def test_a_gigabyte_hurts_nobody(tmp_path: Path) -> None:
    result = run(tmp_path, "yes | head -c 1000000000", timeout=200)
    assert len(result.text) < 20_000


def test_a_capture_keeps_head_and_tail() -> None:
    capture = _processes.Capture()
    for index in range(100):
        capture.add(bytes([65 + index % 26]) * 100_000)
    text = capture.text()
    assert capture.total == 10_000_000
    assert text.startswith("A") and text.endswith("V")
    assert len(text) < _processes.HEAD + _processes.TAIL + 100
