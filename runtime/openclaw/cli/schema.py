"""Print the JSON Schema of a kind of manifest.

Editors complete and check manifests by it: `openclaw schema agent > agent.schema.json`. It is JSON Schema 2020-12, with
every key described. Without KIND: the kinds, and which files are of each.

Exit codes: 0, or 2 where there is no such kind.
"""

from __future__ import annotations

import argparse

from openclaw import bundle
from openclaw.cli import _listing
from openclaw.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"one of: {', '.join(bundle.KINDS)}")
    parser.add_argument("--json", action="store_true", help="list the kinds as JSON; a schema is JSON by itself")


def run(args: argparse.Namespace) -> int:
    if args.kind is None:
        rows = [(kind, bundle.schema(kind)["description"]) for kind in bundle.KINDS]
        if args.json:
            _listing.as_json([{"kind": kind, "description": text} for kind, text in rows])
        else:
            _listing.table(("KIND", "WHAT IT DESCRIBES"), rows)
        return 0
    if args.kind not in bundle.KINDS:
        raise UsageError(f"there is no kind `{args.kind}`{_near(args.kind)}; there are: {', '.join(bundle.KINDS)}")
    _listing.as_json(bundle.schema(args.kind))
    return 0


def _near(kind: str) -> str:
    from openclaw.near import near

    close = near(kind, bundle.KINDS)
    return f"; did you mean `{close}`?" if close else ""
