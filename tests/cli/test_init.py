"""`openclaw init`: a whole starter project, and never a file of the user's own lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXPECTED = {
    "tests/scenarios/routes.yaml",
    "agents/main.yaml",
    "tools.yaml",
    "channels.yaml",
    "heartbeats.yaml",
    "models.yaml",
    "desk_tools.py",
    ".env.example",
    ".gitignore",
    "schemas/agent.schema.json",
    "schemas/tools.schema.json",
}


def init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "-C", str(folder), "init", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_starter_project_is_written_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    done = init(tmp_path, str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert written(folder) >= EXPECTED
    assert ".env" in (folder / ".gitignore").read_text().splitlines()
    assert "openclaw run --demo-if-no-key" in done.stdout


def test_every_manifest_names_a_schema_that_is_there(tmp_path: Path) -> None:
    init(tmp_path)
    manifests = list(tmp_path.rglob("*.yaml"))
    assert manifests
    for manifest in manifests:
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", manifest.read_text())
        assert named, f"{manifest} has no modeline"
        assert (manifest.parent / named[1]).is_file(), f"{manifest} names {named[1]}"


def test_what_is_there_is_kept_and_named(tmp_path: Path) -> None:
    (tmp_path / "tools.yaml").write_text("mine")
    (tmp_path / ".env.example").symlink_to(tmp_path / "nowhere")
    done = init(tmp_path)
    assert done.returncode == 0
    assert "Kept as they were: tools.yaml, .env.example\n" in done.stdout
    assert (tmp_path / "tools.yaml").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    again = init(tmp_path)
    assert "Nothing to write in" in again.stdout


def test_a_folder_that_cannot_be_one_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert init(tmp_path, str(tmp_path / "file")).returncode == 2
    (tmp_path / "agents").write_text("")
    done = init(tmp_path)
    assert done.returncode == 1 and "agents is in the way" in done.stderr
