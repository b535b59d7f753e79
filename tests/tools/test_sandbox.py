"""The sandbox for real: programs inside try to get out, held as commands are held. What this machine cannot do is
skipped and says so."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw.clock import SystemClock
from openclaw.messages import Call, CommandLine, Confinement, Mechanism, Step, ToolResult, ToolSpec
from openclaw.ports import Place
from openclaw.tools import _sandbox, _sandbox_seatbelt
from openclaw.tools._sandbox import Private, Sandbox, candidates, shared, sweep
from openclaw.tools._sandbox_masks import MOST_FOLDERS, MOST_MASKS, Guards
from openclaw.tools._sandbox_trial import ATTEMPTS, trial
from openclaw.tools.shell import Tools

HERE = {walls.mechanism for walls in candidates()}
bubblewrap = pytest.mark.skipif("bubblewrap" not in HERE, reason="bubblewrap is not installed")
landlock = pytest.mark.skipif("landlock" not in HERE, reason="this kernel has no Landlock")
EACH = [pytest.param("bubblewrap", marks=bubblewrap), pytest.param("landlock", marks=landlock)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace in a folder that holds more, with a repository and a secret."""
    folder = tmp_path.resolve() / "workspace"
    (folder / ".git" / "hooks").mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]\n")
    (folder / ".env").write_text("TOKEN=zorblax\n")
    (folder / "notes.txt").write_text("plain\n")
    (tmp_path / "secret").write_text("zorblax\n")
    return folder


def held(
    workspace: Path,
    text: str,
    mechanism: Mechanism = "bubblewrap",
    *,
    writable: bool = False,
    network: bool = False,
    shown: tuple[Path, ...] = (),
    repository: bool = False,
    timeout: float = 30.0,
) -> ToolResult:
    """What a shell script prints that runs as a command does."""
    confinement = Confinement(mechanism, workspace, writable, network, (), shown, repository)
    command = CommandLine((Step(("sh", "-c", text), program="/bin/sh"),), confinement)
    return asyncio.run(ran(workspace, command, timeout))


async def ran(workspace: Path, command: CommandLine, timeout: float) -> ToolResult:
    spec = ToolSpec("run_command", "", {}, "shell", {}, {"command": "command"}, timeout=timeout)
    tools = Tools({"run_command": spec}, Place("/", str(workspace.with_name("state"))), SystemClock())
    try:
        return await tools.run(spec.name, {}, Call("main", "s", "repl:local", workspace, "call-1", command))
    finally:
        await tools.close()


# ── the trial ────────────────────────────────────────────────────────────────────────────────────


@bubblewrap
def test_bubblewrap_stops_every_attempt_of_the_trial() -> None:
    assert trial(shared(), next(w for w in candidates() if w.mechanism == "bubblewrap")) == dict.fromkeys(
        ATTEMPTS, True
    )


@landlock
def test_landlock_stops_what_it_promises() -> None:
    found = trial(shared(), next(w for w in candidates() if w.mechanism == "landlock"))
    stopped = {name for name, held in found.items() if held}
    assert stopped >= {"runs", "outside", "workspace", "secret", "environment"}
    assert "masked" not in stopped


def test_the_trial_sees_an_open_door() -> None:
    from openclaw.permissions.facts import Walls

    found = trial(shared(), Walls())
    assert not any(found[name] for name in ("outside", "workspace", "secret", "masked", "create", "environment"))


def test_walls_that_fail_their_trial_are_not_counted_on(tmp_path: Path) -> None:
    """A bubblewrap that only runs the program holds nothing."""
    liar = tmp_path / "bwrap"
    liar.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    liar.chmod(0o755)
    sandbox = Sandbox({"bwrap": str(liar)}.get)
    assert sandbox.walls().mechanism != "bubblewrap"
    sandbox.close()


@pytest.mark.parametrize("small", [False, True])
def test_folders_of_processes_that_were_killed_are_swept_and_those_in_use_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(_sandbox, "_MEMORY", str(tmp_path / "memory"))
    used, left = Private.made(small=small), Private.made(small=small)
    assert (used.folder.parent == tmp_path / "memory") is small
    os.close(left.descriptor)
    sweep(young=0)
    assert used.folder.exists() and not left.folder.exists()
    used.close()
    fresh = Private.made(small=small)
    os.close(fresh.descriptor)
    sweep()
    assert fresh.folder.exists()  # it may not have its lock yet


