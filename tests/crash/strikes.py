"""Sweeps: runtimes that do the same work, each struck at another call to the disk, and another one that goes on.

Law: every call of a run without a fault is struck once, each in a run of its own: it is found again by its name, its
sort of file, and its number among those over all threads, which does not depend on how threads take turns. What is
told of a sweep is what happened in it: each struck call with its file, each way a runtime ended, and what the oracle
found afterwards.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash.harness import Life, Site
from crash.oracle import Findings
from crash.striker import CALLS, kind
from crash.worklist import Work, place

SIDE_BY_SIDE = 4  # runtimes; each waits a good deal for its disk and for a reminder
LOCKS = frozenset({"fcntl"})  # SQLite's: they leave nothing on disk
NAMES = frozenset(name for name, _ in CALLS.values())

HUNG = -1  # the status of what neither ended nor went on

Call = tuple[int, str, str]  # thread, name, file


@dataclass(frozen=True, slots=True)
class Strike:
    """What meets which calls: those of these names, below these places of the site (all of the state folder, and the
    file to which tools write). `error` is the name of an errno; "" kills."""

    error: str = ""
    only: frozenset[str] = NAMES - LOCKS
    below: tuple[str, ...] = ("state", "project/effects")
    module: str = "openclaw"

    def wish(self, site: Site, number: int, call: str, file: str) -> str:
        return json.dumps(
            {
                "module": self.module,
                "folders": [str(site.root / each) for each in self.below],
                "number": number,
                "only": [call] if call else sorted(self.only),
                "file": file,
                "error": self.error,
                "report": str(site.root / "report"),
            }
        )

    def runner(self) -> tuple[str, str]:
        return ("-m", self.module)

    def judged(self, work: Work) -> Findings:
        found = work.judged()
        if self.error:
            found.traces.clear()  # a disk that fails is a log entry with all its details
        if self.module != "openclaw":
            found.silent.clear()  # where no intent is written, none is missing
        return found


@dataclass(slots=True)
class Outcome:
    """Of one runtime that was struck, and of the one that went on."""

    status: int
    seen: list[Call]
    struck: Call | None
    found: Findings
    ready: float = 0.0  # seconds from the start of the second to its serving
    done: float = 0.0  # and to the end of all work


@dataclass(slots=True)
class Sweep:
    """What became of all that were struck."""

    name: str
    dry: list[Call]  # of a run in which nothing was struck
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    @property
    def struck(self) -> list[Call]:
        return [one.struck for one in self.outcomes.values() if one.struck]

    @property
    def ends(self) -> Counter[int]:
        return Counter(one.status for one in self.outcomes.values() if one.struck)

    def faults(self) -> dict[int, object]:
        return {number: one.found.faults() for number, one in self.outcomes.items() if one.found.faults()}

    def row(self) -> dict[str, object]:
        """A line of the table: sites, faults of each kind, what is allowed, and the slowest recovery."""
        every = [one.found for one in self.outcomes.values()]
        counts = {head: sum(len(getattr(one, name)) for one in every) for head, name in HEADS.items()}
        return {
            "sweep": self.name,
            "sites": f"{len(self.struck)} of {len(self.dry)}",
            **counts,
            "answered together": sum(one.together for one in every),
            "unknown reported": sum(one.unknown for one in every),
            "told of it": sum(one.notified for one in every),
            "marked twice": sum(one.repeated for one in every),
            "torn": sum(one.torn for one in every),
            "ready, s": f"{max((one.ready for one in self.outcomes.values()), default=0):.2f}",
            "all done, s": f"{max((one.done for one in self.outcomes.values()), default=0):.2f}",
        }


HEADS = {
    "lost": "lost",
    "answered twice": "double",
    "reordered": "reordered",
    "tool run twice": "twice",
    "effect lost": "silent",
    "heartbeat twice": "beats",
    "unreadable": "unreadable",
    "unpaired": "unpaired",
    "twice unmarked": "unmarked",
    "tracebacks": "traces",
}


def swept(root: Path, name: str, strike: Strike, *, stride: int = 1, every_sort: bool = False) -> Sweep:
    """Strikes every `stride`th call in a runtime of its own, from the first call to the last; with `every_sort` every
    `stride`th of each sort, so that none is left out."""
    root.mkdir(parents=True)
    work, dry = first(root / "dry", strike, 0)
    dry.found = strike.judged(work)
    assert not dry.found.faults(), f"where nothing was struck there are {dry.found.faults()}"
    found = Sweep(name, dry.seen)
    each = list(enumerate(ordered(dry.seen), 1))
    sites = dict([one for one in each if one[1][0] % stride == 1 % stride] if every_sort else each[::stride])
    with ThreadPoolExecutor(SIDE_BY_SIDE) as side:
        outcomes = side.map(lambda at: both(root / str(at), strike, *sites[at]), sites)
        found.outcomes.update(zip(sites, outcomes, strict=True))
    return found


def ordered(calls: Sequence[Call]) -> list[tuple[int, str, str]]:
    """Each call by its name, its sort of file, and its number among those: threads may take turns differently in the
    next run, but this one comes in every run."""
    counted: Counter[tuple[str, str]] = Counter()
    found = []
    for _, name, path in calls:
        counted[name, kind(path)] += 1
        found.append((counted[name, kind(path)], name, kind(path)))
    return found


def first(root: Path, strike: Strike, number: int, call: str = "", file: str = "") -> tuple[Work, Outcome]:
    """A runtime that is struck at its call of this number among those of this name on this sort of file; 0: at none."""
    site = place(root, strike.runner())
    work = Work(site)
    under = ("-m", "crash.striker", strike.wish(site, number, call, file))
    with Life(site, under=under, input=subprocess.PIPE) as life:
        if work.done(life):
            life.stop(60)
    told = json.loads((root / "report").read_text())
    seen = [] if number else [_call(each) for each in told["seen"]]
    return work, Outcome(told["status"], seen, told["struck"] and _call(told["struck"]), Findings())


def both(root: Path, strike: Strike, number: int, call: str, file: str) -> Outcome:
    """A runtime that is struck, and one that goes on. Their folder stays where something is wrong."""
    outcome = Outcome(HUNG, [], None, Findings())
    try:
        work, outcome = first(root, strike, number, call, file)
        _gone_on(work, outcome)
        outcome.found = strike.judged(work)
    except AssertionError as wrong:
        outcome.found.lost.append(str(wrong))
    if not outcome.found.faults():
        shutil.rmtree(root)
    return outcome


def _gone_on(work: Work, outcome: Outcome) -> None:
    """The next runtime has all of it done, and is killed at once: nothing may depend on its having been ended."""
    with Life(work.site, input=subprocess.PIPE) as life:
        assert work.done(life), f"the next start ended by itself: {(work.site.root / 'stderr').read_text()[-3000:]}"
        outcome.done, outcome.ready = time.monotonic() - life.began, work.ready - life.began


def _call(told: Sequence[Any]) -> Call:
    thread, name, path = told
    return int(thread), str(name), str(path)


# ── what is shown ────────────────────────────────────────────────────────────────────────────────


def shares(sweep: Sweep, by: Callable[[Call], str]) -> dict[str, tuple[int, int]]:
    """How many calls of each sort there were in the run without a fault, and how many were struck."""
    there, struck = Counter(map(by, sweep.dry)), Counter(map(by, sweep.struck))
    return {sort: (there[sort], struck[sort]) for sort in sorted(there | struck, key=lambda each: (-there[each], each))}


def table(lines: Sequence[Mapping[str, object]]) -> str:
    """Heads, and a line for each."""
    heads = list(lines[0])
    widths = [max(len(head), *(len(str(line[head])) for line in lines)) for head in heads]
    told = [heads, *([str(line[head]) for head in heads] for line in lines)]
    return "\n".join("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)) for line in told)
