"""Whatever stands in whichever file of a folder, compiling it gives a snapshot or diagnostics, never an exception; and
what the runtime starts with is what `validate` accepts."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fixtures import BAD, GOOD, PROJECT, files_of

from doubles.house import Process
from openclaw.cli import main
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import json as as_json
from openclaw.manifest.reports import text as as_text
from openclaw.reading import read as start

TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILES = (
    "agents/main.yaml", "agents/_defaults.yaml", "agents/team/ops.yaml", "agents/team/_defaults.yaml", "tools.yaml",
    "policies.yaml", "channels.yaml", "heartbeats.yaml", "models.yaml", ".env", "agents/main.md", "agents/A b.yaml",
)  # fmt: skip
WORDS = sorted(
    {word for fixture in (*BAD, *GOOD) for word in re.findall(r"[\w${}.*/-]+:?", fixture.read_text("utf-8"))}
)
PIECE = st.sampled_from(
    [*WORDS, "\n", "\n  ", "\n    ", "\n  - ", ": ", "[", "]", "{", "}", ", ", '"', "'", "|", "&a ", "*a"]
)
TEXT = st.lists(PIECE, max_size=40).map("".join).map(str.encode)
SOURCES = [[(name, text.encode()) for name, text in files_of(fixture)[0].items()] for fixture in (*BAD, *GOOD)]


def sound(files: dict[str, bytes]) -> None:
    folder = Folder.of(files)
    result = compile(folder, environment={"SET": "value"}, importer=None, today=TODAY)
    assert (result.snapshot is None) == any(said.severity == "error" for said in result.diagnostics)
    assert len({(said.file, said.line, said.column, said.code, said.message) for said in result.diagnostics}) == len(
        result.diagnostics
    )
    assert as_text.render(result.diagnostics, folder) or not result.diagnostics
    assert as_json.render(result.diagnostics, folder)


def laid(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**{name: text.encode() for name, text in PROJECT.items()}, **files}


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), st.binary(max_size=200) | TEXT, max_size=4))
def test_any_files_of_any_content_give_a_snapshot_or_diagnostics(files: dict[str, bytes]) -> None:
    sound(laid(files))


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), st.binary(max_size=200) | TEXT, max_size=4))
def test_a_long_sweep_of_files_gives_a_snapshot_or_diagnostics(files: dict[str, bytes]) -> None:
    sound(laid(files))


def changed(content: bytes, chance: random.Random) -> bytes:
    """A piece doubled, dropped, moved or made another; or the file cut."""
    start = chance.randrange(len(content) + 1)
    end = min(len(content), start + chance.randrange(1, 12))
    before, piece, after = content[:start], content[start:end], content[end:]
    match chance.randrange(5):
        case 0:
            return before + after
        case 1:
            return before + piece + piece + after
        case 2:
            word: str = chance.choice(WORDS)
            return before + word.encode() + after
        case 3:
            return after + piece + before
        case _:
            return before


def sweep(seed: int, times: int) -> None:
    chance = random.Random(seed)
    for _ in range(times):
        files = dict(chance.choice(SOURCES))
        name = chance.choice(sorted(files))
        sound({**files, name: changed(files[name], chance)})


def test_changed_fixtures_give_a_snapshot_or_diagnostics() -> None:
    sweep(1, 60)


@pytest.mark.slow
def test_many_changed_fixtures_give_a_snapshot_or_diagnostics() -> None:
    sweep(2, 2500)


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_the_runtime_starts_with_what_validate_accepts_and_with_nothing_else(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said on the command line, and what the reading at the start comes to."""
    for name in [*os.environ]:
        if name not in ("PATH", "HOME", "LANG"):
            monkeypatch.delenv(name)
    differing = []
    for fixture in (*BAD, *GOOD)[::step]:
        root = tmp_path / fixture.stem
        for name, text in files_of(fixture)[0].items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            accepted = main(["validate", str(root)]) == 0
        if accepted != (start(root, datetime.now(UTC), None).compiled.snapshot is not None):
            differing.append(fixture.stem)
    assert differing == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01-cron-star", "26-duplicate", "45-misspelt", "61-unknown-tool", "78-allow-all"])
def test_the_real_command_does_not_start_with_what_is_refused(name: str, tmp_path: Path) -> None:
    (fixture,) = [each for each in BAD if each.stem == name]
    files, (expected,) = files_of(fixture)
    for file, text in files.items():
        (tmp_path / "project" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / file).write_text(text, "utf-8")
    with Process(tmp_path / "project", tmp_path / "state") as started:
        assert started.process.wait(100) == 3
        assert expected.split()[0] in started.log


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01-block-scalar", "03-merge", "inherited"])
def test_the_real_command_starts_with_what_is_sound_and_ends_when_told(name: str, tmp_path: Path) -> None:
    (fixture,) = [each for each in GOOD if each.stem == name]
    files, _ = files_of(fixture)
    files["channels.yaml"] = "channels: {http: {kind: http, port: 0}}\n"  # so that it can be seen to have started
    for file, text in files.items():
        (tmp_path / "project" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / file).write_text(text, "utf-8")
    with Process(tmp_path / "project", tmp_path / "state", ANTHROPIC_API_KEY="none") as started:
        assert asyncio.run(started.address()).startswith("http://")
        started.process.terminate()
        assert started.process.wait(100) == 0, started.log
