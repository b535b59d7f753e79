"""A heartbeat each minute on the real command, which is killed and started again: each minute is in the history once.

Once on real minutes, and again on a clock that runs thirty times as fast, and that is moved while it runs, where
Debian's `faketime` is installed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crash.harness import Life, Site, made, until
from crash.oracle import rows

PRELOADED = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
faked = pytest.mark.skipif(PRELOADED is None, reason="faketime is not installed; on Debian: apt install faketime")
BEATS = 'heartbeats:\n  beat: {cron: "* * * * *", prompt: "PROMPT", agent: main, timezone: UTC}\n'
MINUTE = timedelta(minutes=1)
MISSED = ("missed", "nothing ran then")
GAVE_WAY = ("skipped", "the run before it had not ended")  # where a minute is shorter than a start, or comes at once


def site(root: Path, prompt: str = "note beat") -> Site:
    return made(root, files={"heartbeats.yaml": BEATS.replace("PROMPT", prompt)})


class Faked(Life):
    """A life under a clock of its own; `faketime` says how it goes."""

    def __init__(self, site: Site, **faketime: str) -> None:
        self.site, self.began = site, time.monotonic()
        environment = {**os.environ, "LD_PRELOAD": str(PRELOADED), "TZ": "UTC", **faketime}
        with (site.root / "stdout").open("ab") as out, (site.root / "stderr").open("ab") as err:
            self.process = subprocess.Popen(
                site.command("run"), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=site.root,
                process_group=0, env=environment,
            )  # fmt: skip

    def ready(self) -> float:
        """Every look at the clock costs a call more, and the start has many."""
        until(self._serves, "the control socket", 90)
        return time.monotonic() - self.began


def history(life: Life) -> list[dict[str, Any]]:
    """The oldest first."""
    status, answer = life.ask("GET", "/api/heartbeats/history?heartbeat=beat&limit=500")
    assert status == 200, answer
    return list(reversed(answer["runs"]))


def settled(life: Life, number: int) -> list[dict[str, Any]]:
    """The history once so many instants have come and none is under way."""
    found = history(life)
    open_ = any(row["outcome"] in ("queued", "running") for row in found)
    return [] if open_ or len(found) < number else found


def scheduled(runs: Sequence[dict[str, Any]]) -> list[datetime]:
    return [datetime.fromisoformat(row["scheduled"]) for row in runs]


def passed_over(runs: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """How, and why."""
    return {(row["outcome"], row["why"].partition(";")[0]) for row in runs if row["message"] is None}


def judge(site: Site, runs: Sequence[dict[str, Any]]) -> None:
    """No minute is left out or there twice; each that ran has one reply, and no effect of it came twice."""
    minutes = scheduled(runs)
    assert minutes == [minutes[0] + MINUTE * n for n in range(len(minutes))]
    assert passed_over(runs) <= {MISSED, GAVE_WAY}
    ran = [row for row in runs if row["message"] is not None]
    assert len({row["message"] for row in ran}) == len(ran)
    assert {row["outcome"] for row in ran} == {"answered"}, ran
    assert all(row["reply"] in ("done beat", "failed beat") for row in ran), ran  # failed: cut off in the middle of it
    assert rows(site.state, "SELECT count(*) FROM inbox") == [(len(ran),)]
    assert len(site.effects) == len(ran)


def lived_through(site: Site, lives: Sequence[Any], minute: float) -> list[dict[str, Any]]:
    """Killed in the middle of a run, and killed again for two minutes; `minute` in seconds of ours.

    Two, since one that was missed alone is made up for: of two the first is passed over, whenever the kill comes.
    """
    first, second, third = lives
    with first() as life:
        life.ready()
        until(lambda: site.effects, "the first run", 2 * minute + 30)
        life.kill()
    with second() as life:
        life.ready()
        until(lambda: settled(life, 2), "the second run", 2 * minute + 30)
        life.kill()
    time.sleep(2.1 * minute)
    with third() as life:
        life.ready()
        until(lambda: settled(life, 5), "five minutes", 3 * minute + 30)
        runs = settled(life, 5) or until(lambda: settled(life, 5), "their end")
        assert life.stop() == 0
    return list(runs)


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_each_of_five_minutes_is_in_the_history_once_though_it_is_killed_and_started_twice(tmp_path: Path) -> None:
    here = site(tmp_path)
    runs = lived_through(here, [lambda: Life(here)] * 3, 60.0)
    judge(here, runs)
    assert len(runs) >= 5 and passed_over(runs) == {MISSED}


SPEED = 12


@faked
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_the_same_on_a_clock_that_runs_faster(tmp_path: Path) -> None:
    here, begun = site(tmp_path), time.time()

    def life() -> Faked:
        """Its clock goes on where it would be by now."""
        return Faked(here, FAKETIME=f"+{(time.time() - begun) * (SPEED - 1):.1f} x{SPEED}")

    judge(here, lived_through(here, [life] * 3, 60.0 / SPEED))


@faked
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_clock_that_is_moved_under_a_process_runs_no_minute_twice(tmp_path: Path) -> None:
    """By an hour and by a day, on and back; what it passed over is named, and it goes on."""
    here, offset = site(tmp_path, "say beat"), tmp_path / "offset"  # with the real monotonic clock no tool may sleep
    offset.write_text("+0\n")
    environment = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
    with Faked(here, **environment) as life:
        life.ready()
        for moved in (3600, 0, -3600, 86400, 0):
            shift = timedelta(seconds=moved)
            offset.write_text(f"{moved:+d}\n")
            asked = datetime.now(UTC) + shift

            def ran(asked: datetime = asked) -> bool:
                """An instant of the clock as it is now, within a minute and the half that it takes to notice."""
                return any(
                    row["outcome"] == "answered" and asked - MINUTE < at < asked + 3 * MINUTE
                    for row, at in ((row, datetime.fromisoformat(row["at"])) for row in history(life))
                )

            until(ran, f"a run on the clock moved by {moved} s", 120)
        runs = until(lambda: settled(life, 3), "the end of what runs")
        assert life.stop() == 0
    assert sorted(set(scheduled(runs))) == scheduled(runs)
    ran_ = [row["message"] for row in runs if row["outcome"] == "answered"]
    assert len(set(ran_)) == len(ran_) == rows(here.state, "SELECT count(*) FROM inbox")[0][0]
    assert passed_over(runs) <= {MISSED, GAVE_WAY}
