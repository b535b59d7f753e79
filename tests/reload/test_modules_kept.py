"""Modules that no edit touched are not imported once more: what they hold stays, and what they began is not begun
again. One byte of any file that takes part, or one that comes to, and all of them begin anew."""

from __future__ import annotations

import asyncio
import py_compile
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.house import TOOLS, lived, project
from openclaw.app import App
from openclaw.manifest.snapshot import Snapshot
from openclaw.reading import Loaded, Reading, look, read

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOBODY = "http://127.0.0.1:9"  # a model that is never asked
COUNTER = '''\
import openclaw
{0}
count = 0

@openclaw.tool
def add(a: int, b: int = 0) -> str:
    """Counts."""
    global count
    count += 1
    return f"{{count}} {{own_part.word}}"
'''
PART = "word = 'first'\n"
BOTH = TOOLS.replace("policies:", '  other: {python: "own_other:add"}\npolicies:')
OTHER = COUNTER.format("import own_part")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"tools.yaml": TOOLS, "sums.py": COUNTER.format("import own_part"), "own_part.py": PART}
    return project(tmp_path / "project", NOBODY, files=files)


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def snapshot(found: Reading) -> Snapshot:
    assert found.compiled.snapshot is not None, found.compiled.diagnostics
    return found.compiled.snapshot


def after(before: Reading, root: Path | None = None) -> Reading:
    """What is on disk now, read while that runs."""
    return read(root or Path(before.folder.root), NOW, loaded=Loaded(before.folder, snapshot(before)))


def function(found: Reading | App, name: str = "add") -> Callable[..., str]:
    one = snapshot(found) if isinstance(found, Reading) else found.supervisor.current.snapshot
    made: Callable[..., str] = one.tools[name].options["function"]
    return made


async def reloaded(app: App) -> str:
    """What became of the edit; the watch may have been there before."""
    return (await app.reload.attempt("request")).outcome


# ── while a runtime runs ─────────────────────────────────────────────────────────────────────────


