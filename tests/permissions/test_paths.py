"""Paths: containment by component, protection in every spelling, globs as in .gitignore."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw.permissions.facts import TRUSTED_PATH, Assumed, Disk
from openclaw.permissions.paths import matches, protected, within

WS = Path("/home/a/state/workspace")


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/ws", "/ws", True),
        ("/ws/a", "/ws", True),
        ("/ws-evil", "/ws", False),
        ("/", "/ws", False),
        ("/wsx/a", "/ws", False),
    ],
)
def test_containment_is_by_component(path: str, root: str, expected: bool) -> None:
    assert within(Path(path), Path(root)) is expected


@pytest.mark.parametrize(
    "name",
    [
        ".env", ".env.local", ".ENV", "sub/.Env", ".git/config", ".Git/Config", ".git/hooks/pre-commit",
        ".git", ".gitmodules",
        ".gitattributes", ".bashrc", ".profile", "id_rsa", "keys/id_rsa.old", "x.pem", "X.KEY", ".ssh/config",
        ".aws/credentials",
        "node_modules/.bin/eslint", ".venv/bin/python", "venv/bin/pip", ".netrc", ".npmrc",
        ".vscode/tasks.json", ".config/x",
        "credentials.json", ".github/workflows/ci.yml", "authorized_keys", ".claude/settings.json",
    ],
)  # fmt: skip
def test_sensitive_names_are_protected_whether_or_not_they_exist(name: str) -> None:
    assert protected(WS / name, WS, ()) is not None


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "src/env.py", "environment", "config", "git/config", "keys.md", "monkey", "bin/x", "node_modules/a"],
)
def test_ordinary_names_are_not(name: str) -> None:
    assert protected(WS / name, WS, ()) is None


def test_the_state_folder_is_protected_around_the_workspace_in_it() -> None:
    state = Path("/home/a/state")
    assert protected(WS / "notes.txt", WS, (state,)) is None
    assert protected(state / "sessions/x.jsonl", WS, (state,)) is not None
    assert protected(Path("/home/a/State/x"), WS, (state,)) is not None
    assert protected(state, WS, (state,)) is not None
    assert protected(Path("/home/a/other"), WS, (state,)) is None


def test_a_guarded_folder_inside_the_workspace_is_protected() -> None:
    home = Path("/home/a")
    assert protected(home / "project/agents/main.yaml", home, (home / "project",)) is not None
    assert protected(home / "projects/x", home, (home / "project",)) is None


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("notes/**", "notes/a", True),
        ("notes/**", "notes/a/b", True),
        ("notes/**", "notes", False),
        ("notes/**", "notesx/a", False),
        ("notes/**", "a/notes/b", False),
        ("notes", "notes", True),
        ("notes", "notes/a", True),
        ("notes", "a/notes/b", True),
        ("notes/", "notes/a", True),
        ("/notes", "notes/a", True),
        ("/notes", "a/notes", False),
        ("./notes/*", "notes/a", True),
        ("notes/*", "notes/a", True),
        ("notes/*.md", "notes/a.md", True),
        ("notes/*.md", "notes/a/b.md", False),
        ("*.key", "x.key", True),
        ("*.key", "a/b/x.key", True),
        ("**/*.key", "x.key", True),
        ("**/*.key", "a/b/x.key", True),
        ("**/*.key", "x.keys", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("**", "a/b", True),
        ("**", ".", True),
        ("*", "a/b", True),
        ("*", ".", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].txt", "a.txt", True),
        ("[!ab].txt", "a.txt", False),
        ("a[.txt", "a[.txt", True),
        ("a.b", "axb", False),
        ("notes/**", "/notes/a", False),
    ],
)
def test_globs(glob: str, path: str, expected: bool) -> None:
    assert matches(glob, path) is expected


def test_globs_of_prohibitions_know_no_case() -> None:
    assert not matches("*.key", "A.KEY")
    assert matches("*.key", "A.KEY", fold=True)


# ── the disk ─────────────────────────────────────────────────────────────────────────────────────


def test_programs_are_found_by_their_real_files_in_trusted_folders() -> None:
    program = Disk().find_program("ls")
    assert program is not None
    assert Path(program.path).is_file() and program.path == os.path.realpath(program.path)
    assert Disk().find_program("no-such-program") is None
    assert Disk().find_program("./ls") is None
    assert Disk().find_program("bin/ls") is None
    assert all(folder.startswith("/") for folder in TRUSTED_PATH)


def test_the_inherited_path_plays_no_part(tmp_path: Path) -> None:
    fake = tmp_path / "openclaw-fake"
    fake.write_text("#!/bin/sh\n")
    fake.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tmp_path}:{before}"
    try:
        assert Disk().find_program("openclaw-fake") is None
    finally:
        os.environ["PATH"] = before


def test_a_program_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    tool = folder / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o775)
    found = Disk((str(folder),)).find_program("tool")
    assert found is not None and not found.trusted


def test_a_program_installed_later_is_found(tmp_path: Path) -> None:
    disk = Disk((str(tmp_path),))
    assert disk.find_program("tool") is None
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert disk.find_program("tool") is not None


def test_paths_are_followed_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("/etc/nosuch")
    disk = Disk()
    assert disk.resolve("link/new/file", tmp_path) == tmp_path / "real/new/file"
    assert disk.resolve("a/../link", tmp_path) == tmp_path / "real"
    assert disk.resolve("dangling", tmp_path) == Path("/etc/nosuch")
    assert disk.resolve("loop", tmp_path) is None
    assert disk.resolve("a\0b", tmp_path) is None
    assert disk.resolve("/etc/../etc/hosts", tmp_path) == Path(os.path.realpath("/etc/hosts"))


def test_an_assumed_machine_needs_no_disk() -> None:
    assumed = Assumed()
    program = assumed.find_program("anything")
    assert program is not None and program.trusted
    assert assumed.find_program("./x") is None
    assert assumed.resolve("a/../b", Path("/ws")) == Path("/ws/b")
    assert assumed.resolve("\0", Path("/ws")) is None
