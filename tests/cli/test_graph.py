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
  careful:
    default: ask
    rules:
      - {allow: read_file}
      - {allow: run_command, commands: [ls]}
      - {allow: save_memory, until: "2020-01-01"}
  strict: {default: deny, rules: [{ask: run_command, commands: [ls]}]}
""",
    "channels.yaml": """
channels:
  repl: {kind: repl}
  bot: {kind: telegram, token: "1:x", agents: [main], allow: [5]}
  quiet: {kind: telegram, token: "2:x", allow: []}
  off: {kind: discord, token: x, enabled: false}
""",
    "heartbeats.yaml": """
heartbeats:
  look: {cron: "@daily", agent: main, prompt: x, check: {tool: read_file, input: {path: a}}}
""",
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
    """Of Mermaid: tail, arrow, head, as they are written on it."""
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
    asked, partly = "a person is asked<br/>save_memory", "in part unasked<br/>run_command"
    assert arrows(done.stdout) == {
        ("channel repl", "==>", "main"),
        ("channel repl", "-->", "ops"),
        ("channel bot !", "==>", "main"),
        ("heartbeat look", "==>", "main"),
        ("heartbeat look", "-->", "as a check, unasked<br/>read_file"),
        ("main", "-->", "runs unasked<br/>read_file"),
        ("main", "-->", partly),
        ("main", "-.->", asked),
        ("ops", "-.->", "a person is asked<br/>run_command"),
        ("runs unasked<br/>read_file", "---", "careful"),
        ("as a check, unasked<br/>read_file", "---", "careful"),
        (partly, "---", "careful"),
        (asked, "---", "careful"),
        ("a person is asked<br/>run_command", "---", "strict"),
    }


def test_a_way_that_is_off_or_that_nobody_may_come_by_leads_nowhere(project: Path) -> None:
    text = openclaw(project, "graph").stdout
    assert "channel off (off)" in text and "channel quiet (off)" in text
    assert not [tail for tail, _, _ in arrows(text) if tail.endswith("(off)")]


def test_a_hostile_description_and_long_names_leave_the_picture_sound(project: Path) -> None:
    (project / "agents/main.yaml").write_text(
        'name: Main\ndescription: "bell \\a <script> \\u202e turned"\ndefault: true\npolicy: careful\n'
        "tools: [read_file]\n"
    )
    long = f"agents/{'m' * 60}-a.yaml", f"agents/{'m' * 60}-b.yaml"
    for name in long:
        (project / name).write_text(PROJECT["agents/ops.yaml"].replace("prefix: /ops, ", ""))
    text = openclaw(project, "graph", "--svg", "-").stdout
    picture = ElementTree.fromstring(text)
    assert "\u202e" not in text and "<script" not in text
    shown = [each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert len({each for each in shown if "…mm" in each}) == 2  # told apart by their ends


def test_fifty_agents_with_many_tools_stay_below_what_mermaid_draws(project: Path) -> None:
    for number in range(50):
        agent = f"{{name: A{number}, description: x, policy: careful, tools: ['*']}}"
        (project / f"agents/a{number}.yaml").write_text(agent)
    done = openclaw(project, "graph")
    assert (done.returncode, done.stderr) == (0, "") and len(arrows(done.stdout)) < 500


def test_no_file_but_a_picture_is_written_over(project: Path) -> None:
    before = (project / "tools.yaml").read_text()
    done = openclaw(project, "graph", "--svg", str(project / "tools.yaml"))
    assert done.returncode == 2 and "no such picture" in done.stderr
    assert (project / "tools.yaml").read_text() == before
    assert [openclaw(project, "graph", "--svg", str(project / "g.svg")).returncode for _ in range(2)] == [0, 0]


def test_the_picture_has_a_box_for_each_and_is_sound_xml(project: Path) -> None:
    assert openclaw(project, "graph", "--svg", str(project / "graph.svg")).returncode == 0
    picture = ElementTree.fromstring((project / "graph.svg").read_text("utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    titles = [each.text for each in picture.iter(f"{space}title")]
    assert any(title and title.startswith("ops: Runs <things>") for title in titles)
    assert len(list(picture.iter(f"{space}rect"))) == 5 + 2 + 5 + 2
    assert openclaw(project, "graph", "--svg", "-").stdout == (project / "graph.svg").read_text("utf-8")


def test_a_picture_that_cannot_be_written_is_an_error_and_a_broken_project_too(project: Path) -> None:
    done = openclaw(project, "graph", "--svg", str(project / "nowhere" / "x.svg"))
    assert done.returncode == 1 and "cannot be written" in done.stderr
    (project / "tools.yaml").write_text("policies: {careful: {default: allow}}")
    assert openclaw(project, "graph").returncode == 3
