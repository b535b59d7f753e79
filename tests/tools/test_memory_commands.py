"""The commands for memories that change something: as processes, on a state folder that nobody else uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from doubles import warm

PEOPLE = "channels: {repl: {kind: repl}}\npeople:\n  ana: {ids: ['repl:five', 'repl:ana']}\n"


def openclaw(root: Path, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
    place = ["-C", str(root / "project"), "--state", str(root / "state")]
    environment = {**os.environ, "NO_COLOR": "1"}
    return warm.run(
        [sys.executable, "-m", "openclaw", *place, *arguments], input=input, text=True, timeout=30, env=environment
    )


def test_something_is_added_exported_and_found_after_a_rebuild(tmp_path: Path) -> None:
    assert openclaw(tmp_path, "memory", "add", "My cat is Zorblax").stdout == "remembered as my-cat-is-zorblax\n"
    added = openclaw(tmp_path, "memory", "add", "-", "--name", "Tea", "--scope", "people/ana", input="likes tea\n")
    assert added.stdout == "remembered as people/ana/tea\n"
    wrong = openclaw(tmp_path, "memory", "add", "x", "--scope", "people/../x")
    assert wrong.returncode == 1 and "is no scope of memories" in wrong.stderr
    assert not list(tmp_path.rglob("x.md"))
    (tmp_path / "state" / "search.db").write_bytes(b"rubbish")
    rebuilt = openclaw(tmp_path, "memory", "rebuild")
    assert (rebuilt.stdout, rebuilt.stderr) == ("the index holds 2 memories\n", "")
    exported = json.loads(openclaw(tmp_path, "memory", "export", "--scope", "people/ana").stdout)
    assert [(one["key"], one["text"], one["untrusted"]) for one in exported] == [("people/ana/tea", "likes tea", "")]
    assert len(json.loads(openclaw(tmp_path, "memory", "export").stdout)) == 2


def test_who_is_to_be_forgotten_is_shown_first_and_gone_after_a_yes(tmp_path: Path) -> None:
    project, memory = tmp_path / "project", tmp_path / "state" / "memory"
    (project / "agents").mkdir(parents=True)
    agent = "name: M\ndescription: d\ndefault: true\ntools: []\npolicy: careful\n"
    (project / "agents" / "main.yaml").write_text(agent)
    (project / "tools.yaml").write_text("policies: {careful: {default: ask}}\n")
    (project / "channels.yaml").write_text(PEOPLE)
    for name, author in {"people/ana/own": "repl:five", "hers": "repl:ana", "his": "repl:six"}.items():
        (memory / f"{name}.md").parent.mkdir(parents=True, exist_ok=True)
        (memory / f"{name}.md").write_text(f"---\nauthor: {author}\n---\nSomething of {name}.\n")
    shown = openclaw(tmp_path, "memory", "forget", "ana")
    assert shown.returncode == 1
    assert "people/ana/own" in shown.stdout and "hers" in shown.stdout and "his" not in shown.stdout
    assert "Not touched: conversations (sessions/" in shown.stdout
    assert shown.stdout.endswith("Nothing was removed; `--yes` does it.\n")
    assert sorted(path.stem for path in memory.rglob("*.md")) == ["hers", "his", "own"]
    assert openclaw(tmp_path, "memory", "forget", "repl:five", "--yes").stdout.endswith("\nforgot 2\n")
    assert [path.stem for path in memory.rglob("*.md")] == ["his"]
    assert "Nothing is remembered of ana" in openclaw(tmp_path, "memory", "forget", "ana", "--yes").stdout
    unknown = openclaw(tmp_path, "memory", "forget", "bob")
    assert unknown.returncode == 2 and "(there is ana)" in unknown.stderr
    (project / "channels.yaml").write_text("channels: [")
    assert "nobody's addresses are known here" in openclaw(tmp_path, "memory", "forget", "repl:six").stderr
