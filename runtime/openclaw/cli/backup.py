"""Put the whole state folder into one file, also while a runtime uses it.

TARGET is the file to make, or a folder in which it gets a name made of the time. It holds conversations and what is
remembered, also the token of the web page: keep it as you keep the state folder. `openclaw restore` reads it. What
cannot be read is named and left out, and the exit code is 1.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from openclaw.cli import _listing
from openclaw.clock import SystemClock
from openclaw.stores._backup import backup


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", type=Path)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    now = SystemClock().now()
    target = _named(args.target.absolute(), now)
    told = backup(args.state, target, now)
    size = target.stat().st_size
    if args.json:
        _listing.as_json({"file": str(target), "files": told.files, "size": size, "notes": told.notes})
    else:
        print(_listing.quote_line(f"{target}: {told.files:,} files, {told.size:,} bytes, {size:,} packed"))
        for note in told.notes:
            _listing.note(note)
    return 0 if told.whole else 1


def _named(target: Path, now: datetime) -> Path:
    return target / f"openclaw-{now.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}.tar.gz" if target.is_dir() else target
