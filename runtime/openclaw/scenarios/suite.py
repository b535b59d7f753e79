"""A project's scenario files as cases to be judged, and what is wrong with those that cannot be. Judges none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openclaw.manifest.project import Project
from openclaw.scenarios.check import Checked, check
from openclaw.scenarios.document import Scenario, scenario


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    checked: Checked
    scenarios: tuple[Scenario, ...]


def load(project: Project, files: Iterable[str]) -> Suite:
    """Names are relative to the project's folder, or absolute. Only files without mistakes become scenarios."""
    checked = check(project, files)
    return Suite(checked, tuple(scenario(file, found) for file, found in checked.sound.items()))
