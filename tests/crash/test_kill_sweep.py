"""The whole runtime, killed at a few random moments and at chosen ones; `test_storm.py` does it under load.

Nothing accepted is lost, nothing is done twice, all is in order.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from crash.harness import Life, Site, made, sweep, until
from crash.oracle import Findings, judge, rows, table

CARELESS = (str(Path(__file__).with_name("without_intents.py")),)


def swept(site: Site, *, seed: int, kills: int) -> Findings:
    seed = int(os.environ.get("CRASH_SEED", seed))
    print(f"\nseed {seed}: run it again with CRASH_SEED={seed}")
    run = sweep(site, seed=seed, kills=kills)
    run.run()
    found = judge(site, run.lanes)
    print(table(run, found))
    return found


def test_a_few_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    assert swept(made(tmp_path), seed=1, kills=3).faults() == {}


def test_a_life_that_ended_by_itself_can_be_stopped_and_killed(tmp_path: Path) -> None:
    """A strike may end it between the last look at it and the signal, and then nothing has its number any more."""
    for end in (Life.stop, Life.kill):
        with Life(made(tmp_path / end.__name__)) as life:
            life.ready()
            os.kill(life.process.pid, signal.SIGKILL)
            until(lambda life=life: not Path(f"/proc/{life.process.pid}").exists(), "its end")
            end(life)
            assert life.process.returncode == -signal.SIGKILL


def effects_of_a_call_cut_off(tmp_path: Path, runner: Sequence[str]) -> tuple[Counter[str], Findings, str]:
    """Kills the runtime while a tool is between its effect and its result, and starts it again."""
    site = made(tmp_path, runner=runner)
    with Life(site) as life:
        life.ready()
        id = life.post("gate 1", "s", "key")
        until(lambda: site.effects, "the effect")
        life.kill()
    (site.project / "open").touch()
    with Life(site) as life:
        life.ready()
        state = until(lambda: life.settled(id), "the answer")
        assert life.stop() == 0
    return Counter(n for _, n in site.effects), judge(site), str(state["reply"])


def test_a_call_that_a_kill_cut_off_is_told_as_unknown_and_not_run_again(tmp_path: Path) -> None:
    effects, found, reply = effects_of_a_call_cut_off(tmp_path, ("-m", "openclaw"))
    assert effects == {"1": 1}
    assert (found.faults(), found.unknown) == ({}, 1)
    assert reply.startswith("failed 1: unknown: the runtime stopped while this ran")


@pytest.mark.slow
def test_without_the_intent_on_disk_the_same_call_runs_twice_and_the_oracle_sees_it(tmp_path: Path) -> None:
    effects, found, _ = effects_of_a_call_cut_off(tmp_path, CARELESS)
    assert effects["1"] == 2
    assert found.twice != []


POISON = """\
import os
import time
from pathlib import Path

import openclaw

@openclaw.tool
def note(n: str) -> str:
    \"\"\"Ends it all, once everything was posted.\"\"\"
    while not Path(__file__).with_name("go").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
"""
POISONED = {
    "poison.py": POISON,
    "agents/main.yaml": "name: Desk\ndescription: Dies\nmodel: scripted\ntools: [note]\npolicy: works\n",
    "tools.yaml": 'tools: {note: {python: "poison:note"}}\npolicies: {works: {default: deny, rules: [allow: note]}}\n',
    # It asks for the poison as often as it is taken up: after each kill the call before is told as unknown.
    "script.yaml": """\
rules:
  - {say: poison, delay: 0.2, calls: [{note: {n: '1'}}, {note: {n: '2'}}, {note: {n: '3'}}]}
  - {say: slow, delay: 0.6, reply: thought about it}
otherwise: still here
""",
}


@pytest.mark.slow
def test_a_message_that_kills_the_runtime_is_put_aside_and_no_other_is_blamed(tmp_path: Path) -> None:
    site = made(tmp_path, files=POISONED)
    with Life(site) as life:
        life.ready()
        beside = [life.post("slow", name, name) for name in ("s1", "s2")]
        poison = life.post("poison", "p", "poison")
        behind = life.post("hello", "p", "behind")
        (site.project / "go").touch()
        assert life.process.wait(20) == -9
    lives = 1
    while not all_settled(site):
        lives += 1
        with Life(site) as life:
            until(lambda: life.process.poll() or all_settled(site), "its end, or that of all messages")
    assert lives == 4
    ends = dict(rows(site.state, "SELECT id, state FROM inbox"))
    assert [ends[id] for id in (*beside, poison, behind)] == ["done", "done", "parked", "done"]
    assert judge(site).faults() == {}


def all_settled(site: Site) -> bool:
    return not rows(site.state, "SELECT 1 FROM inbox WHERE settled IS NULL")
