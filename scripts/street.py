"""The floors of the package, and who imports whom, read from the code itself; drawn for docs/architecture.md.

`FLOORS` is the one list of rooms: `tests/test_floors.py` holds the code to it. Imports inside functions count, too.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import openclaw

PACKAGE = Path(openclaw.__file__).parent
WIDTH = 92

FLOORS: dict[int, set[str]] = {
    0: {
        "words", "messages", "ports", "errors", "clock", "marker", "names", "output", "beneath",
        "commands", "asking", "secrecy", "audit", "storing", "abilities", "logbook", "tracing", "metering", "spending",
        "near", "apart", "control_socket", "durations",
    },
    1: {"permissions", "schedule", "signature", "script", "moments", "listeners", "inputs"},
    2: {"manifest", "bundle", "timetable"},
    3: {
        "router", "plan", "prompt", "transcript", "plain", "essentials", "tighter", "shrinking", "attempts", "lapsing",
        "outcomes",
    },
    4: {
        "sessions", "turn", "calls", "compaction", "approvals", "heartbeats", "supervisor", "watch", "control",
        "adapters", "delivery", "pairing", "health", "tally", "reminders", "fallback", "shortening", "idling",
        "space", "tidying", "summing", "loading", "lasterror",
    },
    5: {"channels", "providers", "tools", "stores", "doorbells"},
    6: {
        "cli", "app", "answering", "desk", "at_once", "intake", "runners", "project", "reload", "reading", "lastgood",
        "restarts", "applying", "succession", "retiring", "presence", "pending", "parts", "scenarios", "logwriting",
        "house", "billing", "counting", "telling",
    },
}  # fmt: skip

MEANING = {
    6: "everything meets: the commands, and whoever builds, starts, exchanges and ends the parts",
    5: "what touches the world, a folder of kinds each",
    4: "what moves things in time; floor 5 is handed to it",
    3: "what decides; pure",
    2: "what compiles: text in, a snapshot or diagnostics out; pure",
    1: "small languages with words of their own, and the sockets that a channel listens at",
    0: "words: values and shapes that all others speak in",
}


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


# ── the drawing ──────────────────────────────────────────────────────────────────────────────────


def drawing() -> Iterator[str]:
    """Floors from the top down: their rooms, and the floors that these import."""
    yield "```text"
    for number in sorted(FLOORS, reverse=True):
        known = sorted({floor(b) for a, b, _ in arrows() if floor(a) == number}, reverse=True)
        yield f"{number}  {MEANING[number]}"
        yield from textwrap.wrap(
            " ".join(_spelt(room) for room in sorted(_there(number))), WIDTH, initial_indent="     ",
            subsequent_indent="     ", break_on_hyphens=False,
        )  # fmt: skip
        yield f"   imports {' '.join(map(str, known))}" if number else f"   imports {_own(known)}"
    yield "```"


def _own(known: list[int]) -> str:
    return "its own floor alone" if known else "nothing of ours"


def rooms() -> Iterator[str]:
    """Each room in its own words, in the order of the floors."""
    yield from ("| floor | room | |", "|---|---|---|")
    for number in sorted(FLOORS, reverse=True):
        for room in sorted(_there(number)):
            yield f"| {number} | `{_spelt(room)}` | {_words(room)} |"


def _there(number: int) -> set[str]:
    """The rooms of a floor that are in the code."""
    return {room for room in FLOORS[number] if _folder(room) or (PACKAGE / f"{room}.py").is_file()}


def _folder(room: str) -> bool:
    return (PACKAGE / room / "__init__.py").is_file()


def _spelt(room: str) -> str:
    return f"{room}/" if _folder(room) else f"{room}.py"


def _words(room: str) -> str:
    """The first sentence of what the file says of itself."""
    path = PACKAGE / room / "__init__.py" if _folder(room) else PACKAGE / f"{room}.py"
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = " ".join(said.partition("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".").replace("|", "\\|")