@pytest.mark.parametrize(("memory", "room"), [("none", 0), (".", 2**80)])
def test_a_machine_without_room_in_memory_has_a_place_for_what_is_small(
    memory: str, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    monkeypatch.setattr(_sandbox, "_MEMORY", str(tmp_path / memory))
    monkeypatch.setattr(_sandbox, "_ROOM", room)
    with closing(Private.made(small=True)) as made:
        assert made.folder.parent == tmp_path / "disk"


# ── what cannot be reached ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mechanism", EACH)
def test_nothing_is_written_outside_the_workspace_not_even_after_approval(
    mechanism: Mechanism, workspace: Path
) -> None:
    held(workspace, "echo x > ../new; echo x > $HOME/../new; rm -f ../secret", mechanism, writable=True)
    found = {path.name for path in workspace.parent.iterdir()}
    assert found == {"secret", "workspace", "state"}  # the runtime notes in its state folder what it runs


@pytest.mark.parametrize("mechanism", EACH)
def test_what_runs_unasked_writes_nothing(mechanism: Mechanism, workspace: Path) -> None:
    result = held(workspace, "echo x > new", mechanism)
    assert result.is_error and "lets nothing be written" in result.text
    assert not (workspace / "new").exists()


@pytest.mark.parametrize("mechanism", EACH)
def test_what_was_approved_writes_in_the_workspace(mechanism: Mechanism, workspace: Path) -> None:
    assert not held(
        workspace, "mkdir -p a/b && echo x > a/b/c && mv notes.txt moved", mechanism, writable=True
    ).is_error
    assert (workspace / "a/b/c").read_text() == "x\n"
    assert (workspace / "moved").exists()


@pytest.mark.parametrize("mechanism", EACH)
def test_no_secret_outside_the_workspace_is_read(mechanism: Mechanism, workspace: Path) -> None:
    result = held(workspace, "cat ../secret /etc/shadow ~root/.bashrc 2>&1", mechanism, writable=True)
    assert "zorblax" not in result.text and "root:" not in result.text


@pytest.mark.parametrize("mechanism", EACH)
def test_the_environment_of_the_runtime_is_not_read(mechanism: Mechanism, workspace: Path) -> None:
    asked = subprocess.Popen(["sleep", "60"], env={"TOKEN": "zorblax"})
    try:
        text = held(workspace, "cat /proc/[0-9]*/environ | tr '\\0' '\\n'", mechanism, writable=True).text
        text += held(workspace, f"cat /proc/{asked.pid}/environ", mechanism, writable=True).text
        assert "zorblax" not in text
        assert "HOME=" in text or mechanism == "landlock"  # it did look, and found itself
    finally:
        asked.kill()
        asked.wait()


CONNECT = textwrap.dedent("""
    import socket
    for kind, family, where in (
        ("tcp", socket.SOCK_STREAM, ("127.0.0.1", {tcp})), ("udp", socket.SOCK_DGRAM, ("127.0.0.1", {udp}))
    ):
        try:
            with socket.socket(socket.AF_INET, family) as one:
                one.connect(where)
                one.send(b"out")
            print("reached", kind)
        except OSError:
            pass
    for name in ({path!r}, "\\0openclaw-test-{tcp}"):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                one.connect(name)
            print("reached unix")
        except OSError:
            pass
    print("tried")
""")


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[dict[str, Any]]:
    path = str(tmp_path / "s")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(path)
        unix.listen()
        port = tcp.getsockname()[1]
        abstract.bind(f"\0openclaw-test-{port}")
        abstract.listen()
        udp.setblocking(False)
        yield {"tcp": port, "udp": udp.getsockname()[1], "path": path, "heard": lambda: heard(udp)}


def heard(udp: socket.socket) -> bool:
    """Whether anything came; what is sent on this machine is there when it was sent."""
    try:
        return udp.recv(10) == b"out"
    except BlockingIOError:
        return False


def python(workspace: Path, text: str) -> str:
    (workspace / "try.py").write_text(text)
    return "/usr/bin/python3 try.py"


needs_python = pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="there is no /usr/bin/python3")


@needs_python
@bubblewrap
def test_bubblewrap_cuts_off_every_network(workspace: Path, listeners: dict[str, Any]) -> None:
    script = python(workspace, CONNECT.format(**listeners))
    found = held(workspace, script, writable=True).text
    assert "tried" in found
    assert "reached tcp" not in found and "reached unix" not in found
    assert not listeners["heard"]()
    assert "reached tcp" in held(workspace, script, writable=True, network=True).text
    assert listeners["heard"]()


