"""What `openclaw doctor` says of folders, and that --fix closes what a runtime made and nothing else of anybody's."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.house import lived, project
from openclaw.cli import _doctor_folder as lying
from openclaw.cli import main
from openclaw.cli._doctor_finding import Finding
from openclaw.cli._doctor_machine import disk
from openclaw.cli._doctor_project import dotenv
from openclaw.cli._doctor_state import left_behind
from openclaw.cli.doctor import wrapped
from openclaw.tools._sandbox_unmade import is_home

SOMEBODY = 54321  # a user without a name
for_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of a user who is not root, with this process in that user's shoes."""
    folder = Path(tempfile.mkdtemp()).resolve()
    root = os.geteuid() == 0
    if root:
        os.chown(folder, SOMEBODY, SOMEBODY)
        os.setegid(SOMEBODY)
        os.seteuid(SOMEBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
            os.setegid(0)
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=True)
        shutil.rmtree(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def mended(state: Path) -> list[str]:
    """What is mended in one look."""
    return [finding.mend() for finding in lying.folder(state) if finding.mend is not None]


def only(findings: Iterator[Finding]) -> Finding:
    [finding] = findings
    return finding


# ── what is not a runtime's ──────────────────────────────────────────────────────────────────────


def test_a_home_that_is_named_as_the_state_folder_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "logs").mkdir()
    (home / "run.sh").write_text("#!/bin/sh\n")
    modes = {home: 0o755, home / "bin": 0o755, home / "logs": 0o2775, home / "run.sh": 0o755}
    for path, bits in modes.items():
        path.chmod(bits)
    assert mended(home) == []
    home.chmod(0o700)
    assert mended(home) == []
    home.chmod(0o755)
    assert {path: mode(path) for path in modes} == modes
    found = only(lying.folder(home))
    assert found.state == "problem" and found.cure == "name a folder of its own with --state"


