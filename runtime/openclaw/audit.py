"""logs/audit.jsonl: what was decided and done, a line each, every line sealed with the hash of the line before it.

Law: a line is never changed and never taken away; so each holds its number `n` and in `before` the SHA-256 of the line
before it, and the chain goes on over the files that a log is divided into. What a crash tore off the end stays, and
the line after it says `torn`. A chain shows every edit of a line and every line that is missing in it. Lines cut off
its end, and a chain that was written anew, are shown by an anchor: the number and hash of a line, kept outside of the
log. The writer keeps one in the file `HEAD` beside the folder; against somebody who changes that too, only one helps
that was noted elsewhere.
Pure but for reading; who writes is `stores/_audit.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "audit.jsonl"  # what is written to now; earlier parts are audit-000001.jsonl and so on
HEAD = "audit-head"  # in the state folder: the anchor of the last line that was written
GENESIS = "0" * 64
TORN = "torn"
_PART = re.compile(r"audit-([0-9]{6,})\.jsonl")
_ANCHOR = re.compile(r"0*([0-9]{1,18}):([0-9a-f]{64})\s*")
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Broken:
    """The first line that is not as it was written. `line` is 1-based in `file`."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`notes` say what a chain can bear: a torn line, and parts that are not there any more. `last` anchors its end."""

    lines: int
    broken: Broken | None = None
    notes: tuple[str, ...] = ()
    last: str = field(default="", compare=False)


def sealed(record: Mapping[str, Any], number: int, before: str) -> bytes:
    """One line, without its end. The same record at the same place is the same bytes."""
    line = {"n": number, **record, "before": before}
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str).encode()


def seal(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def part(number: int) -> str:
    return f"audit-{number:06}.jsonl"


def part_number(name: str) -> int | None:
    found = _PART.fullmatch(name)
    return int(found[1]) if found else None


def files(folder: Path) -> list[Path]:
    """Every part, the oldest first."""
    parts = sorted((number, path) for path in folder.glob("audit-*.jsonl") if (number := part_number(path.name)))
    now = folder / NAME
    return [*(path for _, path in parts), *([now] if now.is_file() else [])]


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """What can be read, the oldest first; what cannot is left to `verify`."""
    for path in files(folder):
        with suppress(FileNotFoundError), path.open("rb") as file:
            for line in file:
                record = parsed(line)
                if record is not None and record.get("type") != TORN:
                    yield record


def parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def anchor(number: int, seal: str) -> str:
    return f"{number:020}:{seal}"


def anchored(text: str) -> tuple[int, str] | None:
    """The line that an anchor names, and its hash; None for what is no anchor."""
    found = _ANCHOR.fullmatch(text)
    return (int(found[1]), found[2]) if found else None


def head(path: Path) -> tuple[int, str] | None:
    """The anchor that the writer left; None where there is none, or none that can be read."""
    try:
        return anchored(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def verify(folder: Path, anchors: Sequence[tuple[int, str]] = ()) -> Verdict:
    """Follows the chain from its first line to its last, and stops at the first that breaks it. Anchors have to be
    read before: the log may grow meanwhile. So may a part become full; then what was read is read again."""
    verdict = Verdict(0, Broken(NAME, 0, "its files change faster than they can be read"))
    for _ in range(_TRIES):
        found = files(folder)
        with suppress(FileNotFoundError):  # renamed since
            verdict = _followed(found, anchors)
            if verdict.broken is None or files(folder) == found:
                return verdict
    return verdict


def _followed(found: Sequence[Path], anchors: Sequence[tuple[int, str]]) -> Verdict:
    chain, place = _Chain(anchors), (NAME, 0)
    for path in found:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                place = (path.name, number)
                why = chain.follow(*place, line)
                if why is not None:
                    return Verdict(chain.lines, Broken(*place, why), tuple(chain.notes))
    missing = chain.missing()
    broken = None if missing is None else Broken(*place, missing)
    return Verdict(chain.lines, broken, tuple(chain.ended()), chain.last)


class _Chain:
    """How far a chain was followed. A line that cannot be read is a torn one until the line after it denies that."""

    def __init__(self, anchors: Sequence[tuple[int, str]]) -> None:
        self.lines = 0
        self.notes: list[str] = []
        self.last = ""
        self._anchors = anchors
        self._next: int | None = None
        self._before = GENESIS
        self._torn: tuple[str, int] | None = None
        self._at = ""
        self._back: list[str] = []  # places where the time goes back

    def follow(self, file: str, number: int, line: bytes) -> str | None:
        """Why this line breaks the chain; None where it goes on."""
        whole = line.removesuffix(b"\n")
        record = parsed(whole)  # no beginning of a line can be read as one
        if self._torn is not None and (record is None or record.get("type") != TORN):
            return f"the line before it, {self._torn[0]}:{self._torn[1]}, is damaged, and nobody noted a crash"
        if record is None:
            self._torn, self._before = (file, number), seal(whole)
            return None
        why = self._breaks(file, record)
        if why is not None:
            return why
        self._settle(record, whole)
        self._look_at_the_clock(f"{file}:{number}", record.get("at"))
        noted = all(seal == self._before for number, seal in self._anchors if number == record["n"])
        return None if noted else "it is another line than the one that was noted when it was written"

    def _breaks(self, file: str, record: Mapping[str, Any]) -> str | None:
        if self._next is None:
            return self._begin(file, record)
        if record.get("n") != self._next:
            return f"its number is {record.get('n')!a}, and {self._next} would follow"
        if record.get("before") != self._before:
            return "the line before it is not the one that was written"
        return None

    def _begin(self, file: str, record: Mapping[str, Any]) -> str | None:
        number = record.get("n")
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            return f"its number is {number!a}"
        if number == 1 and record.get("before") != self._before:
            return "it does not begin a chain"
        if number > 1:
            self.notes.append(f"{file} begins with line {number}: what was before it is not there any more")
        return None

    def _settle(self, record: Mapping[str, Any], whole: bytes) -> None:
        if self._torn is not None:
            self.notes.append(f"{self._torn[0]}:{self._torn[1]} was torn by a crash; what it was to say is lost")
        self._torn, self._before = None, seal(whole)
        self._next = int(record["n"]) + 1
        self.last = anchor(int(record["n"]), self._before)
        self.lines += 1

    def _look_at_the_clock(self, place: str, at: Any) -> None:
        seconds = str(at)[:19] if isinstance(at, str) else self._at
        if seconds < self._at:
            self._back.append(place)
        self._at = seconds

    def missing(self) -> str | None:
        """What an anchor knows of lines after the last."""
        known = max((number for number, _ in self._anchors), default=0)
        start = self._next or 1
        if known < start:
            return None
        return f"line {start} to {known} would follow: they were cut off, or lost with the power"

    def ended(self) -> list[str]:
        if self._torn is not None:
            self.notes.append(f"{self._torn[0]}:{self._torn[1]} is torn: the last line was not written to its end")
        if self._back:
            self.notes.append(
                f"the clock was set back before {', '.join(self._back[:5])}{', ...' if len(self._back) > 5 else ''}"
            )
        return self.notes