@needs_python
@landlock
def test_landlock_cuts_off_tcp_and_abstract_sockets(workspace: Path, listeners: dict[str, Any]) -> None:
    script = python(workspace, CONNECT.format(**{**listeners, "path": "/nowhere"}))
    found = held(workspace, script, "landlock", writable=True).text
    assert "tried" in found
    assert "reached tcp" not in found


# ── what is protected in the workspace ───────────────────────────────────────────────────────────


@bubblewrap
def test_a_secret_in_the_workspace_is_not_there_unless_the_person_read_its_name(workspace: Path) -> None:
    (workspace / "deep" / "er").mkdir(parents=True)
    (workspace / "deep" / "er" / "id_rsa").write_text("zorblax\n")
    assert "zorblax" not in held(workspace, "grep -r . . ; cat .env deep/er/id_rsa").text
    assert "zorblax" not in held(workspace, "grep -r . . ; cat .env deep/er/id_rsa", writable=True).text
    assert "zorblax" in held(workspace, "cat .env", writable=True, shown=(workspace / ".env",)).text


@bubblewrap
def test_walking_through_the_workspace_stumbles_over_nothing_hidden(workspace: Path) -> None:
    result = held(workspace, "grep -rc . . >/dev/null && find . >/dev/null && ls -laR >/dev/null && echo whole")
    assert result == ToolResult("whole\n")


@bubblewrap
@pytest.mark.parametrize(
    "text",
    [
        "echo x > .envrc",
        "mkdir -p .vscode && echo x > .vscode/tasks.json",
        "echo x > .git/hooks/post-checkout",
        "echo x >> .git/config",
        "mv .git elsewhere && mkdir -p .git/hooks && echo x > .git/hooks/post-checkout",
        "rm -rf .git; mkdir -p .git/hooks && echo x > .git/hooks/post-checkout",
        "ln -s /tmp .ssh; mkdir -p .ssh && echo x > .ssh/authorized_keys",
        "mv .env elsewhere; echo x > .env",
    ],
)
@pytest.mark.parametrize("repository", [False, True])
def test_protected_files_are_neither_made_nor_changed(text: str, repository: bool, workspace: Path) -> None:
    before = seen(workspace)
    held(workspace, text, writable=True, repository=repository)
    assert seen(workspace) == before


@bubblewrap
def test_protected_files_that_an_approved_command_could_make_are_told(workspace: Path) -> None:
    (workspace / "sub" / ".vscode").mkdir(parents=True)
    script = """
        mkdir -p sub/.claude node_modules/.bin; echo x > sub/.envrc; echo x > .npmrc; echo x > sub/.vscode/tasks.json
        echo x > .envrc; echo x > plain; echo x > "sub/.env\a"
    """
    text = held(workspace, script, writable=True).text
    told = "[protected files came to be while it ran: `.npmrc`, `sub/.claude`, `sub/.env\\u{7}`, `sub/.envrc`]"
    assert told in text, text
    assert "came to be" not in held(workspace, "echo x > again; cat sub/.envrc", writable=True).text
    many = held(
        workspace, "for i in 1 2 3 4 5 6 7 8 9 a b c; do mkdir -p d$i; echo x > d$i/.envrc; done", writable=True
    )
    assert "and 2 more]" in many.text and not many.is_error


@bubblewrap
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_repository_that_git_makes_is_not_told_and_what_it_brings_is(workspace: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    script = "git init -q theirs && echo x > theirs/.envrc && git -C theirs add . && git -C theirs"
    script += " -c user.name=a -c user.email=a@b commit -qm one && git clone -q --bare theirs theirs.git"
    subprocess.run(["sh", "-ec", script], cwd=workspace, check=True, env=environment)
    shutil.rmtree(workspace / "theirs")
    result = held(workspace, "git clone -q theirs.git mine", writable=True, repository=True)
    assert result.text == "[protected files came to be while it ran: `mine/.envrc`]"


def seen(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.exists()
    }


@bubblewrap
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_commits_where_a_person_agreed_and_its_hooks_stay_as_they_are(workspace: Path) -> None:
    shutil.rmtree(workspace / ".git")
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)
    hooks = sorted((workspace / ".git" / "hooks").iterdir())
    script = "git add notes.txt && git -c user.name=a -c user.email=a@b commit -qm one && git log --oneline"
    result = held(workspace, script, writable=True, repository=True)
    assert result.text.endswith(" one\n"), result.text
    assert sorted((workspace / ".git" / "hooks").iterdir()) == hooks
    assert held(workspace, "git log --oneline", repository=True).text.endswith(" one\n")


