"""Rules about models.yaml: aliases, ids this build knows, scripts."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw import script
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


def scripts_can_be_followed(project: Project) -> Iterator[Diagnostic]:
    for model in project.all("model").values():
        named = model.text("script")
        if named is None:
            continue
        content = project.folder.read_file(named.value)
        if content is None:
            yield error(
                "missing-file",
                named.span,
                f"no file `{named.value}` (looked in the project folder)",
                "create it, or correct the name",
            )
        elif isinstance(read := script.read(content), script.Problem):
            yield error("script", named.span, f"the script `{named.value}` cannot be followed: {read.reason}")
