"""What came of trying to apply what is on disk, as values and in words; and how often.

Its law: one sentence says the same in the log, over HTTP, on the terminal and in `status`. Knows nothing of how an
attempt is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, get_args

from openclaw.manifest.diagnostic import Diagnostic, Related
from openclaw.messages import quote_line
from openclaw.secrecy import SECRETS
from openclaw.words import time_json

Outcome = Literal["applied", "unchanged", "refused", "failed", "needs_restart"]
"""`refused`: the manifests have errors. `failed`: they are valid, and something could not be done. `needs_restart`: all
is in force that can be, and something of it only after the next start."""

ASKED: Final = "request"  # the trigger that a person gives who knows of what is held; SIGHUP comes of itself, too
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
AS_ON_DISK: Final = frozenset[Outcome]({"applied", "unchanged"})  # what is on disk is what runs
NAMED = 10  # changes that one sentence names
REMEMBERED: Final = 100  # diagnostics of one attempt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to apply what is on disk. `changes` say in words what became different, `widened` and `tightened` what
    that means for permissions, `restart` what waits for the next start. `in_force`: what it read is what runs.
    `left_out`: errors that are no more among `diagnostics`."""

    number: int
    trigger: str
    at: datetime
    seconds: float
    outcome: Outcome
    changes: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    error: str = ""
    widened: tuple[str, ...] = ()
    tightened: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    in_force: bool = False
    left_out: int = 0

    def remembered(self) -> Attempt:
        """As it is kept: whoever asks how things are must not wait for thousands of diagnostics."""
        if len(self.diagnostics) <= REMEMBERED:
            return self
        errors = errors_of(self.diagnostics)
        kept = [*errors, *(each for each in self.diagnostics if each.severity != "error")][:REMEMBERED]
        return replace(self, diagnostics=tuple(kept), left_out=max(len(errors) - REMEMBERED, 0))

    @property
    def head(self) -> str:
        """`reload 7 refused (edit, 38 ms)`."""
        return f"reload {self.number} {self.outcome.replace('_', ' ')} ({self.trigger}, {self.seconds * 1000:.0f} ms)"

    @property
    def words(self) -> str:
        """The whole of it in one line."""
        return f"{self.head}: {'; '.join(_said(self))}"

    @property
    def differs(self) -> str:
        """How disk and running differ, in a line that anybody may read; empty where they do not."""
        if self.outcome in AS_ON_DISK:
            return ""
        at = f"at {self.at:%Y-%m-%d %H:%M:%S} UTC"
        if self.in_force and self.outcome == "failed":
            return (
                f"the files on disk are in force, but not all that follows: reload {self.number} {at} wants a restart"
            )
        if self.outcome == "needs_restart":
            return f"the files on disk are not all in force: reload {self.number} {at} waits for a restart"
        head = f"the files on disk are not what runs: reload {self.number} {self.outcome} {at}"
        errors = errors_of(self.diagnostics)
        return f"{head}: first error at {_place(errors[0])}" if errors else head

    def as_json(self) -> dict[str, Any]:
        return {**self.in_short(), "diagnostics": list(map(_told, self.diagnostics)), "left_out": self.left_out}

    def in_short(self) -> dict[str, Any]:
        """Without the diagnostics."""
        return {
            "number": self.number,
            "trigger": self.trigger,
            "at": time_json(self.at),
            "seconds": round(self.seconds, 4),
            "outcome": self.outcome,
            "in_force": self.in_force,
            "words": self.words,
            "changes": list(self.changes),
            "widened": list(self.widened),
            "tightened": list(self.tightened),
            "restart": list(self.restart),
            "error": self.error,
        }


@dataclass(slots=True)
class Counts:
    """Since the start, also of attempts that nobody remembers. `succeeded`: when what is on disk was last in force."""

    by_outcome: Counter[str] = field(default_factory=Counter)
    succeeded: datetime | None = None

    def add(self, attempt: Attempt) -> None:
        self.by_outcome[attempt.outcome] += 1
        if attempt.outcome in AS_ON_DISK:
            self.succeeded = attempt.at

    def as_json(self) -> dict[str, int]:
        return {outcome: self.by_outcome[outcome] for outcome in OUTCOMES}


def errors_of(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]


def hidden(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The same of diagnostics: a value that came into a wrong place may be a secret in its own."""
    return tuple(map(_hidden, diagnostics))


def _hidden(found: Diagnostic) -> Diagnostic:
    parts = (found.file, found.message, found.help or "", *(part for one in found.related for part in _parts(one)))
    if concealed(parts) == parts:
        return found
    related = tuple(replace(one, file=_mask(one.file), message=_mask(one.message)) for one in found.related)
    help = found.help and _mask(found.help)
    return replace(found, file=_mask(found.file), message=_mask(found.message), help=help, related=related)


def _parts(related: Related) -> tuple[str, str]:
    return related.file, related.message


def _mask(words: str) -> str:
    return SECRETS.mask(words)


def concealed(words: Sequence[str]) -> tuple[str, ...]:
    """Without the secrets that rules or errors may have quoted: attempts are told to whoever may read them."""
    return tuple(map(SECRETS.mask, words))


def _told(found: Diagnostic) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "end_line": found.end_line,
        "end_column": found.end_column,
        "message": found.message,
        "help": found.help,
        "related": [
            {"file": one.file, "line": one.line, "column": one.column, "message": one.message} for one in found.related
        ],
    }


def _said(attempt: Attempt) -> Iterator[str]:
    changes = _some(attempt.changes)
    match attempt.outcome:
        case "applied":
            yield changes or "nothing that has a name is different"
        case "unchanged":
            yield "nothing is different from what runs"
        case "refused":
            yield _refused(errors_of(attempt.diagnostics), attempt.left_out)
        case "failed":
            yield f"{attempt.error}{'' if attempt.in_force else '; nothing changed'}"
            yield from attempt.restart
        case "needs_restart":
            yield from attempt.restart
            yield f"in force is: {changes}" if changes else "all else is in force"
    if attempt.error and attempt.outcome != "failed":
        yield attempt.error


def _refused(errors: Sequence[Diagnostic], more: int) -> str:
    if not errors:
        return "the manifests are not valid; nothing changed"
    first = f"{_place(errors[0])}: {quote_line(errors[0].message)}"
    if len(errors) == 1:
        return f"1 error, at {first}; nothing changed"
    return f"{len(errors) + more:,} errors, the first at {first}; nothing changed"


def _place(diagnostic: Diagnostic) -> str:
    return f"{quote_line(diagnostic.file)}:{diagnostic.line}:{diagnostic.column}"


def _some(changes: Sequence[str]) -> str:
    more = len(changes) - NAMED
    return ", ".join(map(quote_line, changes[:NAMED])) + (f" and {more:,} more" if more > 0 else "")
