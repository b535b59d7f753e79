"""For code scanning: a log in SARIF 2.1.0, with each code explained as the rule it is.

Columns count code points, as everywhere here. Files are relative to the repository's top, which SARIF's readers know
as %SRCROOT%. A result keeps its fingerprint while its line is only moved, so that a known mistake stays known.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from openclaw import __version__
from openclaw.manifest.codes import CODES, Code
from openclaw.manifest.diagnostic import Diagnostic, Related
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import PLAIN, Look, _lines

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT = "openclaw/v1"


def render(diagnostics: Iterable[Diagnostic], folder: Folder, look: Look = PLAIN) -> str:
    found = list(diagnostics)
    codes = sorted({each.code for each in found})
    marks = _marks(found, folder)
    driver = {"name": "openclaw", "version": __version__, "rules": [_rule(code, CODES[code]) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The top of the repository."}}},
        "results": [
            _result(each, codes.index(each.code), mark, look.below) for each, mark in zip(found, marks, strict=True)
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(code: str, told: Code) -> dict[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": told.what},
        "fullDescription": {"text": told.what},
        "help": {"text": told.text(), "markdown": told.markdown()},
    }


def _result(each: Diagnostic, rule: int, mark: str, below: str) -> dict[str, Any]:
    region = {
        "startLine": each.line, "startColumn": each.column, "endLine": each.end_line, "endColumn": each.end_column,
    }  # fmt: skip
    text = f"{each.message}\nhelp: {each.help}" if each.help else each.message
    result: dict[str, Any] = {
        "ruleId": each.code,
        "ruleIndex": rule,
        "level": each.severity,
        "message": {"text": _literal(text)},
        "locations": [{"physicalLocation": _location(each.file, region, below)}],
        "partialFingerprints": {_FINGERPRINT: mark},
    }
    if each.related:
        result["relatedLocations"] = [_related(number, other, below) for number, other in enumerate(each.related, 1)]
    return result


def _related(number: int, other: Related, below: str) -> dict[str, Any]:
    region = {"startLine": other.line, "startColumn": other.column}
    location = _location(other.file, region, below)
    return {"id": number, "physicalLocation": location, "message": {"text": _literal(other.message)}}


def _location(file: str, region: dict[str, int], below: str) -> dict[str, Any]:
    where = {"uri": quote(below + file, errors="surrogateescape"), "uriBaseId": "%SRCROOT%"}
    return {"artifactLocation": where, "region": region}


def _literal(text: str) -> str:
    """`[words](place)` is a link in a message of SARIF; a manifest's words must not become one."""
    return text.replace("](", "] (")


def _marks(found: list[Diagnostic], folder: Folder) -> list[str]:
    """For each a digest of code, file and line's text; the second of the same is told apart by its number."""
    lines = cache(lambda file: _lines.lines(folder, file))
    seen: Counter[tuple[str, str, str]] = Counter()
    marks = []
    for each in found:
        of_file = lines(each.file)
        line = of_file[each.line - 1].strip() if 0 < each.line <= len(of_file) else ""
        key = (each.code, each.file, line)
        seen[key] += 1
        marks.append(sha256("\0".join((*key, str(seen[key]))).encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return marks
