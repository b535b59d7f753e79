"""Messages that are answered together, and a kill at the worst moments: none is lost, none is answered twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crash.harness import Life, Site, made, until
from crash.oracle import rows
from crash.storm_dies import MOMENTS
from crash.storm_judge import Found, left

MORTAL = (str(Path(__file__).with_name("storm_dies.py")),)
MODES = ("collect", "interrupt", "steer")
SESSION = "agent:main:repl:local:s"


def site(root: Path, mode: str) -> Site:
    return made(root, files={"channels.yaml": f"channels: {{repl: {{kind: repl, queue: {mode}}}}}\n"})


def under_way(here: Site, life: Life) -> list[str]:
    """A call waits at its gate, and two more messages were accepted behind it; their ids."""
    ids = [life.post("gate 1", "s", "first")]
    until(lambda: here.effects, "the call")
    ids += [life.post("say 2", "s", "second"), life.post("say 3", "s", "third")]
    return ids


def ended(here: Site, ids: list[str]) -> tuple[Found, list[str]]:
    """After another life, in which all comes to its end: what is judged, and the three replies."""
    (here.project / "open").touch()
    with Life(here) as life:
        life.ready()
        replies = [str(until(lambda id=id: life.settled(id), f"the end of {id}", 60)["reply"]) for id in ids]
        assert life.stop() == 0
    return left(here)[0], replies


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_a_kill_while_messages_are_joined_loses_none_and_answers_none_twice(
    tmp_path: Path, mode: str, moment: str
) -> None:
    here = site(tmp_path, mode)
    os.environ["DIES_AT"] = moment
    try:
        with Life(Site(here.root, MORTAL)) as life:
            life.ready()
            ids = under_way(here, life)
            (here.project / "open").touch()
            assert life.process.wait(60) == -9
    finally:
        del os.environ["DIES_AT"]
    assert len(rows(here.state, "SELECT 1 FROM inbox WHERE settled IS NULL")) >= 2
    found, replies = ended(here, ids)
    assert found.faults() == {}
    assert all(reply.startswith(("done", "failed")) for reply in replies)
    assert [n for _, n in here.effects] == ["1"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_kill_in_mid_turn_answers_also_what_waited_behind_it(tmp_path: Path, mode: str) -> None:
    here = site(tmp_path, mode)
    with Life(here) as life:
        life.ready()
        ids = under_way(here, life)
        life.kill()
    found, replies = ended(here, ids)
    assert found.faults() == {}
    assert [n for _, n in here.effects] == ["1"] and found.unknown + found.stopped <= 1
    if mode == "collect":  # the first alone, whose call came to nothing known; the others in one turn
        assert replies[0].startswith("failed 1: unknown") and len(set(replies[1:])) == 1 and found.together == 1
