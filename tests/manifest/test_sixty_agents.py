"""Sixty agents in folders of teams, as a team keeps them in git: defaults by folder, policies in a file of their own,
ids that are unique over all folders, and folders that are links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.clock import SystemClock
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.reading import read
from openclaw.reload import Reload

TEAMS = ("desk", "field", "night", "press", "sales", "shop")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "agents").mkdir(parents=True)
    (root / "agents/_defaults.yaml").write_text("tools: [read_file]\npolicy: careful\nlimits: {iterations: 9}\n")
    (root / "policies.yaml").write_text(
        "policies:\n  careful: {rules: [{allow: [read_file]}]}\n  strict: {include: careful, default: deny}\n"
    )
    for number, team in enumerate(TEAMS):
        # One of the teams keeps its agents elsewhere, in a folder that is swapped as a whole.
        place = root / "agents" / team
        if team == "night":
            (tmp_path / "mounted/..1").mkdir(parents=True)
            (tmp_path / "mounted/..data").symlink_to("..1")
            place.symlink_to(tmp_path / "mounted/..data")
        else:
            place.mkdir()
        (place / "_defaults.yaml").write_text("policy: strict\n" if number % 2 else "limits: {iterations: 5}\n")
        for each in range(10):
            default = "default: true\n" if (number, each) == (0, 0) else ""
            text = f"name: {team} {each}\ndescription: Works for {team}\n{default}"
            (place / f"{team}-{each}.yaml").write_text(text)
    return root


def compiled(root: Path) -> Compiled:
    return compile(Folder.read(root), environment={}, importer=None, today=NOW)


def test_sixty_agents_of_six_teams_take_what_their_folders_give_them(root: Path) -> None:
    result = compiled(root)
    assert result.diagnostics == ()
    assert result.snapshot is not None
    agents = result.snapshot.agents
    assert len(agents) == 60
    assert {agents[f"{team}-3"].limits.iterations for team in TEAMS} == {5, 9}
    assert agents["desk-3"].limits.iterations == 5
    assert agents["night-3"].limits.iterations == 5


def test_a_mistake_in_the_defaults_of_all_is_one_mistake(root: Path) -> None:
    (root / "agents/_defaults.yaml").write_text("tools: [read_file]\npolcy: careful\n")
    assert [(said.file, said.code) for said in compiled(root).diagnostics] == [("agents/_defaults.yaml", "unknown-key")]


def test_a_tool_that_nobody_knows_is_told_once_where_sixty_inherit_it(root: Path) -> None:
    (root / "agents/_defaults.yaml").write_text("tools: [raed_file]\npolicy: careful\n")
    told = [(said.file, said.line, said.column, said.code) for said in compiled(root).diagnostics]
    assert told == [("agents/_defaults.yaml", 1, 9, "unknown-tool")]


def test_an_id_of_two_teams_is_told(root: Path) -> None:
    (root / "agents/shop/desk-4.yaml").write_text("name: Another\ndescription: Of the same id\n")
    assert [(said.file, said.code) for said in compiled(root).diagnostics] == [("agents/shop/desk-4.yaml", "agent-id")]


async def _nothing(_: Snapshot, __: Folder) -> None:
    """Nothing is applied here."""


def test_a_team_that_is_a_link_is_watched_too_and_a_circle_is_watched_once(root: Path, tmp_path: Path) -> None:
    (root / "agents/desk/again").symlink_to(root / "agents")
    apply: Callable[[Snapshot, Folder], Awaitable[None]] = _nothing
    result = compiled(root).snapshot

    def current() -> Snapshot:
        assert result is not None
        return result

    reload = Reload(root, tmp_path / "state", SystemClock(), current, apply, read)
    watched = {folder.resolve() for folder in reload.folders()}
    assert (tmp_path / "mounted/..1").resolve() in watched
    assert len(reload.folders()) == len(watched) == 2 + len(TEAMS)
