"""The formats in which diagnostics are told, one file each, whose name is the format's.

Each file has `render(diagnostics, folder, look) -> str` and tells the same places under the same codes: only the
clothes differ. Here stands what they share, and the one-line form for logs. A format never sees a value that is
secret; the source lines it may show are those of `_lines`, in which secrets are blotted out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from openclaw.manifest.diagnostic import Diagnostic, Related
from openclaw.words import quote_line


@dataclass(frozen=True, slots=True)
class Look:
    """How it is shown. `color`: on a terminal. `strict`: a warning fails as an error does. `below`: where the project
    lies in its repository, "" or a path that ends in `/`; formats for services that show the repository put it before
    every file. `columns` of the terminal, 0 where there is none."""

    color: bool = False
    strict: bool = False
    below: str = ""
    columns: int = 0


PLAIN: Final = Look()


def brief(diagnostics: Iterable[Diagnostic]) -> str:
    """One line for each, without the source."""
    return "\n".join(head(each) for each in diagnostics)


def summary(diagnostics: Iterable[Diagnostic], files: int) -> str:
    found = list(diagnostics)
    errors = sum(each.severity == "error" for each in found)
    warnings = len(found) - errors
    told = [_many(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count]
    return f"{' and '.join(told) or 'no problems'} in {_many(files, 'manifest')}"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def head(each: Diagnostic) -> str:
    """`file:line:col: error: message [code]`."""
    return f"{place(each)}: {each.severity}: {each.message} [{each.code}]"


def place(each: Diagnostic | Related) -> str:
    """Whoever names a file chooses what a terminal would obey."""
    return f"{quote_line(each.file)}:{each.line}:{each.column}"


def advice(each: Diagnostic) -> str:
    """The message with its cure and the places that belong to it, in lines of plain text without the source."""
    cure = [f"help: {each.help}"] if each.help else []
    places = [f"see: {place(other)}: {quote_line(other.message)}" for other in each.related]
    return "\n".join([each.message, *cure, *places])
