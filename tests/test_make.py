"""`make run` sets up an environment, and starts anew where it was interrupted. Nothing is installed here.

In place of Python stands a script that writes down how it is called and makes environments of itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
PYTHON = """#!/bin/sh
echo "$*" >>calls
case "$*" in
    *version_info*) exit ${OLD:-0} ;;
    *"-m venv"*) mkdir -p .venv-double/bin && cp "$0" .venv-double/bin/python ;;
    *"pip --version"*) test -e .venv-double/pip ;;
    *ensurepip*) test -z "$NO_PIP" && touch .venv-double/pip ;;
    *"pip install"*requirements.txt*) test -z "$INTERRUPTED" || exit 1 ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone of Zoë"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(TOP / name, folder)
    (folder / "double").write_text(PYTHON)
    (folder / "double").chmod(0o755)
    return folder


def make(clone: Path, target: str = ".venv-double/.run", **more: str) -> tuple[int, str, list[str]]:
    """Its exit code, what it says, and how it calls Python."""
    (clone / "calls").write_text("")
    done = subprocess.run(
        ["make", target, "PYTHON=./double"],
        cwd=clone, env={"PATH": os.environ["PATH"], **more}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stderr, (clone / "calls").read_text().splitlines()


def test_an_environment_is_made_once(clone: Path) -> None:
    code, said, calls = make(clone)
    assert (code, sum("pip install" in call for call in calls)) == (0, 2), said
    assert not (clone / ".venv-double" / ".begun").exists()
    assert make(clone) == (0, "", [])


def test_one_that_was_interrupted_is_made_anew(clone: Path) -> None:
    code, *_ = make(clone, INTERRUPTED="1")
    (clone / ".venv-double" / "half").touch()
    assert (code, (clone / ".venv-double" / ".begun").exists()) == (2, True)
    code, said, calls = make(clone)
    assert (code, any("-m venv" in call for call in calls)) == (0, True), said
    assert not (clone / ".venv-double" / "half").exists()


def test_one_in_which_another_make_installs_is_left_alone(clone: Path) -> None:
    (clone / ".venv-double").mkdir()
    (clone / ".venv-double" / ".begun").write_text(f"{os.getpid()}\n")
    code, said, calls = make(clone)
    assert (code, f"process {os.getpid()}" in said, len(calls)) == (2, True, 1)
    assert (clone / ".venv-double" / ".begun").exists()


def test_one_that_has_python_and_no_pip_is_given_pip(clone: Path) -> None:
    """As other tools make them."""
    (clone / ".venv-double" / "bin").mkdir(parents=True)
    shutil.copy(clone / "double", clone / ".venv-double" / "bin" / "python")
    code, said, calls = make(clone)
    assert (code, [call for call in calls if "venv" in call.split()]) == (0, []), said
    assert any("ensurepip" in call for call in calls)


def test_without_a_way_to_make_one_the_cure_is_told_every_time(clone: Path) -> None:
    for _ in range(2):
        code, said, _ = make(clone, NO_PIP="1")
        assert (code, "apt install python3-venv" in said) == (2, True)
    assert make(clone)[0] == 0


def test_an_old_python_is_told_before_anything_is_made(clone: Path) -> None:
    code, said, calls = make(clone, OLD="1")
    assert (code, "Python 3.11 or newer is needed" in said, len(calls)) == (2, True, 1)
    assert not (clone / ".venv-double").exists()


def test_nothing_is_left_after_clean(clone: Path) -> None:
    before = sorted(clone.rglob("*"))
    for folder in ("runtime/openclaw/__pycache__", "scripts/__pycache__", "tests/doubles/__pycache__", "dist", "build"):
        (clone / folder).mkdir(parents=True)
    assert make(clone)[0] == 0
    assert make(clone, "clean")[0] == 0
    assert {path.name for path in clone.rglob("*")} - {path.name for path in before} <= {
        "calls", "runtime", "scripts", "tests", "openclaw", "doubles"
    }  # fmt: skip
