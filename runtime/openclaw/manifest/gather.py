"""From files to a Project: every manifest read, filled in and checked alone; definitions by name.

An agent is its own keys over those of the `_defaults.yaml` files of its folders, nearest first; maps
merge, lists replace. Knows no rule that looks across files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from openclaw.manifest import environment
from openclaw.manifest.conform import Path
from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.manifest.folder import TOP, Folder, kind_of, meant_by
from openclaw.manifest.nodes import Entry, MapNode, Node, along
from openclaw.manifest.project import Definition, Project, definitions
from openclaw.manifest.remembered import REMEMBERED
from openclaw.signature import Importer

_SECTIONS = {
    "tools": {"tools": "tool", "policies": "policy"},
    "policies": {"policies": "policy"},
    "channels": {"channels": "channel", "people": "person", "rooms": "room"},
    "heartbeats": {"heartbeats": "heartbeat"},
    "models": {"models": "model"},
}
_MOST_IN_ALL = 2000  # mistakes of all files together, beyond which no further file is read
_INHERITED = ("tools", "policy")  # required of an agent, here or in its folder's defaults


@dataclass(slots=True, eq=False)
class Gathered:
    """All manifests as they were read, before the rules that look across them."""

    project: Project
    diagnostics: list[Diagnostic]
    secrets: frozenset[str]
    left: set[str] = field(default_factory=set)  # files that were not read
    cut: set[str] = field(default_factory=set)  # files with more mistakes than were looked for
    _faulty: dict[str, set[Path]] = field(default_factory=dict)  # file -> where, as far as a definition is deep


def gather(folder: Folder, real: Mapping[str, str] | None, importer: Importer | None, now: datetime) -> Gathered:
    variables = None if real is None else folder.environment(real)
    of_env = [] if real is None else [*environment.check(folder)]  # which is the environment's, and nobody looks there
    work = Gathered(Project(folder, variables, importer, now), [*folder.problems, *of_env], frozenset())
    _note_unreadable(work)
    files = {file: kind for file in sorted(folder.files) if (kind := kind_of(file))}
    for file in [file for file, kind in files.items() if kind == "defaults"]:
        _load(work, file, "defaults")
    for file, kind in files.items():
        if len(work.diagnostics) >= _MOST_IN_ALL:
            _leave(work, file, kind)
        elif kind == "agent":
            _load(work, file, kind, _lacking(work, file))
        elif kind != "defaults":
            _load(work, file, kind)
    _name_all(work, files)
    return work


def _lacking(work: Gathered, file: str) -> list[str]:
    """What an agent must say itself. Nothing, where defaults above it are broken: who knows what they would give."""
    if any(work._faulty.get(defaults) for defaults in _defaults(file)):
        return []
    inherited = _inherited(work.project, file).entries
    return [key for key in _INHERITED if key not in inherited]


def _note_unreadable(work: Gathered) -> None:
    """Of a file that is not read nobody knows which names it holds."""
    for problem in work.project.folder.problems:
        if problem.code == "file-name":
            meant = meant_by(problem.file)
            work.project.unreadable.update(_SECTIONS[TOP[meant]].values() if meant in TOP else ["agent"])
        if problem.code == "file" and problem.file in TOP:
            work.project.unreadable.update(_SECTIONS[TOP[problem.file]].values())
        elif problem.code == "file" and problem.file.split("/")[0] in ("agents", "."):
            work.project.unreadable.add("agent")


def _leave(work: Gathered, file: str, kind: str) -> None:
    """So much is wrong that this file is not read: a link may lead to a folder of others' files."""
    if not work.left:
        last = "the files from here on are not read after so many mistakes"
        cure = "mend what is told first, or remove the link that leads to files of others"
        work.diagnostics.append(error("too-many", Span(file), last, cure))
    work.left.add(file)
    work._faulty[file] = {()}
    work.project.unreadable.update(_SECTIONS.get(kind, {}).values())


