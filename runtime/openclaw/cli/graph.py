"""Draws who reaches which agent, what tools it has, and which policy decides: as Mermaid, or as a picture.

Mermaid is what Markdown pages show as a drawing. The picture needs nothing but a browser. Neither looks at a secret or
asks a running runtime.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from openclaw.errors import OpenClawError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--svg", metavar="FILE", help="write a picture there; `-` is the standard output")
    parser.add_argument("--no-import", action="store_true", help="import no Python tool")


def run(args: argparse.Namespace) -> int:
    from openclaw.cli._compiled import opened
    from openclaw.plan.drawing import drawn, mermaid, svg

    side, _ = opened(args.project, imports=not args.no_import)
    drawing = drawn(side.snapshot)
    if args.svg is None:
        sys.stdout.write(mermaid(drawing))
    elif args.svg == "-":
        sys.stdout.write(svg(drawing))
    else:
        path = Path(args.svg)
        try:
            path.write_text(svg(drawing), "utf-8")
        except OSError as error:
            raise OpenClawError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
        print(f"Drew {path}")
    return 0
