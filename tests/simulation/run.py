"""Runs many schedules, or one with its trace: `python -m simulation.run --seeds 1000 --first 1`, or `--seed 17`.

Says how many ran, how many a minute of the processor's time, which failed and why; ends with 1 where one did.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulation.breakages import BREAKAGES
from simulation.judge import judge
from simulation.lives import WHOLE, Breakage, Run, Schedule, clear, workplace

COLLECT = 25  # schedules after which what they left in memory is let go of


@dataclass(slots=True)
class Outcome:
    """What came of one seed. `found` is empty where every promise was kept."""

    run: Run
    found: list[str]

    @property
    def digest(self) -> str:
        return self.run.outside.digest


@dataclass(slots=True)
class Tally:
    schedules: int = 0
    messages: int = 0
    effects: int = 0
    seconds: float = 0.0  # of the processor
    failing: dict[int, list[str]] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, seed: int, outcome: Outcome) -> None:
        found = outcome.run.outside.found
        self.schedules += 1
        self.messages += len(found.accepted)
        self.effects += len(found.effects)
        self.ends.update(outcome.run.ends)
        self.faults.update(found.faults)
        if outcome.found:
            self.failing[seed] = outcome.found

    def table(self) -> str:
        rate = self.schedules / self.seconds * 60 if self.seconds else 0.0
        faults = ", ".join(f"{what} {count:,}" for what, count in sorted(self.faults.items()))
        ends = ", ".join(f"{what} {count:,}" for what, count in sorted(self.ends.items()))
        return "\n".join(
            [
                f"schedules {self.schedules:,}, seeds failing {len(self.failing)}, {rate:,.0f} a minute of one core",
                f"messages accepted {self.messages:,}, effects of tools {self.effects:,}",
                f"lives ended: {ends}",
                f"faults: {faults}",
            ]
        )


def outcome_of(seed: int, breakage: Breakage = WHOLE, *, keep_trace: bool = False) -> Outcome:
    with _place() as schedule_in:
        run = Schedule(seed, schedule_in, breakage, keep_trace=keep_trace).run()
        return Outcome(run, judge(run))


def sweep(seeds: Sequence[int], breakage: Breakage = WHOLE, *, tell: bool = False) -> Tally:
    """`tell`: prints what is found when it is."""
    tally, began = Tally(), time.process_time()
    for seed in seeds:
        outcome = outcome_of(seed, breakage)
        tally.add(seed, outcome)
        if tell and outcome.found:
            print(f"seed {seed}", *outcome.found[:5], sep="\n    ", flush=True)
        if tally.schedules % COLLECT == 0:
            gc.collect()
    tally.seconds = time.process_time() - began
    return tally


@contextmanager
def _place() -> Iterator[Path]:
    folder = workplace()
    try:
        yield folder
    finally:
        clear(folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m simulation.run", description="Runs simulated schedules.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone, with its trace")
    parser.add_argument("--breakage", choices=sorted(BREAKAGES), help="break the runtime on purpose")
    given = parser.parse_args()
    breakage = BREAKAGES[given.breakage] if given.breakage else WHOLE
    if given.seed is not None:
        return _show(outcome_of(given.seed, breakage, keep_trace=True))
    tally = sweep(range(given.first, given.first + given.seeds), breakage, tell=True)
    print(tally.table())
    return 1 if tally.failing else 0


def _show(outcome: Outcome) -> int:
    print(*(outcome.run.outside.trace or ()), sep="\n")
    print(f"lives ended: {', '.join(outcome.run.ends)}; digest {outcome.digest}")
    print(*(outcome.found or ["every promise was kept"]), sep="\n")
    return 1 if outcome.found else 0


if __name__ == "__main__":
    raise SystemExit(main())
