"""Rules about models.yaml: aliases, ids this build knows, scripts."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.manifest.builtins import MODELS
from openclaw.manifest.diagnostic import Diagnostic, error
from openclaw.manifest.near import meant
from openclaw.manifest.nodes import Scalar
from openclaw.manifest.project import Project


def default_exists(project: Project) -> Iterator[Diagnostic]:
    root = project.roots.get("models.yaml")
    default = root.get("default") if root else None
    if isinstance(default, Scalar) and isinstance(default.value, str):
        yield from project.refer("model", default)


def ids_are_known(project: Project) -> Iterator[Diagnostic]:
    """With another server any id may be right; without one it is Anthropic's, and a misspelling fails at every turn."""
    for model in project.all("model").values():
        id = model.text("id")
        own = model.value("kind", "anthropic") != "anthropic" or "base_url" in model.node.entries
        if id is not None and not own and id.value not in MODELS:
            yield error(
                "unknown-model",
                id.span,
                f"this build knows no model `{id.value}`{meant(id.value, MODELS)}",
                f"one of: {', '.join(MODELS)}; a model on another server also needs `base_url`",
            )


def scripts_exist(project: Project) -> Iterator[Diagnostic]:
    for model in project.all("model").values():
        script = model.text("script")
        if script is not None and project.folder.read_file(script.value) is None:
            yield error(
                "missing-file",
                script.span,
                f"no file `{script.value}` (looked in the project folder)",
                "create it, or correct the name",
            )
