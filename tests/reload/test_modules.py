"""The code of Python tools: what runs is what was read, an edit of any file it is made of is an edit, and what was
replaced is gone from the process. Libraries are loaded once."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import py_compile
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from doubles.house import TOOLS, lived, project, until
from openclaw import reading
from openclaw.adapters import importer
from openclaw.loading import Loading
from openclaw.manifest import modules
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.reading import Reading, contents_of, look, read
from openclaw.signature import ImportProblem

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9"  # a model that is never asked
TOOL = '''\
import openclaw
{0}

@openclaw.tool
def add(a: int, b: int) -> str:
    """Adds."""
    return {1}
'''


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """What a project's code does to the process ends with the test."""
    path, names = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - names:
        if name.startswith(("zoo", "own_", "lent")):
            del sys.modules[name]


def made(tmp_path: Path, files: dict[str, str], tools: str = TOOLS) -> Path:
    return project(tmp_path / "project", NOBODY, files={"tools.yaml": tools, **files})


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def loaded(root: Path, reference: str = "sums:add") -> FunctionType:
    [function] = importer(root)([reference]).values()
    assert isinstance(function, FunctionType), function
    return function


def snapshot(found: Reading) -> Snapshot:
    assert found.compiled.snapshot is not None, found.compiled.diagnostics
    return found.compiled.snapshot


def function(found: Reading, name: str = "add") -> Callable[..., Any]:
    made: Callable[..., Any] = snapshot(found).tools[name].options["function"]
    return made


def own(root: Path) -> list[str]:
    """What the process knows of the project."""
    places = {name: getattr(module, "__dict__", {}) for name, module in list(sys.modules.items())}
    files = {name: [known.get("__file__"), *known.get("__path__", ())] for name, known in places.items()}
    return [name for name, paths in files.items() if any(str(path).startswith(str(root)) for path in paths)]


# ── an edit of what a tool is made of is an edit ─────────────────────────────────────────────────


def test_an_edit_of_a_module_that_a_tools_module_imports_is_applied_and_its_undoing_too(tmp_path: Path) -> None:
    root = made(tmp_path, {"sums.py": TOOL.format("from parts import plus", "plus.words(a + b)")})
    put(root, "parts/plus.py", "def words(n):\n    return f'first {n}'\n")

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            for word in ("second", "first"):
                known = len(app.reload.attempts)
                put(root, "parts/plus.py", f"def words(n):\n    return f'{word} {{n}}'\n")
                await until(lambda known=known: len(app.reload.attempts) > known, "the edit")  # type: ignore[misc]
                last = app.reload.attempts[-1]
                assert (last.trigger, last.outcome, last.changes) == ("edit", "applied", ("tool add changed",))
                run = app.supervisor.current.snapshot.tools["add"].options["function"]
                assert run(1, 2) == f"{word} 3"
            said = (await operator.http.post("/api/reload")).json()
            assert "unchanged" in str(said)
            put(root, "parts/plus.py", "def words(n):\n    return 'third'\n")
            said = (await operator.http.post("/api/reload")).json()  # at once: hardly ever does the watch come first
            assert said["outcome"] in ("applied", "unchanged")
            assert app.supervisor.current.snapshot.tools["add"].options["function"](1, 2) == "third"

    asyncio.run(scene())


def test_a_broken_module_behind_a_tools_module_is_refused_at_its_line(tmp_path: Path) -> None:
    root = made(tmp_path, {"sums.py": TOOL.format("import own_part", "own_part.x"), "own_part.py": "x = 1\n"})
    assert read(root, NOW).compiled.snapshot is not None
    for text, line, words in (
        ("x = 1\ny = [\n", 2, "SyntaxError"),
        ("x = 1\n\ny = x / 0\n", 3, "ZeroDivisionError"),
        ("import own_missing\nx = 1\n", 1, "No module named 'own_missing'"),
    ):
        put(root, "own_part.py", text)
        found = read(root, NOW).compiled
        [said] = [each for each in found.diagnostics if each.severity == "error"]
        assert found.snapshot is None and said.code == "python-import" and words in said.message
        assert [(each.file, each.line) for each in said.related] == [("own_part.py", line)]
        assert own(root) == []


