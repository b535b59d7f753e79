"""Every value of every sound manifest, made one of another kind: a snapshot or diagnostics, never an exception."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from test_fixtures import GOOD, TODAY, files_of

from openclaw.manifest.build import compile
from openclaw.manifest.codes import CODES, sound
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


Case = tuple[dict[str, str], str, Path_, Any, bool]


def cases() -> list[Case]:
    found: list[Case] = []
    projects = [files_of(fixture)[0] for fixture in GOOD] + [sound.over(code.good) for code in CODES.values()]
    for files in projects:
        for name, text in files.items():
            if text is not None and kind_of(name):
                found += [
                    (files, name, place, odd, looked)
                    for place in places(yaml.safe_load(text))
                    for odd in ODD
                    for looked in (True, False)
                ]
    return found


def judged(case: Case) -> None:
    files, name, place, odd, looked = case
    changed = yaml.safe_dump(put(yaml.safe_load(files[name]), place, odd), allow_unicode=True)
    folder = Folder.of({each: text.encode() for each, text in {**files, name: changed}.items() if text is not None})
    found = compile(folder, environment={} if looked else None, importer=None, today=TODAY)
    assert (found.snapshot is None) == any(each.severity == "error" for each in found.diagnostics)


def sweep(seed: int, times: int) -> None:
    for case in random.Random(seed).sample(cases(), times):
        try:
            judged(case)
        except Exception as fault:
            raise AssertionError(f"{case[1]} {case[2]} = {case[3]!r}, environment {case[4]}: {fault!r}") from fault


def test_values_of_other_kinds_give_a_snapshot_or_diagnostics() -> None:
    sweep(1, 100)


@pytest.mark.slow
def test_many_values_of_other_kinds_give_a_snapshot_or_diagnostics() -> None:
    sweep(2, 12_000)
