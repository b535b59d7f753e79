"""The files of a project that its Python tools are made of: their modules, and whatever those import of the project.

Reads and imports nothing that is not in the project's folder, and runs none of it. Its law: what may be imported
counts. The project's folder is searched first, so every module at its top may stand in for one that is installed; and
where code imports what it does not write out, every module in the project counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from openclaw.manifest.folder import Folder

SUFFIXES: Final = (".py", ".so", ".pyd", ".pyc")
_MOST: Final = 500  # files that imports are followed in
_UNWRITTEN: Final = (
    "importlib", "__import__", "runpy", "exec(", "eval(", "sys.path", "pkgutil", "zipimport", "__path__",
    "__builtins__",
)  # fmt: skip


def is_module(file: str) -> bool:
    return file.endswith(SUFFIXES)


def note(folder: Folder, module: str) -> None:
    """Reads all of them, so that they are among the folder's sources."""
    todo, seen = [module, *_all(folder, deep=False)], set[str]()
    while todo and len(seen) < _MOST:
        name = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        for file, content in _files(folder, name):
            text = content.decode("utf-8", "replace")
            if any(word in text for word in _UNWRITTEN):
                todo += _all(folder, deep=True)
            todo += [each for each in _imports(text, _package(file)) if each not in seen]


def _all(folder: Folder, *, deep: bool) -> list[str]:
    """Compiled ones hold no text to follow, but come before those of the same name that do."""
    files = folder.modules(SUFFIXES, deep=deep)
    for file in files:
        folder.read_file(file)
    return [_name(file) for file in files]


def _name(file: str) -> str:
    """`a/b/__init__.py` is `a.b`; a compiled module is called by what stands before the first dot."""
    *packages, last = file.split("/")
    stem = last.partition(".")[0]
    return ".".join([*packages, *([] if stem == "__init__" and packages else [stem])])


def _files(folder: Folder, module: str) -> Iterator[tuple[str, bytes]]:
    """Of a module and the packages it is in."""
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        stem = "/".join(parts[:length])
        for file in (f"{stem}.py", f"{stem}/__init__.py"):
            content = folder.read_file(file)
            if content is not None:
                yield file, content


def _package(file: str) -> list[str]:
    return file.split("/")[:-1]


def _imports(text: str, package: list[str]) -> Iterator[str]:
    """Names of modules, and of what is taken from them, which may be modules as well."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # importing it will tell
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            before = [module] if module else []
            yield from before
            yield from (".".join([*before, alias.name]) for alias in node.names if alias.name != "*")
