"""Commands that will not end, run away, flood or die, and a runtime killed under each: what is told, and what is left.

The whole runtime as a process, with real commands, one after another, and a table of it all. What single processes do
stands in tests/tools/test_shell.py, and the kinds of orphans in test_orphans.py.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from crash.harness import Life, Site, made, until
from crash.test_orphans import HANGS, alive

TOOLS = """\
tools:
  job: &job
    description: Runs a script
    shell: sh {script}
    timeout: 5s  # within which it has begun, also on a busy machine
    input: {script: {type: string, description: The script}}
  long: {<<: *job, timeout: 3m}
policies:
  works: {sandbox: off, default: deny, rules: [{allow: [job, long]}]}
"""
AGENT = "name: D\ndescription: Works\nmodel: scripted\ntools: [job, long]\npolicy: works\nworkspace: {work}\n"
SCRIPT = """\
rules:
  - {say: '^job (?P<n>\\S+)$', calls: [{job: {script: "{n}"}}], reply: "{result}", failed: "failed {result}"}
  - {say: '^long (?P<n>\\S+)$', calls: [{long: {script: "{n}"}}], reply: "{result}", failed: "failed {result}"}
otherwise: what?
"""
JOBS = {
    **HANGS,
    "flood": "echo $$ >> pids; yes 0123456789abcdef | head -c 1000000000",
    "dies": "echo $$ >> pids; kill -SEGV $$",
}
HEAD = f"{'the command':<34}{'ended in':>10}{'left':>10}{'memory':>14}  told"
BOUND = 64  # MiB that a gigabyte of output may add to the runtime


@dataclass(frozen=True, slots=True)
class Fault:
    what: str
    tool: str
    script: str
    told: str
    kill: bool = False  # the runtime, once the command runs


FAULTS = (
    Fault("hangs", "job", "plain", "ended after its 5 s were up"),
    Fault("ignores SIGTERM", "job", "deaf", "ended after its 5 s were up"),
    Fault("forks away", "job", "away", "ended after its 5 s were up"),
    Fault("prints 1 GB", "long", "flood", ".openclaw/outputs"),
    Fault("dies by a signal", "long", "dies", "was ended by SIGSEGV"),
    Fault("hangs, runtime killed", "long", "plain", "unknown: the runtime stopped", kill=True),
    Fault("ignores SIGTERM, runtime killed", "long", "deaf", "unknown: the runtime stopped", kill=True),
    Fault("forks away, runtime killed", "long", "away", "unknown: the runtime stopped", kill=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    fault: Fault
    seconds: float  # until the call had its result and nothing ran any more; after a kill, until the next start served
    left: int  # programs that still ran 10 s after that, or when the next start served
    grown: float  # MiB
    reply: str

    @property
    def line(self) -> str:
        told = "as expected" if self.fault.told in self.reply else self.reply[:60]
        return f"{self.fault.what:<34}{self.seconds:>8.2f} s{self.left:>10}{self.grown:>10.1f} MiB  {told}"


def site(root: Path) -> Site:
    agent = AGENT.format(work=root / "work")
    (root / "work").mkdir()
    for name, text in JOBS.items():
        (root / "work" / name).write_text(text)
    return made(root, files={"agents/main.yaml": agent, "tools.yaml": TOOLS, "script.yaml": SCRIPT})


def peak(life: Life) -> float:
    """MiB of memory that the runtime ever had."""
    status = Path(f"/proc/{life.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def tried(here: Site, fault: Fault) -> Outcome:
    noted = here.root / "work" / "pids"
    noted.unlink(missing_ok=True)
    with Life(here) as life:
        life.ready()
        id, before, begun = life.post(f"{fault.tool} {fault.script}", "s", fault.what), peak(life), time.monotonic()
        if not fault.kill:
            reply = until(lambda: life.settled(id), f"the end of what {fault.what}", 150)["reply"]
            end = time.monotonic() + 10
            while (found := left(noted)) and time.monotonic() < end:  # what left its group is killed, not waited for
                time.sleep(0.01)
            return Outcome(fault, time.monotonic() - begun, found, peak(life) - before, reply)
        until(lambda: noted.exists() and noted.read_text().endswith("\n"), "the command")
        life.kill()
    with Life(here) as life:
        began = time.monotonic()
        life.ready()
        found, seconds = left(noted), time.monotonic() - began
        reply = until(lambda: life.settled(id), "the reply", 60)["reply"]
        return Outcome(fault, seconds, found, 0.0, reply)


def left(noted: Path) -> int:
    """Programs that wrote their number down and live."""
    return sum(alive(int(line)) for line in noted.read_text().split())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_a_command_does_it_ends_and_leaves_nothing_behind(tmp_path: Path) -> None:
    here = site(tmp_path)
    outcomes = [tried(here, fault) for fault in FAULTS]
    print(f"\n{HEAD}", *(one.line for one in outcomes), sep="\n")
    assert [one.fault.what for one in outcomes if one.fault.told not in one.reply] == []
    assert [one.fault.what for one in outcomes if one.left] == []
    assert max(one.grown for one in outcomes) < BOUND
