"""Whose a module is that was loaded from the project's folder, and what a project's code may do to the process that
loads it without harm to the next one."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import openclaw
from openclaw.loading import Loading
from openclaw.manifest import modules
from openclaw.manifest.folder import Folder


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


def test_a_look_finds_what_a_reading_found_also_of_more_modules_than_are_followed(tmp_path: Path) -> None:
    for number in range(520):
        (tmp_path / f"m{number:03}.py").touch()
    (tmp_path / "m519.py").write_text("import importlib\n")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "other.py").touch()
    folder = Folder.read(tmp_path)
    modules.note(folder, "m000")
    assert "deep/down/other.py" in folder.sources
    later = Folder.read(tmp_path)
    modules.again(later, folder.more)
    assert later.sources == folder.sources
