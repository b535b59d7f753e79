"""Where a project's files of code are: found by walking its folders, of which it may hold any number.

The law: nearer ones are found first, and a folder that did not change since it was listed is not listed again, so that
a look at many files costs no more than one at their folders. Reads no file.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

MOST_WALKED: Final = 10_000  # folders
_INSTALLED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_ENVIRONMENT: Final = "pyvenv.cfg"
_YOUNG: Final = 2 * 10**9  # ns in which a folder may change again without its times showing it
_Stamp: TypeAlias = tuple[int, ...]
_Names: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]  # folders below, and files that count
_known: dict[tuple[str, tuple[str, ...]], tuple[_Stamp, _Names]] = {}  # of the process, by folder


def modules(root: str, suffixes: tuple[str, ...], *, deep: bool) -> Iterator[str]:
    """The files of code at the top and the packages there, or all. Not what is hidden, or installed there."""
    todo, walked = deque([""]), 0
    while todo and walked < MOST_WALKED:
        here = todo.popleft()
        walked += 1
        folders, files = _names(f"{root}/{here}", suffixes)
        if here and _ENVIRONMENT in files:
            continue
        yield from (here + name for name in files if _counts(name, here, deep))
        if deep or not here:
            todo.extend(f"{here}{name}/" for name in folders)


def _counts(name: str, here: str, deep: bool) -> bool:
    return name != _ENVIRONMENT and (deep or not here or name.startswith("__init__."))


def _names(folder: str, suffixes: tuple[str, ...]) -> _Names:
    try:
        state = os.stat(folder)  # noqa: PTH116 - of every folder at every look
        stamp = state.st_dev, state.st_ino, state.st_mtime_ns, state.st_ctime_ns
        known = _known.get((folder, suffixes))
        if known is not None and known[0] == stamp:
            return known[1]
        now = time.time_ns()
        found = _listed(folder, suffixes)
    except OSError:
        return (), ()
    if stamp[-1] < now - _YOUNG:
        if len(_known) >= 2 * MOST_WALKED:
            _known.clear()
        _known[folder, suffixes] = stamp, found
    return found


def _listed(folder: str, suffixes: tuple[str, ...]) -> _Names:
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                if not entry.name.startswith(".") and entry.name not in _INSTALLED and not entry.is_symlink():
                    folders.append(entry.name)
            elif entry.name.endswith(suffixes) or entry.name == _ENVIRONMENT:
                files.append(entry.name)
    return tuple(sorted(folders)), tuple(sorted(files))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
