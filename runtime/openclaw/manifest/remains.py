"""What a project with errors forbids all the same: its sound ask and deny rules, by policy.

Of a file that is no YAML, those before the mistake. Its law: a rule of which more may have followed is none. Tells no
mistakes and makes no snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from openclaw.manifest import document
from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.manifest.folder import Folder
from openclaw.manifest.gather import gather
from openclaw.manifest.policies import all_rules, prohibitions
from openclaw.manifest.project import Project
from openclaw.permissions.policy import Policy

_FILES: Final = ("tools.yaml", "policies.yaml")
_MOST_BYTES: Final = 1_200_000  # that are tried in all, of a file of which a part is
_MOST_TRIED: Final = 20  # lines that are left out, one more each time


def forbidden(project: Project, found: Iterable[Diagnostic]) -> Mapping[str, Policy]:
    """`found` are the project's errors."""
    told = list(found)
    policies: dict[str, Policy] = dict(prohibitions(project, told))
    for file in _FILES:
        content = project.folder.files.get(file, b"")
        if file in project.roots or not content:
            continue
        first = min((said.line for said in told if said.file == file), default=1)
        for name, policy in _before(project, file, content, first).items():
            known = policies.get(name)
            policies[name] = replace(known, rules=(*known.rules, *policy.rules)) if known else policy
    return policies


def _before(project: Project, file: str, content: bytes, line: int) -> Mapping[str, Policy]:
    """Of a file's beginning, as much of it as is YAML; `line` holds the mistake."""
    lines = content.splitlines(keepends=True)[: line - 1]
    tries = max(1, _MOST_BYTES // len(content))
    for left_out in range(min(_MOST_TRIED, tries, len(lines))):
        part = b"".join(lines[: len(lines) - left_out])
        read = document.read(file, part)
        if read.root is not None and not read.diagnostics:
            return _whole(project, file, part)
    return {}


def _whole(project: Project, file: str, part: bytes) -> Mapping[str, Policy]:
    gathered = gather(Folder.of({file: part}), None, None, project.now)
    rules = list(all_rules(gathered.project))
    last = max((rule.node.key.line for rule in rules), default=0)
    text = b" ".join(part.splitlines()[last - 1 :]).strip()
    closed = text.startswith(b"- {") and text.endswith(b"}")
    open_ended = [] if closed or not last else [error("yaml", Span(file, last), "more of it may have followed")]
    return prohibitions(gathered.project, [*gathered.diagnostics, *open_ended])
