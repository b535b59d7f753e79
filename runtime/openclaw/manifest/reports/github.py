"""For GitHub Actions: workflow commands, which become annotations beside the lines of a pull request.

Whatever a manifest holds stays inside its command: line breaks and signs that have a meaning there are escaped.
Files are named as seen from the repository's top, because that is how annotations find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.reports import PLAIN, Look, advice
from openclaw.words import quote_line


def render(diagnostics: Iterable[Diagnostic], folder: Folder, look: Look = PLAIN) -> str:
    return "\n".join(_command(each, look.below) for each in diagnostics)


def _command(each: Diagnostic, below: str) -> str:
    properties = ",".join(f"{name}={_property(value)}" for name, value in _properties(each, below))
    return f"::{each.severity} {properties}::{_escaped(advice(each))}"


def _properties(each: Diagnostic, below: str) -> Iterator[tuple[str, str]]:
    yield "file", quote_line(below + each.file)
    yield "line", str(each.line)
    yield "col", str(each.column)
    if each.end_line == each.line:  # the runner throws the columns away where the last line is another than the first
        yield "endLine", str(each.end_line)
        yield "endColumn", str(each.end_column)
    yield "title", each.code


def _property(value: str) -> str:
    return _escaped(value).replace(":", "%3A").replace(",", "%2C")


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
