"""Every value of every sound manifest, made one of another kind: a snapshot or diagnostics, never an exception."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_fixtures import GOOD, TODAY, files_of

from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder, kind_of

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1.5, float("inf"), "", " ", "x", "${X}", "$${X}", "{x}", "*", "**", "a\nb", "é👋",
    "(a+)+$",
    [], [[]], ["x"], [None], ["${X}"], [{"x": 1}], {}, {"x": None}, {"x": "${X}"}, {"x": ["y"]}, {"type": ["x"]},
)  # fmt: skip
Path_ = tuple[Any, ...]


def places(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*here, key))


def put(root: Any, place: Path_, odd: Any) -> Any:
    changed = {"": copy.deepcopy(root)}
    above: Any = changed
    last: Any = ""
    for step in place:
        above, last = above[last], step
    above[last] = odd
    return changed[""]


def judged(files: dict[str, str]) -> None:
    found = compile(
        Folder.of({name: text.encode() for name, text in files.items()}), environment={}, importer=None, today=TODAY
    )
    assert (found.snapshot is None) == any(each.severity == "error" for each in found.diagnostics)


@pytest.mark.slow
@pytest.mark.parametrize("fixture", GOOD, ids=lambda path: path.stem)
def test_a_value_of_another_kind_gives_a_snapshot_or_diagnostics(fixture: Path) -> None:
    files, _ = files_of(fixture)
    for name, text in files.items():
        if kind_of(name) is None:
            continue
        root = yaml.safe_load(text)
        for place in places(root):
            for odd in ODD:
                changed = yaml.safe_dump(put(root, place, odd), allow_unicode=True)
                try:
                    judged({**files, name: changed})
                except Exception as fault:
                    raise AssertionError(f"{name} {place} = {odd!r}: {fault!r}") from fault
