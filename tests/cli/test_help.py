"""What `--help` shows fits the terminal, and a way on is named where somebody took a wrong turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openclaw import cli
from openclaw.adapters import commands


@pytest.mark.parametrize("columns", [80, 140])
def test_help_is_as_wide_as_the_terminal_and_tears_no_word(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (["--help"], *([name, "--help"] for name in commands())):
        assert cli.main(arguments) == 0
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= columns, arguments
        written = (commands()[arguments[0]].read_text("utf-8").split('"""')[1]).split() if len(arguments) > 1 else []
        assert set(written) <= set(shown.split()), arguments


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_nothing_is_imported_for_what_needs_no_project(option: str) -> None:
    code = "import sys; from openclaw.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, timeout=30, check=True)
    heavy = {"hashlib", "dataclasses", "json", "yaml", "openclaw.words", "openclaw.manifest"}
    assert heavy & {*done.stderr.split()} == set()


def test_what_a_command_does_is_said_in_one_mood(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    listed = capsys.readouterr().out.split("Commands:\n")[1].split("\n\n")[0]
    verbs = [line.split()[1] for line in listed.splitlines() if not line.startswith("   ")]
    assert len(verbs) == len(commands())
    assert [verb for verb in verbs if verb.endswith("s")] == []


def test_an_option_of_a_command_that_stands_before_it_is_told_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--demo", "chat", "hi"]) == 2
    assert "openclaw chat --demo" in capsys.readouterr().err


def test_a_folder_without_a_project_names_the_way_to_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    there = ["-C", str(tmp_path), "--state", str(tmp_path / "state")]
    assert cli.main([*there, "chat", "--demo", "hi"]) == 3
    told = capfd.readouterr().err
    assert "-C DIR" in told and "openclaw init DIR" in told
