"""Tell every mistake in all manifests, with its place and its cure, and in scenario files where there are any.

Reads the same way as the runtime does, so what passes here runs, and runs nothing but the imports of
Python tools. `openclaw explain CODE` says more about the code behind a mistake.

Formats: `text` for people; `json`, a list of objects; `github`, annotations of GitHub Actions; `sarif`, for code
scanning; `junit`, for CI servers. All tell the same places. github, sarif and junit name files from the top of the
repository, which is $GITHUB_WORKSPACE or else the current folder, where the project lies in it; the others name them
from the project's folder. The count of mistakes goes to stderr; with `text` so does a line on a runtime that has
another state of this project in force than is here.

Exit codes: 0 no errors (warnings allowed, unless --strict), 1 problems found, 2 wrong usage or no such folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.adapters import formats, importer, report
from openclaw.cli import _collected, place
from openclaw.errors import UsageError

if TYPE_CHECKING:
    from openclaw.manifest.diagnostic import Diagnostic
    from openclaw.manifest.folder import Folder
    from openclaw.manifest.project import Project
    from openclaw.manifest.snapshot import Snapshot


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the project folder (default: that of -C)")
    parser.add_argument("--format", choices=formats(), default="text", help="how mistakes are told (default: text)")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("--strict", action="store_true", help="warnings count as problems too")
    parser.add_argument(
        "--no-env",
        action="store_true",
        help="look neither at the environment nor at .env: unset variables are no mistake",
    )
    parser.add_argument(
        "--no-import", action="store_true", help="import no Python tool: for folders that are not trusted"
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="list the files that were read, and what each agent's prompt and tools weigh",
    )


def run(args: argparse.Namespace) -> int:
    with _collected.rarely():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    from openclaw.cli._listing import aside
    from openclaw.manifest.build import compile_open
    from openclaw.manifest.folder import Folder

    root = Path(args.project) if args.dir is None else place(args.dir, "DIR")
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name the project's folder, or make one with `openclaw init`")
    folder = Folder.read(root)
    with aside():
        compiled, project = compile_open(
            folder,
            environment=None if args.no_env else os.environ,
            importer=None if args.no_import else importer(root),
            today=datetime.now(UTC),
        )
    diagnostics, folder = _with_scenarios(compiled.diagnostics, project)
    _tell(args, folder, diagnostics, _weights(compiled.snapshot) if args.verbose and compiled.snapshot else [])
    if args.format == "text":
        digest = compiled.snapshot.digest if compiled.snapshot and not args.no_env else None
        _tell_running(args.state, root.resolve(), digest)
    return 1 if any(each.severity == "error" or args.strict for each in diagnostics) else 0


def _with_scenarios(found: Sequence[Diagnostic], project: Project) -> tuple[Sequence[Diagnostic], Folder]:
    """A runtime does without scenarios, so no mistake in them keeps it from running: they are checked only here."""
    if not Path(project.folder.root, "tests", "scenarios").is_dir():
        return found, project.folder
    from openclaw.manifest.diagnostic import arrange
    from openclaw.scenarios.check import check, own

    checked = check(project, own(project.folder))
    return arrange([*found, *checked.diagnostics]), checked.over(project.folder)


def _tell_running(state: Path, root: Path, digest: str | None) -> None:
    """In a line of its own, where a runtime that runs this project has another state of it in force than is here."""
    if not os.path.exists(state / "control.sock"):  # noqa: PTH110 - no, also where nobody may look
        return
    from openclaw.cli._running import differs

    if said := differs(state, root, digest):
        from openclaw.words import quote_line

        print(f"openclaw: {quote_line(said)}", file=sys.stderr)


def _weights(snapshot: Snapshot) -> list[str]:
    """What every request of an agent begins with, an agent a line."""
    from openclaw.manifest.weight import weigh

    return [
        f"{each.agent}: prompt {each.prompt_bytes:,} bytes, {each.tools} tools {each.tool_bytes:,} bytes, "
        f"together about {each.tokens:,} tokens"
        for each in weigh(snapshot)
    ]


def _tell(args: argparse.Namespace, folder: Folder, diagnostics: Sequence[Diagnostic], weights: list[str]) -> None:
    from openclaw.manifest import reports
    from openclaw.manifest.folder import kind_of
    from openclaw.words import quote_line

    if diagnostics or args.format not in ("text", "github"):  # of which nothing is nothing
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        look = reports.Look(color, args.strict, _below(Path(folder.root)), columns)
        print(report(args.format).render(diagnostics, folder, look))
    manifests = [file for file in sorted(folder.files) if kind_of(file)]
    if args.verbose:
        print("\n".join(map(quote_line, [*manifests, *weights])), file=sys.stderr)
    print(f"openclaw: {reports.summary(diagnostics, len(manifests))}", file=sys.stderr)


def _below(root: Path) -> str:
    """Where the project lies in its repository, with a `/` at the end; "" at its top, and outside of it."""
    top = Path(os.environ.get("GITHUB_WORKSPACE") or ".").resolve()
    real = root.resolve()
    inside = real != top and real.is_relative_to(top)
    return f"{real.relative_to(top).as_posix()}/" if inside else ""
