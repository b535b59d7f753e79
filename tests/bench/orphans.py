"""What it costs to be able to end commands after a crash: their records, and the look for what was left.

Prints milliseconds of one command's record (made, added to, taken away) beside the start and end of the cheapest
program there is, and of the look at a start with nothing left and with one record. From the tests folder:

    python -m bench.orphans [--times 500]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from openclaw.messages import Call
from openclaw.tools._orphans import Record, end_left


def each(what: str, times: int, work: Callable[[], object]) -> float:
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    print(f"{what:<44} p50 {took[len(took) // 2]:7.3f} ms   p95 {took[int(len(took) * 0.95)]:7.3f} ms", flush=True)
    return took[len(took) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description="what the records of commands cost")
    parser.add_argument("--times", type=int, default=500)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        call = Call("main", "agent:main:bench", "repl:local", state, "toolu_1")

        def recorded() -> None:
            record = Record(state, call)
            record.begin()
            record.started(os.getpid())
            record.end()

        mine = each("a record", times, recorded)
        floor = each("/bin/true, started and waited for", times // 5, lambda: subprocess.run(["/bin/true"], check=True))
        print(f"{'a record, of the cheapest command':<44} {mine / floor:7.1%}")
        each("the look at a start, nothing left", times, lambda: end_left(state))

        def one_left() -> None:
            Record(state, call).begin()
            end_left(state)

        processes = sum(path.name.isdigit() for path in Path("/proc").iterdir())
        each(f"the same, one record, {processes} processes", times // 10, one_left)


if __name__ == "__main__":
    main()
