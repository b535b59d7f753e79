"""Whose a module is that was loaded from the project's folder, and what a project's code may do to the process that
loads it without harm to the next one."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import openclaw
from openclaw.adapters import importer
from openclaw.loading import Loading, replaced
from openclaw.manifest import listing, modules
from openclaw.manifest.folder import Folder

TOOL = '''\
import openclaw, sys, types
{0}

@openclaw.tool
def add(a: int, b: int) -> str:
    """Adds."""
    return {1}
'''
COMPILED = """
#include <Python.h>
static PyObject *word(PyObject *self, PyObject *none) {{ return PyUnicode_FromString("{0}"); }}
static PyMethodDef methods[] = {{{{"word", word, METH_NOARGS, ""}}, {{0}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "own_fast", "", -1, methods}};
PyMODINIT_FUNC PyInit_own_fast(void) {{ return PyModule_Create(&module); }}
"""


def answer(root: Path) -> object:
    [function] = importer(root)(["desk:add"]).values()
    assert callable(function), function
    return function(1, 2)


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


# ── what a project's code does to the process ────────────────────────────────────────────────────


def test_a_module_that_was_made_by_hand_is_made_anew_by_an_edit(tmp_path: Path) -> None:
    made = "if '{0}' not in sys.modules:\n    sys.modules['{0}'] = types.SimpleNamespace(x='{1}')\nimport {0}"
    for word in ("old", "new"):
        (tmp_path / "desk.py").write_text(TOOL.format(made.format("own_made", word), "own_made.x"))
        assert answer(tmp_path) == word
        assert "own_made" not in sys.modules


@pytest.mark.parametrize(
    "does", ["sys.meta_path[:] = []", "sys.meta_path = []", "sys.path = []", "sys.path.clear()", "sys.path = None"]
)
def test_what_a_module_takes_from_the_search_for_modules_is_there_again_for_the_next(tmp_path: Path, does: str) -> None:
    path, finders = (sys.path, [*sys.path]), (sys.meta_path, [*sys.meta_path])
    try:
        for word in (1, 2):
            (tmp_path / "desk.py").write_text(TOOL.format(does, f"'{word}'"))
            assert answer(tmp_path) == f"{word}"
            assert (sys.path is path[0], sys.path) == (True, path[1])
            assert (sys.meta_path is finders[0], sys.meta_path) == (True, finders[1])
            assert "desk" not in sys.modules
    finally:
        sys.path, sys.meta_path = path[0], finders[0]
        sys.path[:], sys.meta_path[:] = path[1], finders[1]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a compiler")
def test_a_compiled_module_that_was_replaced_is_told_until_the_first_is_there_again(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "desk.py").write_text(TOOL.format("import own_fast", "own_fast.word()"))
    (root / "own_fast.so").write_bytes(b"half a file")
    with pytest.raises(AssertionError, match="import_failed"):
        answer(root)

    def build(word: str) -> None:
        source, built = tmp_path / "own_fast.c", tmp_path / "own_fast.so"
        source.write_text(COMPILED.format(word))
        include = sysconfig.get_paths()["include"]
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", "-o", built, source], check=True, timeout=60)
        built.replace(root / "own_fast.so")

    build("first")
    assert (answer(root), replaced(root)) == ("first", [])
    build("second")
    assert (answer(root), replaced(root)) == ("first", ["own_fast.so"])
    build("first")
    assert (answer(root), replaced(root)) == ("first", [])


# ── where they are looked for ────────────────────────────────────────────────────────────────────

TWICE = """
import sys
from openclaw.manifest.listing import modules
looks = []
sys.addaudithook(lambda event, _: looks.append(event) if event == "os.scandir" else None)
first = list(modules(sys.argv[1], (".py",), deep=True))
listed = len(looks)
assert first == list(modules(sys.argv[1], (".py",), deep=True)) and "os.py" in first and "json/decoder.py" in first
print(listed > 5, len(looks) - listed)
"""


def test_folders_that_did_not_change_are_not_listed_again() -> None:
    library = str(Path(os.__file__).parent)
    done = subprocess.run([sys.executable, "-c", TWICE, library], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split(), done.stderr) == (["True", "0"], "")


def test_modules_are_found_near_ones_first_and_none_that_is_hidden_or_installed(tmp_path: Path) -> None:
    files = ("a/b/deep.py", "z.py", "a/__init__.py", "a/near.py", ".git/x.py", "a/site-packages/x.py", "env/x.py")
    for file in (*files, "env/pyvenv.cfg", "a/note.md", "node_modules/x.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "round").symlink_to(tmp_path)
    root = str(tmp_path)
    assert list(listing.modules(root, (".py",), deep=True)) == ["z.py", "a/__init__.py", "a/near.py", "a/b/deep.py"]
    assert list(listing.modules(root, (".py",), deep=False)) == ["z.py", "a/__init__.py"]
    (tmp_path / "a" / "b" / "new.py").touch()
    assert "a/b/new.py" in listing.modules(root, (".py",), deep=True)
