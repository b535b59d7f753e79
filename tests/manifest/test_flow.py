"""Style makes no difference: the same manifests written in flow style give the same diagnostics, at the same tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_fixtures import BAD, compiled, files_of

from openclaw.manifest.document import read
from openclaw.manifest.folder import kind_of
from openclaw.manifest.nodes import Scalar, plain

# Empty values and numbers that lose their spelling; a bad value that is a collection is marked by its first token.
ONE_STYLE = ("29", "34", "35", "37", "53-list", "53-mapping", "72-two", "81", "x-input-type-list")


def in_flow(name: str, text: str) -> str | None:
    """The manifest as one flow mapping over several lines; None where it cannot be written so."""
    result = read(name, text.encode())
    if result.root is None or result.diagnostics or isinstance(result.root, Scalar):
        return None
    return json.dumps(plain(result.root), ensure_ascii=False, indent=1)


def flowing() -> list[Path]:
    found = []
    for fixture in BAD:
        files, _ = files_of(fixture)
        manifests = {name: text for name, text in files.items() if kind_of(name)}
        if all(in_flow(name, text) for name, text in manifests.items()) and not fixture.stem.startswith(ONE_STYLE):
            found.append(fixture)
    return found


def token(files: dict[str, str], file: str, line: int, column: int, end: int) -> str:
    return files[file].split("\n")[line - 1][column - 1 : end - 1].strip("\"'")


@pytest.mark.parametrize("fixture", flowing(), ids=lambda path: path.stem)
def test_flow_style_gives_the_same_diagnostics_at_the_same_tokens(fixture: Path, tmp_path: Path) -> None:
    block, _ = files_of(fixture)
    flow = {name: (in_flow(name, text) or text) if kind_of(name) else text for name, text in block.items()}
    found = []
    for files, root in ((block, tmp_path / "block"), (flow, tmp_path / "flow")):
        root.mkdir()
        _, result = compiled(root, {name: text.encode() for name, text in files.items()})
        found.append(
            sorted(
                (each.code, token(files, each.file, each.line, each.column, each.end_column))
                for each in result.diagnostics
                if each.line == each.end_line
            )
        )
    assert found[0] == found[1]
