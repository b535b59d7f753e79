"""`openclaw access`: who reaches whom, what runs unasked, and what of that strangers set off."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.edits import PROJECT, compiled, edited
from openclaw.cli._columns import laid, room, wrapped
from openclaw.plan.access import able
from openclaw.plan.ways import ways

NOW = datetime(2026, 1, 5, tzinfo=UTC)

C = "channels.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def access(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "-C", str(project), "--state", str(project / "state"), "access"]
    return warm.run([*command, *arguments], timeout=50, text=True, stdin=subprocess.DEVNULL)


def found(project: Path) -> dict[str, Any]:
    done = access(project, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_every_way_is_told_with_its_people_and_agents(project: Path) -> None:
    told = {f"{way['through']} {way['name']}": way for way in found(project)["ways"]}
    assert {title: (way["who"], way["usual"], way["agents"]) for title, way in told.items()} == {
        "channel telegram": (["ana", "bob"], "main", ["main"]),
        "room ops": (["in it: ana", "in it: bob"], "main", ["main"]),
        "token http (operator)": (["whoever holds the operator's token, as any sender"], "main", ["main", "ops"]),
        "token http/shop": (["whoever holds it"], "main", ["main"]),
        "heartbeat morning": (["nobody: its schedule"], "main", ["main"]),
    }
    assert told["token http/shop"]["scopes"] == ["chat"]
    assert [title for title, way in told.items() if way["open"]] == []


def test_what_an_agent_does_unasked_asks_and_is_denied_is_told(project: Path) -> None:
    agents = {one["agent"]: one for one in found(project)["agents"]}
    main = agents["main"]
    assert [(line["tools"], line["at"]["line"]) for line in main["unasked"]] == [
        (["run_command"], 21), (["write_file"], 22), (["refund"], 24), (["measure"], 26),
        (["run_command"], 27), (["run_command"], 28),
    ]  # fmt: skip
    assert main["asks"][-1] == {
        "tools": ["run_command", "read_file", "write_file", "web_fetch", "refund"],
        "words": "what no rule names", "at": None, "strangers": False,
    }  # fmt: skip
    assert [line["tools"] for line in main["denied"]] == [["write_file"], ["run_command"]]
    assert main["approvers"] == ["ana"]
    assert agents["ops"]["denied"][-1]["tools"] == ["run_command", "read_file"]


OPEN = {
    "a number that is nobody's": (C, "allow: [1, 2]", "allow: [1, 2, 99]"),
    "whoever is let in": (C, "strangers: ignore", "strangers: pair"),
    "whomever a program names": (C, "scopes: [chat]}", "scopes: [chat], senders: declared}"),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_strangers_reach_is_marked(name: str) -> None:
    snapshot = compiled(edited(OPEN[name])).snapshot
    assert any(way.open for way in ways(snapshot))
    main, ops = (one for one in able(snapshot, NOW) if one.agent in ("main", "ops"))
    assert main.strangers and not ops.strangers
    marked = {(line.tools, line.words): line.strangers for line in main.unasked}
    assert marked[("measure",), "careful/sizes, tools.yaml:26"] is True
    assert marked[("run_command",), "commands [uptime], from [group:team], careful/team, tools.yaml:27"] is False


def test_strangers_are_marked_on_the_page(project: Path) -> None:
    text = (project / C).read_text().replace("strangers: ignore", "strangers: pair")
    (project / C).write_text(text)
    done = access(project)
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("!  channel telegram")]
    assert [line for line in done.stdout.splitlines() if line.startswith("  !  measure")]
    assert "! marks what people whom no manifest names can come by or set off" in done.stderr


def test_it_fits_into_eighty_columns(project: Path) -> None:
    done = access(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for words in ("runs unasked", "asks ana", "denied", "main (policy careful)", "ops (policy strict)"):
        assert words in done.stdout, words


def test_a_rule_that_has_ended_is_not_told_as_in_force() -> None:
    snapshot = compiled(PROJECT).snapshot

    def told(day: str) -> bool:
        lines = [line for one in able(snapshot, datetime.fromisoformat(f"{day}T12:00:00Z")) for line in one.unasked]
        return any("web_fetch" in line.tools for line in lines)

    assert (told("2026-06-01"), told("2026-06-02")) == (True, False)


def test_a_channel_that_is_off_leads_nowhere() -> None:
    snapshot = compiled(edited((C, "strangers: ignore", "strangers: pair, enabled: false"))).snapshot
    [telegram] = [way for way in ways(snapshot) if way.title == "channel telegram"]
    assert telegram.off == "switched off (`enabled: false`)"
    assert {one.agent: one.strangers for one in able(snapshot, NOW)}["main"] == ()


# ── columns ──────────────────────────────────────────────────────────────────────────────────────


def test_letters_of_every_script_keep_their_width() -> None:
    assert [room(text) for text in ("abc", "探索者", "é", "e\u0301", "👍", "")] == [3, 6, 1, 1, 2, 0]
    lines = laid(("", ""), [("探索者", "x"), ("abc", "y")], 80)
    assert lines == ["探索者  x", "abc     y"]


def test_cells_are_wrapped_between_words_and_never_lost() -> None:
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrapped("探索者探索者", 5) == ["探索", "者探", "索者"]
    assert wrapped("", 5) == [""]
    long = "word " * 60
    lines = laid(("A", "B"), [("x" * 50, long)], 40)
    assert max(map(room, lines)) <= 40
    assert "".join("".join(lines).split()).count("word") == 60


def test_a_terminal_obeys_nothing_of_a_cell() -> None:
    assert "\x1b" not in "".join(laid(("", ""), [("\x1b[31mred", "\u202eback")], 80))
    assert "\u202e" not in "".join(laid(("", ""), [("\x1b[31mred", "\u202eback")], 80))
