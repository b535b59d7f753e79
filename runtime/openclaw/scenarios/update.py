"""Recorded expectations rewritten where they stand: the values are exchanged, and nothing else of the file moves.

Law: comments, order, quoting and layout stay; what the rewritten file says differs from the old one in the corrected
values only, which is verified by reading it again before it is handed out. What cannot be rewritten so is left as it
is. Works on text; writes no file.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openclaw.manifest import document
from openclaw.manifest.nodes import ListNode, MapNode, descend, plain
from openclaw.manifest.source import Source
from openclaw.scenarios import edits
from openclaw.scenarios.document import Correction, Path
from openclaw.scenarios.edits import Edit


@dataclass(frozen=True, slots=True)
class Rewritten:
    text: str
    made: tuple[Correction, ...]
    refused: tuple[Correction, ...] = ()


def rewrite(file: str, text: str, corrections: Sequence[Correction]) -> Rewritten:
    """All at once where that goes well; else by halves, so that one value which cannot be reached stops no other."""
    made = set[int]()
    repeated = _repeated(file, text, corrections)
    todo = [[at for at in range(len(corrections)) if at not in repeated]]
    while todo:
        some = todo.pop()
        again = _made(file, text, [corrections[at] for at in some]) if some else text
        if again is not None:
            text = again
            made.update(some)
        elif len(some) > 1:
            half = len(some) // 2
            todo += [some[half:], some[:half]]
    done = tuple(each for at, each in enumerate(corrections) if at in made)
    return Rewritten(text, done, tuple(each for at, each in enumerate(corrections) if at not in made))


def _repeated(file: str, text: str, corrections: Sequence[Correction]) -> set[int]:
    """Which of them are about a value that an alias repeats: none of these can be reached alone."""
    root = document.read(file, text.encode()).root
    seen, twice, todo = set[int](), set[int](), [root] if root is not None else []
    while todo:
        node = todo.pop()
        (twice if id(node) in seen else seen).add(id(node))
        todo += node.items if isinstance(node, ListNode) else ()
        todo += [entry.value for entry in node.entries.values()] if isinstance(node, MapNode) else []
    if root is None or not twice:
        return set()
    return {at for at, each in enumerate(corrections) if id(descend(root, each.path)) in twice}


def _made(file: str, text: str, corrections: Sequence[Correction]) -> str | None:
    """The new text; None where it would not say what is meant."""
    source = Source(file, text)
    root = document.read(file, text.encode()).root
    if not isinstance(root, MapNode):
        return None
    wanted = copy.deepcopy(plain(root))
    changes: list[Edit] = []
    for each in corrections:
        changes += edits.of(source, _entry(root, each.path), descend(root, each.path), each.value)
        wanted = _with(wanted, each.path, each.value)
    new = edits.applied(text, changes)
    if new is None:
        return None
    again = document.read(file, new.encode())
    return new if again.root is not None and not again.diagnostics and plain(again.root) == wanted else None


def _entry(root: MapNode, path: Path) -> Any:
    above = descend(root, path[:-1])
    return above.entries.get(str(path[-1])) if isinstance(above, MapNode) else None


def _with(value: Any, path: Path, new: Any) -> Any:
    """The value with another one below it."""
    if not path:
        return new
    value[path[0]] = _with(value[path[0]], path[1:], new)
    return value
