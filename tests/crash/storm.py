"""The storm: people talk in every mode of queueing, tools leave traces, manifests are edited, and again and again the
process is killed.

    python -m crash.storm --minutes 10 --seed 7         in the folder of the tests; prints the seed and the table

What goes on is `storm_scene`, what is served `storm_project`; who judges what is left is `storm_judge`.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from crash.storm_judge import Found, judge, table
from crash.storm_project import MODES, free_ports, site
from crash.storm_scene import Storm
from doubles import warm
from doubles.telegram_server import TelegramServer


def stormed(
    root: Path, *, seed: int, seconds: float, runner: Sequence[str] = ("-m", "openclaw")
) -> tuple[Storm, Found]:
    """The storm and what is found after it."""
    print(f"\nseed {seed}", flush=True)
    with TelegramServer() as telegram:
        ports = free_ports(len(MODES))
        storm = Storm(site(root, telegram.url, ports, runner), seed, telegram, ports)
        storm.run(seconds)
        return storm, judge(storm)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m crash.storm", description="Kills a runtime under load and judges.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, which stays")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="storm-") as made_up:
        try:
            storm, found = stormed(given.keep or Path(made_up), seed=given.seed, seconds=given.minutes * 60)
        finally:
            warm.close()
        print(table(storm, found))
        for name, wrong in found.faults().items():
            print(f"{name}:", *wrong[:20], sep="\n  ")
    return 1 if found.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