LEFT = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    from openclaw.messages import Confinement
    from openclaw.tools._sandbox_masks import Guards
    Guards().masks(Confinement("bubblewrap", Path(sys.argv[1]), writable=True, lenient=True))
    print("placed", flush=True)
    sys.stdin.read()
""")


@pytest.mark.parametrize("writable", [False, True])
def test_what_a_killed_runtime_left_is_taken_away_by_the_next_command_and_not_before(
    writable: bool, workspace: Path
) -> None:
    before = sorted(workspace.iterdir())
    other = subprocess.Popen(
        [sys.executable, "-c", LEFT, str(workspace)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    guards, confinement = Guards(), Confinement("bubblewrap", workspace, writable=writable)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"placed\n"
        guards.release(guards.masks(replace(confinement, lenient=True)))
        assert (workspace / ".envrc").is_dir()  # the other one needs it
    finally:
        other.kill()
        other.communicate()
    guards.release(guards.masks(replace(confinement, lenient=True)))
    assert sorted(workspace.iterdir()) == before


def test_a_lock_that_somebody_holds_on_the_workspace_holds_no_command_up(workspace: Path) -> None:
    descriptor = os.open(workspace, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    guards, found = Guards(), []

    def command() -> None:
        masks = guards.masks(Confinement("bubblewrap", workspace, writable=True))
        found.append(workspace / ".envrc" in masks.unmade)
        guards.release(masks)

    thread = threading.Thread(target=command, daemon=True)
    thread.start()
    thread.join(30)
    os.close(descriptor)
    assert found == [True]


def test_somebody_elses_lock_on_what_was_left_is_not_waited_for(workspace: Path) -> None:
    (workspace / ".envrc").mkdir(mode=0o1700)
    descriptor = os.open(workspace / ".envrc", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    guards = Guards()
    masks = guards.masks(Confinement("bubblewrap", workspace, writable=True))
    assert workspace / ".envrc" in masks.unmade
    guards.release(masks)
    os.close(descriptor)
    guards.placed.sweep(workspace)
    assert not (workspace / ".envrc").exists()


def test_what_keeps_names_from_being_made_is_known_from_its_first_moment(workspace: Path) -> None:
    """Somebody may look just after it was made."""
    (workspace / ".envrc").mkdir(mode=0o1700)
    assert Guards()._found(Confinement("bubblewrap", workspace)).hidden == (workspace / ".env", workspace / ".git")


@pytest.mark.slow
def test_what_a_person_fills_while_a_command_runs_is_found(workspace: Path) -> None:
    """However long the workspace itself has not changed by then."""
    guards, confinement = Guards(), Confinement("bubblewrap", workspace)
    masks = guards.masks(replace(confinement, writable=True))
    placed = time.monotonic()
    assert eventually(lambda: time.monotonic() > placed + 2.2)
    assert workspace / ".ssh" not in guards.masks(confinement).hidden
    (workspace / ".ssh" / "id_ed25519").write_text("zorblax\n")
    assert workspace / ".ssh" in guards.masks(confinement).hidden
    guards.release(masks)
    assert (workspace / ".ssh" / "id_ed25519").exists() and not (workspace / ".envrc").exists()


@pytest.mark.parametrize("when", [(1, 1), (0, 0)])
def test_an_empty_folder_of_a_person_is_not_taken_away_whatever_its_time(when: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / ".vscode").mkdir()
    os.utime(tmp_path / ".vscode", when)
    guards = Guards()
    guards.release(guards.masks(Confinement("bubblewrap", tmp_path, writable=True)))
    assert [path.name for path in tmp_path.iterdir()] == [".vscode"]


@bubblewrap
@pytest.mark.parametrize("writable", [False, True])
def test_what_is_gone_when_a_command_starts_neither_stops_it_nor_comes_to_be(writable: bool, workspace: Path) -> None:
    (workspace / ".envrc").touch()
    sandbox = Sandbox()
    box = sandbox.box(Confinement("bubblewrap", workspace, writable=writable), several=False)
    (workspace / ".env").unlink()
    (workspace / ".envrc").unlink()
    shutil.rmtree(workspace / ".git")
    launch = box.launch(Step(("cat", "notes.txt"), program="/bin/cat"), workspace, {"PATH": "/usr/bin:/bin"}, 20)
    done = subprocess.run(launch.argv, executable=launch.program, capture_output=True, check=False)
    box.close()
    sandbox.close()
    assert (done.stdout, done.stderr) == (b"plain\n", b"")
    assert [path.name for path in workspace.iterdir()] == ["notes.txt"]


def test_no_folders_are_placed_in_somebodys_home(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workspace))
    guards = Guards()
    masks = guards.masks(Confinement("bubblewrap", workspace, writable=True))
    assert masks.unmade == () and workspace / ".env" in masks.hidden
    guards.release(masks)


# ── workspaces that cannot be searched ───────────────────────────────────────────────────────────


@pytest.fixture
def crowded(workspace: Path) -> Path:
    """With more that is protected than can be hidden."""
    for number in range(MOST_MASKS + 10):
        (workspace / f"{number}.pem").write_text("zorblax\n")
    return workspace


@pytest.mark.slow
@bubblewrap
def test_where_not_all_can_be_hidden_runs_what_does_not_count_on_it_and_says_so_to_who_agreed(crowded: Path) -> None:
    reading = Confinement("bubblewrap", crowded, lenient=True)
    step = Step(("cat", "notes.txt"), program="/bin/cat")
    assert asyncio.run(ran(crowded, CommandLine((step,), reading), 20)).text == "plain\n"
    agreed = asyncio.run(ran(crowded, CommandLine((step,), replace(reading, writable=True)), 20))
    assert not agreed.is_error
    assert agreed.text.startswith("plain\n[not all that is protected was kept from it: more than 1,000 protected")


def test_where_not_all_can_be_hidden_nothing_runs_that_counts_on_it(crowded: Path) -> None:
    from openclaw.errors import ToolError

    with pytest.raises(ToolError, match="too many to be hidden; nothing was run"):
        Guards().masks(Confinement("bubblewrap", crowded))
    assert "more than 1,000" in Guards().missed(crowded, ())


@pytest.mark.slow
def test_of_too_many_folders_the_outermost_are_searched(workspace: Path) -> None:
    for number in range(MOST_FOLDERS + 1):
        (workspace / "many" / str(number)).mkdir(parents=True)
    (workspace / "zz").mkdir()
    (workspace / "zz" / "id_rsa").touch()
    guards = Guards()
    masks = guards.masks(Confinement("bubblewrap", workspace, lenient=True))
    assert {workspace / ".env", workspace / "zz" / "id_rsa"} <= set(masks.hidden)
    assert "more than 50,000 folders" in masks.missed == guards.missed(workspace, ())


AS_NOBODY = textwrap.dedent("""
    import subprocess, sys
    from pathlib import Path
    from openclaw.messages import Confinement, Step
    from openclaw.tools._sandbox import Sandbox
    print("started", flush=True)
    sandbox, workspace = Sandbox(), Path(sys.argv[1])
    for writable in (False, True):
        box = sandbox.box(Confinement("bubblewrap", workspace, writable=writable), several=False)
        launch = box.launch(Step(("cat", "a"), program="/bin/cat"), workspace, {"PATH": "/usr/bin:/bin"}, 20)
        subprocess.run(launch.argv, executable=launch.program, cwd=workspace, check=True)
        assert workspace / "theirs" in box.masks.hidden and not box.masks.missed
        box.close()
