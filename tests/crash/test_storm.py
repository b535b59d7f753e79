"""The storm, short: people in every mode of queueing, edits, approvals, heartbeats and a phone, under random kills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crash.storm import stormed
from crash.storm_judge import Found, table

CARELESS = (str(Path(__file__).with_name("without_intents.py")),)


def found_after(root: Path, *, seed: int, seconds: float, runner: tuple[str, ...] = ("-m", "openclaw")) -> Found:
    """CRASH_SEED has another storm."""
    storm, found = stormed(root, seed=int(os.environ.get("CRASH_SEED", seed)), seconds=seconds, runner=runner)
    print(table(storm, found))
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_storm_loses_nothing_doubles_nothing_and_keeps_every_order(tmp_path: Path) -> None:
    found = found_after(tmp_path, seed=90, seconds=80)
    assert found.faults() == {}
    assert found.unknown > 0 and found.together > 20, "the kills hit hardly anything: the storm proves little"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_intents_a_storm_finds_effects_that_ran_twice(tmp_path: Path) -> None:
    found = found_after(tmp_path, seed=7, seconds=25, runner=CARELESS)
    assert found.doubled != []
    assert (found.lost, found.reordered, found.unreadable) == ([], [], [])
