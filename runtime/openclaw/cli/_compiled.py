"""A project read for a question about it: compiled without a look at the environment, with its manifests.

Law: what is told must not depend on who asks, so no variable has a value here; what is broken is told and ends the
command.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from openclaw.cli._listing import aside
from openclaw.errors import ProjectInvalid, UsageError
from openclaw.manifest.build import Compiled, compile_open
from openclaw.manifest.folder import Folder
from openclaw.manifest.origins import Stated, stated
from openclaw.manifest.project import Project
from openclaw.manifest.reports import brief
from openclaw.manifest.snapshot import Model, Snapshot


def opened(project: Path, *, imports: bool = True) -> tuple[Stated, Project]:
    """Raises UsageError where there is no such folder, ProjectInvalid where it has errors, which are then told."""
    if not project.is_dir():
        raise UsageError(f"{project} is not a folder; name the project's folder with -C")
    compiled, manifests = compiled_at(project, imports=imports)
    if compiled.snapshot is None:
        errors = [each for each in compiled.diagnostics if each.severity == "error"]
        print(brief(errors), file=sys.stderr)
        raise ProjectInvalid(f"{project} has errors; `openclaw validate` shows them in full", errors)
    return said(compiled.snapshot, manifests, project), manifests


def compiled_at(
    project: Path, *, imports: bool, imports_from: Path | None = None, folder: Folder | None = None
) -> tuple[Compiled, Project]:
    """`folder`: what was read of it already."""
    from openclaw.adapters import importer

    code = importer(imports_from or project) if imports else None
    read = folder.again() if folder else Folder.read(project)
    with aside():
        return compile_open(read, environment=None, importer=code, today=datetime.now(UTC))


def said(snapshot: Snapshot, manifests: Project, root: Path) -> Stated:
    """With the calls that the project's scenarios judge, and scripts by their text, wherever the project lies."""
    from openclaw.scenarios.document import Scenario, read

    models = {name: _by_text(model, snapshot) for name, model in snapshot.models.items()}
    found = stated(replace(snapshot, models=models), manifests)
    calls, files = list(found.calls), Folder(str(root), {})
    for path in sorted((root / "tests" / "scenarios").glob("*.yaml")):
        content = files.read_file(str(path))  # a regular file alone, and no more of it than a manifest may have
        scenario = read(path.name, content) if content is not None else ()
        decisions = scenario.decisions if isinstance(scenario, Scenario) else ()
        calls += [(case.tool, call) for case in decisions for call in case.calls]
    return replace(found, calls=tuple(calls))


def _by_text(model: Model, snapshot: Snapshot) -> Model:
    if "script" not in model.options:
        return model
    path = PurePosixPath(model.options["script"])
    name = path.relative_to(snapshot.root) if path.is_relative_to(snapshot.root) else path
    digests = [digest[:8] for file, digest in snapshot.sources.items() if PurePosixPath(file) == name]
    return replace(model, options={**model.options, "script": " ".join([str(name), *(f"(text {d})" for d in digests)])})
