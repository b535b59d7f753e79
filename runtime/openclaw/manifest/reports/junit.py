"""For CI servers: JUnit's XML, in which each manifest is a test case and each mistake in it a failure.

A warning fails its case only where it fails the command too (`--strict`); otherwise it stands in the case's output,
in the same words. Characters that XML cannot hold do not get there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.reports import PLAIN, Look, head, text
from openclaw.words import quote_line

_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def render(diagnostics: Iterable[Diagnostic], folder: Folder, look: Look = PLAIN) -> str:
    cases: dict[str, list[Diagnostic]] = {file: [] for file in folder.files if kind_of(file)}
    for each in diagnostics:
        cases.setdefault(each.file, []).append(each)
    failures = sum(_fails(each, look) for found in cases.values() for each in found)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="0"'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="openclaw validate" {counts}>']
    lines.append(f'  <testsuite name="openclaw validate" {counts}>')
    for file, found in sorted(cases.items()):
        lines += _case(file, found, folder, look)
    return "\n".join([*lines, "  </testsuite>", "</testsuites>"])


def _case(file: str, found: list[Diagnostic], folder: Folder, look: Look) -> Iterator[str]:
    name, path = quote_line(file), quote_line(look.below + file)
    start = f'    <testcase classname="openclaw.validate" name={_attribute(name)} file={_attribute(path)}'
    if not found:
        yield f"{start}/>"
        return
    yield f"{start}>"
    for each, block in zip(found, text.blocks(found, folder), strict=True):
        shown = _content(block)
        if _fails(each, look):
            yield f'      <failure type="{each.code}" message={_attribute(head(each))}>{shown}</failure>'
        else:
            yield f"      <system-out>{shown}</system-out>"
    yield "    </testcase>"


def _fails(each: Diagnostic, look: Look) -> bool:
    return look.strict or each.severity == "error"


def _attribute(value: str) -> str:
    return quoteattr(_REFUSED.sub("\ufffd", value))


def _content(value: str) -> str:
    return escape(_REFUSED.sub("\ufffd", value))
