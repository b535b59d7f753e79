"""How long `openclaw validate` takes: on the default project, and on 500, 1,000 and 2,000 agents with as many tools.

Medians of real processes, in one run with two floors: `python -c pass`, and PyYAML's own reader in C over the same
files. Targets on a quiet machine: 150 ms for the default project, 2 s for 1,000 agents and 1,000 tools, and twice the
agents cost about twice the time. It also says which heavy modules were imported, which should be none. From the tests
folder:

    python -m bench.validate [--times 5] [--sizes 500 1000 2000]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.start import COUNT, HEAVY

ROOT = Path(__file__).resolve().parent.parent.parent
READ = """\
import sys, yaml
from pathlib import Path
for file in Path(sys.argv[1]).rglob("*.yaml"):
    yaml.load(file.read_bytes(), yaml.CSafeLoader)
"""
AGENT = """\
name: Agent {n}
description: Looks after matter number {n}
tools: [read_file, tool_{n}]
policy: careful
prefix: /agent_{n}
limits: {{iterations: 12}}
"""
TOOL = """\
  tool_{n}:
    description: Lists a folder for matter number {n}
    shell: ls -l {{folder}}
    input:
      folder: {{type: path}}
    timeout: 5s
"""
RULES = "policies:\n  careful:\n    rules:\n      - allow: [read_file, tool_*]\n"


@dataclass(frozen=True)
class Taken:
    """Milliseconds of one process, medians: by the clock, and of its own."""

    wall: float
    own: float

    def __str__(self) -> str:
        return f"{self.wall:7,.0f} ms wall {self.own:7,.0f} ms CPU"


def taken(times: int, *command: str) -> Taken:
    subprocess.run([sys.executable, *command], check=True, capture_output=True)  # so that its bytecode is there
    pairs = [once(command) for _ in range(times)]
    wall, own = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    return Taken(wall, own)


def once(command: Sequence[str]) -> tuple[float, float]:
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True, timeout=120)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def many(folder: Path, size: int) -> Path:
    """A project of so many agents, in folders of a hundred, and so many tools."""
    for n in range(size):
        place = folder / "agents" / f"team-{n // 100}"
        place.mkdir(parents=True, exist_ok=True)
        default = "default: true\n" if n == 0 else ""
        place.joinpath(f"agent-{n}.yaml").write_text(AGENT.format(n=n) + default)
    folder.joinpath("tools.yaml").write_text("tools:\n" + "".join(TOOL.format(n=n) for n in range(size)) + RULES)
    return folder


def heavy(project: Path) -> list[str]:
    told = subprocess.run(
        [sys.executable, "-c", COUNT, "validate", str(project)], capture_output=True, text=True, timeout=60, check=True
    )
    return sorted(set(HEAVY) & set(json.loads(told.stdout)))


def main() -> None:
    parser = argparse.ArgumentParser(description="how long a validation takes")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000])
    args = parser.parse_args()
    bare = taken(args.times, "-c", "pass")
    print(f"python -c pass          {bare}")
    own = taken(args.times, "-m", "openclaw", "validate", "--strict", str(ROOT))
    print(f"the default project     {own}   {own.own / bare.own:5.1f} x pass   target 150 ms", flush=True)
    print(f"heavy modules           {', '.join(heavy(ROOT)) or 'none'}")
    with tempfile.TemporaryDirectory() as place:
        sizes(Path(place), args.sizes, args.times)


def sizes(place: Path, wanted: Sequence[int], times: int) -> None:
    first: tuple[int, float] | None = None
    for size in wanted:
        project = many(place / str(size), size)
        floor = taken(times, "-c", READ, str(project))
        mine = taken(times, "-m", "openclaw", "validate", "--strict", str(project))
        first = first or (size, mine.own)
        growth = f"{mine.own / first[1]:4.2f} x the time for {size / first[0]:4.2f} x the size"
        print(f"{size:5,} agents, {size:5,} tools {mine}   {mine.own / floor.own:4.1f} x reading them in C ({floor})")
        print(f"{'':24}{growth}", flush=True)


if __name__ == "__main__":
    main()