def test_a_folder_for_everybody_is_closed_for_nobody(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    found = only(lying.folder(tmp_path))
    assert found.state == "problem" and found.mend is None and "chmod" not in found.cure


def test_beside_what_a_runtime_made_what_somebody_put_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for name in ("runtime.db", "tool", "lock", "search.db-wal"):
        (tmp_path / name).touch(0o755)
        (tmp_path / name).chmod(0o755)
    assert len(mended(tmp_path)) == 3
    assert mode(tmp_path / "tool") == 0o755
    assert {mode(tmp_path / name) for name in ("runtime.db", "lock", "search.db-wal")} == {0o700}
    tmp_path.chmod(0o755)
    assert mended(tmp_path) == []


def test_nothing_is_closed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim").chmod(0o755)
    (tmp_path / "state").symlink_to(tmp_path / "victim")
    assert mended(tmp_path / "state") == []
    assert mode(tmp_path / "victim") == 0o755


def test_a_link_to_nowhere_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").symlink_to(tmp_path / "gone")
    found = only(lying.folder(tmp_path / "state"))
    assert found.state == "problem" and found.mend is None
    assert found.cure.startswith(f"mkdir -p -m 700 {tmp_path / 'gone'}")


def test_all_that_a_runtime_makes_is_known_as_its_own(tmp_path: Path) -> None:
    root, state = project(tmp_path / "p", "http://127.0.0.1:9"), tmp_path / "state"

    async def lives() -> set[str]:
        async with lived(root, state, demo=True):
            return {path.name for path in state.iterdir()}

    made = asyncio.run(asyncio.wait_for(lives(), 60)) | {path.name for path in state.iterdir()}
    assert {"runtime.db", "lock", "sessions", "last-good"} <= made
    state.chmod(0o755)
    assert mended(state) == [f"chmod 700 {state}"]


@for_root
def test_what_belongs_to_somebody_else_is_closed_for_nobody(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for name in ("runtime.db", "lock"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    os.chown(tmp_path / "lock", SOMEBODY, SOMEBODY)
    assert mended(tmp_path) == [f"chmod 600 {tmp_path / 'runtime.db'}"]
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    tmp_path.chmod(0o755)
    assert mended(tmp_path) == []


# ── what a runtime cannot use ────────────────────────────────────────────────────────────────────


@for_root
def test_root_is_sent_to_the_user_and_takes_nothing_from_them(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, SOMEBODY, SOMEBODY)
    found = only(lying.folder(state))
    assert found.state == "warning" and f"sudo -u '#{SOMEBODY}'" in found.cure and "chown" not in found.cure
    (state / "runtime.db").touch(0o600)
    _, foreign = lying.folder(state)
    assert foreign.state == "problem" and foreign.cure == f"sudo chown -R {SOMEBODY} {state}"


@for_root
def test_root_makes_nothing_in_somebody_s_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    looked = [*lying.folder(tmp_path / "state"), *lying.workspaces({"main": tmp_path / "desk"}), left_behind(tmp_path)]
    assert [finding.mend for finding in looked if finding] == [None, None, None]


@for_root
def test_what_root_has_left_in_the_folder_is_a_problem_with_its_cure(theirs: Path) -> None:
    (theirs / "sessions").mkdir(mode=0o700)
    os.seteuid(0)
    (theirs / "runtime.db").touch(0o600)
    (theirs / "sessions" / "one.jsonl").touch(0o600)
    os.seteuid(SOMEBODY)
    fine, found = lying.folder(theirs)
    assert (fine.state, found.state) == ("ok", "problem")
    assert "runtime.db, sessions/one.jsonl in" in found.found and "root (uid 0)" in found.found
    assert found.cure == f"sudo chown -R {SOMEBODY} {theirs}"


def test_a_folder_that_cannot_be_made_is_no_folder_that_will_be(theirs: Path) -> None:
    (theirs / "closed").mkdir(mode=0o500)
    found = only(lying.folder(theirs / "closed" / "state"))
    assert found.state == "problem" and found.mend is None
    assert "cannot be made" in found.found and "install -d -m 700" in found.cure
    workspace = only(lying.workspaces({"main": theirs / "closed" / "desk"}))
    assert workspace.state == "problem" and workspace.mend is None


def test_a_file_that_cannot_be_written_is_a_problem(theirs: Path) -> None:
    (theirs / "runtime.db").touch(0o400)
    _, found = lying.folder(theirs)
    assert found.state == "problem" and found.cure == f"chmod u+rw {theirs / 'runtime.db'}"


def test_folders_behind_a_closed_one_are_told_as_that(theirs: Path) -> None:
    (theirs / "closed").mkdir()
    place = theirs / "closed" / "more" / "place"
    (theirs / "closed").chmod(0)
    assert "permission denied" in only(lying.folder(place)).found
    assert "permission denied" in only(lying.workspaces({"main": place})).found
    assert disk(place).state == "warning"


def test_a_workspace_with_a_name_that_no_disk_takes_is_a_problem(tmp_path: Path) -> None:
    found = only(lying.workspaces({"main": tmp_path / ("a" * 300)}))
    assert found.state == "problem" and "too long" in found.found


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def test_a_cure_is_a_line_that_a_shell_takes_as_it_is_meant(tmp_path: Path) -> None:
    state = tmp_path / "my long state; with a $(touch stolen) name that no line of a terminal has room for"
    state.mkdir()
    state.chmod(0o755)
    root = project(tmp_path / "my project", "http://127.0.0.1:9", files={".env": "A=1\n"})
    (root / ".env").chmod(0o644)
    for cure in (only(lying.folder(state)).cure, only(dotenv(root)).cure):
        assert cure.removeprefix("chmod 600 ").removeprefix("chmod 700 ") in wrapped(cure, 60)
        subprocess.run(["sh", "-c", cure], check=True, cwd=tmp_path, timeout=10)
    assert (mode(state), mode(root / ".env")) == (0o700, 0o600)
    assert not (tmp_path / "stolen").exists()


def test_where_this_user_may_not_look_the_rest_is_told_all_the_same(
    theirs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (theirs / "closed").mkdir(mode=0)
    monkeypatch.setenv("OPENCLAW_STATE", str(theirs / "closed" / "state"))
    assert main(["-C", str(theirs / "closed" / "project"), "doctor", "--json"]) == 1
    found = {finding["about"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    for about in ("project", "state folder"):
        assert found[about]["state"] == "problem" and "permission denied" in found[about]["found"]
    assert main(["status"]) == 2
    assert "OPENCLAW_STATE" in capsys.readouterr().err


@for_root
def test_a_user_without_a_name_and_a_home_is_at_home_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    os.setresuid(SOMEBODY, 0, 0)
    try:
        found = is_home(tmp_path), is_home(Path("~"))
    finally:
        os.setresuid(0, 0, 0)
    assert found == (False, False)


def test_a_report_of_a_bug_leaves_a_state_folder_that_is_closed(tmp_path: Path) -> None:
    code = "import sys; from openclaw.cli import _bug; sys.exit(_bug(sys.argv[1:]))"
    state = tmp_path / "state"
    done = subprocess.run(
        [sys.executable, "-c", code, "--state", str(state)], capture_output=True, text=True, timeout=60, umask=0o022
    )
    assert done.returncode == 70 and str(state) in done.stderr
    assert (mode(state), mode(state / "logs")) == (0o700, 0o700)
