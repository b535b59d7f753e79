"""The runtime struck at each of its calls to the disk, from its first to its last: killed there, or refused.

In each of these sweeps a runtime serves the same work (`worklist.py`) again and again, and is struck at the next call
each time: every write, sync, opening, locking, truncation, renaming, linking, unlinking and making of a folder that
any of its threads makes in the state folder, and on the file to which tools write. Another runtime goes on from what
was left, and an oracle reads the files.

Every second call of each sort, and so one of every sort at the least, is struck by a kill; SQLite's locks, which leave
nothing on disk, and the calls that fail, are struck at intervals. SWEEP=all strikes every one of them, which takes five
times as long. SWEEP_TABLE names a file to which the tables are added.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from crash.harness import Life
from crash.striker import CALLS, kind, possible
from crash.strikes import LOCKS, NAMES, Strike, Sweep, first, shares, swept, table
from crash.worklist import Work, place

ALL = os.environ.get("SWEEP") == "all"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(bool(possible()), reason=possible()),
]


def show(*lines: str) -> None:
    text = "\n".join(lines)
    print(f"\n{text}")
    if path := os.environ.get("SWEEP_TABLE"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n\n")


def shown(sweep: Sweep) -> None:
    ends = ", ".join(f"{count} ended with {status}" for status, count in sorted(sweep.ends.items()))
    odd = {number: one.found.faults() for number, one in sweep.outcomes.items() if one.status not in (-9, 0, 1)}
    wrong = [f"call {at}: {sweep.outcomes[at].struck}: {found}" for at, found in {**odd, **sweep.faults()}.items()]
    show(table([sweep.row()]), ends, *wrong)


def shared(title: str, found: Mapping[str, tuple[int, int]]) -> str:
    lines = [{title: sort, "calls": there, "struck": hit} for sort, (there, hit) in found.items()]
    return table(lines)


def test_killed_at_any_disk_call_it_recovers(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "kill", "kill", Strike(), stride=1 if ALL else 2, every_sort=True)
    shown(sweep)
    by_call, by_kind = shares(sweep, lambda call: call[1]), shares(sweep, lambda call: kind(call[2]))
    show(shared("call", by_call), "", shared("file", by_kind))
    assert sweep.faults() == {}
    assert sweep.ends.keys() <= {-9, 0} and len(sweep.struck) > 400
    # A run may have a few calls fewer than the first one, and then the last of their sort does not come in it.
    assert [call for call, (there, hit) in by_call.items() if there and not hit] == []
    assert [file for file, (there, hit) in by_kind.items() if there and not hit] == []


def test_killed_at_a_lock_it_recovers(tmp_path: Path) -> None:
    sweep = swept(tmp_path / "locks", "kill at a lock", Strike(only=LOCKS), stride=1 if ALL else 25)
    shown(sweep)
    assert sweep.faults() == {}
    assert sweep.ends[-9] > 10


@pytest.mark.parametrize(("fault", "mostly"), [("EIO", 1), ("ENOSPC", 0)])
def test_a_disk_call_that_fails_ends_the_runtime_or_is_made_again_and_nothing_is_lost(
    tmp_path: Path, fault: str, mostly: int
) -> None:
    """A disk that does not write or sync is not trusted any more; one that is full is waited for."""
    sweep = swept(tmp_path / fault, f"{fault} on one call", Strike(error=fault), stride=1 if ALL else 23)
    shown(sweep)
    assert sweep.faults() == {}
    assert sweep.ends.keys() <= {0, 1} and sweep.ends[mostly] > sweep.ends[1 - mostly]


@pytest.mark.parametrize(
    ("number", "call", "file", "words"),
    [
        (3, "fdatasync", "runtime.db-journal", "runtime.db cannot be opened"),
        (1, "openat", "running", "what may still run of an earlier start cannot be known"),
    ],
)
def test_a_disk_that_fails_at_the_start_ends_it_with_a_word(
    tmp_path: Path, number: int, call: str, file: str, words: str
) -> None:
    """SQLite itself goes on without its log, and says nothing."""
    _, outcome = first(tmp_path / "site", Strike(error="EIO"), number, call, file)
    assert outcome.struck is not None and outcome.status == 1
    assert words in (tmp_path / "site" / "stderr").read_text()


def test_a_disk_that_fails_at_the_very_end_changes_nothing_about_it(tmp_path: Path) -> None:
    _, outcome = first(tmp_path / "site", Strike(error="EIO"), 2, "ftruncate", "lock")
    assert outcome.struck is not None and outcome.status == 0


def test_without_intents_the_same_sweep_finds_tools_that_ran_twice(tmp_path: Path) -> None:
    """That is how the other sweeps are known to be able to see."""
    careless = Strike(module="crash.without_intents", only=frozenset({"write", "fsync"}), below=("project/effects",))
    sweep = swept(tmp_path / "careless", "kill, no intents", careless, stride=1)
    shown(sweep)
    assert sum(len(one.found.twice) for one in sweep.outcomes.values()) > 1


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_calls_that_are_struck_are_those_that_strace_sees(tmp_path: Path) -> None:
    """The same work, once under strace: the same sorts of calls on the same sorts of files."""
    dry = first(tmp_path / "ours", Strike(only=NAMES), 0)[1].seen
    ours = Counter((name, kind(path)) for _, name, path in dry)
    seen = Counter((name, kind(path)) for name, path in straced(tmp_path / "seen"))
    both = {call: (seen[call], ours[call]) for call in sorted(seen | ours)}
    show(table([{"call": name, "file": file, "strace": a, "ours": b} for (name, file), (a, b) in both.items()]))
    assert {call: counts for call, counts in both.items() if 0 in counts} == {}


def straced(root: Path) -> list[tuple[str, str]]:
    """Name and file of each call of the runtime itself that touches what is swept."""
    site, log = place(root), root / "calls"
    names = ",".join([*sorted(NAMES), "execve"])
    under = ("strace", "-f", "-qq", "-y", "-s", "4096", "-o", str(log), "-e", f"trace={names}")
    with Life(site, under=under, input=subprocess.PIPE) as life:
        assert Work(site).done(life)
        os.kill(life.ask("GET", "/api/status")[1]["pid"], signal.SIGTERM)
        assert life.process.wait(30) == 0
    lines = [line.split(None, 1) for line in log.read_text("utf-8", "replace").splitlines()]
    started = {thread for thread, call in lines[1:] if call.startswith("execve(")}
    told = [read(call) for thread, call in lines if thread not in started]
    places = (f"{root}/state/", f"{root}/project/effects")
    return [call for call in told if call and (call[1].startswith(places) or call[1] == f"{root}/state")]


def read(call: str) -> tuple[str, str] | None:
    """Name and file of a call as strace writes it; None for what is the second half of one, or no lock."""
    name, _, rest = call.partition("(")
    where = WHERE.get(name)
    if where is None or (name == "fcntl" and "F_SETLK" not in rest and "F_OFD_SETLK" not in rest):
        return None
    found = re.match(STRACED[where], rest)
    return (name, os.path.normpath(Path(*found.groups()))) if found else None


WHERE = dict(CALLS.values())
STRACED = {"fd": r"\d+<([^>]*)>", "path": r'"([^"]*)"', "at": r'\w+<([^>]*)>, "([^"]*)"'}
