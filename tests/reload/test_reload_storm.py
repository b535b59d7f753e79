"""The storm of reloads, short; and that its judge finds what is wrong in a record that was doctored."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reload.reload_storm import stormed
from reload.reload_storm_judge import KB, KB_A_MESSAGE, POOLED, Edit, Found, Record, Said, judge, table
from reload.reload_storm_project import Asked


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_hundred_reloads_under_load_lose_halve_and_double_nothing_and_leave_nothing_behind(tmp_path: Path) -> None:
    """RELOAD_SEED has another storm."""
    record, found = stormed(tmp_path, reloads=180, sessions=20, seed=int(os.environ.get("RELOAD_SEED", "9")))
    print(table(record, found))
    assert found.faults() == {}
    assert len(record.edits) == 200 and {edit.trigger for edit in record.edits} == {"edit", "POST", "SIGHUP"}
    assert len(record.said) > 200 and any(asked.policy for asked in record.asked), "hardly anybody talked"


def good() -> Record:
    """Two sessions over two versions; the turn of m-0-0 began under 0, and was refused by what came later."""
    told = Asked("m-0-0", (0, 0, 0), (), ())
    return Record(
        said=[
            Said("m-0-0", "a", 0, 2, "re m-0-0"),
            Said("m-0-1", "a", 2, 2, "re m-0-1"),
            Said("m-1-1", "b", 0, 2, "re m-1-1"),
        ],
        asked=[
            told,
            replace(told, code=(0,), policy=(2,)),
            Asked("m-0-1", (2, 2, 2), (), ()),
            Asked("m-1-1", (0, 0, 0), (), ()),
        ],
        edits=[Edit(1, "key", "edit", "refused", 200.0), Edit(2, "", "POST", "applied", 40.0)],
        sessions={"a": [("m-0-0", ["re m-0-0"]), ("m-0-1", ["re m-0-1"])], "b": [("m-1-1", ["re m-1-1"])]},
        before={"kB": 100_000, "fds": 20, "tasks": 20},
        after={"kB": 100_900, "fds": 22, "tasks": 21},
    )


def lost(record: Record) -> None:
    record.said[0] = replace(record.said[0], reply=None)


def forgotten(record: Record) -> None:
    record.sessions["a"].pop()


def mixed(record: Record) -> None:
    record.asked[2] = replace(record.asked[2], told=(2, 2, 0))


def changed_within(record: Record) -> None:
    record.asked[1] = replace(record.asked[1], told=(2, 2, 2))


def other_code(record: Record) -> None:
    record.asked[1] = replace(record.asked[1], code=(2,))


def broken_version(record: Record) -> None:
    record.asked[3] = replace(record.asked[3], told=(1, 1, 1))


def looser(record: Record) -> None:
    """Refused by what was before the turn's own."""
    record.asked[2] = replace(record.asked[2], policy=(0,))


def old(record: Record) -> None:
    record.asked[2] = replace(record.asked[2], told=(0, 0, 0))


def run_twice(record: Record) -> None:
    record.asked.append(record.asked[3])


def replied_twice(record: Record) -> None:
    record.sessions["b"][0][1].append("re m-1-1")


def swapped(record: Record) -> None:
    record.sessions["a"].reverse()


def cut_off(record: Record) -> None:
    record.broken.append("m-1-1: the connection broke")


def applied_though_broken(record: Record) -> None:
    record.edits[0] = replace(record.edits[0], outcome="applied")


def refused_though_good(record: Record) -> None:
    record.edits[1] = replace(record.edits[1], outcome="unchanged")


def fat(record: Record) -> None:
    record.after = {**record.after, "kB": record.before["kB"] + KB + KB_A_MESSAGE * len(record.said) + 1}


def leaking(record: Record) -> None:
    record.after = {**record.after, "fds": record.before["fds"] + POOLED + 1}


def crowded(record: Record) -> None:
    record.after = {**record.after, "tasks": record.before["tasks"] + 3}


DOCTORED: list[tuple[Callable[[Record], None], str]] = [
    (lost, "lost"),
    (forgotten, "lost"),
    (mixed, "half"),
    (changed_within, "half"),
    (other_code, "half"),
    (broken_version, "half"),
    (looser, "half"),
    (old, "stale"),
    (run_twice, "doubled"),
    (replied_twice, "doubled"),
    (swapped, "reordered"),
    (cut_off, "dropped"),
    (applied_though_broken, "misjudged"),
    (refused_though_good, "misjudged"),
    (fat, "grown"),
    (leaking, "grown"),
    (crowded, "grown"),
]


@pytest.mark.parametrize(("doctor", "name"), DOCTORED, ids=[doctor.__name__ for doctor, _ in DOCTORED])
def test_the_judge_finds_what_is_wrong(doctor: Callable[[Record], None], name: str) -> None:
    record = good()
    assert judge(record) == Found()
    doctor(record)
    assert set(judge(record).faults()) == {name}
