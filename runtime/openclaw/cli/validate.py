"""Tells every mistake in all manifests, with its place and its cure.

Reads the same way as the runtime does, so what passes here runs, and runs nothing but the imports of
Python tools. Exit codes: 0 no errors (warnings allowed), 1 problems found, 2 wrong usage or no such folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from openclaw.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the project folder (default: that of -C)")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how mistakes are told (default: text)"
    )
    parser.add_argument("--strict", action="store_true", help="warnings count as problems too")
    parser.add_argument(
        "--no-env", action="store_true", help="do not look at the environment: unset variables are no mistake"
    )
    parser.add_argument(
        "--no-import", action="store_true", help="import no Python tool: for folders that are not trusted"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="list the files that were read")


def run(args: argparse.Namespace) -> int:
    from openclaw.manifest import report
    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder, kind_of
    from openclaw.messages import quote_line

    root = Path(args.dir).absolute() if args.dir else Path(args.project)
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name the project's folder, or make one with `openclaw init`")
    folder = Folder.read(root)
    compiled = compile(
        folder,
        environment=None if args.no_env else os.environ,
        importer=None if args.no_import else _importer(root),
        today=datetime.now(UTC),
    )
    if args.format == "json":
        print(report.as_json(compiled.diagnostics))
    elif compiled.diagnostics:
        print(report.text(compiled.diagnostics, folder, sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    manifests = [file for file in sorted(folder.files) if kind_of(file)]
    if args.verbose:
        print("\n".join(map(quote_line, manifests)), file=sys.stderr)
    print(f"openclaw: {report.summary(compiled.diagnostics, len(manifests))}", file=sys.stderr)
    failed = any(each.severity == "error" or args.strict for each in compiled.diagnostics)
    return 1 if failed else 0


def _importer(root: Path):  # type: ignore[no-untyped-def]
    from openclaw.adapters import importer

    return importer(root)