def run(root: Path, state: Path, scene: Callable[[App], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with lived(root, state) as (app, _):
            await scene(app)

    asyncio.run(whole())


def test_a_module_keeps_what_it_holds_over_edits_of_souls_and_loses_it_by_an_edit_of_its_code(
    root: Path, tmp_path: Path
) -> None:
    async def scene(app: App) -> None:
        for count in range(1, 4):
            put(root, "agents/main.md", f"You are soul {count}.\n")
            await reloaded(app)
            assert app.supervisor.current.snapshot.agents["main"].soul == f"You are soul {count}."
            assert function(app)(1) == f"{count} first"
        put(root, "own_part.py", "word = 'second'\n")
        await reloaded(app)
        assert [function(app)(1), function(app)(1)] == ["1 second", "2 second"]
        put(root, "sums.py", COUNTER.format("import own_part\n"))
        await reloaded(app)
        assert function(app)(1) == "1 second"

    run(root, tmp_path / "state", scene)


def test_what_a_module_begins_at_its_import_is_begun_once_for_thirty_edits(root: Path, tmp_path: Path) -> None:
    """A port that is bound, which a second import could not have, and a thread, of which there would be thirty."""
    begins = (
        "import own_part, socket, threading\n"
        "listening = socket.create_server(('127.0.0.1', 0), reuse_port=False)\n"
        "own_part.word = f'at {listening.getsockname()[1]}'\n"
        "held = sys.__dict__.setdefault('own_ports', [])\n"
        "held.append(listening)\n"
        "assert len(held) == 1, 'the port is taken'\n"
        "gate = threading.Event()\n"
        "threading.Thread(target=gate.wait, name='own-thread', daemon=True).start()\n"
    )
    put(root, "sums.py", COUNTER.format(f"import sys\n{begins}"))

    async def scene(app: App) -> None:
        first = function(app)
        for number in range(30):
            put(root, "agents/main.md", f"You are soul {number}.\n")
            assert await reloaded(app) in ("applied", "unchanged")
        assert app.supervisor.current.snapshot.agents["main"].soul == "You are soul 29."
        assert function(app) is first
        assert [each.name for each in threading.enumerate()].count("own-thread") == 1
        first.__globals__["gate"].set()

    try:
        run(root, tmp_path / "state", scene)
    finally:
        for listening in sys.__dict__.pop("own_ports", []):
            listening.close()


def test_an_edit_that_is_refused_for_its_code_leaves_what_runs_and_its_undoing_goes_on_with_it(
    root: Path, tmp_path: Path
) -> None:
    async def scene(app: App) -> None:
        assert function(app)(1) == "1 first"
        (root / "own_part.py").unlink()
        assert await reloaded(app) == "refused" and function(app)(1) == "2 first"
        put(root, "own_part.py", "word = 1 / 0\n")
        assert await reloaded(app) == "refused" and function(app)(1) == "3 first"
        put(root, "own_part.py", PART)
        put(root, "agents/main.md", "You are another.\n")
        await reloaded(app)
        assert app.supervisor.current.snapshot.agents["main"].soul == "You are another."
        assert function(app)(1) == "4 first"

    run(root, tmp_path / "state", scene)


def test_a_start_with_what_was_applied_last_takes_up_the_project_with_modules_of_its_own(
    root: Path, tmp_path: Path
) -> None:
    """The kept code is elsewhere, though every byte of it is the same."""

    async def nothing(app: App) -> None:
        pass

    async def scene(app: App) -> None:
        assert app.reload.last_good and function(app)(1) == "1 first"
        kept = function(app)
        put(root, "tools.yaml", f"{TOOLS}# mended\n")
        await reloaded(app)
        assert not app.reload.last_good and function(app) is not kept and function(app)(1) == "1 first"
        put(root, "agents/main.md", "You are another.\n")
        await reloaded(app)
        assert function(app)(1) == "2 first"

    run(root, tmp_path / "state", nothing)
    put(root, "tools.yaml", "tools: [\n")
    run(root, tmp_path / "state", scene)


# ── what counts as another ───────────────────────────────────────────────────────────────────────


def test_what_manifests_say_of_a_kept_function_is_looked_at_anew(root: Path) -> None:
    first = read(root, NOW)
    put(root, "tools.yaml", TOOLS.replace('"sums:add"', '"sums:add", with: {a: 7}'))
    second = after(first)
    assert function(second) is function(first)
    assert [list(snapshot(each).tools["add"].input_schema["properties"]) for each in (first, second)] == [
        ["a", "b"],
        ["b"],
    ]
    put(root, "tools.yaml", TOOLS.replace('"sums:add"', '"sums:add", with: {c: 7}'))
    assert "`c`" in str(after(second).compiled.diagnostics)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own_new.py", ""),
        ("own_part/__init__.py", "word = 'a package'\n"),
        ("datetime.py", ""),
        ("zoo/__init__.py", ""),
        ("own_part.so", "half a file"),
    ],
)
def test_a_file_that_might_stand_in_for_another_has_everything_imported_anew(root: Path, name: str, text: str) -> None:
    first = read(root, NOW)
    put(root, name, text)
    found = after(first)
    if found.compiled.snapshot is None:
        assert name.endswith(".so") and "own_part" in str(found.compiled.diagnostics)
    else:
        assert function(found) is not function(first)
        assert function(found)(1) == ("1 a package" if "package" in text else "1 first")