def test_a_module_that_does_not_end_its_import_is_told_with_its_place_and_is_loaded_once_it_is_mended(
    tmp_path: Path,
) -> None:
    """It is behind a tool's module; what ends late harms nothing, and other modules are not waited for any more."""
    root = made(tmp_path, {"sums.py": TOOL.format("import own_part", "own_part.x"), "own_part.py": "x = 'first'\n"})
    put(root, "own_other.py", TOOL.format("", "'other'"))
    gate = sys.__dict__["own_gate"] = threading.Event()
    try:
        put(root, "own_part.py", "import sys\n\nsys.own_gate.wait(60)\nimport own_other\n")
        hung = importer(root, within=3.0)
        found = compile(Folder.read(root), environment={}, importer=hung, today=NOW)
        [said] = [each for each in found.diagnostics if each.severity == "error"]
        assert (said.code, said.message) == ("python-import", "module `sums` did not end its import in 3 s")
        assert [(each.file, each.line) for each in said.related] == [("own_part.py", 3)]
        assert own(root) == [] and isinstance(hung(["own_other:add"])["own_other:add"], ImportProblem)
        left = [each for each in threading.enumerate() if each.name == "openclaw-import sums"]
        put(root, "own_part.py", "x = 'mended'\n")
        assert loaded(root)(1, 2) == "mended"
        assert [each.is_alive() for each in left] == [True]
    finally:
        gate.set()
    left[0].join(30)
    assert loaded(root)(1, 2) == "mended" and own(root) == []


@pytest.mark.slow
def test_a_runtime_refuses_what_does_not_end_its_import_and_takes_up_the_next_edit(tmp_path: Path) -> None:
    root = made(tmp_path, {"sums.py": TOOL.format("", "'first'")})

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, _):
            put(root, "sums.py", TOOL.format("import threading\nthreading.Event().wait(300)", "'never'"))
            await until(lambda: "goes on" in app.reload.differs, "the word that it takes long", 60)
            await until(lambda: app.reload.attempts, "its end", 120)
            assert app.reload.attempts[-1].outcome == "refused" and "did not end" in app.reload.attempts[-1].words
            put(root, "sums.py", TOOL.format("", "'second'"))
            await until(lambda: len(app.reload.attempts) == 2, "the next edit")
            assert app.supervisor.current.snapshot.tools["add"].options["function"](1, 2) == "second"

    asyncio.run(scene())


def test_a_module_that_comes_to_stand_in_for_another_is_seen_by_a_look(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        {
            "sums.py": TOOL.format(
                "try:\n    import own_late\nexcept ImportError:\n    own_late = None", "str(own_late)"
            ),
            "anywhere.py": "import importlib\n",
        },
    )
    first = read(root, NOW)
    assert contents_of(look(root, first.folder.more)) == first.contents
    for name in ("own_late.py", "own_new.py", "deep/down/own_other.py"):
        put(root, name, "")
        second = read(root, NOW)
        assert contents_of(look(root, first.folder.more)) == second.contents != first.contents
        first = second


def test_an_edit_at_the_end_of_a_large_module_is_an_edit(tmp_path: Path) -> None:
    text = TOOL.format("#" * (1 << 21), "'first'")
    root = made(tmp_path, {"sums.py": text, "own_compiled.so": "#" * (1 << 21)})
    first = read(root, NOW)
    assert function(first)(1, 2) == "first"
    for name, edited in (("own_compiled.so", "#" * (1 << 21) + "!"), ("sums.py", text.replace("first", "other"))):
        put(root, name, edited)
        second = read(root, NOW)
        assert contents_of(look(root, first.folder.more)) == second.contents != first.contents
        first = second
    assert function(first)(1, 2) == "other"


