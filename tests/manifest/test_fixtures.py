"""Good manifests are silent; every bad one says exactly what stands beside it, in every spelling of the file.

A fixture is one text: `=== path` starts a file of the project, `=== expect` the diagnostics, one a line:
`file:line:col severity code | words that message or help must hold | ...`. Files that a fixture leaves
out are those of `PROJECT`.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from openclaw.adapters import importer
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.reports import json as as_json
from openclaw.manifest.reports import text as as_text

FIXTURES = Path(__file__).parent.parent / "manifests"
BAD = sorted(FIXTURES.glob("bad/*.txt"))
GOOD = sorted(FIXTURES.glob("good/*.txt"))
PROJECT = {
    "agents/main.yaml": "name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\n",
    "tools.yaml": "policies:\n  careful:\n    rules:\n      - allow: [read_file]\n",
}
TODAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
JARGON = (
    "scalar",
    "mapping values",
    "<block end>",
    "could not find expected",
    "did not find expected",
    "token that",
    "Traceback",
)


def files_of(fixture: Path) -> tuple[dict[str, str], list[str]]:
    files: dict[str, str] = dict(PROJECT)
    expected: list[str] = []
    for part in fixture.read_text("utf-8").split("=== ")[1:]:
        name, _, content = part.partition("\n")
        if name == "expect":
            expected = content.splitlines()
        else:
            files[name] = content
    return files, expected


def compiled(root: Path, files: dict[str, bytes]) -> tuple[Folder, Compiled]:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder = Folder.read(root)
    return folder, compile(folder, environment={}, importer=importer(root), today=TODAY)


def told(diagnostics: tuple[Diagnostic, ...], lines_above: int = 0) -> list[str]:
    return [f"{d.file}:{d.line - lines_above}:{d.column} {d.severity} {d.code}" for d in diagnostics]


def heads(expected: list[str]) -> list[str]:
    return [line.split(" | ")[0] for line in expected]


def encoded(files: dict[str, str], spelling: str) -> dict[str, bytes]:
    found = {}
    for name, text in files.items():
        if kind_of(name) and text:
            if spelling == "crlf":
                text = text.replace("\n", "\r\n")
            elif spelling == "bom":
                text = "\ufeff" + text
            elif spelling == "astral":
                text = "# 👋 日本語\n" + text
            elif spelling == "unended":
                text = text.rstrip("\n")
        found[name] = text.encode()
    return found


def _slow(spelling: str) -> ParameterSet:
    """Good fixtures are read in this spelling too, and in the fast part."""
    return pytest.param(spelling, marks=pytest.mark.slow)


@pytest.mark.parametrize("spelling", ["plain", "astral", _slow("crlf"), _slow("bom"), _slow("unended")])
@pytest.mark.parametrize("fixture", BAD, ids=lambda path: path.stem)
def test_a_bad_fixture_says_exactly_what_stands_beside_it(fixture: Path, spelling: str, tmp_path: Path) -> None:
    files, expected = files_of(fixture)
    started = time.process_time()
    folder, result = compiled(tmp_path, encoded(files, spelling))
    assert time.process_time() - started < 10
    above = 1 if spelling == "astral" else 0
    wanted = [_shifted(head, above) for head in heads(expected)]
    assert told(result.diagnostics) == wanted
    assert (result.snapshot is None) == any(d.severity == "error" for d in result.diagnostics)
    shown = as_text.render(result.diagnostics, folder)
    if spelling != "astral":  # which moves the lines that messages name
        for line, diagnostic in zip(expected, result.diagnostics, strict=True):
            for word in line.split(" | ")[1:]:
                assert word in f"{diagnostic.message}\n{diagnostic.help}"
    assert not any(word in shown for word in JARGON)
    assert "AAHfake" not in shown + as_json.render(result.diagnostics, folder)


def _shifted(head: str, by: int) -> str:
    file, line, rest = head.split(":", 2)
    # Only manifests got a line above, and what is said of a file as a whole stays on its first line.
    moves = by and kind_of(file) and rest.split()[-1] not in ("empty", "agent-id")
    return f"{file}:{int(line) + (by if moves else 0)}:{rest}"


@pytest.mark.parametrize("spelling", ["plain", "crlf", "bom", "astral", "unended"])
@pytest.mark.parametrize("fixture", GOOD, ids=lambda path: path.stem)
def test_a_good_fixture_is_silent(fixture: Path, spelling: str, tmp_path: Path) -> None:
    files, _ = files_of(fixture)
    _, result = compiled(tmp_path, encoded(files, spelling))
    assert told(result.diagnostics) == []
    assert result.snapshot is not None


def test_leftovers_of_editors_are_skipped_in_silence(tmp_path: Path) -> None:
    files = {name: text.encode() for name, text in PROJECT.items()}
    for name in ("a.yaml~", ".a.yaml.swp", "4913", "#a.yaml#", "a.yaml.bak", ".#a.yaml", "a.yaml.orig", ".hidden.yaml"):
        files[f"agents/{name}"] = b"{ broken"
        files[name] = b"{ broken"
    _, result = compiled(tmp_path, files)
    assert told(result.diagnostics) == []


def test_five_thousand_lines_are_silent_and_quick(tmp_path: Path) -> None:
    tools = "".join(f"  tool_{n}:\n    description: Tool {n}\n    shell: ls\n    timeout: 5s\n" for n in range(1250))
    files = {name: text.encode() for name, text in PROJECT.items()}
    files["tools.yaml"] = b"tools:\n" + tools.encode() + files["tools.yaml"]
    started = time.process_time()
    _, result = compiled(tmp_path, files)
    assert told(result.diagnostics) == []
    assert time.process_time() - started < 10


@pytest.mark.parametrize("fixture", BAD, ids=lambda path: path.stem)
def test_positions_lie_inside_the_file_and_cover_something(fixture: Path, tmp_path: Path) -> None:
    files, _ = files_of(fixture)
    _, result = compiled(tmp_path, encoded(files, "plain"))
    for each in result.diagnostics:
        lines = files.get(each.file, "").split("\n")
        assert 1 <= each.line <= max(1, len(lines))
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert (each.end_line, each.end_column) >= (each.line, each.column)


def test_the_default_project_is_silent() -> None:
    root = Path(__file__).parent.parent.parent
    result = compile(Folder.read(root), environment=dict(os.environ), importer=importer(root), today=TODAY)
    assert told(result.diagnostics) == []
    assert result.snapshot is not None
    assert result.snapshot.default_agent.name == "Jarvis"
