"""Imports go down only. The floors are read from the code's own imports, those inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import openclaw

PACKAGE = Path(openclaw.__file__).parent

FLOORS: dict[int, set[str]] = {
    0: {
        "words", "messages", "ports", "errors", "clock", "marker", "names", "output", "beneath",
        "note", "commands", "asking", "secrecy", "audit", "storing", "abilities", "spending",
    },
    1: {"permissions", "schedule", "signature", "script", "moments", "listeners"},
    2: {"manifest", "bundle", "timetable"},
    3: {"router", "plan", "prompt", "transcript", "plain", "essentials", "tighter", "shrinking", "attempts", "lapsing"},
    4: {
        "sessions", "turn", "calls", "compaction", "approvals", "heartbeats", "supervisor", "watch", "control",
        "adapters", "delivery", "pairing", "health", "tally", "reminders", "fallback", "shortening", "idling",
        "space", "tidying", "summing", "loading",
    },
    5: {"channels", "providers", "tools", "stores", "doorbells"},
    6: {
        "cli", "app", "answering", "desk", "at_once", "intake", "runners", "project", "reload", "reading", "lastgood",
        "restarts", "applying", "succession", "retiring", "presence", "pending", "parts", "scenarios",
    },
}  # fmt: skip

# Rooms on one floor that may know each other, and why.
NEIGHBOURS = {
    ("ports", "messages"),  # the shapes of rooms speak in the words that flow between them
    ("calls", "approvals"),  # a call is decided with the approvals that were given
    ("turn", "fallback"),  # both are given the models to ask
    ("compaction", "fallback"),
    ("compaction", "summing"),  # what becomes of a summary, and how it is asked for
    ("summing", "fallback"),
    ("shortening", "summing"),
    ("shortening", "fallback"),
    ("shortening", "compaction"),  # decides when
    ("plain", "transcript"),  # both show entries
    ("essentials", "plain"),
    ("plan", "router"),  # who reaches whom is as the router admits
    ("shrinking", "plan"),  # what an edit takes away is told as plans tell it
    ("adapters", "loading"),  # a kind of the project is its own module
    ("supervisor", "adapters"),  # opens what it finds by name
}
FREE = {0, 2, 6}  # the words, the compiler's own rooms, and the top, where everything meets


def floor(room: str) -> int:
    found = [number for number, rooms in FLOORS.items() if room in rooms]
    assert found, f"{room} stands on no floor; give it one in FLOORS"
    return found[0]


def imports(path: Path) -> Iterator[str]:
    """Rooms of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [
                f"{node.module}.{alias.name}" if node.module == "openclaw" else str(node.module) for alias in node.names
            ]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if (
                parts[0] == "openclaw"
                and len(parts) > 1
                and (PACKAGE / parts[1]).exists() | (PACKAGE / f"{parts[1]}.py").exists()
            ):
                yield parts[1]


@cache
def arrows() -> tuple[tuple[str, str, str], ...]:
    """Every import of one room by another, and the file it stands in."""
    return tuple(_arrows())


def _arrows() -> Iterator[tuple[str, str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        for other in imports(path):
            if other != room:
                yield room, other, str(path.relative_to(PACKAGE))


def test_no_import_goes_up() -> None:
    upward = [f"{where}: {a} -> {b}" for a, b, where in arrows() if floor(b) > floor(a)]
    assert upward == []


def test_rooms_on_one_floor_do_not_know_each_other() -> None:
    sideways = {
        f"{where}: {a} -> {b}"
        for a, b, where in arrows()
        if floor(a) == floor(b) and floor(a) not in FREE and (a, b) not in NEIGHBOURS
    }
    assert sideways == set()


def test_what_moves_things_and_what_touches_the_world_do_not_know_each_other() -> None:
    crossing = [f"{where}: {a} -> {b}" for a, b, where in arrows() if {floor(a), floor(b)} == {4, 5}]
    assert crossing == []


def test_what_touches_the_world_knows_words_and_small_languages_only() -> None:
    deep = [f"{where}: {a} -> {b}" for a, b, where in arrows() if floor(a) == 5 and floor(b) > 1]
    assert deep == []


def test_only_adapters_imports_by_name() -> None:
    callers = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "adapters.py"
        and ("import_module" in path.read_text("utf-8") or "__import__(" in path.read_text("utf-8"))
    ]
    assert callers == []


def test_files_of_one_folder_import_each_other_without_a_circle() -> None:
    for folder in ("manifest", "permissions"):
        graph: dict[str, set[str]] = {}
        for path in (PACKAGE / folder).glob("*.py"):
            tree = ast.parse(path.read_text("utf-8"))
            found = set()
            for node in tree.body:  # imports inside functions are how a circle is broken on purpose
                if isinstance(node, ast.ImportFrom) and node.module:
                    if node.module.startswith(f"openclaw.{folder}."):
                        found.add(node.module.split(".")[2])
                    elif node.module == f"openclaw.{folder}":
                        found |= {alias.name for alias in node.names}
            graph[path.stem] = found
        assert not circle(graph), f"{folder}: {circle(graph)}"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of the graph, as the names along it; empty where there is none."""

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return []

    done: set[str] = set()
    for name in sorted(graph):
        if found := visit(name, []):
            return found
    return []
