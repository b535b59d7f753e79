"""Show and verify the audit: what was decided about each call of a tool, and what came of it.

Every line carries the hash of the line before it. `verify` follows the chain through all files and names every line
that was changed, added or taken away, also at its end; it prints the anchor of the last line. An anchor that was kept
elsewhere shows with --expect that the log still holds that line. Both read the files as they are, also beside a running
runtime.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

from openclaw import audit
from openclaw.cli import _listing, spoken

_SHOWN = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="the latest lines, the newest last")
    listed.add_argument("--json", action="store_true", help="as JSON, every line whole")
    listed.add_argument("--limit", type=int, default=_SHOWN, metavar="N", help=f"at most N lines (default: {_SHOWN})")
    listed.add_argument("--session", type=spoken, metavar="KEY", help="of one session")
    listed.add_argument("--tool", type=spoken, metavar="NAME", help="of one tool")
    verify = actions.add_parser("verify", help="exit code 1, and each place, where the chain is broken")
    verify.add_argument(
        "--expect", type=_anchor, action="append", default=[], metavar="N:SHA256", help="a line that has to be there"
    )
    verify.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    return _list(args) if args.action == "list" else _verify(args)


def _list(args: argparse.Namespace) -> int:
    found = list(deque(_wanted(args), maxlen=max(args.limit, 0)))
    if args.json:
        _listing.as_json(found)
    elif found:
        rows = [(_at(one), one.get("tool", ""), one.get("agent", ""), _outcome(one), _what(one)) for one in found]
        _listing.table(("AT (UTC)", "TOOL", "AGENT", "OUTCOME", "WHAT"), rows)
    else:
        print("Nothing was decided yet.")
    return 0


def _wanted(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for record in audit.records(args.state / "logs"):
        if args.session in (None, record.get("session")) and args.tool in (None, record.get("tool")):
            yield record


def _verify(args: argparse.Namespace) -> int:
    verdict = audit.verify(args.state / "logs", args.expect, head=args.state / audit.HEAD)
    if args.json:
        broken = [{"file": one.file, "line": one.line, "why": one.why} for one in verdict.broken]
        _listing.as_json({"lines": verdict.lines, "broken": broken, "notes": list(verdict.notes), "last": verdict.last})
    else:
        for note in verdict.notes:
            print(f"note: {_listing.quote_line(note)}", file=sys.stderr)
        for one in verdict.broken:
            print(_listing.quote_line(f"broken at {one}"))
        last = f", the last is {verdict.last.lstrip('0')}" if verdict.last else ""
        print(f"{'broken' if verdict.broken else 'whole'}: {verdict.lines} line{'s'[: verdict.lines != 1]}{last}")
    return 1 if verdict.broken else 0


def _anchor(text: str) -> tuple[int, str]:
    found = audit.anchored(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no anchor: a number, a colon and 64 letters of a hash")
    return found


def _at(record: dict[str, Any]) -> str:
    return str(record.get("at", ""))[:19].replace("T", " ")


def _outcome(record: dict[str, Any]) -> str:
    if record.get("type") == "ran":
        return f"{record.get('outcome')} in {record.get('seconds')} s"
    if record.get("type") == "asked":
        return "asked"
    approval = record.get("approval") or {}
    by = f" ({approval.get('answer')} by {approval.get('by') or 'nobody'})" if approval else ""
    return f"{record.get('decision')}{by}"


def _what(record: dict[str, Any]) -> str:
    if record.get("type") == "ran":
        return f"call {record.get('call')}"
    if "argv" in record:
        return " ".join(word for argv in record["argv"] for word in argv)
    return " ".join(f"{key}={value}" for key, value in dict(record.get("input") or {}).items())
