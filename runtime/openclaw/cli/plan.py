"""Say in words what a reload would change, and whether a permission widens.

Compares the project as it is on disk with the manifests in DIR (--from: in CI, the checkout of the base branch), else
with what the running runtime has in force, else with what was applied last here. Nothing is changed, no variable's
value is looked at, and no secret is shown. Exit codes: 0 no permission widens, 3 a project is invalid, 6 a permission
widens or may, 1 there is nothing to compare with, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.cli import place
from openclaw.errors import ProjectInvalid, StateError, UsageError
from openclaw.words import printable

if TYPE_CHECKING:
    from openclaw.manifest.folder import Folder
    from openclaw.manifest.origins import Stated

WIDENS = 6


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="base", metavar="DIR", help="compare with the project in this folder")
    parser.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="how it is told (default: text)"
    )
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument(
        "--no-import", action="store_true", help="import no Python tool: for folders that are not trusted"
    )


def run(args: argparse.Namespace) -> int:
    from openclaw.cli._compiled import opened
    from openclaw.plan import told
    from openclaw.plan.whole import plan

    new, _ = opened(args.project, imports=not args.no_import)
    against, old, imported = _base(args)
    if not imported and not args.no_import:
        print(f"openclaw: the Python tools of {against} cannot be imported; both are compared without", file=sys.stderr)
        new, _ = opened(args.project, imports=False)
    changes = plan(old, new, datetime.now(UTC))
    match args.format:
        case "json":
            print(told.as_json(changes, against))
        case "markdown":
            print(told.markdown(changes, against))
        case _:
            print(told.text(changes, against, color=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return WIDENS if any(change.widens for change in changes) else 0


def _base(args: argparse.Namespace) -> tuple[str, Stated, bool]:
    """What it is compared with: in words, and compiled; and whether its Python tools were imported."""
    if args.base is not None:
        if not args.base:
            raise UsageError("--from is empty; name the folder to compare with, or leave it away")
        base = place(args.base, "--from")
        if not base.is_dir():
            raise UsageError(f"--from: {base} is not a folder")
        if base.resolve() == args.project.resolve():
            raise UsageError(f"--from: {base} is the project itself; name the folder of another state of it")
        return str(args.base), *_valid(base, base, "--from", not args.no_import)
    words = _running(args) or "what was applied last"
    return words, *_applied(args, words)


def _running(args: argparse.Namespace) -> str | None:
    """How the running runtime is called, where one serves this project: what it applied last is what it runs."""
    from openclaw.cli import _client

    with _client.running(args.state) as runtime:
        status = runtime.get("status") if runtime is not None else None
    if status is None or status["project"] != printable(str(args.project.resolve())):
        return None
    return f"the running runtime (process {status['pid']})"


def _applied(args: argparse.Namespace, words: str) -> tuple[Stated, bool]:
    from openclaw.lastgood import bytes_of, last_good

    kept = last_good(args.state, args.project.resolve())
    if not kept.is_dir():
        raise StateError(
            f"there is nothing to compare with: no runtime has run {args.project} on the state folder {args.state}; "
            "name another project's folder with --from"
        )
    whole = bytes_of(args.state, args.project.resolve())
    if whole is None:
        damaged = f"what was applied last, kept in {kept}, is damaged; start the runtime on a valid project"
        raise StateError(f"there is nothing to compare with: {damaged}, or name another folder with --from")
    return _valid(kept, args.project, words, not args.no_import, whole)


def _valid(base: Path, home: Path, name: str, imports: bool, folder: Folder | None = None) -> tuple[Stated, bool]:
    """The project to compare with. Its Python tools may not be there any more: then they are not imported."""
    from openclaw.cli._compiled import compiled_at, said
    from openclaw.manifest.reports import brief

    compiled, manifests = compiled_at(base, imports=imports, imports_from=home, folder=folder)
    if compiled.snapshot is None and imports:
        imports = False
        compiled, manifests = compiled_at(base, imports=False, folder=folder)
    if compiled.snapshot is None:
        errors = [each for each in compiled.diagnostics if each.severity == "error"]
        print(brief(errors), file=sys.stderr)
        raise ProjectInvalid(f"{name}: {base} has errors, so there is nothing to compare with", errors)
    return said(compiled.snapshot, manifests, base), imports
