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
from openclaw.manifest.nodes import MapNode, descend, plain
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
    """All at once where that goes well; else one by one, so that one value which cannot be reached stops no other."""
    whole = _made(file, text, corrections)
    if whole is not None:
        return Rewritten(whole, tuple(corrections))
    made: list[Correction] = []
    for each in corrections:
        again = _made(file, text, [each])
        if again is not None:
            text = again
            made.append(each)
    return Rewritten(text, tuple(made), tuple(each for each in corrections if each not in made))


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
