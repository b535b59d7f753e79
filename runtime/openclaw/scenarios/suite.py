"""The scenario files of a project: found, read and checked, all mistakes in one run.

Law: a file is read once, and what is judged is what was read. Files that look like scenarios and are not read are
told. Judges no case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw.errors import UsageError
from openclaw.manifest.diagnostic import Diagnostic, Span, arrange, error
from openclaw.manifest.folder import Folder
from openclaw.manifest.project import Project
from openclaw.scenarios import document, names
from openclaw.scenarios.document import Scenario

FOLDER = "tests/scenarios"


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """`files` maps the name of each file, as diagnostics have it, to its bytes; `scenarios` are the sound ones."""

    files: Mapping[str, bytes]
    scenarios: tuple[Scenario, ...]
    diagnostics: tuple[Diagnostic, ...]

    def over(self, folder: Folder) -> Folder:
        """The project's files with these among them, for whoever shows their lines."""
        return replace(folder, files={**folder.files, **self.files})


def load(project: Project, files: Iterable[str]) -> Suite:
    """Names are relative to the project's folder, or absolute."""
    contents: dict[str, bytes] = {}
    scenarios: list[Scenario] = []
    said: list[Diagnostic] = []
    for file in dict.fromkeys(files):
        problem = _misnamed(file)
        content = None if problem else project.folder.read_file(file)
        if content is None:
            said.append(problem or error("file", Span(file), f"{file} cannot be read, or is not a regular file"))
            continue
        contents[file] = content
        read = document.read(file, content)
        told = {(each.line, each.column) for each in read.diagnostics}
        unknown = names.check(project, read.root) if read.root is not None else ()
        found = [*read.diagnostics, *(each for each in unknown if (each.line, each.column) not in told)]
        said += found
        if not found and read.scenario is not None:
            scenarios.append(read.scenario)
    return Suite(contents, tuple(scenarios), arrange(said))


def diagnostics(project: Project) -> Suite:
    """Of the project's own scenario files: what `openclaw validate` says of them; none where it has none."""
    return load(project, own(Path(project.folder.root)))


def own(root: Path) -> list[str]:
    """The project's own scenario files, by name."""
    folder = root / FOLDER
    return list(_inside(folder, FOLDER)) if folder.is_dir() else []


def chosen(root: Path, paths: Iterable[str]) -> list[str]:
    """The files that were named, and those of the folders that were; raises UsageError for what is not there."""
    found: list[str] = []
    for given in paths:
        path = next((path for path in (Path(given), root / given) if path.exists()), None)
        if path is None:
            raise UsageError(f"{given} is not there; name a scenario file, or a folder of them")
        name = _name(path, root)
        found += _inside(path, name) if path.is_dir() else [name]
    return found


def _name(path: Path, root: Path) -> str:
    """Relative to the project where it lies in it."""
    whole = Path(path.absolute().parent.resolve(), path.name) if path.name not in ("", "..") else path.resolve()
    real = root.resolve()
    return whole.relative_to(real).as_posix() if whole.is_relative_to(real) else str(whole)


def _inside(folder: Path, name: str) -> Iterator[str]:
    """Only files right in the folder: those further down belong to somebody else."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith((".", "#", "~")):
            yield path.name if name == "." else f"{name}/{path.name}"


def _misnamed(file: str) -> Diagnostic | None:
    if file.endswith(".yaml"):
        return None
    stem = Path(file).name.rpartition(".")[0] or Path(file).name
    return error(
        "file-name", Span(file), f"{file} is not read; scenario files end in .yaml", f"rename it to {stem}.yaml"
    )
