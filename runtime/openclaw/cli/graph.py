"""Draw who reaches which agent, what its tools do unasked, and which policy decides: as Mermaid, or as a picture.

Mermaid is what Markdown pages show as a drawing. The picture needs nothing but a browser. Neither looks at a secret or
asks a running runtime. Ways marked `!` let in people whom no manifest names.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from openclaw.errors import OpenClawError, UsageError
from openclaw.words import quote_line


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--svg", metavar="FILE", help="write a picture there, over none but another picture; `-` is the standard output"
    )
    parser.add_argument("--no-import", action="store_true", help="import no Python tool")


def run(args: argparse.Namespace) -> int:
    from openclaw.cli._compiled import opened
    from openclaw.plan.drawing import MOST, drawn, mermaid
    from openclaw.plan.picture import svg

    side, _ = opened(args.project, imports=not args.no_import)
    drawing = drawn(side.snapshot, datetime.now(UTC))
    if args.svg is None:
        sys.stdout.write(mermaid(drawing))
        if len(drawing.arrows) > MOST:
            note = f"{len(drawing.arrows):,} arrows are more than the {MOST} that Mermaid usually draws; see --svg"
            print(f"openclaw: {note}", file=sys.stderr)
    elif args.svg == "-":
        sys.stdout.write(svg(drawing))
    else:
        _write(Path(args.svg), svg(drawing))
        print(f"Drew {quote_line(args.svg)}")
    return 0


def _write(path: Path, picture: str) -> None:
    """A whole picture or none; and never over a file that is something else."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.read_bytes().startswith(b"<svg"):
            raise UsageError(f"{path} is there and is no such picture; name another file")
        try:
            fresh.write_text(picture, "utf-8")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise OpenClawError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
