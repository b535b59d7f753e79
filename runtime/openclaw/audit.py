"""logs/audit.jsonl: what was decided and done, a line each, every line sealed with the hash of the line before it.

Law: a line is never changed and never taken away; so each holds its number `n` and in `before` the SHA-256 of the line
before it, and the chain goes on over the files that a log is divided into. What a crash tore off the end stays, and
the line after it says `torn`. A chain shows every edit of a line and every line that is missing in it. Lines cut off
its end, and a chain that was written anew, are shown by an anchor: the number and hash of a line, kept outside of the
log. The writer keeps one in the file `HEAD` beside the folder; where that does not fit the log when it starts, a line
says `lost`, so that this stays to be seen. Against somebody who changes both, only an anchor helps that was noted
elsewhere. After a break the chain is followed from there on, so that none hides another.
Pure but for reading; who writes is `stores/_audit.py`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

NAME = "audit.jsonl"  # what is written to now; earlier parts are audit-000001.jsonl and so on
HEAD = "audit-head"  # in the state folder: the anchor of the last line that was written
GENESIS = "0" * 64
TORN = "torn"
LOST = "lost"  # `lines`: how many; 0 where the anchor could not be read, or names another line than is there
_PART = re.compile(r"audit-([0-9]{6,})\.jsonl")
_ANCHOR = re.compile(r"0*([0-9]{1,18}):([0-9a-f]{64})\s*")
_TRIES = 100
_MOST_BREAKS = 1000
_END = 10**18  # no line has this number


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is not as it was written, or does not follow. `line` is 1-based in `file`."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`notes` say what a chain can bear: a torn line, and parts that are not there any more. `last` anchors its end."""

    lines: int
    broken: tuple[Broken, ...] = ()
    notes: tuple[str, ...] = ()
    last: str = field(default="", compare=False)


def sealed(record: Mapping[str, Any], number: int, before: str) -> bytes:
    """One line, without its end. The same record at the same place is the same bytes."""
    line = {"n": number, **record, "before": before}
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"), default=str).encode()


