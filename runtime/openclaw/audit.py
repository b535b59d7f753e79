"""logs/audit.jsonl: what was decided and done, a line each, every line sealed with the hash of the line before it.

Law: a line is never changed and never taken away; so each holds its number `n` and in `before` the SHA-256 of the line
before it, and the chain goes on over the files that a log is divided into. What a crash tore off the end stays, and
the line after it says `torn`. A chain shows every edit of a line and every line that is missing; against somebody who
writes the whole log anew, and against lines cut off the end, it proves nothing.
Pure but for reading; who writes is `stores/_audit.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "audit.jsonl"  # what is written to now; earlier parts are audit-000001.jsonl and so on
GENESIS = "0" * 64
TORN = "torn"
_PART = re.compile(r"audit-([0-9]{6,})\.jsonl")


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
    """`notes` say what a chain can bear: a torn line, and parts that are not there any more."""

    lines: int
    broken: Broken | None = None
    notes: tuple[str, ...] = ()


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
        with path.open("rb") as file:
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


def verify(folder: Path) -> Verdict:
    """Follows the chain from its first line to its last, and stops at the first that breaks it."""
    chain = _Chain()
    for path in files(folder):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                why = chain.follow(path.name, number, line)
                if why is not None:
                    return Verdict(chain.lines, Broken(path.name, number, why), tuple(chain.notes))
    return Verdict(chain.lines, None, tuple(chain.ended()))


class _Chain:
    """How far a chain was followed. A line that cannot be read is a torn one until the line after it denies that."""

    def __init__(self) -> None:
        self.lines = 0
        self.notes: list[str] = []
        self._next: int | None = None
        self._before = GENESIS
        self._torn: tuple[str, int] | None = None

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
        if why is None:
            self._settle(record, whole)
        return why

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
        self.lines += 1

    def ended(self) -> list[str]:
        if self._torn is not None:
            self.notes.append(f"{self._torn[0]}:{self._torn[1]} is torn: the last line was not written to its end")
        return self.notes