ODD = {
    "in another way": (
        "import os, sys\nfrom importlib.util import spec_from_file_location\nclass Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n        if name == 'own_dsl':\n"
        "            return spec_from_file_location(name, os.path.join(os.path.dirname(__file__), 'own_dsl.py'))\n"
        "sys.meta_path.append(Finder())\nimport own_dsl as own_part",
        "own_dsl.py",
    ),
    "as a text": (
        "import pathlib\nclass own_part: pass\nexec (pathlib.Path(__file__).with_name('rules.inc').read_text())\n"
        "own_part.word = word",
        "rules.inc",
    ),
    "from a folder of its own": (
        "import os\nfrom sys import path as places\nplaces.insert(0, os.path.join(os.path.dirname(__file__), '.lib'))\n"
        "import own_hidden as own_part",
        ".lib/own_hidden.py",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_comes_in_no_usual_way_is_never_kept(root: Path, name: str) -> None:
    code, file = ODD[name]
    put(root, file, "word = 'first'\n")
    put(root, "sums.py", COUNTER.format(code))
    first = read(root, NOW)
    put(root, file, "word = 'second'\n")
    assert (function(first)(1), function(after(first))(1)) == ("1 first", "1 second")


@pytest.mark.parametrize("file", ["pack/own_low.pyc", "pack/own_low/__init__.pyc"])
def test_a_compiled_file_that_comes_before_the_text_counts_also_in_a_package(root: Path, file: str) -> None:
    put(root, "pack/__init__.py", "")
    put(root, "pack/own_low.py", "word = 'first'\n")
    put(root, "sums.py", COUNTER.format("from pack import own_low as own_part"))
    first = read(root, NOW)
    assert function(after(first)) is function(first)
    put(root, "second.py", "word = 'second'\n")
    (root / file).parent.mkdir(exist_ok=True)
    py_compile.compile(str(root / "second.py"), str(root / file), doraise=True)
    (root / "second.py").unlink()
    anew = after(first)
    assert function(anew) is not function(first)
    assert function(anew)(1) == ("1 second" if "__init__" in file else "1 first")
    assert look(root, first.folder.more).more.get(file) is not None  # an edit that is seen by itself


def test_a_module_that_was_missed_and_comes_is_imported(root: Path) -> None:
    missed = "try:\n    import own_late as own_part\nexcept ImportError:\n    import own_part"
    put(root, "sums.py", COUNTER.format(missed))
    first = read(root, NOW)
    assert (function(first)(1), function(after(first))(1)) == ("1 first", "2 first")
    put(root, "own_late.py", "word = 'late'\n")
    assert function(after(first))(1) == "1 late"


def test_a_module_that_is_imported_by_a_name_that_stands_nowhere_counts_wherever_it_is(root: Path) -> None:
    put(root, "deep/down/own_far.py", "word = 'far'\n")
    far = "import importlib\nown_part = importlib.import_module('.'.join(['deep', 'down', 'own_' + 'far']))"
    put(root, "sums.py", COUNTER.format(far))
    first = read(root, NOW)
    assert (function(first)(1), function(after(first))(1)) == ("1 far", "1 far")  # which is never kept
    put(root, "deep/down/own_far.py", "word = 'farther'\n")
    assert function(after(first))(1) == "1 farther"


def test_modules_are_shared_by_all_tools_or_by_none(root: Path) -> None:
    """A tool that is added or taken away is another import: what it shares with the others must be one for all."""
    put(root, "own_other.py", OTHER)
    first = read(root, NOW)
    put(root, "tools.yaml", BOTH)
    both = after(first)
    shared = [function(both, name).__globals__["own_part"] for name in ("add", "other")]
    assert shared[0] is shared[1] is not function(first).__globals__["own_part"]
    assert [function(after(both), name) is function(both, name) for name in ("add", "other")] == [True, True]
    put(root, "tools.yaml", TOOLS)
    assert function(after(both)) is not function(both)


def test_the_same_bytes_at_another_place_are_another_import(root: Path, tmp_path: Path) -> None:
    first = read(root, NOW)
    release = project(tmp_path / "release", NOBODY, files={"sums.py": (root / "sums.py").read_text()})
    put(release, "own_part.py", PART)
    found = after(first, release)
    assert Path(str(function(found).__globals__["__file__"])) == release / "sums.py"


def test_code_that_becomes_another_while_it_is_compared_is_read_once_more(root: Path) -> None:
    first = read(root, NOW)
    looked = look(root, first.folder.more)
    put(root, "own_part.py", "word = 'late'\n")
    found = read(root, NOW, folder=looked, loaded=Loaded(first.folder, snapshot(first)))
    assert function(found)(1) == "1 late"