def test_only_the_tools_that_changed_code_is_part_of_are_named(tmp_path: Path) -> None:
    tools = TOOLS.replace("policies:", '  sub: {python: "less:add"}\npolicies:')
    root = made(
        tmp_path,
        {"sums.py": TOOL.format("import one", "1"), "less.py": TOOL.format("import two, one", "2")},
        tools,
    )
    for name in ("one", "two", "three"):
        put(root, f"{name}.py", "")
    found = read(root, NOW)

    def stirred(*files: str) -> set[str]:
        return set(reading.stirred(found.folder, snapshot(found), files))

    assert (stirred("two.py"), stirred("one.py"), stirred("sums.py")) == ({"sub"}, {"add", "sub"}, {"add"})
    assert stirred("agents/main.md", "tools.yaml") == set()
    assert stirred("three.py") == {"add", "sub"}  # nobody can tell whose it is, so it may be everybody's
    assert modules.made_of(found.folder, "less") == {"less.py", "one.py", "two.py"}


# ── what runs is what was read ───────────────────────────────────────────────────────────────────


def test_what_was_looked_at_and_became_another_meanwhile_is_read_anew_whole(tmp_path: Path) -> None:
    root = made(
        tmp_path, {"sums.py": TOOL.format("import own_part", "own_part.word"), "own_part.py": "word = 'read'\n"}
    )
    before = read(root, NOW)
    folder = look(root, before.folder.more)
    put(root, "own_part.py", "word = 'late'\n")
    put(root, "agents/main.md", "You are late.\n")
    found = read(root, NOW, folder=folder)
    assert (function(found)(1, 2), snapshot(found).agents["main"].soul) == ("late", "You are late.")
    assert before.contents != found.contents == contents_of(look(root, found.folder.more))


def test_code_and_variables_may_come_from_elsewhere(tmp_path: Path) -> None:
    """As a start with what was applied last does: its own code, and .env of the project, which is never copied."""
    root = made(tmp_path, {"sums.py": TOOL.format("", "'kept'")})
    other = tmp_path / "other"
    put(other, "sums.py", TOOL.format("", "'other'"))
    put(other, ".env", "WORD=found\n")
    put(root, "channels.yaml", "channels:\n  http: {kind: http, port: 0, token: '${WORD}'}\n")
    assert read(root, NOW).compiled.snapshot is None
    assert function(read(root, NOW, root, env_from=other))(1, 2) == "kept"
    assert function(read(root, NOW, other))(1, 2) == "other"


def test_bytecode_that_lies_there_is_not_run_and_none_is_written(tmp_path: Path) -> None:
    """Bytecode tells its source by its size and the second of its time: of two saves in one, it may be the first's."""
    root = made(tmp_path, {"sums.py": TOOL.format("", "'aaa'")})
    source = root / "sums.py"
    py_compile.compile(str(source), doraise=True)
    status = source.stat()
    source.write_text(TOOL.format("", "'bbb'"))
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (loaded(root)(1, 2), function(read(root, NOW))(1, 2)) == ("bbb", "bbb")
    put(root, "fresh.py", TOOL.format("", "''"))
    loaded(root, "fresh:add")
    assert [path.name.partition(".")[0] for path in (root / "__pycache__").iterdir()] == ["sums"]


# ── and nothing else ─────────────────────────────────────────────────────────────────────────────


