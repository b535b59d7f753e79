"""Whole runtimes on a disk that forgets, in time that is a number, under schedules drawn from seeds.

`OPENCLAW_SIMULATION_SEED=17 pytest tests/simulation -k replayed` runs one seed again and shows its trace where it
fails; `python -m simulation.run` in tests/ runs as many as are wanted.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from simulation.breakages import BREAKAGES
from simulation.lives import WHOLE, Breakage
from simulation.run import outcome_of, sweep

SEED = os.environ.get("OPENCLAW_SIMULATION_SEED")
pytestmark = pytest.mark.filterwarnings(  # of generators that a dead runtime never ended: nothing of it counts
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine method 'aclose':RuntimeWarning"
)
MOST = 400  # seeds in which a breakage must show


def first_found(breakage: Breakage, word: str, seeds: Iterable[int] = range(1, MOST)) -> str | None:
    """The first finding of these seeds that holds the word."""
    for seed in seeds:
        for found in outcome_of(seed, breakage).found:
            if word in found:
                return found
    return None


def test_every_promise_is_kept_in_some_schedules() -> None:
    tally = sweep(range(1, 33))
    assert tally.failing == {}
    assert tally.messages > 100 and tally.faults["crash"] > 20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_promise_is_kept_in_more_than_a_thousand_schedules() -> None:
    tally = sweep(range(1_000, 2_600))
    print(tally.table())
    assert tally.failing == {}


@pytest.mark.parametrize(
    "breakage", [WHOLE, pytest.param(BREAKAGES["settled before the reply is kept"], marks=pytest.mark.slow)]
)
def test_what_a_dead_runtime_left_open_is_let_go_of(breakage: Breakage) -> None:
    outcome_of(1, breakage)
    gc.collect()
    before = _descriptors()
    tally = sweep(range(2, 10), breakage)
    gc.collect()
    assert tally.ends["cut"] > 5
    assert _descriptors() == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(SEED is None, reason="OPENCLAW_SIMULATION_SEED names no seed")
def test_the_seed_that_is_named_is_replayed() -> None:
    outcome = outcome_of(int(SEED or 0), keep_trace=True)
    assert outcome.found == [], "\n".join(outcome.run.outside.trace or ())


def test_the_same_seed_gives_the_same_trace_and_another_one_another() -> None:
    one, again, other = outcome_of(5), outcome_of(5, keep_trace=True), outcome_of(6)
    assert one.digest == again.digest != other.digest
    assert again.run.outside.trace


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_seed_gives_the_same_trace_in_another_process() -> None:
    here = [outcome_of(seed).digest for seed in (6, 33)]
    for hashes in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        told = [_told(seed, environment) for seed in (6, 33)]
        assert [digest in text for digest, text in zip(here, told, strict=True)] == [True, True]


def _told(seed: int, environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "simulation.run", "--seed", str(seed)]
    tests = Path(__file__).parents[1]
    return subprocess.run(command, cwd=tests, env=environment, capture_output=True, text=True, timeout=120).stdout


def test_effects_that_run_twice_without_an_intent_are_found() -> None:
    assert first_found(BREAKAGES["no intent is written"], "had its effect 2 times")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_reply_that_is_kept_after_its_message_was_settled_is_found_lost() -> None:
    assert first_found(BREAKAGES["settled before the reply is kept"], "never entered the outbox")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_reply_that_is_sent_without_a_note_is_found_twice_without_a_mark() -> None:
    assert first_found(BREAKAGES["sent without a note"], "again, without a mark")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_lines_that_are_never_synced_are_found_missing() -> None:
    assert first_found(BREAKAGES["nothing is synced"], "had its effect 2 times")