def _load(work: Gathered, file: str, kind: str, required: list[str] | None = None) -> None:
    project = work.project
    content, wanted = project.folder.files[file], tuple(required or ())
    alone = REMEMBERED.read(kind, file, content, wanted, project.variables, project.folder.fetch)
    read, filled, checked = alone.document, alone.filled, alone.checked
    project.sources[file] = read.source
    work.diagnostics += read.diagnostics
    # Of a key given twice the first is kept: no name is lost.
    if read.root is None or any(said.code != "yaml-duplicate" for said in read.diagnostics):
        project.unreadable.update(_SECTIONS.get(kind, {}).values())
    if read.diagnostics:
        work._faulty[file] = {()}
    if filled is None or checked is None:
        return
    work.secrets |= filled.secrets
    work.diagnostics += [*filled.diagnostics, *checked.diagnostics]
    if filled.cut or checked.cut:
        work.cut.add(file)
    work._faulty.setdefault(file, set()).update(path[:2] for path in checked.faulty)
    if () in checked.faulty:  # a section may be misspelt
        project.unreadable.update(_SECTIONS.get(kind, {}).values())
    project.roots[file] = checked.root
    for path in checked.faulty:
        project.faulty.update(map(id, along(checked.root, path)))


def _defaults(file: str) -> Iterator[str]:
    """Where the defaults of its folders are, the nearest first."""
    while file := file.rpartition("/")[0]:
        yield f"{file}/_defaults.yaml"


def _inherited(project: Project, file: str) -> MapNode:
    """What the folders of an agent's file give it: the nearest folder's values over those further up."""
    merged = MapNode({}, Span(file))
    for defaults in _defaults(file):
        found = project.roots.get(defaults)
        if found is not None:
            merged = _over(merged, found)
    return merged


def _over(near: MapNode, far: MapNode) -> MapNode:
    entries = dict(near.entries)
    for name, entry in far.entries.items():
        mine = entries.get(name)
        if mine is None:
            entries[name] = entry
        elif isinstance(mine.value, MapNode) and isinstance(entry.value, MapNode):
            entries[name] = Entry(mine.key, _over(mine.value, entry.value))
    return MapNode(entries, near.span)


def _name_all(work: Gathered, files: Mapping[str, str]) -> None:
    project = work.project
    for file, kind in files.items():
        if kind == "agent":
            _name_agent(work, file)
        elif kind == "tools" and "policies.yaml" in project.folder.files:
            _name(work, file, {"tools": "tool"})
            work.diagnostics += _misplaced_policies(project.roots.get(file))
        elif kind != "defaults":
            _name(work, file, _SECTIONS[kind])


def _name(work: Gathered, file: str, sections: Mapping[str, str]) -> None:
    root = work.project.roots.get(file)
    faulty = work._faulty.get(file, set())
    for section, kind in sections.items():
        known = work.project.named.setdefault(kind, {})
        for found in definitions(root.get(section) if root else None):
            sound = faulty.isdisjoint({(), (section, found.name)})
            known[found.name] = Definition(found.name, found.key, found.node, sound)
        _name_shapeless(known, root.get(section) if root else None)


def _name_shapeless(known: dict[str, Definition], node: Node | None) -> None:
    """Names whose value is no mapping: told already, and known."""
    if isinstance(node, MapNode):
        for name, entry in node.entries.items():
            known.setdefault(name, Definition(name, entry.key.span, MapNode({}, entry.key.span), False))


def _name_agent(work: Gathered, file: str) -> None:
    project = work.project
    id = PurePosixPath(file).stem
    root = project.roots.get(file)
    known = project.named.setdefault("agent", {})
    if id in known:
        first = known[id].key.file
        work.diagnostics.append(
            error("agent-id", Span(file), f"agent `{id}` is described already in {first}", "rename one of the files")
        )
        return
    node = _over(root, _inherited(project, file)) if root is not None else MapNode({}, Span(file))
    known[id] = Definition(id, Span(file), node, not work._faulty.get(file))


def _misplaced_policies(root: MapNode | None) -> Iterator[Diagnostic]:
    if root is not None and "policies" in root.entries:
        yield error(
            "unknown-key",
            root.key("policies"),
            "policies.yaml exists, so policies stand only there",
            "move these to policies.yaml",
        )