def test_nothing_of_a_project_stays_in_the_process_whatever_its_modules_are(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        {
            "sums.py": TOOL.format("import zoo.cat.one, zoo_pack.inner, own_lib", "'x'"),
            "zoo/cat/one.py": "",
            "zoo_pack/__init__.py": "",
            "zoo_pack/inner.py": "import os, sys\nsys.path.insert(0, os.path.abspath(__file__ + '/../../lib'))",
            "lib/own_lib.py": "",
            "broken.py": "import zoo.cat.one\nraise SystemExit(3)",
        },
    )
    lib = str(root / "lib")
    for _ in range(3):
        loaded(root)
        assert isinstance(importer(root)(["broken:add"])["broken:add"], ImportProblem)
        assert own(root) == []
        assert (sys.path.count(lib), sys.path.count(str(root))) == (1, 0)
    # A folder is now a module, as `validate` in a fresh process would have it:
    for path in sorted((root / "zoo").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (root / "zoo").rmdir()
    put(root, "zoo.py", TOOL.format("", "'a module'"))
    assert loaded(root, "zoo:add")(1, 2) == "a module"


def test_a_library_in_the_projects_own_environment_is_loaded_once(tmp_path: Path) -> None:
    root = made(tmp_path, {"sums.py": TOOL.format("import lent_a, lent_b", "str((lent_a.runs, lent_b.runs))")})
    for folder, name in ((".venv/lib/python3.11/site-packages", "lent_a"), ("tooling/env/lib", "lent_b")):
        put(
            root,
            f"{folder}/{name}.py",
            f"import builtins\nruns = builtins.{name} = getattr(builtins, '{name}', 0) + 1\n",
        )
        sys.path.append(str(root / folder))
    put(root, "tooling/env/pyvenv.cfg", "")
    assert [loaded(root)(1, 2) for _ in range(5)] == ["(1, 1)"] * 5


def test_a_folder_that_installed_modules_share_with_the_project_keeps_theirs_and_not_its(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    put(installed, "zoo/theirs.py", "runs = []\n")
    sys.path.append(str(installed))
    root = made(tmp_path, {"sums.py": TOOL.format("from zoo import theirs, mine", "f'{mine.word} {len(theirs.runs)}'")})
    for word in ("one", "two"):
        put(root, "zoo/mine.py", f"from zoo import theirs\ntheirs.runs.append(0)\nword = '{word}'\n")
        last = loaded(root)
    assert last(1, 2) == "two 2"
    import zoo  # type: ignore[import-not-found]

    assert zoo.theirs.runs == [0, 0] and not hasattr(zoo, "mine")
    assert [name for name in own(root) if name != "zoo"] == []


def test_what_a_function_imported_while_it_ran_is_not_taken_for_what_is_there_now(tmp_path: Path) -> None:
    root = made(tmp_path, {"sums.py": TOOL.format("import own_part", "own_part.word"), "own_part.py": "word = 'new'\n"})
    sys.path.insert(0, str(root))
    put(root, "own_part.py", "word = 'old'\n")
    __import__("own_part")
    put(root, "own_part.py", "word = 'fresh'\n")
    assert loaded(root)(1, 2) == "fresh"
    assert own(root) == []


def test_two_tools_of_one_project_share_their_modules(tmp_path: Path) -> None:
    tools = TOOLS.replace("policies:", '  sub: {python: "less:add"}\npolicies:')
    counted = TOOL.format("import own_count", "own_count.up()")
    root = made(tmp_path, {"sums.py": counted, "less.py": counted}, tools)
    put(root, "own_count.py", "n = 0\ndef up():\n    global n\n    n += 1\n    return str(n)\n")
    found = read(root, NOW)
    assert (function(found)(1, 2), function(found, "sub")(1, 2), function(found)(1, 2)) == ("1", "2", "3")


@pytest.mark.parametrize("reloads", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_many_reloads_leave_one_version_alive(tmp_path: Path, reloads: int) -> None:
    root = made(tmp_path, {"sums.py": TOOL.format("from own_part import Word", "Word().text")})
    alive: list[weakref.ref[object]] = []
    for number in range(reloads):
        put(root, "own_part.py", f"class Word:\n    text = '{number}'\n")
        add = function(read(root, NOW)) if number % 20 == 0 else loaded(root)
        assert add(1, 2) == str(number)
        alive += [weakref.ref(add), weakref.ref(add.__globals__["Word"])]
    del add
    gc.collect()
    assert [each for each in alive if each() is not None] == []
    left = [name for name in [*sys.modules] if "own_part" in name or "sums" in name]  # others import meanwhile
    assert (left, own(root)) == ([], [])


def test_a_module_of_whoever_runs_us_from_the_projects_folder_stays_loaded(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/of_the_runner.py").write_text("LOADED = True\n")
    sys.path.insert(0, str(tmp_path / "tests"))
    try:
        runner = importlib.import_module("of_the_runner")
    finally:
        sys.path.remove(str(tmp_path / "tests"))
    try:
        with Loading(tmp_path).first():
            pass
        assert sys.modules.get("of_the_runner") is runner
    finally:
        sys.modules.pop("of_the_runner", None)
