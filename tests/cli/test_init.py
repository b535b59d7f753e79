"""`openclaw init`: a whole starter project, and never a file of the user's own lost."""

from __future__ import annotations

import re
import shlex
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


def test_a_project_is_not_written_into_another_one(tmp_path: Path) -> None:
    init(tmp_path)
    before = written(tmp_path)
    done = init(tmp_path, "--from", "team")
    assert (done.returncode, done.stdout) == (2, "")
    assert "agents/main.yaml" in done.stderr and "openclaw init DIR" in done.stderr
    assert written(tmp_path) == before
    (tmp_path / "agents" / "mine.yaml").write_text("name: Mine\n")
    assert init(tmp_path).returncode == 0  # its own project, with an agent more


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    """A limit on the size of files, as a full disk that takes a part."""
    shell = f"ulimit -f 1; exec {shlex.quote(sys.executable)} -m openclaw init {shlex.quote(str(tmp_path / 'new'))}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "cannot be written" in done.stderr, done.stderr
    assert all(path.stat().st_size != 1024 for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert init(tmp_path, str(tmp_path / "new")).returncode == 0
    whole = tmp_path / "whole"
    init(tmp_path, str(whole))
    for path in (each for each in whole.rglob("*") if each.is_file()):
        assert (tmp_path / "new" / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_a_gitignore_of_ones_own_that_takes_the_key_is_told(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n")
    assert "Add .env to .gitignore" in init(tmp_path).stdout
    (tmp_path / ".gitignore").write_text("build/\n.env\n")
    assert "Add .env" not in init(tmp_path).stdout


def test_the_way_on_can_be_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "two words; and more"
    assert f"  cd {shlex.quote(str(folder))}\n" in init(tmp_path, str(folder)).stdout


def test_the_workflow_takes_the_runtime_from_where_the_documentation_says(tmp_path: Path) -> None:
    done = init(tmp_path)
    assert "say in .github/workflows/agents.yml where you have this runtime" in done.stdout
    [source] = re.findall(r"^  OPENCLAW: (.*)$", (tmp_path / ".github/workflows/agents.yml").read_text(), re.MULTILINE)
    page = Path(__file__).parents[2] / "docs" / "ci.md"
    assert set(re.findall(r"^  OPENCLAW: (.*)$", page.read_text("utf-8"), re.MULTILINE)) == {source}
