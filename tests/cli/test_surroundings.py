"""The command line in odd surroundings: closed streams, full devices, folders that went or could never be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from doubles import warm

ROOT = Path(__file__).resolve().parents[2]


def shell(line: str, state: Path, *, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A line of a real shell, which alone can close streams; `$oc` is the command with its state folder."""
    words = f"oc='{sys.executable} -m openclaw -C {ROOT} --state {state}'; {line}"
    return subprocess.run(["sh", "-c", words], capture_output=True, text=True, timeout=60, cwd=cwd)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sessions list", "--help", "chat --demo hello"])
def test_a_full_standard_output_is_said_and_no_bug(tmp_path: Path, command: str) -> None:
    done = shell(f"$oc {command} > /dev/full", tmp_path)
    assert (1, "openclaw: no space left on device") == (done.returncode, done.stderr.strip().split("\n")[-1])


@pytest.mark.slow
def test_what_is_said_to_a_closed_output_goes_nowhere_else(tmp_path: Path) -> None:
    done = shell("echo 'remember that a is b' | $oc run --demo >&- 2>&-", tmp_path)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert "1" == shell("$oc status --json", tmp_path).stdout.split('"memories": ')[1][0]


def test_a_question_without_standard_input_is_wrong_usage(tmp_path: Path) -> None:
    done = shell("$oc chat --demo <&-", tmp_path)
    assert (2, True) == (done.returncode, "there is no question" in done.stderr)


@pytest.mark.parametrize("command", ["status", "sessions list", "memory list", "approvals list", "chat --demo hello"])
def test_a_state_folder_that_is_a_file_is_said(tmp_path: Path, command: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    start = [sys.executable, "-m", "openclaw", "-C", str(ROOT), "--state", str(file), *command.split()]
    done = warm.run(start, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (1, "", True) == (done.returncode, done.stdout, f"{file} cannot be used" in done.stderr)


@pytest.mark.slow
def test_a_locale_without_letters_loses_none(tmp_path: Path) -> None:
    plain = "export LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"
    assert 0 == shell(f"{plain}; $oc chat --demo 'remember é is ü' < /dev/null", tmp_path).returncode
    assert "é is ü" in next((tmp_path / "memory").glob("*.md")).read_text("utf-8")
    assert "é is ü" in shell(f"{plain}; $oc memory search é", tmp_path).stdout


def test_memory_on_a_full_disk_is_said_with_its_cure(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    (folder / "memory").mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes a root that may mount")
    try:
        fill = f"mkdir {folder}/memory; echo tea > {folder}/memory/tea.md; cat /dev/zero > {folder}/filler"
        done = shell(f"{fill} 2> /dev/null; $oc memory list", folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
    assert (1, True) == (done.returncode, "free some space" in done.stderr), done.stderr


@pytest.mark.parametrize("option", ["-C", "--state"])
@pytest.mark.parametrize("place", ["", "a" * 300, "a/" * 3000])
def test_a_place_that_could_never_be_is_wrong_usage(tmp_path: Path, option: str, place: str) -> None:
    start = [sys.executable, "-m", "openclaw", "--state", str(tmp_path), "validate", option, place]
    done = warm.run(start, text=True, timeout=60, cwd=ROOT)
    assert (2, 1) == (done.returncode, done.stderr.count("\n")), done.stderr


def test_a_current_folder_that_went_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(f"rmdir {gone}; {sys.executable} -m openclaw validate", tmp_path, cwd=gone)
    assert (2, 1) == (done.returncode, done.stderr.count("\n")), done.stderr
