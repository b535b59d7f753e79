"""What the sandbox costs a command: milliseconds from start to end, as a ratio of a plain start in the same run.

Each round starts every kind once, so that a busy machine is busy for all of them. `find out` is the trial that a
runtime makes once, in the background; `search` is what is looked for in a workspace of many folders. From the tests
folder:

    python -m bench.sandbox [--rounds 60] [--folders 5000]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from openclaw.messages import Confinement, Step
from openclaw.tools._sandbox import Box, Sandbox, candidates
from openclaw.tools._sandbox_masks import Guards
from openclaw.tools._sandbox_trial import holds

STEP = Step(("true",), program="/usr/bin/true")
SURROUNDINGS = {"PATH": "/usr/bin:/bin"}


def once(box: Box, workspace: Path) -> float:
    began = time.perf_counter()
    launch = box.launch(STEP, workspace, SURROUNDINGS, 60.0)
    subprocess.run(launch.argv, executable=launch.program, env=dict(launch.environment), check=True)
    return (time.perf_counter() - began) * 1e3


def boxed(sandbox: Sandbox, confinement: Confinement) -> float:
    box = sandbox.box(confinement, several=False)
    try:
        return once(box, confinement.workspace)
    finally:
        box.close()


def quantiles(name: str, found: list[float], plain: float) -> None:
    p50, p95 = statistics.median(found), sorted(found)[int(len(found) * 0.95)]
    print(f"{name:<28} p50 {p50:7.1f} ms  p95 {p95:7.1f} ms  {p50 / plain:5.1f} x plain  + {p50 - plain:5.1f} ms")


def commands(sandbox: Sandbox, workspace: Path, rounds: int) -> None:
    kinds = {"plain": Confinement("none", workspace)}
    for walls in candidates():
        kinds[f"{walls.mechanism}, unasked"] = Confinement(walls.mechanism, workspace)
        kinds[f"{walls.mechanism}, approved"] = Confinement(walls.mechanism, workspace, writable=True)
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 3):
        for name, confinement in kinds.items():
            took = boxed(sandbox, confinement)
            if number >= 3:  # the first ones read programs from the disk
                found[name].append(took)
    for name, times in found.items():
        quantiles(name, times, statistics.median(found["plain"]))


def timed(what: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    print(f"{what:<28} {(time.perf_counter() - began) * 1e3:7.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--folders", type=int, default=5000)
    args = parser.parse_args()
    sandbox = Sandbox()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder).resolve()
        commands(sandbox, workspace, args.rounds)
        for walls in candidates():
            timed(f"find out: {walls.mechanism}", lambda walls=walls: holds(sandbox, walls))  # type: ignore[misc]
        for number in range(args.folders):
            place = workspace / str(number % 50) / str(number)
            place.mkdir(parents=True)
            (place / "file").touch()
        guards, confinement = Guards(), Confinement("bubblewrap", workspace)
        timed(f"search: {args.folders} folders", lambda: guards.masks(confinement))
        timed("search: again", lambda: guards.masks(confinement))
    sandbox.close()


if __name__ == "__main__":
    main()