def seal(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def over(before: str, torn: bytes) -> str:
    """What the line after a torn one holds in `before`: a torn line does not vouch for the one before it."""
    return seal(before.encode() + torn)


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
                if record is not None and record.get("type") not in (TORN, LOST):
                    yield record


def parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def number(record: Mapping[str, Any]) -> int | None:
    """Which line it says it is; None for what none can be."""
    found = record.get("n")
    return found if type(found) is int and 0 < found < _END else None


def anchor(number: int, seal: str) -> str:
    return f"{number:020}:{seal}"


def anchored(text: str) -> tuple[int, str] | None:
    """The line that an anchor names, and its hash; None for what is no anchor."""
    found = _ANCHOR.fullmatch(text)
    return (int(found[1]), found[2]) if found else None


def head(path: Path) -> tuple[int, str] | None:
    """The anchor that the writer left; None where there is none. Raises ValueError for what cannot be read as one."""
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ValueError(f"it cannot be read ({problem.strerror})") from problem
    found = anchored(text)
    if found is None and text:
        raise ValueError("it holds no anchor")
    return found


def verify(folder: Path, anchors: Sequence[tuple[int, str]] = (), *, head: Path | None = None) -> Verdict:
    """Follows the chain from its first line to its last, and names every line that breaks it.

    The log may grow meanwhile, so the anchor in `head` is read before it, as `anchors` have to be. A part may become
    full; then what was read is read again."""
    verdict = Verdict(0, (Broken(NAME, 0, "its files change faster than they can be read"),))
    for _ in range(_TRIES):
        known = _known(head)
        found = files(folder)
        with suppress(FileNotFoundError):  # renamed since
            verdict = _followed(found, [*anchors, *([known] if isinstance(known, tuple) else [])])
            if isinstance(known, str) or (known is None and head is not None and verdict.lines):
                why = f"{known or 'it is not there'}, so lines that were cut off would not be missed"
                verdict = replace(verdict, broken=(*verdict.broken, Broken(HEAD, 0, why)))
            if not verdict.broken or (files(folder) == found and type(_known(head)) is type(known)):
                return verdict
    return verdict


def _known(path: Path | None) -> tuple[int, str] | str | None:
    """The anchor in this file, or what is wrong with it."""
    try:
        return head(path) if path is not None else None
    except ValueError as problem:
        return str(problem)


def _followed(found: Sequence[Path], anchors: Sequence[tuple[int, str]]) -> Verdict:
    chain = _Chain(anchors)
    for path in found:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                chain.follow(path.name, number, line)
    chain.end()
    return Verdict(chain.lines, tuple(chain.broken), tuple(chain.notes), chain.last)


def _lost(record: Mapping[str, Any]) -> int:
    """How many lines the writer missed before this one."""
    lines = record.get("lines") if record.get("type") == LOST else 0
    return lines if type(lines) is int and 0 < lines < _END else 0


class _Chain:
    """How far a chain was followed. A line that cannot be read is a torn one until the line after it denies that."""

    def __init__(self, anchors: Sequence[tuple[int, str]]) -> None:
        self.lines = 0
        self.broken: list[Broken] = []
        self.notes: list[str] = []
        self.last = ""
        self._anchors = anchors
        self._missed = {number for number, _ in anchors if number}
        self._place = (NAME, 0)
        self._next: int | None = None
        self._before = GENESIS
        self._torn: tuple[str, int] | None = None
        self._at = ""
        self._back: list[str] = []  # places where the time goes back
        self._more = 0  # breaks that are counted alone

    def follow(self, file: str, place: int, line: bytes) -> None:
        self._place = (file, place)
        whole = line.removesuffix(b"\n")
        record = parsed(whole)  # no beginning of a line can be read as one
        damaged = self._torn is not None and (record is None or record.get("type") not in (TORN, LOST))
        if self._torn is not None and damaged:
            self._break(f"the line before it, {self._torn[0]}:{self._torn[1]}, is damaged, and nobody noted a crash")
            self._torn, self._next = None, self._next and self._next + 1
        if record is None:
            self._torn, self._before = self._place, over(self._before, whole)
            return
        if self._next is None:
            self._begin(record)
        self._compare(record, damaged=damaged)
        self._settle(record, whole)
        self._look_at_the_clock(f"{file}:{place}", record.get("at"))

    def _break(self, why: str) -> None:
        if len(self.broken) < _MOST_BREAKS:
            self.broken.append(Broken(*self._place, why))
        else:
            self._more += 1

    def _begin(self, record: Mapping[str, Any]) -> None:
        """Where what was before is not there any more, nothing can be said about it."""
        self._next = max((number(record) or 1) - _lost(record), 1)
        if self._next > 1:
            self.notes.append(
                f"{self._place[0]} begins with line {self._next}: what was before it is not there any more"
            )
            self._before = str(record.get("before"))

    def _compare(self, record: Mapping[str, Any], *, damaged: bool) -> None:
        """Whether it follows the line before it, unless that was found to be damaged."""
        start = self._next or 1
        self._next = start + _lost(record)
        if self._next > start:
            self._break(f"line {start} to {self._next - 1} were not there when the writer began again here")
        elif record.get("type") == LOST:
            self._break(f"{HEAD} did not fit when the writer began again here: lines before may be lost or changed")
        if number(record) != self._next:
            self._break(f"its number is {record.get('n')!a}, and {self._next} would follow")
        elif record.get("before") != self._before and not damaged:
            first = self._before == GENESIS
            self._break("it does not begin a chain" if first else "the line before it is not the one that was written")

    def _settle(self, record: Mapping[str, Any], whole: bytes) -> None:
        if self._torn is not None:
            self.notes.append(f"{self._torn[0]}:{self._torn[1]} was torn by a crash; what it was to say is lost")
        found = number(record) or self._next or 1
        self._torn, self._before, self._next = None, seal(whole), found + 1
        self.last = anchor(found, self._before)
        self.lines += 1
        if found in self._missed:
            self._missed.discard(found)
            if any(known == found and noted != self._before for known, noted in self._anchors):
                self._break("it is another line than the one that was noted when it was written")

    def _look_at_the_clock(self, place: str, at: Any) -> None:
        seconds = str(at)[:19] if isinstance(at, str) else self._at
        if seconds < self._at:
            self._back.append(place)
        self._at = seconds

    def end(self) -> None:
        start = self._next or 1
        for missed in sorted(self._missed):
            if missed < start:
                self._break(f"line {missed}, which was noted when it was written, is not there")
        if (known := max(self._missed, default=0)) >= start:
            self._break(f"line {start} to {known} would follow: they were cut off, or lost with the power")
        if self._torn is not None:
            self.notes.append(f"{self._torn[0]}:{self._torn[1]} is torn: the last line was not written to its end")
        if self._back:
            more = ", ..." if len(self._back) > 5 else ""
            self.notes.append(f"the clock was set back before {', '.join(self._back[:5])}{more}")
        if self._more:
            self.notes.append(f"{self._more} more places are broken; the first {_MOST_BREAKS} are named")
