"""Finds code by name: the kinds of our own folders, and the Python tools of a project. The only importing by name.

A kind is a file: `channels/telegram.py` is the kind `telegram`, imported when a manifest chooses it and never
before. A project's own modules are loaded afresh by every importer and never left in `sys.modules`; one that does not
end its import is left to itself, in the thread that it was begun in.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import openclaw
from openclaw.errors import UsageError
from openclaw.marker import MARK

if TYPE_CHECKING:
    from openclaw.loading import Loading, Read, Seen
    from openclaw.signature import Found, Importer, ImportProblem

_CLASSES = {
    "channels": "Channel",
    "providers": "Provider",
    "tools": "Tools",
    "stores": "Store",
    "doorbells": "Doorbell",
}
_importing = threading.Lock()  # sys.path and sys.modules are the process's
IMPORTING = 30.0  # seconds that a module of a project may take to be imported, with all that it imports


def kinds(folder: str) -> tuple[str, ...]:
    """The kinds of one folder: its files, less those that begin with an underscore."""
    files = Path(openclaw.__file__).parent.joinpath(folder).glob("*.py")
    return tuple(sorted(path.stem for path in files if not path.name.startswith("_")))


def kind(folder: str, name: str) -> Any:
    """The class of one kind: `kind("channels", "repl")` is `openclaw.channels.repl.Channel`."""
    if name not in kinds(folder):
        raise UsageError(f"this build has no {folder[:-1]} kind `{name}`; it has: {', '.join(kinds(folder))}")
    return getattr(importlib.import_module(f"openclaw.{folder}.{name}"), _CLASSES[folder])


def formats() -> tuple[str, ...]:
    """The formats in which diagnostics are told: the files of openclaw/manifest/reports."""
    return kinds("manifest/reports")


def report(format: str) -> Any:
    """The module of one format, imported now."""
    return importlib.import_module(f"openclaw.manifest.reports.{format}")


def importer(
    root: Path, read: Read | None = None, only: bool = False, within: float = IMPORTING, seen: Seen | None = None
) -> Importer:
    """Loads each `module:function` from the project folder or from what is installed; problems are values. Each
    importer loads a module once. `read`: what is run of the project's files, if not what is on disk; `only`: and
    nothing else of them; `seen` is told what took part. After a module that did not end `within` seconds none is
    loaded any more."""
    from openclaw.loading import Loading

    loading = Loading(root, read, only, seen)
    endless: list[ImportProblem] = []

    def load(reference: str) -> Found:
        if endless:
            return endless[0]
        module_name, _, name = reference.partition(":")
        work = _Import(module_name, name, loading)
        with _importing:
            with loading.first():
                work.start()
                work.join(within)
                found = work.found
                if found is None:
                    endless.append(_endless(module_name, within, loading, work))
            if found is None:
                loading.let_go()
        return endless[0] if found is None else found

    return lambda references: {each: load(each) for each in references}


class _Import(threading.Thread):
    """An import in a thread of its own, which keeps no process from ending: nobody can end an import."""

    def __init__(self, module: str, name: str, loading: Loading) -> None:
        super().__init__(daemon=True, name=f"openclaw-import {module}")
        self.found: Found | None = None
        self._of = module, name, loading

    def run(self) -> None:
        module, name, loading = self._of
        try:
            self.found = _marked(importlib.import_module(module), module, name)
        except BaseException as error:  # whatever a project's module raises, even SystemExit, is its mistake
            self.found = _import_problem(module, error, loading)


def _endless(module_name: str, within: float, loading: Loading, work: threading.Thread) -> ImportProblem:
    from openclaw.signature import ImportProblem

    frame = sys._current_frames().get(work.ident or 0)
    file, line = loading.place(frame) or (None, None)
    return ImportProblem("endless", f"module `{module_name}` did not end its import in {within:g} s", (), file, line)


def _marked(module: ModuleType, module_name: str, name: str) -> Found:
    from openclaw.signature import ImportProblem

    found = getattr(module, name, None)
    if found is None:
        public = tuple(n for n, value in vars(module).items() if callable(value) and not n.startswith("_"))
        return ImportProblem("no_attribute", f"module `{module_name}` has no `{name}`", candidates=public)
    if not callable(found):
        return ImportProblem("not_callable", f"`{name}` in module `{module_name}` is not a function")
    if not getattr(found, MARK, False):
        return ImportProblem("not_marked", f"`{name}` is not marked as a tool; put @openclaw.tool above it")
    function: Callable[..., Any] = found
    return function


def _import_problem(module_name: str, error: BaseException, loading: Loading) -> ImportProblem:
    from openclaw.signature import ImportProblem

    if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
        return ImportProblem("no_module", f"there is no module `{module_name}` in the project folder or installed")
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if loading.owns(frame.filename)]
    file, line = (own[-1].filename, own[-1].lineno) if own else (None, None)
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    message = f"module `{module_name}` cannot be imported: {type(error).__name__}: {error}"
    return ImportProblem("import_failed", message, file=file, line=line)


def commands() -> dict[str, Path]:
    """The commands of the command line by name: the files of openclaw/cli."""
    folder = Path(openclaw.__file__).with_name("cli")
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return {path.stem.replace("_", "-"): path for path in files}


def command(name: str) -> Any:
    """The module of one command, imported now; None where there is none."""
    path = commands().get(name)
    return importlib.import_module(f"openclaw.cli.{path.stem}") if path else None
