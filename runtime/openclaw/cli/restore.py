"""Make a state folder of a backup.

ARCHIVE is what `openclaw backup` made. It is checked before anything of it takes its place. The state folder must be
empty, and no runtime may use it; `--force` puts one that is not empty beside, under another name.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from openclaw.cli import _listing
from openclaw.clock import SystemClock
from openclaw.stores._backup import restore


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", metavar="ARCHIVE", type=Path)
    parser.add_argument("--force", action="store_true", help="put a state folder that is not empty beside")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    told = restore(args.archive.absolute(), args.state, SystemClock().now(), force=args.force)
    if args.json:
        _listing.as_json({"state": str(args.state), "files": told.files, "size": told.size, "notes": told.notes})
    else:
        print(_listing.quote_line(f"{args.state}: {told.files:,} files, {told.size:,} bytes"))
        for note in told.notes:
            _listing.note(note)
    return 0
