"""Whose a module is that was loaded from the project's folder, and what a project's code may do to the process that
loads it without harm to the next one."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import openclaw
from openclaw.loading import Loading


def test_the_python_that_runs_us_is_no_projects_though_it_lies_in_the_projects_folder() -> None:
    """As in a home with a Python of its own that is made a project: loaded once more, its parts do not fit together."""
    library = Path(os.__file__).parent
    before = sys.modules.pop("colorsys", None)
    loading = Loading(library.parent)
    try:
        with loading.first():
            found = importlib.import_module("colorsys")
        assert sys.modules.get("colorsys") is found
        assert [loading.owns(str(library / file)) for file in ("os.py", "json/decoder.py")] == [False, False]
        assert loading.owns(str(library.parent / "desk.py"))
    finally:
        sys.modules["colorsys"] = before or found
    ours = Path(openclaw.__file__)
    assert not Loading(ours.parents[1]).owns(str(ours)) and Loading(ours.parents[1]).owns(str(ours.parents[1] / "a.py"))


def test_a_project_that_is_where_python_is_keeps_what_is_its_own() -> None:
    """An environment that was made in the project's folder itself."""
    root = Path(sys.prefix)
    assert Loading(root).owns(str(root / "desk.py")) and Loading(root).owns(str(root / "part" / "desk.py"))
