"""`openclaw doctor`: what it finds on a machine, and what of it needs seeing to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openclaw.cli import main

PROJECT = Path(__file__).resolve().parents[2]


def asked(capsys: pytest.CaptureFixture[str], project: Path, state: Path, *more: str) -> tuple[int, str]:
    code = main(["-C", str(project), "--state", str(state), "doctor", *more])
    return code, capsys.readouterr().out


def test_it_names_the_mechanism_with_all_that_was_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = asked(capsys, PROJECT, tmp_path / "state", "--json")
    found = json.loads(text)
    about = {finding["about"]: finding for finding in found["findings"]}
    assert {"Python", "user", "state folder", "project", "sandbox"} <= set(about)
    assert found["sandbox"]["mechanism"] in ("bubblewrap", "landlock", "none")
    for tried in found["sandbox"]["trials"].values():
        assert {"outside", "secret", "environment", "connect", "create"} <= set(tried)
    mechanism = found["sandbox"]["mechanism"]
    assert (about["sandbox"]["state"] == "ok") is (mechanism == "bubblewrap")


def test_what_needs_seeing_to_is_said_with_a_cure_and_makes_the_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    (tmp_path / "tools.yaml").write_text("tolls: {}\n")
    code, text = asked(capsys, tmp_path, state)
    assert code == 1
    assert f"chmod 700 {state}" in text
    assert "openclaw validate" in text


def test_a_folder_that_is_no_project_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = asked(capsys, tmp_path / "nowhere", tmp_path / "state")
    assert code == 1 and "is not a folder" in text
