"""A mistake in a manifest, as a value: what was found, where, and what would be right.

Law: a diagnostic never carries a secret, never repeats a parser's own words, and always points at a
place in a file. Knows nothing of YAML, schemas or how it is printed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal, TypeAlias

from openclaw.words import quote_line

Severity: TypeAlias = Literal["error", "warning"]
MOST_TOLD: Final = 1000  # of one file


@dataclass(frozen=True, slots=True)
class Span:
    """A token's place: 1-based lines and columns in code points, the end column exclusive."""

    file: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to the mistake, with a word on how."""

    file: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake in a manifest, where it stands, and what would be right."""

    code: str
    severity: Severity
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str
    help: str | None = None
    related: tuple[Related, ...] = ()

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        return (self.file, self.line, self.column, self.code, self.message)


def error(code: str, span: Span, message: str, help: str | None = None, related: Iterable[Related] = ()) -> Diagnostic:
    return _at(span, code, "error", message, help, related)


def warning(
    code: str, span: Span, message: str, help: str | None = None, related: Iterable[Related] = ()
) -> Diagnostic:
    return _at(span, code, "warning", message, help, related)


def see(span: Span, message: str) -> Related:
    return Related(span.file, span.line, span.column, _short(message, 400))


def arrange(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place; one mistake reached twice (through an alias, say) is told once."""
    unique = {(d.file, d.line, d.column, d.code, d.message): d for d in diagnostics}
    return tuple(sorted(unique.values(), key=lambda d: d.order))


def bounded(diagnostics: Iterable[Diagnostic], cut: Collection[str]) -> tuple[Diagnostic, ...]:
    """Of each file the first mistakes, and one that speaks of the others; `cut` names files that may hold more."""
    found: list[Diagnostic] = []
    for file, group in groupby(diagnostics, key=lambda each: each.file):
        here = list(group)
        found += here[:MOST_TOLD]
        left = here[MOST_TOLD:]
        if left or file in cut:
            worst = error if file in cut or any(each.severity == "error" for each in left) else warning
            last = here[:MOST_TOLD][-1]
            end = Span(file, last.end_line, last.end_column, last.end_line, last.end_column)
            many = f"{len(left):,} more" if left else "more"
            cure = "mend what is told first: one cause often stands behind many"
            found.append(worst("too-many", end, f"and {many} in this file", cure))
    return tuple(found)


def _at(
    span: Span, code: str, severity: Severity, message: str, help: str | None, related: Iterable[Related]
) -> Diagnostic:
    return Diagnostic(
        code,
        severity,
        span.file,
        span.line,
        span.column,
        span.end_line,
        span.end_column,
        _short(message, 400),
        help and _short(help, 1000),
        tuple(related),
    )


def _short(text: str, most: int) -> str:
    """One line of bearable length, in which nothing hides: a name in a hostile file may be a megabyte."""
    line = text[: most + 1]
    if not line.isprintable():
        line = "".join(" " if char in "\t\r\n" else quote_line(char) for char in line)
    return line if len(line) <= most else f"{line[: most - 3]}..."
