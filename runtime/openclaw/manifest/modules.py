"""The files of a project that its Python tools are made of: their modules, and whatever those import of the project.

Reads and imports nothing that is not in the project's folder, and runs none of it. Its law: what may be imported
counts. The project's folder is searched first, so every module at its top may stand in for one that is installed; and
where code imports what it does not write out, every module in the project counts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.machinery import all_suffixes
from typing import Final

from openclaw.manifest.folder import CODE, MOST_CODE, Folder

_MOST: Final = 500  # files that imports are followed in
_UNWRITTEN: Final = re.compile(
    rb"importlib|__import__|runpy|pydoc|\b(?:exec|eval)\s*\(|\bsys\s*\.\s*path|\bfrom\s+sys\s+import|addsitedir|"
    rb"meta_path|path_hooks|pkgutil|zipimport|__path__|__builtins__"
)


def is_module(file: str) -> bool:
    return file.endswith(CODE)


def note(folder: Folder, module: str) -> None:
    """Reads all that a module may come to import, so that they are among the folder's sources."""
    _follow(folder, [module, *_all(folder, deep=False)])
    _all(folder, deep=_is_any_unwritten(folder, list(folder.more)))  # also where following them came to its bound


def again(folder: Folder, before: Iterable[str]) -> None:
    """Reads what was read before, and modules that have come since and would be noted now."""
    names = list(before)
    for name in names:
        folder.read_file(name)
    if any(is_module(name) for name in names):
        _all(folder, deep=_is_any_unwritten(folder, names))


def made_of(folder: Folder, module: str) -> frozenset[str]:
    """The files of the folder that this one is made of, as far as is written in them."""
    again = folder.again()
    _follow(again, [module])
    return frozenset(name for name, content in again.more.items() if content is not None)


def asked(folder: Folder, module: str) -> None:
    """Reads whatever an import of this name, in a package of the project, may find, and now or later prefer."""
    stem = module.replace(".", "/")
    for suffix in all_suffixes():
        folder.read_file(f"{stem}{suffix}")
        folder.read_file(f"{stem}/__init__{suffix}")


def same(before: Folder, now: Folder) -> bool:
    """Whether importing from `now`, of which all modules were noted, finds what it found `before`: the same bytes in
    the same places, and nothing where nothing was. Of a file that was not read to its end nobody knows, and neither of
    what was not imported from where its name says, or by what is not written out."""
    if before.odd or _is_any_unwritten(before, list(before.more)):
        return False
    noted, known = ({name: content for name, content in each.more.items() if is_module(name)} for each in (now, before))
    return (
        before.root == now.root
        and all(known.get(name) == content and len(content or b"") < MOST_CODE for name, content in noted.items())
        and all(now.read_file(name) == content for name, content in known.items())
    )


def _follow(folder: Folder, modules: list[str]) -> None:
    todo, seen = modules, set[str]()
    while todo and len(seen) < _MOST:
        name = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        for file, content in _files(folder, name):
            if _is_unwritten(content):
                todo += _all(folder, deep=True)
            todo += [each for each in _imports(content, _package(file)) if each not in seen]


def _is_any_unwritten(folder: Folder, names: Iterable[str]) -> bool:
    """Asked by a reading and by a look: if they asked it of different files, a look would differ for ever. What is
    compiled holds no text, whatever words are in it."""
    found = (folder.read_file(name) for name in names if name.endswith(".py"))
    return any(content is not None and _is_unwritten(content) for content in found)


def _is_unwritten(content: bytes) -> bool:
    return _UNWRITTEN.search(content) is not None


def _all(folder: Folder, *, deep: bool) -> list[str]:
    """Compiled ones hold no text to follow, but come before those of the same name that do."""
    files = folder.modules(CODE, deep=deep)
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


def _package(file: str) -> tuple[str, ...]:
    return tuple(file.split("/")[:-1])


@lru_cache(maxsize=_MOST)
def _imports(content: bytes, package: tuple[str, ...]) -> tuple[str, ...]:
    """Names of modules, and of what is taken from them, which may be modules as well."""
    try:
        tree = ast.parse(content.decode("utf-8", "replace"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()  # importing it will tell
    return tuple(dict.fromkeys(_imported(tree, package)))


def _imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            before = [module] if module else []
            yield from before
            yield from (".".join([*before, alias.name]) for alias in node.names if alias.name != "*")
