"""The scenario files of a project: found, read, and every mistake in their shape, sense and names told.

Law: a file is read once, and what is judged later is what was read. Files that look like scenarios and are not read
are told. Light, for `openclaw validate` does all of this too; makes no cases and judges none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw.errors import UsageError
from openclaw.manifest import document, schema
from openclaw.manifest.diagnostic import Diagnostic, Span, arrange, error
from openclaw.manifest.folder import Folder, no_text
from openclaw.manifest.nodes import MapNode, Node
from openclaw.manifest.project import Project
from openclaw.manifest.source import Source
from openclaw.scenarios import names, sense
from openclaw.words import printable, quote_line

KIND = "scenario"
FOLDER = "tests/scenarios"


@dataclass(frozen=True, slots=True, eq=False)
class Shaped:
    """One file by itself; `root` is there as far as it could be read."""

    source: Source
    root: MapNode | None
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """`contents` maps the name of each file, as diagnostics have it, to its bytes; `sound` has those that are whole."""

    contents: Mapping[str, bytes]
    sound: Mapping[str, Shaped]
    diagnostics: tuple[Diagnostic, ...]

    def over(self, folder: Folder) -> Folder:
        """The project's files with these among them, for whoever shows their lines."""
        return replace(folder, files={**folder.files, **self.contents})


def shaped(file: str, content: bytes) -> Shaped:
    """Never raises, whatever the bytes."""
    found = document.read(file, content)
    if found.root is None:
        return Shaped(found.source, None, found.diagnostics)
    checked = schema.check(KIND, found.root, found.source)
    said = [*found.diagnostics, *checked.diagnostics, *sense.check(checked.root, checked.faulty)]
    return Shaped(found.source, checked.root, arrange(said))


def check(project: Project, files: Iterable[str]) -> Checked:
    """Names are relative to the project's folder, or absolute."""
    contents: dict[str, bytes] = {}
    sound: dict[str, Shaped] = {}
    said: list[Diagnostic] = []
    texts: dict[str, tuple[str | None, str, Node | None]] = {}
    folder = replace(project.folder, more={})  # these are no files of a manifest, and each run reads them anew
    for file in dict.fromkeys(files):
        problem = _misnamed(file)
        content = None if problem else folder.read_file(file)
        if content is None:
            said.append(problem or error("file", Span(file), f"{file} cannot be read, or is not a regular file"))
            continue
        contents[file] = content
        found = shaped(file, content)
        texts[file] = (None, found.source.text, found.root)
        told = [*found.diagnostics, *_unknown(project, found)]
        said += told
        if not told:
            sound[file] = found
    if not said:
        return Checked(contents, sound, ())
    from openclaw.manifest.hidden import masked  # takes time, and is needed only now

    return Checked(contents, sound, arrange(masked(said, project.secrets, texts)))


def _unknown(project: Project, found: Shaped) -> Iterator[Diagnostic]:
    told = {(each.line, each.column) for each in found.diagnostics}
    for each in names.check(project, found.root) if found.root is not None else ():
        if (each.line, each.column) not in told:
            yield each


# ── finding ──────────────────────────────────────────────────────────────────────────────────────


def own(folder: Folder) -> list[str]:
    """The project's own scenario files, by name."""
    if not folder.on_disk:
        return sorted(file for file in folder.files if file.startswith(f"{FOLDER}/"))
    place = Path(folder.root, FOLDER)
    return list(_inside(place, FOLDER)) if place.is_dir() else []


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
    """Relative to the project where it lies in it; where the file itself is a link, its own name."""
    whole = path.resolve() if path.is_dir() else path.absolute().parent.resolve() / path.name
    real = root.resolve()
    return whole.relative_to(real).as_posix() if whole.is_relative_to(real) else str(whole)


def _inside(folder: Path, name: str) -> Iterator[str]:
    """Only files right in the folder: those further down belong to somebody else. Raises UsageError."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as problem:
        raise UsageError(f"{folder} cannot be read: {(problem.strerror or str(problem)).lower()}") from problem
    for path in entries:
        if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith((".", "#", "~")):
            yield path.name if name == "." else f"{name}/{path.name}"


def _misnamed(file: str) -> Diagnostic | None:
    if problem := no_text(file, printable(file)):
        return problem
    if file.endswith(".yaml"):
        return None
    stem = Path(file).stem or Path(file).name
    help = f"rename it to {quote_line(stem)}.yaml"
    return error("file-name", Span(file), f"{quote_line(file)} is not read; scenario files end in .yaml", help)
