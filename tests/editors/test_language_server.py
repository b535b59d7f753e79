"""The schemas in the language server of real editors: keys and values are offered, explained, and flagged if wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from editors.editor import Editor, Missing, install
from openclaw import bundle
from openclaw.cli import main

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A manifest of a kind, as `init` puts it; `values`: a text in which `|` is where one of a few values belongs."""

    file: str
    values: str
    offered: frozenset[str]


CASES = {
    "agent": Case("agents/new.yaml", "effort: |", frozenset({"low", "medium", "high", "xhigh", "max"})),
    "defaults": Case("agents/_defaults.yaml", "memory: |", frozenset({"shared", "agent", "person", "off"})),
    "channels": Case(
        "channels.yaml", "channels:\n  web:\n    kind: |", frozenset({"repl", "http", "telegram", "discord"})
    ),
    "heartbeats": Case("heartbeats.yaml", "heartbeats:\n  tidy:\n    missed: |", frozenset({"once", "skip", "all"})),
    "models": Case("models.yaml", "models:\n  local:\n    kind: |", frozenset({"anthropic", "scripted"})),
    "policies": Case("policies.yaml", "policies:\n  mine:\n    default: |", frozenset({"ask", "deny"})),
    "tools": Case("tools.yaml", "policies:\n  mine:\n    sandbox: |", frozenset({"auto", "required", "off"})),
    "scenario": Case(
        "tests/scenarios/new.yaml",
        "decisions:\n  - agent: main\n    command: ls\n    expect: |",
        frozenset({"allow", "ask", "deny"}),
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `openclaw init` writes for a user, schemas included."""
    folder = tmp_path_factory.mktemp("project")
    with redirect_stdout(StringIO()):
        assert main(["init", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def editor(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    try:
        program = install(tmp_path_factory.mktemp("server"))
    except Missing as why:
        pytest.skip(str(why))
    with Editor(program, project) as session:
        yield session


def modeline(kind: str) -> str:
    up = "../" * CASES[kind].file.count("/")
    return f"# yaml-language-server: $schema={up}schemas/{kind}.schema.json\n"


def written(editor: Editor, kind: str, marked: str) -> tuple[list[dict[str, Any]], str]:
    """Types a text below the modeline; what is said of it, and where the `|` in it stands."""
    before, _, after = marked.partition("|")
    at = f"{before.count(chr(10)) + 2}:{len(before) - before.rfind(chr(10))}"
    return editor.open(CASES[kind].file, modeline(kind) + before + after + "\n"), at


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(bundle.KINDS)


def test_the_files_of_a_new_project_are_right_in_the_editor_by_their_own_modelines(
    editor: Editor, project: Path
) -> None:
    files = sorted(path for path in project.rglob("*.yaml") if "schemas" not in path.parts)
    assert len(files) > 6
    for path in files:
        text = path.read_text("utf-8")
        assert text.startswith("# yaml-language-server: $schema="), path
        schema = text.partition("$schema=")[2].partition("\n")[0]
        assert (path.parent / schema).is_file(), path
        assert editor.open(path.relative_to(project).as_posix(), text) == [], path


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_keys_are_offered(editor: Editor, kind: str) -> None:
    _, at = written(editor, kind, "|")
    assert set(bundle.schema(kind)["properties"]) <= set(editor.complete(CASES[kind].file, at))


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_values_are_offered(editor: Editor, kind: str) -> None:
    _, at = written(editor, kind, CASES[kind].values)
    labels = {label.strip('"') for label in editor.complete(CASES[kind].file, at)}
    assert CASES[kind].offered <= labels


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_a_key_is_explained(editor: Editor, kind: str) -> None:
    schema = bundle.schema(kind)["properties"]
    name = next(name for name, each in schema.items() if "description" in each)
    _, at = written(editor, kind, f"{name[0]}|{name[1:]}: x")
    words = " ".join(schema[name]["description"].split())
    told = " ".join(editor.hover(CASES[kind].file, at).replace("\\", "").split())
    assert words[:60] in told, told


@pytest.mark.parametrize("kind", bundle.KINDS)
def test_an_unknown_key_is_flagged_where_it_stands(editor: Editor, kind: str) -> None:
    found, _ = written(editor, kind, "no_such_key: 1")
    flagged = [each for each in found if "no_such_key" in each["message"]]
    assert [(each["range"]["start"], each["message"]) for each in flagged] == [
        ({"line": 1, "character": 0}, "Property no_such_key is not allowed.")
    ]


def test_a_value_of_the_wrong_form_is_explained_in_our_words(editor: Editor) -> None:
    """By `patternErrorMessage`, which is this server's own keyword: others would show the pattern."""
    found, _ = written(editor, "agent", "prefix: research")
    wanted = bundle.schema("agent")["properties"]["prefix"]["patternErrorMessage"]
    assert wanted in [each["message"] for each in found]


def test_no_lock_file_and_no_address_is_left_behind() -> None:
    here = Path(__file__).parent
    assert [path.name for path in here.iterdir() if path.name in ("node_modules", "package-lock.json")] == []
    assert "://" not in (here / "package.json").read_text("utf-8")
