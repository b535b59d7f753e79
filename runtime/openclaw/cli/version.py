"""Print the version."""

from __future__ import annotations

import argparse
import platform

from openclaw import __version__
from openclaw.cli import _listing


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, with Python and the system")


def run(args: argparse.Namespace) -> int:
    if args.json:
        system = f"{platform.system()} {platform.machine()}"
        _listing.as_json({"version": __version__, "python": platform.python_version(), "system": system})
    else:
        print(f"openclaw {__version__}")
    return 0
