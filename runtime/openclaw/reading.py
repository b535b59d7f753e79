"""A project as it was on disk at one moment: its manifests, what they mean, and digests of all it was made of.

Reads and compiles; applies nothing. Its law: a digest is of the bytes that were there before they were used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw import adapters
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.folder import Folder
from openclaw.messages import ToolSpec
from openclaw.signature import ImportProblem

_MOST_WATCHED = 1000  # folders below agents/: a link may lead anywhere


@dataclass(frozen=True, slots=True)
class Reading:
    """The project as it was on disk at one moment, and what it means. `code` are the files of the modules that were
    asked for, with their digests before they were loaded; None for one that is not there."""

    folder: Folder
    compiled: Compiled
    code: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def contents(self) -> Mapping[str, str]:
        return contents_of(self.folder, self.code)


def contents_of(folder: Folder, code: Mapping[str, str | None]) -> Mapping[str, str]:
    """A digest for every file that was read, and what could not be."""
    problems = {f"{problem.file} (problem)": problem.message for problem in folder.problems}
    return {**folder.sources, **problems, **{path: digest for path, digest in code.items() if digest is not None}}


def read(
    root: Path,
    now: datetime,
    imports_from: Path | None = None,
    *,
    env_from: Path | None = None,
    folder: Folder | None = None,
) -> Reading:
    """`imports_from`: where Python tools are, if not in `root`; `env_from`: where .env is, if not there either.
    `folder`: what was read of `root` just now, which is then not read again."""
    home, code = imports_from or root, dict[str, str | None]()
    folder, load = folder.again() if folder else Folder.read(root), adapters.importer(home)
    place = env_from or home
    if place != root and (own := Folder(str(place), {}).read_file(".env")) is not None:
        folder = replace(folder, files={**folder.files, ".env": own})  # is never kept, for it holds secrets

    def importer(reference: str) -> Callable[..., Any] | ImportProblem:
        for path in module_files(home, reference.partition(":")[0]):
            code.setdefault(str(path), digest(path))
        return load(reference)

    compiled = compile(folder, environment=os.environ, importer=importer, today=now)
    return Reading(folder, compiled, code)


def below(folder: Path) -> list[Path]:
    """A folder and all below it, each once: links are followed, as when manifests are read, and may go in a circle."""
    found: dict[tuple[int, int], Path] = {}
    for path, names, _ in os.walk(folder, followlinks=True):
        try:
            state = Path(path).stat()
        except OSError:
            continue  # gone meanwhile: the next look will tell
        here = state.st_dev, state.st_ino
        if here in found or len(found) >= _MOST_WATCHED:
            names.clear()
        else:
            found[here] = Path(path)
    return list(found.values())


# ── the code of Python tools ─────────────────────────────────────────────────────────────────────


def module_of(spec: ToolSpec) -> str:
    return str(spec.options.get("reference", "")).partition(":")[0]


def module_files(root: Path, module: str) -> set[Path]:
    """Where one of the project's own modules is, or would be; in a package, its neighbours too."""
    path = root.joinpath(*module.split("."))
    found = {place for place in (path.with_suffix(".py"), path / "__init__.py") if place.is_file()}
    neighbours = {each for place in found if place.parent != root for each in place.parent.glob("*.py")}
    return found | neighbours or {path.with_suffix(".py")}


def digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