""")


@bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_the_user_cannot_search_is_hidden_whole(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        workspace = Path(made).resolve()
        (workspace / "theirs").mkdir(mode=0o700)
        (workspace / "theirs" / "id_rsa").touch()
        (workspace / "a").write_text("whole\n")
        workspace.chmod(0o755)
        os.chown(workspace, 65534, 65534)
        become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        done = subprocess.run(
            [*become, sys.executable, "-c", AS_NOBODY, str(workspace)],
            capture_output=True, text=True, cwd="/", env={"PATH": "/usr/bin:/bin", "TMPDIR": "/tmp"}, check=False,
        )  # fmt: skip
    if not done.stdout.startswith("started\n"):
        pytest.skip(f"another user cannot start this interpreter: {done.stderr.strip().splitlines()[-1:]}")
    assert (done.stdout, done.stderr) == ("started\nwhole\nwhole\n", "")


def test_two_commands_at_once_share_what_keeps_files_from_being_made(workspace: Path) -> None:
    guards, confinement = Guards(), Confinement("bubblewrap", workspace, writable=True)
    one, other = guards.masks(confinement), guards.masks(confinement)
    guards.release(one)
    assert (workspace / ".envrc").is_dir()
    guards.release(other)
    assert not (workspace / ".envrc").exists()


@bubblewrap
def test_what_is_built_in_the_workspace_is_built_anew_after_approval(workspace: Path) -> None:
    for name in ("node_modules/.bin", ".venv/bin"):
        (workspace / name).mkdir(parents=True)
        (workspace / name / "old").touch()
    script = "rm -rf node_modules .venv && mkdir -p node_modules/.bin && echo x > node_modules/.bin/new"
    assert held(workspace, script, writable=True) == ToolResult("(no output)")
    assert (workspace / "node_modules/.bin/new").exists() and not (workspace / ".venv").exists()


@bubblewrap
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_changes_its_configuration_where_that_was_agreed_to_and_says_why_not_elsewhere(workspace: Path) -> None:
    shutil.rmtree(workspace / ".git")
    subprocess.run(["git", "init", "-q", str(workspace)], check=True)
    step = Step(("git", "remote", "add", "origin", "https://example.org/x"), program=shutil.which("git") or "")
    closed = Confinement("bubblewrap", workspace, writable=True, repository=True)
    refused = asyncio.run(ran(workspace, CommandLine((step,), closed), 20))
    assert "`.git/config` is protected in the workspace" in refused.text
    opened = replace(closed, opened=("config", "config.worktree"))
    assert not asyncio.run(ran(workspace, CommandLine((step,), opened), 20)).is_error
    assert "example.org" in (workspace / ".git" / "config").read_text()
    again = Step(("git", "init"), program=step.program)
    assert not asyncio.run(ran(workspace, CommandLine((again,), opened), 20)).is_error
    assert held(workspace, "echo x > .git/hooks/post-checkout", writable=True, repository=True).is_error


@bubblewrap
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_checks_settings_out_where_that_was_agreed_to(workspace: Path) -> None:
    """A branch may bring files that programs obey; it is checked out whole, and the hooks stay as they are."""
    shutil.rmtree(workspace / ".git")
    for name, text in ((".gitattributes", "* text\n"), (".github/workflows/ci.yml", "on: push\n")):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    script = """
        git init -q && git config user.email a@b && git config user.name a && git add .gitattributes .github
        git commit -qm one && git checkout -qb two && echo '*.x binary' > .gitattributes
        mkdir .vscode && echo '{}' > .vscode/settings.json && echo 'on: []' > .github/workflows/ci.yml
        git add . && git commit -qm two && git checkout -q -
    """
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["sh", "-ec", script], cwd=workspace, check=True, env=environment)
    step = Step(("git", "checkout", "-q", "two"), program=shutil.which("git") or "")
    closed = Confinement("bubblewrap", workspace, writable=True, repository=True)
    assert asyncio.run(ran(workspace, CommandLine((step,), closed), 20)).is_error
    subprocess.run(["git", "checkout", "-qf", "-"], cwd=workspace, check=False)
    agreed = replace(closed, settings=True)
    result = asyncio.run(ran(workspace, CommandLine((step,), agreed), 20))
    assert not result.is_error, result.text
    assert (workspace / ".vscode/settings.json").exists()
    assert (workspace / ".github/workflows/ci.yml").read_text() == "on: []\n"
    assert (workspace / ".gitattributes").read_text() == "*.x binary\n"


def test_a_folder_that_has_just_changed_is_read_again_whatever_its_time_says(workspace: Path) -> None:
    guards, confinement = Guards(), Confinement("bubblewrap", workspace)
    before = workspace.stat()
    assert workspace / "a.key" not in guards.masks(confinement).hidden
    (workspace / "a.key").touch()
    os.utime(workspace, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert workspace / "a.key" in guards.masks(confinement).hidden


def test_many_questions_of_one_decision_search_a_workspace_once(workspace: Path) -> None:
    """What is asked again at once is answered from memory, and what runs is searched for anew."""
    from openclaw.errors import ToolError

    guards = Guards()
    before = time.monotonic()
    assert guards.missed(workspace, ()) == ""
    for number in range(MOST_MASKS + 1):
        (workspace / f"{number}.pem").touch()
    again = guards.missed(workspace, ())
    assert again == "" or time.monotonic() > before + 1
    with pytest.raises(ToolError, match="nothing was run"):
        guards.masks(Confinement("bubblewrap", workspace))
    assert eventually(lambda: "more than 1,000" in guards.missed(workspace, ()))


def test_new_secrets_are_found_without_reading_the_workspace_again(workspace: Path) -> None:
    guards, confinement = Guards(), Confinement("bubblewrap", workspace)
    assert guards.masks(confinement).hidden == (workspace / ".env", workspace / ".git")
    (workspace / "sub").mkdir()
    (workspace / "sub" / "server.key").write_text("x")
    assert workspace / "sub" / "server.key" in guards.masks(confinement).hidden


@bubblewrap
def test_a_link_that_a_command_left_leads_no_tool_out(workspace: Path) -> None:
    """The child makes the link, the parent writes: it must not follow."""
    from openclaw.errors import ToolError
    from openclaw.tools.files import Tools as Files

    held(workspace, "ln -s ../secret link; ln -s .. up", writable=True)
    spec = ToolSpec("write_file", "", {}, "files", {}, {"path": "path"}, writes=True)
    files = Files({"write_file": spec}, Place("/", "/"), SystemClock())
    for path in ("link", "up/secret", "up/new"):
        call = Call("main", "s", "repl:local", workspace, "call-2")
        with pytest.raises(ToolError):
            result = asyncio.run(files.run("write_file", {"path": path, "content": "overwritten"}, call))
            raise ToolError(result.text) if result.is_error else AssertionError(result)
    assert (workspace.parent / "secret").read_text() == "zorblax\n"
    assert not (workspace.parent / "new").exists()


# ── what people see of it ────────────────────────────────────────────────────────────────────────


@bubblewrap
def test_whoever_agreed_to_a_path_outside_lets_it_be_read(workspace: Path) -> None:
    secret = workspace.parent / "secret"
    assert held(workspace, f"cat {secret}", writable=True, shown=(secret,)).text == "zorblax\n"
    assert held(workspace, f"echo x > {secret}", writable=True, shown=(secret,)).is_error
    assert secret.read_text() == "zorblax\n"


@bubblewrap
def test_programs_of_one_line_share_a_folder_for_temporary_files(workspace: Path) -> None:
    file = f"/tmp/{uuid.uuid4().hex}"
    steps = (
        Step(("sh", "-c", f"echo shared > {file}"), program="/bin/sh"),
        Step(("cat", file), "&&", program="/bin/cat"),
    )
    line = CommandLine(steps, Confinement("bubblewrap", workspace, writable=True))
    assert asyncio.run(ran(workspace, line, 20)).text == "shared\n"
    assert not Path(file).exists()


@pytest.mark.parametrize("mechanism", EACH)
def test_exit_codes_and_signals_are_those_of_the_program(mechanism: Mechanism, workspace: Path) -> None:
    assert held(workspace, "exit 3", mechanism).text == "[exit code 3]"
    assert held(workspace, "kill -SEGV $$", mechanism).text == "[sh was ended by SIGSEGV]"


@bubblewrap
def test_programs_that_look_at_the_machine_see_it(workspace: Path) -> None:
    step = Step(("ps", "-e"), program=str(Path(shutil.which("ps") or "/bin/ps").resolve()))
    line = CommandLine((step,), Confinement("bubblewrap", workspace))
    inside = asyncio.run(ran(workspace, line, 20)).text
    around = asyncio.run(
        ran(workspace, replace(line, confinement=Confinement("bubblewrap", workspace, around=(step,))), 20)
    ).text
    assert len(around.splitlines()) > len(inside.splitlines())


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mechanism", EACH)
def test_nothing_outlives_its_time(mechanism: Mechanism, workspace: Path) -> None:
    script = "setsid sleep 61.7 & sh -c 'trap \"\" TERM; sleep 61.7' & sleep 61.7"
    result = held(workspace, script, mechanism, timeout=1.0)
    assert "ended after its 1 s were up" in result.text
    assert eventually(lambda: alive("61.7") == [])


def alive(seconds: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"sleep\0{seconds}\0".encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def eventually(holds: object, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    assert callable(holds)
    while not (found := bool(holds())) and time.monotonic() < deadline:
        os.sched_yield()
    return found


KILLED = textwrap.dedent("""
    import asyncio, sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from tools.test_sandbox import held
    held(Path({workspace!r}), "echo started > started; sleep {it} & sleep {it}", {mechanism!r}, writable=True)
