"""The hand that strikes: it counts the calls of all threads in one order, and strikes exactly the one it was told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from crash.harness import TESTS
from crash.striker import possible
from crash.two_writers import LINES
from doubles import warm

pytestmark = pytest.mark.skipif(bool(possible()), reason=possible())


def struck(folder: Path, number: int, error: str = "", only: tuple[str, ...] = ("write",)) -> tuple[int, Any]:
    """Exit status of the two writers, and what was told of them."""
    folder.mkdir()
    wish = {"module": "crash.two_writers", "folders": [str(folder)], "number": number}
    wish |= {"only": only, "file": "", "error": error, "report": f"{folder}.json"}
    command = [sys.executable, "-m", "crash.striker", json.dumps(wish), str(folder)]
    done = warm.run(command, timeout=30, cwd=TESTS)
    assert done.stderr == b""
    return done.returncode, json.loads(Path(f"{folder}.json").read_text())


def lines(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.iterdir())


def test_each_number_names_one_call_whichever_thread_makes_it(tmp_path: Path) -> None:
    status, told = struck(tmp_path / "dry", 0)
    assert (status, told["status"], told["struck"]) == (0, 0, None)
    assert [name for _, name, _ in told["seen"]] == ["write"] * 2 * LINES
    threads, files = ([call[part] for call in told["seen"]] for part in (0, 2))
    assert files == [str(tmp_path / "dry" / f"file{at % 2}") for at in range(2 * LINES)]
    assert len(set(threads)) == 2 and threads == threads[:2] * LINES
    for number in range(1, 2 * LINES + 1):
        status, told = struck(tmp_path / str(number), number)
        assert (status, told["status"]) == (128 + 9, -9)
        assert told["struck"][2] == str(tmp_path / str(number) / f"file{(number - 1) % 2}")
        assert lines(tmp_path / str(number)) == number - 1


def test_a_call_that_is_to_fail_fails_once_and_is_not_made(tmp_path: Path) -> None:
    status, told = struck(tmp_path / "all", 2, "EIO")
    assert (status, told["struck"][1]) == (3, "write")
    assert lines(tmp_path / "all") == 2 * LINES - 1


def test_of_all_calls_also_those_count_that_open_a_file(tmp_path: Path) -> None:
    _, told = struck(tmp_path / "all", 0, only=())
    assert sorted(name for _, name, _ in told["seen"]) == ["openat"] * 2 + ["write"] * 2 * LINES
