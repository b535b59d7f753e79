"""What is read from disk: regular files, once, bounded; everything else is a diagnostic or skipped in silence."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.manifest.build import Compiled, compile, compile_open
from openclaw.manifest.folder import MOST_ENTRIES, Folder, kind_of
from openclaw.scenarios.check import check, own

AGENT = "name: Jarvis\ndescription: Helps\ntools: []\npolicy: careful\n"
TOOLS = "policies: {careful: {}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents/main.yaml").write_text(AGENT)
    (tmp_path / "tools.yaml").write_text(TOOLS)
    return tmp_path


def checked(root: Path) -> Compiled:
    return compile(Folder.read(root), environment={}, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))


def told(root: Path) -> list[tuple[str, str]]:
    return [(each.file, each.code) for each in checked(root).diagnostics]


def test_a_pipe_in_place_of_a_manifest_is_told_and_never_waited_for(project: Path) -> None:
    os.mkfifo(project / "channels.yaml")
    assert told(project) == [("channels.yaml", "file")]


def test_sockets_folders_and_broken_links_are_told(project: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(project / "agents/s.yaml"))
    (project / "models.yaml").mkdir()
    (project / "heartbeats.yaml").symlink_to("nowhere.yaml")
    (project / "channels.yaml").symlink_to("channels.yaml")
    assert told(project) == [
        (name, "file") for name in ("agents/s.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml")
    ]


def test_links_to_files_and_folders_are_followed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    (other / "b.yaml").write_text(AGENT + "default: true\n")
    (project / "agents/team").symlink_to(other)
    (project / "..data").mkdir()
    (project / "..data/tools.yaml").write_text(TOOLS)
    (project / "tools.yaml").unlink()
    (project / "tools.yaml").symlink_to("..data/tools.yaml")
    assert told(project) == []
    assert sorted(Folder.read(project).files) == ["agents/main.yaml", "agents/team/b.yaml", "tools.yaml"]


def test_folders_that_lead_in_a_circle_end(project: Path) -> None:
    (project / "agents/again").symlink_to(project / "agents")
    assert told(project) == [("agents/again", "file")]


@pytest.mark.parametrize("target", ["/", "..", "../.."])
def test_a_link_to_what_holds_the_project_is_told_and_not_followed(project: Path, target: str) -> None:
    (project / "agents/loop").symlink_to(target)
    started = time.process_time()
    (said,) = checked(project).diagnostics
    assert (said.file, said.message) == ("agents/loop", "agents/loop leads back to a folder above it")
    assert time.process_time() - started < 20


@pytest.mark.slow
def test_a_link_to_a_crowd_is_told_once_and_its_end_not_awaited(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    crowd = tmp_path_factory.mktemp("crowd")
    for number in range(3):
        (crowd / str(number)).mkdir()
        for n in range(MOST_ENTRIES // 2):
            (crowd / str(number) / str(n)).symlink_to("nowhere")
    (project / "agents/crowd").symlink_to(crowd)
    started = time.process_time()
    (said,) = checked(project).diagnostics
    assert (said.file, said.code) == ("agents/crowd/1", "file")
    assert "more than 10,000 files and folders" in said.message
    assert time.process_time() - started < 20


def test_folders_below_folders_without_end_are_told(project: Path) -> None:
    (project / "agents" / "/".join("deep" * 30)).mkdir(parents=True)
    (said,) = checked(project).diagnostics
    assert "is more than 16 folders deep" in said.message


def test_what_cannot_even_be_looked_at_is_told(project: Path) -> None:
    (project / "agents/self").symlink_to("self")
    (said,) = checked(project).diagnostics
    assert said.message == "agents/self cannot be read: its symbolic links lead in a circle"


def test_a_project_that_is_mounted_and_swapped_as_a_whole_is_read(project: Path) -> None:
    """The way Kubernetes mounts a ConfigMap: every name is a link into `..data`, which is swapped."""
    (project / "tools.yaml").unlink()
    (project / "agents/main.yaml").unlink()
    (project / "agents").rmdir()
    for version in ("one", "two"):
        (project / f"..{version}/agents/team").mkdir(parents=True)
        (project / f"..{version}/agents/main.yaml").write_text(AGENT + f"default: true\nprefix: /{version}\n")
        (project / f"..{version}/agents/team/side.yaml").write_text(AGENT)
        (project / f"..{version}/tools.yaml").write_text(TOOLS)
    for name in ("agents", "tools.yaml"):
        (project / name).symlink_to(f"..data/{name}")
    for version in ("one", "two"):
        (project / "..fresh").symlink_to(f"..{version}")
        (project / "..fresh").rename(project / "..data")
        found = checked(project)
        assert found.diagnostics == ()
        assert found.snapshot is not None
        assert found.snapshot.agents["main"].prefix == f"/{version}"


def test_a_project_that_was_moved_away_is_said_to_be_gone(project: Path) -> None:
    (said, *_) = checked(project / "gone").diagnostics
    assert said.message == "the folder cannot be read: it is not there any more"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read everything")
def test_a_file_that_may_not_be_read_is_told(project: Path) -> None:
    (project / "channels.yaml").write_text("channels: {}")
    (project / "channels.yaml").chmod(0)
    assert told(project) == [("channels.yaml", "file")]


def test_an_unreadable_file_of_tools_takes_nothing_with_it(project: Path) -> None:
    (project / "tools.yaml").unlink()
    os.mkfifo(project / "tools.yaml")
    (project / "agents/main.yaml").write_text(AGENT.replace("[]", "[mine]"))
    assert told(project) == [("tools.yaml", "file")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tools.yml", "tools.yaml"),
        ("channel.yaml", "channels.yaml"),
        ("Models.yaml", "models.yaml"),
        ("agents/b.yml", "agents/b.yaml".removeprefix("agents/")),
    ],
)
def test_a_misnamed_manifest_is_told_and_not_skipped(project: Path, name: str, meant: str) -> None:
    (project / name).write_text("{}")
    (said,) = checked(project).diagnostics
    assert (said.file, said.code, said.help) == (name, "file-name", f"rename it to {meant}")


def test_a_folder_without_agents_says_so(tmp_path: Path) -> None:
    assert told(tmp_path) == [("agents", "no-agents")]


def test_a_manifest_of_more_than_a_mebibyte_is_refused_unread(project: Path) -> None:
    with (project / "heartbeats.yaml").open("wb") as file:
        file.truncate(1 << 33)
    assert told(project) == [("heartbeats.yaml", "file-size")]


def test_names_that_are_no_text_are_told(project: Path) -> None:
    """Two of them would be shown, and be known, as one."""
    for name in (b"agents/\xff.yaml", b"agents/\xfe.yaml", b"tests/scenarios/\xff.yaml"):
        path = Path(os.fsdecode(bytes(project) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(AGENT)
    found, whole = compile_open(Folder.read(project), environment={}, importer=None, today=datetime.now(UTC))
    scenarios = check(whole, own(whole.folder)).diagnostics
    assert [(each.file, each.code) for each in (*found.diagnostics, *scenarios)] == [
        ("agents/\ufffd.yaml", "file-name"), ("tests/scenarios/\ufffd.yaml", "file-name"),
    ]  # fmt: skip


def test_the_advice_to_rename_a_file_shows_every_character_of_its_name(project: Path) -> None:
    (project / "agents/a\n::error::b.yml").write_text(AGENT)
    (said,) = checked(project).diagnostics
    assert said.help == "rename it to a%0A::error::b.yaml"


def test_the_digest_covers_every_byte_that_was_read(project: Path) -> None:
    (project / "agents/main.yaml").write_text(AGENT + "soul: more.md\n")
    (project / "agents/more.md").write_text("I am.")
    first = checked(project).snapshot
    (project / "agents/more.md").write_text("I was.")
    second = checked(project).snapshot
    assert first is not None and second is not None
    assert first.digest != second.digest
    assert sorted(first.sources) == ["agents/main.yaml", "agents/more.md", "tools.yaml"]


def test_kinds_follow_from_names() -> None:
    names = ("agents/a/b.yaml", "agents/a/_defaults.yaml", "tools.yaml", "agents/a.md", "other.yaml")
    assert [kind_of(name) for name in names] == ["agent", "defaults", "tools", None, None]