""")


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", EACH)
def test_no_command_outlives_a_killed_runtime(mechanism: Mechanism, workspace: Path) -> None:
    tests = str(Path(__file__).parent.parent)
    it = {"bubblewrap": "62.3", "landlock": "62.4"}[mechanism]  # the two may run at the same time
    script = KILLED.format(tests=tests, workspace=str(workspace), mechanism=mechanism, it=it)
    runtime = subprocess.Popen([sys.executable, "-c", script])
    try:
        assert eventually((workspace / "started").exists, 30)
        assert eventually(lambda: alive(it) != [])
    finally:
        runtime.send_signal(signal.SIGKILL)
        runtime.wait()
    if mechanism == "bubblewrap":
        assert eventually(lambda: alive(it) == [])
    else:  # only the program itself goes with the runtime; what it started in the background does not
        assert eventually(lambda: len(alive(it)) <= 2)
        for pid in alive(it):
            os.kill(pid, signal.SIGKILL)


# Doubles until there are four thousand, and not for ever: a test that fails is not to end the machine it runs on.
BOMB = 'bomb() { [ "$1" -gt 0 ] && { bomb $(($1 - 1)) & bomb $(($1 - 1)) & }; sleep 57.9; }; bomb 11'


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", EACH)
def test_a_fork_bomb_is_stopped(mechanism: Mechanism, workspace: Path) -> None:
    result = held(workspace, BOMB, mechanism, timeout=40)
    assert result.is_error, result
    assert "512 processes" in result.text or "fork" in result.text
    assert eventually(lambda: alive("57.9") == [])


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", EACH)
def test_a_gigabyte_of_output_is_counted_and_not_kept(mechanism: Mechanism, workspace: Path) -> None:
    result = held(workspace, "head -c 1000000000 /dev/zero | tr '\\0' x", mechanism, timeout=120)
    assert not result.is_error
    assert len(result.text) < 10 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", EACH)
def test_too_much_memory_ends_a_program(mechanism: Mechanism, workspace: Path) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("there is no /usr/bin/python3")
    result = held(workspace, "/usr/bin/python3 -c 'x = bytearray(6 * 2**30); print(len(x))'", mechanism)
    assert result.is_error
    assert str(6 * 2**30) not in result.text


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@bubblewrap
def test_it_holds_for_somebody_who_is_not_root() -> None:
    """The trial as uid 65534, with the interpreter that the system has if ours cannot be read by others."""
    script = (
        "from openclaw.tools._sandbox import *; from openclaw.tools._sandbox_trial import trial; import json\n"
        "print(json.dumps({w.mechanism: trial(Sandbox(), w) for w in candidates()}))"
    )
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "TMPDIR": "/tmp"},
    )
    if done.returncode != 0:
        pytest.skip(f"another user cannot start this interpreter: {done.stderr.strip().splitlines()[-1:]}")
    assert '"bubblewrap": {"runs": true' in done.stdout
    assert "false" not in done.stdout.partition('"landlock"')[0]


# ── macOS, as text ───────────────────────────────────────────────────────────────────────────────


def test_the_profile_for_macos_denies_by_default_and_protects_last() -> None:
    confinement = Confinement("seatbelt", Path("/w (1)"), writable=True, hidden=(Path("/state"),))
    text = _sandbox_seatbelt.profile(confinement, Path("/tmp/x"))
    assert text.startswith("(version 1)\n(deny default)\n")
    assert "network" not in text
    assert '(subpath "/w (1)")' in text
    allowed, denied = text.rindex("(allow "), text.index('(deny file-write* (regex #"^/w\\ \\(1\\)/(.*/)?\\.git/(hooks')
    assert allowed < denied
    assert text.rstrip().endswith('(deny file-read* file-write* (subpath "/state"))')


def test_the_profile_for_macos_gives_the_network_and_the_workspace_only_when_told() -> None:
    confinement = Confinement("seatbelt", Path("/w"))
    text = _sandbox_seatbelt.profile(confinement, Path("/tmp/x"))
    assert '(allow file-write* (subpath "/tmp/x") (literal "/dev/null"))' in text
    assert "(allow network*" in _sandbox_seatbelt.profile(replace(confinement, network=True), Path("/tmp/x"))
