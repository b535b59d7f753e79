"""The runtime killed at one disk call after another, from its first to its last; and each of them failing once."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crash.harness import Gone, Life, Site, made, until
from crash.oracle import judge

WORK = (("both 1", "one"), ("say 2", "two"), ("note 3", "two"), ("bump 4", "one"))
WRITES = "write,pwrite64,fsync,fdatasync,ftruncate,rename"
MOST = 400  # calls; the work is done long before

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed"),
]


@dataclass(slots=True)
class Sites:
    """What became of the calls that were struck, by exit code, and of the runs that followed."""

    ends: Counter[int] = field(default_factory=Counter)
    faults: dict[int, object] = field(default_factory=dict)
    unknown: int = 0
    slowest: float = 0.0  # seconds from the start to the last answer, in the run that recovers


def strike(log: Path, calls: str, what: str) -> tuple[str, ...]:
    """The command under which one of these calls, whichever thread makes it, is met by `what`."""
    return ("strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={calls}:{what}")


def struck(tmp_path: Path, what: str, calls: str, *, stride: int = 1) -> Sites:
    """Strikes call after call in runtimes of their own, and has each recovered by another one, until the work is
    done before the call comes."""
    found = Sites()
    for number in range(1, MOST, stride):
        site, log = made(tmp_path / str(number)), tmp_path / f"{number}.calls"
        with Life(site, under=strike(log, calls, f"{what}:when={number}")) as life:
            if worked(life):
                stop(life)
        found.ends[life.process.returncode] += 1
        _recover(site, number, found)
        shutil.rmtree(site.root)
        if life.process.returncode == 0 and "INJECTED" not in log.read_text("utf-8", "replace"):
            break
    return found


def _recover(site: Site, number: int, found: Sites) -> None:
    began = time.monotonic()
    with Life(site) as life:
        assert worked(life), f"call {number}: {(site.root / 'stderr').read_text()}"
        assert life.stop() == 0
    found.slowest = max(found.slowest, time.monotonic() - began)
    after = judge(site)
    found.unknown += after.unknown
    after.traces.clear()  # a disk that fails is a log entry with all its details
    if after.faults():
        found.faults[number] = after.faults()


def worked(life: Life) -> bool:
    """Posts the work and waits for its answers; False where the runtime ended first."""
    try:
        ids = [until(lambda t=text, s=session: taken(life, t, s), f"{text} being taken") for text, session in WORK]
        until(lambda: all(life.settled(id) for id in ids), "all answers")
    except Gone:
        life.process.wait(20)
        return False
    return True


def taken(life: Life, text: str, session: str) -> str | None:
    """The id of the message; None where it was refused for now, or the runtime is not up yet."""
    body, key = {"text": text, "session": session}, f"{session}-{text}"
    try:
        status, answer = life.ask("POST", "/api/messages", body, Prefer="respond-async", Idempotency_Key=key)
    except Gone:
        if life.process.poll() is not None:
            raise
        return None
    return answer["id"] if status in (200, 202) else None


def stop(life: Life) -> None:
    """Ends the runtime that runs under strace."""
    os.kill(life.ask("GET", "/api/status")[1]["pid"], signal.SIGTERM)
    life.process.wait(20)


def table(what: str, found: Sites) -> str:
    ends = ", ".join(f"{count} ended with {code}" for code, count in sorted(found.ends.items()))
    return f"\n{what}: {ends}; {found.unknown} results unknown; slowest recovery {found.slowest:.1f} s"


def test_killed_at_any_disk_call_it_recovers(tmp_path: Path) -> None:
    found = struck(tmp_path, "signal=KILL", WRITES)
    print(table("kill", found))
    assert found.faults == {}
    assert found.ends[-9] > 60 and found.ends == {-9: found.ends[-9], 0: 1}


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
def test_a_disk_call_that_fails_ends_the_runtime_or_is_refused_and_the_next_start_recovers(
    tmp_path: Path, fault: str
) -> None:
    found = struck(tmp_path, f"error={fault}", "pwrite64,fsync,fdatasync", stride=3)
    print(table(fault, found))
    assert found.faults == {}
    assert found.ends[1] > 10 and set(found.ends) == {0, 1}
