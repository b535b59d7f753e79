"""Compiles a project: manifests in, a Snapshot or diagnostics out. All mistakes in one run.

Pure but for the importer it is handed. `validate` and the runtime call this same function, so they
accept the same folders. Without errors there is a snapshot, whole; with one there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from openclaw.manifest import modules, policies
from openclaw.manifest.assemble import snapshot
from openclaw.manifest.diagnostic import Diagnostic, arrange, bounded
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.gather import gather
from openclaw.manifest.nodes import MapNode, plain
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules import RULES
from openclaw.manifest.snapshot import Snapshot
from openclaw.permissions.policy import Policy
from openclaw.permissions.template import compile_template
from openclaw.signature import Importer, ImportProblem, derive


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """`forbids` finds out what manifests without a snapshot forbid all the same, which takes a while."""

    snapshot: Snapshot | None
    diagnostics: tuple[Diagnostic, ...]
    forbids: Callable[[], Mapping[str, Policy]] = field(default=dict, repr=False)  # holds the manifests, with secrets

    @property
    def prohibitions(self) -> Mapping[str, Policy]:
        """By the name of a policy; only where there is no snapshot."""
        return self.forbids()


def compile(
    folder: Folder, *, environment: Mapping[str, str] | None, importer: Importer | None, today: datetime
) -> Compiled:
    """`environment` None: nobody looks, unset variables are no mistake; `importer` None: no Python tool is imported.

    What was not looked at is missing from the snapshot, which is then fit for reading, not for running.
    `today` is aware. Warnings come along with a snapshot.
    """
    return compile_open(folder, environment=environment, importer=importer, today=today)[0]


def compile_open(
    folder: Folder, *, environment: Mapping[str, str] | None, importer: Importer | None, today: datetime
) -> tuple[Compiled, Project]:
    """The same, with what it was made of: the manifests, for whoever tells where a value comes from."""
    gathered = gather(folder, environment, importer, today)
    project = gathered.project
    _prepare(project)
    alone = gathered.diagnostics
    across = [said for rule in RULES for said in rule(project)]
    told = {(said.file, said.line, said.column) for said in alone if said.severity == "error"}
    new = [said for said in across if (said.file, said.line, said.column) not in told]
    first = bounded(arrange(_once(alone, new)), gathered.cut)
    project.secrets = gathered.secrets
    diagnostics = _masked(project, first) if first else ()
    if any(said.severity == "error" for said in diagnostics):
        return Compiled(None, diagnostics, partial(_forbidden, project, first)), project
    return Compiled(replace(snapshot(project), secrets=gathered.secrets), diagnostics), project


def _forbidden(project: Project, found: Iterable[Diagnostic]) -> Mapping[str, Policy]:
    from openclaw.manifest.remains import forbidden  # needed by a start on a broken project alone

    return forbidden(project, found)


def _masked(project: Project, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    from openclaw.manifest.hidden import masked  # takes time, and is needed only now

    texts = {file: (kind_of(file), source.text, project.roots.get(file)) for file, source in project.sources.items()}
    return arrange(masked(found, project.secrets, texts))


def _once(alone: Iterable[Diagnostic], across: Iterable[Diagnostic]) -> list[Diagnostic]:
    """One place, one mistake: of several errors at one token the first rule's is told, and each warning once,

    though several agents inherited what it speaks of.
    """
    found = list(alone)
    seen: set[tuple[str, int, int, str]] = set()
    for said in across:
        place = (said.file, said.line, said.column, said.code if said.severity == "warning" else "")
        if place not in seen:
            found.append(said)
            seen.add(place)
    return found


def _prepare(project: Project) -> None:
    """What several rules and the snapshot need, made once."""
    for tool in project.all("tool").values():
        _prepare_shell(project, tool)
    _prepare_python(project, [(tool, name) for tool in project.all("tool").values() if (name := _python(tool))])
    project.policies = policies.build(project)


def _prepare_shell(project: Project, tool: Definition) -> None:
    shell = tool.text("shell")
    if shell is not None and tool.text("python") is None:
        inputs: Any = plain(node) if isinstance(node := tool.get("input"), MapNode) else {}
        declared = {
            name: value
            for name, value in inputs.items()
            if isinstance(value, dict) and isinstance(value.get("type", ""), str)
        }
        project.templates[tool.name] = compile_template(
            shell.value.rstrip("\r\n"), declared
        )  # a block ends in a line break


def _python(tool: Definition) -> str:
    """The function that it names; "" where it is not one of those."""
    reference = tool.text("python")
    return reference.value if reference and tool.sound and tool.text("shell") is None else ""


def _prepare_python(project: Project, named: Sequence[tuple[Definition, str]]) -> None:
    """All that may be imported is read before anything is: whoever imports can tell whether it is as it was."""
    references = dict.fromkeys(reference for _, reference in named)
    for reference in references:
        modules.note(project.folder, reference.partition(":")[0])  # when one of them changes, so has the project
    if project.importer is None:
        return
    found = project.importer(references)
    for tool, reference in named:
        function = project.functions[tool.name] = found[reference]
        if not isinstance(function, ImportProblem):
            fixed = node.entries if isinstance(node := tool.get("with"), MapNode) else ()
            project.derived[tool.name] = derive(function, fixed=tuple(fixed), declared="input" in tool.node.entries)
