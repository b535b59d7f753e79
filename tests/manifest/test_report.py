"""How mistakes are shown: the source line, the token underlined, stable order, machine-readable as well."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.manifest import reports
from openclaw.manifest.build import compile
from openclaw.manifest.codes import CODES
from openclaw.manifest.diagnostic import Span, arrange, error, warning
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import Look, text
from openclaw.manifest.reports import json as as_json
from openclaw.words import char_width, quote_line

ROOT = Path(__file__).parent.parent.parent
AGENT = "name: Jarvis\ndescription: Helps\ntools: [read_file, shel_run]\npolicy: careful\n"


def shown(agent: str, color: bool = False, columns: int = 0) -> str:
    folder = Folder.of({"agents/main.yaml": agent.encode(), "tools.yaml": b"policies: {careful: {}}\n"})
    result = compile(folder, environment={}, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))
    return text.render(result.diagnostics, folder, Look(color, columns=columns))


def test_the_token_is_underlined_below_its_line() -> None:
    head, line, mark, _ = shown(AGENT).split("\n")
    assert head.startswith("agents/main.yaml:3:20: error: no tool `shel_run`")
    assert head.endswith("[unknown-tool]")
    assert line == "    3 | tools: [read_file, shel_run]"
    assert mark == "      |                    ^~~~~~~~"


@pytest.mark.parametrize("before", ["日本", "👋", "e\u0301"])
def test_wide_and_combining_characters_before_the_token_shift_the_mark_as_a_terminal_does(before: str) -> None:
    text = f"{{name: {before}, description: x, tools: [], policy: nope}}\n"
    head, _, mark, *_ = shown(text).split("\n")
    column = int(head.split(":")[2])
    extra = {"日本": 2, "👋": 1, "e\u0301": -1}[before]
    assert mark.index("^") == len("    1 | ") + column - 1 + extra


def test_a_very_long_line_is_cut_around_the_token() -> None:
    text = f"{{name: {'x' * 5000}, description: x, tools: [], policy: nope, effort: low}}\n"
    _, line, mark, *_ = shown(text).split("\n")
    assert len(line) < 200
    assert line[mark.index("^") :].startswith("nope")


@pytest.mark.parametrize("unseen", ["\u200b\u200b\u200b", "\u00ad", "\u200d", "\u3000", "\u2066"])
def test_what_is_not_printable_takes_the_column_of_its_sign_and_is_told_by_its_number(unseen: str) -> None:
    found = shown(AGENT.replace("read_file, shel_run", f"{unseen}x, shel_run"))
    for name in ("x", "shel_run"):
        (at,) = [index for index, line in enumerate(found.split("\n")) if f"{name}`" in line and "no tool" in line]
        _, line, mark = found.split("\n")[at : at + 3]
        assert line[mark.index("^") :].lstrip("\ufffd").startswith(name)
    assert f"no tool `{quote_line(unseen)}x`" in found


@pytest.mark.parametrize("name", ["x" * 200, "探" * 120, "\t" * 30 + "y", "x"])
def test_a_line_is_cut_to_the_terminal_so_that_it_and_its_mark_stay_together(name: str) -> None:
    agent = f"{{name: '{name}', description: x, tools: [], policy: nope, effort: low}}\n"
    for columns in (30, 50, 80):
        _, line, mark, *_ = shown(agent, columns=columns).split("\n")
        for row in (line, mark):
            assert sum(8 if char == "\t" else char_width(char) for char in row) <= columns
        before = line.partition("nope")[0]
        assert mark.index("^") == sum(8 if char == "\t" else char_width(char) for char in before) - 7 * before.count(
            "\t"
        )


def test_colour_is_only_paint() -> None:
    assert re.sub("\x1b\\[[0-9;]*m", "", shown(AGENT, color=True)) == shown(AGENT)


def test_control_characters_of_a_hostile_file_do_not_reach_the_terminal() -> None:
    text = shown('name: "\x1b[2J"\ndescription: x\ntools: []\npolicy: "a\\e[2Jb"\n') + shown('name: a\n"\\e[2Jx": b\n')
    assert "\x1b" not in text


def test_control_characters_of_a_file_name_do_not_reach_the_terminal() -> None:
    hostile = "agents/a\x1b[31m\u202eb.yaml"
    agent = b"name: A\ndescription: x\ntools: []\npolicy: careful\nprefix: /a\n"
    folder = Folder.of({hostile: agent, "agents/main.yaml": agent, "tools.yaml": b"policies: {careful: {}}\n"})
    found = compile(folder, environment={}, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC)).diagnostics
    assert any(each.file == hostile for each in found)
    assert any(other.file == hostile for each in found for other in each.related)
    for shown in (text.render(found, folder), reports.brief(found)):
        assert "\x1b" not in shown and "\u202e" not in shown
        assert "agents/a%1B[31m\\u{202e}b.yaml:1:1: error" in shown
    assert any(each["file"] == hostile for each in json.loads(as_json.render(found, folder)))


def test_json_carries_everything_and_is_sorted() -> None:
    spans = [Span("b.yaml", 1, 2, 1, 3), Span("a.yaml", 10, 1, 10, 2), Span("a.yaml", 9, 5, 9, 6)]
    found = json.loads(as_json.render(arrange(error("yaml", span, "x", "y") for span in spans), Folder.of({})))
    assert [(each["file"], each["line"]) for each in found] == [("a.yaml", 9), ("a.yaml", 10), ("b.yaml", 1)]
    assert list(found[0]) == [
        "code", "severity", "file", "line", "column", "end_line", "end_column", "message", "help", "related",
    ]  # fmt: skip
    assert json.loads(as_json.render((), Folder.of({}))) == []


def test_the_summary_counts() -> None:
    said = [error("yaml", Span("a"), "x"), warning("yaml", Span("b"), "x"), warning("yaml", Span("c"), "x")]
    assert reports.summary(said, 3) == "1 error and 2 warnings in 3 manifests"
    assert reports.summary([], 1) == "no problems in 1 manifest"


def test_every_code_that_is_used_is_explained_and_every_explained_one_is_used() -> None:
    used: set[str] = set()
    rooms = (ROOT / "runtime/openclaw" / room for room in ("manifest", "scenarios"))
    for path in (*(path for room in rooms for path in room.rglob("*.py")), ROOT / "runtime/openclaw/shrinking.py"):
        text = re.sub(r"\s+", " ", path.read_text("utf-8"))
        used |= set(re.findall(r"(?:error|warning|worst)\( ?\"([a-z-]+)\"", text))
    used |= {"python-mark", "python-import"}  # chosen by an expression
    kinds = ("tool", "policy", "model", "channel", "agent", "person", "room", "heartbeat", "group")
    used |= {f"unknown-{kind}" for kind in kinds}
    assert used == set(CODES)


def test_a_path_that_holds_a_nul_is_told_as_that() -> None:
    rules = b'policies: {careful: {rules: [{allow: read_file, paths: ["a\\0b"]}]}}\n'
    folder = Folder.of({"agents/main.yaml": AGENT.replace(", shel_run", "").encode(), "tools.yaml": rules})
    result = compile(folder, environment={}, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))
    (found,) = [each for each in result.diagnostics if each.code == "rule-pattern"]
    assert "NUL" in found.message and "closed" not in found.message
