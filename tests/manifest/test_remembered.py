"""What is remembered of manifests changes nothing but the time it takes, and is bounded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.nodes import secrets
from openclaw.manifest.remembered import LONGEST, Read, Remembered
from openclaw.plan.names import named

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
FIXTURES = sorted((Path(__file__).parent.parent / "manifests").glob("*/*.txt"))
PROJECT = {
    "agents/main.yaml": b"name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\n",
    "tools.yaml": b"policies:\n  careful:\n    rules:\n      - allow: [read_file]\n",
}
PLAIN = b"tools:\n  look: {description: Looks, shell: ls}\n"
FILLED = b"channels:\n  http: {kind: http, token: '${TOKEN}'}\n"
ESCAPED = b'channels:\n  http: {kind: http, token: "\\x24{TOKEN}"}\n'


def read(
    known: Remembered,
    content: bytes,
    kind: str = "tools",
    *,
    required: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
    file: str = "",
) -> Read:
    return known.read(kind, file or f"{kind}.yaml", content, required, variables or {}, lambda _: None)


def test_the_same_bytes_are_read_once_and_others_anew() -> None:
    known = Remembered()
    first = read(known, PLAIN)
    assert read(known, PLAIN) is first
    other = read(known, PLAIN.replace(b"ls", b"pwd"))
    assert other is not first and "pwd" in other.document.source.text
    assert read(known, PLAIN) is not first  # of each file the last bytes alone are known
    assert read(known, PLAIN, file="elsewhere.yaml").document.source.file == "elsewhere.yaml"
    assert read(known, PLAIN, "policies", file="tools.yaml").checked is not first.checked


def test_what_is_required_of_it_counts() -> None:
    known = Remembered()
    agent = b"name: A\ndescription: B\n"
    lacking, whole = read(known, agent, "agent", required=("tools",)), read(known, agent, "agent")
    assert lacking.checked is not None and lacking.checked.faulty
    assert whole.checked is not None and not whole.checked.faulty
    assert lacking.document is whole.document


@pytest.mark.parametrize("content", [FILLED, ESCAPED])
def test_what_placeholders_come_to_is_found_out_each_time_and_not_kept(content: bytes) -> None:
    known = Remembered()
    for value in ("one-secret-of-them", "another-secret"):
        found = read(known, content, "channels", variables={"TOKEN": value})
        assert found.filled is not None and found.checked is not None
        assert [*found.filled.secrets] == [*secrets(found.checked.root)] == [value]
        [kept] = known._known.values()
        assert kept.read.filled is None and kept.read.checked is None
    unset = read(known, content, "channels")
    assert unset.filled is not None and [said.code for said in unset.filled.diagnostics] == ["variable-unset"]


def test_what_is_broken_is_told_each_time() -> None:
    known = Remembered()
    for _ in range(2):
        assert [said.code for said in read(known, b"tools: [").document.diagnostics] == ["yaml-bracket"]


def test_no_more_is_remembered_than_the_bound() -> None:
    known = Remembered(most=10 * len(PLAIN))
    for number in range(25):
        read(known, PLAIN, file=f"{number}.yaml")
        assert known._bytes == sum(len(each.content) for each in known._known.values()) <= 10 * len(PLAIN)
    assert len(known._known) == 5
    large = PLAIN + b"#" * LONGEST
    assert read(known, large, file="large.yaml") is not read(known, large, file="large.yaml")
    assert len(known._known) == 5


@pytest.mark.parametrize("fixture", FIXTURES[::24], ids=lambda path: path.stem)
def test_a_project_that_is_known_compiles_to_the_same(fixture: Path) -> None:
    parts = [part.partition("\n") for part in fixture.read_text("utf-8").split("=== ")[1:]]
    files = {**PROJECT, **{name: text.encode() for name, _, text in parts if name != "expect"}}

    def compiled() -> Compiled:
        return compile(Folder.of(files), environment={}, importer=None, today=NOW)

    first, second = compiled(), compiled()
    assert first.diagnostics == second.diagnostics
    if first.snapshot is not None:
        assert second.snapshot is not None and not list(named(first.snapshot, second.snapshot))
