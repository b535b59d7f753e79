"""Tell what a code of `openclaw validate` stands for.

What is right; an example that is wrong, with the diagnostic as it is printed; and the same example put right. The
examples are files of a small project. Without CODE: all codes.

Exit codes: 0, or 2 where there is no such code.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from openclaw.cli import _listing
from openclaw.errors import UsageError

if TYPE_CHECKING:
    from openclaw.manifest.codes import Code
    from openclaw.manifest.codes.code import Files


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", metavar="CODE", help="what stands in brackets behind a mistake: unknown-key")
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def run(args: argparse.Namespace) -> int:
    from openclaw.manifest.codes import CODES

    if args.code is None:
        _list(CODES, args.json)
        return 0
    name = args.code.strip("[]").lower()
    if name not in CODES:
        raise UsageError(f"there is no code `{args.code}`{_near(name, CODES)}; `openclaw explain` lists them all")
    if args.json:
        _listing.as_json(_object(name, CODES[name]))
    else:
        print("\n".join(_told(name, CODES[name])))
    return 0


def _list(codes: dict[str, Code], as_json: bool) -> None:
    if as_json:
        _listing.as_json([{"code": name, "what": code.what} for name, code in codes.items()])
    else:
        _listing.table(("CODE", "WHAT IS RIGHT"), [(name, code.what) for name, code in codes.items()])


def _near(name: str, codes: dict[str, Code]) -> str:
    from openclaw.near import near

    close = near(name, list(codes))
    return f"; did you mean `{close}`?" if close else ""


def _told(name: str, code: Code) -> Iterator[str]:
    from openclaw.cli import _examples
    from openclaw.manifest.reports import Look

    yield f"{name}: {code.what}"
    if code.unshown:
        yield from ("", code.unshown)
    if code.bad:
        yield from ("", *_files("Wrong", code.bad), "", "`openclaw validate` says:")
        look = Look(color=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        yield from (f"    {line}" for line in _examples.printed(code.bad, look).splitlines())
        yield from ("", *_files("Right", code.good))


def _files(word: str, files: Files) -> Iterator[str]:
    from openclaw.manifest.codes.code import shown

    for file, text in files.items():
        if text is None:
            yield f"{word}: without {file}."
        else:
            yield f"{word}, in {file}:"
            yield from (f"    {shown(line)}".rstrip() for line in text.splitlines())


def _object(name: str, code: Code) -> dict[str, Any]:
    from openclaw.cli import _examples

    diagnostics = _examples.told(code.bad)[0] if code.bad else ()
    return {
        "code": name,
        "what": code.what,
        "unshown": code.unshown or None,
        "bad": dict(code.bad),
        "diagnostics": [asdict(each) for each in diagnostics],
        "good": dict(code.good),
    }
