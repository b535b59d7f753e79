"""`openclaw graph`: what is drawn is what the router admits and the policies decide."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

PROJECT = {
    "agents/main.yaml": "{name: Main, description: Answers, default: true, policy: careful, "
    "tools: [run_command, read_file, save_memory]}",
    "agents/ops.yaml": "{name: Ops, description: 'Runs <things>', prefix: /ops, tools: [run_command], policy: strict}",
    "tools.yaml": """
policies:
  careful: {default: ask, rules: [{allow: read_file}, {allow: run_command, commands: [ls]}]}
  strict: {default: deny, rules: [{ask: run_command, commands: [ls]}]}
""",
    "channels.yaml": 'channels: {repl: {kind: repl}, bot: {kind: telegram, token: "1:x", agents: [main], allow: [5]}}',
}


def openclaw(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def arrows(text: str) -> set[tuple[str, str, str]]:
    """Of Mermaid: tail, arrow, head, by name."""
    names, found = dict[str, str](), set[tuple[str, str, str]]()
    for line in map(str.strip, text.splitlines()):
        if '"' in line and not line.startswith("subgraph"):
            identifier = line[: next(place for place, each in enumerate(line) if not each.isalnum())]
            names[identifier] = line.split('"')[1]
        elif len(words := line.split(" ")) == 3 and words[0] in names:
            found.add((names[words[0]], words[1], names[words[2]]))
    return found


def test_an_arrow_says_who_answers_and_what_runs_unasked(project: Path) -> None:
    done = openclaw(project, "graph")
    assert (done.returncode, done.stderr) == (0, "")
    assert arrows(done.stdout) == {
        ("channel repl", "==>", "main"),
        ("channel repl", "-->", "ops"),
        ("channel bot", "==>", "main"),
        ("main", "-->", "run_command"),
        ("main", "-->", "read_file"),
        ("main", "-.->", "save_memory"),
        ("ops", "-.->", "run_command"),
        ("run_command", "---", "careful"),
        ("run_command", "---", "strict"),
        ("read_file", "---", "careful"),
        ("save_memory", "---", "careful"),
    }


def test_the_picture_has_a_box_for_each_and_is_sound_xml(project: Path) -> None:
    assert openclaw(project, "graph", "--svg", str(project / "graph.svg")).returncode == 0
    picture = ElementTree.fromstring((project / "graph.svg").read_text("utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    titles = [each.text for each in picture.iter(f"{space}title")]
    assert "ops: Runs <things>" in titles
    assert len(list(picture.iter(f"{space}rect"))) == 2 + 2 + 3 + 2
    assert openclaw(project, "graph", "--svg", "-").stdout == (project / "graph.svg").read_text("utf-8")


def test_a_picture_that_cannot_be_written_is_an_error_and_a_broken_project_too(project: Path) -> None:
    done = openclaw(project, "graph", "--svg", str(project / "nowhere" / "x.svg"))
    assert done.returncode == 1 and "cannot be written" in done.stderr
    (project / "tools.yaml").write_text("policies: {careful: {default: allow}}")
    assert openclaw(project, "graph").returncode == 3
